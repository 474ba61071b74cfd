"""The readings of the clock, pass by pass: a clock that stood ahead and is right again closes no slot that has not come.

Nobody tells the program that a clock is wrong; it sees readings. Each leap forward is kept, as the readings before and after it. A pass whose
reading lies inside a leap says that the clock stood ahead since: what was written then is put right (:mod:`libax_automate.engine.store.rewind`).
A reading that goes back by less than that, or to before all that is known, takes nothing back: a clock that stands behind (an empty
battery, before the network has set it) is the likelier cause, and to believe it would do years again. Models rest until it has caught up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from libax_automate.engine import duty
from libax_automate.engine.store import Store
from libax_automate.engine.store.rewind import Rewound, rewind
from libax_automate.engine.workspace import Workspace

#: passes further apart than this are a leap, in seconds: the machine was off, or its clock was set
LEAP = 3600.0
#: the newest reading is written down this often, in seconds: the service's passes cost no commit of their own
_NOTE = 600.0
#: so many leaps are kept, the longest
_KEPT = 16
#: a clock that is corrected by less than this is nobody's business, in seconds
_SLACK = 60.0
#: after a leap of more than this nothing is forgotten for a day, should the clock be wrong, in seconds
_FAR = 2 * 86_400.0


@dataclass
class Timeline:
    """What is remembered of the clock: the newest reading in force, the leaps, and the last time that it was put right."""

    top: float | None = None
    #: (the reading before, the reading after), oldest first
    leaps: list[tuple[float, float]] = field(default_factory=list)
    behind: bool = False
    #: when the clock was last found to have stood ahead, how far, and what was put right
    healed: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> Timeline:
        """As it stands in the database."""
        values = json.loads(store.db.get("clock") or "{}")
        return cls(values.get("top"), [(a, b) for a, b in values.get("leaps", ())], values.get("behind", False), values.get("healed", {}))

    def keep(self, store: Store) -> None:
        """Write it down; inside ``write()``."""
        store.db.set("clock", json.dumps({"top": self.top, "leaps": self.leaps, "behind": self.behind, "healed": self.healed}))

    def worry(self, now: float) -> str:
        """What is odd about the clock at ``now``, for people; "" = nothing."""
        if self.top is None or self.top - now <= _SLACK:
            return ""
        odd = f"the clock stands at {_text(now)}, and an earlier pass was at {_text(self.top)}"
        return f"{odd}: the next run puts right what it closed" if self.leap_around(now) else f"{odd}: models rest until then"

    def leap_around(self, now: float) -> tuple[float, float] | None:
        """The leap that ``now`` lies inside of: the clock has stood ahead since."""
        return next(((before, after) for before, after in reversed(self.leaps) if before <= now < after - _SLACK), None)

    def leapt(self, now: float) -> None:
        """Another leap, from the newest reading to ``now``."""
        assert self.top is not None
        self.leaps.append((self.top, now))
        if len(self.leaps) > _KEPT:
            self.leaps.remove(min(self.leaps, key=lambda leap: leap[1] - leap[0]))


def look(space: Workspace) -> Rewound | None:
    """Read the clock at the beginning of a pass; what was put right, if it had stood ahead. Only the holder of the run lock may ask."""
    store, now = space.store, space.now()
    line = Timeline.of(store)
    if line.top is None:
        line.top = now
    elif now >= line.top:
        if now - line.top < _NOTE and not line.behind:
            return None
        if now - line.top > LEAP:
            line.leapt(now)
        far = now - line.top > _FAR
        line.top, line.behind = now, False
        with store.write():
            if far and store.db.get("forgot"):
                store.db.set("forgot", str(now))
            line.keep(store)
        return None
    elif (leap := line.leap_around(now)) is not None:
        return _put_right(space, line, leap, now)
    elif line.behind or line.top - now <= _SLACK:
        return None
    else:
        line.behind = True
        space.log.warning("%s. Is the clock right? See: automate doctor", line.worry(now))
    with store.write():
        line.keep(store)
    return None


def _put_right(space: Workspace, line: Timeline, leap: tuple[float, float], now: float) -> Rewound:
    assert line.top is not None
    profiles = {profile.name: profile for profile in space.profiles}

    def floor(name: str, seen: float) -> float | None:
        profile = profiles.get(name)
        return duty.active_from(profile, datetime.fromtimestamp(seen, UTC)).timestamp() if profile is not None else None

    store = space.store
    with store.write():
        done = rewind(store.db, now, before=leap[0], since=leap[1], top=line.top, floor=floor)
        line.healed = {"at": now, "stood": line.top, **done.as_dict()}
        space.log.warning(
            "the clock had stood ahead, at %s: %d slots that were called done or missed are open again, %d messages and %d apps wait as before",
            _text(line.top), done.slots, done.messages, done.apps,
        )  # fmt: skip
        # the right reading is one leap less wide, or a wrong one still
        line.leaps, line.top, line.behind = line.leaps[: line.leaps.index(leap)], leap[0], False
        if now - line.top > LEAP:
            line.leapt(now)
        line.top = now
        line.keep(store)
    return done


def _text(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"

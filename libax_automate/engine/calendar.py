"""What fires when: the events of a span of days over any number of profiles, collisions, and the days on which clocks change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import groupby
from zoneinfo import ZoneInfo

from libax_automate.engine.schedule import slots
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.walltime import Change, Slot, changes, local_of, midnight

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Event:
    """One slot of one model; ``local`` is the profile's wall time as the schedule says it, ``note`` what a clock change makes of it."""

    instant: datetime
    profile: str
    model: str
    local: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A local day on which the clock changes, and what becomes of models then."""

    day: date
    instant: datetime
    #: wall times that are left out (``forward``) or come twice: from, and up to but without
    low: datetime
    high: datetime
    forward: bool

    @property
    def text(self) -> str:
        """One sentence for people."""
        span = _span(self.low, self.high)
        if self.forward:
            end = _clock(self.high, self.day)
            return f"{span} does not exist: what is set for it runs once, at {end}; schedules by elapsed time pass over it"
        return f"{span} comes twice: what is set for it runs the first time only; schedules by elapsed time run both times"


def _clock(local: datetime, day: date) -> str:
    return f"{local:%H:%M}" if local.date() == day else f"{local:%Y-%m-%d %H:%M}"


def _span(low: datetime, high: datetime) -> str:
    last = high - timedelta(minutes=1)
    return f"{low:%Y-%m-%d %H:%M}-{_clock(last, low.date())}"


def _window(zone: ZoneInfo, first: date, last: date) -> tuple[datetime, datetime]:
    return midnight(first, zone) - _TICK, midnight(last + _DAY, zone) - _TICK


def clock_changes(zone: ZoneInfo, first: date, last: date) -> list[ClockChange]:
    """The changes of the zone's clock on the local days ``first`` to ``last``, both included."""
    return [_told(change) for change in changes(zone, *_window(zone, first, last))]


def _told(change: Change) -> ClockChange:
    low, high = sorted((change.wall_before, change.wall_after))
    return ClockChange(low.date(), change.instant, low, high, change.forward)


def events(profiles: Iterable[Profile], first: date, last: date) -> Iterator[Event]:
    """Every slot of the enabled models on the profiles' own local days ``first`` to ``last``, by instant, then profile and model.

    Models in real time have none. Lazy: a year of a model that fires each minute takes no memory.
    Raises UsageError where a schedule cannot be read.
    """
    streams = []
    for profile in profiles:
        zone = profile.timezone
        after, until = _window(zone, first, last)
        # clock changes are few: only slots near one are looked at twice
        near = [_told(change) for change in changes(zone, after - _DAY, until + _DAY)]
        scheduled = (model for model in profile.models.values() if model.enabled and not model.schedule.realtime)
        streams += [_events(profile, model, after, until, near) for model in scheduled]
    return (Event(instant, profile, model, local, note) for instant, profile, model, local, note in merge(*streams))


def _events(
    profile: Profile, model: ModelSpec, after: datetime, until: datetime, near: list[ClockChange]
) -> Iterator[tuple[datetime, str, str, datetime, str]]:
    zone = profile.timezone
    for slot in slots(model.schedule, zone, after, until):
        yield slot.instant, profile.name, model.name, slot.local, _note(slot, zone, near) if near else ""


def _note(slot: Slot, zone: ZoneInfo, near: list[ClockChange]) -> str:
    local = slot.local.replace(fold=0)
    for change in near:
        if not change.low <= local < change.high:
            continue
        if change.forward:
            return f"runs at {_clock(local_of(slot.instant, zone), local.date())}: {local:%H:%M} does not exist on {local:%Y-%m-%d}"
        return f"{local:%H:%M} comes twice on {local:%Y-%m-%d}: this is the {'second' if slot.local.fold else 'first'}"
    return ""


def collisions(found: Iterable[Event]) -> Iterator[tuple[Event, ...]]:
    """Events of one profile in one and the same minute (IC-25: no two tasks at one time); ``found`` is what :func:`events` gave."""
    for _, together in groupby(found, key=lambda event: event.instant.replace(second=0, microsecond=0)):
        for _, group in groupby(sorted(together, key=lambda event: (event.profile, event.model)), key=lambda event: event.profile):
            same = tuple(group)
            if len({event.model for event in same}) > 1:
                yield same

"""The apps' queues: registered, counted, paused, throttled, fenced. Whether one may send is computed, never stored twice."""

from __future__ import annotations

import hashlib
import hmac

from libax_automate.engine.store.database import Database, machine_id
from libax_automate.engine.store.rows import AppRow, AppState

#: the longest that a provider's Retry-After is believed, in seconds
THROTTLE_CAP = 6 * 3600.0

_STATE = """
SELECT a.paused_at, max(a.throttled_until, c.throttled_until),
  (SELECT e.id FROM errors e WHERE e.closed_at IS NULL AND (e.app_id = a.id OR e.credential_id = a.credential_id) ORDER BY e.id LIMIT 1),
  (SELECT value FROM meta WHERE key = 'fenced')
FROM apps a JOIN credentials c ON c.id = a.credential_id WHERE a.id = ?
"""

# Out of the partial indexes alone, whatever the size of the ledger. One question for each app: to group a million entries of the index
# costs twice what counting them does, and so does any other look at each of them.
_WAITING = """
SELECT id, (SELECT count(*) FROM messages INDEXED BY messages_waiting WHERE state = 'waiting' AND app_id = apps.id) FROM apps
"""
# ids grow with time, so the first one is the oldest
_OPEN = """
SELECT app_id, state, number, (SELECT created_at FROM messages WHERE id = first) FROM (
  SELECT app_id, state, count(*) AS number, min(id) AS first
  FROM messages INDEXED BY messages_open WHERE state IN ('sending', 'failed', 'in_doubt') GROUP BY app_id, state
)
"""
# the first of those that wait for the same instant, of the next instant
_NEXT_WAIT = """
SELECT not_before, id FROM messages INDEXED BY messages_waiting WHERE state = 'waiting' AND app_id = ? AND not_before > ?
ORDER BY not_before, id LIMIT 1
"""
_FIRST = "SELECT min(id) FROM messages INDEXED BY messages_waiting WHERE state = 'waiting' AND app_id = ?"
#: so many instants for which messages wait are looked at one by one, which costs microseconds; beyond that each message is
_INSTANTS = 200

# the program's own messages are few: they are found by model
_SYSTEM = """
SELECT m.app_id, m.state, count(*) FROM models s CROSS JOIN messages m ON m.model_id = s.id
WHERE s.system = 1 AND m.state IN ('waiting', 'sending', 'failed', 'in_doubt') GROUP BY 1, 2
"""


class Apps:
    """Verbs on apps."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def register(self, profile: str, name: str, connector: str, credential: str) -> int:
        """The app's id; made on first sight. A changed credential moves the app to that credential's pace and errors."""
        conn = self.db.conn
        # keyed with this database's own name: a stored hash is of no use to guess a secret with
        digest = hmac.new(self.db.get("instance").encode(), credential.encode(), hashlib.sha256).hexdigest()[:32]
        hashed = digest if credential else f"app:{profile}/{name}"
        found = self.db.row(
            "SELECT a.id, c.hash, a.connector FROM apps a JOIN credentials c ON c.id = a.credential_id WHERE a.profile = ? AND a.name = ?",
            (profile, name),
        )
        if found and found[1] == hashed and found[2] == connector:
            return int(found[0])
        with self.db.write():
            conn.execute("INSERT OR IGNORE INTO credentials(hash) VALUES (?)", (hashed,))
            credential_id = self.db.value("SELECT id FROM credentials WHERE hash = ?", (hashed,))
            conn.execute(
                "INSERT INTO apps(profile, name, connector, credential_id) VALUES (?, ?, ?, ?) "
                "ON CONFLICT(profile, name) DO UPDATE SET connector = excluded.connector, credential_id = excluded.credential_id",
                (profile, name, connector, credential_id),
            )
            return int(self.db.value("SELECT id FROM apps WHERE profile = ? AND name = ?", (profile, name)))

    def find(self, profile: str, name: str) -> int | None:
        """The app's id, if it has ever been seen."""
        found = self.db.value("SELECT id FROM apps WHERE profile = ? AND name = ?", (profile, name))
        return None if found is None else int(found)

    def row(self, app_id: int) -> tuple[str, str, int]:
        """Profile, name and credential of an app."""
        found = self.db.row("SELECT profile, name, credential_id FROM apps WHERE id = ?", (app_id,))
        assert found is not None
        return str(found[0]), str(found[1]), int(found[2])

    def credential(self, app_id: int) -> int:
        """The id of the credential that an app runs on."""
        return self.row(app_id)[2]

    def may_probe(self, app_id: int, now: float, after: float) -> bool:
        """Whether the app's account was last probed more than ``after`` seconds ago; if so, this counts as a probe."""
        with self.db.write() as conn:
            return conn.execute("UPDATE apps SET probe_at = ? WHERE id = ? AND probe_at <= ?", (now, app_id, now - after)).rowcount == 1

    def state(self, app_id: int, now: float) -> tuple[AppState, float]:
        """What the app's queue does at ``now``, and until when if it is throttled."""
        found = self.db.row(_STATE, (app_id,))
        if found is None:
            return AppState.RUNNING, 0.0
        paused, until, error, fence = found
        if fence:
            return AppState.FENCED, 0.0
        if error is not None:
            return AppState.HALTED, 0.0
        if paused is not None:
            return AppState.PAUSED, 0.0
        if until > now:
            return AppState.THROTTLED, float(until)
        return AppState.RUNNING, 0.0

    def rows(self, now: float, *, profiles: frozenset[str] | None = None, system: bool = False) -> list[AppRow]:
        """Every app with its counts, in order of profile and name; notices do not count unless ``system``."""
        counts: dict[int, dict[str, tuple[int, float, float]]] = {}
        for app_id, count in self.db.rows(_WAITING):
            if count and (head := self._head(app_id)) is not None:
                counts[app_id] = {"waiting": (count, *head)}
        for app_id, state, count, oldest in self.db.rows(_OPEN):
            counts.setdefault(app_id, {})[state] = (count, oldest, 0.0)
        if not system:
            for app_id, state, count in self.db.rows(_SYSTEM):
                whole, oldest, next_at = counts.get(app_id, {}).get(state, (0, 0.0, 0.0))
                if whole:
                    counts[app_id][state] = (whole - count, oldest, next_at)
        found = []
        for id_, profile, name, connector, credential_id, sent in self.db.rows(
            "SELECT id, profile, name, connector, credential_id, sent FROM apps ORDER BY profile, name"
        ):
            if profiles is not None and profile not in profiles:
                continue
            mine = counts.get(id_, {})
            state, until = self.state(id_, now)
            waiting = mine.get("waiting", (0, None, None))
            openings = [part[1] for part in mine.values() if part[0]]
            found.append(
                AppRow(
                    id_, profile, name, connector, credential_id, state, until, self._reason(id_, credential_id, state),
                    waiting[0], mine.get("sending", (0,))[0], mine.get("in_doubt", (0,))[0], mine.get("failed", (0,))[0], sent,
                    min(openings, default=None), waiting[2] if waiting[0] else None,
                )
            )  # fmt: skip
        return found

    def _head(self, app_id: int) -> tuple[float, float] | None:
        """Since when the oldest of an app's waiting messages has waited, and from when the first may leave; None if nothing waits."""
        next_at = first = None
        after = float("-inf")
        for _ in range(_INSTANTS):
            found = self.db.row(_NEXT_WAIT, (app_id, after))
            if found is None:
                break
            after, id_ = found
            next_at = after if next_at is None else next_at
            first = id_ if first is None else min(first, id_)
        else:
            first = self.db.value(_FIRST, (app_id,))
        if first is None or next_at is None:
            return None
        return float(self.db.value("SELECT created_at FROM messages WHERE id = ?", (first,))), float(next_at)

    def _reason(self, app_id: int, credential_id: int, state: AppState) -> str:
        if state is AppState.HALTED:
            found = self.db.row(
                "SELECT id, cause FROM errors WHERE closed_at IS NULL AND (app_id = ? OR credential_id = ?) ORDER BY id LIMIT 1",
                (app_id, credential_id),
            )
            return f"E{found[0]}: {found[1]}" if found else ""
        if state is AppState.FENCED:
            return self.db.get("fenced")
        return ""

    def pause(self, app_id: int, now: float) -> bool:
        """Stop sending by hand; False if it was paused already."""
        with self.db.write() as conn:
            return conn.execute("UPDATE apps SET paused_at = ? WHERE id = ? AND paused_at IS NULL", (now, app_id)).rowcount == 1

    def resume(self, app_id: int) -> bool:
        """Take a pause and a throttle back; False if there was neither."""
        with self.db.write() as conn:
            changed = conn.execute("UPDATE apps SET paused_at = NULL WHERE id = ? AND paused_at IS NOT NULL", (app_id,)).rowcount
            changed += conn.execute("UPDATE apps SET throttled_until = 0 WHERE id = ? AND throttled_until > 0", (app_id,)).rowcount
            changed += conn.execute(
                "UPDATE credentials SET throttled_until = 0 WHERE throttled_until > 0 AND id = (SELECT credential_id FROM apps WHERE id = ?)",
                (app_id,),
            ).rowcount
            return changed > 0

    def throttle_app(self, app_id: int, until: float) -> None:
        """The app waits until ``until``; never shortens a longer wait."""
        self.db.conn.execute("UPDATE apps SET throttled_until = max(throttled_until, ?) WHERE id = ?", (until, app_id))

    def throttle_credential(self, credential_id: int, delay: float, now: float) -> float:
        """Every app on the credential waits max(``delay``, back-off), capped at six hours; returns until when."""
        count = int(self.db.value("SELECT throttles FROM credentials WHERE id = ?", (credential_id,)) or 0)
        until = float(now + min(max(delay, 5.0 * 2 ** min(count, 12)), THROTTLE_CAP))
        self.db.conn.execute(
            "UPDATE credentials SET throttled_until = max(throttled_until, ?), throttles = throttles + 1 WHERE id = ?",
            (until, credential_id),
        )
        return until

    def pace(self, credential_id: int) -> float:
        """The instant from which the credential's next call keeps its pace."""
        return float(self.db.value("SELECT next_call FROM credentials WHERE id = ?", (credential_id,)) or 0.0)

    def keep_pace(self, credential_id: int, next_call: float, *, succeeded: bool) -> None:
        """Remember the pace for the next process; a success forgets the back-off."""
        self.db.conn.execute(
            "UPDATE credentials SET next_call = max(next_call, ?), throttles = CASE WHEN ? THEN 0 ELSE throttles END WHERE id = ?",
            (next_call, succeeded, credential_id),
        )

    def refusals(self, app_id: int, verdicts: str) -> str:
        """Append ``.`` (accepted) and ``x`` (refused recipient) to the app's last hundred; returns them all."""
        ring = (str(self.db.value("SELECT refused FROM apps WHERE id = ?", (app_id,)) or "") + verdicts)[-100:]
        self.db.conn.execute("UPDATE apps SET refused = ? WHERE id = ?", (ring, app_id))
        return ring

    def forget_refusals(self, app_id: int) -> None:
        """Start counting refusals anew (after a person looked)."""
        self.db.conn.execute("UPDATE apps SET refused = '' WHERE id = ?", (app_id,))

    def note(self, verb: str, target: str, detail: str, now: float) -> None:
        """Write down what a person did with an app outside the queue (a test message)."""
        with self.db.write() as conn:
            conn.execute("INSERT INTO operations(at, verb, target, detail) VALUES (?, ?, ?, ?)", (now, verb, target, detail))

    # -- the fence -------------------------------------------------------------------------------------------------

    def fenced(self) -> bool:
        """Whether this file was restored or cloned and nobody has released it yet."""
        return bool(self.db.get("fenced"))

    def fence(self, why: str) -> None:
        """Send nothing until ``queue resume``: what this file remembers may be older than what has really been sent."""
        with self.db.write():
            self.db.set("fenced", why)

    def unfence(self, now: float) -> bool:
        """A person says that this is now the one true copy; False if there was no fence."""
        if not self.fenced():
            return False
        with self.db.write() as conn:
            conn.execute("DELETE FROM meta WHERE key = 'fenced'")
            self.db.set("machine", machine_id())
            conn.execute("INSERT INTO operations(at, verb, target) VALUES (?, 'resume', 'fence')", (now,))
        return True

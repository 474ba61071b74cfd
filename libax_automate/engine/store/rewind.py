"""What passes left behind whose clock stood ahead, put right: nothing is taken back that happened, nothing stays closed that has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from libax_automate.engine.store.apps import THROTTLE_CAP
from libax_automate.engine.store.database import Database
from libax_automate.engine.store.spool import UNDECIDED

#: what ran by this much before its time runs again when its time comes: until then people come and go. A slot that ran a little early has run
EARLY = 2 * 86_400.0
#: reminders come at least this often
_REMINDER = 86_400.0

#: the trigger of a task whose slot lies ahead: it ran, or failed, while the clock stood wrong, and its slot is open again
AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Rewound:
    """What was put right, in numbers."""

    models: int = 0
    #: slots that are open again
    slots: int = 0
    #: messages that wait as they did before, or until their own time
    messages: int = 0
    apps: int = 0

    def as_dict(self) -> dict[str, int]:
        """For ``meta``."""
        return asdict(self)


def rewind(db: Database, now: float, *, before: float, since: float, top: float, floor: Callable[[str, float], float | None]) -> Rewound:
    """Put right what was written at readings of ``since`` … ``top``, now that the clock says ``now`` < ``since``; in the caller's transaction.

    ``before`` is the last reading that was right.

    ``floor`` answers up to when a profile's slots do not fire for settings first seen at an instant (LX-40); None = no such profile here.
    """
    models = _models(db, now, since, floor)
    slots = _tasks(db, now, since)
    messages = _messages(db, now, since, top - now)
    _past(db, now, since)
    # how old a provider's memory of a key is, nobody knows any more: as old as can be
    db.conn.execute("UPDATE attempts SET started_at = ? WHERE started_at >= ?", (before, since))
    apps = _apps(db, now, since, top - now)
    for key in ("forgot", "last_run"):
        if float(db.get(key, "0")) > now:
            db.set(key, str(now))
    done = Rewound(models, slots, messages, apps)
    what = ", ".join(f"{number} {name}" for name, number in done.as_dict().items())
    db.conn.execute("INSERT INTO operations(at, verb, target, detail) VALUES (?, 'clock', '', ?)", (now, f"stood at {top:.0f}: {what}"))
    return done


def _models(db: Database, now: float, since: float, floor: Callable[[str, float], float | None]) -> int:
    # slots count from the minute in which a model is first seen
    edge = since - 60
    rows = db.rows(
        "SELECT id, profile, name, system, first_seen, slot_bookmark, bookmark FROM models WHERE max(first_seen, slot_bookmark, bookmark) >= ?",
        (edge,),
    )
    for id_, profile, name, system, first_seen, slots, bookmark in rows:
        seen, handled, read = min(first_seen, now) if first_seen >= since else first_seen, slots, bookmark
        if slots >= edge:
            handled = min(slots, _handled(db, id_, f"{profile}/{name}", now, since, system=bool(system), seen=seen, floor=floor))
        if bookmark >= since:
            # the newest run that read the source while the clock was right
            last = db.value("SELECT max(started_at) FROM tasks WHERE model_id = ? AND state = 'done' AND started_at < ?", (id_, since))
            read = max(seen, last or 0.0)
        db.conn.execute(
            "UPDATE models SET first_seen = ?, slot_bookmark = ?, bookmark = ?, baseline_at = min(baseline_at, ?) WHERE id = ?",
            (seen, handled, read, now, id_),
        )
    return len(rows)


def _handled(
    db: Database, model_id: int, target: str, now: float, since: float, *, system: bool, seen: float, floor: Callable[[str, float], float | None]
) -> float:  # fmt: skip
    """Up to when every slot was dealt with while the clock was right: a pass opens the tasks of all slots that have come."""
    table, kind = ("messages", "") if system else ("tasks", "AND trigger = 'schedule'")
    found = [db.value(f"SELECT max(created_at) FROM {table} WHERE model_id = ? AND created_at < ? {kind}", (model_id, since)) or 0.0]
    if system:
        return max(seen, *found)
    profile = target.partition("/")[0]
    found.append(floor(profile, seen) or seen)
    sql = "SELECT id, verb, at, detail FROM operations WHERE target = ? AND verb IN ('enable', 'reschedule')"
    for id_, verb, at, detail in db.rows(sql, (target,)):
        rescheduled = verb == "reschedule"
        if at < since:
            found.append(float(detail) if rescheduled else at)
        else:
            # seen by a clock that was wrong: seen now
            found.append((floor(profile, now) or now) if rescheduled else now)
            db.conn.execute("UPDATE operations SET at = ?, detail = ? WHERE id = ?", (now, repr(found[-1]) if rescheduled else detail, id_))
    return max(found)


def _tasks(db: Database, now: float, since: float) -> int:
    conn = db.conn
    # what lies ahead has not been missed, and what lies behind is judged anew
    opened = conn.execute("DELETE FROM tasks WHERE created_at >= ? AND state = 'missed' AND trigger = 'schedule'", (since,)).rowcount
    opened += conn.execute(
        "UPDATE tasks SET trigger = ?, reason = ?, state = CASE WHEN state = 'done' THEN state ELSE 'cancelled' END, notices = 1, "
        "ended_at = coalesce(ended_at, ?) WHERE created_at >= ? AND trigger = 'schedule' "
        "AND ((state = 'done' AND slot_at > ?) OR (state IN ('due', 'running', 'failed', 'crashed') AND slot_at > ?))",
        (AHEAD, "the clock stood ahead: runs when its time comes", now, since, now + EARLY, now),
    ).rowcount
    conn.execute("UPDATE tasks SET not_before = ? WHERE state = 'due' AND not_before > ? AND created_at >= ?", (now, now, since))
    conn.execute("UPDATE tasks SET not_before = ? WHERE state = 'due' AND not_before >= ?", (now, since))
    return opened


def _messages(db: Database, now: float, since: float, shift: float) -> int:
    conn = db.conn
    # nothing has expired before its time; who was in a list may be listed anew, so that one stays where it is
    moved = conn.execute(
        "UPDATE messages SET state = 'waiting', ended_at = NULL, reason = '' WHERE state = 'expired' AND ended_at >= ? AND expires > ? "
        "AND NOT (step = 'list' AND channel = 'webhook')",
        (since, now),
    ).rowcount
    ahead = f"SELECT id FROM tasks WHERE trigger = '{AHEAD}' AND created_at >= :since"
    early = f"attempts = 0 AND task_id IS NOT NULL AND task_id IN ({ahead})"
    values = {"now": now, "since": since, "shift": shift, "undecided": UNDECIDED}

    # planned for a day that has not come, and not gone yet: it waits for that day
    moved += conn.execute(
        "UPDATE messages SET not_before = max(not_before, (SELECT slot_at FROM tasks WHERE tasks.id = task_id)) "
        f"WHERE state = 'waiting' AND created_at >= :since AND not_before < :undecided AND {early}",
        values,
    ).rowcount
    # the rest of what was planned then keeps its spans
    moved += conn.execute(
        "UPDATE messages SET not_before = CASE WHEN not_before >= :since AND not_before < :undecided THEN max(:now, not_before - :shift) "
        "ELSE not_before END, expires = expires - :shift "
        f"WHERE state IN ('waiting', 'sending', 'failed', 'in_doubt') AND created_at >= :since AND NOT ({early})",
        values,
    ).rowcount
    # held at the last look, which comes again; a cap or a rule of tact is not looked at again, and its instant was right
    moved += conn.execute(
        "UPDATE messages SET not_before = 0, reason = '' WHERE state = 'waiting' AND created_at < :since AND not_before >= :since "
        "AND not_before < :undecided AND reason NOT LIKE 'capped:%' AND reason NOT LIKE 'tact:%'",
        values,
    ).rowcount
    return moved


def _past(db: Database, now: float, since: float) -> None:
    """What happened then happened by now: caps, ladders, retention, and another wrong clock, count from it."""
    for table, column in (
        ("messages", "created_at"),
        ("messages", "ended_at"),
        ("tasks", "created_at"),
        ("tasks", "started_at"),
        ("tasks", "ended_at"),
    ):
        db.conn.execute(f"UPDATE {table} SET {column} = ? WHERE {column} >= ?", (now, since))


def _apps(db: Database, now: float, since: float, shift: float) -> int:
    conn, far = db.conn, now + THROTTLE_CAP
    moved = 0
    for table in ("apps", "credentials"):
        # no provider's pause is longer than the cap: a later end is a reading of the wrong clock
        moved += conn.execute(
            f"UPDATE {table} SET throttled_until = max(0, throttled_until - ?) WHERE throttled_until > ?", (shift, far)
        ).rowcount
    conn.execute("UPDATE apps SET probe_at = 0 WHERE probe_at >= ?", (since,))
    conn.execute("UPDATE credentials SET next_call = ? WHERE next_call >= ?", (now, since))
    conn.execute("UPDATE errors SET opened_at = ? WHERE opened_at >= ?", (now, since))
    conn.execute(
        "UPDATE errors SET next_notice = max(?, next_notice - ?) WHERE closed_at IS NULL AND next_notice > ?", (now, shift, now + _REMINDER)
    )
    return moved

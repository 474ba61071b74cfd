"""Models' memory and their tasks: a slot runs once, a run's messages and its bookmark commit together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from libax_automate.engine.store.database import Database
from libax_automate.engine.store.rewind import AHEAD
from libax_automate.engine.store.rows import ModelRow, TaskRow, TaskState

_MODEL = "SELECT id, profile, name, enabled, first_seen, slot_bookmark, bookmark, baseline_at, fingerprint FROM models"
_TASK = """
SELECT t.id, m.profile, m.name, t.model_id, t.slot, t.slot_at, t.first_day, t.last_day, t.state, t.trigger, t.tries, t.planned, t.excluded,
  t.queued, t.bad_rows, t.sent, t.failed, t.reason, t.created_at, t.started_at, t.ended_at
FROM tasks t JOIN models m ON m.id = t.model_id
"""
# the row of a slot that ran before its time is its task still: opened again, and never a second one
_OPEN_SLOT = f"""
INSERT INTO tasks(model_id, slot, slot_at, first_day, last_day, state, trigger, created_at, reason, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT(model_id, slot) DO UPDATE SET state = excluded.state, trigger = excluded.trigger, first_day = excluded.first_day,
  last_day = excluded.last_day, created_at = excluded.created_at, reason = excluded.reason, ended_at = excluded.ended_at, started_at = NULL,
  tries = 0, not_before = 0, notices = 0 WHERE trigger = '{AHEAD}'
RETURNING id
"""


def _model(row: Any) -> ModelRow:
    id_, profile, name, enabled, *rest = row
    return ModelRow(id_, profile, name, None if enabled is None else bool(enabled), *rest)


def _task(row: Any) -> TaskRow:
    return TaskRow(*[*row[:8], TaskState(row[8]), *row[9:]])


class Tasks:
    """Verbs on models and tasks."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # -- models --------------------------------------------------------------------------------------------------------

    def model(self, profile: str, name: str) -> ModelRow | None:
        """What is remembered of a model, if it has been seen."""
        row = self.db.row(_MODEL + " WHERE profile = ? AND name = ?", (profile, name))
        return _model(row) if row else None

    def models(self) -> list[ModelRow]:
        """All that have been seen, system models excluded."""
        return [_model(row) for row in self.db.rows(_MODEL + " WHERE system = 0 ORDER BY profile, name")]

    def system_models(self) -> frozenset[int]:
        """The program's own models: notices and reports."""
        return frozenset(int(row[0]) for row in self.db.rows("SELECT id FROM models WHERE system = 1"))

    def see_model(self, profile: str, name: str, *, now: float, slots_from: float, fingerprint: str, system: bool = False) -> ModelRow:
        """First sight: its bookmark is now, its first slot comes after ``slots_from``."""
        with self.db.write() as conn:
            conn.execute(
                "INSERT OR IGNORE INTO models(profile, name, system, first_seen, slot_bookmark, bookmark, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (profile, name, system, now, slots_from, now, fingerprint),
            )
        found = self.model(profile, name)
        assert found is not None
        return found

    def reschedule(self, model_id: int, *, slots_from: float, fingerprint: str, now: float) -> None:
        """New schedule settings count from ``slots_from`` (LX-40); never backwards."""
        with self.db.write() as conn:
            conn.execute(
                "UPDATE models SET fingerprint = ?, slot_bookmark = max(slot_bookmark, ?) WHERE id = ?", (fingerprint, slots_from, model_id)
            )
            conn.execute(
                "INSERT INTO operations(at, verb, target, detail) SELECT ?, 'reschedule', profile || '/' || name, ? FROM models WHERE id = ?",
                (now, repr(slots_from), model_id),
            )

    def enable(self, profile: str, name: str, *, enabled: bool, now: float) -> bool:
        """An admin's switch over the profile's own ``enabled``; slots missed while off are not made up for. False if unchanged."""
        with self.db.write() as conn:
            changed = conn.execute(
                "UPDATE models SET slot_bookmark = CASE WHEN ? AND enabled = 0 THEN max(slot_bookmark, ?) ELSE slot_bookmark END, enabled = ? "
                "WHERE profile = ? AND name = ? AND enabled IS NOT ?",
                (enabled, now, enabled, profile, name, enabled),
            )
            conn.execute(
                "INSERT INTO operations(at, verb, target) VALUES (?, ?, ?)", (now, "enable" if enabled else "disable", f"{profile}/{name}")
            )
            return changed.rowcount == 1

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def open_slot(
        self, model_id: int, *, slot: str, slot_at: float, first_day: str, last_day: str, now: float, trigger: str = "schedule",
        state: TaskState = TaskState.DUE, reason: str = "",
    ) -> int | None:  # fmt: skip
        """The task of a slot, or None where the slot has had its task: UNIQUE (model, slot).

        A task that ran while the clock stood ahead is opened again when its time has come.
        """
        ended = now if state is TaskState.MISSED else None
        found = self.db.conn.execute(
            _OPEN_SLOT, (model_id, slot, slot_at, first_day, last_day, str(state), trigger, now, reason, ended)
        ).fetchone()
        return int(found[0]) if found else None

    def slots_done(self, model_id: int, until: float) -> None:
        """Every slot up to ``until`` has its task (or is known to be missed)."""
        self.db.conn.execute("UPDATE models SET slot_bookmark = max(slot_bookmark, ?) WHERE id = ?", (until, model_id))

    def ready(self, now: float) -> list[TaskRow]:
        """Tasks that want to run: due, or to be tried again, oldest first."""
        return [_task(row) for row in self.db.rows(_TASK + " WHERE t.state = 'due' AND t.not_before <= ? ORDER BY t.slot_at, t.id", (now,))]

    def next_ready(self) -> float | None:
        """When the next task wants to be tried (again); None if none does."""
        found = self.db.value("SELECT min(not_before) FROM tasks WHERE state = 'due'")
        return None if found is None else float(found)

    def start(self, task_id: int, now: float) -> bool:
        """Compare-and-set from due to running."""
        with self.db.write() as conn:
            return conn.execute(
                "UPDATE tasks SET state = 'running', started_at = ?, tries = tries + 1 WHERE id = ? AND state = 'due'", (now, task_id)
            ).rowcount == 1  # fmt: skip

    def finish(
        self, task_id: int, *, now: float, month: str, bookmark: float | None, planned: int, excluded: int, queued: int, bad_rows: int,
        remarks: Iterable[tuple[str, str, str, str]] = (), baseline: bool = False,
    ) -> None:  # fmt: skip
        """Done: counts, the bookmark and the month's counter (LX-33), in the caller's transaction with the messages."""
        conn = self.db.conn
        # before the task is marked as counted: one that runs again has been
        conn.execute(
            "INSERT INTO counters(profile, month, tasks) SELECT m.profile, ?, 1 FROM tasks t JOIN models m ON m.id = t.model_id "
            "WHERE t.id = ? AND t.counted IS NULL ON CONFLICT(profile, month) DO UPDATE SET tasks = tasks + 1",
            (month, task_id),
        )
        conn.execute(
            "UPDATE tasks SET state = 'done', ended_at = ?, planned = ?, excluded = ?, queued = ?, bad_rows = ?, reason = '', "
            "counted = coalesce(counted, ?) WHERE id = ?",
            (now, planned, excluded, queued, bad_rows, month, task_id),
        )
        conn.execute("DELETE FROM remarks WHERE task_id = ?", (task_id,))
        conn.executemany(
            "INSERT INTO remarks(task_id, kind, person, name, what) VALUES (?, ?, ?, ?, ?)", ((task_id, *row) for row in remarks)
        )
        if bookmark is not None:
            conn.execute(
                "UPDATE models SET bookmark = max(bookmark, ?), baseline_at = CASE WHEN ? THEN ? ELSE baseline_at END "
                "WHERE id = (SELECT model_id FROM tasks WHERE id = ?)",
                (bookmark, baseline, now, task_id),
            )  # fmt: skip

    def fail(self, task_id: int, reason: str, *, now: float, retry_at: float | None = None, state: TaskState = TaskState.FAILED) -> None:
        """It did not work: again at ``retry_at``, or a person's turn."""
        with self.db.write() as conn:
            if retry_at is not None:
                conn.execute("UPDATE tasks SET state = 'due', not_before = ?, reason = ? WHERE id = ?", (retry_at, reason, task_id))
            else:
                conn.execute("UPDATE tasks SET state = ?, ended_at = ?, reason = ? WHERE id = ?", (str(state), now, reason, task_id))

    def set_baseline(self, model_id: int, now: float) -> None:
        """The model's first pass has been recorded."""
        self.db.conn.execute("UPDATE models SET baseline_at = ? WHERE id = ?", (now, model_id))

    def recover(self, now: float) -> list[TaskRow]:
        """Tasks that a dead process left running: they run again, for nothing of theirs was committed; after three tries they are a person's.

        Only the holder of the run lock may ask.
        """
        rows = [_task(row) for row in self.db.rows(_TASK + " WHERE t.state = 'running'")]
        for task in rows:
            if task.tries < 3:
                self.fail(task.id, "the process ended in the middle; runs again", now=now, retry_at=now)
            else:
                self.fail(task.id, f"the process ended in the middle {task.tries} times", now=now, state=TaskState.CRASHED)
        return rows

    def get(self, task_id: int) -> TaskRow | None:
        """One task."""
        row = self.db.row(_TASK + " WHERE t.id = ?", (task_id,))
        return _task(row) if row else None

    def listed(
        self, *, profiles: frozenset[str] | None = None, model: str | None = None, states: Sequence[TaskState] = (), limit: int = 50,
        since: float | None = None,
    ) -> list[TaskRow]:  # fmt: skip
        """The newest tasks, newest first (LX-59)."""
        where, values = ["m.system = 0"], list[object]()
        if profiles is not None:
            where.append(f"m.profile IN ({','.join('?' * len(profiles))})")
            values += sorted(profiles)
        if model is not None:
            where.append("m.name = ?")
            values.append(model)
        if states:
            where.append(f"t.state IN ({','.join('?' * len(states))})")
            values += [str(state) for state in states]
        if since is not None:
            where.append("t.created_at >= ?")
            values.append(since)
        return [_task(row) for row in self.db.rows(f"{_TASK} WHERE {' AND '.join(where)} ORDER BY t.id DESC LIMIT ?", (*values, limit))]

    def unresolved(self, profiles: frozenset[str]) -> list[TaskRow]:
        """Tasks that ended badly and that no later run of their model has made good."""
        rows = self.db.rows(
            _TASK + " WHERE t.state IN ('failed', 'crashed') AND NOT EXISTS "
            "(SELECT 1 FROM tasks l WHERE l.model_id = t.model_id AND l.id > t.id AND l.state = 'done') ORDER BY t.id"
        )
        return [_task(row) for row in rows if row[1] in profiles]

    def of(self, ids: Sequence[int]) -> list[TaskRow]:
        """These tasks, in order of id."""
        return [task for task in map(self.get, sorted(set(ids))) if task is not None]

    def remarks(self, task_id: int) -> list[tuple[str, str, str, str]]:
        """Who was left out and why, and which rows could not be read: (kind, person, name, what)."""
        return self.db.rows("SELECT kind, person, name, what FROM remarks WHERE task_id = ? ORDER BY id", (task_id,))

    def retry(self, task_id: int, now: float) -> bool:
        """Let a failed, crashed or missed task run (again); False if it is in no such state."""
        return self._move(task_id, ("failed", "crashed", "missed", "cancelled"), "due", "retry", now)

    def cancel(self, task_id: int, now: float) -> bool:
        """A task that has not run will not; False if it is in no such state."""
        return self._move(task_id, ("due", "failed", "crashed"), "cancelled", "cancel", now)

    def _move(self, task_id: int, before: tuple[str, ...], after: str, verb: str, now: float) -> bool:
        marks = ",".join("?" * len(before))
        with self.db.write() as conn:
            changed = conn.execute(
                f"UPDATE tasks SET state = ?, not_before = 0, tries = 0, notices = 0, ended_at = ? WHERE id = ? AND state IN ({marks})",
                (after, now if after == "cancelled" else None, task_id, *before),
            ).rowcount
            if changed:
                conn.execute("INSERT INTO operations(at, verb, target) VALUES (?, ?, ?)", (now, verb, f"T{task_id}"))
        return changed == 1

    def counter(self, profile: str, month: str) -> int:
        """Tasks of a month (``2026-11``), which starts again on day 1 (LX-33)."""
        return int(self.db.value("SELECT tasks FROM counters WHERE profile = ? AND month = ?", (profile, month)) or 0)

    def counters(self, profile: str) -> list[tuple[str, int]]:
        """All months of a profile, newest first."""
        return [
            (str(m), int(n)) for m, n in self.db.rows("SELECT month, tasks FROM counters WHERE profile = ? ORDER BY month DESC", (profile,))
        ]

    def due_notices(self) -> list[TaskRow]:
        """Tasks that ended badly and of which nobody has heard yet."""
        return [_task(row) for row in self.db.rows(_TASK + " WHERE t.state IN ('failed', 'crashed') AND t.notices = 0 ORDER BY t.id")]

    def noticed(self, task_id: int) -> None:
        """Its notice is in the queue."""
        self.db.conn.execute("UPDATE tasks SET notices = notices + 1 WHERE id = ?", (task_id,))

"""Deliberately broken engines: each takes one promise away, and the proof that guards it has to fail (the list is in tests/README.md)."""

from __future__ import annotations

import contextlib
import fcntl
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from libax_automate.engine import deliver, journal, lane, retry, timeline
from libax_automate.engine.outbox import Draft
from libax_automate.engine.paper import Finished, Paper
from libax_automate.engine.store import apps, database, documents, errors, queue, schema, tasks
from libax_automate.engine.store.rows import AppState, Claimed, End, Outcome

_Patch = Callable[[contextlib.ExitStack], None]
_MUTATIONS: dict[str, _Patch] = {}


def _mutation(name: str) -> Callable[[_Patch], _Patch]:
    def keep(patch: _Patch) -> _Patch:
        _MUTATIONS[name] = patch
        return patch

    return keep


def names() -> list[str]:
    """All of them."""
    return sorted(_MUTATIONS)


def apply(name: str) -> None:
    """Break this process for good (a life that is about to be killed)."""
    _MUTATIONS[name](contextlib.ExitStack())


@contextlib.contextmanager
def broken(name: str) -> Iterator[None]:
    """Break this process for the length of a block."""
    with contextlib.ExitStack() as stack:
        _MUTATIONS[name](stack)
        yield


def _set(stack: contextlib.ExitStack, target: Any, name: str, value: Any) -> None:
    stack.enter_context(mock.patch.object(target, name, value))


@_mutation("commit-after-the-call")
def _commit_after(stack: contextlib.ExitStack) -> None:
    """Claims are remembered in memory only; the attempt is written with its outcome."""
    claim, settle = queue.Queue.claim, queue.Queue.settle
    out: set[int] = set()

    def late_claim(self: queue.Queue, app_id: int, limit: int, *rest: Any, **options: Any) -> list[Claimed]:
        conn = self.db.conn
        conn.execute("SAVEPOINT unwritten")
        rows = [row for row in claim(self, app_id, limit + len(out), *rest, **options) if row.id not in out][:limit]
        conn.execute("ROLLBACK TO unwritten")
        conn.execute("RELEASE unwritten")
        out.update(row.id for row in rows)
        return rows

    def late_settle(self: queue.Queue, outcomes: Sequence[Outcome], now: float) -> None:
        for outcome in outcomes:
            row = outcome.row
            if row.id in out:
                out.discard(row.id)
                self.db.conn.execute("UPDATE messages SET state = 'sending', attempts = ? WHERE id = ?", (row.n, row.id))
                self.db.conn.execute(
                    "INSERT OR IGNORE INTO attempts(message_id, n, key, hash, started_at) VALUES (?, ?, ?, x'00', ?)",
                    (row.id, row.n, row.key, row.started_at),
                )
        settle(self, outcomes, now)

    _set(stack, queue.Queue, "claim", late_claim)
    _set(stack, queue.Queue, "settle", late_settle)


@_mutation("orphans-handed-back")
def _orphans_back(stack: contextlib.ExitStack) -> None:
    """What a dead process left in sending simply waits again."""

    def recover(self: deliver.Delivery) -> None:
        with self.store.write() as conn:
            conn.execute("UPDATE messages SET state = 'waiting' WHERE state = 'sending'")

    _set(stack, deliver.Delivery, "_recover", recover)


@_mutation("orphans-taken-for-sent")
def _orphans_sent(stack: contextlib.ExitStack) -> None:
    """What a dead process left in sending is taken for sent."""

    def recover(self: deliver.Delivery) -> None:
        with self.store.write() as conn:
            conn.execute("UPDATE messages SET state = 'sent' WHERE state = 'sending'")

    _set(stack, deliver.Delivery, "_recover", recover)


@_mutation("a-new-key-for-every-try")
def _new_key(stack: contextlib.ExitStack) -> None:
    """The idempotency key is made anew for each attempt."""
    _set(stack, queue, "message_key", lambda *_: str(uuid.uuid4()))


@_mutation("in-doubt-is-resent")
def _resent(stack: contextlib.ExitStack) -> None:
    """An unknown outcome is treated like a failure to connect."""
    decide = retry.decide

    def guess(error: BaseException, tries: int, **options: Any) -> retry.Decision:
        found = decide(error, tries, **options)
        return retry.Decision(End.THROTTLED, "transient") if found.end is End.IN_DOUBT else found

    _set(stack, retry, "decide", guess)


@_mutation("no-unique-key")
def _no_unique(stack: contextlib.ExitStack) -> None:
    """A database made without the key that keeps a person from hearing twice."""
    _set(stack, schema, "_FIRST", schema._FIRST.replace(",\n  UNIQUE (model_id, step, person, occasion)", ""))


@_mutation("no-unique-slot")
def _no_slot(stack: contextlib.ExitStack) -> None:
    """A database made without the key that gives a slot one task."""
    _set(stack, schema, "_FIRST", schema._FIRST.replace(",\n  UNIQUE (model_id, slot)", ""))
    head, _, rest = tasks._OPEN_SLOT.partition("ON CONFLICT")
    _set(stack, tasks, "_OPEN_SLOT", head + rest[rest.index("RETURNING") :])


@_mutation("no-lock")
def _no_lock(stack: contextlib.ExitStack) -> None:
    """Every run believes that it is alone."""
    _set(stack, fcntl, "flock", lambda *_: None)


@_mutation("no-patience-for-writers")
def _no_patience(stack: contextlib.ExitStack) -> None:
    """A writer gives up at once where another writes."""
    _set(stack, database, "_BUSY_MS", 0)


@_mutation("a-halted-app-goes-on")
def _goes_on(stack: contextlib.ExitStack) -> None:
    """Errors are written down and stop nobody."""
    _set(stack, lane.Lane, "close", lambda self: None)

    def running(self: apps.Apps, app_id: int, now: float) -> tuple[AppState, float]:
        return AppState.RUNNING, 0.0

    _set(stack, apps.Apps, "state", running)


@_mutation("retry-goes-to-the-tail")
def _tail(stack: contextlib.ExitStack) -> None:
    """What is tried again lines up behind everybody."""
    retry_ = errors.Errors.retry

    def tail(self: errors.Errors, error_id: int, now: float, *, message: int | None = None) -> Any:
        done = retry_(self, error_id, now, message=message)
        with self.db.write() as conn:
            conn.executemany("UPDATE messages SET not_before = 1 WHERE id = ?", [(i,) for i in done.messages])
        return done

    _set(stack, errors.Errors, "retry", tail)


@_mutation("verbs-do-not-compare")
def _no_compare(stack: contextlib.ExitStack) -> None:
    """A verb changes its messages whatever has become of them meanwhile."""
    held = errors.Errors._held
    seen: dict[int, list[int]] = {}

    def stale(self: errors.Errors, error_id: int, message: int | None) -> list[int]:
        found = held(self, error_id, message)
        return seen.setdefault(error_id, found)

    _set(stack, errors.Errors, "_held", stale)


@_mutation("no-fsync")
def _no_fsync(stack: contextlib.ExitStack) -> None:
    """The database trusts the operating system to write when it likes."""
    prepare = database.Database._prepare

    def hasty(self: database.Database) -> None:
        prepare(self)
        self.conn.execute("PRAGMA synchronous = OFF")

    _set(stack, database.Database, "_prepare", hasty)


@_mutation("no-journal")
def _no_journal(stack: contextlib.ExitStack) -> None:
    """What the database could not take is forgotten."""
    _set(stack, journal.Journal, "write", lambda self, outcomes: 0)


@_mutation("the-bookmark-moves-at-fetch")
def _bookmark(stack: contextlib.ExitStack) -> None:
    """A run moves its model's bookmark when it begins to read."""
    start = tasks.Tasks.start

    def early(self: tasks.Tasks, task_id: int, now: float) -> bool:
        with self.db.write() as conn:
            conn.execute("UPDATE models SET bookmark = ? WHERE id = (SELECT model_id FROM tasks WHERE id = ?)", (now, task_id))
        return start(self, task_id, now)

    _set(stack, tasks.Tasks, "start", early)


@_mutation("the-counter-counts-tries")
def _counter(stack: contextlib.ExitStack) -> None:
    """A task counts when it begins, and again when it is done."""
    start = tasks.Tasks.start

    def counted(self: tasks.Tasks, task_id: int, now: float) -> bool:
        with self.db.write() as conn:
            conn.execute(
                "INSERT INTO counters(profile, month, tasks) SELECT m.profile, strftime('%Y-%m', ?, 'unixepoch'), 1 FROM tasks t "
                "JOIN models m ON m.id = t.model_id WHERE t.id = ? ON CONFLICT(profile, month) DO UPDATE SET tasks = tasks + 1",
                (now, task_id),
            )
        return start(self, task_id, now)

    _set(stack, tasks.Tasks, "start", counted)


@_mutation("numbers-taken-when-printed")
def _taken_when_printed(stack: contextlib.ExitStack) -> None:
    """A document's number is taken for good when it is printed, before the transaction that keeps it."""
    looked, kept = documents.Documents.expected, documents.Documents.record
    using: list[int] = []

    def taken(self: documents.Documents, paper: Paper) -> int:
        if using:
            return using[-1]
        n = looked(self, paper)
        with self.db.write() as conn:
            conn.execute("INSERT OR REPLACE INTO series(profile, name, last) VALUES (?, ?, ?)", (paper.profile, paper.series, n))
        return n

    def recorded(
        self: documents.Documents, draft: Draft, *, model_id: int, now: float, ahead: tuple[int, Finished] | None = None
    ) -> int | None:
        using[:] = [ahead[0]] if ahead else []
        try:
            return kept(self, draft, model_id=model_id, now=now, ahead=ahead)
        finally:
            using.clear()

    _set(stack, documents.Documents, "expected", taken)
    _set(stack, documents.Documents, "record", recorded)


@_mutation("a-clock-that-stood-ahead-is-believed")
def _ahead(stack: contextlib.ExitStack) -> None:
    """What passes of the future have closed stays closed."""
    _set(stack, timeline, "look", lambda space: None)


@_mutation("a-clock-that-stands-behind-is-believed")
def _behind(stack: contextlib.ExitStack) -> None:
    """Every earlier reading is taken for the right one."""

    def anywhere(self: timeline.Timeline, now: float) -> tuple[float, float] | None:
        if self.top is None or now >= self.top:
            return None
        self.leaps = [(now, self.top)]
        return self.leaps[0]

    _set(stack, timeline.Timeline, "leap_around", anywhere)

"""A database with a few apps and messages in it, made through the store's own verbs: for tests of the store by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from libax_automate.engine.outbox import Draft
from libax_automate.engine.store import Store
from libax_automate.engine.store.rows import Claimed, End, Outcome
from libax_automate.message import Channel

#: an instant in December 2026
NOW = 1_798_106_400.0
HOUR, DAY = 3600.0, 86_400.0


class Ledger:
    """Apps ``a`` and ``b`` of profile ``p`` share a credential, ``c`` has its own; ``q/a`` is a stranger's."""

    def __init__(self, store: Store) -> None:
        self.store = store
        register = store.apps.register
        self.a, self.b = register("p", "a", "http", "key-1"), register("p", "b", "http", "key-1")
        self.c, self.other = register("p", "c", "http", "key-2"), register("q", "a", "http", "key-3")
        self.model = self.seen("m")

    def seen(self, name: str, *, profile: str = "p", system: bool = False) -> int:
        """A model that has been seen, its slots from :data:`NOW` on."""
        return self.store.tasks.see_model(profile, name, now=NOW, slots_from=NOW, fingerprint="f", system=system).id

    def task(self, slot: str = "s1", *, model: int | None = None, at: float = NOW, **options: Any) -> int:
        """A task that is due."""
        with self.store.write():
            made = self.store.tasks.open_slot(
                model or self.model,
                slot=slot,
                slot_at=at,
                first_day="2026-12-24",
                last_day="2026-12-24",
                now=options.pop("now", NOW),
                **options,
            )
        assert made is not None
        return made

    def put(
        self, count: int = 1, *, app: str = "a", task: int | None = None, model: int | None = None, prefix: str = "x", now: float = NOW, **fields: Any
    ) -> list[int]:  # fmt: skip
        """Messages that wait; returns their ids."""
        drafts = [
            Draft(**({
                "model": "m", "person": f"{prefix}{number}", "occasion": "o", "app": app, "channel": Channel.SMS, "to": f"+35191000000{number}",
                "payload": {"text": "Olá"},
            } | fields))
            for number in range(count)
        ]  # fmt: skip
        ids = {"a": self.a, "b": self.b, "c": self.c}
        with self.store.write():
            self.store.queue.enqueue(drafts, model_id=model or self.model, task_id=task, apps=ids, now=now)
        rows = self.store.db.rows("SELECT id FROM messages ORDER BY id DESC LIMIT ?", (count,))
        return sorted(int(row[0]) for row in rows)

    def claim(self, limit: int = 100, *, app: int | None = None, now: float = NOW, **options: Any) -> list[Claimed]:
        """Take messages for sending."""
        with self.store.write():
            return self.store.queue.claim(app or self.a, limit, now, **options)

    def settle(self, *outcomes: Outcome, now: float = NOW) -> None:
        """T2."""
        with self.store.write():
            self.store.queue.settle(outcomes, now)

    def fail(
        self, row: Claimed, *, cls: str = "content", end: End = End.FAILED, shared: bool = False, now: float = NOW, cause: str = "why"
    ) -> int:
        """An outcome that opens an error (or finds it open) and holds its message; returns the error's id."""
        outcome = Outcome(row, end, cls=cls, cause=cause, cause_key="" if shared else f"M{row.id}", hint="do this", trace="trace")
        with self.store.write():
            profile, _, credential = self.store.apps.row(row.app_id)
            error, _ = self.store.errors.open(outcome, profile=profile, credential_id=credential if shared else None, now=now)
            self.store.queue.settle([outcome], now)
            self.store.queue.hold(outcome, error)
        return error

    def state(self, *ids: int) -> list[str]:
        """The states of messages."""
        return [str(self.store.db.value("SELECT state FROM messages WHERE id = ?", (id_,))) for id_ in ids]

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """A row of whatever."""
        return self.store.db.row(sql, values)

    def counts(self, task: int) -> tuple[int, int]:
        """(sent, failed) of a task."""
        found = self.row("SELECT sent, failed FROM tasks WHERE id = ?", task)
        assert found is not None
        return found[0], found[1]

    def operations(self) -> Sequence[tuple[Any, ...]]:
        """What people did: (instant, verb, target, detail)."""
        return self.store.db.rows("SELECT at, verb, target, detail FROM operations ORDER BY id")


@contextmanager
def ledger(path: Path) -> Iterator[Ledger]:
    """A fresh one."""
    with Store(path / "automate.db") as store:
        yield Ledger(store)

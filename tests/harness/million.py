"""A database in which very many messages wait, and a process that works on it; what each step takes, as one line of JSON.

``python -m tests.harness.million build PATH COUNT APPS`` fills it, ``… work PATH BEGAN`` does what a service and its admins do.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from libax_automate.engine.outbox import Draft
from libax_automate.engine.store import Store
from libax_automate.engine.store.rows import End, Outcome
from libax_automate.message import Channel

NOW = datetime(2026, 12, 24, 10, tzinfo=UTC).timestamp()
ROUNDS = 1000


def timed(work: Callable[[], Any]) -> float:
    """How long it takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(values: list[float], share: float = 0.99) -> float:
    """The value that ``share`` of them do not exceed."""
    return sorted(values)[int(len(values) * share)]


def peak() -> float:
    """The most memory this process has held, in MB."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")) / 1e3


def drafts(names: list[str], count: int) -> Iterator[Draft]:
    """Texts to invented numbers, spread over the apps."""
    for number in range(count):
        yield Draft(
            model="m", app=names[number % len(names)], step="", person=str(number), occasion="2026-12-24", channel=Channel.SMS,
            to=f"+35191{number:07}", name=f"Pessoa {number}", payload={"text": f"Olá Pessoa {number}, parabéns pelos seus anos!"},
        )  # fmt: skip


def build(path: Path, count: int, apps: int) -> dict[str, float]:
    """Fill a new database."""
    with Store(path) as store:
        ids = {f"a{number}": store.apps.register("p", f"a{number}", "http", f"k{number}") for number in range(apps)}
        with store.write():
            model = store.tasks.see_model("p", "m", now=NOW, slots_from=NOW, fingerprint="").id
        with store.write():
            store.queue.enqueue(drafts([*ids], count), model_id=model, task_id=None, apps=ids, now=NOW)
    return {"memory": peak(), "size": path.stat().st_size / 1e6}


def bare(folder: Path) -> float:
    """The 99th percentile of two durable commits of one row in a small file of the same folder: what the disk takes by itself."""
    with Store(folder / "bare.db") as store:

        def twice() -> None:
            for value in ("a", "b"):
                with store.write():
                    store.db.set("bare", value)

        return percentile([timed(twice) for _ in range(ROUNDS // 2)])


def work(path: Path, began: float) -> dict[str, float]:
    """What a service and its admins do with it, after a start at ``began`` (seconds since the epoch)."""
    with Store(path) as store:
        apps = [row.id for row in store.apps.rows(NOW)]
        assert store.queue.orphans() == []
        rounds: list[float] = []

        def one(app: int) -> None:
            with store.write():
                rows = store.queue.claim(app, 1, NOW)
            with store.write():
                store.queue.settle([Outcome(row, End.SENT, provider_id="x") for row in rows], NOW)

        one(apps[0])
        start = time.time() - began
        for turn in range(ROUNDS):
            app = apps[turn % len(apps)]
            rounds.append(timed(lambda app=app: one(app)))  # type: ignore[misc]
        counts = percentile([timed(lambda: store.apps.rows(NOW)) for _ in range(20)], 0.5)
        most = max(store.apps.rows(NOW), key=lambda row: row.waiting)
        clear = timed(lambda: store.ledger.clear(most.id, NOW))
        left = next(row.waiting for row in store.apps.rows(NOW) if row.id == most.id)
        assert left == 0
        problems = store.db.problems()
    return {
        "start": start, "p99": percentile(rounds), "bare": bare(path.parent), "counts": counts, "clear": clear, "cleared": most.waiting,
        "memory": peak(), "problems": len(problems),
    }  # fmt: skip


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    answer = build(Path(where), int(rest[0]), int(rest[1])) if what == "build" else work(Path(where), float(rest[0]))
    print(json.dumps(answer), flush=True)

"""From a file of customers to messages in the queue."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import people
from benchmarks.over_http import FAST, client, poster
from benchmarks.peer import huey_drain
from benchmarks.rig import HTTP, Line, Rig, reopen, timed
from benchmarks.sink import sink
from libax_automate.engine.outbox import Draft
from libax_automate.engine.workspace import Workspace
from libax_automate.message import Channel

_NOW = "2026-12-24T10:00:00+00:00"
_FOLDER = 'connector = "folder"\npath = "out"'


def child(work: str, folder: Path) -> dict[str, Any]:
    """Seconds, count and peak memory (MB) of a piece of work in its own process."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.child", work, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def birthdays(rig: Rig) -> Iterator[Line]:
    """Today's birthdays out of 1,000,000 rows, planned and rendered."""
    few, count = rig.count(10_000), rig.count(1_000_000)
    memory: dict[str, list[float]] = {}

    def run(work: str, folder: Path) -> float:
        found = child(work, folder)
        memory.setdefault(f"{work} {folder}", []).append(found["memory"])
        return float(found["seconds"])

    with rig.place() as folder, rig.place() as small:
        people.business(folder, count, app=_FOLDER)
        people.business(small, few, app=_FOLDER)
        mine, loop, quick, _ = rig.pair(
            lambda: run("plan", folder), lambda: run("dict_reader", folder), lambda: run("polars", folder), lambda: run("plan", small)
        )
        most, least, polars = max(memory[f"plan {folder}"]), max(memory[f"plan {small}"]), max(memory[f"polars {folder}"])
    what = f"plan today's birthdays out of {count:,} CSV rows"
    yield Line(
        what,
        f"{mine:.2f} s",
        f"csv.DictReader loop {loop:.2f} s",
        mine / loop,
        0.6,
        most=True,
        note=f"polars {quick:.2f} s, {polars:.0f} MB",
    )
    yield Line("its peak memory, in MB", f"{most:.0f}", "", most, 60, most=True, note=f"{least:.0f} MB at {few:,} rows")


def guarded(rig: Rig) -> Iterator[Line]:
    """``automate plan`` of 1,000,000 contacts, all of them written to: with cap, tact and suppression, beside without."""
    count = rig.count(1_000_000)
    memory: list[float] = []

    def run(work: str, folder: Path) -> float:
        found = child(work, folder)
        memory.append(found["memory"])
        return float(found["seconds"])

    with rig.place() as folder:
        text = people.PROFILE.format(app=_FOLDER) + people.NOTICE
        people.business(folder, count, app=_FOLDER)
        people.profile(folder / "plain.toml", text)
        people.profile(folder / "guarded.toml", text.replace("[defaults]\n", f"[defaults]\n{people.CAP}") + people.GUARDS)
        with reopen(folder, now=_NOW) as space:
            _past(space, count)
        with_them, without = rig.pair(lambda: run("guarded", folder), lambda: run("listing", folder))
    what = f"automate plan --json, {count:,} contacts, with cap, tact and suppression"
    yield Line(what, f"{with_them:.1f} s", f"without {without:.1f} s", with_them / without, 3, most=True)
    yield Line("its peak memory, in MB", f"{max(memory):.0f}", "", max(memory), 150, most=True)


def _past(space: Workspace, count: int) -> None:
    """A quarter has just heard from another model, some of them twice; one in a hundred is on the suppression list."""
    store, now = space.store, space.now()
    with store.write():
        model = store.tasks.see_model("bench", "birthday", now=now, slots_from=now, fingerprint="").id
        app = store.apps.register("bench", "sms", "folder", "")
        for turn, share in (("one", 4), ("two", 8)):
            words = (
                Draft(model="birthday", person=str(n), occasion=turn, app="sms", channel=Channel.SMS, to=f"+35191{n % 10_000_000:07d}")
                for n in range(1, count + 1, share)
            )
            store.queue.enqueue(words, model_id=model, task_id=None, apps={"sms": app}, now=now)
        for number in range(0, count, 100):
            store.ledger.suppress("bench", "sms", f"+35191{number % 10_000_000:07d}", "asked us to stop", now)


def planned(rig: Rig) -> Iterator[Line]:
    """100,000 messages planned, rendered and enqueued by a run."""
    from libax_automate.engine.run import run_due

    count = rig.count(100_000)

    def ours() -> float:
        with rig.place() as folder:
            people.business(folder, count, due=count, app='connector = "nothing"')
            with reopen(folder, now=_NOW) as space:
                space.store  # noqa: B018 - the file is made before the clock starts
                seconds = timed(lambda: run_due(space, only=None, stop=threading.Event()))
                assert space.store.ledger.waiting() == count
                return count / seconds

    def rendering() -> float:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        template = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(
            "Olá {{ first_name }}, feliz aniversário ao completar {{ age }} anos. A padaria tem um bolo à sua espera."
        )
        people_ = [{"first_name": "Pessoa", "name": f"Pessoa {number}", "age": 46, "mobile": "+351910000000"} for number in range(count)]
        return count / timed(lambda: [template.render(person) for person in people_])

    mine, plain = rig.pair(ours, rendering)
    what = f"plan, render and enqueue {count:,} messages"
    yield Line(what, f"{mine:,.0f}/s", f"sandboxed Jinja2 rendering alone {plain:,.0f}/s", mine / plain, 0.35)


def whole(rig: Rig) -> Iterator[Line]:
    """End to end: 100,000 due of 1,000,000, to the sink."""
    from libax_automate.engine.run import run_pass

    count, due = rig.count(1_000_000), rig.count(100_000)
    with rig.place() as data, sink() as there:
        app = HTTP.format(url=there.url) + "concurrency = 8\nwindow = 64"
        people.business(data, count, due=due, app=app)

        def ours() -> float:
            for leftover in data.glob("automate.db*"):
                leftover.unlink()
            with client(FAST), reopen(data, now=_NOW) as space:
                seconds = timed(lambda: run_pass(space))
                assert space.store.ledger.waiting() == 0
                return seconds

        def peer() -> float:
            # a fifth of the due ones, times five: it takes long
            part = due // 5
            with (
                rig.place() as folder,
                poster(FAST, there.url) as post,
                (data / "customers.csv").open(encoding="utf-8", newline="") as file,
            ):
                reading = timed(lambda: sum(row["Nascimento"].startswith("24/12/") for row in csv.DictReader(file, delimiter=";")))
                return reading + 5 * (timed(lambda: huey_drain(folder, part, post, 8)))

        mine, huey = rig.pair(ours, peer)
    yield Line(f"end to end: {due:,} due of {count:,}, to the sink", f"{mine:.1f} s", f"huey, the same calls {huey:.1f} s", huey / mine, 5)

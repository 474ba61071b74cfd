"""R5: many processes on one database at once: a slot runs once, nobody is told that the database is locked, one run at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from libax_automate.engine.lock import RunLock
from libax_automate.errors import LockHeld
from tests.figures import Figure
from tests.harness.runner import ROOT
from tests.harness.sink import Sink
from tests.harness.world import World, later

SLOTS, SCHEDULERS, WRITERS = 500, 4, 20
#: how long the crowd is at it, in seconds
SECONDS = float(os.environ.get("R5_SECONDS", "6"))

MINUTES = """
[models.minuto]
use = "birthday"
source = "gestao"
cron = "* * * * *"
late = "all"
channel = "sms"
text = "Olá"
"""


def _crowd(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One process for each order (see ``tests.harness.crowd``), all at once; what each has to say."""
    processes = [
        subprocess.Popen([sys.executable, "-m", "tests.harness.crowd"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        for _ in orders
    ]
    for process, order in zip(processes, orders, strict=True):
        assert process.stdin is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.close()
        process.stdin = None
    answers = []
    for process in processes:
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0
        answers.append(json.loads(out.splitlines()[-1]))
    return answers


def _schedule(tmp_path: Path, fault: str = "") -> tuple[int, int, int]:
    """Four schedulers over the same 500 minutes, without a lock between them; tasks made, slots that have one, told of trouble."""
    world = World(tmp_path, count=0, more=MINUTES)
    world.change("[models.parabens]", "[models.parabens]\nenabled = false")
    order = {
        "do": "schedule",
        "profile": str(world.profile),
        "db": str(world.db),
        "at": "2026-12-24T00:00:00+00:00",
        "slots": SLOTS,
        "break": fault,
    }
    with world.space("2026-12-24T00:00:00+00:00") as space:
        if fault:
            from tests.harness import mutations

            with mutations.broken(fault):
                space.store.db.value("SELECT 1")
        space.store.db.value("SELECT 1")
    answers = _crowd([{**order, "seed": seed} for seed in range(SCHEDULERS)])
    made = sum(answer["made"] for answer in answers)
    return made, int(world.value("SELECT count(DISTINCT slot) FROM tasks")), sum(answer["trouble"] for answer in answers)


def test_r5_four_schedulers_open_each_slot_once(tmp_path: Path, figure: Figure) -> None:
    made, slots, trouble = _schedule(tmp_path)
    figure(f"R5: {SCHEDULERS} schedulers over {SLOTS} slots: {made} tasks for {slots} slots, {trouble} errors")
    assert (made, slots, trouble) == (SLOTS, SLOTS, 0)


def test_without_the_unique_slot_that_proof_fails(tmp_path: Path) -> None:
    made, slots, _ = _schedule(tmp_path, "no-unique-slot")
    assert made > slots


def _writers(tmp_path: Path, sink: Sink, fault: str = "") -> tuple[World, list[dict[str, Any]], dict[str, int]]:
    world = World(tmp_path, sink.url, count=2000)
    world.run(later(hours=-1))
    base = {"profile": str(world.profile), "db": str(world.db), "at": later(), "seconds": SECONDS, "break": fault}
    orders = [{**base, "do": "run"}, {**base, "do": "run"}, {**base, "do": "loop"}]
    orders += [{**base, "do": "write", "seed": seed} for seed in range(WRITERS)]
    answers = _crowd(orders)
    codes: dict[str, int] = {}
    for answer in answers:
        for code, count in answer["codes"].items():
            codes[code] = codes.get(code, 0) + count
    return world, answers, codes


@pytest.mark.timeout(300)
def test_r5_runs_a_service_and_twenty_writers_at_once(tmp_path: Path, figure: Figure) -> None:
    with Sink() as sink:
        world, answers, codes = _writers(tmp_path, sink)
        with world.store() as store:
            for app in store.apps.rows(0.0):
                store.apps.resume(app.id)
        world.finish(later(minutes=10))
        locked = sum(answer["locked"] for answer in answers)
        doubled = sum(count - 1 for count in sink.delivered.values())
    writes = sum(sum(answer["codes"].values()) for answer in answers[3:])
    held = sum(answer["codes"].get("11", 0) for answer in answers[:2])
    figure(
        f"R5: 2 runs, 1 service and {WRITERS} writers for {SECONDS:.0f} s: {writes} commands, {held} runs told of the lock, "
        f"'database is locked' reached nobody ({locked}), exit codes {codes}, doubled {doubled}"
    )
    assert locked == 0
    assert doubled == 0
    assert set(codes) <= {"0", "3", "11"}, codes
    assert writes >= WRITERS
    assert world.sound()


@pytest.mark.soak
def test_without_patience_between_writers_that_proof_fails(tmp_path: Path) -> None:
    with Sink() as sink:
        _, answers, codes = _writers(tmp_path, sink, "no-patience-for-writers")
    assert sum(answer["locked"] for answer in answers) > 0 or "75" in codes


def test_r5_a_second_run_is_turned_away_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, count=1)
    with world.space() as space:
        space.store.db.value("SELECT 1")
        first, second = RunLock(world.db), RunLock(world.db)
        first.acquire(space.clock.now())
        began = time.monotonic()
        with pytest.raises(LockHeld) as told:
            second.acquire(space.clock.now())
        assert time.monotonic() - began < 1
        assert told.value.exit_code == 11
        first.release()
        second.acquire(space.clock.now())
        second.release()


def test_without_the_lock_two_runs_would_believe_that_they_are_alone(tmp_path: Path) -> None:
    from tests.harness import mutations

    world = World(tmp_path, count=1)
    with mutations.broken("no-lock"), world.space() as space:
        space.store.db.value("SELECT 1")
        for lock in (RunLock(world.db), RunLock(world.db)):
            lock.acquire(space.clock.now())
            lock.release()

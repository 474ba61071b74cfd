"""R12: the power fails. Whatever the disk then holds of the writes that had not been flushed, nothing that was acknowledged is gone."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from libax_automate.engine.store import Store
from tests.figures import Figure
from tests.harness import power
from tests.harness.runner import Nursery
from tests.harness.sink import Sink
from tests.harness.world import BIRTHDAY, World

MESSAGES = 25
#: moments at which the power fails, and disks that each may leave behind
CUTS, DISKS = int(os.environ.get("R12_CUTS", "80")), (0.0, 1.0, 0.5)

_ID = re.compile(rb'"id": ?"M(\d+)"')


def _states(db: Path) -> dict[int, str]:
    with Store(db) as store:
        assert store.db.problems() == []
        return {row.id: str(row.state) for row in store.ledger.listed(limit=10_000) if not row.system}


def _prepared(folder: Path, sink: Sink, count: int, sms: str) -> World:
    """Messages that wait for an app that was paused."""
    world = World(folder, sink.url, count=count, sms=sms)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        store.apps.pause(app, 0.0)
        world.run()
        store.apps.resume(app)
    return world


def _cut(tmp_path: Path, *, fault: str = "") -> tuple[int, int, list[str]]:
    """Cut the power of a drain at many moments; how many moments, disks, and what was wrong with which."""
    with Sink() as sink:
        # one at a time, so that the call of a message says that everything before it was acknowledged
        world = _prepared(tmp_path, sink, MESSAGES, "concurrency = 1\nwindow = 1")
        disk = power.Disk({path.name: bytearray(path.read_bytes()) for path in world.db.parent.glob("automate.db*")})
        order: dict[str, Any] = {"profile": str(world.profile), "db": str(world.db), "at": BIRTHDAY, "break": fault}
        events = power.record(order, tmp_path / "trace", {"AUTOMATE_HTTP": "httpx"})
        assert len(sink.delivered) == MESSAGES
    rng = random.Random(12)
    moments = set(rng.sample(range(len(events)), min(CUTS, len(events))))
    called: list[int] = []
    disks, wrong = 0, []
    for moment, event in enumerate(events):
        disk.take(event)
        if event.kind == "call" and (found := _ID.search(event.data)):
            called.append(int(found[1]))
        if moment not in moments:
            continue
        for keep in DISKS:
            disks += 1
            folder = tmp_path / f"cut-{moment}-{keep}"
            disk.after_a_cut(rng, folder, keep=keep)
            if problem := _examine(folder / "automate.db", called):
                wrong.append(f"after call {moment}, {keep:.0%} of what was not flushed: {problem}")
            shutil.rmtree(folder)
    assert called == list(range(1, MESSAGES + 1)), "the trace shows every call"
    return len(moments), disks, wrong


def _examine(db: Path, called: list[int]) -> str:
    """What is wrong with a database that was found after a power cut; "" if nothing is."""
    try:
        states = _states(db)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if len(states) != MESSAGES:
        return f"{len(states)} messages"
    if forgotten := [i for i in called if states[i] == "waiting"]:
        return f"left and forgotten: {forgotten}"
    if lost := [i for i in called[:-1] if states[i] != "sent"]:
        return f"acknowledged and lost: {lost}"
    return ""


@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(power.usable()), reason=power.usable() or "-")
def test_r12_after_a_power_cut_nothing_acknowledged_is_gone(tmp_path: Path, figure: Figure) -> None:
    moments, disks, wrong = _cut(tmp_path)
    figure(f"R12: power cut at {moments} moments of a drain, {disks} disks examined: {len(wrong)} damaged, forgetful or short of an answer")
    assert wrong == []


@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(power.usable()), reason=power.usable() or "-")
def test_without_flushes_that_proof_fails(tmp_path: Path) -> None:
    _, _, wrong = _cut(tmp_path, fault="no-fsync")
    assert wrong


def _stopped(pid: int) -> bool:
    states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]
    # stopped, stopped by a tracer, or dead already
    return all(state in "TtZX" for state in states)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_r12_copies_taken_at_random_instants_open_and_hold_what_was_committed(tmp_path: Path, figure: Figure) -> None:
    """The proxy that needs no strace: the process is frozen, its files are copied, it goes on."""
    rng, copies = random.Random(1), 0
    with Sink(delay=0.001) as sink, Nursery(tmp_path / "lives.log") as nursery:
        world = _prepared(tmp_path, sink, 2000, "concurrency = 4")
        started = sink.after(1)
        pid = nursery.start(world.profile, world.db, BIRTHDAY)
        assert started.wait(30)
        while not nursery.ended() and copies < 40:
            time.sleep(rng.uniform(0.0, 0.01))
            with world.store() as store:
                before = {row[0] for row in store.db.rows("SELECT id FROM messages WHERE state = 'sent'")}
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                break
            try:
                while not _stopped(pid):
                    time.sleep(0.001)
                arrived = {int(name[1:]) for name in sink.delivered}
                folder = tmp_path / f"copy-{copies}"
                folder.mkdir()
                for path in world.db.parent.glob("automate.db*"):
                    shutil.copy(path, folder / path.name)
                # it stays frozen while its copy is looked at: on a busy machine it would be done before there are many
                states = _states(folder / "automate.db")
            finally:
                os.kill(pid, signal.SIGCONT)
            assert {i for i in before if states[i] != "sent"} == set()
            assert {i for i in arrived if states[i] == "waiting"} == set(), "what left has its attempt"
            shutil.rmtree(folder)
            copies += 1
        nursery.wait()
        assert set(sink.delivered.values()) == {1}
    figure(f"R12: {copies} copies of a database in the middle of a drain: all sound, none short of what was committed")
    assert copies >= 5

"""R3: SIGKILL at each of the first 2,000 system calls of a drain of fifty; with keys and without, nothing is lost and nothing doubles."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.figures import Figure
from tests.harness import power
from tests.harness.runner import Nursery
from tests.harness.sink import Sink
from tests.harness.world import BIRTHDAY, World, later

CALLS = int(os.environ.get("R3_CALLS", "2000"))
#: 1 = each of them
STEP = int(os.environ.get("R3_STEP", "1"))
MESSAGES = 50


def _attach(pid: int, call: int) -> subprocess.Popen[str]:
    """strace on a process that has stopped itself: it will die at its ``call``-th system call from now (of any thread)."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.001)
    strace = subprocess.Popen(
        ["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", "trace=all", "-e", f"inject=all:signal=SIGKILL:when={call}"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert strace.stderr is not None
    assert "attached" in strace.stderr.readline()
    os.kill(pid, signal.SIGCONT)
    return strace


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.skipif(bool(power.usable()), reason=power.usable() or "-")
@pytest.mark.parametrize("keyed", [True, False], ids=["with keys", "without keys"])
def test_r3_killed_at_each_system_call(tmp_path: Path, keyed: bool, figure: Figure) -> None:
    app = "concurrency = 2\nwindow = 2\n" + ('idempotency_header = "Idempotency-Key"' if keyed else "")
    killed = lost = doubled = doubt = tried = survived = 0
    with Sink(keyed=keyed) as sink, Nursery(tmp_path / "lives.log", AUTOMATE_HTTP="httpx") as nursery:
        base = World(tmp_path / "base", sink.url, count=MESSAGES, sms=app)
        base.run("2026-12-24T09:00:00+00:00")
        with base.store() as store:
            found = store.apps.find("padaria", "sms")
            assert found is not None
            store.apps.pause(found, 0.0)
            base.run()
            store.apps.resume(found)
        for call in range(1, CALLS + 1, STEP):
            tried += 1
            sink.delivered = Counter()
            sink.forget_keys()
            folder = tmp_path / f"at-{call}"
            shutil.copytree(base.folder, folder)
            world = World.__new__(World)
            world.__dict__.update(base.__dict__, folder=folder, profile=folder / "profiles.toml", db=folder / "state" / "automate.db")
            strace = _attach(nursery.start(world.profile, world.db, BIRTHDAY, hold=True), call)
            dead = nursery.wait() == -signal.SIGKILL
            killed, survived = killed + dead, 0 if dead else survived + 1
            strace.wait(20)
            assert strace.stderr is not None
            strace.stderr.close()
            doubt += _finish(world, sink)
            lost += MESSAGES - len(+sink.delivered)
            doubled += sum(count - 1 for count in sink.delivered.values() if count)
            assert world.sound()
            shutil.rmtree(folder)
            if survived == 3:
                break  # no thread of the drain makes so many calls
    figure(
        f"R3 {'with' if keyed else 'without'} keys: {killed} kills at {tried} of the first {CALLS} system calls: "
        f"lost {lost}, doubled {doubled}, in doubt {doubt}"
    )
    assert (lost, doubled) == (0, 0)
    assert killed >= tried - 3


def _finish(world: World, sink: Sink) -> int:
    """Run to the end; a person asks the provider about what is in doubt. Answers how many were."""
    doubt = 0
    for minute in range(1, 20):
        if not world.run(later(minutes=minute)).waiting and not world.errors():
            return doubt
        with world.store() as store:
            for error in store.errors.listed():
                for message in error.messages:
                    doubt += 1
                    arrived = sink.delivered[f"M{message}"] > 0
                    (store.errors.sent if arrived else store.errors.retry)(error.id, 0.0, message=message)
    raise AssertionError(f"never ends: {world.states()}")

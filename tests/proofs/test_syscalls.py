"""R3: SIGKILL at each of the first 2,000 system calls of a drain of fifty; with keys and without, nothing is lost and nothing doubles.

``R3_FIRST``, ``R3_CALLS`` (the last) and ``R3_STEP`` choose the calls. With ``R3_LOG=FILE`` each kill is written down as one line of JSON,
and a call that stands in the file already is not tried again, so that a run of hours can be interrupted and taken up.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.figures import Figure
from tests.harness import killer, mutations
from tests.harness.killer import Killer
from tests.harness.runner import Nursery
from tests.harness.sink import Sink
from tests.harness.world import BIRTHDAY, World, later

FIRST = int(os.environ.get("R3_FIRST", "1"))
CALLS = int(os.environ.get("R3_CALLS", "2000"))
#: 1 = each of them
STEP = int(os.environ.get("R3_STEP", "1"))
MESSAGES, WINDOW = 50, 2


@dataclass(frozen=True, slots=True)
class Kill:
    """What came of a kill at the beginning of one system call: how many deliveries there had been, and how it all ended."""

    keyed: bool
    call: int
    dead: bool
    reached: int
    lost: int
    doubled: int
    doubt: int
    sound: bool


def _before(log: Path | None, keyed: bool) -> dict[int, Kill]:
    if log is None or not log.exists():
        return {}
    kills = [Kill(**json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    return {kill.call: kill for kill in kills if kill.keyed is keyed}


def _kills(folder: Path, keyed: bool, calls: range, log: Path | None = None) -> Iterator[Kill]:
    """A drain for each of ``calls``, killed as that call begins, and what became of its messages."""
    done = _before(log, keyed)
    app = f"concurrency = 2\nwindow = {WINDOW}\n" + ('idempotency_header = "Idempotency-Key"' if keyed else "")
    with Sink(keyed=keyed) as sink, Nursery(folder / "lives.log", AUTOMATE_HTTP="httpx") as nursery:
        base = World(folder / "base", sink.url, count=MESSAGES, sms=app)
        base.run("2026-12-24T09:00:00+00:00")
        with base.store() as store:
            found = store.apps.find("padaria", "sms")
            assert found is not None
            store.apps.pause(found, 0.0)
            base.run()
            store.apps.resume(found)
        for call in calls:
            if call not in done:
                done[call] = kill = _kill(base, folder / f"at-{call}", sink, nursery, call)
                if log is not None:
                    with log.open("a", encoding="utf-8") as lines:
                        lines.write(json.dumps(asdict(kill)) + "\n")
            yield done[call]


def _kill(base: World, folder: Path, sink: Sink, nursery: Nursery, call: int) -> Kill:
    sink.delivered = Counter()
    sink.forget_keys()
    shutil.copytree(base.folder, folder)
    world = World.__new__(World)
    world.__dict__.update(base.__dict__, folder=folder, profile=folder / "profiles.toml", db=folder / "state" / "automate.db")
    tracer = Killer(nursery.start(world.profile, world.db, BIRTHDAY, hold=True), call)
    dead = tracer.wait()
    assert (nursery.wait() == -signal.SIGKILL) is dead
    reached = len(sink.delivered)
    doubt = _finish(world, sink)
    lost = MESSAGES - len(+sink.delivered)
    doubled = sum(count - 1 for count in sink.delivered.values() if count)
    sound = world.sound()
    if (lost, doubled, sound) == (0, 0, True):
        shutil.rmtree(folder)  # what went wrong stays, to be looked at
    return Kill(sink.keyed, call, dead, reached, lost, doubled, doubt, sound)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.skipif(bool(killer.usable()), reason=killer.usable() or "-")
@pytest.mark.parametrize("keyed", [True, False], ids=["with keys", "without keys"])
def test_r3_killed_at_each_system_call(tmp_path: Path, keyed: bool, figure: Figure) -> None:
    calls = range(FIRST, CALLS + 1, STEP)
    log = Path(os.environ["R3_LOG"]) if "R3_LOG" in os.environ else None
    kills = list(_kills(tmp_path, keyed, calls, log))
    figure(
        f"R3 {'with' if keyed else 'without'} keys: {sum(kill.dead for kill in kills)} kills at {len(calls)} of the first {CALLS} system calls, "
        f"the last after {max(kill.reached for kill in kills)} deliveries of {MESSAGES}: lost {sum(kill.lost for kill in kills)}, "
        f"doubled {sum(kill.doubled for kill in kills)}, in doubt {sum(kill.doubt for kill in kills)}"
    )
    assert [kill for kill in kills if (kill.lost, kill.doubled, kill.sound) != (0, 0, True)] == []
    assert [kill for kill in kills if not kill.dead] == []
    assert [kill for kill in kills if kill.doubt > (0 if keyed else WINDOW)] == []


@pytest.mark.skipif(bool(killer.usable()), reason=killer.usable() or "-")
@pytest.mark.parametrize("keyed", [True, False], ids=["with keys", "without keys"])
def test_r3_killed_at_some_system_calls(tmp_path: Path, keyed: bool, figure: Figure) -> None:
    """Some of them, in the run of every day."""
    kills = list(_kills(tmp_path, keyed, range(150, 2001, 200)))
    figure(
        f"R3 {'with' if keyed else 'without'} keys: {sum(kill.dead for kill in kills)} kills at {len(kills)} of the first 2000 system calls: "
        f"lost {sum(kill.lost for kill in kills)}, doubled {sum(kill.doubled for kill in kills)}, in doubt {sum(kill.doubt for kill in kills)}"
    )
    assert all((kill.dead, kill.lost, kill.doubled, kill.sound) == (True, 0, 0, True) for kill in kills)
    assert all(kill.doubt <= (0 if keyed else WINDOW) for kill in kills)


@pytest.mark.skipif(bool(killer.usable()), reason=killer.usable() or "-")
def test_an_orphan_that_is_handed_back_makes_that_proof_fail(tmp_path: Path) -> None:
    with mutations.broken("orphans-handed-back"):
        kills = list(_kills(tmp_path, False, range(1250, 2001, 100)))
    assert sum(kill.doubled for kill in kills) > 0


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

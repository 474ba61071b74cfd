"""R1 and R2: a drain of ten thousand messages, killed again and again; nothing is lost, nothing doubles, what cannot be known is listed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.figures import Figure
from tests.harness.runner import Nursery
from tests.harness.sink import Sink
from tests.harness.world import World, later

PEOPLE = 10_000
KILLS = 200
#: deliveries in one life, so that more than KILLS lives are needed for all
_PER_LIFE = (2, 36)


@dataclass
class Tally:
    """What a drain through kills came to."""

    lives: int = 0
    kills: int = 0
    seconds: float = 0.0
    #: how many messages each kill left in doubt
    doubts: list[int] = field(default_factory=list)


def drain(
    world: World, sink: Sink, nursery: Nursery, *, seed: int, resolve: Callable[[Tally], None] | None = None, fault: str = ""
) -> Tally:
    """Lives, each killed at a random moment, until nothing waits."""
    rng, tally, began = random.Random(seed), Tally(), time.monotonic()
    while True:
        marked = sink.after(rng.randint(*_PER_LIFE))
        # a kill after so many deliveries lands in the drain, one after so many milliseconds anywhere: before T1, in T2, between two
        early = rng.random() < 0.2
        nursery.start(world.profile, world.db, later(seconds=tally.lives), **({"break": fault} if fault else {}))
        tally.lives += 1
        if early:
            time.sleep(rng.uniform(0.0, 0.12))
        else:
            while not marked.wait(0.005) and not nursery.ended():
                pass
            time.sleep(rng.uniform(0.0, 0.002))
        nursery.kill()
        code = nursery.wait()
        assert code in (0, 3, -9), code
        tally.kills += code == -9
        if resolve is not None:
            resolve(tally)
        if code == 0 and world.states().keys() == {"sent"}:
            tally.seconds = time.monotonic() - began
            return tally
        assert tally.lives < 5000, world.states()


def _world(folder: Path, sink: Sink, app: str, count: int = PEOPLE) -> World:
    """Ten thousand messages that wait."""
    world = World(folder, sink.url, count=count, sms=app)
    world.run(later(hours=-1))
    with world.store() as store:
        found = store.apps.find("padaria", "sms")
        assert found is not None
        store.apps.pause(found, 0.0)
        world.run()
        store.apps.resume(found)
    assert world.states() == {"waiting": count}
    return world


@pytest.mark.timeout(900)  # half a minute where nobody else uses the disk
def test_r1_with_idempotency_keys_nothing_is_lost_and_nothing_doubles(tmp_path: Path, figure: Figure) -> None:
    with Sink(keyed=True) as sink, Nursery(tmp_path / "lives.log") as nursery:
        world = _world(tmp_path, sink, 'idempotency_header = "Idempotency-Key"\nidempotency_ttl = "24h"')
        tally = drain(world, sink, nursery, seed=1)
    lost = PEOPLE - len(sink.delivered)
    doubled = sum(count - 1 for count in sink.delivered.values())
    figure(
        f"R1: {PEOPLE} messages, {tally.kills} kills in {tally.lives} lives, {tally.seconds:.0f} s: lost {lost}, doubled {doubled}, "
        f"{sink.refused_keys} repeats refused by their key"
    )
    assert (lost, doubled) == (0, 0)
    assert tally.kills >= KILLS
    assert world.errors() == []
    assert world.sound()


@pytest.mark.timeout(900)  # half a minute where nobody else uses the disk
def test_r2_without_keys_nothing_doubles_and_what_cannot_be_known_is_listed(tmp_path: Path, cli: Cli, figure: Figure) -> None:
    with Sink() as sink, Nursery(tmp_path / "lives.log") as nursery:
        world = _world(tmp_path, sink, "")
        window = 16
        arrived = looked = 0

        def person(tally: Tally) -> None:
            """An admin asks the provider about each message in doubt: it arrived, or it is sent again."""
            nonlocal arrived, looked
            errors = world.errors()
            if not errors:
                return
            doubt = [message for error in errors for message in error.messages]
            tally.doubts.append(len(doubt))
            assert {error.cls for error in errors} == {"in_doubt"}
            if len(tally.doubts) % 25 == 1:
                looked += 1
                listed = cli("errors", "list", "--json", "--profiles", world.profile, "--db", world.db).json["items"]
                assert sorted(name for item in listed for name in item["messages"]) == sorted(f"M{message}" for message in doubt)
                _nothing_is_hidden(world, sink)
            with world.store() as store:
                for error in errors:
                    for message in error.messages:
                        there = sink.delivered[f"M{message}"] > 0
                        arrived += there
                        (store.errors.sent if there else store.errors.retry)(error.id, 0.0, message=message)

        tally = drain(world, sink, nursery, seed=2, resolve=person)
    lost = PEOPLE - len(+sink.delivered)
    doubled = sum(count - 1 for count in sink.delivered.values() if count)
    doubt = sum(tally.doubts)
    figure(
        f"R2: {PEOPLE} messages, {tally.kills} kills in {tally.lives} lives, {tally.seconds:.0f} s: lost {lost}, doubled {doubled}, "
        f"in doubt {doubt} (at most {max(tally.doubts)} at once, {arrived} of them had arrived), listed by `errors list` in {looked} of {looked} looks"
    )
    assert (lost, doubled) == (0, 0)
    assert tally.kills >= KILLS
    assert max(tally.doubts) <= window
    assert doubt <= tally.kills * window
    assert world.states() == {"sent": PEOPLE}
    assert world.sound()


def _nothing_is_hidden(world: World, sink: Sink) -> None:
    """Every message is waiting and has not arrived, is sent and has, or is in doubt."""
    rows = world.messages()
    assert len(rows) == PEOPLE
    assert {str(row.state) for row in rows} <= {"waiting", "sent", "in_doubt"}
    wrong = [row.id for row in rows if row.state != "in_doubt" and sink.delivered[f"M{row.id}"] != (row.state == "sent")]
    assert wrong == []


def _asks(world: World, sink: Sink) -> Callable[[Tally], None]:
    def person(_tally: Tally) -> None:
        with world.store() as store:
            for error in store.errors.listed():
                for message in error.messages:
                    there = sink.delivered[f"M{message}"] > 0
                    (store.errors.sent if there else store.errors.retry)(error.id, 0.0, message=message)

    return person


@pytest.mark.soak
@pytest.mark.parametrize(
    ("fault", "keyed", "harm"),
    [
        ("a-new-key-for-every-try", True, "doubled"),
        ("commit-after-the-call", False, "doubled"),
        ("orphans-handed-back", False, "doubled"),
        ("in-doubt-is-resent", False, "doubled"),
        ("orphans-taken-for-sent", False, "lost"),
        ("orphans-taken-for-sent", True, "lost"),
    ],
)
def test_these_proofs_can_fail(tmp_path: Path, fault: str, keyed: bool, harm: str, figure: Figure) -> None:
    with Sink(keyed=keyed) as sink, Nursery(tmp_path / "lives.log") as nursery:
        world = _world(tmp_path, sink, 'idempotency_header = "Idempotency-Key"' if keyed else "", 1000)
        tally = drain(world, sink, nursery, seed=3, resolve=_asks(world, sink), fault=fault)
    lost = 1000 - len(+sink.delivered)
    doubled = sum(count - 1 for count in sink.delivered.values() if count)
    figure(f"broken on purpose, {fault}: {tally.kills} kills, lost {lost}, doubled {doubled}")
    assert {"lost": lost, "doubled": doubled}[harm] > 0

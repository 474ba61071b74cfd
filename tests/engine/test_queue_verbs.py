"""What an admin does with queues: pause, resume, clear, restore, suppress; errors message by message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from libax_automate.engine.store import Store
from libax_automate.engine.store.rows import AppState, End, MessageState, Outcome
from libax_automate.testing.service import Fault, Reply, Request, Service
from tests.conftest import Cli
from tests.harness.world import BIRTHDAY, World, ids, later

OK = Reply(200, {"id": "g1"})
ONE = "concurrency = 1"
NOW = datetime.fromisoformat(BIRTHDAY).timestamp()
HOUR = 3600.0


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


def _called(gateway: Service) -> list[str]:
    return [request.json()["id"] for request in gateway.requests]


def _bad(bad: dict[str, Reply | Fault]) -> Callable[[Request], Reply | Fault]:
    return lambda request: bad.get(request.json()["id"], OK)


@pytest.fixture
def halted(tmp_path: Path, gateway: Service) -> World:
    """The account is empty: M1 failed, four wait."""
    gateway.on("/send", Reply(402, {"message": "no balance"}))
    world = World(tmp_path, gateway.url, count=5, sms=ONE)
    world.run()
    gateway.on("/send", OK)
    gateway.clear()
    return world


def test_a_paused_app_sends_nothing_and_its_pause_is_told_once(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        assert store.apps.pause(app, NOW)
        assert not store.apps.pause(app, NOW)
    assert world.run().halted == [], "a pause is no trouble"
    assert world.app().state is AppState.PAUSED
    assert gateway.requests == []
    with world.store() as store:
        assert store.apps.resume(app)
        assert not store.apps.resume(app)
    assert world.run(later(minutes=1)).sent == 3


def test_resume_takes_a_throttle_back(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Reply(429, "", {"Retry-After": "3600"}), OK])
    world = World(tmp_path, gateway.url, count=2, sms=ONE)
    world.run()
    app = world.app(at=later(minutes=1))
    assert app.state is AppState.THROTTLED
    with world.store() as store:
        assert store.apps.resume(app.id)
    assert world.run(later(minutes=1)).sent == 2


@pytest.mark.req("LX-66", "LX-67")
def test_clear_takes_what_waits_by_model_or_age_and_leaves_the_error(halted: World, gateway: Service) -> None:
    app = halted.app().id
    with halted.store() as store:
        assert store.ledger.clearable(app) == 4
        assert store.ledger.clearable(app, model="outro") == 0
        assert store.ledger.clearable(app, before=NOW - HOUR) == 0
        assert store.ledger.clear(app, NOW + 60, model="outro").messages == []
        done = store.ledger.clear(app, NOW + 60, before=NOW + 59, what="old")
    assert done.messages == [2, 3, 4, 5]
    assert [error.messages for error in halted.errors()] == [(1,)]
    assert halted.value("SELECT count(*) FROM operations WHERE verb = 'clear'") == 1
    halted.verb("retry", 1)
    halted.run(later(minutes=2))
    assert _called(gateway) == ["M1"]


def test_restore_brings_back_what_its_own_batch_took_and_nothing_else(halted: World, gateway: Service) -> None:
    app = halted.app().id
    with halted.store() as store:
        with store.write() as conn:
            conn.execute("UPDATE messages SET created_at = ? WHERE id IN (2, 3)", (NOW - HOUR,))
        first = store.ledger.clear(app, NOW, before=NOW - 60)
        second = store.ledger.clear(app, NOW)
        assert (first.messages, second.messages) == ([2, 3], [4, 5])
        assert first.batch is not None
        assert store.ledger.restore(first.batch, NOW) is not None
    assert ids(halted.messages(MessageState.WAITING)) == [2, 3]
    assert ids(halted.messages(MessageState.CANCELLED)) == [4, 5]
    with halted.store() as store:
        assert second.batch is not None
        store.ledger.restore(second.batch, NOW)
    halted.verb("skip", 1)
    halted.run(later(minutes=2))
    assert _called(gateway) == ["M2", "M3", "M4", "M5"]


def test_what_was_restored_too_late_expires_instead_of_leaving(halted: World, gateway: Service) -> None:
    app = halted.app().id
    with halted.store() as store:
        batch = store.ledger.clear(app, NOW).batch
        assert batch is not None
        store.ledger.restore(batch, NOW + 86_400)
    halted.verb("skip", 1)
    halted.run("2026-12-26T10:00:00+00:00")
    assert gateway.requests == []
    assert halted.states() == {"skipped": 1, "expired": 4}


def test_an_error_of_several_messages_is_resolved_one_by_one(tmp_path: Path, gateway: Service) -> None:
    def slow(request: Request) -> Reply | Fault:
        # whoever takes his time is called several times at once, and hangs up on all of them
        time.sleep(0.05)
        return OK if request.json()["id"] in {"M1", "M2"} else Fault.HANG_UP

    gateway.on("/send", slow)
    world = World(tmp_path, gateway.url, count=5, sms="concurrency = 3")
    world.run()
    gateway.clear()
    gateway.on("/send", OK)
    (error,) = world.errors()
    held = error.messages
    assert len(held) >= 2
    assert world.verb("sent", error.id, message=held[0]).errors == []
    assert world.errors()[0].messages == held[1:], "open for the others"
    world.run(later(minutes=1))
    assert gateway.requests == []
    for message in held[1:-1]:
        world.verb("skip", error.id, message=message)
    assert world.verb("retry", error.id, message=held[-1]).errors == [error.id]
    world.run(later(minutes=2))
    assert f"M{held[-1]}" in _called(gateway)
    assert f"M{held[0]}" not in _called(gateway)


def test_a_message_that_the_error_does_not_hold_is_not_touched(halted: World) -> None:
    done = halted.verb("skip", 1, message=3)
    assert (done.messages, done.errors) == ([], [])
    assert halted.states() == {"failed": 1, "waiting": 4}


@pytest.mark.req("LX-64")
def test_retry_forgets_the_tries_and_the_waits_of_the_past(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(503, ""))
    world = World(tmp_path, gateway.url, count=1, model='expires = "2d"')
    at = BIRTHDAY
    for _ in range(5):
        world.run(at)
        at = later(at, minutes=20)
    assert [error.cls for error in world.errors()] == ["transient"]
    world.verb("retry", 1, at)
    assert world.app(at=at).state is AppState.RUNNING
    world.run(at)
    assert world.states() == {"waiting": 1}, "it has four tries more again"
    gateway.on("/send", OK)
    assert world.run(later(at, minutes=1)).sent == 1


def test_the_suppression_list_is_per_profile_and_channel_and_has_no_case(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        assert store.ledger.suppress("padaria", "email", "Ana@Example.com", "asked", NOW)
        assert not store.ledger.suppress("padaria", "email", "ana@example.COM", "again", NOW)
        assert store.ledger.suppress("outra", "*", "+351910000001", "asked", NOW)
        assert store.ledger.suppressions("padaria") == {("email", "ana@example.com"): "asked"}
    assert world.run().sent == 1, "another profile's list is another profile's"
    with world.store() as store:
        assert store.ledger.unsuppress("padaria", "*", "ANA@example.com") == 1
        assert store.ledger.unsuppress("padaria", "*", "ANA@example.com") == 0


@pytest.mark.req("LX-62", "LX-66")
def test_the_one_door_by_flags_clears_and_resolves_and_can_be_undone(halted: World, gateway: Service, cli: Cli) -> None:
    where = ("--profiles", halted.profile, "--db", halted.db, "--now", later(minutes=5), "--json")
    listed = cli("queue", "list", *where).json["items"]
    assert next((item["state"], item["waiting"], item["failed"]) for item in listed if item["app"] == "sms") == ("halted", 4, 1)
    done = cli("queue", "clear", "sms", "--error", "E1", "--skip", "--yes", *where).json
    assert (done["items"][0]["cleared"], done["errors"][0]["state"]) == (4, "closed")
    batch = done["items"][0]["batch"]
    assert cli("queue", "restore", batch, *where).json["restored"] == 4
    assert cli("queue", "restore", batch, *where).json["restored"] == 0
    assert cli("run", *where).json["sent"] == 4
    assert _called(gateway) == ["M2", "M3", "M4", "M5"]


def test_a_clear_that_nobody_has_agreed_to_clears_nothing(halted: World, cli: Cli) -> None:
    where = ("--profiles", halted.profile, "--db", halted.db)
    assert cli("queue", "clear", "sms", *where).code == 2
    assert halted.states() == {"failed": 1, "waiting": 4}


# -- outcomes that come twice ------------------------------------------------------------------------------------------------


def _settled(store: Store, now: float, *outcomes: Outcome) -> None:
    with store.write():
        store.queue.settle(outcomes, now)


@pytest.mark.parametrize("end", [End.SENT, End.REJECTED, End.RETRY, End.FAILED, End.RELEASED])
@pytest.mark.parametrize("mixed", [False, True])
def test_an_outcome_that_comes_twice_counts_once(end: End, mixed: bool, tmp_path: Path) -> None:
    """Again in the same go, in the next one, and after the message has been claimed anew."""
    world = World(tmp_path, count=3)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        store.apps.pause(app, 0.0)
    world.run()
    with world.store() as store:
        with store.write():
            one, two, _ = store.queue.claim(app, 3, NOW)
        other = [Outcome(two, End.REJECTED, cause="no such number")] if mixed else []
        once = Outcome(one, end, provider_id="g1", cls="transient", cause="why")
        _settled(store, NOW, once, once, *other)
        _settled(store, NOW + 1, once, *other)
        sent = int(end is End.SENT)
        failed = int(end in (End.REJECTED, End.FAILED)) + int(mixed)
        counts = "SELECT sent, failed FROM tasks WHERE slot = '2026-12-24T10:00'"
        assert store.db.row(counts) == (sent, failed)
        assert store.db.value("SELECT sent FROM apps WHERE id = ?", (app,)) == sent
        assert store.db.value("SELECT tries FROM messages WHERE id = 1") == int(end is End.RETRY)
        if end is End.RETRY:
            with store.write():
                (again,) = store.queue.claim(app, 1, NOW)
            assert (again.id, again.n) == (1, 2)
            _settled(store, NOW + 2, once, Outcome(one, End.SENT), Outcome(one, End.RELEASED))
            assert store.db.row("SELECT state, attempts FROM messages WHERE id = 1") == ("sending", 2)
            assert store.db.row(counts) == (0, failed)
            assert [row[4] for row in store.ledger.attempts(1)] == ["transient", None]
            with store.write():
                store.queue.hold(Outcome(one, End.IN_DOUBT, cause="late"), 1)
            assert store.db.value("SELECT state FROM messages WHERE id = 1") == "sending"

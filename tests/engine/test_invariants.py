"""The eight promises of the engine, one by one, on real SQLite files and a real gateway."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from libax_automate.engine import run as running
from libax_automate.engine.outbox import Draft
from libax_automate.engine.store.rows import MessageState, TaskState
from libax_automate.errors import StoreError
from libax_automate.message import Channel
from libax_automate.testing.service import Fault, Reply, Request, Service
from tests.harness.world import BIRTHDAY, World, later


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=Reply(200, {"id": "g1"})) as service:
        yield service


def _sent(gateway: Service) -> list[str]:
    return [request.json()["id"] for request in gateway.requests]


# -- 1: at most once per occasion ----------------------------------------------------------------------------------------------


@pytest.mark.req("LX-24")
def test_a_person_hears_once_per_occasion_however_often_the_model_runs(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=4)
    assert world.run().sent == 4
    assert world.run(later(hours=3)).sent == 0
    with world.space(later(hours=4)) as space:
        profile, spec = space.model("parabens")
        task = running.run_model(space, profile, spec)
        result = running.run_pass(space, patience=0)
    assert [(row.id, row.planned, row.queued) for row in result.tasks] == [(task, 4, 0)]
    assert len(gateway.requests) == 4
    assert world.run("2027-12-24T10:00:00+00:00").sent == 4, "the next birthday is another occasion"


def test_the_database_itself_refuses_a_second_message_of_the_same_key(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.run()
    with world.store() as store:
        model = store.tasks.models()[0]
        app = store.apps.find("padaria", "sms")
        assert app is not None
        drafts = [
            Draft(model="parabens", step=step, person=person, occasion=occasion, app="sms", channel=Channel.SMS, to="+351910000001")
            for step, person, occasion in (
                ("", "1", "2026-12-24"),
                ("", "1", "2026-12-24"),
                ("", "1", "2027-12-24"),
                ("x", "1", "2027-12-24"),
            )
        ]
        with store.write():
            assert store.queue.enqueue(drafts, model_id=model.id, task_id=None, apps={"sms": app}, now=0.0) == 2
        with pytest.raises(StoreError, match="UNIQUE"), store.write() as conn:
            conn.execute(
                "INSERT INTO messages(app_id, model_id, step, person, occasion, channel, recipient, name, payload, state, not_before, created_at) "
                "SELECT app_id, model_id, step, person, occasion, channel, recipient, name, payload, 'waiting', 0, 0 FROM messages LIMIT 1"
            )


# -- 2: no call without a committed attempt ------------------------------------------------------------------------------------


def test_when_the_gateway_is_called_another_process_can_read_the_attempt(tmp_path: Path) -> None:
    world_db: list[Path] = []
    seen: list[tuple[int, Any, Any, str]] = []

    def answer(request: Request) -> Reply:
        message = int(request.json()["id"][1:])
        with sqlite3.connect(world_db[0], timeout=20) as conn:
            state, key, ended, outcome = conn.execute(
                "SELECT m.state, a.key, a.ended_at, a.outcome FROM messages m JOIN attempts a ON a.message_id = m.id AND a.n = m.attempts "
                "WHERE m.id = ?",
                (message,),
            ).fetchone()
        conn.close()
        seen.append((message, ended, outcome, state))
        assert key == request.headers["idempotency-key"]
        return Reply(200, {"id": "x"})

    with Service(default=answer) as gateway:
        world = World(tmp_path, gateway.url, count=12, sms='idempotency_header = "Idempotency-Key"')
        world_db.append(world.db)
        assert world.run().sent == 12
    assert sorted(seen) == [(message, None, None, "sending") for message in range(1, 13)]
    assert world.value("SELECT count(*) FROM attempts WHERE ended_at IS NULL OR outcome IS NULL") == 0
    assert world.value("SELECT count(*) FROM attempts") == 12


def test_an_attempt_without_an_answer_is_in_doubt_and_counts_as_one(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Reply(200, {"id": "a"}), Fault.HANG_UP])
    world = World(tmp_path, gateway.url, count=2, sms="concurrency = 1")
    assert world.run().halted == ["sms"]
    with world.store() as store:
        outcomes = {row.id: [attempt[4] for attempt in store.ledger.attempts(row.id)] for row in world.messages()}
    assert outcomes == {1: ["sent"], 2: ["in_doubt"]}


# -- 3: what is in doubt is never sent again silently --------------------------------------------------------------------------


def test_in_doubt_stays_in_doubt_through_every_later_run(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Fault.RESET, Reply(200, {"id": "x"})])
    world = World(tmp_path, gateway.url, count=3, sms="concurrency = 1")
    world.run()
    for moment in (later(minutes=1), later(hours=5), later(hours=12), later(days=1), later(days=40)):
        world.run(moment)
    assert _sent(gateway) == ["M1"]
    assert world.states() == {"in_doubt": 1, "waiting": 2}
    (error,) = world.errors()
    assert (error.cls, error.messages) == ("in_doubt", (1,))


def test_an_orphan_of_a_dead_process_is_in_doubt_not_sent(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3, model="quiet = '09:00-11:00'")
    world.run()
    with world.store() as store, store.write() as conn:
        # what a process leaves that dies between T1 and T2
        conn.execute("UPDATE messages SET not_before = 0")
        app = store.apps.find("padaria", "sms")
        assert app is not None
        assert len(store.queue.claim(app, 2, datetime.fromisoformat(BIRTHDAY).timestamp())) == 2
    world.run(later(hours=2))
    assert world.states() == {"in_doubt": 2, "waiting": 1}
    assert gateway.requests == []
    assert [error.messages for error in world.errors()] == [(1, 2)]


# -- 4: messages and bookmark commit together ----------------------------------------------------------------------------------

WELCOME = """
[models.novos]
use = "welcome"
source = "gestao"
at = "12:00"
channel = "sms"
text = "Bem-vindo, {{ first_name }}!"
"""


def _newcomers(world: World, *days: tuple[int, str]) -> None:
    rows = "".join(f"{i},Pessoa {i},1980-01-01,p{i}@example.com,+3519{10000000 + i},{at}\n" for i, at in days)
    (world.folder / "clientes.csv").write_text("id,name,birth_date,email,mobile,created_at\n" + rows, encoding="utf-8")


def test_a_bookmark_that_cannot_be_written_takes_its_messages_back(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, more=WELCOME)
    _newcomers(world, (1, "2026-12-01T08:00:00Z"))
    world.run("2026-12-24T08:00:00+00:00")
    before = world.value("SELECT bookmark FROM models WHERE name = 'novos'")
    _newcomers(world, (1, "2026-12-01T08:00:00Z"), (2, "2026-12-24T09:00:00Z"))
    with world.store() as store, store.write() as conn:
        conn.execute("CREATE TRIGGER stop BEFORE UPDATE OF bookmark ON models BEGIN SELECT RAISE(ABORT, 'no bookmark today'); END")
    with pytest.raises(StoreError, match="no bookmark today"):
        world.run("2026-12-24T12:00:00+00:00")
    assert world.messages() == []
    assert world.value("SELECT bookmark FROM models WHERE name = 'novos'") == before
    assert world.value("SELECT count(*) FROM counters") == 0
    with world.store() as store, store.write() as conn:
        conn.execute("DROP TRIGGER stop")
    assert world.run("2026-12-24T12:05:00+00:00").sent == 1
    assert world.value("SELECT bookmark FROM models WHERE name = 'novos'") > before
    assert world.value("SELECT tasks FROM counters") == 2, "this one and the birthdays'"


@pytest.mark.req("LX-45")
def test_a_source_that_fails_moves_no_bookmark_and_loses_nobody(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, more=WELCOME)
    _newcomers(world, (1, "2026-12-01T08:00:00Z"))
    world.run("2026-12-24T08:00:00+00:00")
    (world.folder / "clientes.csv").unlink()
    before = world.value("SELECT bookmark FROM models WHERE name = 'novos'")
    result = world.run("2026-12-24T12:00:00+00:00")
    assert world.value("SELECT bookmark FROM models WHERE name = 'novos'") == before
    failed = {task.model: task for task in result.tasks}["novos"]
    assert failed.state is TaskState.FAILED
    assert "clientes.csv" in failed.reason
    _newcomers(world, (1, "2026-12-01T08:00:00Z"), (2, "2026-12-24T09:00:00Z"))
    assert world.run("2026-12-25T12:00:00+00:00").sent == 1
    assert [(row.person, row.state) for row in world.messages()] == [("2", MessageState.SENT)]


# -- 5: a slot runs once -------------------------------------------------------------------------------------------------------


def test_a_slot_has_one_task_even_when_its_bookmark_is_lost(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.run()
    with world.store() as store, store.write() as conn:
        conn.execute("UPDATE models SET slot_bookmark = slot_bookmark - 86400")
    world.run(later(hours=1))
    assert world.value("SELECT count(*) FROM tasks WHERE slot = '2026-12-24T10:00'") == 1
    with pytest.raises(StoreError, match="UNIQUE"), world.store() as store, store.write() as conn:
        conn.execute("INSERT INTO tasks SELECT NULL, model_id, slot, slot_at, first_day, last_day, 'due', trigger, 0, 0, 0, 0, 0, 0, 0, 0, NULL, '', "
                     "0, 0, NULL, NULL FROM tasks LIMIT 1")  # fmt: skip


def test_the_hour_that_comes_twice_fires_once(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=0, model="")
    world.change('at = "10:00"', 'at = "01:30"')
    world.people(2, day="1980-10-25")
    world.run("2026-10-24T22:00:00+00:00")
    first = world.run("2026-10-25T00:30:00+00:00")  # 01:30 summer time in Lisbon
    second = world.run("2026-10-25T01:30:00+00:00")  # 01:30 again, winter time
    assert [len(first.tasks), len(second.tasks)] == [1, 0]
    assert [first.sent, second.sent] == [2, 0]


# -- 6: a halted app sends nothing, nothing overtakes, others go on ------------------------------------------------------------

TWO = """
[apps.outra]
connector = "http"
url = "{url}/other"
json = {{ id = "{{{{ message.id }}}}" }}
allow_private = ["127.0.0.1/32"]

[models.tambem]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "sms"
via = "outra"
text = "Parabéns!"
"""


@pytest.mark.req("LX-63")
def test_a_halted_app_sends_nothing_keeps_its_order_and_stops_nobody_else(tmp_path: Path, gateway: Service) -> None:
    refused = {"M2"}
    gateway.on(
        "/send", lambda request: Reply(422, {"message": "no such number"}) if request.json()["id"] in refused else Reply(200, {"id": "1"})
    )
    world = World(tmp_path, gateway.url, count=6, sms="concurrency = 1", more=TWO.format(url=gateway.url))
    result = world.run()
    own = [request.json()["id"] for request in gateway.requests if request.path == "/send"]
    other = [request.json()["id"] for request in gateway.requests if request.path == "/other"]
    assert own == ["M1", "M2"]
    assert len(other) == 6
    assert result.halted == ["sms"]
    gateway.clear()
    world.run(later(hours=1))
    assert gateway.requests == []
    refused.clear()
    (error,) = world.errors()
    world.verb("retry", error.id, later(hours=2))
    world.run(later(hours=2))
    assert _sent(gateway) == ["M2", "M3", "M4", "M5", "M6"], "the head leaves first"


def test_with_several_at_once_no_more_than_what_is_in_flight_leaves_after_the_first_refusal(tmp_path: Path) -> None:
    with Service(default=Reply(402, {"message": "no balance"})) as gateway:
        world = World(tmp_path, gateway.url, count=200, sms="concurrency = 4")
        world.run()
        assert len(gateway.requests) <= 4
        assert len(world.errors()) == 1
        assert world.states() == {"failed": 1, "waiting": 199}


# -- 7: an operator's verb is compare-and-set, recorded, repeat-safe; it deletes no row ----------------------------------------


@pytest.mark.req("LX-64", "LX-65")
@pytest.mark.parametrize("verb", ["retry", "skip", "sent"])
def test_a_verb_twice_is_a_verb_once(tmp_path: Path, gateway: Service, verb: str) -> None:
    gateway.on("/send", [Fault.HANG_UP, Reply(200, {"id": "x"})])
    world = World(tmp_path, gateway.url, count=3, sms="concurrency = 1")
    world.run()
    rows = world.value("SELECT count(*) FROM messages")
    (error,) = world.errors()
    first = world.verb(verb, error.id)
    state = world.messages()[0].state
    tasks = world.value("SELECT sent || '/' || failed FROM tasks")
    again = world.verb(verb, error.id)
    assert (first.messages, first.errors) == ([1], [error.id])
    assert (again.messages, again.errors) == ([], [])
    assert state is {"retry": MessageState.WAITING, "skip": MessageState.SKIPPED, "sent": MessageState.SENT}[verb]
    assert world.messages()[0].state is state
    assert world.value("SELECT sent || '/' || failed FROM tasks") == tasks
    assert world.value("SELECT count(*) FROM messages") == rows
    assert world.value("SELECT count(*) FROM operations WHERE verb = ? AND target = ?", verb, f"E{error.id}") >= 1
    assert world.value("SELECT resolution FROM errors") == verb
    world.run(later(minutes=1))
    calls = Counter(_sent(gateway))
    assert calls == {"M1": 2 if verb == "retry" else 1, "M2": 1, "M3": 1}


@pytest.mark.req("LX-66")
def test_clearing_and_restoring_delete_no_row_and_repeat_safely(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(402, {"message": "no balance"}))
    world = World(tmp_path, gateway.url, count=4)
    world.run()
    app, now = world.app().id, datetime.fromisoformat(BIRTHDAY).timestamp()
    with world.store() as store:
        cleared = store.ledger.clear(app, now, what="test")
        assert len(cleared.messages) == 3
        assert store.ledger.clear(app, now, what="test").messages == []
    assert world.states() == {"failed": 1, "cancelled": 3}
    assert len(world.errors()) == 1, "the dustbin leaves the error"
    assert cleared.batch is not None
    with world.store() as store:
        back = store.ledger.restore(cleared.batch, now)
        assert back is not None
        assert back.messages == cleared.messages
        twice = store.ledger.restore(cleared.batch, now)
        assert twice is not None
        assert twice.messages == []
        assert store.ledger.restore(99, now) is None
    assert world.states() == {"failed": 1, "waiting": 3}


# -- 8: the monthly counter ----------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-33")
def test_a_task_counts_once_in_the_month_it_ended_and_the_counter_starts_anew(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.run("2026-12-24T09:00:00+00:00")
    for day in (24, 25, 31):
        world.run(f"2026-12-{day}T10:00:00+00:00")
        world.run(f"2026-12-{day}T10:30:00+00:00")
    world.run("2027-01-01T10:00:00+00:00")
    with world.store() as store:
        assert store.tasks.counters("padaria") == [("2027-01", 1), ("2026-12", 3)]


def test_a_task_that_failed_first_counts_once_when_it_is_done(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    csv = world.folder / "clientes.csv"
    text = csv.read_text(encoding="utf-8")
    csv.unlink()
    (task,) = world.run().tasks
    assert world.value("SELECT count(*) FROM counters") == 0
    csv.write_text(text, encoding="utf-8")
    with world.store() as store:
        assert store.tasks.retry(task.id, 0.0)
    assert world.run(later(minutes=1)).sent == 1
    with world.store() as store:
        assert store.tasks.counters("padaria") == [("2026-12", 1)]
        assert not store.tasks.retry(task.id, 0.0), "what is done is not done again"

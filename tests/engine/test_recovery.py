"""After a process has died, or the disk was full: what is known is kept, what is not known is asked for, nothing happens twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from libax_automate.engine.journal import Journal
from libax_automate.engine.store.rows import Claimed, End, Outcome, TaskState
from libax_automate.errors import StoreError
from libax_automate.testing.service import Reply, Service
from tests.conftest import RunProcess
from tests.harness.plugins import catalogue
from tests.harness.runner import Nursery
from tests.harness.sink import Sink
from tests.harness.world import BIRTHDAY, World, later

OK = Reply(200, {"id": "g1"})
ONE = "concurrency = 1"


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with Nursery(tmp_path / "lives.log") as running:
        yield running


# -- killed while it plans ----------------------------------------------------------------------------------------------------

CRM = """
[apps.crm]
connector = "crm"
url = "{url}"
records = "crm.json"
allow_private = ["127.0.0.1/32"]

[models.lembrete]
use = "reminder"
source = "crm"
at = "11:00"
channel = "sms"
text = "Olá {{{{ first_name }}}}"
"""


def _planning(tmp_path: Path, gateway: Service, *rows: object) -> World:
    world = World(tmp_path, gateway.url, count=0, catalogue=catalogue(), more=CRM.format(url=gateway.url))
    _rows(world, *rows)
    world.run("2026-12-24T10:30:00+00:00")
    return world


def _rows(world: World, *rows: object) -> None:
    found = [{"id": str(i), "name": f"Pessoa {i}", "mobile": f"+35191000000{i}", "status": "active"} for i in (1, 2, 3)]
    (world.folder / "crm.json").write_text(json.dumps([*found, *rows]), encoding="utf-8")


def test_killed_in_the_middle_of_a_plan_the_task_runs_again_and_each_hears_once(tmp_path: Path, gateway: Service, nursery: Nursery) -> None:
    world = _planning(tmp_path, gateway, "deadly")
    nursery.start(world.profile, world.db, "2026-12-24T11:00:00+00:00", plugins=True)
    assert nursery.wait() == -9
    assert world.messages() == [], "nothing of a plan that did not end is kept"
    assert world.value("SELECT state FROM tasks WHERE slot LIKE '%11:00'") == "running"
    _rows(world)
    assert world.run("2026-12-24T11:01:00+00:00").sent == 3
    assert world.run("2026-12-24T11:02:00+00:00").sent == 0
    with world.store() as store:
        assert store.tasks.counters("padaria") == [("2026-12", 1)]


def test_a_plan_that_kills_the_program_three_times_is_a_persons_turn(tmp_path: Path, gateway: Service, nursery: Nursery) -> None:
    world = _planning(tmp_path, gateway, "deadly")
    for minute in range(3):
        nursery.start(world.profile, world.db, f"2026-12-24T11:0{minute}:00+00:00", plugins=True)
        assert nursery.wait() == -9
    result = world.run("2026-12-24T11:05:00+00:00")
    (task,) = (task for task in result.tasks if task.model == "lembrete")
    assert task.state is TaskState.CRASHED
    assert len(result.news) == 1
    assert len(world.mail()) == 1
    _rows(world)
    with world.store() as store:
        store.tasks.retry(task.id, 0.0)
    assert world.run("2026-12-24T11:10:00+00:00").sent == 3


# -- killed while it sends ----------------------------------------------------------------------------------------------------


def test_killed_in_a_drain_the_orphans_are_in_doubt_and_everything_else_is_known(tmp_path: Path, nursery: Nursery) -> None:
    with Sink(delay=0.3) as sink:
        world = World(tmp_path, sink.url, count=60)
        world.run("2026-12-24T09:00:00+00:00")
        marked = sink.after(20)
        nursery.start(world.profile, world.db, BIRTHDAY)
        assert marked.wait(20)
        nursery.kill()
        assert nursery.wait() == -9
        arrived = set(sink.delivered)
        sink.delay = 0
        world.run(later(minutes=1))
        assert set(sink.delivered) == arrived, "nothing leaves past a doubt"
    rows = world.messages()
    assert {f"M{row.id}" for row in rows if row.state == "sent"} <= arrived
    assert not {f"M{row.id}" for row in rows if row.state == "waiting"} & arrived
    doubt = [row.id for row in rows if row.state == "in_doubt"]
    assert 0 < len(doubt) <= 16
    assert [error.messages for error in world.errors()] == [tuple(doubt)]


def test_asked_to_end_in_a_drain_it_leaves_nothing_in_doubt(tmp_path: Path, nursery: Nursery) -> None:
    with Sink(delay=0.3) as sink:
        world = World(tmp_path, sink.url, count=80)
        world.run("2026-12-24T09:00:00+00:00")
        marked = sink.after(20)
        pid = nursery.start(world.profile, world.db, BIRTHDAY)
        assert marked.wait(20)
        os.kill(pid, signal.SIGTERM)
        sink.delay = 0
        assert nursery.wait() == 0
        states = world.states()
        assert set(states) == {"sent", "waiting"}
        assert states["sent"] == len(sink.delivered)
        world.finish(later(minutes=1))
        assert set(sink.delivered.values()) == {1}
    assert world.states() == {"sent": 80}


def test_the_command_ends_on_sigterm_with_143_and_goes_on_where_it_was(
    tmp_path: Path, start_process: Callable[..., subprocess.Popen[str]]
) -> None:
    with Sink(delay=0.3) as sink:
        world = World(tmp_path, sink.url, count=80)
        world.run("2026-12-24T09:00:00+00:00")
        marked = sink.after(10)
        process = start_process("run", "--profiles", world.profile, "--db", world.db, "--now", BIRTHDAY)
        assert marked.wait(30)
        process.send_signal(signal.SIGTERM)
        sink.delay = 0
        assert process.wait(20) == 143
        assert set(world.states()) == {"sent", "waiting"}
        world.finish(later(minutes=1))
        assert set(sink.delivered.values()) == {1}


# -- the database takes no more -----------------------------------------------------------------------------------------------


def _full(world: World, state: str) -> None:
    """From now on no message can become ``state``, as if the disk were full at that moment."""
    with world.store() as store, store.write() as conn:
        conn.execute(
            f"CREATE TRIGGER full BEFORE UPDATE OF state ON messages WHEN NEW.state = '{state}' BEGIN SELECT RAISE(ABORT, 'no space left'); END"
        )


def _room(world: World) -> None:
    with world.store() as store, store.write() as conn:
        conn.execute("DROP TRIGGER full")


def test_an_outcome_that_the_database_cannot_take_is_not_lost(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=10)
    world.run("2026-12-24T09:00:00+00:00")
    _full(world, "sent")
    with pytest.raises(StoreError, match="no space left"):
        world.run()
    called = len(gateway.requests)
    assert 1 <= called <= 10
    with pytest.raises(StoreError, match="no space left"):
        world.run(later(minutes=1))
    assert len(gateway.requests) == called, "while what is known cannot be written, nothing more leaves"
    _room(world)
    world.run(later(minutes=2))
    assert world.states() == {"sent": 10}
    assert world.errors() == []
    assert len(gateway.requests) == 10
    assert world.messages()[0].provider_id == "g1"


def test_an_outcome_that_the_program_cannot_digest_is_not_lost(tmp_path: Path, gateway: Service) -> None:
    """A fault of the program's own after the calls (here: a row that cannot be read): nobody is asked whether it arrived, nothing is sent again."""
    world = World(tmp_path, gateway.url, count=6, sms="window = 6")
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        store.apps.pause(app, 0.0)
    world.run()
    with world.store() as store, store.write() as conn:
        store.apps.resume(app)
        conn.execute("UPDATE messages SET activity = '{' WHERE id = 3")
    with pytest.raises(ValueError, match="Expecting"):
        world.run(later(minutes=1))
    called = len(gateway.requests)
    assert called >= 3
    for minute in range(2, 6):
        world.run(later(minutes=minute))
    assert world.states() == {"sent": 6}
    assert len(gateway.requests) == 6
    assert world.errors(closed=True) == []
    assert world.value("SELECT sent FROM tasks WHERE slot = '2026-12-24T10:00'") == 6


def test_a_refusal_that_the_database_cannot_take_halts_after_all(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(402, {"message": "no balance"}))
    world = World(tmp_path, gateway.url, count=3, sms=ONE)
    world.run("2026-12-24T09:00:00+00:00")
    _full(world, "failed")
    with pytest.raises(StoreError):
        world.run()
    _room(world)
    world.run(later(minutes=1))
    assert len(gateway.requests) == 1
    assert [(error.cls, error.messages) for error in world.errors()] == [("account", (1,))]


def test_the_command_says_so_with_74_in_one_line(tmp_path: Path, gateway: Service, run_process: RunProcess) -> None:
    world = World(tmp_path, gateway.url, count=3)
    world.run("2026-12-24T09:00:00+00:00")
    _full(world, "sent")
    done = run_process("run", "--profiles", world.profile, "--db", world.db, "--now", BIRTHDAY)
    assert done.code == 74
    assert len(done.err.strip().splitlines()) == 1
    assert "Traceback" not in done.err
    _room(world)
    again = run_process("run", "--profiles", world.profile, "--db", world.db, "--now", later(minutes=1))
    assert (again.code, again.out, again.err) == (0, "", "")
    assert len(gateway.requests) == 3


def _claimed(number: int, n: int = 1) -> Claimed:
    return Claimed(number, n, 1, 1, 1, "", "p", "o", "sms", "+351910000001", '{"text": "Olá"}', "key", 0, 12.5)


def test_a_journal_whose_last_line_is_cut_keeps_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.db")
    assert not journal.filled()
    journal.prepare()
    assert not journal.filled()
    size = journal.path.stat().st_size
    one, two = _claimed(7), _claimed(8, 3)
    assert journal.write([Outcome(one, End.SENT, provider_id="x")]) == 1
    # what comes later does not take the place of what was there
    assert journal.write([Outcome(two, End.FAILED, cls="account", cause="no balance — é", shared=True, delay=1.5)]) == 1
    assert journal.filled()
    found = journal.read([one, two])
    assert found == [
        Outcome(one, End.SENT, provider_id="x"),
        Outcome(two, End.FAILED, cls="account", cause="no balance — é", shared=True, delay=1.5),
    ]
    # of messages that have gone on, nothing is said
    assert journal.read([_claimed(7, 2)]) == []
    content = journal.path.read_bytes()
    end = len(content.rstrip(b"\0"))
    journal.path.write_bytes(content[: end - 20].ljust(size, b"\0"))
    assert [outcome.end for outcome in journal.read([one, two])] == [End.SENT]
    journal.clear()
    assert journal.read([one, two]) == []
    assert not journal.filled()
    assert journal.path.stat().st_size == size


def test_the_journal_holds_whatever_may_be_under_way_at_once(tmp_path: Path) -> None:
    """Space for a whole batch is there before it leaves; outcomes of any size fit into it."""
    journal = Journal(tmp_path / "a.db")
    journal.prepare()
    first = journal.path.stat().st_size
    journal.prepare(room=3000)
    size = journal.path.stat().st_size
    assert first < 3000 * 2048 <= size
    rows = [_claimed(number) for number in range(3000)]
    wordy = "\ud800é\x00" * 5000
    outcomes = [
        Outcome(row, End.FAILED, provider_id="x" * 9000, detail=wordy, cls="bug", cause=wordy, cause_key="M1", hint=wordy) for row in rows
    ]
    assert journal.write(outcomes) == 3000
    assert journal.path.stat().st_size == size
    found = Journal(tmp_path / "a.db").read(rows)
    assert [(outcome.row.id, outcome.end, outcome.cls, outcome.cause_key) for outcome in found] == [
        (number, End.FAILED, "bug", "M1") for number in range(3000)
    ]
    again = Journal(tmp_path / "a.db")
    again.clear()
    assert journal.path.read_bytes() == b"\0" * size


def test_what_a_journal_of_an_earlier_version_says_is_understood(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.db")
    row = _claimed(7)
    line = json.dumps({**asdict(Outcome(row, End.SENT, provider_id="x")), "trace": ""})
    journal.path.write_text(line + "\n" + "7\n[]\n", encoding="utf-8")
    assert journal.read([row]) == [Outcome(row, End.SENT, provider_id="x")]


def test_what_an_app_that_is_gone_left_behind_is_in_doubt_too(tmp_path: Path, gateway: Service) -> None:
    more = '\n[apps.velha]\nconnector = "folder"\npath = "velha"\n\n[models.antigo]\nuse = "birthday"\nsource = "gestao"\nat = "10:00"\nchannel = "sms"\nvia = "velha"\ntext = "Olá"\n'
    world = World(tmp_path, gateway.url, count=1, more=more)
    world.run()
    with world.store() as store, store.write() as conn:
        conn.execute("UPDATE messages SET state = 'sending' WHERE app_id = (SELECT id FROM apps WHERE name = 'velha')")
        conn.execute("UPDATE attempts SET ended_at = NULL, outcome = NULL")
    world.change(more, "")
    world.run(later(minutes=1))
    assert [(error.app, error.cls, len(error.messages)) for error in world.errors()] == [("velha", "in_doubt", 1)]


def test_a_second_run_waits_for_nobody_and_the_first_goes_on(tmp_path: Path, run_process: RunProcess, nursery: Nursery) -> None:
    with Sink(delay=2) as sink:
        world = World(tmp_path, sink.url, count=60)
        world.run("2026-12-24T09:00:00+00:00")
        marked = sink.after(4)
        nursery.start(world.profile, world.db, BIRTHDAY)
        assert marked.wait(20)
        done = run_process("run", "--profiles", world.profile, "--db", world.db, "--now", BIRTHDAY)
        assert done.code == 11
        assert "pid" in done.err
        sink.delay = 0
        assert nursery.wait() == 0
    assert world.states() == {"sent": 60}

"""One pass: what becomes due when, what a pass says, lists for other applications, and the fence of restored files."""

from __future__ import annotations

import base64
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.engine.lock import RunLock
from libax_automate.engine.run import run_model, run_pass
from libax_automate.engine.store.rows import AppState, MessageState, TaskState
from libax_automate.errors import LockHeld
from libax_automate.testing.service import Fault, Reply, Service
from tests.harness.plugins import catalogue
from tests.harness.world import World, later

OK = Reply(200, {"id": "g1"})


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


def _day(day: int, time: str = "10:00", month: int = 12, year: int = 2026) -> str:
    return f"{year}-{month:02}-{day:02}T{time}:00+00:00"


def _slots(world: World, model: str = "parabens") -> dict[str, str]:
    with world.store() as store:
        return {task.slot: str(task.state) for task in reversed(store.tasks.listed(model=model, limit=1000))}


# -- when ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-40")
def test_a_model_fires_from_the_day_after_it_was_first_seen(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=2)
    world.change('activation = "immediate"', 'activation = "next-day"')
    world.people(2, day="1980-12-25")
    world.run(_day(24, "08:00"))
    world.run(_day(24, "10:00"))
    world.run(_day(24, "23:59"))
    assert _slots(world) == {}
    world.run(_day(25, "09:59"))
    assert _slots(world) == {}
    assert world.run(_day(25, "10:00")).sent == 2


@pytest.mark.req("LX-40")
def test_a_changed_schedule_holds_from_the_next_day(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.change('activation = "immediate"', 'activation = "next-day"')
    world.run(_day(22, "08:00"))
    world.run(_day(23, "10:00"))
    world.change('at = "10:00"', 'at = "15:00"')
    world.run(_day(23, "12:00"))
    world.run(_day(23, "15:30"))
    assert _slots(world) == {"2026-12-23T10:00": "done"}
    world.run(_day(24, "10:30"))
    assert world.run(_day(24, "15:00")).sent == 1
    assert _slots(world) == {"2026-12-23T10:00": "done", "2026-12-24T15:00": "done"}


def test_nothing_before_first_sight_ever_fires(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3, model='late = "all"')
    world.run(_day(24, "11:00"))
    assert _slots(world) == {}
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("late", "states", "sent"),
    [
        ("skip", {"2026-12-22T10:00": "missed", "2026-12-23T10:00": "missed", "2026-12-24T10:00": "done"}, 1),
        ("once", {"2026-12-24T10:00": "done"}, 3),
        ("all", {"2026-12-22T10:00": "done", "2026-12-23T10:00": "done", "2026-12-24T10:00": "done"}, 3),
    ],
)
def test_missed_slots_do_what_late_says(tmp_path: Path, gateway: Service, late: str, states: dict[str, str], sent: int) -> None:
    world = World(tmp_path, gateway.url, model=f'late = "{late}"\nexpires = "30d"')
    world.run(_day(21, "12:00"))
    rows = "".join(f"{i},Pessoa {i},1980-12-{21 + i},p{i}@example.com,+3519{10000000 + i}\n" for i in (1, 2, 3))
    (tmp_path / "clientes.csv").write_text("id,name,birth_date,email,mobile\n" + rows, encoding="utf-8")
    assert world.run(_day(24, "18:00")).sent == sent
    assert _slots(world) == states
    assert world.run(_day(24, "19:00")).sent == 0


def test_after_a_week_off_and_twice_at_once_each_person_hears_once(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, model='late = "all"\nexpires = "30d"')
    world.run(_day(17, "12:00"))
    world.people(20)
    world.run(_day(25, "12:00"))
    world.run(_day(25, "12:00"))
    heard = Counter(request.json()["to"] for request in gateway.requests)
    assert len(heard) == 20
    assert set(heard.values()) == {1}


def test_a_disabled_model_rests_and_makes_up_for_nothing(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1, model='late = "all"')
    world.run(_day(22, "08:00"))
    with world.store() as store:
        assert store.tasks.enable("padaria", "parabens", enabled=False, now=0.0)
        assert not store.tasks.enable("padaria", "parabens", enabled=False, now=0.0)
    world.run(_day(22))
    world.run(_day(23))
    with world.space(_day(23, "12:00")) as space:
        assert space.store.tasks.enable("padaria", "parabens", enabled=True, now=space.now())
    world.run(_day(24, "09:00"))
    assert _slots(world) == {}
    assert world.run(_day(24)).sent == 1


@pytest.mark.req("LX-41", "LX-42")
def test_a_real_time_model_looks_at_every_pass_and_leaves_no_empty_task(tmp_path: Path, gateway: Service) -> None:
    more = '\n[models.novos]\nuse = "welcome"\nsource = "gestao"\nrealtime = true\nchannel = "sms"\ntext = "Bem-vindo, {{ first_name }}!"\n'
    world = World(tmp_path, gateway.url, count=0, more=more)
    head = "id,name,birth_date,email,mobile,created_at\n"
    csv = tmp_path / "clientes.csv"
    csv.write_text(head + "1,Ana,,a@example.com,+351910000001,2026-12-01T08:00:00Z\n", encoding="utf-8")
    world.run(_day(1, "09:00"))
    world.run(_day(1, "09:05"))
    assert world.value("SELECT count(*) FROM tasks") == 0
    csv.write_text(csv.read_text(encoding="utf-8") + "2,Rui,,r@example.com,+351910000002,2026-12-01T09:06:00Z\n", encoding="utf-8")
    assert world.run(_day(1, "09:10")).sent == 1
    assert world.run(_day(1, "09:15")).sent == 0
    assert [request.json()["to"] for request in gateway.requests] == ["+351910000002"]
    assert world.value("SELECT count(*) FROM tasks") == 1


def test_a_source_that_is_away_is_asked_again_later_and_then_is_a_persons_turn(tmp_path: Path, gateway: Service) -> None:
    more = f"""
[apps.crm]
connector = "crm"
url = "{gateway.url}"
records = "crm.json"
allow_private = ["127.0.0.1/32"]

[models.lembrete]
use = "reminder"
source = "crm"
at = "11:00"
channel = "sms"
text = "Olá {{{{ first_name }}}}"
"""
    world = World(tmp_path, gateway.url, count=0, more=more, catalogue=catalogue())
    world.change("[models.parabens]", "[models.parabens]\nenabled = false")
    at = _day(24, "11:00")
    states = []
    for wait in (0, 14, 16, 61, 241, 601):
        at = later(at, seconds=wait)
        result = world.run(at)
        with world.store() as store:
            (task,) = store.tasks.listed()
        states.append((str(task.state), task.tries))
    assert states == [("due", 1), ("due", 1), ("due", 2), ("due", 3), ("due", 4), ("failed", 5)]
    assert result.news == [f"T1 lembrete 2026-12-24T11:00: failed: {task.reason} → automate tasks retry T1"]
    assert "the CRM is away" in task.reason
    assert len(world.mail()) == 1
    with world.store() as store:
        assert store.tasks.retry(task.id, 0.0)
    (tmp_path / "crm.json").write_text('[{"id": "1", "name": "Ana", "mobile": "+351910000001", "status": "active"}]', encoding="utf-8")
    assert world.run(later(at, minutes=1)).sent == 1


def test_a_model_whose_plugin_is_gone_is_its_own_failed_task_and_stops_nobody(tmp_path: Path, gateway: Service) -> None:
    more = '\n[models.lembrete]\nuse = "reminder"\nsource = "gestao"\nat = "10:00"\nchannel = "sms"\ntext = "Olá"\n'
    world = World(tmp_path, gateway.url, count=2, more=more, catalogue=catalogue())
    with world.space() as space:
        space.catalogue = World(tmp_path / "x").catalogue
        result = run_pass(space, patience=0)
    assert result.sent == 2
    assert result.needs_person
    (broken,) = (task for task in result.tasks if task.model == "lembrete")
    assert broken.state is TaskState.FAILED
    assert "reminder" in broken.reason


# -- what a pass says ---------------------------------------------------------------------------------------------------------


def test_news_is_told_once_until_there_is_news_again(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(402, {}))
    world = World(tmp_path, gateway.url, count=2)
    first = world.run()
    second = world.run(later(minutes=1))
    assert len(first.news) == 1
    assert second.news == []
    assert first.needs_person
    assert second.needs_person
    assert first.halted == second.halted == ["sms"]
    gateway.on("/send", [OK, Reply(422, {})])
    world.verb("retry", 1, later(minutes=2))
    third = world.run(later(minutes=2))
    assert [line.split()[0] for line in third.news] == ["E2"]
    gateway.on("/send", OK)
    world.verb("skip", 2, later(minutes=3))
    last = world.run(later(minutes=3))
    assert (last.news, last.needs_person, last.halted) == ([], False, [])


def test_a_pass_reports_its_tasks_with_their_counts(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3)
    csv = tmp_path / "clientes.csv"
    csv.write_text(
        csv.read_text(encoding="utf-8") + "4,Sem Número,1980-12-24,x@example.com,\n5,Data Má,24-24-1980,y@example.com,+351910000005\n",
        encoding="utf-8",
    )
    (task,) = world.run().tasks
    assert (task.planned, task.excluded, task.queued, task.sent, task.failed, task.bad_rows) == (4, 1, 3, 3, 0, 1)
    with world.store() as store:
        remarks = store.tasks.remarks(task.id)
    assert [remark[0] for remark in remarks] == ["excluded", "bad row"]
    assert "clientes.csv:6" in remarks[1][2]


def test_two_runs_at_once_the_second_is_told_who_holds_the_lock(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.run(_day(24, "09:00"))
    with world.space() as space:
        lock = RunLock(world.db)
        lock.acquire(space.clock.now())
        with pytest.raises(LockHeld, match=r"pid \d+, started 2026-12-24T10:00"):
            run_pass(space)
        lock.release()
        assert run_pass(space).sent == 1


def test_model_narrows_a_pass(tmp_path: Path, gateway: Service) -> None:
    more = '\n[models.outro]\nuse = "birthday"\nsource = "gestao"\nat = "10:00"\nchannel = "sms"\ntext = "Olá"\n'
    world = World(tmp_path, gateway.url, count=1, more=more)
    world.run(_day(24, "09:00"))
    assert world.run(model="outro").sent == 1
    assert [task.model for task in world.run(later(minutes=1)).tasks] == ["parabens"]


# -- lists for other applications ---------------------------------------------------------------------------------------------

HOOK = """
[apps.gancho]
connector = "webhook"
url = "URL/hook"
secret = { env = "HOOK_SECRET" }
allow_private = ["127.0.0.1/32"]

[models.lista]
use = "birthday"
source = "gestao"
at = "10:00"
webhook = "gancho"
"""


@pytest.fixture
def listing(tmp_path: Path, gateway: Service, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HOOK_SECRET", "whsec_" + base64.b64encode(bytes(range(32))).decode())
    world = World(tmp_path, gateway.url, more=HOOK.replace("URL", gateway.url))
    world.change("[models.parabens]", "[models.parabens]\nenabled = false")
    return world


@pytest.mark.req("LX-18", "LX-19")
def test_a_list_leaves_in_pages_of_500_and_nobody_is_listed_twice(listing: World, gateway: Service) -> None:
    listing.people(1201)
    assert listing.run().sent == 3
    pages = [request.json()["data"] for request in gateway.requests]
    assert [(page["page"], len(page["records"]), page["last"]) for page in pages] == [(1, 500, False), (2, 500, False), (3, 201, True)]
    people = [record["id"] for page in pages for record in page["records"]]
    assert len(set(people)) == 1201
    gateway.clear()
    listing.people(1203)
    with listing.space(later(hours=1)) as space:
        run_model(space, *space.model("lista"))
        run_pass(space)
    (page,) = (request.json()["data"] for request in gateway.requests)
    assert [record["id"] for record in page["records"]] == ["1202", "1203"]


def _listed(gateway: Service) -> list[list[str]]:
    return [[record["id"] for record in request.json()["data"]["records"]] for request in gateway.requests]


def _again(world: World, at: str) -> None:
    """The model once more, as a person asks for it."""
    with world.space(at) as space:
        run_model(space, *space.model("lista"))
        run_pass(space)


@pytest.mark.req("LX-19", "LX-66", "LX-67")
def test_who_was_in_a_list_that_was_cleared_before_it_left_is_listed_again(listing: World, gateway: Service) -> None:
    """Page 1 left, page 2 was refused, page 3 waits and is cleared: its people alone are free; restoring gives them back."""
    listing.change("[models.lista]", "concurrency = 1\nwindow = 1\n\n[models.lista]")
    listing.people(1201)
    gateway.on("/hook", [OK, Reply(402, ""), OK])
    listing.run()
    assert listing.states() == {"sent": 1, "failed": 1, "waiting": 1, "skipped": 1201}
    with listing.store() as store:
        app = store.apps.find("padaria", "gancho")
        assert app is not None
        cleared = store.ledger.clear(app, 0.0)
        assert cleared.batch is not None
        assert len(cleared.messages) == 1
        # restored before anybody was listed again: all as it was
        assert store.ledger.restore(cleared.batch, 1.0) is not None
        assert listing.states() == {"sent": 1, "failed": 1, "waiting": 1, "skipped": 1201}
        cleared = store.ledger.clear(app, 2.0)
        assert cleared.batch is not None
        assert listing.states() == {"sent": 1, "failed": 1, "cancelled": 202, "skipped": 1000}
        (error,) = store.errors.listed()
        store.errors.retry(error.id, 3.0)
    gateway.clear()
    _again(listing, later(hours=1))
    second, third = _listed(gateway)
    assert (len(second), third) == (500, [str(number) for number in range(1001, 1202)])
    # listed meanwhile: the old call stays where it is
    with listing.store() as store:
        restored = store.ledger.restore(cleared.batch, 4.0)
        assert restored is not None
        assert restored.messages == []
    gateway.clear()
    _again(listing, later(hours=2))
    assert gateway.requests == []


def test_who_was_in_a_list_that_expired_is_listed_again(listing: World, gateway: Service) -> None:
    with listing.store() as store:
        store.apps.register("padaria", "gancho", "webhook", "")
    listing.run("2026-12-24T09:00:00+00:00")
    with listing.store() as store:
        app = store.apps.find("padaria", "gancho")
        assert app is not None
        store.apps.pause(app, 0.0)
    listing.run()
    with listing.store() as store:
        store.apps.resume(app)
    listing.run(later(days=2))
    assert gateway.requests == []
    assert listing.states() == {"expired": 1, "cancelled": 5}
    assert len({row.occasion for row in listing.messages(MessageState.CANCELLED)}) == 1
    assert "released (M1 expired): in the list for gancho (2026-12-24T10:00), page 1" in {row.reason for row in listing.messages()}


def test_who_was_in_a_list_that_may_have_arrived_is_not_listed_again(listing: World, gateway: Service) -> None:
    gateway.on("/hook", [Fault.HANG_UP, OK])
    listing.run()
    assert listing.states() == {"waiting": 1, "skipped": 5}
    with listing.store() as store:
        app = store.apps.find("padaria", "gancho")
        assert app is not None
        assert len(store.ledger.clear(app, 0.0).messages) == 1
    assert listing.states() == {"cancelled": 1, "skipped": 5}


@pytest.mark.req("LX-20")
def test_a_list_in_doubt_is_sent_again_under_the_same_id_and_the_same_bytes(listing: World, gateway: Service) -> None:
    gateway.on("/hook", [Fault.HANG_UP, OK])
    listing.run()
    listing.run(later(minutes=1))
    first, second = gateway.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert listing.states() == {"sent": 1, "skipped": 5}


# -- restored and cloned files ------------------------------------------------------------------------------------------------


def test_a_restored_backup_sends_nothing_until_a_person_says_so(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3)
    world.run(_day(24, "09:00"))
    backup = tmp_path / "backup.db"
    shutil.copy(world.db, backup)
    assert world.run().sent == 3
    for name in world.db.parent.glob("automate.db*"):
        if not name.name.endswith(".lock"):
            name.unlink()
    shutil.copy(backup, world.db)
    gateway.clear()
    result = world.run(later(hours=1))
    assert gateway.requests == []
    assert "restored from a backup" in result.fenced
    assert result.needs_person
    assert len(result.news) == 1
    assert world.run(later(hours=2)).news == []
    with world.store() as store:
        assert {row.state for row in store.apps.rows(0.0)} <= {AppState.FENCED}
    with world.store() as store:
        assert store.apps.unfence(0.0)
        assert not store.apps.unfence(0.0)
    assert world.run(later(hours=3)).sent == 3, "a person has taken the decision"
    assert world.run(later(hours=4)).fenced == ""


def test_a_clone_on_another_machine_sends_nothing_until_a_person_says_so(
    tmp_path: Path, gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMATE_MACHINE_ID", "the-first")
    world = World(tmp_path, gateway.url, count=3)
    world.run(_day(24, "09:00"))
    monkeypatch.setenv("AUTOMATE_MACHINE_ID", "the-second")
    result = world.run()
    assert "another machine" in result.fenced
    assert gateway.requests == []
    with world.store() as store:
        store.apps.unfence(0.0)
    assert world.run(later(minutes=1)).sent == 3

"""T2, what a wrong clock touches beside the slots: spans, holds, caps, beginnings, what waits, and what people are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libax_automate.engine.digest import REPORTS
from libax_automate.engine.doctor import State, diagnose
from libax_automate.engine.run import run_pass
from libax_automate.engine.store.rows import MessageState
from libax_automate.engine.timeline import Timeline
from libax_automate.testing.clock import FakeClock
from libax_automate.testing.service import Reply, Service
from tests.harness import mutations
from tests.harness.world import World

OK = Reply(200, {"id": "g1"})
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 12, 24, 10, 0, 30, tzinfo=UTC)
AHEAD = [40 * DAY, 3652 * DAY]

MESSAGE = """
[models.recado]
use = "notice"
source = "gestao"
at = "11:00"
channel = "sms"
repeat = true
text = "Olá {{ first_name }}"
late = "%s"
"""


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


def a_pass(world: World, at: datetime, **options: float) -> None:
    """One pass, and the clock stands at ``at``."""
    with world.space(clock=FakeClock(at)) as space:
        run_pass(space, patience=options.get("patience", 0))


def tasks(world: World, model: str) -> list[tuple[str, str, str]]:
    """(slot, state, trigger) of a model's tasks."""
    with world.store() as store:
        return store.db.rows(
            "SELECT slot, state, trigger FROM tasks t JOIN models m ON m.id = t.model_id WHERE m.name = ? ORDER BY slot", (model,)
        )


def texts(gateway: Service) -> list[str]:
    """The numbers that were written to, in order."""
    return [request.json()["to"] for request in gateway.requests]


# -- slots --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", ["skip", "once", "all"])
@pytest.mark.parametrize("far", AHEAD)
def test_a_slot_that_came_while_the_clock_stood_ahead_is_run_when_it_is_right(
    far: timedelta, late: str, gateway: Service, tmp_path: Path
) -> None:
    if late == "all" and far == AHEAD[1]:
        pytest.skip("a thousand runs; test_clock.py makes them")
    world = World(tmp_path, gateway.url, count=1, more=MESSAGE % late)
    a_pass(world, NOW)
    a_pass(world, NOW + far + 55 * MINUTE)
    a_pass(world, NOW + far + 65 * MINUTE)
    a_pass(world, NOW + 70 * MINUTE)
    assert ("2026-12-24T11:00", "done", "schedule") in tasks(world, "recado")
    a_pass(world, NOW + 25 * HOUR)
    assert ("2026-12-25T11:00", "done", "schedule") in tasks(world, "recado")
    assert all(state != "missed" for _, state, _ in tasks(world, "recado"))


@pytest.mark.parametrize("fault", ["a-clock-that-stood-ahead-is-believed", "a-clock-that-stands-behind-is-believed"])
def test_the_proof_notices_an_engine_that_believes_any_clock(fault: str, gateway: Service, tmp_path: Path) -> None:
    with mutations.broken(fault), pytest.raises(AssertionError):
        test_a_slot_that_came_while_the_clock_stood_ahead_is_run_when_it_is_right(AHEAD[0], "skip", gateway, tmp_path)


@pytest.mark.parametrize("late", ["skip", "once", "all"])
def test_a_clock_that_stands_behind_does_no_year_again(
    late: str, gateway: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty battery: passes in 2016 do nothing, say so once, and the first right one goes on where it was."""
    world = World(tmp_path, gateway.url, count=1, more=MESSAGE % late)
    a_pass(world, NOW)
    a_pass(world, NOW + HOUR)
    before = tasks(world, "recado")
    for minute in range(3):
        a_pass(world, datetime(2016, 1, 1, tzinfo=UTC) + minute * MINUTE)
    assert caplog.text.count("models rest until then") == 1
    a_pass(world, NOW + HOUR + 5 * MINUTE)
    assert tasks(world, "recado") == before
    a_pass(world, NOW + 25 * HOUR)
    assert tasks(world, "recado") == [*before, ("2026-12-25T11:00", "done", "schedule")]
    assert len(gateway.requests) == 3


def test_what_ran_before_its_day_runs_on_its_day_for_who_came_meanwhile(gateway: Service, tmp_path: Path) -> None:
    """One row per slot, counted once, nobody told twice, and nobody left out."""
    world = World(tmp_path, gateway.url, count=1)
    world.people(1, day="1980-02-02")
    a_pass(world, NOW)
    early = datetime(2027, 2, 2, 10, 5, tzinfo=UTC)
    a_pass(world, early)
    assert texts(gateway) == ["+351910000001"]
    a_pass(world, NOW + HOUR)
    assert tasks(world, "parabens")[-1] == ("2027-02-02T10:00", "done", "ahead")
    world.people(2, day="1980-02-02")
    for day in range(1, 40):
        a_pass(world, NOW + day * DAY)
    a_pass(world, early)
    assert texts(gateway) == ["+351910000001", "+351910000002"]
    assert tasks(world, "parabens")[-1] == ("2027-02-02T10:00", "done", "schedule")
    assert world.value("SELECT count(*) FROM tasks WHERE slot = '2027-02-02T10:00'") == 1
    assert world.value("SELECT sum(tasks) FROM counters WHERE month = '2027-02'") == 2  # of 1 and 2 February


def test_a_second_wrong_clock_is_put_right_like_the_first(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1, more=MESSAGE % "once")
    a_pass(world, NOW)
    a_pass(world, NOW + 40 * DAY)
    a_pass(world, NOW + 5 * MINUTE)
    a_pass(world, NOW + 65 * MINUTE)
    a_pass(world, NOW + 3652 * DAY)
    a_pass(world, NOW + 20 * DAY)  # still wrong, by less
    a_pass(world, NOW + 2 * HOUR)
    for day in range(1, 4):
        a_pass(world, NOW + day * DAY + 65 * MINUTE)
    done = {slot for slot, state, trigger in tasks(world, "recado") if (state, trigger) == ("done", "schedule")}
    assert {f"2026-12-{day}T11:00" for day in (24, 25, 26, 27)} <= done
    assert sorted(texts(gateway)) == texts(gateway)
    with world.store() as store:
        assert store.db.rows("SELECT model_id, person, occasion FROM messages GROUP BY 1, 2, 3 HAVING count(*) > 1") == []


def test_a_long_rest_is_no_wrong_clock(gateway: Service, tmp_path: Path) -> None:
    """A machine that was off for forty days and is set back by two minutes keeps what it has done."""
    world = World(tmp_path, gateway.url, count=1, more=MESSAGE % "skip")
    a_pass(world, NOW)
    back = NOW + 40 * DAY + 2 * HOUR
    a_pass(world, back)
    a_pass(world, back + 5 * MINUTE)
    before = tasks(world, "recado")
    a_pass(world, back + 3 * MINUTE)
    a_pass(world, back + 10 * MINUTE)
    assert tasks(world, "recado") == before
    with world.store() as store:
        assert Timeline.of(store).healed == {}


# -- beginnings (LX-40) ------------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-40")
@pytest.mark.parametrize("seen_ahead", [False, True])
def test_new_settings_still_begin_on_the_following_day(seen_ahead: bool, gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.change('activation = "immediate"', 'activation = "next-day"')
    a_pass(world, NOW - DAY)
    if seen_ahead:
        a_pass(world, NOW + 40 * DAY)
    world.write(world.profile.read_text(encoding="utf-8") + MESSAGE % "skip")
    if not seen_ahead:
        a_pass(world, NOW)
    a_pass(world, NOW + 40 * DAY + 5 * MINUTE)
    a_pass(world, NOW + 10 * MINUTE)
    a_pass(world, NOW + 65 * MINUTE)
    assert [slot for slot, _, _ in tasks(world, "recado")] in ([], ["2027-02-02T11:00"])
    a_pass(world, NOW + 25 * HOUR)
    assert ("2026-12-25T11:00", "done", "schedule") in tasks(world, "recado")


@pytest.mark.req("LX-40")
@pytest.mark.parametrize("changed_ahead", [False, True])
def test_a_changed_schedule_still_begins_on_the_following_day(changed_ahead: bool, gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1, more=MESSAGE % "skip")
    world.change('activation = "immediate"', 'activation = "next-day"')
    a_pass(world, NOW - 3 * DAY)
    if changed_ahead:
        a_pass(world, NOW + 40 * DAY)
    world.change('at = "11:00"', 'at = "10:30"')
    if not changed_ahead:
        a_pass(world, NOW)
    a_pass(world, NOW + 40 * DAY + 5 * MINUTE)
    a_pass(world, NOW + 40 * MINUTE)
    assert "2026-12-24T10:30" not in [slot for slot, _, _ in tasks(world, "recado")]
    a_pass(world, NOW + 25 * HOUR)
    assert ("2026-12-25T10:30", "done", "schedule") in tasks(world, "recado")


def test_a_newcomer_is_welcomed_whose_model_was_first_seen_ahead(gateway: Service, tmp_path: Path) -> None:
    """Who is there when the model begins is not welcomed; who comes after is, though the clock had said 2036 in between."""
    world = World(tmp_path, gateway.url, count=0)
    folder, header = tmp_path, "id,name,birth_date,email,mobile,created_at\n"
    old = "1,Ana,1980-05-05,a@example.com,+351910000001,2026-01-05\n"
    (folder / "clientes.csv").write_text(header + old, encoding="utf-8")
    a_pass(world, NOW)
    welcome = '\n[models.ola]\nuse = "welcome"\nsource = "gestao"\nat = "12:00"\nchannel = "sms"\ntext = "Olá {{ first_name }}"\n'
    world.write(world.profile.read_text(encoding="utf-8") + welcome)
    a_pass(world, NOW + 3652 * DAY)
    a_pass(world, NOW + HOUR)
    new = "2,Rui,1981-05-05,r@example.com,+351910000002,2026-12-24T15:00:00\n"
    (folder / "clientes.csv").write_text(header + old + new, encoding="utf-8")
    a_pass(world, NOW + 26 * HOUR)
    assert texts(gateway) == ["+351910000002"]


# -- what waits --------------------------------------------------------------------------------------------------------------


def pause(world: World, at: datetime, *, on: bool = True) -> None:
    """Stop the gateway's queue by hand, or let it go on."""
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        assert store.apps.pause(app, at.timestamp()) if on else store.apps.resume(app)


def test_what_expired_before_its_time_waits_again(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=2)
    a_pass(world, NOW - HOUR)
    pause(world, NOW)
    a_pass(world, NOW)
    assert world.states() == {"waiting": 2}
    pause(world, NOW, on=False)
    a_pass(world, NOW + 40 * DAY)
    assert world.states() == {"expired": 2}
    a_pass(world, NOW + 5 * MINUTE)
    assert world.states() == {"sent": 2}
    assert len(gateway.requests) == 2


def test_what_was_planned_before_its_day_and_has_not_left_waits_for_its_day(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.people(1, day="1980-02-02")
    a_pass(world, NOW)
    pause(world, NOW)
    early = datetime(2027, 2, 2, 10, 5, tzinfo=UTC)
    a_pass(world, early)
    a_pass(world, NOW + HOUR)
    pause(world, NOW, on=False)
    a_pass(world, NOW + 2 * HOUR)
    assert gateway.requests == []
    assert world.states() == {"waiting": 1}
    a_pass(world, early)
    assert world.states() == {"sent": 1}


def test_a_providers_pause_ends_when_it_would_have(gateway: Service, tmp_path: Path) -> None:
    gateway.on("/send", [Reply(429, "", {"Retry-After": "120"}), OK])
    world = World(tmp_path, gateway.url, count=1)
    a_pass(world, NOW - HOUR)
    pause(world, NOW)
    a_pass(world, NOW)
    pause(world, NOW, on=False)
    world.change('text = "Olá (#F', 'expires = "9000d"\ntext = "Olá (#F')
    with world.store() as store, store.write():
        store.db.conn.execute("UPDATE messages SET expires = NULL")
    a_pass(world, NOW + 40 * DAY)
    assert len(gateway.requests) == 1
    a_pass(world, NOW + MINUTE)
    assert len(gateway.requests) == 1
    a_pass(world, NOW + 4 * MINUTE)
    assert world.states() == {"sent": 1}


def test_a_hold_for_quiet_hours_of_a_wrong_day_is_looked_at_anew(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1, defaults='quiet = "21:00-09:00"')
    a_pass(world, NOW - HOUR)
    pause(world, NOW)
    a_pass(world, NOW)
    with world.store() as store, store.write():
        store.db.conn.execute("UPDATE messages SET expires = NULL")
    pause(world, NOW, on=False)
    a_pass(world, NOW + 40 * DAY + 12 * HOUR)  # at night
    assert gateway.requests == []
    a_pass(world, NOW + 5 * MINUTE)
    assert world.states() == {"sent": 1}


def test_a_cap_counts_from_when_it_was_said(gateway: Service, tmp_path: Path) -> None:
    """One in ten days: what left while the clock said February holds nobody up until then."""
    world = World(tmp_path, gateway.url, count=1, model='cap = "1/10d"', more=MESSAGE % "skip" + 'cap = "1/10d"\nclass = "courtesy"\n')
    world.people(1, day="1980-06-06")
    a_pass(world, NOW)
    a_pass(world, NOW + 40 * DAY + 65 * MINUTE)
    assert len(gateway.requests) == 1
    a_pass(world, NOW + 5 * MINUTE)
    for day in range(10):
        a_pass(world, NOW + day * DAY + 65 * MINUTE)
    assert len(gateway.requests) == 1
    assert {row.reason[:10] for row in world.messages(MessageState.WAITING)} == {"capped: 1 "}
    a_pass(world, NOW + 10 * DAY + 65 * MINUTE)
    assert len(gateway.requests) > 1


def test_an_account_is_probed_and_its_error_told_of_when_the_clock_is_right(gateway: Service, tmp_path: Path) -> None:
    gateway.on("/send", [Reply(401, ""), OK])
    world = World(tmp_path, gateway.url, count=1)
    world.people(1, day="1980-02-02")
    a_pass(world, NOW)
    a_pass(world, datetime(2027, 2, 2, 10, 5, tzinfo=UTC))
    assert len(world.errors()) == 1
    a_pass(world, NOW + HOUR)
    (error,) = world.errors()
    assert error.opened_at == (NOW + HOUR).timestamp()
    assert error.next_notice <= (NOW + 26 * HOUR).timestamp()


def test_wording_is_not_let_go_of_by_a_clock_that_has_just_leapt(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1)
    a_pass(world, NOW - HOUR)
    a_pass(world, NOW)
    a_pass(world, NOW + 3652 * DAY)
    assert "Pessoa" in world.value("SELECT payload FROM messages")
    a_pass(world, NOW + HOUR)
    a_pass(world, NOW + 25 * HOUR)
    assert float(world.value("SELECT value FROM meta WHERE key = 'forgot'")) == (NOW + 25 * HOUR).timestamp()


def test_the_weekly_report_comes_on_its_days(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1)
    world.change('notify = ["admin@example.com"]', 'notify = ["admin@example.com"]\nreport = "mon 08:00"')
    a_pass(world, NOW)
    a_pass(world, NOW + 40 * DAY)
    a_pass(world, NOW + HOUR)
    for day in range(1, 13):
        a_pass(world, NOW + day * DAY)
    with world.store() as store:
        rows = store.db.rows("SELECT occasion FROM messages m JOIN models s ON s.id = m.model_id WHERE s.name = ? ORDER BY 1", (REPORTS,))
    assert {"2026-12-21", "2026-12-28"} <= {occasion for (occasion,) in rows}
    assert len(rows) == len(set(rows))


# -- what people are told ----------------------------------------------------------------------------------------------------


def clock_of(world: World, at: datetime) -> tuple[State, str, str]:
    """What the doctor says of the clock."""
    with world.space(clock=FakeClock(at)) as space:
        return next((each.state, each.detail, each.hint) for each in diagnose(space) if each.check == "clock")


def test_the_doctor_says_when_the_clock_stood_wrong_and_what_became_of_it(gateway: Service, tmp_path: Path) -> None:
    world = World(tmp_path, gateway.url, count=1, more=MESSAGE % "skip")
    a_pass(world, NOW)
    assert clock_of(world, NOW)[0] is State.OK
    a_pass(world, NOW + 40 * DAY)
    state, detail, hint = clock_of(world, NOW + HOUR)
    assert (state, hint) == (State.WARN, "automate run, if the clock is right now")
    assert "an earlier pass was at 2027-02-02 10:00 UTC: the next run puts right what it closed" in detail
    a_pass(world, NOW + HOUR)
    state, detail, _ = clock_of(world, NOW + HOUR)
    assert state is State.WARN
    assert "the clock had stood at 2027-02-02 10:00 UTC until 2026-12-24 11:00 UTC; 80 slots were opened again" in detail
    assert clock_of(world, NOW + 9 * DAY)[0] is State.OK
    a_pass(world, NOW - 5 * DAY)
    state, detail, hint = clock_of(world, NOW - 5 * DAY)
    assert (state, "NTP" in hint) == (State.BAD, True)
    assert detail.endswith("an earlier pass was at 2026-12-24 11:00 UTC: models rest until then")

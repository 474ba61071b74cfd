"""T4: an outage, and what each policy for missed runs makes of it: exact lists of slots, through whole passes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libax_automate.testing.clock import FakeClock
from tests.figures import Figure
from tests.harness.world import World

LISBON = ZoneInfo("Europe/Lisbon")
PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
email = "correio"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[apps.correio]
connector = "folder"
path = "saida"
"""
MODEL = """
[models.m{number}]
use = "notice"
source = "gestao"
cron = "{cron}"
repeat = true
channel = "email"
subject = "Olá {{{{ first_name }}}}"
text = "Olá"
late = "{late}"
{limit}
"""
#: (cron, hours of the day, weekdays): read by hand below, on the hour in Lisbon
CRONS = [("0 9 * * *", {9}, range(7)), ("0 9,15 * * *", {9, 15}, range(7)), ("0 9 * * 1", {9}, (0,))]
LIMITS = [None, timedelta(days=2)]
OUTAGES = [
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(hours=7),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=10),
    timedelta(days=60),
]
#: the last pass before the outage: a Wednesday, eight weeks around the clock change of 25 October
DOWN = datetime(2026, 10, 7, 8, 30, tzinfo=UTC)


def of_cron(hours: set[int], weekdays: Sequence[int], after: datetime, until: datetime) -> list[datetime]:
    """The instants on the hour at which the wall in Lisbon shows one of the hours; by hand."""
    moment, found = after.replace(minute=0) + timedelta(hours=1), []
    while moment <= until:
        wall = moment.astimezone(LISBON)
        if wall.hour in hours and wall.weekday() in weekdays:
            found.append(moment)
        moment += timedelta(hours=1)
    return found


def by_policy(late: str, limit: timedelta | None, due: list[datetime], now: datetime) -> tuple[list[datetime], list[datetime]]:
    """(slots that run, slots that are written down as missed); by hand."""
    if late == "skip":
        alive = [slot for slot in due[-1:] if slot.astimezone(LISBON).date() == now.astimezone(LISBON).date()]
        return alive, [slot for slot in due if slot not in alive]
    fresh = [slot for slot in due if limit is None or slot >= now - limit]
    stale = [slot for slot in due if slot not in fresh]
    return (fresh[-1:] if late == "once" else fresh), stale


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_an_outage_is_made_up_for_exactly_as_each_policy_says(tmp_path: Path, outage: timedelta, figure: Figure) -> None:
    cases = [
        (cron, late, limit) for cron in CRONS for late in ("skip", "once", "all") for limit in LIMITS if limit is None or late != "skip"
    ]
    text = PROFILE
    for number, ((cron, _, _), late, limit) in enumerate(cases):
        text += MODEL.format(number=number, cron=cron, late=late, limit='late_limit = "2d"' if limit else "")
    world = World(tmp_path / "w", profile=text, count=1)
    clock = FakeClock(DOWN)
    a_pass(world, clock)
    back = DOWN + outage
    clock.set(back)
    a_pass(world, clock)
    a_pass(world, clock)  # a second pass at the same moment finds everything done

    ran = missed = wrong = 0
    with world.store() as store:
        for number, ((_, hours, weekdays), late, limit) in enumerate(cases):
            rows = store.db.rows(
                "SELECT t.slot_at, t.state, t.first_day, t.last_day FROM tasks t JOIN models m ON m.id = t.model_id WHERE m.name = ? ORDER BY 1",
                (f"m{number}",),
            )
            run, gone = by_policy(late, limit, of_cron(hours, weekdays, DOWN, back), back)
            got_run = [datetime.fromtimestamp(row[0], UTC) for row in rows if row[1] == "done"]
            got_gone = [datetime.fromtimestamp(row[0], UTC) for row in rows if row[1] == "missed"]
            if late == "once":
                assert len(got_run) <= 1
                if got_run:
                    # the one run answers for all days since the oldest slot within the limit, so nobody between is lost
                    oldest = next(slot for slot in of_cron(hours, weekdays, DOWN, back) if limit is None or slot >= back - limit)
                    days = next((row[2], row[3]) for row in rows if row[1] == "done")
                    assert days == (str(oldest.astimezone(LISBON).date()), str(run[-1].astimezone(LISBON).date()))
            wrong += (got_run, got_gone) != (run, gone)
            assert (got_run, got_gone) == (run, gone), (cases[number], outage)
            ran, missed = ran + len(run), missed + len(gone)
        assert not store.db.rows("SELECT 1 FROM tasks GROUP BY model_id, slot HAVING count(*) > 1")
        # each run of a repeating notice writes once per person and slot day, and never more
        assert not store.db.rows("SELECT 1 FROM messages GROUP BY model_id, person, occasion HAVING count(*) > 1")
    figure(f"T4 outage of {outage}: {len(cases)} models, {ran} slots run, {missed} missed, {wrong} wrong")


def a_pass(world: World, clock: FakeClock) -> None:
    from libax_automate.engine.run import run_pass

    with world.space(clock=clock) as space:
        run_pass(space, patience=0)


def test_defaults_by_recipe_are_those_of_the_reference(tmp_path: Path) -> None:
    from libax_automate.model import Late
    from libax_automate.plugins.catalogue import default_catalogue

    models = {name: default_catalogue().model(name) for name in ("birthday", "welcome")}
    assert models["birthday"].late is Late.SKIP
    assert (models["welcome"].late, models["welcome"].late_limit) == (Late.ALL, timedelta(days=2))


@pytest.mark.parametrize("model", ["birthday"])
def test_somebody_whose_birthday_fell_into_the_outage_is_never_congratulated_late(tmp_path: Path, model: str) -> None:
    world = World(
        tmp_path / "w",
        profile=PROFILE
        + '[models.p]\nuse = "birthday"\nsource = "gestao"\nat = "09:00"\nchannel = "email"\nsubject = "Parabéns"\ntext = "Parabéns"\n',
        count=3,
    )
    world.people(3, day="1980-10-09")
    clock = FakeClock(DOWN)
    a_pass(world, clock)
    for days in (3, 4, 5):
        clock.set(DOWN + timedelta(days=days))
        a_pass(world, clock)
    assert world.mail() == []
    assert world.messages() == []

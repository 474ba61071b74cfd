"""T1 and T2: clock changes against a clock that is watched minute by minute; a clock that is set wrong and right again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest

from libax_automate.engine.schedule import next_fire, slots
from libax_automate.engine.spec import Schedule
from libax_automate.engine.walltime import changes
from libax_automate.testing.clock import FakeClock
from tests.figures import Figure
from tests.harness.sink import Sink
from tests.harness.world import World

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

#: plain hours and minutes: each fires once a day, in the order of the wall
FIXED = [
    "0 0 * * *", "30 0 * * *", "59 23 * * *", "15 1 * * *", "30 1 * * *", "0 2 * * *", "15 2 * * *", "30 2 * * *", "45 2 * * *", "0 3 * * *", "30 9 * * *",
    "0 0,1,2,3 * * *", "15,45 1,2 * * *", "1,31 0,23 * * *", "30 2 * * 0", "30 1 * * 1-5", "0 0 1 * *", "30 2 29 * *", "0 0 31 12 *", "15 2 * 3,10 *",
    "30 2 1-7 * 0", "0 3 30 12 6", "0 1 * * 6,0",
]  # fmt: skip
#: steps and ranges: they follow elapsed time, through both halves of a fold
STEPPING = [
    "* * * * *", "*/5 * * * *", "*/7 * * * *", "*/30 * * * *", "0 * * * *", "30 * * * *", "*/15 1,2 * * *", "*/10 0-3 * * *", "0 0-5 * * *", "0 */2 * * *", "*/20 23,0 * * *",
    "5-10 2 * * *", "0 9-17 * * 1-5", "*/30 * * 3,10 0", "*/45 1 * * *", "15 */3 29-31 * *", "0-59/13 */4 * * *",
]  # fmt: skip
SHAPES = FIXED + STEPPING
NAMED = ["Europe/Lisbon", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"]


# -- an oracle that shares nothing with the code under test ------------------------------------------------------------------


def _field(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = (low, high) if span == "*" else (int(span.split("-")[0]), int(span.split("-")[-1]))
        found.update(range(first, last + 1, int(step or 1)))
    return found


@dataclass(frozen=True)
class Shape:
    """A cron line read by hand."""

    line: str
    times: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    stepping: bool

    def on(self, day: date) -> bool:
        """Whether it has this day: cron's OR where both kinds of days are restricted."""
        if day.month not in self.months:
            return False
        number, weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (number or weekday) if self.either else (number and weekday)


@lru_cache
def shape(line: str) -> Shape:
    """A line as an oracle reads it."""
    minute, hour, day, month, weekday = line.split()
    times = frozenset(h * 60 + m for h in _field(hour, 0, 23) for m in _field(minute, 0, 59))
    plain = re.compile(r"\d+(,\d+)*")
    stepping = not (plain.fullmatch(minute) and plain.fullmatch(hour))
    weekdays = frozenset(number % 7 for number in _field(weekday, 0, 7))
    return Shape(
        line, times, frozenset(_field(day, 1, 31)), frozenset(_field(month, 1, 12)), weekdays, day != "*" and weekday != "*", stepping
    )


class Watch:
    """The clock on a wall, looked at each minute of ``after`` < … ≤ ``until``."""

    def __init__(self, zone: ZoneInfo, after: datetime, until: datetime) -> None:
        #: local day → minute of the day → the instant at which the wall shows it or later for the first time
        self.passed: dict[date, dict[int, datetime]] = {}
        #: local day → minute of the day → the instants at which the wall shows just that
        self.shown: dict[date, dict[int, list[datetime]]] = {}
        moment = after - timedelta(hours=30)
        latest = moment.astimezone(zone).replace(tzinfo=None, fold=0)
        while moment < until:
            moment += MINUTE
            wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
            if moment > after:
                self.shown.setdefault(wall.date(), {}).setdefault(wall.hour * 60 + wall.minute, []).append(moment)
            while latest < wall:
                latest += MINUTE
                if moment > after:
                    self.passed.setdefault(latest.date(), {})[latest.hour * 60 + latest.minute] = moment

    def fires(self, line: str) -> list[datetime]:
        """When a cron line fires, ascending."""
        form = shape(line)
        if form.stepping:
            return sorted(
                moment
                for day, minutes in self.shown.items()
                if form.on(day)
                for at in form.times & minutes.keys()
                for moment in minutes[at]
            )
        return sorted(minutes[at] for day, minutes in self.passed.items() if form.on(day) for at in form.times & minutes.keys())


def mismatches(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[str]:
    """Where the program and the watched clock differ."""
    watch = Watch(zone, after, until)
    for line in SHAPES:
        schedule, seen = Schedule(cron=line), watch.fires(line)
        got = [slot.instant for slot in slots(schedule, zone, after, until)]
        if got != seen:
            yield f"{zone.key} {line!r} {after:%Y-%m-%d}: {sorted(set(got) ^ set(seen))[:4]}"
        if seen:
            following = next_fire(schedule, zone, after)
            if following is None or following.instant != seen[0]:
                yield f"{zone.key} {line!r} next after {after}: {following}"


def transitions(name: str, first: int = 2015, last: int = 2037) -> list[datetime]:
    """When a zone's clock is put forward or back."""
    return [change.instant for change in changes(ZoneInfo(name), datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC))]


def around(name: str, moments: list[datetime]) -> tuple[int, list[str]]:
    """How many comparisons were made, and what differed."""
    wrong: list[str] = []
    for moment in moments:
        start = moment.replace(minute=0, second=0, microsecond=0)
        wrong += mismatches(ZoneInfo(name), start - timedelta(hours=20), start + timedelta(hours=20))
    return len(moments) * len(SHAPES), wrong


def test_there_are_forty_shapes() -> None:
    assert len(SHAPES) == len(set(SHAPES)) == 40


@pytest.mark.parametrize("name", NAMED)
def test_each_change_of_a_named_zone_agrees_with_a_watched_clock(name: str, figure: Figure) -> None:
    moments = transitions(name, first=2011 if "Apia" in name else 2015)
    if "Apia" in name:
        assert any(moment.date() == date(2011, 12, 30) for moment in moments)  # the day that the islands left out
    cases, wrong = around(name, moments[:: max(1, len(moments) // 12)] if len(moments) > 16 else moments)
    figure(f"T1 {name}: {cases} comparisons over {cases // 40} clock changes, {len(wrong)} mismatches")
    assert cases
    assert wrong == []


def test_a_sample_of_all_zones_agrees_with_a_watched_clock(figure: Figure) -> None:
    names = [name for name in sorted(available_timezones()) if name not in ("localtime", "Factory")]
    cases, wrong, zones = 0, list[str](), 0
    for number, name in enumerate(names[::7]):
        if moments := transitions(name):
            made, found = around(name, [moments[(number * 5) % len(moments)]])
            cases, wrong, zones = cases + made, wrong + found, zones + 1
    figure(f"T1 sample: {cases} comparisons in {zones} zones, {len(wrong)} mismatches")
    assert zones >= 40
    assert wrong == []


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_every_change_of_every_zone_agrees_with_a_watched_clock(figure: Figure) -> None:
    cases, wrong, seen = 0, list[str](), set[tuple[datetime, ...]]()
    for name in sorted(available_timezones()):
        moments = transitions(name)
        # many names share one history (Europe/Jersey, Europe/London): the same changes to the same offsets are compared once
        history = (*moments, *(datetime(2000, 1, 1) + (ZoneInfo(name).utcoffset(m.replace(tzinfo=None)) or timedelta()) for m in moments))
        if moments and history not in seen:
            seen.add(history)
            made, found = around(name, moments)
            cases, wrong = cases + made, wrong + found
    figure(f"T1 all zones 2015-2037: {cases} comparisons, {len(wrong)} mismatches")
    assert wrong == []


# -- T2: the machine's clock is wrong for a while ----------------------------------------------------------------------------

NOW = datetime(2026, 12, 24, 10, 0, 30, tzinfo=UTC)
STEPS = {
    "-10 y": timedelta(days=-3652), "-4 h": timedelta(hours=-4), "-1 h": timedelta(hours=-1), "+1 h": timedelta(hours=1), "+4 h": timedelta(hours=4),
    "+40 d": timedelta(days=40), "+10 y": timedelta(days=3652),
}  # fmt: skip
MODELS = """
[models.recado]
use = "notice"
source = "gestao"
at = "11:00"
channel = "sms"
occasion = "recado"
text = "Olá {{ first_name }}"
late = "%s"
"""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    """A gateway that counts."""
    with Sink() as running:
        yield running


def a_pass(world: World, clock: FakeClock) -> None:
    from libax_automate.engine.run import run_pass

    with world.space(clock=clock) as space:
        run_pass(space, patience=0)


def slots_run(world: World, model: str) -> list[str]:
    """The slots of a model that were run, in order."""
    with world.store() as store:
        rows = store.db.rows(
            "SELECT t.slot FROM tasks t JOIN models m ON m.id = t.model_id WHERE m.name = ? AND t.state = 'done' ORDER BY t.slot", (model,)
        )
    return [str(row[0]) for row in rows]


@pytest.mark.parametrize("late", ["skip", "once", "all"])
@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_jumps_and_comes_back_runs_each_slot_once_and_goes_on(
    step: str, late: str, sink: Sink, tmp_path: Path, figure: Figure
) -> None:
    sink.delivered.clear()
    world = World(tmp_path / "w", sink.url, count=2, more=MODELS % late)
    clock = FakeClock(NOW - timedelta(hours=1))
    a_pass(world, clock)
    clock.set(NOW)
    a_pass(world, clock)  # the birthdays of 10:00
    # the clock is set wrong; passes go on for ten minutes
    for minute in range(3):
        clock.set(NOW + STEPS[step] + minute * 5 * MINUTE)
        a_pass(world, clock)
    # and is put right: three more days, a pass each half hour from 10:10 to 12:10
    for day in range(3):
        for minute in range(10, 131, 30):
            clock.set(NOW + day * DAY + minute * MINUTE)
            a_pass(world, clock)
    with world.store() as store:
        doubled = store.db.rows("SELECT model_id, slot, count(*) FROM tasks GROUP BY 1, 2 HAVING count(*) > 1")
        heard = store.db.rows("SELECT model_id, person, occasion, count(*) FROM messages GROUP BY 1, 2, 3 HAVING count(*) > 1")
    assert doubled == []
    assert heard == []
    assert max(sink.delivered.values()) == 1
    done = slots_run(world, "recado")
    # the days on which the clock was right have had their run, whatever the clock said before
    missing = {f"2026-12-{day}T11:00" for day in (24, 25, 26)} - set(done)
    assert slots_run(world, "parabens").count("2026-12-24T10:00") == 1
    figure(f"T2 {step}, late = {late}: {len(done)} slots run, 0 doubled, {len(missing)} lost")
    assert missing == set(), done


@pytest.mark.parametrize("late", ["skip", "once", "all"])
def test_a_machine_that_slept_makes_up_as_its_policy_says(late: str, sink: Sink, tmp_path: Path) -> None:
    sink.delivered.clear()
    world = World(tmp_path / "w", sink.url, count=1, more=MODELS % late)
    clock = FakeClock(NOW)
    a_pass(world, clock)
    clock.set(NOW + 3 * DAY + timedelta(hours=2))
    a_pass(world, clock)
    wanted = {
        "skip": ["2026-12-27T11:00"],
        "once": ["2026-12-27T11:00"],
        "all": [f"2026-12-{day}T11:00" for day in (24, 25, 26, 27)],
    }[late]
    assert slots_run(world, "recado") == wanted

"""Schedules against a clock that is watched minute by minute, and against croniter's own reading of days."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from croniter import croniter

from libax_automate.engine.schedule import describe, every_of, next_fire, remarks, slot_of, slots, validate
from libax_automate.engine.slots import compiled
from libax_automate.engine.spec import Schedule
from libax_automate.engine.walltime import changes
from libax_automate.errors import InputDataError, UsageError

MINUTE = timedelta(minutes=1)
LISBON = ZoneInfo("Europe/Lisbon")

NINE = (time(9, 30),)
FIXED = {
    "at 09:30": Schedule(at=NINE),
    "at in the small hours": Schedule(at=(time(0), time(0, 30), time(1, 30), time(1, 45), time(2, 15), time(2, 30), time(3), time(23, 30))),
    "cron 30 1": Schedule(cron="30 1 * * *"),
    "cron of lists": Schedule(cron="15,45 0,1,2,23 * * *"),
}
STEPPING = {
    "every half hour": Schedule(cron="*/30 * * * *"),
    "hours range": Schedule(cron="0 0-5 * * *"),
    "every seventh minute": Schedule(cron="*/7 1,2 * * *"),
}


def minutes(after: datetime, until: datetime) -> Iterator[datetime]:
    moment = after + MINUTE
    while moment <= until:
        yield moment
        moment += MINUTE


def fields(schedule: Schedule) -> set[time]:
    """The times of day a schedule names, read without the code under test."""
    if schedule.cron is None:
        return set(schedule.at)
    walk = croniter(schedule.cron, datetime(2025, 12, 31, 23, 59), ret_type=datetime)
    found = set()
    while (moment := walk.get_next()) < datetime(2026, 1, 2):
        found.add(moment.time())
    return found


def watched(
    schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime, *, stepping: bool
) -> list[tuple[datetime, datetime, int]]:
    """(instant, wall time, fold) as somebody who looks at the clock each minute would note them down."""
    times = fields(schedule)
    found = []
    latest = (after - timedelta(hours=26)).astimezone(zone).replace(tzinfo=None)
    for moment in minutes(after - timedelta(hours=26), until):
        local = moment.astimezone(zone)
        wall = local.replace(tzinfo=None, fold=0)
        if stepping:
            if wall.time() in times and moment > after:
                found.append((moment, wall, local.fold))
            continue
        while latest < wall:
            latest += MINUTE
            if latest.time() in times and moment > after:
                found.append((moment, latest, 0))
    return found


def agree(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime, *, stepping: bool) -> None:
    got = [(slot.instant, slot.local.replace(fold=0), slot.local.fold) for slot in slots(schedule, zone, after, until)]
    assert got == watched(schedule, zone, after, until, stepping=stepping)
    table = compiled(schedule)
    assert table is not None
    back = [(slot.instant, slot.local.replace(fold=0), slot.local.fold) for slot in table.slots(zone, after, until, newest_first=True)]
    assert back[::-1] == got
    assert table.count(zone, after, until) == len(got)
    keys = [slot.key for slot in slots(schedule, zone, after, until)]
    assert len(set(keys)) == len(keys)
    assert [slot_of(slot.key, zone) for slot in slots(schedule, zone, after, until)] == list(slots(schedule, zone, after, until))


def sweep(zone: ZoneInfo, around: list[datetime], rng: random.Random) -> None:
    for change in around:
        after = change - timedelta(hours=rng.randint(2, 13), minutes=rng.randint(0, 59))
        until = change + timedelta(hours=rng.randint(2, 13), minutes=rng.randint(0, 59))
        for schedule in FIXED.values():
            agree(schedule, zone, after, until, stepping=False)
        for schedule in STEPPING.values():
            agree(schedule, zone, after, until, stepping=True)
        # and windows that begin and end inside the change itself
        near = change + timedelta(minutes=rng.randint(-70, 70))
        for schedule in FIXED.values():
            agree(schedule, zone, change, near + timedelta(hours=2), stepping=False)
            agree(schedule, zone, near - timedelta(hours=2), near, stepping=False)
        for schedule in STEPPING.values():
            agree(schedule, zone, near, near + timedelta(minutes=95), stepping=True)


NIGHTS = [
    ("Europe/Lisbon", 2026),
    ("America/Sao_Paulo", 2018),  # midnight itself is left out, and 23:00 comes twice
    ("Australia/Lord_Howe", 2026),  # half an hour
    ("Pacific/Apia", 2011),  # a whole day left out
    ("Africa/Casablanca", 2026),
    ("America/St_Johns", 2010),  # 00:01 back to 23:01 of the day before
    ("Atlantic/Azores", 2026),
    ("Asia/Kathmandu", 2026),
]


@pytest.mark.parametrize(("name", "year"), NIGHTS)
def test_slots_are_what_a_watched_clock_shows(name: str, year: int) -> None:
    """Fixed times run once at a gap's end and once in a fold; stepping lines follow elapsed time."""
    zone = ZoneInfo(name)
    found = [change.instant for change in changes(zone, datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, tzinfo=UTC))]
    sweep(zone, found or [datetime(year, 6, 1, tzinfo=UTC)], random.Random(name))


def zone_names() -> list[str]:
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(("posix", "right", "Etc", "SystemV")))


@pytest.mark.parametrize("name", random.Random(20261025).sample(zone_names(), 40))
def test_a_sample_of_zones_agrees_with_a_watched_clock(name: str) -> None:
    """Each zone's newest two changes."""
    zone = ZoneInfo(name)
    found = [change.instant for change in changes(zone, datetime(2005, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))]
    sweep(zone, found[-2:] or [datetime(2026, 3, 29, tzinfo=UTC)], random.Random(name))


@pytest.mark.soak
@pytest.mark.parametrize("name", zone_names())
def test_every_zone_agrees_with_a_watched_clock(name: str) -> None:
    """All changes since 1980 of all zones."""
    zone = ZoneInfo(name)
    found = [change.instant for change in changes(zone, datetime(1980, 1, 1, tzinfo=UTC), datetime(2030, 12, 31, tzinfo=UTC))]
    sweep(zone, [moment for moment in found if not moment.second], random.Random(name))


def keys(schedule: Schedule, zone: ZoneInfo, first: str, last: str) -> list[str]:
    low, high = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (first, last))
    return [slot.key for slot in slots(schedule, zone, low, high)]


def test_two_fixed_times_in_one_gap_both_run_at_its_end_under_their_own_names() -> None:
    schedule = Schedule(at=(time(1, 15), time(1, 30)))
    found = list(slots(schedule, LISBON, datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)))
    assert [slot.key for slot in found] == ["2026-03-29T01:15", "2026-03-29T01:30"]
    assert {slot.instant for slot in found} == {datetime(2026, 3, 29, 1, tzinfo=UTC)}


def test_a_day_that_a_zone_leaves_out_runs_once_at_the_midnight_after_it() -> None:
    apia = ZoneInfo("Pacific/Apia")
    found = list(slots(Schedule(at=NINE), apia, datetime(2011, 12, 29, tzinfo=apia), datetime(2012, 1, 1, tzinfo=apia)))
    assert [slot.key for slot in found] == ["2011-12-29T09:30", "2011-12-30T09:30", "2011-12-31T09:30"]
    assert found[1].instant == datetime(2011, 12, 31, tzinfo=apia)


def test_a_stepping_line_names_the_second_half_of_a_fold_apart() -> None:
    got = keys(Schedule(cron="*/30 * * * *"), LISBON, "2026-10-25T00:45", "2026-10-25T02:00")
    assert got == ["2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T01:00+fold", "2026-10-25T01:30+fold", "2026-10-25T02:00"]


def test_named_fields_are_anded() -> None:
    """Fridays the 13th, and no other Friday and no other 13th."""
    schedule = Schedule(at=NINE, weekdays=frozenset({5}), monthdays=frozenset({13}))
    assert keys(schedule, LISBON, "2026-01-01", "2027-01-01") == ["2026-02-13T09:30", "2026-03-13T09:30", "2026-11-13T09:30"]


def test_a_cron_line_keeps_crons_or_and_check_says_so() -> None:
    schedule = Schedule(cron="30 9 13 * 5")
    got = keys(schedule, LISBON, "2026-01-01", "2026-02-01")
    assert got == [f"2026-01-{day}T09:30" for day in ("02", "09", "13", "16", "23", "30")]
    assert "OR" in remarks(schedule)[0]
    assert not remarks(Schedule(cron="30 9 * * 5"))


def test_months_of_every_clamp_from_the_anchor() -> None:
    schedule = Schedule(every="1mo", start=date(2026, 1, 31))
    assert keys(schedule, LISBON, "2026-01-01", "2026-06-01") == [
        f"2026-{day}T09:00" for day in ("01-31", "02-28", "03-31", "04-30", "05-31")
    ]


@pytest.mark.parametrize("anchor", [date(2023, 12, 29), date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)])
@pytest.mark.parametrize("step", [1, 2, 3, 12])
def test_clamped_anchors_over_48_months(anchor: date, step: int) -> None:
    """Each occurrence is counted from the anchor with plain month arithmetic."""
    import calendar

    expected = []
    for number in range(0, 49, step):
        index = anchor.year * 12 + anchor.month - 1 + number
        year, month = index // 12, index % 12 + 1
        expected.append(date(year, month, min(anchor.day, calendar.monthrange(year, month)[1])))
    schedule = Schedule(every=f"{step}mo" if step != 12 else "1y", start=anchor, at=NINE)
    until = datetime.combine(expected[-1], time(23), tzinfo=LISBON)
    assert [slot.local.date() for slot in slots(schedule, LISBON, datetime(2020, 1, 1, tzinfo=UTC), until)] == expected


@pytest.mark.parametrize("every", ["1d", "3d", "14d", "2w", "5w", "100d", "400d"])
def test_days_of_every_count_plain_dates_from_start(every: str) -> None:
    start, step = date(2026, 1, 5), {"1d": 1, "3d": 3, "14d": 14, "2w": 14, "5w": 35, "100d": 100, "400d": 400}[every]
    expected = [start + timedelta(days=step * number) for number in range(1000 // step)]
    schedule = Schedule(every=every, start=start)
    until = datetime.combine(expected[-1], time(9), tzinfo=LISBON)
    assert [slot.local.date() for slot in slots(schedule, LISBON, datetime(2025, 1, 1, tzinfo=UTC), until)] == expected


def test_weekdays_still_filter_what_every_counts() -> None:
    schedule = Schedule(every="3d", start=date(2026, 1, 5), weekdays=frozenset({1, 2, 3, 4, 5}))
    got = [slot.local.isoweekday() for slot in slots(schedule, LISBON, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))]
    assert got
    assert set(got) <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize("weekdays", [None, frozenset({6, 7})])
def test_short_every_follows_elapsed_time(weekdays: frozenset[int] | None) -> None:
    """Seven-hour steps from the first day's midnight, over a gap and a fold, on the chosen local days only."""
    schedule = Schedule(every="7h", start=date(2026, 3, 20), end=date(2026, 11, 3), weekdays=weekdays)
    low, high = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    moment, expected = datetime(2026, 3, 20, tzinfo=LISBON).astimezone(UTC), []
    while (local := moment.astimezone(LISBON)).date() <= date(2026, 11, 3):
        if weekdays is None or local.isoweekday() in weekdays:
            expected.append((moment, local.replace(tzinfo=None)))
        moment += timedelta(hours=7)
    assert [(slot.instant, slot.local) for slot in slots(schedule, LISBON, low, high)] == expected
    table = compiled(schedule)
    assert table is not None
    assert table.count(LISBON, low, high) == len(expected)
    assert [slot.instant for slot in table.slots(LISBON, low, high, newest_first=True)] == [instant for instant, _ in reversed(expected)]


def test_start_and_end_are_the_first_and_the_last_day() -> None:
    schedule = Schedule(at=NINE, start=date(2026, 12, 1), end=date(2026, 12, 3))
    assert keys(schedule, LISBON, "2026-01-01", "2027-12-31") == ["2026-12-01T09:30", "2026-12-02T09:30", "2026-12-03T09:30"]
    assert next_fire(schedule, LISBON, datetime(2026, 12, 3, 9, 30, tzinfo=UTC)) is None


def test_the_next_slot_is_later_than_the_moment_asked_about() -> None:
    first = next_fire(Schedule(at=NINE), LISBON, datetime(2026, 12, 24, 9, 29, 59, tzinfo=UTC))
    assert first is not None
    assert first.key == "2026-12-24T09:30"
    second = next_fire(Schedule(at=NINE), LISBON, first.instant)
    assert second is not None
    assert second.key == "2026-12-25T09:30"
    assert next_fire(Schedule(realtime=True), LISBON, first.instant) is None


def test_a_rare_day_is_found() -> None:
    """29 February on a Monday, after 2100 has left its own out."""
    slot = next_fire(
        Schedule(at=NINE, weekdays=frozenset({1}), monthdays=frozenset({29}), months=frozenset({2})),
        LISBON,
        datetime(2072, 3, 1, tzinfo=UTC),
    )
    assert slot is not None
    assert slot.local.date() == date(2112, 2, 29)


CRONS = [
    "30 9 * * *", "0 0 1 * *", "0 0 29 2 *", "15 8 1,15 * 1-5", "0 7 * 1,6 0", "0 7 * * 7", "0 7 */2 * 1", "5 4 1-7 * sun", "0 9 L * *",
    "0 9 * * L5", "0 9 * * 1#2", "0 9 15W * *", "0 9 31 * *", "*/20 8-18 * * mon-fri", "0 12 1-31 * 1", "0 12 * 2-4/2 *", "@weekly", "@monthly", "0 9 */1 * 3",
]  # fmt: skip


@pytest.mark.parametrize("line", CRONS)
def test_days_of_a_cron_line_are_croniters(line: str) -> None:
    """Five years in UTC, where wall time and instants are the same."""
    low, high = datetime(2023, 12, 20), datetime(2028, 12, 31)
    walk, expected = croniter(line, low, ret_type=datetime), []
    while (moment := walk.get_next()) <= high:
        expected.append(moment)
    got = [slot.local for slot in slots(Schedule(cron=line), ZoneInfo("UTC"), low.replace(tzinfo=UTC), high.replace(tzinfo=UTC))]
    assert got == expected
    assert validate(Schedule(cron=line)) == []


def days(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        (Schedule(), "nothing says when"),
        (Schedule(cron="0 0 31 2 *"), "can never occur"),
        (Schedule(cron="0 0 * * * *"), "6 fields"),
        (Schedule(cron="0 0 * *"), "4 fields"),
        (Schedule(cron="61 0 * * *"), "out of range"),
        (Schedule(cron="a b c d e"), "cannot be run"),
        (Schedule(cron="H 3 * * *"), "by chance"),
        (Schedule(cron="@reboot"), "fields"),
        (Schedule(cron="0 9 * * *", weekdays=days(1)), "weekdays"),
        (Schedule(at=NINE, cron="0 9 * * *"), "at and cron are both set"),
        (Schedule(at=NINE, realtime=True), "at and realtime"),
        (Schedule(every="3m", start=date(2026, 1, 1)), "minutes or months"),
        (Schedule(every="soon", start=date(2026, 1, 1)), "not a span"),
        (Schedule(every="0d", start=date(2026, 1, 1)), "without end"),
        (Schedule(every="14d"), "start"),
        (Schedule(every="2h", at=NINE, start=date(2026, 1, 1)), "at has no effect"),
        (Schedule(every="2w", start=date(2026, 9, 14), weekdays=days(2)), "never fires"),
        (Schedule(at=NINE, monthdays=days(30, 31), months=days(2)), "days 30, 31 never come in Feb"),
        (Schedule(at=NINE, monthdays=days(31), start=date(2026, 2, 1), end=date(2026, 2, 28)), "between"),
        (Schedule(at=NINE, weekdays=days(0, 8)), "0, 8"),
        (Schedule(at=NINE, weekdays=days()), "empty"),
        (Schedule(at=NINE, monthdays=days(32)), "32"),
        (Schedule(at=NINE, start=date(2026, 2, 1), end=date(2026, 1, 1)), "before start"),
        (Schedule(at=(time(9, 30, 15),)), "seconds"),
    ],
)
def test_a_schedule_that_cannot_run_is_named_with_what_to_do(schedule: Schedule, word: str) -> None:
    problems = validate(schedule)
    assert any(word in problem for problem in problems), problems
    assert all(" → " in problem for problem in problems)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(at=NINE), "09:30 daily"),
        (
            Schedule(at=NINE, weekdays=days(1, 2, 3, 4, 5), start=date(2026, 12, 1), end=date(2027, 12, 31)),
            "09:30 Mon-Fri, from 2026-12-01 to 2027-12-31",
        ),
        (Schedule(at=(time(15), time(9)), monthdays=days(1, 15), months=days(1, 2, 3, 12)), "09:00, 15:00 on days 1, 15 in Jan-Mar, Dec"),
        (Schedule(every="14d", start=date(2026, 12, 1)), "every 14d at 09:00, from 2026-12-01"),
        (Schedule(every="30min", start=date(2026, 12, 1)), "every 30min, from 2026-12-01"),
        (Schedule(cron="@daily"), "cron 0 0 * * *"),
        (Schedule(realtime=True), "real time"),
    ],
)
def test_a_schedule_is_told_in_words(schedule: Schedule, words: str) -> None:
    assert describe(schedule) == words
    assert validate(schedule) == []


def test_without_a_schedule_a_model_runs_by_hand_alone() -> None:
    schedule = Schedule()
    assert describe(schedule) == "by hand"
    assert list(slots(schedule, LISBON, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))) == []
    assert next_fire(schedule, LISBON, datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_spans_are_read_with_or_without_a_space() -> None:
    assert every_of("30 min").elapsed == timedelta(minutes=30)
    assert every_of("2w").days == 14
    assert every_of("1y").months == 12
    with pytest.raises(UsageError):
        every_of("1.5h")


@pytest.mark.parametrize("key", ["", "tomorrow", "2026-10-25T01:30+foldx", "2026-10-25T01:30+00:00"])
def test_what_is_no_slot_is_refused(key: str) -> None:
    with pytest.raises(InputDataError):
        slot_of(key, LISBON)

"""What missed slots do: every policy against outages from a minute to sixty days, and what a ten-year outage costs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest

from libax_automate.engine.schedule import MOST, Due, Slot, due, slots
from libax_automate.engine.spec import Schedule
from libax_automate.model import Late

LISBON = ZoneInfo("Europe/Lisbon")
APIA = ZoneInfo("Pacific/Apia")
SCHEDULES = {
    "daily": Schedule(at=(time(9, 30),)),
    "twice a day": Schedule(at=(time(1, 30), time(15)), weekdays=frozenset({1, 2, 3, 4, 5})),
    "half hours": Schedule(cron="*/30 * * * *"),
    "fortnight": Schedule(every="14d", start=date(2026, 1, 1)),
    "seven hours": Schedule(every="7h", start=date(2026, 1, 1)),
}
OUTAGES = [
    timedelta(minutes=1),
    timedelta(minutes=31),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=17),
    timedelta(days=60),
]
ENDS = [datetime(2026, 3, 29, 12, 31, tzinfo=UTC), datetime(2026, 10, 25, 1, 31, tzinfo=UTC), datetime(2026, 7, 1, 23, 59, tzinfo=UTC)]
LIMITS = [None, timedelta(hours=5), timedelta(days=2)]


def all_slots(result: Due) -> list[Slot]:
    return sorted(
        [run.slot for run in result.runs] + list(result.missed) + list(result.covered), key=lambda slot: (slot.instant, slot.local)
    )


def test_nothing_is_due_in_real_time_or_before_the_bookmark() -> None:
    now = ENDS[0]
    assert due(Schedule(realtime=True), LISBON, bookmark=now - timedelta(days=1), now=now, late=Late.ALL) == Due()
    assert due(SCHEDULES["half hours"], LISBON, bookmark=now, now=now, late=Late.ALL) == Due()
    assert due(SCHEDULES["half hours"], LISBON, bookmark=now + timedelta(days=1), now=now, late=Late.ALL) == Due()


@pytest.mark.parametrize("limit", LIMITS, ids=str)
@pytest.mark.parametrize("outage", OUTAGES, ids=str)
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_slot_of_an_outage_is_run_covered_or_missed_exactly_once(name: str, outage: timedelta, limit: timedelta | None) -> None:
    schedule = SCHEDULES[name]
    for now in ENDS:
        bookmark = now - outage
        expected = list(slots(schedule, LISBON, bookmark, now))
        for late in Late:
            result = due(schedule, LISBON, bookmark=bookmark, now=now, late=late, late_limit=limit)
            named = all_slots(result)
            assert named == expected[len(expected) - len(named) :]
            assert len(named) + result.more_missed + result.more_covered == len(expected)
            if not expected:
                continue
            fresh = [slot for slot in expected if limit is None or slot.instant >= now - limit]
            ran = [run.slot for run in result.runs]
            if late is Late.SKIP:
                today = now.astimezone(LISBON).date()
                newest = expected[-1]
                assert ran == ([newest] if newest.instant.astimezone(LISBON).date() == today else [])
            elif late is Late.ALL:
                assert ran == fresh[-MOST:]
                assert all(run.first == run.last == run.slot.local.date() for run in result.runs)
            elif fresh:
                (run,) = result.runs
                assert (run.slot, run.first, run.last) == (fresh[-1], fresh[0].local.date(), fresh[-1].local.date())
                assert len(result.covered) + result.more_covered == len(fresh) - 1
                assert len(result.missed) + result.more_missed == len(expected) - len(fresh)
            else:
                assert result.runs == ()


@pytest.mark.parametrize("late", [Late.ONCE, Late.ALL])
def test_passes_one_after_the_other_leave_no_slot_out_and_take_none_twice(late: Late) -> None:
    """Over the autumn change, with passes at odd minutes."""
    schedule = SCHEDULES["half hours"]
    marks = [
        datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(minutes=minute)
        for minute in (0, 17, 18, 95, 121, 122, 180, 181, 240, 360, 361, 480)
    ]
    seen: list[str] = []
    for bookmark, now in pairwise(marks):
        seen += [slot.key for slot in all_slots(due(schedule, LISBON, bookmark=bookmark, now=now, late=late))]
    assert seen == [slot.key for slot in slots(schedule, LISBON, marks[0], marks[-1])]
    assert len(set(seen)) == len(seen) == 16


def test_a_birthday_slot_dies_at_midnight() -> None:
    schedule = SCHEDULES["daily"]
    bookmark = datetime(2026, 12, 20, tzinfo=UTC)
    evening = due(schedule, LISBON, bookmark=bookmark, now=datetime(2026, 12, 24, 23, 59, tzinfo=UTC), late=Late.SKIP)
    assert [run.slot.key for run in evening.runs] == ["2026-12-24T09:30"]
    assert len(evening.missed) == 4
    night = due(schedule, LISBON, bookmark=bookmark, now=datetime(2026, 12, 25, 0, 1, tzinfo=UTC), late=Late.SKIP)
    assert night.runs == ()
    assert len(night.missed) == 5


def test_once_answers_for_all_days_of_the_outage() -> None:
    result = due(
        SCHEDULES["daily"], LISBON, bookmark=datetime(2026, 12, 20, tzinfo=UTC), now=datetime(2026, 12, 24, 12, tzinfo=UTC), late=Late.ONCE
    )
    (run,) = result.runs
    assert (run.slot.key, run.first, run.last) == ("2026-12-24T09:30", date(2026, 12, 20), date(2026, 12, 24))
    assert result.missed == ()


def test_two_times_of_one_gap_both_run_with_skip() -> None:
    schedule = Schedule(at=(time(1, 15), time(1, 30)))
    result = due(
        schedule, LISBON, bookmark=datetime(2026, 3, 28, 12, tzinfo=UTC), now=datetime(2026, 3, 29, 1, 5, tzinfo=UTC), late=Late.SKIP
    )
    assert [run.slot.key for run in result.runs] == ["2026-03-29T01:15", "2026-03-29T01:30"]


def test_the_day_that_a_zone_left_out_still_runs_with_skip() -> None:
    """In Apia nobody lived through 2011-12-30; whoever has a birthday on it hears at the midnight after."""
    now = datetime(2011, 12, 31, 0, 5, tzinfo=APIA).astimezone(UTC)
    result = due(SCHEDULES["daily"], APIA, bookmark=now - timedelta(hours=2), now=now, late=Late.SKIP)
    (run,) = result.runs
    assert (run.slot.key, run.first, run.last) == ("2011-12-30T09:30", date(2011, 12, 30), date(2011, 12, 30))


@pytest.mark.parametrize("late", list(Late))
@pytest.mark.parametrize("limit", LIMITS, ids=str)
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="*/5 * * * *"),
        Schedule(every="5min", start=date(2010, 1, 1)),
        Schedule(every="5min", start=date(2010, 1, 1), weekdays=frozenset(range(1, 8))),
    ],
)
def test_ten_years_without_a_pass_are_counted_not_walked_through(schedule: Schedule, late: Late, limit: timedelta | None) -> None:
    now = datetime(2026, 10, 4, 12, 1, tzinfo=UTC)
    bookmark = datetime(2016, 10, 4, 12, 1, tzinfo=UTC)
    total = 3652 * 288  # as many hours are left out as come twice in ten whole years
    began = perf_counter()
    result = due(schedule, LISBON, bookmark=bookmark, now=now, late=late, late_limit=limit)
    assert perf_counter() - began < 5
    assert len(result.runs) + len(result.missed) + len(result.covered) + result.more_missed + result.more_covered == total
    assert max(len(result.runs), len(result.missed), len(result.covered)) <= MOST
    if late is Late.ONCE and limit is None:
        assert result.runs[0].first == date(2016, 10, 4)
        assert result.more_missed == 0


def test_instants_given_in_a_local_zone_are_reckoned_as_instants() -> None:
    """23:15 can be later than 23:45 on a night when the clock goes back; Python compares equal zones by the wall."""
    zone = ZoneInfo("America/Sao_Paulo")
    bookmark = datetime(2018, 2, 17, 23, 45, tzinfo=zone)
    now = datetime(2018, 2, 17, 23, 15, fold=1, tzinfo=zone)
    result = due(Schedule(cron="*/30 * * * *"), zone, bookmark=bookmark, now=now, late=Late.ALL)
    assert [run.slot.key for run in result.runs] == ["2018-02-17T23:00+fold"]
    with pytest.raises(ValueError, match="zone"):
        due(Schedule(cron="*/30 * * * *"), zone, bookmark=bookmark, now=datetime(2018, 2, 17, 23, 15), late=Late.ALL)

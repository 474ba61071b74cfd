"""The birthday model over records."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.model import Candidate, Late
from libax_automate.plugins.birthday import Birthday, BirthdayOptions, automate_models
from libax_automate.record import Record
from tests.plugins.list_run import ListRun


def born(day: Any, key: str = "1") -> Record:
    return Record("contacts", {"id": key, "birth_date": day})


def planned(*records: Record, first: date = date(2026, 12, 24), last: date | None = None, **options: Any) -> list[Candidate]:
    return list(Birthday(BirthdayOptions(**options)).plan(ListRun(records, first=first, last=last or first)))


@pytest.mark.req("IB-17")
def test_birthdays_of_the_day_are_found_with_the_age_they_turn() -> None:
    found = planned(born(date(1980, 12, 24), "1"), born(date(1980, 12, 25), "2"), born(None, "3"), born(date(2000, 12, 24), "4"))
    assert [(each.record.id, each.extra["age"], each.occasion, each.why) for each in found] == [
        ("1", 46, "2026-12-24", "turns 46 on 2026-12-24"),
        ("4", 26, "2026-12-24", "turns 26 on 2026-12-24"),
    ]


@pytest.mark.req("LX-46")
def test_days_before_writes_ahead_and_keeps_the_occasion_of_the_birthday() -> None:
    found = planned(born(date(1980, 12, 25)), born(date(1980, 12, 24)), days_before=1)
    assert [(each.occasion, each.extra["age"]) for each in found] == [("2026-12-25", 46)]
    over_new_year = planned(born(date(1980, 1, 2)), first=date(2026, 12, 30), days_before=3)
    assert [(each.occasion, each.extra["age"]) for each in over_new_year] == [("2027-01-02", 47)]


@pytest.mark.parametrize(
    ("policy", "year", "kept"),
    [
        ("feb28", 2026, "2026-02-28"),
        ("mar1", 2026, "2026-03-01"),
        ("leap-only", 2026, None),
        ("feb28", 2028, "2028-02-29"),
        ("mar1", 2028, "2028-02-29"),
        ("leap-only", 2028, "2028-02-29"),
        ("feb28", 2100, "2100-02-28"),
    ],
)
def test_29_february_is_kept_once_a_year_by_its_policy(policy: str, year: int, kept: str | None) -> None:
    day, found = date(year, 2, 1), []
    while day < date(year, 4, 1):
        found += planned(born(date(2000, 2, 29)), first=day, feb29=policy)
        day += timedelta(days=1)
    assert [each.occasion for each in found] == ([kept] if kept else [])


def test_28_february_is_not_shared_in_a_leap_year() -> None:
    assert planned(born(date(2000, 2, 29)), first=date(2028, 2, 28)) == []


def test_a_span_of_days_loses_nobody_and_names_each_day() -> None:
    records = [born(date(1990, 12, day), str(day)) for day in (20, 21, 24, 25)]
    found = planned(*records, first=date(2026, 12, 21), last=date(2026, 12, 24))
    assert [each.occasion for each in found] == ["2026-12-21", "2026-12-24"]
    assert len(planned(*records, first=date(2024, 1, 1), last=date(2026, 12, 31))) == 4, "of years, the latest birthday"


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2026, 12, 24), "birth_date 2026-12-24 is not in the past"),
        (date(2030, 12, 24), "birth_date 2030-12-24 is not in the past"),
        (date(1880, 12, 24), "birth_date 1880-12-24 would make 146 years"),
    ],
)
def test_impossible_ages_are_listed_with_their_reason(day: date, reason: str) -> None:
    assert [each.excluded for each in planned(born(day))] == [reason]


def test_an_instant_of_birth_counts_on_the_local_calendar() -> None:
    assert [each.occasion for each in planned(born(datetime(1990, 7, 23, 23, 30, tzinfo=UTC)), first=date(2026, 7, 24))] == ["2026-07-24"]


def test_a_missed_birthday_is_skipped_and_a_late_one_expires_with_its_day() -> None:
    assert (Birthday.late, Birthday.expires, Birthday.reads(Birthday(BirthdayOptions()))) == (Late.SKIP, "day", ("birth_date",))
    assert automate_models() == [Birthday]


@pytest.mark.parametrize("options", [{"days_before": -1}, {"days_before": 61}, {"feb29": "never"}, {"days": 1}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BirthdayOptions(**options)

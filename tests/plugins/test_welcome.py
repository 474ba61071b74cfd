"""The welcome model over records."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.model import Candidate
from libax_automate.plugins.welcome import Welcome, WelcomeOptions, automate_models
from libax_automate.record import Record
from tests.plugins.list_run import NOW, ListRun

SEEN = NOW - timedelta(days=10)


def made(created: Any, key: str = "1") -> Record:
    return Record("contacts", {"id": key, "created_at": created})


def planned(*records: Record, since: datetime = SEEN, bookmark: datetime = NOW, baseline: bool = False, **options: Any) -> list[Candidate]:
    return list(Welcome(WelcomeOptions(**options)).plan(ListRun(records, since=since, bookmark=bookmark, baseline=baseline)))


@pytest.mark.req("LX-23")
def test_who_is_new_since_the_bookmark_is_found() -> None:
    found = planned(made(NOW - timedelta(days=5), "old"), made(NOW - timedelta(hours=1), "new"), made(None, "unknown"))
    assert [(each.record.id, each.occasion, each.baseline, each.why) for each in found] == [
        ("new", "created", False, "registered on 2026-12-24 08:30")
    ]


def test_nobody_from_before_the_first_sight_is_ever_found() -> None:
    records = [made(SEEN, "at"), made(SEEN - timedelta(seconds=1), "before"), made(SEEN + timedelta(seconds=1), "after")]
    assert [each.record.id for each in planned(*records, bookmark=SEEN)] == ["after"]


def test_the_lookback_meets_those_who_reach_the_source_late() -> None:
    record = made(NOW - timedelta(hours=30))
    assert len(planned(record)) == 1
    assert len(planned(record, lookback="24h")) == 0
    assert len(planned(record, lookback="1w")) == 1


def test_on_the_first_pass_those_of_today_are_only_written_down() -> None:
    found = planned(made(date(2026, 12, 24), "today"), made(date(2026, 12, 23), "yesterday"), since=NOW, baseline=True)
    assert [(each.record.id, each.baseline) for each in found] == [("today", True)]


def test_a_registration_known_to_the_day_is_found_on_and_after_the_first_day() -> None:
    records = [made(date(2026, 12, 24), "today"), made(date(2026, 12, 25), "tomorrow"), made(date(2026, 12, 23), "yesterday")]
    assert [each.record.id for each in planned(*records, since=NOW)] == ["today", "tomorrow"]


def test_another_field_may_tell() -> None:
    record = Record("contacts", {"id": "1", "joined": datetime(2026, 12, 24, 9, tzinfo=UTC)})
    assert len(planned(record, field="joined")) == 1
    assert Welcome(WelcomeOptions(field="joined")).reads() == ("joined",)


def test_welcome_runs_in_real_time_and_has_a_bookmark() -> None:
    assert Welcome.realtime
    assert Welcome.bookmarked
    assert automate_models() == [Welcome]


@pytest.mark.parametrize("lookback", ["", "2", "two days", "-1d", "2y"])
def test_a_lookback_that_is_no_span_is_refused(lookback: str) -> None:
    with pytest.raises(ValidationError):
        WelcomeOptions(lookback=lookback)

"""Spans, paces, times and sets of days as people write them."""

from __future__ import annotations

import contextlib
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate.engine.profile.days import monthdays_of, months_of, report_of, weekdays_of
from libax_automate.engine.profile.span import quiet_of, rate_of, span_of, time_of
from libax_automate.engine.spec import Quiet, Rate


@pytest.mark.parametrize(
    ("text", "span"),
    [("1d", timedelta(1)), ("14d", timedelta(14)), ("2h", timedelta(hours=2)), ("30m", timedelta(minutes=30)), ("30 min", timedelta(minutes=30)),
     ("2w", timedelta(14)), ("45s", timedelta(seconds=45)), (" 1D ", timedelta(1))],
)  # fmt: skip
def test_spans(text: str, span: timedelta) -> None:
    assert span_of(text) == span


@pytest.mark.parametrize("text", ["", "d", "1", "1x", "-1d", "1.5d", "9999999d", "1d1h", "١d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no span"):
        span_of(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10/s", Rate(10, 1)), ("100/min", Rate(100, 60)), ("1000/h", Rate(1000, 3600)), ("300/d", Rate(300, 86400)), ("1/10s", Rate(1, 10))],
)
def test_paces(text: str, rate: Rate) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["", "0/s", "10", "/s", "10/", "10/x", "-1/s", "10/0s", "10/00s"])
def test_what_is_no_pace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no pace"):
        rate_of(text)


@pytest.mark.parametrize(
    ("text", "moment"), [("09:30", time(9, 30)), ("9:30", time(9, 30)), ("9h30", time(9, 30)), ("18h", time(18)), (time(7, 5), time(7, 5))]
)
def test_times_of_day(text: Any, moment: time) -> None:
    assert time_of(text) == moment


@pytest.mark.parametrize("text", ["", "24:00", "9:60", "930", "09:30:15", 930, None, time(9, 30, 1), "-1:00"])
def test_what_is_no_time_of_day_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="time of day"):
        time_of(text)


def test_quiet_hours_go_over_midnight() -> None:
    assert quiet_of("21:00-09:00") == Quiet(time(21), time(9))
    assert quiet_of("12h\u201314h") == Quiet(time(12), time(14))


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("1-5", {1, 2, 3, 4, 5}), ("1,3,5", {1, 3, 5}), ([1, "wed", "5-6"], {1, 3, 5, 6}), (7, {7}),
        ("mon-fri", {1, 2, 3, 4, 5}), ("seg-sex", {1, 2, 3, 4, 5}), ("Segunda-feira a Sexta-feira", {1, 2, 3, 4, 5}), ("sáb, dom", {6, 7}),
        ("terça", {2}), ("TER", {2}), ("qua,qui", {3, 4}), ("6-1", {6, 7, 1}), ("sex-seg", {5, 6, 7, 1}), ("thursday", {4}),
    ],
)  # fmt: skip
def test_weekdays_in_two_languages_numbers_and_ranges(written: Any, days: set[int]) -> None:
    assert weekdays_of(written) == frozenset(days)


def test_todos_and_a_full_range_mean_all() -> None:
    for written in ("all", "Todos", "todas", "*", "1-7", [1, "todos"], "3-2"):
        assert weekdays_of(written) is None
    assert monthdays_of("Todos") is None
    assert monthdays_of("1-31") is None
    assert months_of("jan-dez") is None


def test_months_and_month_days() -> None:
    assert months_of("fev, abr-jun, set") == frozenset({2, 4, 5, 6, 9})
    assert months_of("nov-fev") == frozenset({11, 12, 1, 2})
    assert months_of(["May", 10]) == frozenset({5, 10})
    assert monthdays_of("1-3,28") == frozenset({1, 2, 3, 28})


@pytest.mark.parametrize(
    ("written", "why"),
    [("0", "1 = Monday"), ("8", "1 = Monday"), ("mnday", "did you mean 'monday'"), ("s", "no weekday"), ("se", "no weekday"), ([], "would never run"),
     ("1-2-3", "no range"), (1.5, "written as"), (True, "written as"), ([[1]], "would never run"), ("12345678901", "no weekday"), ("-", "no weekday")],
)  # fmt: skip
def test_what_is_no_weekday_is_refused_with_a_reason(written: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        weekdays_of(written)


def test_the_report_needs_one_weekday_and_a_time() -> None:
    assert report_of("mon 08:00") == (1, time(8))
    assert report_of("Sex 18h") == (5, time(18))
    for text in ("", "mon", "08:00", "all 08:00", "mon-tue 08:00", "mon  "):
        with pytest.raises(ValueError, match=r"report|time of day|weekday"):
            report_of(text)


@given(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.lists(st.one_of(st.integers(), st.text(max_size=5)))))
def test_whatever_is_written_gives_days_in_range_or_a_value_error(written: Any) -> None:
    for function, high in ((weekdays_of, 7), (monthdays_of, 31), (months_of, 12)):
        try:
            days = function(written)
        except ValueError:
            continue
        assert days is None or (days and all(1 <= day <= high for day in days))


@given(st.text(max_size=20))
def test_whatever_text_is_written_gives_a_quantity_or_a_value_error(text: str) -> None:
    for function in (span_of, rate_of, time_of, quiet_of, report_of):
        with contextlib.suppress(ValueError):
            function(text)

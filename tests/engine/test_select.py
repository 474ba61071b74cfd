"""The typed query applied to records as they stream by."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate.engine.select import chooser, dated, matches
from libax_automate.record import Anniversary, BadRow, Query, Record, Since, Span

LISBON = ZoneInfo("Europe/Lisbon")


def person(**fields: Any) -> Record:
    return Record("contacts", {"id": "7", **fields})


@pytest.mark.parametrize(
    ("born", "found"),
    [
        (date(1980, 12, 24), True),
        (date(1980, 12, 25), False),
        (datetime(1980, 12, 23, 23, 59, tzinfo=UTC), False),
        (datetime(1980, 7, 23, 23, 30, tzinfo=UTC), True),
        (None, False),
        ("1980-12-24", False),
    ],
)
def test_an_anniversary_is_a_month_and_a_day_on_the_local_calendar(born: Any, found: bool) -> None:
    query = Query(anniversary=Anniversary("birth_date", frozenset({(12, 24), (7, 24)})))
    assert matches(query, person(birth_date=born), LISBON) is found
    assert not matches(query, person(), LISBON)


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (date(2026, 7, 1), date(2026, 7, 1), True),
        (None, date(2026, 7, 1), True),
        (date(2026, 7, 1), None, True),
        (None, None, True),
        (date(2026, 7, 2), None, False),
        (None, date(2026, 6, 30), False),
    ],
)
def test_a_span_includes_both_of_its_ends(first: date | None, last: date | None, found: bool) -> None:
    query = Query(span=Span("due", first, last))
    assert matches(query, person(due=date(2026, 7, 1)), LISBON) is found
    assert matches(query, person(due=datetime(2026, 6, 30, 23, 30, tzinfo=UTC)), LISBON) is found, "00:30 in Lisbon"
    assert not matches(query, person(due=None), LISBON)


@pytest.mark.parametrize(
    ("created", "found"),
    [
        (datetime(2026, 7, 1, 8, 0, tzinfo=UTC), False),
        (datetime(2026, 7, 1, 8, 0, 1, tzinfo=UTC), True),
        (datetime(2026, 7, 1, 9, 0, 1), True),  # naive: local
        (datetime(2026, 7, 1, 9, 0), False),
        (date(2026, 7, 1), True),
        (date(2026, 6, 30), False),
        (None, False),
    ],
)
def test_since_is_later_than_and_a_mere_day_counts_from_its_start(created: Any, found: bool) -> None:
    query = Query(since=Since("created_at", datetime(2026, 7, 1, 8, 0, tzinfo=UTC)))
    assert matches(query, person(created_at=created), LISBON) is found


def test_the_day_of_since_is_the_local_day() -> None:
    query = Query(since=Since("created_at", datetime(2026, 6, 30, 23, 30, tzinfo=UTC)))
    assert not matches(query, person(created_at=date(2026, 6, 30)), LISBON), "23:30 UTC is 1 July in Lisbon"
    assert matches(query, person(created_at=date(2026, 7, 1)), LISBON)


def test_equals_allows_values_lists_and_related_records() -> None:
    record = person(status="active", tags=("vip", "porto"), partner=Record("partners", {"id": "17"}), number=5)
    for field, allowed, found in [
        ("status", {"active", "x"}, True),
        ("status", {"inactive"}, False),
        ("tags", {"porto"}, True),
        ("tags", {"lisboa"}, False),
        ("partner", {"17"}, True),
        ("number", {"5"}, True),
        ("city", {""}, True),
        ("city", {"Porto"}, False),
    ]:
        assert matches(Query(equals={field: frozenset(allowed)}), record, LISBON) is found, field


def test_all_that_is_asked_must_hold() -> None:
    record = person(status="active", due=date(2026, 7, 1))
    span = Span("due", date(2026, 7, 1), date(2026, 7, 1))
    assert matches(Query(ids=frozenset({"7"}), span=span, equals={"status": frozenset({"active"})}), record, LISBON)
    assert not matches(Query(ids=frozenset({"8"}), span=span), record, LISBON)
    assert not matches(Query(ids=frozenset({"7"}), span=span, equals={"status": frozenset({"inactive"})}), record, LISBON)
    assert matches(Query(), record, LISBON)


ANSWERS = st.sampled_from(
    [None, "", "2026-12-24", "24/12/2026", "31/02/2026", "open", date(2026, 12, 24), date(1980, 12, 24), date(2026, 1, 1), datetime(2026, 12, 24, 0, 30, tzinfo=UTC), datetime(2026, 12, 23, 23, 59), 7, ("open", "x"), {"id": "open"}, "paid"]
)  # fmt: skip
ASKED = st.builds(
    Query,
    anniversary=st.sampled_from([None, Anniversary("due", frozenset({(12, 24)}))]),
    span=st.sampled_from([None, Span("due", date(2026, 12, 1), None), Span("paid_at", None, date(2026, 12, 24))]),
    since=st.sampled_from([None, Since("changed_at", datetime(2026, 12, 23, 12, tzinfo=UTC))]),
    equals=st.sampled_from([{}, {"status": frozenset({"open"})}, {"status": frozenset({""}), "tags": frozenset({"x"})}]),
    ids=st.sampled_from([None, frozenset({"1"}), frozenset({"2"})]),
)


@given(ASKED, st.dictionaries(st.sampled_from(["due", "paid_at", "changed_at", "status", "tags"]), ANSWERS), st.booleans())
def test_one_question_for_many_records_has_the_answer_of_the_two_it_replaces(query: Query, fields: dict[str, Any], bad: bool) -> None:
    problems = {"due": "no date", "status": "no word"} if bad else {}

    def record() -> Record:
        return Record("invoices", {"id": "1", **fields}, where="here:1", problems=problems)

    found = dated(query, record(), LISBON)
    expected = found if isinstance(found, BadRow) or matches(query, found, LISBON) else None
    choose = chooser(query, LISBON)
    assert (record() if choose is None else choose(record())) == expected

"""One look at one value: what may match passes, whatever cannot be read passes, and nothing that matches is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

import libax_automate as ax
from libax_automate.engine.select import matches
from libax_automate.normalise import Canonical
from libax_automate.sieve import sieve

LISBON = "Europe/Lisbon"
CONTACTS = Canonical("contacts", timezone=LISBON)

_DAYS = st.dates(date(1930, 1, 1), date(2030, 12, 31))
_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
_VALUES = st.one_of(
    st.none(),
    _DAYS,
    _DAYS.map(str),
    _DAYS.map(lambda day: f"{day:%d/%m/%Y}"),
    _MOMENTS,
    _MOMENTS.map(datetime.isoformat),
    st.sampled_from(["", " ", "31/31/1980", "soon", [], {}, 7, 0.5, True]),
)
_QUERIES = st.one_of(
    _DAYS.map(lambda day: ax.Query(anniversary=ax.Anniversary("birth_date", frozenset({(day.month, day.day)})))),
    st.tuples(_DAYS, _DAYS).map(lambda ends: ax.Query(span=ax.Span("created_at", min(ends), max(ends)))),
    _MOMENTS.map(lambda moment: ax.Query(since=ax.Since("changed_at", moment))),
    st.sampled_from(["7", "0.5", "soon"]).map(lambda name: ax.Query(ids=frozenset({name}))),
)


@given(query=_QUERIES, value=_VALUES)
def test_nothing_that_matches_is_lost(query: ax.Query, value: object) -> None:
    """Whatever a source holds: what the engine would select comes through."""
    chosen = sieve(query, CONTACTS, LISBON)
    assert chosen is not None
    field, keeps = chosen
    record = CONTACTS({field: value})
    if matches(query, record, ZoneInfo(LISBON)):
        assert keeps(value)
    assert keeps(value) == keeps(value)


def test_what_does_not_match_is_passed_over() -> None:
    """Days by the profile's zone; nothing for nothing; what cannot be read is for the engine to name."""
    christmas = ax.Query(anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)})))
    _, keeps = sieve(christmas, CONTACTS, LISBON) or ("", bool)
    assert [keeps(text) for text in ("1980-12-24", "24/12/1990", "1980-12-25", "", None, "x", [1])] == [
        True,
        True,
        False,
        False,
        False,
        True,
        True,
    ]
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    field, later = sieve(ax.Query(since=ax.Since("created_at", moment)), CONTACTS, LISBON) or ("", bool)
    assert field == "created_at"
    assert [later(value) for value in (moment, moment + timedelta(seconds=1), "2026-07-01", "2026-06-30", "2026-07-01T13:00:01")] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_a_field_of_ones_own_is_not_judged() -> None:
    """Nobody knows how its values are written."""
    assert sieve(ax.Query(since=ax.Since("contrato", datetime(2026, 7, 1, tzinfo=UTC))), CONTACTS, LISBON) is None
    assert sieve(ax.Query(), CONTACTS, LISBON) is None

"""The partner-notes model: who gets a note, about which commissions, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate.model import Candidate
from libax_automate.plugins.partner_notes import PartnerNotes, PartnerNotesOptions, Period, last_period, period_name, period_of, totals_of
from libax_automate.record import Money, Record
from libax_automate.testing import ModelContract, PlannedRun

NORTE = Record("partners", {"id": "17", "name": "Mediadora Norte", "email": "norte@example.com"})
SUL = Record("partners", {"id": "18", "name": "Mediadora Sul", "email": "sul@example.com"})
SINCE = datetime(2026, 11, 2, 9, tzinfo=ZoneInfo("Europe/Lisbon"))


def commission(id_: str, partner: object = "17", day: object = date(2026, 11, 15), amount: str | None = "50.00", **more: Any) -> Record:
    fields = {"id": id_, "partner": partner, "date": day, "amount": Money.of(amount, "EUR") if amount else None, "currency": "EUR", **more}
    return Record("commissions", fields, where=f"comissoes.csv:{id_}")


def run(*records: Record, day: date = date(2026, 12, 1), **more: Any) -> PlannedRun:
    return PlannedRun([NORTE, SUL, *records], entity="commissions", **{"day": day, "since": SINCE, **more})


def notes(planned: PlannedRun, **options: Any) -> list[Candidate]:
    return [item for item in PartnerNotes(PartnerNotesOptions(**options)).plan(planned) if isinstance(item, Candidate)]


def told(found: list[Candidate]) -> list[tuple[str, tuple[str, ...]]]:
    """(partner, commissions) of each note."""
    return [((each.recipient or each.record).id, each.document.records) for each in found if each.document and not each.excluded]


def reasons(found: list[Candidate]) -> list[str]:
    return [each.excluded for each in found if each.excluded]


class TestPartnerNotes(ModelContract):
    model = PartnerNotes
    records = (
        {"id": "1", "partner": NORTE, "date": "2026-11-15", "amount": "50.00", "currency": "EUR"},
        {"id": "2", "partner": SUL, "date": "2026-12-15", "amount": "50.00", "currency": "EUR"},
        {"id": "3", "partner": NORTE, "date": "2026-11-16", "base": "100.00", "rate": "5", "currency": "EUR"},
    )
    day = date(2026, 12, 24)
    expected = ("17",)

    def run(self, **changes: Any) -> PlannedRun:
        return super().run(**{"since": SINCE, **changes})


@pytest.mark.req("LX-30")
def test_one_note_for_each_partner_with_all_commissions_of_the_last_whole_month() -> None:
    found = notes(run(commission("1"), commission("2", "18"), commission("3"), commission("4", day=date(2026, 12, 1))))
    assert told(found) == [("17", ("1", "3")), ("18", ("2",))]
    first = found[0]
    assert (first.occasion, first.why) == ("2026-11 EUR", "note for 2026-11: 2 commissions, 100.00 EUR")
    assert [line["id"] for line in first.extra["lines"]] == ["1", "3"]
    assert (first.extra["period_start"], first.extra["period_end"]) == (date(2026, 11, 1), date(2026, 11, 30))
    assert first.document is not None
    assert (first.document.total, first.document.total.currency, first.document.period) == (Decimal("100.00"), "EUR", "2026-11")


@pytest.mark.req("LX-30")
def test_a_commission_that_is_on_a_note_comes_on_no_other_and_a_late_one_on_the_next() -> None:
    rows = commission("1"), commission("2"), commission("3", day=date(2026, 12, 10))
    assert told(notes(run(*rows, day=date(2027, 1, 1), documents={"1": "NP 2026/1"}))) == [("17", ("2", "3"))]
    assert notes(run(*rows, day=date(2027, 1, 1), documents=dict.fromkeys("123", "NP 2026/1"))) == []


def test_what_was_earned_before_the_model_is_not_noted_and_said_of_the_period_at_hand() -> None:
    old, older = commission("1", day=date(2026, 10, 31)), commission("2", day=date(2026, 9, 1))
    found = notes(run(old, older, day=date(2026, 11, 20)))
    assert told(found) == []
    assert reasons(found) == ["commission 1: dated 2026-10-31, before 2026-11-01: since = … says from when on commissions count"]
    assert told(notes(run(old, older, day=date(2026, 11, 20)), since=date(2026, 9, 1))) == [("17", ("2", "1"))]


def test_two_currencies_are_two_notes() -> None:
    reais = Record("commissions", {**commission("2"), "amount": Money.of("9.00", "BRL"), "currency": "BRL"})
    found = notes(run(commission("1"), reais))
    assert [(each.occasion, str(each.extra["total"])) for each in found] == [("2026-11 EUR", "50.00"), ("2026-11 BRL", "9.00")]


def test_an_amount_that_is_missing_follows_from_base_and_rate() -> None:
    for rate, amount in (("5", "61.73"), ("7,125", "87.96"), ("7.125 %", "87.96"), ("0", "0.00")):
        found = notes(run(commission("1", amount=None, base=Money.of("1234.56", "EUR"), rate=rate), commission("2")))
        assert str(found[0].extra["lines"][0]["amount"]) == amount


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (commission("1", amount=None), "has neither an amount nor base and rate"),
        (commission("1", amount=None, base=Money.of("5.00"), rate="five"), "has neither an amount nor base and rate"),
        (commission("1", ""), "has no partner"),
        (
            Record("commissions", {**commission("1"), "amount": None}, problems={"amount": "'x' is no amount"}),
            "amount not valid: 'x' is no amount",
        ),
    ],
)
def test_what_cannot_be_read_is_named_and_does_not_keep_the_rest_from_being_noted(record: Record, why: str) -> None:
    found = notes(run(record, commission("2")))
    assert reasons(found) == [f"commission 1: {why}"]
    assert told(found) == [("17", ("2",))]


def test_a_partner_who_is_not_there_or_owes_more_than_he_earned_gets_none() -> None:
    assert reasons(notes(run(commission("1", "99")))) == ["its partner 99 is not in the source"]
    returned = run(commission("1"), commission("2", amount="-60.00"))
    assert reasons(notes(returned)) == ["total -10.00 is below 0.01: it waits for the next period"]
    assert told(notes(run(commission("1")), min_total=Decimal(50))) == [("17", ("1",))]
    assert reasons(notes(run(commission("1")), min_total=Decimal("50.01"))) != []


def test_partners_may_be_kept_by_another_app_and_may_have_rates_of_their_own() -> None:
    east = {"id": "40", "name": "Mediadora Este", "email": "este@example.com", "withholding": "11,5", "vat": ""}
    found = notes(
        run(commission("1", "40"), others={("crm", "partners"): [Record("partners", east)]}), partners="crm", vat=23, withholding=25
    )
    assert {name: str(found[0].extra[name]) for name in ("vat", "withheld", "total", "withholding_rate")} == {
        "vat": "11.50", "withheld": "5.75", "total": "55.75", "withholding_rate": "11.5",
    }  # fmt: skip
    wrong = Record("partners", {**east, "vat": "a lot"})
    assert reasons(notes(run(commission("1", wrong)))) == ["its vat 'a lot' is no percentage"]


def test_only_what_has_the_named_words_counts() -> None:
    rows = commission("1", status="paid"), commission("2", status="open")
    assert told(notes(run(*rows), only={"status": ["paid"]})) == [("17", ("1",))]


def test_the_story_tells_of_each_commission_where_it_is() -> None:
    rows = [commission("1", document="FT 1"), commission("2"), commission("3", day=date(2026, 10, 1))]
    story = list(PartnerNotes(PartnerNotesOptions()).story(run(*rows, documents={"1": "NP 2026/1"}), rows))
    assert story == [
        "2026-11-15 FT 1: 50.00 EUR: on NP 2026/1",
        "2026-11-15 2: 50.00 EUR: on no note yet",
        "2026-10-01 3: 50.00 EUR: before 2026-11-01, on no note",
    ]


@pytest.mark.parametrize(
    ("period", "day", "first", "last", "name"),
    [
        ("day", date(2027, 1, 1), date(2026, 12, 31), date(2026, 12, 31), "2026-12-31"),
        ("week", date(2027, 1, 4), date(2026, 12, 28), date(2027, 1, 3), "2026-W53"),
        ("week", date(2027, 1, 3), date(2026, 12, 21), date(2026, 12, 27), "2026-W52"),
        ("month", date(2027, 1, 1), date(2026, 12, 1), date(2026, 12, 31), "2026-12"),
        ("month", date(2028, 3, 31), date(2028, 2, 1), date(2028, 2, 29), "2028-02"),
        ("quarter", date(2027, 1, 1), date(2026, 10, 1), date(2026, 12, 31), "2026-Q4"),
        ("quarter", date(2026, 12, 31), date(2026, 7, 1), date(2026, 9, 30), "2026-Q3"),
        ("year", date(2027, 6, 1), date(2026, 1, 1), date(2026, 12, 31), "2026"),
    ],
)
def test_periods_end_where_the_calendar_says(period: Period, day: date, first: date, last: date, name: str) -> None:
    assert last_period(period, day) == (first, last)
    assert period_name(period, first) == name


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.sampled_from(["day", "week", "month", "quarter", "year"]))
def test_every_day_lies_in_one_period_and_the_last_ended_the_day_before(day: date, period: Period) -> None:
    first, last = period_of(period, day)
    assert first <= day <= last
    assert period_of(period, first) == period_of(period, last) == (first, last)
    before = last_period(period, day)
    assert (first - before[1]).days == 1
    assert period_name(period, before[0]) < period_name(period, first)


AMOUNTS = st.decimals("-9999.9999", "99999.9999", places=4)
RATES = st.decimals(0, 100, places=3)


@pytest.mark.req("LX-30")
@given(st.lists(st.tuples(st.sampled_from(["17", "18"]), AMOUNTS), max_size=30), RATES, RATES)
def test_totals_are_exact_to_the_cent_and_every_commission_is_on_one_note(
    rows: list[tuple[str, Decimal]], vat: Decimal, withholding: Decimal
) -> None:
    """Against sums in whole cents, by integers alone."""
    records = [commission(str(n), partner, amount=str(amount)) for n, (partner, amount) in enumerate(rows, 1)]
    found = notes(run(*records), vat=vat, withholding=withholding)
    placed = [name for each in found if each.document for name in each.document.records]
    assert sorted(placed) == sorted(record.id for record in records)
    for each in found:
        assert each.document is not None
        cents = [_cents(rows[int(name) - 1][1]) for name in each.document.records]
        subtotal = sum(cents)
        taxes = [_share(subtotal, rate) for rate in (vat, withholding)]
        shown: Mapping[str, Any] = each.extra
        assert sorted(_whole(line["amount"]) for line in shown["lines"]) == sorted(cents)
        assert [_whole(shown[name]) for name in ("subtotal", "vat", "withheld", "total")] == [
            subtotal, *taxes, subtotal + taxes[0] - taxes[1],
        ]  # fmt: skip
        assert _whole(each.document.total) == _whole(shown["total"])
        assert (each.excluded is None) == (_whole(shown["total"]) >= 1)


def _cents(amount: Decimal) -> int:
    """Ten-thousandths in whole cents, half up away from zero."""
    tenths = int(amount.scaleb(4).to_integral_value(ROUND_HALF_UP))
    whole, rest = divmod(abs(tenths), 100)
    return (whole + (rest >= 50)) * (1 if tenths >= 0 else -1)


def _share(cents: int, rate: Decimal) -> int:
    """``rate`` percent, of which it has thousandths."""
    product = cents * int(rate.scaleb(3))
    whole, rest = divmod(abs(product), 100_000)
    return (whole + (2 * rest >= 100_000)) * (1 if product >= 0 else -1)


def _whole(money: Decimal) -> int:
    assert money.as_tuple().exponent == -2, money
    return int(money.scaleb(2))


def test_half_a_cent_of_tax_is_rounded_up() -> None:
    totals = totals_of([Decimal("0.10"), Decimal("0.10")], Decimal("2.5"), Decimal("2.4"))
    assert (totals.subtotal, totals.vat, totals.withheld, totals.total) == tuple(map(Decimal, ("0.20", "0.01", "0.00", "0.21")))

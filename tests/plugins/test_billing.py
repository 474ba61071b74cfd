"""The billing model: where an invoice stands on its ladder, in lists of records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libax_automate.model import Candidate, Sent, SentState, Step, covered, covering
from libax_automate.plugins.billing import Billing, automate_models
from libax_automate.plugins.billing_options import STAGES, BillingOptions, BillingStep
from libax_automate.plugins.billing_when import Days, When, when_of
from libax_automate.record import Money, Record
from libax_automate.testing import ModelContract
from libax_automate.testing.run import PlannedRun
from tests.plugins.list_run import ListRun

DUE = date(2026, 12, 10)
START = datetime(2026, 1, 1, 9, tzinfo=UTC)
LADDER = ("lembrete", "aviso", "pendencia", "agendar")


def invoice(key: str = "1", due: date | None = DUE, status: str = "open", customer: str = "7", **fields: Any) -> Record:
    values = {"id": key, "number": f"FT {key}", "customer": customer, "due": due, "status": status, "balance": Money.of("50.00", "EUR")}
    return Record("invoices", {**values, "amount": Money.of("50.00", "EUR"), **fields}, where=f"faturas.csv:{key}")


ANA = Record("contacts", {"id": "7", "name": "Ana", "mobile": "+351910000007"})


def model(*steps: str | dict[str, Any], **options: Any) -> Billing:
    made = []
    for each in steps or LADDER:
        table = {"name": each} if isinstance(each, str) else dict(each)
        name = table.pop("name")
        made.append(Step(name, BillingStep.model_validate(table)))
    return Billing(BillingOptions(**options), made)


def sent(day: date, state: SentState = SentState.SENT, void: int = 0) -> Sent:
    return Sent(day, state, "M1", void)


def planned(
    billing: Billing,
    day: date,
    *records: Record,
    said: Mapping[str, Mapping[str, Sent]] | None = None,
    since: datetime = START,
    first: date | None = None,
) -> list[Candidate]:
    run = ListRun([*(records or (invoice(),)), ANA], first=first or day, last=day, since=since)
    run.said = {key: dict(value) for key, value in (said or {}).items()}
    return list(billing.plan(run))


def steps(found: list[Candidate]) -> list[tuple[str, str]]:
    return [(each.occasion, each.step) for each in found if each.excluded is None]


def on(month: int, day: int) -> date:
    return date(2026, month, day)


# when


def test_each_stage_has_its_own_moment() -> None:
    assert STAGES["lembrete"] == "due - 3d"
    assert STAGES["cartorio"] == "previous + 15d"
    for day, step in ((on(12, 6), []), (on(12, 7), [("1", "lembrete")]), (on(12, 12), [("1", "aviso")])):
        assert steps(planned(model(), day)) == step
    assert steps(planned(model(), on(12, 17), said={"1": {"aviso": sent(on(12, 12))}})) == [("1", "pendencia")]
    assert steps(planned(model(), on(12, 16), said={"1": {"aviso": sent(on(12, 12))}})) == []


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("due", When("due")),
        ("due-3d", When("due", -3)),
        ("Due  + 2w", When("due", 14)),
        ("previous + 5d", When("previous", 5)),
        ("on paid", When("event", event="paid")),
    ],
)
def test_a_moment_is_read(text: str, when: When) -> None:
    assert when_of(text) == when
    assert when_of(str(when)) == when


@pytest.mark.parametrize("text", ["", "due + 2", "due 2d", "previous - 1d", "on friday", "after due", "due + 99999d", "2d"])
def test_what_is_no_moment_says_how_it_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"write"):
        when_of(text)


def test_business_days_leave_out_weekends_holidays_and_closed_days() -> None:
    days = Days(business=True, country="BR", subdivision="SP", closed=[on(10, 15)])
    assert days.shift(on(10, 9), 2) == on(10, 14)  # Friday; Monday 12 October is a holiday
    assert days.shift(on(10, 14), 1) == on(10, 16)
    assert days.shift(on(10, 13), -1) == on(10, 9)
    assert days.shift(on(10, 10), 0) == on(10, 13)
    assert Days(business=False).shift(on(10, 10), 2) == on(10, 12)


@given(start=st.dates(date(2020, 1, 1), date(2035, 12, 31)), count=st.integers(-40, 40))
def test_counting_business_days_there_and_back(start: date, count: int) -> None:
    days = Days(business=True, country="PT")
    there = days.shift(start, count)
    assert days.works(there)
    between = [start + timedelta(days=n) for n in range(1, (there - start).days + 1)] if count > 0 else []
    if count > 0:
        assert sum(map(days.works, between)) == count


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"days": "business"}, "whose holidays"),
        ({"subdivision": "SP"}, "country"),
        ({"country": "QQ"}, "QQ"),
        ({"country": "BR", "subdivision": "XX"}, "XX"),
        ({"gap": "2 days"}, "gap"),
        ({"min_balance": -1}, "min_balance"),
        ({"exit": ["gone"]}, "exit"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        BillingOptions(**options)


# climbing


def test_after_days_off_only_the_newest_step_is_due() -> None:
    ladder = model("lembrete", "aviso", {"name": "firme", "when": "due + 9d"})
    assert steps(planned(ladder, on(12, 20), first=on(12, 1))) == [("1", "firme")]
    assert steps(planned(ladder, on(12, 11), first=on(12, 1))) == []  # a reminder of what is past is none


def test_an_invoice_never_goes_back_down() -> None:
    ladder = model("aviso", {"name": "firme", "when": "due + 9d"})
    for state in (SentState.SENT, SentState.OPEN, SentState.OVER):
        assert steps(planned(ladder, on(12, 25), said={"1": {"firme": sent(on(12, 19), state)}})) == []
    assert steps(planned(ladder, on(12, 25), said={"1": {"firme": sent(on(12, 19), SentState.VOID)}})) == [("1~1", "firme")]


def test_a_step_waits_until_the_one_before_has_left() -> None:
    for state in (SentState.OPEN, SentState.OVER, SentState.VOID):
        found = steps(planned(model(), on(12, 30), said={"1": {"aviso": sent(on(12, 12), state)}}))
        assert "pendencia" not in {step for _, step in found}


def test_nothing_dated_before_the_models_beginning_is_taken_up_unless_asked() -> None:
    late = datetime(2026, 12, 13, 9, tzinfo=UTC)
    assert steps(planned(model(), on(12, 14), since=late)) == []
    assert steps(planned(model(backlog=True), on(12, 14), since=late)) == [("1", "aviso")]


@pytest.mark.parametrize("status", ["paid", "cancelled", "renegotiated"])
def test_a_settled_invoice_is_on_no_step(status: str) -> None:
    assert planned(model(), on(12, 12), invoice(status=status)) == []


def test_a_status_that_does_not_end_the_ladder_stays_on_it() -> None:
    found = planned(model(exit=["paid"]), on(12, 12), invoice(status="renegotiated"))
    assert steps(found) == [("1", "aviso")]
    assert found[0].still == {"status": frozenset({"open", "cancelled", "renegotiated"})}


def test_the_gap_keeps_two_steps_apart_and_says_so() -> None:
    ladder = model("aviso", {"name": "firme", "when": "due + 4d"}, gap="5d")
    said = {"1": {"aviso": sent(on(12, 13))}}
    (held,) = planned(ladder, on(12, 14), said=said)
    assert held.excluded == "aviso on 2026-12-13, and 5d lie between two steps"
    assert steps(planned(ladder, on(12, 18), said=said)) == [("1", "firme")]


def test_a_message_is_void_when_its_moment_is_over() -> None:
    ladder = model("lembrete", "aviso", {"name": "firme", "when": "due + 9d"})
    (reminder,) = planned(ladder, on(12, 7))
    assert reminder.expires is not None
    assert reminder.expires.isoformat() == "2026-12-11T00:00:00+00:00"
    (notice,) = planned(ladder, on(12, 12))
    assert notice.expires is not None
    assert notice.expires.isoformat() == "2026-12-19T00:00:00+00:00"
    (last,) = planned(ladder, on(12, 19))
    assert last.expires is None


def test_a_step_that_follows_another_is_passed_over_without_it() -> None:
    ladder = model("aviso", {"name": "visita", "when": "due + 9d", "only_if_sent": "aviso"})
    assert steps(planned(ladder, on(12, 19))) == [("1", "aviso")]
    assert steps(planned(ladder, on(12, 19), said={"1": {"aviso": sent(on(12, 12))}})) == [("1", "visita")]


def test_small_debts_and_invoices_without_a_date_are_left_out_with_the_reason() -> None:
    (small,) = planned(model(min_balance=60), on(12, 12))
    assert small.excluded == "balance 50.00 is below 60"
    (nothing,) = planned(model(), on(12, 12), invoice(balance=Money.of("0")))
    assert nothing.excluded == "balance 0 is below 0.01"
    (undated,) = planned(model(), on(12, 12), invoice(due=None))
    assert undated.excluded == "has no due date"
    bad = invoice(due=None)
    bad.problems = {"due": "'soon' is no date"}
    assert planned(model(), on(12, 12), bad)[0].excluded == "due not valid: 'soon' is no date"
    (nobody,) = planned(model(), on(12, 12), invoice(customer="99"))
    assert nobody.excluded == "its contact 99 is not in the source"


# events


def test_a_payment_has_its_word_whoever_heard_before() -> None:
    ladder = model("aviso", "baixa", "cancelamento")
    paid = invoice(status="paid", paid_at=datetime(2026, 12, 9, 12, tzinfo=UTC), changed_at=None)
    (found,) = planned(ladder, on(12, 12), paid)
    assert (found.step, found.still, found.excluded) == ("baixa", {"status": frozenset({"paid"})}, None)
    assert found.extra["total"] == Decimal("50.00")
    assert planned(ladder, on(12, 12), paid, said={"1": {"baixa": sent(on(12, 9))}}) == []
    assert planned(ladder, on(12, 20), paid) == []  # more than a week ago
    assert len(planned(ladder, on(12, 20), paid, first=on(12, 16))) == 1  # but the program was off since


def test_a_payment_without_a_date_is_known_of_those_who_heard() -> None:
    paid = invoice(status="paid", paid_at=None)
    assert planned(model("aviso", "baixa"), on(12, 14), paid) == []
    assert steps(planned(model("aviso", "baixa"), on(12, 14), paid, said={"1": {"aviso": sent(on(12, 12))}})) == [("1", "baixa")]


def test_a_removal_needs_what_it_removes() -> None:
    ladder = model("aviso", "cartorio", "remover-negativacao")
    paid = invoice(status="paid", paid_at=datetime(2026, 12, 30, 9, tzinfo=UTC))
    assert planned(ladder, on(12, 30), paid, said={"1": {"aviso": sent(on(12, 12))}}) == []
    heard = {"1": {"aviso": sent(on(12, 12)), "cartorio": sent(on(12, 27))}}
    assert steps(planned(ladder, on(12, 30), paid, said=heard)) == [("1", "remover-negativacao")]


def test_an_invoice_opened_again_and_paid_again_is_thanked_for_once() -> None:
    paid = invoice(status="paid", paid_at=datetime(2026, 12, 14, 9, tzinfo=UTC))
    assert planned(model("aviso", "baixa"), on(12, 14), paid, said={"1": {"baixa": sent(on(12, 12))}}) == []


# together


def test_invoices_of_one_customer_at_one_step_are_one_message() -> None:
    second = invoice("2", due=DUE - timedelta(days=1), balance=Money.of("25.50", "EUR"))
    third = invoice("3", customer="8")
    rui = Record("contacts", {"id": "8", "name": "Rui", "mobile": "+351910000008"})
    run = ListRun([invoice(), second, third, ANA, rui], first=on(12, 12), last=on(12, 12), since=START)
    found = list(model(group="customer").plan(run))
    assert steps(found) == [("2,1", "aviso"), ("3", "aviso")]
    both = found[0]
    assert (both.record.id, both.also, both.recipient and both.recipient.id) == ("2", ("1",), "7")
    assert {key: both.extra[key] for key in ("count", "numbers", "days")} == {"count": 2, "numbers": "FT 2, FT 1", "days": 3}
    assert (both.extra["total"], both.extra["total"].currency) == (Decimal("75.50"), "EUR")
    assert [each.id for each in both.extra["invoices"]] == ["2", "1"]


def test_the_gravest_step_of_a_customer_goes_first_and_the_others_wait() -> None:
    older = invoice("2", due=on(12, 1))
    ladder = model("lembrete", "aviso", {"name": "firme", "when": "due + 9d"}, group="customer", gap="2d")
    found = planned(ladder, on(12, 12), invoice(), older)
    assert steps(found) == [("2", "firme")]
    assert [each.excluded for each in found if each.excluded] == ["firme goes first today"]
    said = {"2": {"firme": sent(on(12, 12))}}
    assert [each.excluded for each in planned(ladder, on(12, 13), invoice(), older, said=said)] == [
        "firme on 2026-12-12, and 2d lie between two steps"
    ]
    assert steps(planned(ladder, on(12, 14), invoice(), older, said=said)) == [("1", "aviso")]


def test_other_currencies_and_steps_of_their_own_make_messages_of_their_own() -> None:
    found = planned(model(group="customer"), on(12, 12), invoice(), invoice("2", currency="USD"))
    assert len(steps(found)) == 2
    alone = model({"name": "aviso", "group": "invoice"}, group="customer")
    assert steps(planned(alone, on(12, 12), invoice(), invoice("2"))) == [("1", "aviso"), ("2", "aviso")]


# what is wrong, what is told, and the contract


@pytest.mark.parametrize(
    ("given", "step", "what"),
    [
        ([], "", "no steps"),
        (["festa"], "festa", "no stage that is known"),
        (["pendencia"], "pendencia", "there is none"),
        ([{"name": "a", "when": "due + 5d"}, {"name": "b", "when": "due + 5d"}], "b", "not after a"),
        (["aviso", "remover-negativacao"], "remover-negativacao", "follows 'cartorio'"),
        ([{"name": "aviso", "days": "business"}], "aviso", "whose holidays"),
    ],
)
def test_steps_that_no_invoice_could_climb_are_named(given: list[Any], step: str, what: str) -> None:
    made = [
        Step(
            each if isinstance(each, str) else each["name"],
            BillingStep.model_validate({k: v for k, v in ({} if isinstance(each, str) else each).items() if k != "name"}),
        )
        for each in given
    ]
    found = list(Billing(BillingOptions(), made).faults())
    assert [(name, what in text) for name, text, _ in found] == [(step, True)]


def test_the_story_says_what_a_step_waits_for_and_what_was_never_taken_up() -> None:
    run = ListRun([invoice()], last=on(12, 13), since=START)
    run.said = {"1": {"aviso": sent(on(12, 12), SentState.OPEN)}}
    assert list(model().story(run, [invoice()])) == [
        "FT 1, due 2026-12-10, open: aviso waits since 2026-12-12 (M1); next pendencia, 5d after aviso has left"
    ]
    young = ListRun([invoice()], last=on(12, 20), since=datetime(2026, 12, 20, 9, tzinfo=UTC))
    (line,) = model().story(young, [invoice()])
    assert line.endswith("its steps were due before the model was first seen: backlog = true takes it up")


def test_the_story_of_an_invoice_says_what_was_and_what_comes() -> None:
    run = ListRun([invoice()], last=on(12, 13), since=START)
    run.said = {"1": {"lembrete": sent(on(12, 7)), "aviso": sent(on(12, 12))}}
    assert list(model().story(run, [invoice(), invoice("2", due=None), invoice("3", status="paid")])) == [
        "FT 1, due 2026-12-10, open: lembrete sent 2026-12-07 (M1); aviso sent 2026-12-12 (M1); next pendencia on 2026-12-17",
        "FT 2, due ?, open: no due date (empty)",
        "FT 3, due 2026-12-10, paid: paid: the ladder has let go of it",
    ]


@given(ids=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5), turn=st.integers(0, 3))
def test_an_occasion_names_its_records_whatever_their_ids(ids: list[str], turn: int) -> None:
    assert list(covered(covering(ids, turn))) == ids


def test_the_file_offers_the_model() -> None:
    assert automate_models() == [Billing]


class TestContract(ModelContract):
    """The promises of every model."""

    model = Billing
    day = on(12, 12)
    records = [
        {"id": "1", "number": "FT 1", "customer": "7", "amount": "50.00", "due": "2026-12-10", "status": "open"},
        {"id": "2", "number": "FT 2", "customer": "7", "amount": "10.00", "due": "2026-12-31", "status": "open"},
    ]
    expected = ["7"]

    def _built(self) -> Billing:
        return model()

    def run(self, **changes: Any) -> PlannedRun:
        made = super().run(**{"since": START, **changes})
        made._records.append(ANA)
        return made

"""The payment-notice model: a message to customers who owe, with the amounts, per customer or per invoice (LX-27)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field

import libax_automate as ax
from libax_automate.people import person_of, with_people

_OPEN = frozenset({"open"})
_WORDS = {ax.SentState.SENT: "told on", ax.SentState.OPEN: "a notice waits since", ax.SentState.OVER: "a notice ended on"}


class PaymentNoticeOptions(ax.Options):
    """Options of the payment-notice model."""

    when: Literal["overdue", "open"] = Field("overdue", description="overdue = invoices due before today; open = any that is not paid.")
    group: Literal["customer", "invoice"] = Field("customer", description="One message per customer, or one per invoice.")
    min_debt: Decimal = Field(Decimal("0.01"), gt=0, description="Smallest debt of a message that is written about.")
    references: str | None = Field(None, description="An app that makes a payment reference for each invoice, once ever.")
    retry_references: ax.Strings = Field(
        (), description="Invoices whose reference is asked for again after a call was cut short: look in the operator's backoffice first."
    )
    repeat: bool = Field(
        False, description="Write on every day it runs, for as long as the debt lasts; without it, each invoice is news once."
    )


@dataclass(slots=True)
class _Debt:
    """What one message is about: invoices of one person, in one currency."""

    person: ax.Record | None
    #: why nobody can be written to
    missing: str | None
    records: list[ax.Record]


class PaymentNotice(ax.Model[PaymentNoticeOptions]):
    """Finds the invoices with something left to pay, and who owes it.

    The occasion names the invoices that a message speaks of. A customer hears again when there is an invoice of which nothing was said yet;
    with ``repeat``, on each day of a run, though never twice in a day nor while the last notice still waits. What was settled in the
    meantime makes a waiting message void, and the next run writes of what is left.
    """

    name = "payment-notice"
    title = "Payment notice to customers with amounts in debt"
    entity = "invoices"
    placeholders: ClassVar[Mapping[str, str]] = {
        "debt": "246.00",
        "count": "2",
        "oldest_due": "2026-11-30",
        "numbers": "FT 2026/118, FT 2026/131",
        "invoices": "the invoices, oldest first",
        "entity": "12345",
        "reference": "123456789",
        "payments": "number, entity, reference, amount and due of each invoice",
    }
    late = ax.Late.ONCE
    message_class = ax.MessageClass.BILLING
    generic_subject = "subject.notice"

    def reads(self) -> tuple[str, ...]:
        """What tells a debt."""
        return ("status", "customer", *(("due",) if self.options.when == "overdue" else ()))

    def referencer(self) -> str | None:
        """The app of the options."""
        return self.options.references

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield each debt, in the order in which the source has it."""
        debts: dict[tuple[str, str], _Debt] = {}
        for record, person, missing in with_people(run, self._owed(run)):
            why = missing or self._unreadable(record)
            if self.options.group == "invoice" or why is not None:
                # what cannot be read is named by itself, and does not keep the rest of the customer's debt from being said
                yield self._candidate(run, _Debt(person, why, [record]))
                continue
            debt = debts.setdefault((_person_id(record), str(record.get("currency") or "")), _Debt(person, None, []))
            debt.records.append(record)
        for debt in debts.values():
            yield self._candidate(run, debt)

    def _owed(self, run: ax.Run) -> Iterator[ax.Record]:
        for record in run.fetch("invoices", ax.Query(equals={"status": _OPEN})):
            owed = _owed(record)
            if owed is not None and owed <= 0:
                continue
            due = _day(record.get("due"), run)
            if self.options.when == "overdue" and due is not None and due >= run.last:
                continue
            yield record

    def _unreadable(self, record: ax.Record) -> str | None:
        if _owed(record) is None:
            problem = next(
                (f"{name} not valid: {record.problems[name]}" for name in ("balance", "amount") if name in record.problems), None
            )
            return problem or "has no balance"
        if self.options.when == "overdue" and record.get("due") is None:
            return f"due not valid: {record.problems['due']}" if "due" in record.problems else "has no due date"
        return None

    def _candidate(self, run: ax.Run, debt: _Debt) -> ax.Candidate:
        records = sorted(debt.records, key=lambda record: (_day(record.get("due"), run) or date.max, record.id))
        first, *others = records
        told = [each for record in records if (each := run.sent(record.id).get("")) is not None]
        total = _total(records)
        excluded = debt.missing or self._said(told, len(records), run.last)
        if excluded is None and total is not None and total < self.options.min_debt:
            excluded = f"debt {total} is below {self.options.min_debt}"
        turn = max((each.void + (each.state is ax.SentState.VOID) for each in told), default=0)
        return ax.Candidate(
            record=first,
            recipient=debt.person,
            occasion=ax.covering((record.id for record in records), run.last.toordinal() if self.options.repeat else turn),
            extra=_extra(records, total, run),
            why=f"owes {total} for {_numbers(records)}",
            excluded=excluded,
            still={"status": _OPEN},
            also=tuple(record.id for record in others),
            payable=tuple(self._payable(record, run) for record in records) if self.options.references and excluded is None else (),
        )

    def _payable(self, record: ax.Record, run: ax.Run) -> ax.Payable:
        owed = _owed(record)
        assert owed is not None, "what cannot be read is excluded"
        return ax.Payable(
            our_id=record.id,
            number=_numbers([record]),
            amount=owed,
            currency=str(record.get("currency") or "EUR"),
            due=_day(record.get("due"), run),
            again=record.id in self.options.retry_references,
        )

    def _said(self, told: Sequence[ax.Sent], of: int, today: date) -> str | None:
        """Why there is nothing to say now, from what was said of the invoices before."""
        counts = [each for each in told if each.state is not ax.SentState.VOID]
        if self.options.repeat:
            counts = [each for each in counts if each.state is ax.SentState.OPEN or each.day >= today]
            enough = bool(counts)
        else:
            enough = len(counts) == of
        if not enough:
            return None
        last = max(counts, key=lambda each: each.day)
        return f"{_WORDS[last.state]} {last.day.isoformat()} ({last.message})"

    def sample(self, record: ax.Record) -> Mapping[str, Any]:
        """What a message about this invoice alone would say."""
        debt, due = _total([record]), record.get("due")
        alone: dict[str, Any] = {"count": 1, "numbers": _numbers([record]), "invoices": [record]}
        if debt is not None:
            alone["debt"] = debt
            reference = {"number": _numbers([record]), "entity": "12345", "reference": "123456789", "amount": debt, "due": due}
            alone["payments"] = [reference] if self.options.references else []
        if due is not None:
            alone["oldest_due"] = due
        return {**self.placeholders, **alone}

    def story(self, run: ax.Run, records: Sequence[ax.Record]) -> Iterator[str]:
        """Each invoice with what is owed for it, and what was last said of it."""
        for record in records:
            due, owed, said = _day(record.get("due"), run), _total([record]), run.sent(record.id).get("")
            line = (
                f"{_numbers([record])}, due {due.isoformat() if due else '?'}, {record.get('status')}, {owed if owed is not None else '?'}"
            )
            if said is None:
                yield f"{line}: nothing was said of it"
            elif said.state is ax.SentState.VOID:
                yield f"{line}: a notice was held back on {said.day.isoformat()} ({said.message})"
            else:
                yield f"{line}: {_WORDS[said.state]} {said.day.isoformat()} ({said.message})"


def _extra(records: Sequence[ax.Record], debt: ax.Money | None, run: ax.Run) -> dict[str, Any]:
    return {
        "debt": debt,
        "count": len(records),
        "oldest_due": _day(records[0].get("due"), run),
        "numbers": _numbers(records),
        "invoices": records,
    }


def _owed(record: ax.Record) -> Decimal | None:
    """What is left to pay: the balance; the whole amount where the source keeps no balance. None where it cannot be read."""
    if "balance" in record.problems:
        return None
    value = record.get("balance")
    if value is None:
        value = record.get("amount")
    return value if isinstance(value, Decimal) else None


def _total(records: Iterable[ax.Record]) -> ax.Money | None:
    values = [owed for record in records if (owed := _owed(record)) is not None]
    return ax.Money.of(sum(values, Decimal(0)), getattr(values[0], "currency", "")) if values else None


def _person_id(record: ax.Record) -> str:
    person = person_of(record)
    if person is None:
        return f"invoice {record.id}"
    return person if isinstance(person, str) else person.id


def _numbers(records: Iterable[ax.Record]) -> str:
    return ", ".join(str(record.get("number") or record.id) for record in records)


def _day(value: Any, run: ax.Run) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(run.timezone).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [PaymentNotice]

"""The partner-notes model: each partner's payment note, out of the commissions of a period (LX-30)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

import libax_automate as ax
from libax_automate.plugins.partner_notes_layout import LAYOUTS

Period = Literal["day", "week", "month", "quarter", "year"]
Percent = Annotated[Decimal, Field(ge=0, le=100)]

_CENT = Decimal("0.01")
#: partners looked up with one query
_CHUNK = 200


class PartnerNotesOptions(ax.Options):
    """Options of the partner-notes model."""

    period: Period = Field("month", description="What a note covers: the last whole day, week, month, quarter or year before the run.")
    since: date | None = Field(
        None,
        description="Commissions dated before are never noted; default: the first day of the period in which the model was first seen.",
    )
    partners: str | None = Field(None, description="App that holds the partners, where it is not the source.")
    only: dict[str, ax.Strings] = Field(
        default_factory=dict, description='Commissions that count, by field: { status = ["paid"] }; default: all.'
    )
    min_total: Decimal = Field(_CENT, gt=0, description="Smallest total of a note; what is below waits for the next period.")
    vat: Percent = Field(Decimal(0), description="VAT or sales tax on the commissions, in percent; a partner's own field `vat` goes first.")
    withholding: Percent = Field(
        Decimal(0), description="Income tax withheld from the commissions, in percent; a partner's own field `withholding` goes first."
    )
    issuer: ax.Strings = Field((), description="Who issues the notes, line by line, for the built-in layout: name, tax number, address.")
    layout: str | None = Field(
        None, description="Layout file (HTML), relative to the profile; default: built in, in the profile's language."
    )
    series: str | None = Field(
        None,
        min_length=1,
        max_length=40,
        pattern=r"^[^\x00-\x1f]+$",
        description="Name of the series of numbers; default: the model's name.",
    )
    restart: Literal["year", "never"] = Field("year", description="Whether the series starts again each year.")
    first_number: int = Field(1, ge=1, description="The number with which the first year begins; later ones begin with 1.")
    digits: int = Field(1, ge=1, le=12, description="Digits that a number has at least.")


@dataclass(frozen=True, slots=True)
class Totals:
    """What a note comes to, each amount in whole cents: ``total`` is ``subtotal + vat - withheld``, and the subtotal the sum of the lines."""

    subtotal: Decimal
    vat: Decimal
    withheld: Decimal

    @property
    def total(self) -> Decimal:
        """What is to be paid."""
        return self.subtotal + self.vat - self.withheld


def totals_of(amounts: Iterable[Decimal], vat: Decimal, withholding: Decimal) -> Totals:
    """The totals of lines in whole cents; taxes in percent of their sum, rounded half up (away from zero at half a cent)."""
    subtotal = sum(amounts, Decimal("0.00"))
    return Totals(subtotal, cents(subtotal * vat / 100), cents(subtotal * withholding / 100))


def cents(value: Decimal) -> Decimal:
    """``value`` in whole cents, half up."""
    return value.quantize(_CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class _Note:
    """What one note is about: commissions of one partner in one currency."""

    partner: ax.Record | str
    currency: str
    lines: list[tuple[date, ax.Record, Decimal]] = field(default_factory=list)


class PartnerNotes(ax.Model[PartnerNotesOptions]):
    """Finds the commissions up to the end of the last whole period that are on no note yet, and makes one note of each partner's.

    One note per partner, currency and period, whatever the number of runs. A commission that arrives late, or that could not be read before,
    comes onto the next note; one that is on a note never comes onto another.
    """

    name = "partner-notes"
    title = "Payment notes for partners, out of their commissions"
    entity = "commissions"
    people = "partners"
    placeholders: ClassVar[Mapping[str, str]] = {
        "period": "2026-11",
        "period_start": "2026-11-01",
        "period_end": "2026-11-30",
        "count": "2",
        "lines": "the commissions, oldest first: id, date, document, customer, base, rate, amount",
        "subtotal": "150.00",
        "vat": "34.50",
        "vat_rate": "23",
        "withheld": "37.50",
        "withholding_rate": "25",
        "total": "147.00",
        "issuer": "the lines of the option issuer",
    }
    late = ax.Late.ONCE
    message_class = ax.MessageClass.SERVICE
    generic_subject = "subject.payment"

    def reads(self) -> tuple[str, ...]:
        """Whose it is and when it arose; what it comes to may stand in ``amount``, or follow from ``base`` and ``rate``."""
        return ("partner", "date")

    def stationery(self) -> ax.Stationery:
        """Numbers and layout, as the options say."""
        options = self.options
        return ax.Stationery(
            layouts=LAYOUTS,
            layout=options.layout,
            series=options.series,
            yearly=options.restart == "year",
            first=options.first_number,
            digits=options.digits,
        )

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield each note, in the order in which the source has the partners' first commissions."""
        first, last = last_period(self.options.period, run.last)
        since = self._since(run)
        notes: dict[tuple[str, str], _Note] = {}
        wrong: list[tuple[ax.Record, str]] = []
        for record in self._commissions(run, min(first, since), last):
            day = _day(record.get("date"), run)
            amount = _amount(record)
            if day is None:
                wrong.append((record, _problem(record, "date") or "has no date"))
            elif day < since:
                wrong.append((record, f"dated {day}, before {since}: since = … says from when on commissions count"))
            elif isinstance(amount, str):
                wrong.append((record, amount))
            elif not (owner := _partner(record)):
                wrong.append((record, "has no partner"))
            else:
                currency = str(record.get("currency") or "")
                id_ = owner if isinstance(owner, str) else owner.id
                notes.setdefault((id_, currency), _Note(owner, currency)).lines.append((day, record, amount))
        yield from (self._left_out(record, why) for record, why in wrong)
        for note, partner, missing in self._with_partners(run, notes.values()):
            yield self._candidate(note, partner, missing, first, last)

    def _since(self, run: ax.Run) -> date:
        return self.options.since or period_of(self.options.period, run.since.astimezone(run.timezone).date())[0]

    def _commissions(self, run: ax.Run, first: date, last: date) -> Iterator[ax.Record]:
        """Those up to ``last`` that are on no note."""
        equals = {name: frozenset(values) for name, values in self.options.only.items()}
        for record in run.fetch("commissions", ax.Query(span=ax.Span("date", first, last), equals=equals)):
            if run.documented(record.id) is None:
                yield record

    def _with_partners(self, run: ax.Run, notes: Iterable[_Note]) -> Iterator[tuple[_Note, ax.Record | None, str | None]]:
        """Each note with its partner's record, or with the reason why there is none."""
        waiting = iter(notes)
        app = self.options.partners
        while chunk := list(islice(waiting, _CHUNK)):
            ids = frozenset(note.partner for note in chunk if isinstance(note.partner, str))
            query = ax.Query(ids=ids)
            found = {}
            if ids:
                found = {each.id: each for each in (run.other(app, "partners", query) if app else run.fetch("partners", query))}
            for note in chunk:
                if not isinstance(note.partner, str):
                    yield note, note.partner, None
                elif (partner := found.get(note.partner)) is not None:
                    yield note, partner, None
                else:
                    yield note, None, f"its partner {note.partner} is not in {app or 'the source'}"

    def _left_out(self, record: ax.Record, why: str) -> ax.Candidate:
        """A commission that comes onto no note now."""
        owner = _partner(record)
        recipient = owner if isinstance(owner, ax.Record) else None
        return ax.Candidate(
            record=record, recipient=recipient, occasion=f"commission {record.id}", excluded=f"commission {record.id}: {why}"
        )

    def _candidate(self, note: _Note, partner: ax.Record | None, missing: str | None, first: date, last: date) -> ax.Candidate:
        lines = sorted(note.lines, key=lambda line: (line[0], line[1].id))
        rates = [_rate(partner, name, given) for name, given in (("vat", self.options.vat), ("withholding", self.options.withholding))]
        excluded = missing or next((rate for rate in rates if isinstance(rate, str)), None)
        vat, withholding = (Decimal(0) if isinstance(rate, str) else rate for rate in rates)
        totals = totals_of((amount for _, _, amount in lines), vat, withholding)
        total = ax.Money.of(totals.total, note.currency)
        if excluded is None and total < self.options.min_total:
            excluded = f"total {total} is below {self.options.min_total}: it waits for the next period"
        name = period_name(self.options.period, first)
        said = f"{total} {note.currency}".strip()
        return ax.Candidate(
            record=lines[0][1],
            recipient=partner,
            occasion=f"{name} {note.currency}".strip(),
            extra={
                "period": name,
                "period_start": first,
                "period_end": last,
                "count": len(lines),
                "lines": [_line(day, record, amount, note.currency) for day, record, amount in lines],
                **_shown(totals, vat, withholding, note.currency),
                "issuer": self.options.issuer,
            },
            why=f"note for {name}: {len(lines)} commission{'s' if len(lines) > 1 else ''}, {said}",
            excluded=excluded,
            document=ax.Document(records=tuple(record.id for _, record, _ in lines), total=total, period=name),
        )

    def sample(self, record: ax.Record) -> Mapping[str, Any]:
        """What a note about this commission alone would say."""
        amount, day, currency = _amount(record), record.get("date"), str(record.get("currency") or "")
        counted = Decimal("0.00") if isinstance(amount, str) else amount
        day = day.date() if isinstance(day, datetime) else day if isinstance(day, date) else date(2026, 11, 15)
        first, last = period_of(self.options.period, day)
        totals = totals_of([counted], self.options.vat, self.options.withholding)
        return {
            "period": period_name(self.options.period, first),
            "period_start": first,
            "period_end": last,
            "count": 1,
            "lines": [_line(day, record, counted, currency)],
            **_shown(totals, self.options.vat, self.options.withholding, currency),
            "issuer": self.options.issuer,
        }

    def story(self, run: ax.Run, records: Sequence[ax.Record]) -> Iterator[str]:
        """Each commission with the note that it is on, or why it is on none."""
        since = self._since(run)
        for record in records:
            day, amount, number = _day(record.get("date"), run), _amount(record), run.documented(record.id)
            worth = amount if isinstance(amount, str) else f"{amount} {record.get('currency') or ''}".strip()
            line = f"{day or '?'} {record.get('document') or record.id}: {worth}"
            if number is not None:
                yield f"{line}: on {number}"
            elif day is not None and day < since:
                yield f"{line}: before {since}, on no note"
            else:
                yield f"{line}: on no note yet"


# -- periods -----------------------------------------------------------------------------------------------------------


def period_of(period: Period, day: date) -> tuple[date, date]:
    """The first and the last day of the period in which ``day`` lies; weeks begin on Monday (ISO 8601)."""
    if period == "day":
        return day, day
    if period == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=6)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    following = first.month + months
    after = date(first.year + 1, 1, 1) if following > 12 else date(first.year, following, 1)
    return first, after - timedelta(days=1)


def last_period(period: Period, day: date) -> tuple[date, date]:
    """The last period that had ended when ``day`` began."""
    return period_of(period, period_of(period, day)[0] - timedelta(days=1))


def period_name(period: Period, first: date) -> str:
    """``2026-11``, ``2026-W48``, ``2026-Q4``, ``2026``, ``2026-11-20``."""
    if period == "week":
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02d}"
    if period == "quarter":
        return f"{first.year}-Q{(first.month + 2) // 3}"
    return first.isoformat()[: {"day": 10, "month": 7, "year": 4}[period]]


# -- what a commission says --------------------------------------------------------------------------------------------


def _day(value: Any, run: ax.Run) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(run.timezone).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None


def _problem(record: ax.Record, name: str) -> str | None:
    return f"{name} not valid: {record.problems[name]}" if name in record.problems else None


def _number(value: Any) -> Decimal | None:
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _percent(value: Any) -> Decimal | None:
    """A rate as a source writes it: ``5``, ``5,5``, ``7.125 %``. No rate has thousands, so one sign is always the decimal sign."""
    try:
        found = Decimal(str(value).strip().removesuffix("%").strip().replace(",", "."))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _amount(record: ax.Record) -> Decimal | str:
    """What a commission comes to, in whole cents: its amount, else its rate of the base; or why that cannot be told."""
    if (problem := _problem(record, "amount")) is not None:
        return problem
    amount = _number(record.get("amount"))
    if amount is None:
        base, rate = _number(record.get("base")), _percent(record.get("rate"))
        if base is None or rate is None:
            return _problem(record, "base") or "has neither an amount nor base and rate"
        amount = base * rate / 100
    return cents(amount)


def _partner(record: ax.Record) -> ax.Record | str:
    """Whose it is: the record that its source joined, or an id; "" where it names nobody."""
    value = record.get("partner")
    if isinstance(value, ax.Record):
        return value
    if isinstance(value, Mapping):
        return ax.Record("partners", value, where=record.where)
    return str(value or "")


def _rate(partner: ax.Record | None, name: str, given: Decimal) -> Decimal | str:
    """A tax rate in percent: the partner's own, else that of the options; or why the partner's cannot be used."""
    value = partner.get(name) if partner is not None else None
    if value is None or not str(value).strip():
        return given
    rate = _percent(value)
    if rate is None or not 0 <= rate <= 100:
        return f"its {name} {str(value)[:20]!r} is no percentage"
    return rate


def _line(day: date, record: ax.Record, amount: Decimal, currency: str) -> dict[str, Any]:
    customer, base = record.get("contact"), _number(record.get("base"))
    return {
        "id": record.id,
        "date": day,
        "document": str(record.get("document") or ""),
        "customer": str(customer.get("name") or "") if isinstance(customer, Mapping) else "",
        "base": ax.Money.of(base, currency) if base is not None else None,
        "rate": _percent(record.get("rate")),
        "amount": ax.Money.of(amount, currency),
    }


def _shown(totals: Totals, vat: Decimal, withholding: Decimal, currency: str) -> dict[str, Any]:
    amounts = {"subtotal": totals.subtotal, "vat": totals.vat, "withheld": totals.withheld, "total": totals.total}
    return {**{name: ax.Money.of(value, currency) for name, value in amounts.items()}, "vat_rate": vat, "withholding_rate": withholding}


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [PartnerNotes]

"""The billing model: a ladder of messages about unpaid invoices, from the reminder before the due date to the notary (IC-11 … IC-20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import libax_automate as ax
from libax_automate.people import person_of, with_people
from libax_automate.plugins.billing_ladder import Due, Ladder, Rung
from libax_automate.plugins.billing_options import ONLY_AFTER, STAGES, BillingOptions, BillingStep
from libax_automate.plugins.billing_when import Days, When, when_of

_STATUSES = frozenset({"open", "paid", "cancelled", "renegotiated"})
#: the date of an event, by status
_DATED = {"paid": "paid_at", "cancelled": "changed_at", "renegotiated": "changed_at"}
#: payments reach a source days after they were made
_LOOKBACK = timedelta(days=7)
#: an invoice of which nothing was said for so long has no event any more whose date is unknown
_FORGOTTEN = timedelta(days=400)
_CHUNK = 500
_WORDS = {ax.SentState.SENT: "sent", ax.SentState.OPEN: "waits since", ax.SentState.OVER: "not sent", ax.SentState.VOID: "held back"}


@dataclass(frozen=True, slots=True)
class _Written:
    """A step as the profile has it, its stage's defaults filled in."""

    name: str
    stage: str
    when: When | None
    only_if: Sequence[str]
    options: BillingStep


@dataclass(slots=True)
class _Group:
    """Invoices of one person at one step: one message."""

    rung: Rung
    person: ax.Record | None
    missing: str | None
    records: list[ax.Record]
    held: str | None
    days: list[date]


class Billing(ax.Model[BillingOptions]):
    """Climbs a ladder with every unpaid invoice: each step once, only the newest that is due, none after the debt is settled.

    The occasion names the invoices that a message speaks of, and the step sets the stages apart. Steps count from the due date or from
    the day the step before left; a step whose message has not left does not count as taken. What is due is read from what is true now,
    so that days off lose nobody and repeat nothing.
    """

    name = "billing"
    title = "Billing ladder: reminders and notices about invoices, step by step until they are settled"
    entity = "invoices"
    placeholders: ClassVar[Mapping[str, str]] = {
        "stage": "aviso",
        "days": "2",
        "total": "246.00",
        "count": "2",
        "numbers": "FT 2026/118, FT 2026/131",
        "invoices": "the invoices, oldest first",
    }
    late = ax.Late.ONCE
    message_class = ax.MessageClass.BILLING
    generic_subject = "subject.notice"
    step_type = BillingStep
    grave = frozenset({"cartorio"})

    def reads(self) -> tuple[str, ...]:
        """What a ladder stands on."""
        return ("due", "status", "customer")

    # -- the steps -------------------------------------------------------------------------------------------------------

    @cached_property
    def _written(self) -> list[_Written]:
        made = []
        for step in self.steps:
            options = step.options
            assert isinstance(options, BillingStep)
            stage = options.stage or step.name
            text = options.when or STAGES.get(stage)
            only_if = options.only_if_sent or ONLY_AFTER.get(stage, ())
            made.append(_Written(step.name, stage, when_of(text) if text else None, only_if, options))
        return made

    @cached_property
    def ladder(self) -> Ladder:
        """The steps, read."""
        options = self.options
        counts = {
            kind: Days(business=kind == "business", country=options.country, subdivision=options.subdivision, closed=options.closed)
            for kind in ("calendar", "business")
        }
        made = [
            Rung(
                name=step.name,
                when=step.when,
                days=counts[step.options.days or options.days],
                only_if=frozenset(other.name for other in self._written if {other.name, other.stage} & {*step.only_if}),
                together=(step.options.group or options.group) == "customer",
            )
            for step in self._written
            if step.when is not None
        ]
        return Ladder(made, gap=int(options.gap[:-1]))

    def faults(self) -> Iterator[tuple[str, str, str]]:
        """Steps that no invoice could climb."""
        if not self.steps:
            yield "", "the ladder has no steps", 'add [[models.NAME.steps]] with stage = "aviso" and a text or template'
        names = {word for step in self._written for word in (step.name, step.stage)}
        before: tuple[str, int] | None = None
        timed = 0
        for step in self._written:
            name, when = step.name, step.when
            if when is None:
                yield name, f"{step.stage!r} is no stage that is known", f'say when: when = "due + 2d"; stages: {", ".join(STAGES)}'
                continue
            if step.options.days == "business" and self.options.country is None:
                yield name, "business days need to know whose holidays they leave out", 'add country = "BR" to the model'
            for other in step.only_if:
                if other not in names:
                    yield name, f"{step.stage} follows {other!r}, and no step is called so", f"add the step, or say only_if_sent for {name}"
            if when.event:
                continue
            if when.anchor == "previous" and not timed:
                yield name, f"{when} counts from the step before, and there is none", 'write when = "due + 2d"'
            if when.anchor == "due":
                if before is not None and when.days <= before[1]:
                    yield (
                        name,
                        f"{when} is not after {before[0]}, which stands before it",
                        "put the steps into the order in which they come",
                    )
                before = (name, when.days)
            timed += 1

    # -- planning --------------------------------------------------------------------------------------------------------

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield each invoice, or each customer's invoices, that came to a step."""
        if self.ladder.timed:
            yield from self._by_time(run)
        if self.ladder.events:
            yield from self._by_event(run)

    @cached_property
    def _climbing(self) -> frozenset[str]:
        return _STATUSES - frozenset(self.options.exit)

    def _since(self, run: ax.Run) -> date:
        return date.min if self.options.backlog else run.since.astimezone(run.timezone).date()

    def _by_time(self, run: ax.Run) -> Iterator[ax.Candidate]:
        found: dict[str, Due] = {}
        last: dict[str, tuple[date, str]] = {}
        one_each = self.options.group == "invoice"
        groups: dict[tuple[str, str, str], _Group] = {}
        for record, person, missing in with_people(run, self._due(run, found, None if one_each else last)):
            at = found.pop(record.id)
            if one_each and not at.rung.together:
                yield self._candidate(run, _Group(at.rung, person, missing, [record], at.held, [at.day]))
            else:
                _gather(groups, record, person, missing, at=at)
        if not one_each:
            self._take_turns(groups, last, run.last)
        for group in groups.values():
            yield self._candidate(run, group)

    def _take_turns(self, groups: Mapping[tuple[str, str, str], _Group], last: Mapping[str, tuple[date, str]], today: date) -> None:
        """A customer hears of one step at a time, the gravest first, and not too soon after the last."""
        place, newest = self.ladder.place, dict[str, int]()
        for (customer, *_), group in groups.items():
            newest[customer] = max(newest.get(customer, -1), place[group.rung.name])
        for (customer, *_), group in groups.items():
            group.held = self.ladder.too_soon(last.get(customer), today) or group.held
            if group.held is None and self.ladder.gap and place[group.rung.name] < newest[customer]:
                group.held = f"{self.ladder.timed[newest[customer]].name} goes first today"

    def _due(self, run: ax.Run, found: dict[str, Due], last: dict[str, tuple[date, str]] | None) -> Iterator[ax.Record]:
        """The invoices on the ladder for which a step is due; ``last`` gathers when each customer heard."""
        ladder, today, since = self.ladder, run.last, self._since(run)
        for record in run.fetch("invoices", ax.Query(equals={"status": self._climbing})):
            due = _day(record.get("due"), run)
            if due is None:
                why = record.problems.get("due")
                found[record.id] = Due(ladder.timed[0], today, f"due not valid: {why}" if why else "has no due date")
                yield record
                continue
            sent = run.sent(record.id)
            if last is not None and sent and (latest := ladder.last(sent)) is not None:
                customer = _person_id(record)
                last[customer] = max(last.get(customer, latest), latest)
            at = ladder.now(due, sent, today, since)
            if at is not None:
                found[record.id] = at
                yield record

    def _by_event(self, run: ax.Run) -> Iterator[ax.Candidate]:
        groups: dict[tuple[str, str, str], _Group] = {}
        for record, person, missing in with_people(run, self._settled(run)):
            sent = run.sent(record.id)
            for rung in self.ladder.events:
                said = sent.get(rung.name)
                if rung.when.event != record.get("status") or not self.ladder.follows(rung, sent):
                    continue
                if said is not None and said.state is not ax.SentState.VOID:
                    continue
                day = _day(record.get(_DATED[rung.when.event]), run) or run.last
                if rung.together:
                    _gather(groups, record, person, missing, at=Due(rung, day))
                else:
                    yield self._candidate(run, _Group(rung, person, missing, [record], None, [day]))
        for group in groups.values():
            yield self._candidate(run, group)

    def _settled(self, run: ax.Run) -> Iterator[ax.Record]:
        """Invoices that came to their end lately; and those without a date for it, if the ladder has spoken of them."""
        statuses = {rung.when.event for rung in self.ladder.events}
        first = max(self._since(run), run.first - _LOOKBACK)
        seen: set[str] = set()
        for status in sorted(statuses):
            span = ax.Span(_DATED[status], first, run.last)
            for record in run.fetch("invoices", ax.Query(equals={"status": frozenset({status})}, span=span)):
                seen.add(record.id)
                yield record
        undated = iter([name for name in run.spoken() if name not in seen and self._may_end(run.sent(name), run.last)])
        while chunk := frozenset(islice(undated, _CHUNK)):
            for record in run.fetch("invoices", ax.Query(equals={"status": frozenset(statuses)}, ids=chunk)):
                if record.get(_DATED[str(record["status"])]) is None:
                    yield record

    def _may_end(self, sent: Mapping[str, ax.Sent], today: date) -> bool:
        over = {rung.name for rung in self.ladder.events}
        if any(name in over and each.state is not ax.SentState.VOID for name, each in sent.items()):
            return False
        latest = self.ladder.last(sent)
        return (
            latest is not None and today - latest[0] <= _FORGOTTEN and any(self.ladder.follows(rung, sent) for rung in self.ladder.events)
        )

    def _candidate(self, run: ax.Run, group: _Group) -> ax.Candidate:
        rung = group.rung
        records = sorted(group.records, key=lambda record: (_day(record.get("due"), run) or date.max, record.id))
        first, *others = records
        due = _day(first.get("due"), run)
        total = _total(records, "amount" if rung.when.event else "balance")
        turns = [each.void + (each.state is ax.SentState.VOID) for record in records if (each := run.sent(record.id).get(rung.name))]
        excluded = group.missing or group.held
        if excluded is None and not rung.when.event and total is not None and total < self.options.min_balance:
            excluded = f"balance {total} is below {self.options.min_balance}"
        status = frozenset({rung.when.event}) if rung.when.event else self._climbing
        day = min(group.days)
        return ax.Candidate(
            record=first,
            recipient=group.person,
            occasion=ax.covering((record.id for record in records), max(turns, default=0)),
            step=rung.name,
            extra={
                "stage": rung.name,
                "days": abs((run.last - due).days) if due else 0,
                "total": total,
                "count": len(records),
                "numbers": ", ".join(_number(record) for record in records),
                "invoices": records,
            },
            why=f"{rung.name} of {', '.join(map(_number, records))}: {rung.when}, {day.isoformat()}",
            excluded=excluded,
            expires=None if rung.when.event else self._void_from(rung, records, run),
            still={"status": status},
            also=tuple(record.id for record in others),
        )

    def _void_from(self, rung: Rung, records: Iterable[ax.Record], run: ax.Run) -> datetime | None:
        ends = [self.ladder.ends(rung, due, run.last) for record in records if (due := _day(record.get("due"), run))]
        day = min((end for end in ends if end is not None), default=None)
        return None if day is None else datetime.combine(day, time(), tzinfo=run.timezone)

    def sample(self, record: ax.Record) -> Mapping[str, Any]:
        """What a message about this invoice alone would say."""
        alone = {"count": 1, "numbers": _number(record), "invoices": [record]}
        total = _total([record], "balance")
        return {**self.placeholders, **alone, **({"total": total} if total is not None else {})}

    # -- telling ---------------------------------------------------------------------------------------------------------

    def story(self, run: ax.Run, records: Sequence[ax.Record]) -> Iterator[str]:
        """Each invoice with what was said at which step, and what comes next."""
        order = {step.name: index for index, step in enumerate(self.steps)}
        for record in records:
            sent = run.sent(record.id)
            said = [
                f"{name} {_WORDS[each.state]} {each.day.isoformat()} ({each.message})"
                for name, each in sorted(sent.items(), key=lambda item: order.get(item[0], -1))
                if "+" not in name
            ]
            due, status = _day(record.get("due"), run), record.get("status")
            if status not in self._climbing:
                said.append(f"{status}: the ladder has let go of it")
            elif due is None:
                said.append(f"no due date ({record.problems.get('due', 'empty')})")
            elif (at := self.ladder.now(due, sent, run.last, self._since(run))) is not None:
                said.append(f"{at.rung.name} due since {at.day.isoformat()}{f' ({at.held})' if at.held else ''}")
            elif (ahead := self.ladder.ahead(due, sent, run.last)) is not None:
                rung, day = ahead
                if day is None and not sent and self.ladder.missed(due, self._since(run)):
                    said.append("its steps were due before the model was first seen: backlog = true takes it up")
                elif day is None:
                    said.append(f"next {rung.name}, {rung.when.days}d after {self.ladder.before(rung)} has left")
                else:
                    said.append(f"next {rung.name} on {day.isoformat()}")
            else:
                said.append("no step is left")
            yield f"{_number(record)}, due {due.isoformat() if due else '?'}, {status}: {'; '.join(said)}"


def _gather(
    groups: dict[tuple[str, str, str], _Group], record: ax.Record, person: ax.Record | None, missing: str | None, *, at: Due
) -> None:
    alone = "" if at.rung.together else record.id
    key = (_person_id(record), at.rung.name, f"{record.get('currency') or ''} {alone}")
    group = groups.get(key)
    if group is None:
        groups[key] = _Group(at.rung, person, missing, [record], at.held, [at.day])
    else:
        group.records.append(record)
        group.days.append(at.day)


def _person_id(record: ax.Record) -> str:
    person = person_of(record)
    if person is None:
        return f"invoice {record.id}"
    return person if isinstance(person, str) else person.id


def _number(record: ax.Record) -> str:
    return str(record.get("number") or record.id)


def _total(records: Sequence[ax.Record], field: str) -> ax.Money | None:
    values = [value for record in records if isinstance(value := record.get(field), Decimal)]
    if not values:
        return None
    return ax.Money.of(sum(values, Decimal(0)), getattr(values[0], "currency", ""))


def _day(value: Any, run: ax.Run) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(run.timezone).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Billing]

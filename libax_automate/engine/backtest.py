"""A past period replayed: what a model would have sent, day by day, had it been on. Reads, computes, keeps nothing.

Most sources can only say how things are today. Records are put back as far as they tell: nothing exists before it was
created or issued, and an invoice counts as open until the instant it was paid. The rest is today's, and the answer says so.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.connector import Source
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.plan import Moment, Plan
from libax_automate.engine.schedule import slots
from libax_automate.engine.select import dated, matches
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.walltime import Slot, midnight
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import UsageError
from libax_automate.model import Candidate, Model, Sent, SentState, covered
from libax_automate.record import BadRow, Money, Query, Record

#: when a record came into being, by the first of these that it has
_BORN = ("created_at", "issued", "opened_at")
#: people and cases that an answer names
_NAMED = 20
_DAY = timedelta(days=1)


@dataclass
class Replayed:
    """What a period would have been."""

    days: Counter[date] = field(default_factory=Counter)
    people: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    apps: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    #: messages that would have gone out about something that was paid by then: (day, person, name, step)
    after_paid: list[tuple[date, str, str, str]] = field(default_factory=list)
    runs: int = 0
    bad_rows: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many in all."""
        return self.days.total()


def backtest(space: Workspace, profile: Profile, spec: ModelSpec, first: date, last: date) -> Replayed:
    """Replay ``first`` … ``last``, both included, over the schedule of the model. Raises UsageError where there is nothing to replay."""
    zone = profile.timezone
    if last < first:
        raise UsageError("the period ends before it begins", hint="--from 2026-01-01 --to 2026-12-31")
    start, end = midnight(first, zone), midnight(last + _DAY, zone)
    found = Replayed()
    recipe = space.recipe(spec)
    archive = Archive(space, profile, spec)
    # no database: what has really been sent must not hide what would have been
    blind = Workspace((profile,), Path("/nonexistent/automate.db"), space.catalogue, space.clock, space.redactor)
    ledger: set[tuple[str, str, str]] = set()
    heard: dict[str, dict[str, Sent]] = {}
    previous = start
    plain = replace(spec, approve=False)
    for slot in slots(
        replace(spec.schedule, start=None, end=None) if not spec.schedule.every else spec.schedule, zone, start - _TICK, end - _TICK
    ):
        found.runs += 1
        day = slot.local.date()
        moment = Moment(slot=slot, first=day, last=day, bookmark=previous, since=start, now=slot.instant)
        plan = ReplayedPlan(blind, profile, plain, recipe, moment, archive=archive)
        plan.said = lambda: heard
        left = [(draft, at) for draft in plan.drafts if (at := _count(found, draft, plan, slot, ledger)) is not None]
        for draft, sent_on in left:
            # a ladder goes by what it said before: here it said it
            for name in covered(draft.occasion):
                heard.setdefault(name, {})[draft.step] = Sent(sent_on, SentState.SENT, "replayed")
        previous = slot.instant
    if not found.runs:
        raise UsageError(f"{spec.name} does not fire between {first} and {last}", hint=f"automate calendar {first:%Y-%m}")
    found.bad_rows = archive.bad
    found.notes = archive.notes()
    if profile.defaults.cap or spec.cap or profile.tact:
        found.notes.append("caps and tact between models are not replayed")
    return found


_TICK = timedelta(microseconds=1)


def _count(found: Replayed, draft: Draft, plan: ReplayedPlan, slot: Slot, ledger: set[tuple[str, str, str]]) -> date | None:
    """Count a draft; the day on which it would have left, None where it would not."""
    if draft.verdict is Verdict.EXCLUDED:
        found.reasons[draft.reason] += 1
        return None
    key = (draft.step, draft.person, draft.occasion)
    if key in ledger:
        return None
    ledger.add(key)
    at = draft.not_before or slot.instant
    day = at.astimezone(plan.profile.timezone).date()
    found.days[day] += 1
    found.people[draft.person, draft.name] += 1
    found.steps[draft.step] += 1
    found.apps[draft.app] += 1
    record = plan.current.record if isinstance(plan.current, Candidate) else None
    paid = _instant(record.get("paid_at"), plan.profile.timezone) if record is not None else None
    if paid is not None and paid <= at and not draft.step.startswith(("baixa", "remover")):
        found.after_paid.append((day, draft.person, draft.name, draft.step))
    return day


class ReplayedPlan(Plan):
    """A plan whose source is the archive as of the plan's moment."""

    def __init__(
        self, space: Workspace, profile: Profile, spec: ModelSpec, recipe: Model[Any], moment: Moment, *, archive: Archive
    ) -> None:
        super().__init__(space, profile, spec, recipe, moment, look_up=False)
        self._archive = archive

    def _available(self, sources: dict[str, Source[Any]]) -> frozenset[str] | None:
        del sources  # the archive has been read; nobody is asked again
        return None

    def _fetch(self, sources: dict[str, Source[Any]], app: str | None, entity: str, query: Query) -> Iterator[Record]:
        del sources
        zone = self.profile.timezone
        for record in self._archive.records(app or self.spec.source or "", entity, query, self.moment.slot.instant):
            found = dated(query, record, zone)
            if isinstance(found, Record) and matches(query, found, zone):
                yield found


class Archive:
    """All records of the sources, read once, and found by date."""

    def __init__(self, space: Workspace, profile: Profile, spec: ModelSpec) -> None:
        self._space, self._profile, self._spec = space, profile, spec
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self.bad = 0

    def records(self, app: str, entity: str, query: Query, now: datetime) -> Iterator[Record]:
        """The candidates for a query as of ``now``; more may come than asked."""
        key = (app, entity)
        if key not in self._shelves:
            self._shelves[key] = self._read(app, entity)
        yield from self._shelves[key].find(query, now)

    def _read(self, app: str, entity: str) -> Shelf:
        rows: list[Record] = []
        with self._space.opened(self._profile, self._profile.apps[app]) as source:
            assert isinstance(source, Source)
            for row in source.fetch(entity, Query()):
                if isinstance(row, BadRow):
                    self.bad += 1
                else:
                    rows.append(row)
        return Shelf(rows, self._profile.timezone)

    def notes(self) -> list[str]:
        """What in the answer is today's and not the past's."""
        if any(shelf.undated for shelf in self._shelves.values()):
            return ["records without a date of their own count as if they had always been there"]
        return ["records are today's, put back as far as their dates tell"]


class Shelf:
    """The records of one entity, indexed by what queries ask for."""

    def __init__(self, rows: list[Record], zone: ZoneInfo) -> None:
        self._zone = zone
        self._rows = [(row, _born(row, zone), _instant(row.get("paid_at"), zone) if row.get("status") == "paid" else None) for row in rows]
        self.undated = any(born is None for _, born, _ in self._rows)
        self._days: dict[str, dict[tuple[int, int], list[int]]] = {}
        self._sorted: dict[str, tuple[list[datetime], list[int]]] = {}
        self._ids: dict[str, list[int]] | None = None

    def find(self, query: Query, now: datetime) -> Iterator[Record]:
        """Records that may match, as they were at ``now``."""
        for index in self._candidates(query):
            row, born, paid = self._rows[index]
            if born is not None and born > now:
                continue
            yield _unpaid(row) if paid is not None and paid > now else row

    def _candidates(self, query: Query) -> Iterable[int]:
        if query.ids is not None:
            if self._ids is None:
                self._ids = {}
                for index, (row, _, _) in enumerate(self._rows):
                    self._ids.setdefault(row.id, []).append(index)
            return [index for id_ in query.ids for index in self._ids.get(id_, ())]
        if query.anniversary is not None:
            days = self._by_day(query.anniversary.field)
            return [index for day in query.anniversary.days for index in days.get(day, ())]
        if query.since is not None:
            instants, order = self._by_time(query.since.field)
            # a value known only to the day counts for its whole day: look a day further back, the query itself is applied again
            return order[bisect.bisect_left(instants, query.since.after - _DAY) :]
        if query.span is not None and query.span.first is not None:
            instants, order = self._by_time(query.span.field)
            low = bisect.bisect_left(instants, midnight(query.span.first - _DAY, self._zone))
            high = bisect.bisect_left(instants, midnight(query.span.last + 2 * _DAY, self._zone)) if query.span.last else len(order)
            return order[low:high]
        return range(len(self._rows))

    def _by_day(self, name: str) -> dict[tuple[int, int], list[int]]:
        if name not in self._days:
            found: dict[tuple[int, int], list[int]] = {}
            for index, (row, _, _) in enumerate(self._rows):
                value = row.get(name)
                if isinstance(value, date):
                    found.setdefault((value.month, value.day), []).append(index)
            self._days[name] = found
        return self._days[name]

    def _by_time(self, name: str) -> tuple[list[datetime], list[int]]:
        if name not in self._sorted:
            found = []
            for index, (row, _, _) in enumerate(self._rows):
                # a column that only its own source knows may still be text: it sorts to the end, where every query looks
                at = _instant(row.get(name), self._zone) or (datetime.max.replace(tzinfo=UTC) if row.get(name) else None)
                if at is not None:
                    found.append((at, index))
            found.sort()
            self._sorted[name] = ([at for at, _ in found], [index for _, index in found])
        return self._sorted[name]


def _instant(value: Any, zone: ZoneInfo) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return midnight(value, zone) if isinstance(value, date) else None


def _born(row: Record, zone: ZoneInfo) -> datetime | None:
    return next((at for name in _BORN if (at := _instant(row.get(name), zone)) is not None), None)


def _unpaid(row: Record) -> Record:
    balance = row.get("amount")
    fields = {**row, "status": "open", "balance": balance if isinstance(balance, Money) else row.get("balance")}
    return Record(row.entity, fields, raw=row.raw, where=row.where, problems=row.problems)

"""Records as they were at an instant: read once, put back as far as their own dates tell."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.connector import Source
from libax_automate.engine.spec import Profile
from libax_automate.engine.walltime import midnight
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import ProfileError
from libax_automate.record import BadRow, Money, Query, Record

#: when a record came into being, by the first of these that it has
_BORN = ("created_at", "issued", "opened_at")
#: when an invoice came to its end, by its status; before that it was open
_SETTLED = {"paid": "paid_at", "cancelled": "changed_at", "renegotiated": "changed_at"}
_DAY = timedelta(days=1)


class Archive:
    """All records of the sources, read once, and found by date."""

    def __init__(self, space: Workspace, profile: Profile) -> None:
        self._space, self._profile = space, profile
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self.bad = 0

    def records(self, app: str, entity: str, query: Query, now: datetime) -> Iterator[Record]:
        """The candidates for a query as of ``now``; more may come than asked."""
        self.prime(app, entity)
        yield from self._shelves[app, entity].find(query, now)

    def prime(self, app: str, entity: str) -> None:
        """Read the records of an entity now; raises where they cannot be read."""
        if (app, entity) not in self._shelves:
            self._shelves[app, entity] = self._read(app, entity)

    def _read(self, app: str, entity: str) -> Shelf:
        rows: list[Record] = []
        if app not in self._profile.apps:
            raise ProfileError("the model names no source", hint='add: source = "APP"')
        with self._space.opened(self._profile, self._profile.apps[app]) as source:
            if not isinstance(source, Source):
                raise ProfileError(f"app {app!r} ({source.name}) has no records to read", hint="name a source app")
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
        self._rows = [(row, _born(row, zone), _settled(row, zone)) for row in rows]
        self.undated = any(born is None for _, born, _ in self._rows)
        self._days: dict[str, dict[tuple[int, int], list[int]]] = {}
        self._sorted: dict[str, tuple[list[datetime], list[int]]] = {}
        self._ids: dict[str, list[int]] | None = None

    def find(self, query: Query, now: datetime) -> Iterator[Record]:
        """Records that may match, as they were at ``now``."""
        for index in self._candidates(query):
            row, born, settled = self._rows[index]
            if born is not None and born > now:
                continue
            yield _open(row) if settled is not None and settled > now else row

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
                at = instant_in(row.get(name), self._zone) or (datetime.max.replace(tzinfo=UTC) if row.get(name) else None)
                if at is not None:
                    found.append((at, index))
            found.sort()
            self._sorted[name] = ([at for at, _ in found], [index for _, index in found])
        return self._sorted[name]


def instant_in(value: Any, zone: ZoneInfo) -> datetime | None:
    """The instant of a date (its midnight in ``zone``) or of an instant; None for anything else."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return midnight(value, zone) if isinstance(value, date) else None


def _born(row: Record, zone: ZoneInfo) -> datetime | None:
    return next((at for name in _BORN if (at := instant_in(row.get(name), zone)) is not None), None)


def _settled(row: Record, zone: ZoneInfo) -> datetime | None:
    name = _SETTLED.get(str(row.get("status"))) if row.entity == "invoices" else None
    return instant_in(row.get(name), zone) if name is not None else None


def _open(row: Record) -> Record:
    balance = row.get("amount")
    fields = {**row, "status": "open", "balance": balance if isinstance(balance, Money) else row.get("balance")}
    return Record(row.entity, fields, raw=row.raw, where=row.where, problems=row.problems)

"""A real small ``Run`` over given records: what a model reads while it plans, without engine, profile or database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.engine.select import matches
from libax_automate.model import Sent
from libax_automate.normalise import canonical
from libax_automate.record import Query, Record


class PlannedRun:
    """A :class:`libax_automate.model.Run` for ``day`` (24 December 2026 unless told) at 09:30 local time.

    ``records`` are those of the model's source: Records, or plain mappings of ``entity`` in canonical fields whose texts are
    read as a source would read them (``birth_date="1980-12-24"``). ``others`` holds what further apps answer:
    ``{("crm", "deals"): [...]}``, ``sent`` what the model said before, by record and step, and
    ``consents`` what people answered, and ``documents`` the numbers of documents by record. ``first`` and ``last`` are the
    local days answered for, ``day`` alone by default; ``bookmark`` and ``since`` default to a day before the run, on a first
    pass (``baseline``) to the run itself. Queries are applied as the engine applies them.
    """

    def __init__(
        self,
        records: Iterable[Mapping[str, Any]] = (),
        *,
        entity: str = "contacts",
        others: Mapping[tuple[str, str], Iterable[Mapping[str, Any]]] | None = None,
        day: date = date(2026, 12, 24),
        first: date | None = None,
        last: date | None = None,
        now: datetime | None = None,
        slot: datetime | None = None,
        bookmark: datetime | None = None,
        since: datetime | None = None,
        baseline: bool = False,
        timezone: str = "Europe/Lisbon",
        country: str = "PT",
        sent: Mapping[str, Mapping[str, Sent]] | None = None,
        consents: Mapping[str, str] | None = None,
        documents: Mapping[str, str] | None = None,
    ) -> None:
        self.timezone = ZoneInfo(timezone)
        self.slot = slot or datetime(day.year, day.month, day.day, 9, 30)  # noqa: DTZ001 - a slot is naive local time
        self.now = now or self.slot.replace(tzinfo=self.timezone).astimezone(UTC)
        self.first = first or day
        self.last = last or day
        # on its first pass a model is being seen for the first time
        self.since = since or (self.now if baseline else self.now - timedelta(days=1))
        self.bookmark = bookmark or self.since
        self.baseline = baseline
        self._entity = entity
        self._sent = sent or {}
        self._consents = consents or {}
        self._documents = documents or {}
        self._country = country
        self._records = [self._record(entity, record) for record in records]
        self._others = {key: [self._record(key[1], record) for record in rows] for key, rows in (others or {}).items()}

    @property
    def records(self) -> list[Record]:
        """All records of the model's source, in canonical fields."""
        return list(self._records)

    def fetch(self, entity: str, query: Query) -> Iterator[Record]:
        """The given records of ``entity`` that match ``query``."""
        return (record for record in self._records if record.entity == entity and matches(query, record, self.timezone))

    def other(self, app: str, entity: str, query: Query) -> Iterator[Record]:
        """The records given for ``(app, entity)`` in ``others`` that match ``query``; raises KeyError for what was not given."""
        rows = self._others.get((app, entity))
        if rows is None:
            raise KeyError(f"others has nothing for {(app, entity)!r}")
        return (record for record in rows if matches(query, record, self.timezone))

    def sent(self, record: str) -> Mapping[str, Sent]:
        """What was given in ``sent`` for a record."""
        return self._sent.get(record, {})

    def spoken(self) -> Iterable[str]:
        """The records of ``sent``."""
        return self._sent

    def consent(self, person: str) -> str | None:
        """What was given in ``consents`` for a person."""
        return self._consents.get(person)

    def documented(self, record: str) -> str | None:
        """What was given in ``documents`` for a record."""
        return self._documents.get(record)

    def _record(self, entity: str, values: Mapping[str, Any]) -> Record:
        if isinstance(values, Record):
            return values
        record = canonical(entity, values, country=self._country, timezone=str(self.timezone), raw=values, where="given")
        if record.problems:
            told = "; ".join(f"{field}: {why}" for field, why in record.problems.items())
            raise ValueError(f"a given record cannot be read: {told}")
        return record

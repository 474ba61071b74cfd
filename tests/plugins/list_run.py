"""What a model touches while it plans, over lists of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from libax_automate.engine.select import matches
from libax_automate.model import Sent
from libax_automate.record import Query, Record

NOW = datetime(2026, 12, 24, 9, 30, tzinfo=UTC)


@dataclass
class ListRun:
    """A run on 24 December 2026 in Lisbon, unless told otherwise; ``asked`` holds the queries."""

    records: Sequence[Record]
    now: datetime = NOW
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Lisbon"))
    slot: datetime = datetime(2026, 12, 24, 9, 30)
    first: date = date(2026, 12, 24)
    last: date = date(2026, 12, 24)
    bookmark: datetime = NOW
    since: datetime = NOW
    baseline: bool = False
    asked: list[tuple[str, Query]] = field(default_factory=list)
    said: dict[str, dict[str, Sent]] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    def fetch(self, entity: str, query: Query) -> Iterator[Record]:
        """The records of ``entity`` that match, as the engine would stream them."""
        self.asked.append((entity, query))
        return (record for record in self.records if record.entity == entity and matches(query, record, self.timezone))

    def other(self, app: str, entity: str, query: Query) -> Iterator[Record]:
        """No second source."""
        raise KeyError(app)

    def sent(self, record: str) -> Mapping[str, Sent]:
        """What was said of a record before."""
        return self.said.get(record, {})

    def consent(self, person: str) -> str | None:
        """Nobody has answered."""
        return None

    def documented(self, record: str) -> str | None:
        """The number of the document that speaks of a record."""
        return self.documents.get(record)

    def spoken(self) -> Iterable[str]:
        """Of which records."""
        return self.said

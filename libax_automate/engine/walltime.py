"""Wall time and instants: what a clock on the wall of a zone shows, and when, across changes of its offset.

One rule serves every fixed time: it happens at the first instant at which the clock on the wall shows it *or later*. A time
inside a spring gap therefore happens at the gap's end, a time inside an autumn fold at its first occurrence, and a day that
a zone leaves out (Apia, 2011-12-30) at the midnight that follows it; and two fixed times never change their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from libax_automate.errors import InputDataError

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_FOLD_MARK = "+fold"
MIDNIGHT = time(0)


@dataclass(frozen=True, slots=True)
class Slot:
    """One moment at which a schedule fires: the profile's naive wall time as the schedule says it, and the instant (UTC).

    ``local`` carries ``fold=1`` where it is the second occurrence of a wall time; only schedules that follow elapsed time have such slots.
    """

    local: datetime
    instant: datetime

    @property
    def key(self) -> str:
        """The slot's name in the database: ``2026-10-25T01:30``, and ``2026-10-25T01:30+fold`` where that time comes again."""
        text = self.local.isoformat(timespec="minutes" if not self.local.second else "seconds")
        return text + _FOLD_MARK if self.local.fold else text


def slot_of(key: str, zone: ZoneInfo) -> Slot:
    """The slot that :attr:`Slot.key` named; raises InputDataError where ``key`` is no slot."""
    text, mark, rest = key.partition(_FOLD_MARK)
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        local = None
    if rest or local is None or local.tzinfo is not None:
        raise InputDataError(f"{key!r} is not a slot", hint="a slot is a local time such as 2026-12-24T09:30")
    if not mark:
        return Slot(local, instant_of(local, zone))
    second = local.replace(fold=1)
    return Slot(second, (local - _offset(zone, second)).replace(tzinfo=UTC))


def utc(instant: datetime) -> datetime:
    """The same instant in UTC. Two instants of one zone compare by the clock on the wall, so no reckoning is done in a local zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant carries a zone; this one is a wall time")
    return instant.astimezone(UTC)


def _offset(zone: ZoneInfo, local: datetime) -> timedelta:
    offset = zone.utcoffset(local)
    assert offset is not None, "a ZoneInfo knows its offset at every moment"
    return offset


def _offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None, "a ZoneInfo knows its offset at every moment"
    return offset


def local_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows at ``instant``: naive, with ``fold`` as it is."""
    return instant.astimezone(zone).replace(tzinfo=None)


def instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock on the wall of ``zone`` shows ``local`` or later."""
    first = local.replace(fold=0) if local.fold else local
    offset = _offset(zone, first)
    other = _offset(zone, first.replace(fold=1))
    if offset >= other:  # equal: the ordinary case; greater: a fold, of which fold=0 is the first half (PEP 495)
        return (first - offset).replace(tzinfo=UTC)
    return _change_between(zone, (first - other).replace(tzinfo=UTC), (first - offset).replace(tzinfo=UTC))


def shown(instant: datetime, zone: ZoneInfo) -> datetime:
    """The latest wall time that the clock has shown up to ``instant``; in the second half of a fold that is the end of the first."""
    local = instant.astimezone(zone)
    if not local.fold:
        return local.replace(tzinfo=None)
    again = local.replace(fold=0)
    change = _change_between(zone, again.astimezone(UTC), instant.astimezone(UTC))
    return local_of(change - _TICK, zone).replace(fold=0)


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant in (before, after] at which the offset stops being that of ``before``; to the second."""
    old = _offset_at(zone, before)
    low, high = before, after
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if _offset_at(zone, middle) == old:
            low = middle
        else:
            high = middle
    # offsets change on whole seconds: the change is the one whole second in (low, high]
    return high.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a zone's offset: at ``instant`` (UTC) the clock goes from ``before`` to ``after`` (offsets from UTC)."""

    instant: datetime
    before: timedelta
    after: timedelta

    @property
    def forward(self) -> bool:
        """True where wall times are left out (a gap), False where they come twice (a fold)."""
        return self.after > self.before

    @property
    def wall_before(self) -> datetime:
        """What the clock would show at the change had it not changed."""
        return (self.instant + self.before).replace(tzinfo=None)

    @property
    def wall_after(self) -> datetime:
        """What the clock shows from the change on."""
        return (self.instant + self.after).replace(tzinfo=None)


@lru_cache(maxsize=4096)
def _changes_of_year(zone: ZoneInfo, year: int) -> tuple[Change, ...]:
    """All changes in a UTC year. ``zoneinfo`` lists none, so each day is asked: no zone has ever changed back within a day."""
    found = []
    before = datetime(year, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    old = _offset_at(zone, before)
    end = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    while before < end:
        after = min(before + _DAY, end)
        new = _offset_at(zone, after)
        if new != old:
            found.append(Change(_change_between(zone, before, after), old, new))
        before, old = after, new
    return tuple(found)


def changes(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[Change]:
    """The changes of the zone's offset with ``after < instant <= until``, ascending."""
    for year in range(after.astimezone(UTC).year, until.astimezone(UTC).year + 1):
        for change in _changes_of_year(zone, year):
            if after < change.instant <= until:
                yield change


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time of one offset: ``after < instant <= until``; what lies before the instant ``twice_until`` is shown for the second time."""

    after: datetime
    until: datetime
    offset: timedelta
    twice_until: datetime | None

    def wall(self, instant: datetime) -> datetime:
        """The naive wall time of an instant of this stretch, with ``fold``."""
        local = (instant + self.offset).replace(tzinfo=None)
        return local.replace(fold=1) if self.twice_until is not None and instant < self.twice_until else local


def stretches(zone: ZoneInfo, after: datetime, until: datetime, *, newest_first: bool = False) -> Iterator[Stretch]:
    """(after, until] cut where the zone's offset changes."""
    if after >= until:
        return
    first, last = after.astimezone(UTC), until.astimezone(UTC)
    years = range(first.year, last.year + 1)
    for year in reversed(years) if newest_first else years:  # cut at years too, so that asking for one slot looks at one year
        low = max(first, datetime(year, 1, 1, tzinfo=UTC) - _TICK)
        high = min(last, datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
        found = _stretches(zone, low, high)
        yield from reversed(list(found)) if newest_first else found


def _stretches(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[Stretch]:
    if after >= until:
        return
    # a fold that began up to a day ago may still be going on
    offset, twice = _offset_at(zone, after + _TICK), None
    for change in changes(zone, after - timedelta(days=2), after + _TICK):
        twice = None if change.forward else change.instant + (change.before - change.after)
    for change in changes(zone, after + _TICK, until):
        yield Stretch(after, change.instant - _TICK, offset, twice)
        after, offset = change.instant - _TICK, change.after
        twice = None if change.forward else change.instant + (change.before - change.after)
    yield Stretch(after, until, offset, twice)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which the local day begins."""
    return instant_of(datetime.combine(day, MIDNIGHT), zone)

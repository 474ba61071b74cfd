"""A schedule compiled: the slots it has between two instants, forwards, backwards and counted, without walking through all of them.

There are three shapes. *Fixed* times (``at``, ``every = "14d"``, a cron line of plain hours and minutes) are wall times of local days, each
at one instant (:mod:`.walltime`). *Stepping* cron lines (``*/30 * * * *``, ``0 9-17 * * *``) are wall times too, but follow elapsed time:
both halves of a fold, nothing in a gap. *Intervals* (``every = "30min"``) count elapsed time from the first day's midnight.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from libax_automate.engine.spec import Schedule
from libax_automate.engine.walltime import MIDNIGHT, Slot, Stretch, instant_of, midnight, shown, stretches
from libax_automate.errors import UsageError

#: when ``every`` counts days and says no time
DEFAULT_TIME = time(9)
#: beyond this year nothing is looked for (arithmetic would run out at 9999)
LAST_YEAR = 9000

_TICK = timedelta(microseconds=1)
_EVERY = re.compile(r"(\d{1,5})\s*([a-z]+)")
_UNITS = {"min": "min", "h": "h", "d": "d", "w": "w", "mo": "mo", "y": "y"}
_PLAIN = re.compile(r"\d+(?:,\d+)*", re.ASCII)
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Every:
    """``every`` read: exactly one of the three is set; ``months`` counts years too (12 each)."""

    days: int = 0
    months: int = 0
    elapsed: timedelta = timedelta()


def every_of(text: str) -> Every:
    """Read ``every``: ``30min``, ``2h``, ``14d``, ``2w``, ``1mo``, ``1y``; raises UsageError with what to write instead."""
    match = _EVERY.fullmatch(text.strip().lower())
    count, unit = (int(match[1]), match[2]) if match else (0, "")
    if unit == "m":
        raise UsageError(f"every = {text!r}: m could be minutes or months", hint=f'write "{count}min" or "{count}mo"')
    if unit not in _UNITS:
        raise UsageError(f"every = {text!r} is not a span", hint='write a number and min, h, d, w, mo or y, such as "14d" or "30min"')
    if count == 0:
        raise UsageError(f"every = {text!r} would fire without end", hint='write at least 1, such as "1d"')
    match unit:
        case "min":
            return Every(elapsed=timedelta(minutes=count))
        case "h":
            return Every(elapsed=timedelta(hours=count))
        case "d":
            return Every(days=count)
        case "w":
            return Every(days=7 * count)
        case "mo":
            return Every(months=count)
        case _:
            return Every(months=12 * count)


@dataclass(frozen=True, slots=True)
class DayRule:
    """Which local days a schedule has."""

    monthdays: frozenset[int] | None = None
    months: frozenset[int] | None = None
    #: 1 = Monday … 7 = Sunday
    weekdays: frozenset[int] | None = None
    #: cron's OR: where both weekdays and month days are restricted, either suffices
    either: bool = False
    #: month days and weekdays that only croniter understands (``L``, ``15W``, ``1#2``): a cron line at midnight
    special: str = ""
    every: Every | None = None
    first: date | None = None
    #: inclusive
    last: date | None = None

    def month(self, year: int, month: int) -> list[date]:
        """The days of one month, ascending."""
        if self.months is not None and month not in self.months:
            return []
        weekday, length = monthrange(year, month)
        low = self.first.day if self.first is not None and (year, month) == (self.first.year, self.first.month) else 1
        high = self.last.day if self.last is not None and (year, month) == (self.last.year, self.last.month) else length
        if (self.first is not None and (year, month) < (self.first.year, self.first.month)) or (
            self.last is not None and (year, month) > (self.last.year, self.last.month)
        ):
            return []
        if self.special:
            return [day for day in _special_days(self.special, year, month) if low <= day.day <= high]
        if self.every is not None:
            numbers = self._counted(year, month, length)
        elif self.monthdays is not None and not self.either:
            numbers = sorted(self.monthdays)
        else:
            numbers = range(low, high + 1)
        chosen = (number for number in numbers if low <= number <= high)
        if self.either and self.monthdays is not None and self.weekdays is not None:
            days, weekdays = self.monthdays, self.weekdays
            chosen = (number for number in chosen if number in days or (weekday + number - 1) % 7 + 1 in weekdays)
        else:
            if self.weekdays is not None:
                weekdays = self.weekdays
                chosen = (number for number in chosen if (weekday + number - 1) % 7 + 1 in weekdays)
            if self.monthdays is not None:
                days = self.monthdays
                chosen = (number for number in chosen if number in days)
        return [date(year, month, number) for number in chosen]

    def _counted(self, year: int, month: int, length: int) -> list[int] | range:
        """The days of the month that ``every`` counts from ``first``; month ends clamp from the anchor, never from one another."""
        every, first = self.every, self.first
        assert every is not None, "only called with every"
        assert first is not None, "compiling refuses every without start"
        if every.months:
            apart = (year - first.year) * 12 + month - first.month
            return [min(first.day, length)] if apart >= 0 and apart % every.months == 0 else []
        since = (date(year, month, 1) - first).days
        return range(1 + (-since) % every.days, length + 1, every.days)

    def between(self, first: date, last: date, *, newest_first: bool = False) -> Iterator[date]:
        """The days from ``first`` to ``last``, both included."""
        if self.first is not None and self.first > first:
            first = self.first
        if self.last is not None and self.last < last:
            last = self.last
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        for index in reversed(months) if newest_first else months:
            days = self.month(index // 12, index % 12 + 1)
            if index in (months[0], months[-1]):
                days = days[bisect_left(days, first) : bisect_right(days, last)]
            yield from reversed(days) if newest_first else days


def _special_days(line: str, year: int, month: int) -> list[date]:
    from croniter import croniter
    from croniter.croniter import CroniterBadDateError

    length = monthrange(year, month)[1]
    start = datetime(year, month, 1) - timedelta(seconds=1)  # noqa: DTZ001 - croniter runs over naive local time
    end = datetime(year, month, length)  # noqa: DTZ001
    found = []
    walk = croniter(line, start, ret_type=datetime, max_years_between_matches=9)
    try:
        while (moment := walk.get_next()) <= end:
            found.append(moment.date())
    except CroniterBadDateError:
        pass  # nothing within nine years: nothing within this month
    return found


@dataclass(frozen=True, slots=True)
class Timetable:
    """Wall times of local days: fixed, or stepping (``follows_elapsed``)."""

    days: DayRule
    times: tuple[time, ...]
    follows_elapsed: bool = False

    def slots(self, zone: ZoneInfo, after: datetime, until: datetime, *, newest_first: bool = False) -> Iterator[Slot]:
        """Every slot with ``after < instant <= until``."""
        if after >= until:
            return
        if not self.follows_elapsed:
            for local in self._walls(shown(after, zone), shown(until, zone), newest_first=newest_first):
                yield Slot(local, instant_of(local, zone))
            return
        for stretch in stretches(zone, after, until, newest_first=newest_first):
            shift = stretch.offset
            low, high = (stretch.after + shift).replace(tzinfo=None), (stretch.until + shift).replace(tzinfo=None)
            for local in self._walls(low, high, newest_first=newest_first):
                instant = (local - shift).replace(tzinfo=UTC)
                yield Slot(stretch.wall(instant), instant)

    def count(self, zone: ZoneInfo, after: datetime, until: datetime) -> int:
        """How many slots there are with ``after < instant <= until``."""
        if after >= until:
            return 0
        if not self.follows_elapsed:
            return self._number(shown(after, zone), shown(until, zone))
        spans = ((s.after + s.offset, s.until + s.offset) for s in stretches(zone, after, until))
        return sum(self._number(low.replace(tzinfo=None), high.replace(tzinfo=None)) for low, high in spans)

    def _walls(self, low: datetime, high: datetime, *, newest_first: bool) -> Iterator[datetime]:
        """The wall times in (low, high]."""
        first, last, times = low.date(), high.date(), self.times
        ordered = times[::-1] if newest_first else times
        for day in self.days.between(first, last, newest_first=newest_first):
            if day in (first, last):
                for moment in ordered:
                    local = datetime.combine(day, moment)
                    if low < local <= high:
                        yield local
            else:
                for moment in ordered:
                    yield datetime.combine(day, moment)

    def _number(self, low: datetime, high: datetime) -> int:
        first, last = low.date(), high.date()
        if low >= high:
            return 0
        number = 0
        for day in self.days.between(first, last):
            from_ = bisect_right(self.times, low.time()) if day == first else 0
            to = bisect_right(self.times, high.time()) if day == last else len(self.times)
            number += max(0, to - from_)
        return number


@dataclass(frozen=True, slots=True)
class Interval:
    """Elapsed time counted from the first day's midnight, on the days that the rule allows."""

    days: DayRule
    step: timedelta
    filtered: bool = field(default=False)

    def slots(self, zone: ZoneInfo, after: datetime, until: datetime, *, newest_first: bool = False) -> Iterator[Slot]:
        """Every slot with ``after < instant <= until``."""
        anchor = self._anchor(zone)
        for low, high, stretch in self._spans(zone, anchor, after, until, newest_first=newest_first):
            numbers = range(low, high)
            for number in reversed(numbers) if newest_first else numbers:
                instant = anchor + number * self.step
                yield Slot(stretch.wall(instant), instant)

    def count(self, zone: ZoneInfo, after: datetime, until: datetime) -> int:
        """How many slots there are with ``after < instant <= until``."""
        return sum(high - low for low, high, _ in self._spans(zone, self._anchor(zone), after, until))

    def _anchor(self, zone: ZoneInfo) -> datetime:
        assert self.days.first is not None, "compiling refuses every without start"
        return midnight(self.days.first, zone)

    def _spans(
        self, zone: ZoneInfo, anchor: datetime, after: datetime, until: datetime, *, newest_first: bool = False
    ) -> Iterator[tuple[int, int, Stretch]]:
        """Ranges of step numbers, each within one stretch and, where days are filtered, one local day."""

        def numbers(low: datetime, high: datetime) -> tuple[int, int]:
            return (low - anchor) // self.step + 1, (high - anchor) // self.step + 1

        after = max(after, anchor - _TICK)
        for stretch in stretches(zone, after, until, newest_first=newest_first):
            shift = stretch.offset
            wall_low, wall_high = (stretch.after + shift).replace(tzinfo=None), (stretch.until + shift).replace(tzinfo=None)
            if not self.filtered:
                if self.days.last is not None:
                    wall_high = min(wall_high, datetime.combine(self.days.last + timedelta(days=1), MIDNIGHT) - _TICK)
                if wall_high > wall_low:
                    yield *numbers(stretch.after, (wall_high - shift).replace(tzinfo=UTC)), stretch
                continue
            for day in self.days.between(wall_low.date(), wall_high.date(), newest_first=newest_first):
                low = max(wall_low, datetime.combine(day, MIDNIGHT) - _TICK)
                high = min(wall_high, datetime.combine(day + timedelta(days=1), MIDNIGHT) - _TICK)
                if low < high:
                    yield *numbers((low - shift).replace(tzinfo=UTC), (high - shift).replace(tzinfo=UTC)), stretch


def cron_line(text: str) -> str:
    """A cron line as it is run: spaces made one, ``@daily`` and its like spelled out."""
    line = " ".join(text.split())
    return _ALIASES.get(line.lower(), line)


def _of_cron(line: str, first: date | None, last: date | None) -> Timetable:
    from croniter import croniter
    from croniter.croniter import CroniterError

    fields = line.split()
    if len(fields) != 5:
        raise UsageError(
            f"cron = {line!r} has {len(fields)} fields, not 5 (minute hour day month weekday)",
            hint="write five fields, such as 30 9 * * 1-5; seconds and years are not scheduled",
        )
    if any(re.search(r"(?<![a-z])[hr](?![a-z])", part, re.IGNORECASE) for part in fields):
        raise UsageError(f"cron = {line!r}: H and R pick times by chance", hint="write the minute and the hour")
    try:
        croniter.expand(line, strict=True)
        walk = croniter(line)
    except (CroniterError, ValueError, KeyError, TypeError) as error:
        reason = re.sub(r"^\[.*?\] *|is not acceptable[.,]? *", "", str(error)).strip().rstrip(".")
        raise UsageError(
            f"cron = {line!r} cannot be run{': ' if reason else ''}{reason}",
            hint="write minute hour day month weekday, such as 30 9 * * 1-5",
        ) from None
    minutes, hours, days, months, weekdays = ([*part] for part in walk.expanded[:5])
    times = tuple(
        time(hour, minute)
        for hour in (range(24) if hours == ["*"] else sorted(hours))
        for minute in (range(60) if minutes == ["*"] else sorted(minutes))
    )
    stepping = not (_PLAIN.fullmatch(fields[0]) and _PLAIN.fullmatch(fields[1]))
    month_set = None if months == ["*"] else frozenset(months)
    if walk.nth_weekday_of_month or walk.nearest_weekday or "l" in days or "l" in weekdays:
        rule = DayRule(months=month_set, special=" ".join(("0 0", *fields[2:])), first=first, last=last)
    else:
        day_set = None if days == ["*"] else frozenset(days)
        weekday_set = None if weekdays == ["*"] else frozenset((number - 1) % 7 + 1 for number in weekdays)
        rule = DayRule(monthdays=day_set, months=month_set, weekdays=weekday_set, either=True, first=first, last=last)
    return Timetable(rule, times, follows_elapsed=stepping)


@lru_cache(maxsize=8192)
def compiled(schedule: Schedule) -> Timetable | Interval | None:
    """The schedule made ready, once; None where it has no slots (real time, by hand). Raises UsageError where it cannot be read."""
    first, last = schedule.start, schedule.end
    if schedule.realtime or not (schedule.at or schedule.cron is not None or schedule.every is not None):
        return None
    if schedule.cron is not None:
        return _of_cron(cron_line(schedule.cron), first, last)
    every = None if schedule.every is None else every_of(schedule.every)
    if every is not None and first is None:
        raise UsageError(
            f"every = {schedule.every!r} counts from start, and there is none", hint="add the first day, such as start = 2026-12-01"
        )
    rule = DayRule(
        monthdays=schedule.monthdays, months=schedule.months, weekdays=schedule.weekdays,
        every=None if every is None or every.elapsed else every, first=first, last=last,
    )  # fmt: skip
    if every is not None and every.elapsed:
        return Interval(rule, every.elapsed, filtered=any(part is not None for part in (rule.monthdays, rule.months, rule.weekdays)))
    return Timetable(rule, tuple(sorted(set(schedule.at or (DEFAULT_TIME,)))))

"""When a model fires: pure functions of a schedule, a zone and given instants. Nothing here asks what time it is.

The first day is ``start`` and the last day is ``end``, both included (LX-37, LX-38): with ``end = 2027-12-31`` the last slot
is on 2027-12-31, and the model has no effect from the midnight that ends it. Both are local days.

The named fields ``weekdays``, ``monthdays`` and ``months`` are ANDed, as a person filling in a form expects; a ``cron`` line keeps
cron's own OR between day and weekday. What clock changes do is told in :mod:`libax_automate.engine.slots`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from libax_automate.engine.late import MOST, Due, DueRun, due
from libax_automate.engine.slots import DEFAULT_TIME, LAST_YEAR, Every, Interval, Timetable, compiled, cron_line, every_of
from libax_automate.engine.spec import Schedule
from libax_automate.engine.walltime import Slot, slot_of, utc
from libax_automate.errors import UsageError

__all__ = [
    "DEFAULT_TIME", "MOST", "Due", "DueRun", "Every", "Slot",
    "describe", "due", "every_of", "next_fire", "remarks", "slot_of", "slots", "validate",
]  # fmt: skip

#: the Gregorian calendar repeats after 400 years: what does not fire within them never does
_CYCLE = 400
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIMITS = (("monthdays", 1, 31), ("months", 1, 12), ("weekdays", 1, 7))


def slots(schedule: Schedule, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[Slot]:
    """The slots with ``after < instant <= until``, ascending; none in real time or by hand.

    Raises UsageError where the schedule cannot be read.
    """
    table = compiled(schedule)
    return iter(()) if table is None else table.slots(zone, utc(after), utc(until))


def next_fire(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Slot | None:
    """The first slot later than ``after``; None in real time or by hand, and where nothing follows."""
    table = compiled(schedule)
    return None if table is None else next(table.slots(zone, utc(after), _horizon(after)), None)


def _horizon(after: datetime) -> datetime:
    return datetime(min(after.year + _CYCLE, LAST_YEAR), 12, 31, tzinfo=UTC)


def validate(schedule: Schedule) -> list[str]:
    """Everything that is wrong with a schedule, each ``what, why → what to do``; empty where it can run."""
    said = _said(schedule)
    if len(said) > 1:
        return [f"{' and '.join(said)} are both set, and either says when it runs → keep one of them"]
    found = [*_wrong_fields(schedule)]
    if schedule.realtime:
        return found
    if not said:
        return [*found, 'nothing says when it runs → add at = "09:30", or cron, every or realtime = true']
    if schedule.cron is not None and (named := [name for name, *_ in _LIMITS if getattr(schedule, name) is not None]):
        extra = ", ".join(named)
        found.append(f"cron and {extra} are both set, and a cron line names its own days → use at instead of cron, or drop {extra}")

    try:
        table = compiled(schedule)
    except UsageError as error:
        return [*found, str(error)]
    if isinstance(table, Interval) and schedule.at:
        found.append(f"at has no effect with every = {schedule.every!r}, which counts from midnight of start → drop at, or count days")
    if not found and table is not None and not _ever(table):
        found.append(_never(schedule))
    return found


def _said(schedule: Schedule) -> list[str]:
    said = [name for name in ("cron", "every") if getattr(schedule, name) is not None]
    # ``every`` in days takes its time of day from ``at``
    if schedule.at and schedule.every is None:
        said.insert(0, "at")
    return [*said, "realtime"] if schedule.realtime else said


def _wrong_fields(schedule: Schedule) -> Iterator[str]:
    for name, low, high in _LIMITS:
        numbers: frozenset[int] | None = getattr(schedule, name)
        if numbers is not None and not numbers:
            yield f'{name} is empty, so no day fits → write "all", or name some'
        elif numbers and not all(low <= number <= high for number in numbers):
            wrong = ", ".join(str(number) for number in sorted(numbers) if not low <= number <= high)
            yield f"{name} has {wrong}, and goes from {low} to {high} → correct it"
    if any(moment.second or moment.microsecond for moment in schedule.at):
        yield "at has seconds, and schedules go by the minute → write HH:MM"
    if any(moment.tzinfo is not None for moment in schedule.at):
        yield "at has an offset, and schedules go by the profile's timezone → write HH:MM alone"
    if schedule.start is not None and schedule.end is not None and schedule.end < schedule.start:
        yield f"end {schedule.end} lies before start {schedule.start}, so no day fits → correct one of them"


def _ever(table: Timetable | Interval) -> bool:
    """Whether there is a day at all; an interval longer than a day may still step over the few there are, which nobody writes."""
    first = table.days.first or date(2000, 1, 1)
    last = table.days.last or date(min(first.year + _CYCLE, LAST_YEAR), 12, 31)
    return next(table.days.between(first, last), None) is not None


def _never(schedule: Schedule) -> str:
    days, months = schedule.monthdays, schedule.months
    if schedule.cron is None and days and months and not any(day <= monthrange(2000, month)[1] for day in days for month in months):
        return f"days {_ranges(days)} never come in {_ranges(months, _MONTHS)}, so it never fires → correct monthdays or months"
    if schedule.start is not None and schedule.end is not None:
        return f"it never fires between {schedule.start} and {schedule.end} → correct its days, start or end"
    return f"it never fires ({describe(schedule)}) → correct its days"


def remarks(schedule: Schedule) -> list[str]:
    """What is allowed, but may not be what was meant (``check`` prints it as a warning)."""
    if schedule.cron is None:
        return []
    fields = cron_line(schedule.cron).split()
    if len(fields) == 5 and not fields[2].startswith(("*", "?")) and not fields[4].startswith(("*", "?")):
        days = f"day {fields[2]} OR on weekday {fields[4]}"
        return [f"cron = {schedule.cron!r} fires on {days}, as cron does → for both at once use at, monthdays and weekdays"]
    return []


def describe(schedule: Schedule) -> str:
    """The schedule in words, for tables: ``09:30 Mon-Fri, from 2026-12-01 to 2027-12-31``."""
    if schedule.realtime:
        text = "real time"
    elif not (schedule.at or schedule.cron is not None or schedule.every is not None):
        text = "by hand"
    elif schedule.cron is not None:
        text = f"cron {cron_line(schedule.cron)}"
    elif schedule.every is not None:
        text = f"every {schedule.every}"
        if schedule.at or not _elapsed(schedule.every):
            text += f" at {_times(schedule.at or (DEFAULT_TIME,))}"
    else:
        text = _times(schedule.at)
    if schedule.weekdays is not None:
        text += f" {_ranges(schedule.weekdays, _WEEKDAYS)}"
    elif schedule.at and schedule.every is None and schedule.monthdays is None and schedule.months is None:
        text += " daily"
    if schedule.monthdays is not None:
        text += f" on day{'s' if len(schedule.monthdays) != 1 else ''} {_ranges(schedule.monthdays)}"
    if schedule.months is not None:
        text += f" in {_ranges(schedule.months, _MONTHS)}"
    if schedule.start is not None:
        text += f", from {schedule.start}"
    if schedule.end is not None:
        text += f"{',' if schedule.start is None else ''} to {schedule.end}"
    return text


def _elapsed(every: str) -> bool:
    try:
        return bool(every_of(every).elapsed)
    except UsageError:
        return True


def _times(moments: tuple[time, ...]) -> str:
    return ", ".join(f"{moment:%H:%M}" for moment in sorted(moments))


def _ranges(numbers: frozenset[int], names: tuple[str, ...] = ()) -> str:
    """``1-5, 15`` or ``Mon-Fri``; three in a row or more make a range."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])

    def word(number: int) -> str:
        return names[number - 1] if 0 < number <= len(names) else str(number)

    parts = ([word(n) for n in run] if len(run) < 3 else [f"{word(run[0])}-{word(run[-1])}"] for run in runs)
    return ", ".join(part for run in parts for part in run)

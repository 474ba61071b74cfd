"""What missed slots do: ``late = "skip" | "once" | "all"``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from libax_automate.engine.slots import compiled
from libax_automate.engine.spec import Schedule
from libax_automate.engine.walltime import Slot, local_of, utc
from libax_automate.model import Late

#: after a long outage no more slots than this are named, or run one by one; what is beyond is counted
MOST = 1000

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DueRun:
    """One run to make: its slot, and the local dates it answers for, both included."""

    slot: Slot
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Due:
    """What the slots since the bookmark come to; every slot is in exactly one of the three, ascending.

    ``missed`` and ``covered`` name the newest :data:`MOST`; ``more_missed`` and ``more_covered`` count the older ones.
    """

    runs: tuple[DueRun, ...] = ()
    #: nobody will run these
    missed: tuple[Slot, ...] = ()
    #: another run answers for these (``late = "once"``)
    covered: tuple[Slot, ...] = ()
    more_missed: int = 0
    more_covered: int = 0


def due(schedule: Schedule, zone: ZoneInfo, *, bookmark: datetime, now: datetime, late: Late, late_limit: timedelta | None = None) -> Due:
    """What to do about the slots with ``bookmark < instant <= now``.

    - ``skip``: the newest, and only on the local day it fires (a birthday wish dies at midnight); the others are missed.
    - ``once``: one run at the newest slot, for all dates since the oldest slot within ``late_limit``; the slots between are covered.
    - ``all``: each slot not older than ``late_limit`` runs for itself, at most the newest :data:`MOST`; the others are missed.

    Slots that a clock change puts on one instant stand together: with ``skip`` both run.
    Raises UsageError where the schedule cannot be read.
    """
    table, bookmark, now = compiled(schedule), utc(bookmark), utc(now)
    if table is None or bookmark >= now:
        return Due()
    newest = tuple(islice(table.slots(zone, bookmark, now, newest_first=True), MOST))[::-1]
    if not newest:
        return Due()
    older = table.count(zone, bookmark, now) - len(newest) if len(newest) == MOST else 0

    if late is Late.SKIP:
        last = newest[-1].instant
        alive = local_of(last, zone).date() == local_of(now, zone).date()
        runs = tuple(_alone(slot) for slot in newest if slot.instant == last) if alive else ()
        return Due(runs, newest[: len(newest) - len(runs)], more_missed=older)

    floor = bookmark if late_limit is None else max(bookmark, now - late_limit - _TICK)
    fresh = tuple(slot for slot in newest if slot.instant > floor)
    stale = newest[: len(newest) - len(fresh)]
    if late is Late.ALL or not fresh:
        return Due(tuple(map(_alone, fresh)), stale, more_missed=older)

    # the oldest may lie beyond the newest MOST
    beyond = table.count(zone, bookmark, floor) if older else 0
    oldest = next(table.slots(zone, floor, now)) if older and not stale else fresh[0]
    newest_date = fresh[-1].local.date()
    run = DueRun(fresh[-1], min(oldest.local.date(), newest_date), newest_date)
    if stale:
        return Due((run,), stale, fresh[:-1], more_missed=older)
    return Due((run,), (), fresh[:-1], more_missed=beyond, more_covered=older - beyond)


def _alone(slot: Slot) -> DueRun:
    day = slot.local.date()
    return DueRun(slot, day, day)

"""Quiet hours and sending days: hold, never drop."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from libax_automate.engine.spec import Quiet
from libax_automate.engine.walltime import instant_of


def held_until(quiet: Quiet | None, weekdays: frozenset[int] | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The instant from which something may leave, or None if it may leave at ``now``.

    ``weekdays`` are the local days on which anything leaves at all (1 = Monday). Held messages go at the end of the
    quiet hours, or at the start of the next sending day that is not quiet; in a clock-change night, at the first
    instant that really exists.
    """
    if quiet is None and weekdays is None:
        return None
    at = now
    # each round moves forward, and eight days meet every weekday
    for _ in range(20):
        local = at.astimezone(zone)
        if weekdays is not None and local.isoweekday() not in weekdays:
            at = instant_of(datetime.combine(local.date() + timedelta(days=1), time()), zone)
            continue
        end = _quiet_end(quiet, local) if quiet is not None else None
        if end is None:
            break
        at = instant_of(end, zone)
    return None if at == now else at


def _quiet_end(quiet: Quiet, local: datetime) -> datetime | None:
    clock = local.time()
    if quiet.start == quiet.end:
        return None
    if quiet.start < quiet.end:
        return datetime.combine(local.date(), quiet.end) if quiet.start <= clock < quiet.end else None
    if clock >= quiet.start:
        return datetime.combine(local.date() + timedelta(days=1), quiet.end)
    return datetime.combine(local.date(), quiet.end) if clock < quiet.end else None

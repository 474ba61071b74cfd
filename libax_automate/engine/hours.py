"""When messages may leave: quiet hours and sending weekdays, which hold a message and never drop it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from libax_automate.engine.spec import ModelSpec, Profile, Quiet
from libax_automate.engine.walltime import instant_of, local_of, midnight

#: as they stand in reasons
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Hold:
    """A message waits until ``until`` (UTC); ``reason`` says why, for people."""

    until: datetime
    reason: str


class Hours:
    """The hours in which messages leave, on the clock of ``zone``; ``weekdays`` are 1 = Monday … 7 = Sunday, None = all."""

    def __init__(self, zone: ZoneInfo, quiet: Quiet | None = None, weekdays: frozenset[int] | None = None) -> None:
        self._zone = zone
        self._quiet = quiet
        self._weekdays = weekdays or None
        self._last: tuple[datetime, Hold | None] | None = None

    @classmethod
    def of(cls, profile: Profile, spec: ModelSpec | None) -> Self:
        """The hours of a model, else those of ``[defaults]``; ``spec`` None = a model that the profile no longer has."""
        defaults = profile.defaults
        if spec is None:
            return cls(profile.timezone, defaults.quiet, defaults.send_weekdays)
        quiet = None if spec.any_hour else spec.quiet or defaults.quiet
        return cls(profile.timezone, quiet, spec.send_weekdays or defaults.send_weekdays)

    def hold(self, now: datetime) -> Hold | None:
        """What holds a message that is ready at ``now``; None when it may leave at once."""
        if self._quiet is None and self._weekdays is None:
            return None
        last = self._last  # a run asks for one and the same moment, thousands of times
        if last is None or last[0] != now:
            last = self._last = (now, self._find(now))
        return last[1]

    def _find(self, now: datetime) -> Hold | None:
        at = now.astimezone(UTC)
        closed: str | None = None
        while True:
            local = local_of(at, self._zone)
            if self._weekdays is not None and local.isoweekday() not in self._weekdays:
                closed = closed or f"no sending on {DAYS[local.weekday()]}"
                at = midnight(local.date() + timedelta(days=1), self._zone)
            elif (end := self._quiet_end(at, local)) is not None:
                at = end
            else:
                break
        if at <= now:
            return None
        local = local_of(at, self._zone)
        if closed is None:
            return Hold(at, f"quiet hours until {local:%H:%M}")
        return Hold(at, f"{closed}, waits until {DAYS[local.weekday()][:3]} {local.day} {MONTHS[local.month - 1]} {local:%H:%M}")

    def _quiet_end(self, at: datetime, local: datetime) -> datetime | None:
        quiet = self._quiet
        if quiet is None:
            return None
        time = local.time()
        if quiet.start < quiet.end:
            if not quiet.start <= time < quiet.end:
                return None
            day: date = local.date()
        elif time >= quiet.start:
            day = local.date() + timedelta(days=1)
        elif time < quiet.end:
            day = local.date()
        else:
            return None
        end = datetime.combine(day, quiet.end)
        until = instant_of(end, self._zone)
        if until <= at:
            # the hour comes twice tonight, and this is its second time
            until = end.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return until if until > at else None

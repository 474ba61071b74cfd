"""The birthday model: a message to those whose birthday is today, or in so many days (LX-24, LX-46, IB-17)."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

import libax_automate as ax

_LEAP = (2, 29)
#: nobody has lived longer than 122 years; an older date is a mistake or a default of some form
_OLDEST = 130


class BirthdayOptions(ax.Options):
    """Options of the birthday model."""

    days_before: int = Field(0, ge=0, le=60, description="Days before the birthday on which the message leaves; 0 = on the day.")
    feb29: Literal["feb28", "mar1", "leap-only"] = Field("feb28", description="When 29 February is kept in other years.")


class Birthday(ax.Model[BirthdayOptions]):
    """Finds birthdays by month and day of ``birth_date``; the occasion is the date of the birthday, so each is kept once."""

    name = "birthday"
    title = "Message on a person's birthday, or some days before"
    placeholders: ClassVar[Mapping[str, str]] = {"age": "46", "birthday": "2026-12-24"}
    late = ax.Late.SKIP
    expires = "day"
    message_class = ax.MessageClass.COURTESY
    generic_subject = "subject.birthday"

    def reads(self) -> tuple[str, ...]:
        """The date it lives by."""
        return ("birth_date",)

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield everybody whose birthday, shifted by ``days_before``, lies in the run's dates."""
        offset = timedelta(days=self.options.days_before)
        kept = self._kept(run.first + offset, run.last + offset)
        query = ax.Query(anniversary=ax.Anniversary("birth_date", frozenset(kept)))
        #: what is the same for all who were born on one day
        alike: dict[date, tuple[str, Mapping[str, Any], str, str | None]] = {}
        for record in run.fetch("contacts", query):
            born = record["birth_date"]
            if isinstance(born, datetime):
                born = born.astimezone(run.timezone).date()
            found = alike.get(born)
            if found is None:
                day = kept[born.month, born.day]
                age = day.year - born.year
                extra = MappingProxyType({"age": age, "birthday": day})
                found = alike[born] = (day.isoformat(), extra, f"turns {age} on {day.isoformat()}", _unlikely(born, age))
            yield ax.Candidate(record=record, occasion=found[0], extra=found[1], why=found[2], excluded=found[3])

    def _kept(self, first: date, last: date) -> dict[tuple[int, int], date]:
        """(month, day) of birth → the date in ``first`` … ``last`` on which it is kept; of more than a year, the latest."""
        kept: dict[tuple[int, int], date] = {}
        day = max(first, last - timedelta(days=365))
        instead = {"feb28": (2, 28), "mar1": (3, 1)}.get(self.options.feb29)
        while day <= last:
            kept[day.month, day.day] = day
            if not isleap(day.year) and (day.month, day.day) == instead:
                kept[_LEAP] = day
            day += timedelta(days=1)
        return kept


def _unlikely(born: date, age: int) -> str | None:
    if age <= 0:
        return f"birth_date {born.isoformat()} is not in the past"
    if age > _OLDEST:
        return f"birth_date {born.isoformat()} would make {age} years"
    return None


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Birthday]

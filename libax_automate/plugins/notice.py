"""The notice model: a message about any record, some days before or after one of its dates, or because a condition holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

import libax_automate as ax
from libax_automate.people import with_people


class NoticeOptions(ax.Options):
    """Options of the notice model."""

    entity: str = Field("contacts", description="What records it reads: contacts, invoices, deals, or whatever the source has.")
    date_field: str | None = Field(
        None, description="The date that counts, such as warranty_end; without it, the model's where selects alone."
    )
    days_before: int = Field(0, ge=0, le=3650, description="Days before the date.")
    days_after: int = Field(0, ge=0, le=3650, description="Days after the date.")
    occasion: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="A name for the occasion, such as natal-2026: each record gets one message per name.",
    )
    repeat: bool = Field(False, description="Without date_field: once per run, not once for ever.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.days_before and self.days_after:
            raise ValueError("days_before and days_after are both given: keep one")
        if self.date_field is None and (self.days_before or self.days_after):
            raise ValueError("days_before and days_after count from date_field, which is missing")
        if self.repeat and (self.date_field or self.occasion):
            raise ValueError("repeat is for a model with neither date_field nor occasion: those say what makes a message new")
        return self


class Notice(ax.Model[NoticeOptions]):
    """Finds records by a date ± days, or all of them for ``where`` to choose from.

    The occasion is the date itself (a new date is a new occasion), else ``occasion``, else once for ever, or with ``repeat`` the day of
    the run. Records of other entities write to their customer or contact, once for each record.
    """

    name = "notice"
    title = "Message about any record, by a date or a condition"
    placeholders: ClassVar[Mapping[str, str]] = {"days": "30"}
    late = ax.Late.ONCE
    message_class = ax.MessageClass.SERVICE
    generic_subject = "subject.notice"

    def entity_name(self) -> str:
        """The entity of the options."""
        return self.options.entity

    def reads(self) -> tuple[str, ...]:
        """The date that counts, where there is one."""
        return (self.options.date_field,) if self.options.date_field else ()

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield each record whose moment it is, with the person it belongs to."""
        options = self.options
        offset = timedelta(days=options.days_before - options.days_after)
        query = ax.Query()
        if options.date_field is not None:
            query = ax.Query(span=ax.Span(options.date_field, run.first + offset, run.last + offset))
        for record, person, missing in with_people(run, run.fetch(options.entity, query)):
            day = _day(record.get(options.date_field), run) if options.date_field else None
            yield ax.Candidate(
                record=record,
                recipient=person,
                occasion=self._occasion(record, person, day, run),
                extra={"days": abs(offset.days)},
                why=f"{options.date_field} is {day.isoformat()}" if day else "",
                excluded=missing,
            )

    def _occasion(self, record: ax.Record, person: ax.Record | None, day: date | None, run: ax.Run) -> str:
        options = self.options
        if options.occasion is not None:
            what = options.occasion
        elif options.date_field is not None:
            what = f"{options.date_field} {day.isoformat() if day else ''}"
        else:
            what = run.slot.date().isoformat() if options.repeat else "once"
        return what if person is None else f"{record.id} {what}"


def _day(value: Any, run: ax.Run) -> date | None:
    if isinstance(value, datetime):
        return value.astimezone(run.timezone).date() if value.tzinfo else value.date()
    return value if isinstance(value, date) else None


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Notice]

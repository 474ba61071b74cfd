"""The welcome model: a message to those who are new since the last run (LX-23, LX-45)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

import libax_automate as ax

_SPAN = re.compile(r"(\d{1,4})\s*([mhdw])")
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class WelcomeOptions(ax.Options):
    """Options of the welcome model."""

    field: str = Field("created_at", description="The field that says since when a customer is registered.")
    lookback: str = Field(
        "2d", description="How far before the last run to look again, for customers that reach the source late; nobody is welcomed twice."
    )

    @field_validator("lookback")
    @classmethod
    def _a_span(cls, value: str) -> str:
        if not _SPAN.fullmatch(value.strip().lower()):
            raise ValueError('should be a span such as "2d", "12h" or "30m"')
        return value.strip().lower()

    def reach(self) -> timedelta:
        """``lookback`` as a span of time."""
        found = _SPAN.fullmatch(self.lookback)
        assert found is not None, "validated"
        return int(found[1]) * _UNIT[found[2]]


class Welcome(ax.Model[WelcomeOptions]):
    """Finds who was registered after the model was first seen; a person is new once, so the occasion is ``created``.

    A source that knows only the day of registration cannot tell who came before the model and who after it on that first day: those that
    are there on the first pass came before.
    """

    name = "welcome"
    title = "Message to new customers"
    realtime = True
    bookmarked = True
    late = ax.Late.ALL
    late_limit = timedelta(days=2)
    placeholders: ClassVar[Mapping[str, str]] = {}
    message_class = ax.MessageClass.SERVICE
    generic_subject = "subject.welcome"

    def reads(self) -> tuple[str, ...]:
        """The moment of registration."""
        return (self.options.field,)

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield everybody registered since the last run, and a little before it; on the first pass, who is there already today."""
        after = run.since if run.baseline else max(run.since, run.bookmark - self.options.reach())
        field = self.options.field
        for record in run.fetch("contacts", ax.Query(since=ax.Since(field, after))):
            created = record.get(field)
            known_to_the_day = not isinstance(created, datetime)
            yield ax.Candidate(
                record=record,
                occasion="created",
                why=f"registered on {created if known_to_the_day else f'{created:%Y-%m-%d %H:%M}'}",
                baseline=run.baseline and known_to_the_day,
            )


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Welcome]

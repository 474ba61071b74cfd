"""The gdpr model: asks customers for their option on the use of their data, once (LX-25)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

import libax_automate as ax
from libax_automate.model import Sent, SentState, covering


class GdprOptions(ax.Options):
    """Options of the gdpr model."""

    text_version: str = Field(
        min_length=1, max_length=64, description="A name for the wording of the question, such as 2026-01: the answer is kept with it."
    )
    link: str | None = Field(
        None, description="Where people answer: the placeholder {{ consent_link }}; {person} in it becomes the person's id."
    )
    again: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,3}d$",
        description='Ask again who has not answered after so many days, such as "365d"; without it nobody is asked twice.',
    )


class Gdpr(ax.Model[GdprOptions]):
    """Finds who has given no answer: neither in the consent ledger nor in the record's ``consent`` field.

    Answers are written down with ``automate consent record`` (or ``import``); models with ``consent = true`` go by them.
    """

    name = "gdpr"
    title = "Ask for the GDPR option, and keep the answers"
    placeholders: ClassVar[Mapping[str, str]] = {"consent_link": "https://example.com/rgpd?p=4711", "text_version": "2026-01"}
    late = ax.Late.ONCE
    message_class = ax.MessageClass.SERVICE
    generic_subject = "subject.consent"

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield whoever has not answered and was not asked (or so long ago that it may be asked again)."""
        options = self.options
        for record in run.fetch("contacts", ax.Query()):
            extra = {"text_version": options.text_version}
            if options.link:
                extra["consent_link"] = options.link.replace("{person}", record.id)
            asked = run.sent(record.id).get("")
            excluded = self._answered(record, run) or self._asked(asked, run)
            # what never left keeps its occasion: a person who skipped it meant it
            turn = run.first.toordinal() if asked is not None and asked.state is SentState.SENT and not excluded else 0
            yield ax.Candidate(
                record=record,
                occasion=covering([record.id], turn),
                extra=extra,
                why="has not answered" + (f", asked before on {asked.day}" if asked else ""),
                excluded=excluded,
            )

    def _answered(self, record: ax.Record, run: ax.Run) -> str | None:
        answer = run.consent(record.id)
        if answer is None:
            answer = str(record.get("consent") or "").strip() or None
        return f"has answered: {answer[:40]}" if answer is not None else None

    def _asked(self, asked: Sent | None, run: ax.Run) -> str | None:
        if asked is None or asked.state is SentState.OVER:
            return None
        again = timedelta(days=int(self.options.again[:-1])) if self.options.again else None
        if asked.state is SentState.OPEN or again is None or run.last - asked.day < again:
            return f"asked on {asked.day} ({asked.message})"
        return None


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Gdpr]

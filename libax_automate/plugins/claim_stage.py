"""The claim-stage model: a message when a claim, or any other record with stages, stands at a given stage (LX-29)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from pydantic import Field

import libax_automate as ax
from libax_automate.normalise import instant_of
from libax_automate.people import with_people


class ClaimStageOptions(ax.Options):
    """Options of the claim-stage model."""

    entity: str = Field("claims", description="What records it reads: claims, deals, or whatever of the source has stages.")
    stages: ax.Strings = Field(description="The stages at which a message leaves.", min_length=1)
    stage_field: str = Field("stage", description="The field that holds the stage.")
    entered_field: str | None = Field(
        "stage_changed_at",
        description="The date or instant at which the record came to its stage; where a record has none, each stage speaks once per record.",
    )


class ClaimStage(ax.Model[ClaimStageOptions]):
    """Finds the records at one of ``stages``; each entry into a stage is an occasion of its own.

    What stands at a stage when the model is first seen is written down and never fires. A record that leaves a stage and comes back speaks
    again only where ``entered_field`` tells when: a record's ``changed_at`` moves with every edit and would not do.
    """

    name = "claim-stage"
    title = "Message when a claim (or any record) reaches a stage"
    entity = "claims"
    placeholders: ClassVar[Mapping[str, str]] = {"stage": "peritagem"}
    bookmarked = True
    realtime = True
    late = ax.Late.ONCE
    message_class = ax.MessageClass.SERVICE
    generic_subject = "subject.claim"

    def entity_name(self) -> str:
        """The entity of the options."""
        return self.options.entity

    def reads(self) -> tuple[str, ...]:
        """The stage."""
        return (self.options.stage_field,)

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Yield each record at a stage, with the person it belongs to."""
        options = self.options
        query = ax.Query(equals={options.stage_field: frozenset(options.stages)})
        for record, person, missing in with_people(run, run.fetch(options.entity, query)):
            stage = str(record.get(options.stage_field))
            entered = self._entered(record, run)
            if not run.baseline and _before(entered, run):
                continue
            what = f"{record.id} {stage}"
            yield ax.Candidate(
                record=record,
                recipient=person,
                occasion=f"{what} {entered.isoformat()}" if entered else what,
                extra={"stage": stage},
                why=f"is at {stage}" + (f" since {entered:%Y-%m-%d}" if entered else ""),
                excluded=missing,
                baseline=run.baseline,
            )

    def _entered(self, record: ax.Record, run: ax.Run) -> date | None:
        """When the record came to its stage; None where it does not tell, or not readably."""
        value = record.get(self.options.entered_field) if self.options.entered_field else None
        if isinstance(value, str) and value.strip():
            try:
                return instant_of(value, run.timezone.key)
            except ValueError:
                return None
        return value if isinstance(value, date) else None


def _before(entered: date | None, run: ax.Run) -> bool:
    """Whether a stage was entered before the model was first seen, as far as the record tells."""
    if isinstance(entered, datetime):
        return entered < run.since
    return entered is not None and entered < run.since.astimezone(run.timezone).date()


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [ClaimStage]

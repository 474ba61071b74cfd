"""A past period replayed: what models would have sent, day by day, had they been on. Reads, computes, keeps nothing.

Most sources can only say how things are today. Records are put back as far as they tell: nothing exists before it was
created or issued, and an invoice counts as open until the instant it was settled. The rest is today's, and the answer says so.
Caps, tact, the suppression list, the consent gate and hours of quiet hold as they would have held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from libax_automate.engine.outbox import Draft
from libax_automate.engine.plan import classes_of
from libax_automate.engine.replay import Memory, Replay, Word
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.walltime import midnight
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import UsageError

_DAY = timedelta(days=1)
#: different reasons that are told apart
_REASONS = 1000
_OTHER = "other reasons"
#: messages that are kept to be shown
_SAMPLES = 50


@dataclass
class Replayed:
    """What a period would have been."""

    days: Counter[date] = field(default_factory=Counter)
    people: Counter[tuple[str, str]] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    apps: Counter[str] = field(default_factory=Counter)
    #: why somebody did not hear at all, by how often
    reasons: Counter[str] = field(default_factory=Counter)
    #: why a message left later than its model fired
    held: Counter[str] = field(default_factory=Counter)
    #: messages that would have gone out about something that was paid by then: (day, person, name, step)
    after_paid: list[tuple[date, str, str, str]] = field(default_factory=list)
    #: one message of each step by each channel, of the first person who would have got it
    samples: dict[tuple[str, str, str], Draft] = field(default_factory=dict)
    runs: int = 0
    bad_rows: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many in all."""
        return self.days.total()

    def tell(self, word: Word) -> None:
        """Count a message."""
        draft = word.draft
        self.days[word.day] += 1
        self.people[draft.person, draft.name] += 1
        self.models[draft.model] += 1
        self.steps[draft.step] += 1
        self.apps[draft.app] += 1
        key = (draft.model, draft.step, str(draft.channel))
        if key not in self.samples and len(self.samples) < _SAMPLES:
            self.samples[key] = draft
        if word.paid:
            self.after_paid.append((word.day, draft.person, draft.name, draft.step))


def backtest(space: Workspace, profile: Profile, specs: Sequence[ModelSpec], first: date, last: date) -> Replayed:
    """Replay ``first`` … ``last``, both included, over the schedules of the models: what one says counts towards the caps of the others.

    Raises UsageError where there is nothing to replay.
    """
    zone = profile.timezone
    if last < first:
        raise UsageError("the period ends before it begins", hint="--from 2026-01-01 --to 2026-12-31")
    found = Replayed()
    # no database: what has really been sent must not hide what would have been
    blind = Workspace((profile,), Path("/nonexistent/automate.db"), space.catalogue, space.clock, space.redactor)
    memory = Memory(space.existing_store(), profile.name, classes_of(space, profile))
    walk = Replay(
        blind, profile, [_unbounded(spec) for spec in specs], midnight(first, zone), midnight(last + _DAY, zone), memory=memory, tell=found.tell
    )  # fmt: skip
    for fire in walk.fires():
        found.runs += 1
        _add(found.reasons, fire.left_out)
        _add(found.held, fire.later)
    if not found.runs:
        names = " and ".join(spec.name for spec in specs)
        raise UsageError(f"{names} does not fire between {first} and {last}", hint=f"automate calendar {first:%Y-%m}")
    found.bad_rows = walk.archive.bad
    found.notes = walk.archive.notes()
    if memory.known:
        found.notes.append("the suppression list and the answers about consent are today's")
    return found


def _unbounded(spec: ModelSpec) -> ModelSpec:
    """``every`` counts from ``start``; otherwise a period may lie before the model's own first day."""
    return spec if spec.schedule.every else replace(spec, schedule=replace(spec.schedule, start=None, end=None))


def _add(counts: Counter[str], more: Counter[str]) -> None:
    for reason, number in more.items():
        counts[reason if reason in counts or len(counts) < _REASONS else _OTHER] += number

"""What a model's messages would be over the records that are there: values that are missing, and the longest SMS (PR-31).

Records stream by, so many of each model at most: a look at a large source takes bounded time and no memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from libax_automate.connector import Source
from libax_automate.engine.compose import Composer
from libax_automate.engine.fields import singular
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.paper import NUMBERED
from libax_automate.engine.plan import Plan, PlanRun, plan_model
from libax_automate.engine.segments import Size, size_of
from libax_automate.engine.select import matches
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import TemplateError
from libax_automate.message import Channel
from libax_automate.model import Candidate, Model
from libax_automate.people import person_of
from libax_automate.record import Query, Record

#: records of a model that are looked at, where the source is a file and where it is asked over the network
LOCAL, REMOTE = 5_000, 20_000
#: records whose owners are fetched with one query
_CHUNK = 5_000
#: as the wording says it of a person
_OVER = re.compile(r"text is \d+ characters, max_chars is ")
_NUMBERED = re.compile(r"\{\{\s*(\d{1,2})\s*\}\}")


@dataclass(slots=True)
class Missing:
    """A value that people lack whom a model would write to."""

    #: the key of the wording that needs it: ``text``, ``vars[2]``, ``steps aviso, text``
    key: str
    field: str
    #: the id of the first of them, and where its record stands
    person: str
    where: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest SMS of a model or step."""

    step: str
    app: str
    person: str
    characters: int
    size: Size
    #: how many were looked at
    texts: int


@dataclass
class Tally:
    """What people's messages came to."""

    #: how many it would go to, those who lack something included
    people: int = 0
    missing: dict[tuple[str, str], Missing] = field(default_factory=dict)
    #: how many have a text longer than ``max_chars``, by the key of that, and the first of them
    over: dict[str, Missing] = field(default_factory=dict)
    #: a text that cannot be made of somebody's record: (person, error)
    broken: tuple[str, TemplateError] | None = None


@dataclass(frozen=True, slots=True)
class Flight:
    """What a look at a model's messages found."""

    #: those whom it would go to now
    now: Tally
    #: those whom it could go to some day; the source's first, if it is long
    ever: Tally
    longest: tuple[Longest, ...] = ()

    @property
    def asked(self) -> Tally:
        """Whose values are asked for: those whom it would go to now; where that is nobody, those whom it could go to."""
        return self.now if self.now.people or self.now.broken else self.ever


def preflight(
    space: Workspace, profile: Profile, spec: ModelSpec, source: Source[Any], *, limit: int, patient: bool, templates: Mapping[str, str] | None = None
) -> Flight | None:  # fmt: skip
    """Look at what ``spec`` would say over its ``source`` (open), at most ``limit`` records; None where it says nothing to people.

    A source of more records than that is asked for whom it would go to now only if ``patient``. ``templates`` are the provider's texts by id.
    Raises the source's own errors, and those of a wording that is wrong.
    """
    recipe = space.recipe(spec)
    if spec.webhook is not None or not recipe.messages or not recipe.entity_name():
        return None
    look = _Look(space, profile, spec, recipe, templates or {})
    ever, whole = look.samples(source, limit)
    now = look.now(limit) if patient or whole else Tally()
    return Flight(now, ever, look.longest())


class _Look:
    def __init__(self, space: Workspace, profile: Profile, spec: ModelSpec, recipe: Model[Any], templates: Mapping[str, str]) -> None:
        self._space, self._profile, self._spec, self._recipe = space, profile, spec, recipe
        self._templates = templates
        # what is asked is what would be said: at which hour and how often is not
        bare = replace(profile, defaults=replace(profile.defaults, quiet=None, send_weekdays=None))
        plain = replace(spec, quiet=None, send_weekdays=None, expires="3650d")
        self._composer = Composer(bare, plain, recipe, channels_of=lambda app: space.channels(profile, app))
        self._fields = {name for _, name in self._composer.fields()}
        #: (step, app) -> size, person, characters; and how many
        self._longest: dict[tuple[str, str], tuple[Size, str, int]] = {}
        self._texts: dict[tuple[str, str], int] = {}
        self._read = 0

    def samples(self, source: Source[Any], limit: int) -> tuple[Tally, bool]:
        """Each record as if its moment had come, in the words of every step; and whether that was all of them."""
        tally, plan = Tally(), plan_model(self._space, self._profile, self._spec)
        now, slot = self._space.clock.now(), plan.moment.slot
        steps = [each.name for each in self._spec.steps] or [""]
        for candidate in self._candidates(source, plan, limit):
            for step in steps:
                one = replace(candidate, step=step)
                try:
                    self._see(tally, self._composer.compose(one, now=now, slot=slot), one)
                except TemplateError as error:
                    tally.broken = (candidate.record.id, error)
                    return tally, False
        return tally, self._read < limit

    def _candidates(self, source: Source[Any], plan: Plan, limit: int) -> Iterator[Candidate]:
        zone = self._profile.timezone

        def fetch(app: str | None, entity: str, query: Query) -> Iterator[Record]:
            del app
            return (row for row in source.fetch(entity, query) if isinstance(row, Record) and matches(query, row, zone))

        moment = plan.moment
        run = PlanRun(
            now=self._space.clock.now(), timezone=zone, slot=moment.slot.local, first=moment.first, last=moment.last, bookmark=moment.bookmark,
            since=moment.since, baseline=False, fetcher=fetch, said=dict,
        )  # fmt: skip
        needed = self._recipe.reads()
        shown = {**self._recipe.placeholders, **(NUMBERED if self._recipe.stationery() else {})}
        records = self._counted(islice(run.fetch(self._recipe.entity_name(), Query()), limit))
        for record, person, missing in self._owned(run, records):
            if any(record.get(name) is None for name in needed):
                continue  # its moment never comes
            # what is there only when it writes (a number that is not taken yet) is shown by its sample
            extra = {**shown, **self._recipe.sample(record)}
            yield Candidate(record=record, recipient=person, occasion="check", extra=extra, excluded=missing)

    def _owned(self, run: PlanRun, records: Iterator[Record]) -> Iterator[tuple[Record, Record | None, str | None]]:
        """Each record with whom it belongs to, as ``with_people`` answers it; in larger chunks, since a file is read through for each."""
        people = self._recipe.people
        while chunk := list(islice(records, _CHUNK)):
            owners = [self._owner(record) for record in chunk]
            ids = frozenset(owner for owner in owners if isinstance(owner, str))
            found = {owner.id: owner for owner in run.fetch(people, Query(ids=ids))} if ids else {}
            for record, owner in zip(chunk, owners, strict=True):
                if owner is None:
                    yield record, None, None
                else:
                    person = owner if isinstance(owner, Record) else found.get(owner)
                    yield record, person, None if person is not None else f"its owner is not among the {people}"

    def _owner(self, record: Record) -> Record | str | None:
        if self._recipe.people == "contacts":
            return person_of(record)
        owner = record.get(singular(self._recipe.people))
        return owner if isinstance(owner, Record) or owner is None else str(owner)

    def _counted(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self._read += 1
            yield record

    def now(self, limit: int) -> Tally:
        """Those whom it would go to in this moment, as a plan finds them."""
        tally, plan = Tally(), plan_model(self._space, self._profile, self._spec)
        try:
            for draft in islice(plan.drafts, limit):
                if isinstance(plan.current, Candidate):
                    self._see(tally, draft, plan.current)
        except TemplateError as error:
            tally.broken = (plan.current.record.id if isinstance(plan.current, Candidate) else "", error)
        return tally

    def _see(self, tally: Tally, draft: Draft, candidate: Candidate) -> None:
        if draft.verdict is not Verdict.EXCLUDED:
            tally.people += 1
            if draft.channel is Channel.SMS:
                self._measure(draft)
            return
        if _OVER.match(draft.reason):
            tally.people += 1
            key = f"steps {draft.step}, max_chars" if draft.step else "max_chars"
            tally.over.setdefault(key, Missing(key, draft.reason, draft.person, candidate.record.where)).number += 1
            return
        # of all the reasons, an empty value is the wording's: it begins with the field's name
        if draft.reason.partition(" ")[0] not in self._fields:
            return
        empty = self._composer.empties(candidate, now=self._space.clock.now())
        tally.people += bool(empty)
        first = {name: key for key, name in reversed(empty)}  # a name that several parts need is one thing to fill in
        for name, key in first.items():
            found = tally.missing.setdefault((key, name), Missing(key, name, draft.person, candidate.record.where))
            found.number += 1

    def _measure(self, draft: Draft) -> None:
        text = self._said(draft)
        if not text:
            return
        at, size = (draft.step, draft.app), size_of(text)
        self._texts[at] = self._texts.get(at, 0) + 1
        if at not in self._longest or (size.segments, size.units) > (self._longest[at][0].segments, self._longest[at][0].units):
            self._longest[at] = (size, draft.person, len(text))

    def _said(self, draft: Draft) -> str:
        payload = draft.payload
        if payload.get("text"):
            return str(payload["text"])
        values = payload.get("vars") or []
        text = self._templates.get(str(payload.get("template") or ""), "")
        return _NUMBERED.sub(lambda found: values[int(found[1]) - 1] if 0 < int(found[1]) <= len(values) else found[0], text)

    def longest(self) -> tuple[Longest, ...]:
        """The longest SMS of each step and app."""
        return tuple(
            Longest(step, app, person, characters, size, self._texts[step, app])
            for (step, app), (size, person, characters) in self._longest.items()
        )

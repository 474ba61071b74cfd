"""Models walked through a span of time on paper: who would have heard what, and what would have held it back. Nothing is kept, nothing leaves.

What the engine asks its ledger is asked of a :class:`Memory` instead, which remembers what the walk itself has said. So caps, tact, the
suppression list, the consent gate and hours of quiet rule a replayed day by the same code as a real one, over all models that walk together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from libax_automate.connector import Source
from libax_automate.engine.archive import Archive, instant_in
from libax_automate.engine.guards import Guards, Past
from libax_automate.engine.heard import Heard
from libax_automate.engine.heard import Word as Said
from libax_automate.engine.hours import Hours
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.plan import Moment, Plan, classes_of, documents_of
from libax_automate.engine.schedule import slots
from libax_automate.engine.select import dated, matches
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.store.people import Heard as Row
from libax_automate.engine.walltime import Slot
from libax_automate.engine.workspace import Workspace
from libax_automate.message import Channel
from libax_automate.model import Candidate, MessageClass, Model, Sent, SentState, covered
from libax_automate.record import Query, Record

if TYPE_CHECKING:
    from libax_automate.engine.store import Store

_TICK = timedelta(microseconds=1)
_PEOPLE = frozenset({Channel.EMAIL, Channel.SMS, Channel.WHATSAPP})
#: what differs from person to person in a reason, and is left out where reasons are counted
_DETAIL = re.compile(r", \d+ already| until [^;]*| on \d{4}-\d\d-\d\d|, waits until [^;]*| \([^()]*:\d+\)")


@lru_cache(maxsize=4096)
def folded(reason: str) -> str:
    """A reason without what differs from person to person: ``capped: 2 per 7d``, not how many had been said by then."""
    return _DETAIL.sub("", reason)


class Memory:
    """What a ledger would know of persons, had the walk been real: as :class:`~libax_automate.engine.store.Store` answers it.

    With ``since`` (an instant) what the ledger says of the time from then on counts too; without it nothing was said before the walk began.
    The suppression list and the answers about consent are the ledger's in either case.
    """

    def __init__(self, store: Store | None, profile: str, classes: Mapping[str, MessageClass], *, since: datetime | None = None) -> None:
        self._suppressions = store.ledger.suppressions(profile) if store is not None else {}
        self._consents = store.people.consents(profile) if store is not None else {}
        self._kinds = {name: str(kind) for name, kind in classes.items()}
        #: who heard what; guard rails of all models look at it
        self.words = Heard()
        if store is not None and since is not None:
            for each in store.people.heard(profile, since.timestamp()):
                self._add(each.person, each.at, each.model, each.step)

    @property
    def people(self) -> Memory:
        """Itself: what is asked of persons."""
        return self

    @property
    def known(self) -> bool:
        """Whether there is a list or an answer to go by."""
        return bool(self._suppressions or self._consents)

    def suppressions(self) -> Mapping[tuple[str, str], str]:
        """Addresses that nobody writes to: (channel, address) -> reason."""
        return self._suppressions

    def consents(self, profile: str) -> Mapping[str, str]:  # noqa: ARG002 - it knows one profile
        """The latest answer of each person."""
        return self._consents

    def heard(self, profile: str, since: float) -> Iterable[Row]:  # noqa: ARG002 - as a store's is asked
        """Nothing: the guard rails of a walk are given ``words``."""
        return ()

    def hear(self, model: str, step: str, person: str, at: datetime) -> None:
        """A message leaves at ``at``."""
        self._add(person, at.timestamp(), model, step)

    def _add(self, person: str, at: float, model: str, step: str) -> None:
        self.words.add(person, at, Said(model, step, self._kinds.get(model, "")))


class Word(NamedTuple):
    """One message of a walk: the local day on which it leaves, and whether what it speaks of had been paid by then."""

    draft: Draft
    day: date
    paid: bool


class _Spoken(NamedTuple):
    """What a walk remembers of a message until its slot is over."""

    person: str
    step: str
    occasion: str
    at: datetime
    day: date
    heard: bool


@dataclass(slots=True)
class Fire:
    """One slot of one model, walked: how many leave by which app, and how many do not, or later, by reason."""

    model: str
    slot: Slot
    apps: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    later: Counter[str] = field(default_factory=Counter)


@dataclass
class _Track:
    """Where a model is on its walk."""

    spec: ModelSpec
    recipe: Model[Any]
    guards: Guards
    hours: Hours
    since: datetime
    previous: datetime
    #: what it said: record -> step -> message
    said: dict[str, dict[str, Sent]] = field(default_factory=dict)
    #: hashes of (step, person, occasion), 64 bits each: two of a million are alike once in forty million times
    ledger: set[int] = field(default_factory=set)
    #: the records that its documents speak of: id -> number
    documented: dict[str, str] = field(default_factory=dict)


class Replay:
    """A walk of several models of one profile, slot by slot in the order of time."""

    def __init__(
        self, space: Workspace, profile: Profile, specs: Sequence[ModelSpec], start: datetime, end: datetime, *,
        memory: Memory, tell: Callable[[Word], None], known: bool = False, seen: Mapping[str, tuple[datetime, datetime]] | None = None,
        archive: Archive | None = None,
    ) -> None:  # fmt: skip
        """From ``start`` to ``end`` (with zones), the end excluded. ``tell`` is called with each message.

        ``known``: what is in the workspace's ledger already is not said again. ``seen``: model -> when it was first seen, and its bookmark;
        ``start`` where it says nothing.
        """
        self._space, self._profile = space, profile
        self._start, self._end = start, end
        self._known, self._tell = known, tell
        self.memory = memory
        self.archive = archive or Archive(space, profile)
        classes = classes_of(space, profile)
        self._tracks = {}
        for spec in specs:
            guards = Guards(profile, spec, classes, memory, start, heard=memory.words)
            since, previous = (seen or {}).get(spec.name, (start, start))
            self._tracks[spec.name] = _Track(
                replace(spec, approve=False), space.recipe(spec), guards, Hours.of(profile, spec), since, previous
            )  # fmt: skip

    def said(self, model: str) -> dict[str, dict[str, Sent]]:
        """What a model has said so far, to begin with or to look at."""
        return self._tracks[model].said

    def fires(self) -> Iterator[Fire]:
        """Every slot with what comes of it."""
        streams = [self._slots(track.spec) for track in self._tracks.values()]
        for _, name, slot in merge(*streams, key=lambda each: each[:2]):
            yield self._fire(self._tracks[name], slot)

    def _slots(self, spec: ModelSpec) -> Iterator[tuple[datetime, str, Slot]]:
        plan = spec.schedule
        for slot in slots(plan, self._profile.timezone, self._start - _TICK, self._end - _TICK):
            yield slot.instant, spec.name, slot

    def _fire(self, track: _Track, slot: Slot) -> Fire:
        found = Fire(track.spec.name, slot)
        track.guards.move(slot.instant)
        day = slot.local.date()
        moment = Moment(slot=slot, first=day, last=day, bookmark=track.previous, since=track.since, now=slot.instant)
        plan = ReplayedPlan(self._space, self._profile, track.spec, track.recipe, moment, archive=self.archive, known=self._known)
        plan.memory, plan.guards = self.memory, track.guards
        plan.said = lambda: track.said
        plan.documented = lambda: {**self._documents(track.spec), **track.documented}
        left = [spoken for draft in plan.drafts if (spoken := self._take(found, draft, plan.current, track, slot)) is not None]
        for spoken in left:
            # a ladder goes by what it said before: here it said it
            for name in covered(spoken.occasion):
                track.said.setdefault(name, {})[spoken.step] = Sent(spoken.day, SentState.SENT, "replayed")
            if spoken.heard:
                self.memory.hear(track.spec.name, spoken.step, spoken.person, spoken.at)
        track.previous = slot.instant
        return found

    def _documents(self, spec: ModelSpec) -> Mapping[str, str]:
        """The documents of the ledger, where the walk goes on from what it knows."""
        return documents_of(self._space.existing_store(), self._profile, spec) if self._known else {}

    def _take(self, found: Fire, draft: Draft, current: object, track: _Track, slot: Slot) -> _Spoken | None:
        """Count a draft; what is remembered of it, None where it would not leave."""
        if draft.verdict is Verdict.EXCLUDED:
            if not draft.known:
                found.left_out[folded(draft.reason)] += 1
            return None
        key = hash((draft.step, draft.person, draft.occasion))
        if key in track.ledger:
            return None
        at = draft.not_before or slot.instant
        if draft.channel in _PEOPLE:
            if draft.not_before is not None and (hold := track.hours.hold(at)) is not None:
                at = hold.until  # the end of a cap or of tact may lie in the night
            if draft.expires is not None and draft.expires <= at:
                found.left_out[f"{folded(draft.reason)}; expires before it may be said"] += 1
                return None
            if at > slot.instant and not self._still(draft, at):
                found.left_out["settled while it waited"] += 1
                return None
        track.ledger.add(key)
        if draft.document is not None:
            track.documented.update(dict.fromkeys(draft.document.records, "replayed"))
        found.apps[draft.app] += 1
        if draft.verdict is Verdict.HELD:
            found.later[folded(draft.reason)] += 1
        day = at.astimezone(self._profile.timezone).date()
        self._tell(Word(draft, day, self._paid(draft, current, at)))
        return _Spoken(draft.person, draft.step, draft.occasion, at, day, draft.channel in _PEOPLE)

    def _still(self, draft: Draft, at: datetime) -> bool:
        """Whether what a waiting message says still holds when it leaves (``Candidate.still``)."""
        if draft.still is None:
            return True
        app, entity, record, wanted = draft.still
        ids = frozenset({record, *draft.also})
        for row in self.archive.records(app, entity, Query(ids=ids), at):
            if row.id in ids and any(str(row.get(name)) not in allowed for name, allowed in wanted.items()):
                return False
        return True

    def _paid(self, draft: Draft, current: object, at: datetime) -> bool:
        record = current.record if isinstance(current, Candidate) else None
        paid = instant_in(record.get("paid_at"), self._profile.timezone) if record is not None else None
        return paid is not None and paid <= at and not draft.step.startswith(("baixa", "remover"))


class ReplayedPlan(Plan):
    """A plan whose source is an archive as of the plan's moment."""

    def __init__(
        self, space: Workspace, profile: Profile, spec: ModelSpec, recipe: Model[Any], moment: Moment, *, archive: Archive, known: bool
    ) -> None:
        super().__init__(space, profile, spec, recipe, moment, look_up=known)
        self._archive = archive
        self.guards: Guards | None = None

    def _guards(self, past: Past | None, now: datetime) -> Guards:
        return self.guards or super()._guards(past, now)

    def _available(self, sources: dict[str, Source[Any]]) -> frozenset[str] | None:
        del sources  # the archive has been read; nobody is asked again
        return None

    def _fetch(self, sources: dict[str, Source[Any]], app: str | None, entity: str, query: Query) -> Iterator[Record]:
        del sources
        zone = self.profile.timezone
        for record in self._archive.records(app or self.spec.source or "", entity, query, self.moment.slot.instant):
            found = dated(query, record, zone)
            if isinstance(found, Record) and matches(query, found, zone):
                yield found

"""Why one person hears or does not hear from one model: each filter and its verdict, what was sent before, and the next time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

from libax_automate.connector import Source
from libax_automate.engine import duty
from libax_automate.engine.audience import WORDS
from libax_automate.engine.compose import Composer
from libax_automate.engine.fields import singular
from libax_automate.engine.hours import Hours
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.plan import PlanRun, documents_of, said_of
from libax_automate.engine.schedule import next_fire, slots
from libax_automate.engine.select import matches
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.store.rows import MessageRow
from libax_automate.engine.walltime import Slot, instant_of, local_of
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import NotFound, ProfileError, UsageError
from libax_automate.message import Channel
from libax_automate.model import Candidate, Effect, Sent
from libax_automate.record import BadRow, Query, Record

#: how far ahead the next message is looked for
_HORIZON = timedelta(days=400)
#: slots looked at: a model that fires each minute is not followed for a year
_SLOTS = 500
_RELATIONS = ("customer", "contact", "partner")
_ADDRESS = {Channel.EMAIL: "email", Channel.SMS: "mobile", Channel.WHATSAPP: "mobile"}


@dataclass(frozen=True, slots=True)
class Check:
    """One filter: ``passes`` is None where it says something without deciding."""

    name: str
    passes: bool | None
    detail: str


@dataclass(slots=True)
class Explanation:
    """All there is to say of one person and one model."""

    person: str
    name: str
    where: str
    day: date
    checks: list[Check] = field(default_factory=list)
    #: what the model would do on ``day``; None = it does not choose this person then
    draft: Draft | None = None
    messages: list[MessageRow] = field(default_factory=list)
    #: when the model next chooses this person, and what for
    next: Slot | None = None
    next_why: str = ""
    #: what the recipe tells of the person's records
    story: list[str] = field(default_factory=list)
    #: what a recipe that writes to nobody would do about the person; None = it writes
    deeds: list[str] | None = None


def next_slot(space: Workspace, profile: Profile, spec: ModelSpec) -> Slot | None:
    """The model's next slot that will run: enabled, and not before its settings take effect (LX-40)."""
    store = space.existing_store()
    row = store.tasks.model(profile.name, spec.name) if store else None
    if not (spec.enabled if row is None or row.enabled is None else row.enabled):
        return None
    now = space.clock.now()
    if row is None or row.fingerprint != spec.schedule.fingerprint():
        after = duty.active_from(profile, now)
    else:
        after = datetime.fromtimestamp(row.slot_bookmark, UTC)
    return next_fire(spec.schedule, profile.timezone, max(after, now - timedelta(microseconds=1)))


def explain(space: Workspace, profile: Profile, spec: ModelSpec, who: str, *, on: date | None = None) -> Explanation:
    """Explain ``spec`` for the person with this id, e-mail, mobile or name.

    Raises NotFound where the source has no such person, UsageError where it has several.
    """
    if spec.source is None or spec.source not in profile.apps:
        raise ProfileError(f"model {spec.name!r} names no source", hint=f'add: source = "APP" to [models.{spec.name}]')
    with space.opened(profile, profile.apps[spec.source]) as source:
        if not isinstance(source, Source):
            raise ProfileError(f"app {spec.source!r} has no records to read", hint="name a source app")
        return _Inquiry(space, profile, spec, source).about(who, on)


class _Inquiry:
    def __init__(self, space: Workspace, profile: Profile, spec: ModelSpec, source: Source[Any]) -> None:
        self.space, self.profile, self.spec, self.source = space, profile, spec, source
        self.recipe = space.recipe(spec)
        self.entity = self.recipe.entity_name()
        # a recipe that writes to partners does not mean the customers whom its records name too
        self._relations = _RELATIONS if self.recipe.people == "contacts" else (singular(self.recipe.people),)
        self.now = space.clock.now()
        self.store = space.existing_store()
        self.row = self.store.tasks.model(profile.name, spec.name) if self.store else None

    def about(self, who: str, on: date | None) -> Explanation:
        zone = self.profile.timezone
        person, records = self._find(who)
        day = on or local_of(self.now, zone).date()
        found = Explanation(
            str(person.id or person.get("email") or person.get("mobile") or ""), str(person.get("name") or ""), person.where, day
        )
        for name, problem in person.problems.items():
            found.checks.append(Check(name, None, f"cannot be read: {problem}"))
        at = self.spec.schedule.at[0] if self.spec.schedule.at else time(9)
        slot = Slot(datetime.combine(day, at), instant_of(datetime.combine(day, at), zone))
        candidate = next(self._candidates(records, slot), None)
        ahead = self._ahead(records, found)
        found.story = [*self.recipe.story(self._run(records, slot), records), *self._rolled(found.person)]
        if not self.recipe.messages:
            planned = self.recipe.plan(self._run(records, slot))
            found.deeds = [item.why for item in planned if isinstance(item, Effect) and item.person == found.person]
        elif candidate is not None:
            why = candidate.excluded or candidate.why or candidate.occasion
            found.checks.append(Check(self.spec.use, candidate.excluded is None, f"{day}: {why}"))
        else:
            found.checks.append(Check(self.spec.use, False, f"{day}: not one of those it finds"))
        self._enabled(found)
        self._filters(found, person, candidate or ahead, max(self.now, slot.instant))
        if candidate is not None:
            found.draft = self._composer().compose(candidate, now=max(self.now, slot.instant), slot=slot)
            if found.draft.verdict is Verdict.EXCLUDED and all(check.passes is not False for check in found.checks):
                found.checks.append(Check("message", False, found.draft.reason))
        if self.store is not None and self.row is not None:
            found.messages = self.store.ledger.by_person(self.row.id, found.person)
            documents = self.store.documents.listed(profiles=frozenset({self.profile.name}), model=self.spec.name, person=found.person)
            found.story += [str(document) for document in reversed(documents)]
        return found

    # -- the person ------------------------------------------------------------------------------------------------------

    def _find(self, who: str) -> tuple[Record, list[Record]]:
        """The person, and the records of the model's entity that belong to him."""
        wanted = who.strip().casefold()
        people: dict[str, Record] = {}
        exact: dict[str, Record] = {}
        bad = 0
        kind = self.recipe.people
        for row in self.source.fetch(kind, Query()) if kind in self.source.entities() else ():
            if isinstance(row, BadRow):
                bad += 1
                continue
            keys = {str(row.get(key) or "").casefold() for key in ("id", "email", "mobile", "name")}
            if wanted in keys:
                (exact if row.id.casefold() == wanted else people)[row.id or row.where] = row
        people = exact or people
        if len(people) > 1:
            ids = ", ".join(f"{row.id or row.where} ({row.get('name')})" for row in islice(people.values(), 10))
            raise UsageError(f"{who!r} fits {len(people)} people", hint=f"give an id: {ids}")
        if people:
            person = next(iter(people.values()))
            return person, [person] if self.entity == kind else list(self._theirs(person.id))
        # a source without contacts: the records carry the person
        records = list(self._theirs(who))
        if records:
            return _related(records[0], self._relations) or records[0], records
        unread = f"; {bad} rows cannot be read" if bad else ""
        raise NotFound(
            f"{self.spec.source!r} has nobody with the id, e-mail, mobile or name {who!r}{unread}",
            hint=f"automate plan {self.spec.name} lists people",
        )

    def _theirs(self, person: str) -> Iterator[Record]:
        for row in self.source.fetch(self.entity, Query()):
            if isinstance(row, BadRow):
                continue
            related = [row.get(name) for name in self._relations]
            ids = {
                row.id,
                str(row.get("number") or row.id),
                *(each.id if isinstance(each, Record) else str(each) for each in related if each is not None),
            }
            if person in ids:
                yield row

    # -- the model -------------------------------------------------------------------------------------------------------

    def _candidates(self, records: list[Record], slot: Slot) -> Iterator[Candidate]:
        """Whom the recipe finds for ``slot`` if the source held this person alone."""
        for item in self.recipe.plan(self._run(records, slot)):
            if isinstance(item, Candidate) and not item.baseline:
                yield item

    def _run(self, records: list[Record], slot: Slot) -> PlanRun:
        zone = self.profile.timezone

        def fetch(app: str | None, entity: str, query: Query) -> Iterator[Record]:
            if app in (None, self.spec.source) and entity == self.entity:
                yield from (record for record in records if matches(query, record, zone))
                return
            if app in (None, self.spec.source):
                yield from self._rows(self.source, entity, query)
                return
            assert app is not None
            with self.space.opened(self.profile, self.profile.apps[app]) as other:
                if isinstance(other, Source):
                    yield from self._rows(other, entity, query)

        seen = datetime.fromtimestamp(self.row.first_seen, UTC) if self.row else self.now
        bookmark = datetime.fromtimestamp(self.row.bookmark, UTC) if self.row else seen
        return PlanRun(
            now=max(self.now, slot.instant), timezone=zone, slot=slot.local, first=slot.local.date(), last=slot.local.date(),
            bookmark=bookmark, since=seen, baseline=False, fetcher=fetch, said=self._said,
            consents=lambda: self.store.people.consents(self.profile.name) if self.store else {},
            documents=lambda: documents_of(self.store, self.profile, self.spec),
        )  # fmt: skip

    @cached_property
    def _everything_said(self) -> Mapping[str, Mapping[str, Sent]]:
        return said_of(self.store, self.profile, self.spec)

    def _said(self) -> Mapping[str, Mapping[str, Sent]]:
        return self._everything_said

    def _rows(self, source: Source[Any], entity: str, query: Query) -> Iterator[Record]:
        for row in source.fetch(entity, query):
            if not isinstance(row, BadRow) and matches(query, row, self.profile.timezone):
                yield row

    def _ahead(self, records: list[Record], found: Explanation) -> Candidate | None:
        """The next slot at which the recipe finds this person."""
        first = next_slot(self.space, self.profile, self.spec)
        if first is None:
            realtime = self.spec.schedule.realtime and self.spec.enabled
            found.next_why = "it looks at every pass (real time)" if realtime else "the model is off, or never fires again"
            return None
        if not self.recipe.messages:
            found.next = first
            return None
        after = first.instant - timedelta(microseconds=1)
        for slot in islice(slots(self.spec.schedule, self.profile.timezone, after, after + _HORIZON), _SLOTS):
            if (candidate := next(self._candidates(records, slot), None)) is not None:
                found.next, found.next_why = slot, candidate.excluded or candidate.why
                return candidate
        found.next_why = "no slot ahead finds this person"
        return None

    def _rolled(self, person: str) -> Iterator[str]:
        """The lines about a person in the files that the recipe keeps."""
        from libax_automate.engine.roll import lines

        for _, file in self.recipe.rolls():
            for group, since in lines(self.profile.folder, file, person):
                yield f"{file}: in {group} since {since}"

    def _composer(self) -> Composer:
        return Composer(self.profile, self.spec, self.recipe, suppressed=self._suppressed, known=self._known)

    def _suppressed(self, channel: str, address: str) -> str | None:
        listed = self.store.ledger.suppressions(self.profile.name) if self.store else {}
        folded = address.casefold()
        return listed.get((str(channel), folded)) or listed.get(("*", folded))

    def _known(self, step: str, person: str, occasion: str) -> str | None:
        found = self.store.queue.known(self.row.id, step, person, occasion) if self.store and self.row else None
        if found is None:
            return None
        day = local_of(datetime.fromtimestamp(found[2], UTC), self.profile.timezone).date()
        return f"already {found[1]} on {day} (M{found[0]})"

    # -- the filters -----------------------------------------------------------------------------------------------------

    def _enabled(self, found: Explanation) -> None:
        on = self.spec.enabled if self.row is None or self.row.enabled is None else self.row.enabled
        if not on:
            found.checks.append(Check("enabled", False, f"the model is off: automate models enable {self.spec.name}"))

    def _filters(self, found: Explanation, person: Record, candidate: Candidate | None, moment: datetime) -> None:
        add = found.checks.append
        for word in self.spec.audience:
            if word in WORDS:
                reason = WORDS[word](person)
                add(Check(f"audience {word}", reason is None, reason or "yes"))
        if self.spec.where is not None:
            add(self._where(person, candidate))
        channel = found.draft.channel if found.draft else None
        if candidate is not None and channel is None:
            channel = (
                self._composer().compose(candidate, now=self.now, slot=Slot(local_of(self.now, self.profile.timezone), self.now)).channel
            )
        key = _ADDRESS.get(channel) if channel is not None else None
        if key is not None and channel is not None:
            recipient = (candidate.recipient or _related(candidate.record, self._relations) if candidate else None) or person
            address = str(recipient.get(key) or "")
            add(Check(f"{key} for {channel}", bool(address), address or recipient.problems.get(key, "none")))
            if address:
                reason = self._suppressed(channel, address)
                add(Check("suppression list", reason is None, reason or "not listed"))
        if candidate is not None:
            known = self._known(candidate.step, found.person, "once" if self.spec.once else candidate.occasion)
            what = "this model" if self.spec.once else f"{candidate.step} of {candidate.occasion}" if candidate.step else candidate.occasion
            add(Check("once only", known is None, known or f"nothing yet for {what}"))
        if (hold := Hours.of(self.profile, self.spec).hold(moment)) is not None:
            add(Check("hours", None, hold.reason))

    def _where(self, person: Record, candidate: Candidate | None) -> Check:
        from libax_automate.engine.fields import Names
        from libax_automate.errors import TemplateError
        from libax_automate.template import Sandbox

        assert self.spec.where is not None
        record = candidate.record if candidate else person
        try:
            expression = Sandbox(self.profile.locale, self.profile.timezone.key).expression(self.spec.where)
            heads = dict.fromkeys(name.partition(".")[0] for name in expression.order)
            extra = candidate.extra if candidate else {}
            recipient = (candidate.recipient if candidate else None) or _related(record, self._relations) or person
            context = Names.of(self.recipe, None).context(heads, record, recipient, extra, local_of(self.now, self.profile.timezone).date())
            true = bool(expression.evaluate(context))
        except TemplateError as error:
            return Check("where", False, f"{self.spec.where}: {error.message}")
        return Check("where", true, f"{self.spec.where}: {'true' if true else 'not true'}")


def _related(record: Record, relations: Sequence[str]) -> Record | None:
    return next((found for name in relations if isinstance(found := record.get(name), Record)), None)

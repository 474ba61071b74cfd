"""A model's reading of its source into drafts: the same for a plan, a dry run, a backtest and a real run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from libax_automate.connector import Source
from libax_automate.engine.compose import Composer
from libax_automate.engine.guards import Guards, Past, class_of
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.reference import References
from libax_automate.engine.select import chooser
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.store import Store, lists
from libax_automate.engine.walltime import Slot, instant_of, local_of
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import PluginError, ProfileError
from libax_automate.message import Channel
from libax_automate.model import Candidate, Effect, MessageClass, Model, Roll, Sent
from libax_automate.record import BadRow, Query, Record

if TYPE_CHECKING:
    from libax_automate.engine.replay import Memory
    from libax_automate.engine.roll import Ledger

#: records in one call of a webhook's list (LX-19)
PAGE = 500

#: bad rows that one plan names; the rest are counted
_NAMED = 1000
_NOTHING: Mapping[str, Sent] = {}
# looking a member up in its Enum, and hashing it, cost more than what is done with it, and this is done for every person
_SEND = Verdict.SEND


@dataclass
class PlanRun:
    """What a model touches while it plans (``model.Run``)."""

    now: datetime
    timezone: ZoneInfo
    slot: datetime
    first: date
    last: date
    bookmark: datetime
    since: datetime
    baseline: bool
    fetcher: Callable[[str | None, str, Query], Iterator[Record]]
    #: all that the model has said, by record and step; asked for once, when it is first wanted
    said: Callable[[], Mapping[str, Mapping[str, Sent]]]
    consents: Callable[[], Mapping[str, str]] = dict
    #: record id -> the number of the document that speaks of it; asked for once, when it is first wanted
    documents: Callable[[], Mapping[str, str]] = dict
    _documents: Mapping[str, str] | None = None
    _said: Mapping[str, Mapping[str, Sent]] | None = None
    _consents: Mapping[str, str] | None = None

    def fetch(self, entity: str, query: Query) -> Iterator[Record]:
        """The records of the model's source."""
        return self.fetcher(None, entity, query)

    def other(self, app: str, entity: str, query: Query) -> Iterator[Record]:
        """The records of another source app of the profile."""
        return self.fetcher(app, entity, query)

    def sent(self, record: str) -> Mapping[str, Sent]:
        """What the model said of a record, by step."""
        return self._told().get(record, _NOTHING)

    def spoken(self) -> Iterable[str]:
        """The records of which the model said something."""
        return self._told()

    def consent(self, person: str) -> str | None:
        """A person's latest answer in the ledger."""
        if self._consents is None:
            self._consents = self.consents()
        return self._consents.get(person)

    def documented(self, record: str) -> str | None:
        """The number of the document that speaks of a record."""
        if self._documents is None:
            self._documents = self.documents()
        return self._documents.get(record)

    def _told(self) -> Mapping[str, Mapping[str, Sent]]:
        if self._said is None:
            self._said = self.said()
        return self._said


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """For when a model is read: its slot, the local dates it answers for, and what it remembers."""

    slot: Slot
    first: date
    last: date
    bookmark: datetime
    since: datetime
    baseline: bool = False
    #: a moment other than the clock's, for plans of another day
    now: datetime | None = None


@dataclass
class Plan:
    """Streams drafts; counts as it goes. ``bad_rows`` holds the first thousand, ``bad`` counts all."""

    space: Workspace
    profile: Profile
    spec: ModelSpec
    recipe: Model[Any]
    moment: Moment
    #: consult the ledger, so that what is known shows as excluded with the message that says so
    look_up: bool = True
    #: what has been said, where that is not in the ledger: a period that is replayed
    said: Callable[[], Mapping[str, Mapping[str, Sent]]] | None = None
    #: what is known of persons, where that is not the ledger's: a span of time that is replayed
    memory: Memory | None = None
    #: record id -> number, likewise
    documented: Callable[[], Mapping[str, str]] | None = None
    #: a real run: payment references may be asked for
    create: bool = False
    bad_rows: list[BadRow] = field(default_factory=list)
    bad: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"send": 0, "excluded": 0, "held": 0})
    #: what the draft in hand was made of
    current: Candidate | Effect | None = None
    #: the files of groups that a real run keeps
    rolls: list[Ledger] = field(default_factory=list)

    @property
    def drafts(self) -> Iterator[Draft]:
        """One draft per candidate, in the source's order; a webhook's list is one draft per person here."""
        sources: dict[str, Source[Any]] = {}
        store = self.space.existing_store()
        row = store.tasks.model(self.profile.name, self.spec.name) if store else None
        past = self.memory or store
        listed = self.memory.suppressions() if self.memory else store.ledger.suppressions(self.profile.name) if store else {}

        def suppressed(channel: str, address: str) -> str | None:
            folded = address.casefold()
            return listed.get((channel, folded)) or listed.get(("*", folded))

        def known(step: str, person: str, occasion: str) -> str | None:
            assert store is not None
            assert row is not None
            found = store.queue.known(row.id, step, person, occasion)
            if found is None:
                return None
            day = local_of(datetime.fromtimestamp(found[2], UTC), self.profile.timezone).date()
            return f"already {found[1]} on {day} (M{found[0]})"

        app = self.recipe.referencer()
        references = References(self.space, self.profile, app, create=self.create) if app is not None else None
        composer = Composer(
            self.profile,
            self.spec,
            self.recipe,
            available=self._available(sources),
            channels_of=lambda app: self.space.channels(self.profile, app),
            suppressed=suppressed if listed else None,
            guards=self._guards(past, self.moment.now or self.space.clock.now()),
            known=known if row is not None and (self.look_up or self.spec.webhook) else None,
            references=references.fill if references is not None else None,
        )
        now = self.moment.now or self.space.clock.now()
        run = PlanRun(
            now=now, timezone=self.profile.timezone, slot=self.moment.slot.local, first=self.moment.first, last=self.moment.last,
            bookmark=self.moment.bookmark, since=self.moment.since, baseline=self.moment.baseline,
            fetcher=lambda app, entity, query: self._fetch(sources, app or self.spec.source, entity, query),
            said=self.said or (lambda: said_of(store, self.profile, self.spec)),
            consents=lambda: past.people.consents(self.profile.name) if past else {},
            documents=self.documented or (lambda: documents_of(store, self.profile, self.spec)),
        )  # fmt: skip
        counts = self.counts
        try:
            for item in self.recipe.plan(run):
                if isinstance(item, Roll):
                    yield from self._rolled(item)
                    continue
                self.current = item
                if isinstance(item, Effect):
                    if item.app not in self.profile.apps:
                        raise ProfileError(f"model {self.spec.name!r} acts in {item.app!r}, and no app is named so", hint="correct its app")
                    draft = _effect(self.spec, item)
                elif self.moment.baseline != item.baseline:
                    continue  # on the first pass only what was there before; later never again
                else:
                    draft = composer.compose(item, now=now, slot=self.moment.slot)
                if draft.approve and self.look_up and draft.verdict is _SEND:
                    draft.verdict, draft.reason = Verdict.HELD, "waits for approval"
                if draft.verdict is _SEND:
                    counts["send"] += 1
                else:
                    counts[draft.verdict] += 1
                yield draft
        finally:
            for source in sources.values():
                source.close()
            if references is not None:
                references.close()

    def _rolled(self, roll: Roll) -> Iterator[Draft]:
        """What would change in a file of groups, for people to see; a past that is replayed has no such file."""
        if not (self.look_up or self.create):
            return
        from libax_automate.engine.roll import Ledger

        ledger = Ledger(self.profile.folder, roll, self.moment.last)
        self.rolls.append(ledger)
        if not self.create:
            for draft in ledger.drafts(self.spec.name):
                self.counts[draft.verdict] += 1
                yield draft

    def _guards(self, past: Past | None, now: datetime) -> Guards:
        return Guards(self.profile, self.spec, classes_of(self.space, self.profile), past, now)

    def _available(self, sources: dict[str, Source[Any]]) -> frozenset[str] | None:
        entity = self.recipe.entity_name()
        if self.spec.source is None or not entity:
            return None
        return self._source(sources, self.spec.source).fields(entity)

    def _source(self, sources: dict[str, Source[Any]], app: str | None) -> Source[Any]:
        if app is None or app not in self.profile.apps:
            raise ProfileError(f"model {self.spec.name!r} names no source", hint=f'add: source = "APP" to [models.{self.spec.name}]')
        if app not in sources:
            connector = self.space.connector(self.profile, self.profile.apps[app])
            if not isinstance(connector, Source):
                raise ProfileError(f"app {app!r} ({connector.name}) has no records to read", hint="name a source app")
            connector.open()
            sources[app] = connector
        return sources[app]

    def _fetch(self, sources: dict[str, Source[Any]], app: str | None, entity: str, query: Query) -> Iterator[Record]:
        choose = chooser(query, self.profile.timezone)
        for found in self._source(sources, app).fetch(entity, query):
            row = found if choose is None or isinstance(found, BadRow) else choose(found)
            if row is None:
                continue
            if isinstance(row, BadRow):
                self.bad += 1
                if len(self.bad_rows) < _NAMED:
                    self.bad_rows.append(row)
            else:
                yield row


def classes_of(space: Workspace, profile: Profile) -> dict[str, MessageClass]:
    """What kind of word each model of a profile says."""
    found = {}
    for name, spec in profile.models.items():
        try:
            found[name] = class_of(spec, space.catalogue.model(spec.use))
        except PluginError:
            continue  # a model that cannot run says nothing
    return found


def _effect(spec: ModelSpec, effect: Effect) -> Draft:
    return Draft(
        model=spec.name, person=effect.person or effect.to, occasion=effect.occasion, step=effect.step, app=effect.app,
        channel=Channel.ACTION, to=effect.to, payload={"kind": effect.kind, "fields": dict(effect.fields)}, reason=effect.why,
    )  # fmt: skip


def said_of(store: Store | None, profile: Profile, spec: ModelSpec) -> Mapping[str, Mapping[str, Sent]]:
    """What a model has said so far: record -> step -> message."""
    row = store.tasks.model(profile.name, spec.name) if store is not None else None
    if store is None or row is None:
        return {}
    from libax_automate.engine.said import said

    return said(store.history.said(row.id), profile.timezone)


def documents_of(store: Store | None, profile: Profile, spec: ModelSpec) -> Mapping[str, str]:
    """The records of which documents of a model speak: id -> number."""
    row = store.tasks.model(profile.name, spec.name) if store is not None else None
    return store.documents.on(row.id) if store is not None and row is not None else {}


def plan_model(space: Workspace, profile: Profile, spec: ModelSpec, *, on: date | None = None) -> Plan:
    """What the model would do now, or on a day (at its first time of that day); writes nothing."""
    zone = profile.timezone
    now = space.clock.now()
    day = on or local_of(now, zone).date()
    local = (
        datetime.combine(day, spec.schedule.at[0] if spec.schedule.at else time(9)) if on else local_of(now, zone).replace(microsecond=0)
    )
    slot = Slot(local, instant_of(local, zone) if on else now)
    store = space.existing_store()
    row = store.tasks.model(profile.name, spec.name) if store else None
    seen = datetime.fromtimestamp(row.first_seen, UTC) if row else min(now, instant_of(datetime.combine(day, time()), zone))
    bookmark = datetime.fromtimestamp(row.bookmark, UTC) if row else seen
    moment = Moment(slot=slot, first=day, last=day, bookmark=bookmark, since=seen, now=slot.instant if on else None)
    return Plan(space, profile, spec, space.recipe(spec), moment)


def pages(drafts: Iterator[Draft], *, profile: str, spec: ModelSpec, slot: Slot) -> Iterator[tuple[Draft, list[Draft]]]:
    """Gather a webhook's drafts into calls of at most 500 records (LX-19): (the call, the people in it, as rows of the ledger)."""
    number = 0
    page: list[Draft] = []
    ahead = next(drafts, None)
    while ahead is not None:
        page.append(ahead)
        ahead = next(drafts, None)
        if len(page) == PAGE or ahead is None:
            number += 1
            data = {
                "profile": profile, "model": spec.name, "slot": slot.key, "page": number, "last": ahead is None,
                "records": [draft.payload["record"] for draft in page],
            }  # fmt: skip
            payload = {"type": f"automate.{spec.use.replace('-', '_')}", "data": data, "at": slot.instant.isoformat()}
            call = Draft(
                model=spec.name, person=f"list:{number}", occasion=slot.key, step="list", app=page[0].app, channel=Channel.WEBHOOK,
                to=page[0].app, payload=payload, expires=page[0].expires, approve=page[0].approve,
            )  # fmt: skip
            for draft in page:
                # nobody writes to them: the row is what keeps a person from being listed twice
                draft.baseline, draft.payload, draft.reason = True, {}, lists.reason(call.app, slot.key, number)
            yield call, page
            page = []

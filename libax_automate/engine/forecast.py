"""How many messages a calendar's fires will make, app by app and day by day, and where that is more than an app may send.

What has fired is known. What will fire is walked on paper where the recipe goes by what is in its source today (birthdays, a ladder's steps);
one that lives by what is yet to come (new customers), or acts elsewhere, is taken to go on as its own last weeks went. Where there is
neither, nothing is claimed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from math import floor
from typing import Any

from libax_automate.connector import Sender
from libax_automate.engine.archive import Archive
from libax_automate.engine.plan import classes_of, said_of
from libax_automate.engine.replay import Memory, Replay, Word
from libax_automate.engine.schedule import slots
from libax_automate.engine.spec import AppSpec, ModelSpec, Profile, Quiet, Rate
from libax_automate.engine.walltime import local_of, midnight
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import AutomateError
from libax_automate.message import Channel

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_SECONDS = 86_400
#: how far back a model's own history says what is usual
_USUAL = timedelta(days=56)
#: people in one call of a webhook's list (LX-19)
_PAGE = 500
_UNITS = {1: "s", 60: "min", 3600: "h", _SECONDS: "d"}


class Basis(StrEnum):
    """What an expectation stands on."""

    #: it has fired, and the ledger knows
    SENT = "sent"
    #: today's records, walked through the model
    SOURCE = "source"
    #: what the model's last eight weeks came to, on average
    HISTORY = "history"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Expected:
    """What one fire makes; ``number`` None = nobody can tell."""

    number: float | None
    basis: Basis
    apps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppDay:
    """One local day of one app: what is expected, what its pace allows (None = it has none), and what is left at the end of the day."""

    app: str
    day: date
    expected: float
    allowed: int | None
    left: float


@dataclass
class Forecast:
    """The volume of a span of days."""

    #: (model, instant) -> what the slot makes
    fires: dict[tuple[str, datetime], Expected] = field(default_factory=dict)
    #: model in real time -> what a day makes
    realtime: dict[str, Expected] = field(default_factory=dict)
    days: list[AppDay] = field(default_factory=list)
    #: models of which nothing is known, and why a source could not be asked
    notes: list[str] = field(default_factory=list)


def forecast(space: Workspace, profile: Profile, specs: Sequence[ModelSpec], first: date, last: date) -> Forecast:
    """The volume of the local days ``first`` … ``last``, both included. ``specs`` are the models that are on.

    Reads the sources of the models that go by what is in them. A source that cannot be read makes its models' volume unknown, with a note.
    """
    return _Forecaster(space, profile, specs, first, last).run()


class _Forecaster:
    def __init__(self, space: Workspace, profile: Profile, specs: Sequence[ModelSpec], first: date, last: date) -> None:
        self._space, self._profile, self._specs = space, profile, specs
        self._first, self._last = first, last
        self._zone = profile.timezone
        self._now = space.clock.now()
        self._start, self._end = midnight(first, self._zone), midnight(last + _DAY, self._zone)
        self._store = space.existing_store()
        self._found = Forecast()
        #: app -> local day -> how many
        self._days: dict[str, Counter[date]] = defaultdict(Counter)
        #: app -> models that send by it
        self._users: dict[str, set[str]] = defaultdict(set)

    def run(self) -> Forecast:
        self._past()
        told = [spec for spec in self._specs if self._tells(spec)]
        if self._end > self._now:
            walked = self._walk(told)
            for spec in self._specs:
                if spec.name not in walked:
                    self._usual(spec)
            self._found.days = self._loads()
        return self._found

    def _tells(self, spec: ModelSpec) -> bool:
        """Whether today's records say what the model will say."""
        if spec.schedule.realtime or spec.source is None:
            return False
        try:
            recipe = self._space.recipe(spec)
        except AutomateError:
            return False
        return recipe.messages and not recipe.bookmarked

    def _slots(self, spec: ModelSpec, start: datetime) -> Iterable[datetime]:
        return (slot.instant for slot in slots(spec.schedule, self._zone, start - _TICK, self._end - _TICK))

    # -- what was ----------------------------------------------------------------------------------------------------------

    def _past(self) -> None:
        until = min(self._now, self._end)
        for spec in self._specs:
            if spec.schedule.realtime or self._start >= until:
                continue
            row = self._store.tasks.model(self._profile.name, spec.name) if self._store else None
            made = dict(self._store.history.fires(row.id, self._start.timestamp(), until.timestamp())) if self._store and row else {}
            for instant in self._slots(spec, self._start):
                if instant >= until:
                    break
                self._found.fires[spec.name, instant] = Expected(made.get(instant.timestamp(), 0), Basis.SENT)

    # -- what is in the source ---------------------------------------------------------------------------------------------

    def _walk(self, specs: Sequence[ModelSpec]) -> frozenset[str]:
        """Walk the models from now on; those whose source answered."""
        archive, walked = Archive(self._space, self._profile), []
        for spec in specs:
            # each source by itself first: one that is down must not hide what the others say
            try:
                archive.prime(spec.source or "", self._space.recipe(spec).entity_name())
            except AutomateError as error:
                self._note(f"{spec.name}: its source cannot be read: {error.message}")
            else:
                walked.append(spec)
        if not walked:
            return frozenset()
        names = frozenset(spec.name for spec in walked)
        seen = {}
        for spec in walked:
            row = self._store.tasks.model(self._profile.name, spec.name) if self._store else None
            if row is not None:
                seen[spec.name] = (datetime.fromtimestamp(row.first_seen, UTC), datetime.fromtimestamp(row.bookmark, UTC))
        classes = classes_of(self._space, self._profile)
        memory = Memory(self._store, self._profile.name, classes, since=self._now - _reach(self._profile))
        lists = Counter[tuple[str, date]]()

        def tell(word: Word) -> None:
            app, day = word.draft.app, word.day
            if word.draft.channel is Channel.WEBHOOK:
                lists[app, day] += 1
                self._days[app][day] += lists[app, day] % _PAGE == 1
            else:
                self._days[app][day] += 1
            if word.draft.activity is not None:
                self._days[word.draft.activity[0]][day] += 1

        walk = Replay(
            self._space, self._profile, walked, self._now, self._end, memory=memory, tell=tell, known=True, seen=seen, archive=archive
        )  # fmt: skip
        for spec in walked:
            walk.said(spec.name).update({record: dict(steps) for record, steps in said_of(self._store, self._profile, spec).items()})
        try:
            for fire in walk.fires():
                for app in fire.apps:
                    self._users[app].add(fire.model)
                if fire.slot.instant >= self._start:
                    self._found.fires[fire.model, fire.slot.instant] = Expected(fire.apps.total(), Basis.SOURCE, dict(fire.apps))
        except AutomateError as error:
            self._note(f"the sources cannot be read: {error.message}")
            self._days.clear()
            for key in [key for key, expected in self._found.fires.items() if expected.basis is Basis.SOURCE]:
                del self._found.fires[key]
            return frozenset()
        return names

    # -- what is usual -----------------------------------------------------------------------------------------------------

    def _silent(self, spec: ModelSpec) -> bool:
        """Whether the model reads nothing, and so has nothing to say (a second task of a pair)."""
        try:
            return not self._space.recipe(spec).entity_name()
        except AutomateError:
            return False

    def _usual(self, spec: ModelSpec) -> None:
        if self._silent(spec):
            for instant in self._slots(spec, max(self._now, self._start)):
                self._found.fires[spec.name, instant] = Expected(0, Basis.SOURCE)
            return
        row = self._store.tasks.model(self._profile.name, spec.name) if self._store else None
        since = self._now - _USUAL
        done, apps = self._store.history.volume(row.id, since.timestamp()) if self._store and row else (0, [])
        runs = float(done)
        if spec.schedule.realtime:
            # a look that finds nobody is no run: what counts is the days
            seen = max(since, datetime.fromtimestamp(row.first_seen, UTC)) if row else self._now
            runs = (self._now - seen) / _DAY if self._now - seen >= _DAY else 0.0
        if not runs:
            self._note(f"{spec.name}: unknown, it has no history yet")
        usual = {app: count / runs for app, count in apps} if runs else {}
        made = Expected(sum(usual.values()), Basis.HISTORY, usual) if runs else Expected(None, Basis.UNKNOWN)
        for app in usual:
            self._users[app].add(spec.name)
        if spec.schedule.realtime:
            self._found.realtime[spec.name] = made
            day = local_of(max(self._now, self._start), self._zone).date()
            while day <= self._last:
                self._count(usual, day)
                day += _DAY
            return
        for instant in self._slots(spec, max(self._now, self._start)):
            self._found.fires[spec.name, instant] = made
            self._count(usual, local_of(instant, self._zone).date())

    def _count(self, usual: Mapping[str, float], day: date) -> None:
        for app, number in usual.items():
            self._days[app][day] += number  # type: ignore[assignment]  # a mean has fractions

    # -- what an app may send ------------------------------------------------------------------------------------------------

    def _loads(self) -> list[AppDay]:
        """Each app's days from today on, what is over its pace carried on to the next."""
        found = []
        today = local_of(self._now, self._zone).date()
        waiting = self._waiting()
        apps = self._space.apps(self._profile)
        for name in sorted({*self._days, *waiting}):
            app = apps.get(name)
            allowed = allowance(self._profile, app, self._batch(app), [spec for spec in self._specs if spec.name in self._users[name]])
            days, left = self._days[name], float(waiting.get(name, 0))
            day = min([today, *days])
            while day <= self._last:
                due = left + days[day]
                left = max(0.0, due - allowed) if allowed is not None else 0.0
                if day >= self._first and due:
                    found.append(AppDay(name, day, days[day], allowed, left))
                day += _DAY
        return found

    def _waiting(self) -> dict[str, int]:
        if self._store is None:
            return {}
        rows = self._store.apps.rows(self._now.timestamp(), profiles=frozenset({self._profile.name}))
        return {row.name: row.waiting for row in rows if row.waiting}

    def _batch(self, app: AppSpec | None) -> int:
        if app is None:
            return 1
        kind = self._space.catalogue.connector(app.connector)
        return kind.batch_size if issubclass(kind, Sender) else 1

    def _note(self, text: str) -> None:
        text = self._space.redactor.text(text)
        if text not in self._found.notes:
            self._found.notes.append(text)


def _reach(profile: Profile) -> timedelta:
    """How far back guard rails look."""
    caps = [*profile.defaults.cap.values(), *(spec.cap for spec in profile.models.values() if spec.cap is not None)]
    return max([cap.span for cap in caps] + [rule.within for rule in profile.tact if rule.near], default=timedelta())


def allowance(profile: Profile, app: AppSpec | None, batch: int, specs: Sequence[ModelSpec]) -> int | None:
    """How many messages an app's ``rate`` lets through on a day, None = it has no pace.

    Calls are evenly spaced, so hours of quiet take their share: a pace of 1000/d is 500 in twelve open hours. ``batch`` messages leave with
    one call; the longest day of the models that send by the app counts.
    """
    if app is None or app.rate is None:
        return None
    hours = [None if spec.any_hour else spec.quiet or profile.defaults.quiet for spec in specs] or [profile.defaults.quiet]
    return floor(max(_open(quiet) for quiet in hours) / app.rate.interval + 1e-6) * batch


def _open(quiet: Quiet | None) -> int:
    if quiet is None:
        return _SECONDS
    start, end = (each.hour * 3600 + each.minute * 60 for each in (quiet.start, quiet.end))
    return _SECONDS - (end - start) % _SECONDS


def written(rate: Rate | None) -> str:
    """A pace as a profile says it: ``10/s``; nothing where there is none."""
    if rate is None:
        return ""
    unit = _UNITS.get(int(rate.seconds))
    return f"{rate.count}/{unit}" if unit else f"{rate.count}/{rate.seconds:g}s"


def overloads(days: Iterable[AppDay]) -> list[dict[str, Any]]:
    """Stretches in which an app gets more than it may send: app, the day it begins, how many, how many a day, and when all has left."""
    found: list[dict[str, Any]] = []
    running: dict[str, Any] | None = None
    for each in days:
        if running is not None and (each.app != running["app"] or running["until"] is not None):
            running = None
        if running is None:
            if each.left <= 0 or each.allowed is None:
                continue
            running = {
                "app": each.app,
                "day": each.day,
                "expected": each.expected,
                "allowed": each.allowed,
                "most": each.left,
                "until": None,
            }
            found.append(running)
            continue
        running["most"] = max(running["most"], each.left)
        if each.left <= 0:
            running["until"] = each.day
    return found

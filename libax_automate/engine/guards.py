"""Guard rails between models: how often a person hears, who agreed, what is tactful today. None of the recipes knows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from libax_automate.engine.heard import Heard, Word
from libax_automate.engine.spec import Cap, ModelSpec, Profile, Tact
from libax_automate.engine.store.people import Heard as Said
from libax_automate.engine.walltime import local_of, midnight
from libax_automate.model import MessageClass, Model
from libax_automate.record import Record

#: words that mean "I agree", in the languages of the profiles
_YES = frozenset({"yes", "y", "true", "1", "sim", "s", "aceito", "aceita", "autorizo", "ok"})
_ALL = "all"


class Persons(Protocol):
    """What is known of persons across models."""

    def heard(self, profile: str, since: float) -> Iterable[Said]:
        """What was said to persons since an instant, or waits."""

    def consents(self, profile: str) -> Mapping[str, str]:
        """The latest answer of each person."""


class Past(Protocol):
    """What has been said so far: a store, or the memory of a replay."""

    @property
    def people(self) -> Persons:
        """What is known of persons."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Why a person does not hear now; ``until`` = from when on it may be said, None = not at all."""

    reason: str
    until: datetime | None = None


def class_of(spec: ModelSpec, recipe: type[Model[Any]] | Model[Any]) -> MessageClass:
    """What kind of word a model says: its own ``class``, else its recipe's."""
    return spec.message_class or recipe.message_class


class Guards:
    """The rulings for one plan of one model. Made once: reads what was heard lately in one go, then answers from memory."""

    def __init__(
        self, profile: Profile, spec: ModelSpec, classes: Mapping[str, MessageClass], store: Past | None, now: datetime, *,
        heard: Heard | None = None,
    ) -> None:  # fmt: skip
        """``classes`` are the classes of all the profile's models; ``store`` None = nothing was ever sent.

        ``heard``: what was heard, where it is not the store's; whoever gives it adds to it, and shares it with others.
        """
        self._zone, self._spec, self._now = profile.timezone, spec, now
        self._class = classes[spec.name]
        self._today = local_of(now, self._zone).date()
        self._caps = self._wanted(profile)
        self._near = [rule for rule in profile.tact if rule.near and rule.hold in (spec.name, self._class)]
        self._on = [rule for rule in profile.tact if rule.on and rule.hold in (spec.name, self._class)]
        self._consents = store.people.consents(profile.name) if store is not None and spec.consent else {}
        self._heard = Heard() if heard is None else heard
        spans = [cap.span for _, cap in self._caps] + [rule.within for rule in self._near]
        if store is not None and heard is None and spans:
            self._read(store, profile.name, classes, now - max(spans))

    def _wanted(self, profile: Profile) -> list[tuple[str, Cap]]:
        if self._spec.uncapped:
            return []
        own = self._spec.cap or profile.defaults.cap.get(self._class)
        found = [(str(self._class), own)] if own is not None else []
        if self._spec.cap is None and (whole := profile.defaults.cap.get(_ALL)) is not None:
            found.append((_ALL, whole))
        return found

    def _read(self, store: Past, profile: str, classes: Mapping[str, MessageClass], since: datetime) -> None:
        counted = {name for name, _ in self._caps}
        near = {rule.near for rule in self._near}
        for each in store.people.heard(profile, since.timestamp()):
            kind = str(classes.get(each.model, ""))
            if _ALL in counted or kind in counted or each.model in near:
                self._heard.add(each.person, each.at, Word(each.model, each.step, kind))

    @property
    def idle(self) -> bool:
        """Whether there is nothing to guard."""
        return not (self._caps or self._near or self._on or self._spec.consent)

    def judge(self, person: str, recipient: Record) -> Ruling | None:
        """What stands against a message to ``person`` now; None = nothing."""
        if self._spec.consent and (ruling := self._consent(person, recipient)) is not None:
            return ruling
        heard = self._heard.of(person) if self._near or self._caps else []
        for rule in self._near:
            if (ruling := self._tact(rule, heard)) is not None:
                return ruling
        for rule in self._on:
            if (ruling := self._day(rule, recipient)) is not None:
                return ruling
        return self._cap(person, heard) if self._caps else None

    def move(self, now: datetime) -> None:
        """On to another plan at a later instant: what was planned has been heard."""
        self._now, self._today = now, local_of(now, self._zone).date()
        self._heard.begin()

    def count(self, person: str) -> None:
        """A message to ``person`` was planned: later ones of the same plan see it."""
        if self._caps:
            self._heard.plan(person)

    def _consent(self, person: str, recipient: Record) -> Ruling | None:
        answer = self._consents.get(person)
        said = answer if answer is not None else recipient.get("consent")
        if said is None or not str(said).strip():
            return Ruling("has not agreed: no consent on record")
        if str(said).strip().casefold() not in _YES:
            return Ruling(f"has not agreed: consent is {str(said)[:40]!r}")
        return None

    def _tact(self, rule: Tact, heard: Sequence[tuple[float, Word]]) -> Ruling | None:
        if not heard:
            return None
        floor = (self._now - rule.within).timestamp()
        for at, (model, step, _) in heard:
            if model == rule.near and at >= floor and (not rule.steps or step in rule.steps):
                day = local_of(datetime.fromtimestamp(at, UTC), self._zone).date()
                until = None if rule.then == "skip" else datetime.fromtimestamp(at, UTC) + rule.within
                return Ruling(f"tact: {model}{f' ({step})' if step else ''} on {day}", until)
        return None

    def _day(self, rule: Tact, recipient: Record) -> Ruling | None:
        today = self._today
        value = recipient.get(rule.on or "")
        if isinstance(value, datetime):
            value = local_of(value, self._zone).date()
        if not isinstance(value, date) or (value.month, value.day) != (today.month, today.day):
            return None
        until = None if rule.then == "skip" else midnight(today + timedelta(days=1), self._zone)
        return Ruling(f"tact: {rule.on} is today", until)

    def _cap(self, person: str, heard: Sequence[tuple[float, Word]]) -> Ruling | None:
        planned = self._heard.planned(person)
        if not heard and not planned:
            return None
        latest: Ruling | None = None
        for name, cap in self._caps:
            floor = (self._now - cap.span).timestamp()
            times = sorted([at for at, word in heard if at >= floor and name in (_ALL, word.kind)] + [self._now.timestamp()] * planned)
            if len(times) >= cap.count:
                until = datetime.fromtimestamp(times[-cap.count], UTC) + cap.span
                if latest is None or (latest.until is not None and until > latest.until):
                    latest = Ruling(f"capped: {cap}{'' if name == _ALL else f' ({name})'}, {len(times)} already", until)
        return latest

"""Guard rails between models: how often a person hears, who agreed, what is tactful today. None of the recipes knows of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from libax_automate.engine.spec import Cap, ModelSpec, Profile, Tact
from libax_automate.engine.store import Store
from libax_automate.engine.walltime import local_of, midnight
from libax_automate.model import MessageClass, Model
from libax_automate.record import Record

#: words that mean "I agree", in the languages of the profiles
_YES = frozenset({"yes", "y", "true", "1", "sim", "s", "aceito", "aceita", "autorizo", "ok"})
_ALL = "all"


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

    def __init__(self, profile: Profile, spec: ModelSpec, classes: Mapping[str, MessageClass], store: Store | None, now: datetime) -> None:
        """``classes`` are the classes of all the profile's models; ``store`` None = nothing was ever sent."""
        self._zone, self._spec, self._now = profile.timezone, spec, now
        self._class = classes[spec.name]
        self._caps = self._wanted(profile)
        self._near = [rule for rule in profile.tact if rule.near and rule.hold in (spec.name, self._class)]
        self._on = [rule for rule in profile.tact if rule.on and rule.hold in (spec.name, self._class)]
        self._consents = store.people.consents(profile.name) if store is not None and spec.consent else {}
        self._heard: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self._said: dict[str, list[tuple[float, str, str]]] = defaultdict(list)
        spans = [cap.span for _, cap in self._caps] + [rule.within for rule in self._near]
        if store is not None and spans:
            self._read(store, profile.name, classes, now - max(spans))

    def _wanted(self, profile: Profile) -> list[tuple[str, Cap]]:
        if self._spec.uncapped:
            return []
        own = self._spec.cap or profile.defaults.cap.get(self._class)
        found = [(str(self._class), own)] if own is not None else []
        if self._spec.cap is None and (whole := profile.defaults.cap.get(_ALL)) is not None:
            found.append((_ALL, whole))
        return found

    def _read(self, store: Store, profile: str, classes: Mapping[str, MessageClass], since: datetime) -> None:
        counted = {name for name, _ in self._caps}
        near = {rule.near for rule in self._near}
        for each in store.people.heard(profile, since.timestamp()):
            kind = str(classes.get(each.model, ""))
            if _ALL in counted or kind in counted:
                self._heard[each.person].append((each.at, kind))
            if each.model in near:
                self._said[each.person].append((each.at, each.model, each.step))

    @property
    def idle(self) -> bool:
        """Whether there is nothing to guard."""
        return not (self._caps or self._near or self._on or self._spec.consent)

    def judge(self, person: str, recipient: Record) -> Ruling | None:
        """What stands against a message to ``person`` now; None = nothing."""
        if self._spec.consent and (ruling := self._consent(person, recipient)) is not None:
            return ruling
        for rule in self._near:
            if (ruling := self._tact(rule, person)) is not None:
                return ruling
        for rule in self._on:
            if (ruling := self._day(rule, recipient)) is not None:
                return ruling
        return self._cap(person) if self._caps else None

    def count(self, person: str) -> None:
        """A message to ``person`` was planned: later ones of the same plan see it."""
        if self._caps:
            self._heard[person].append((self._now.timestamp(), str(self._class)))

    def _consent(self, person: str, recipient: Record) -> Ruling | None:
        answer = self._consents.get(person)
        said = answer if answer is not None else recipient.get("consent")
        if said is None or not str(said).strip():
            return Ruling("has not agreed: no consent on record")
        if str(said).strip().casefold() not in _YES:
            return Ruling(f"has not agreed: consent is {str(said)[:40]!r}")
        return None

    def _tact(self, rule: Tact, person: str) -> Ruling | None:
        floor = (self._now - rule.within).timestamp()
        for at, model, step in self._said.get(person, ()):
            if model == rule.near and at >= floor and (not rule.steps or step in rule.steps):
                day = local_of(datetime.fromtimestamp(at, UTC), self._zone).date()
                until = None if rule.then == "skip" else datetime.fromtimestamp(at, UTC) + rule.within
                return Ruling(f"tact: {model}{f' ({step})' if step else ''} on {day}", until)
        return None

    def _day(self, rule: Tact, recipient: Record) -> Ruling | None:
        today = local_of(self._now, self._zone).date()
        value = recipient.get(rule.on or "")
        if isinstance(value, datetime):
            value = local_of(value, self._zone).date()
        if not isinstance(value, date) or (value.month, value.day) != (today.month, today.day):
            return None
        until = None if rule.then == "skip" else midnight(today + timedelta(days=1), self._zone)
        return Ruling(f"tact: {rule.on} is today", until)

    def _cap(self, person: str) -> Ruling | None:
        heard = self._heard.get(person)
        if not heard:
            return None
        latest: Ruling | None = None
        for name, cap in self._caps:
            floor = (self._now - cap.span).timestamp()
            times = sorted(at for at, kind in heard if at >= floor and name in (_ALL, kind))
            if len(times) >= cap.count:
                until = datetime.fromtimestamp(times[-cap.count], UTC) + cap.span
                if latest is None or (latest.until is not None and until > latest.until):
                    latest = Ruling(f"capped: {cap}{'' if name == _ALL else f' ({name})'}, {len(times)} already", until)
        return latest

"""The message step that all recipes share: a candidate in, a draft out, with the reason where nothing will be sent.

The checks, in this order; the first that fails gives the reason:

1. ``baseline``: there before the model began → recorded, never sent
2. the recipe's own reason (``Candidate.excluded``)
3. the address could not be read (its problem, and where it stands)
4. ``audience``
5. ``where``
6. an address for the channel
7. the suppression list
8. already known under the same key (``once`` makes the person the key)
9. the guard rails: consent, tact, caps; those with an end hold it
10. the wording: an empty value, a line break in the subject, ``max_chars``
11. expiry, then quiet hours and sending weekdays, which hold it

A wrong template is the model's fault, not the person's: it raises TemplateError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from libax_automate.engine.audience import Audience
from libax_automate.engine.fields import RECIPIENT, Names
from libax_automate.engine.guards import Guards, Ruling
from libax_automate.engine.hours import Hours
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.press import Said, press_of
from libax_automate.engine.profile.span import span_of
from libax_automate.engine.reference import PLACEHOLDERS
from libax_automate.engine.spec import ModelSpec, Profile, Wording
from libax_automate.engine.walltime import Slot, instant_of, local_of, midnight
from libax_automate.engine.way import ChannelsOf, channel_of, says
from libax_automate.engine.wording import Compiled, NotSayable
from libax_automate.errors import EmptyValue, ProfileError, TemplateError, UnknownField
from libax_automate.message import Channel
from libax_automate.model import Candidate, Model, Payable
from libax_automate.record import Record
from libax_automate.template import Expression, Sandbox

#: (channel, address) → why nothing may be sent there, or None
Suppressed = Callable[[Channel, str], str | None]
#: (step, person, occasion) → what the ledger says of it, or None
Known = Callable[[str, str, str], str | None]
#: what is to be paid → the placeholders of its payment references, or why there are none
Fill = Callable[[Sequence[Payable]], dict[str, Any] | str]

_DAY = timedelta(days=1)
#: the shape of an address; sources have validated it already (``normalise``), this guards against those that have not
_ADDRESS = {
    Channel.EMAIL: ("email", "e-mail", re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")),
    Channel.SMS: ("mobile", "mobile", re.compile(r"\+[1-9]\d{5,14}")),
    Channel.WHATSAPP: ("mobile", "mobile", re.compile(r"\+[1-9]\d{5,14}")),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def _inherited(wording: Wording, model: Wording) -> Wording:
    """A step's own wording; what surrounds it comes from the model where the step does not say."""
    around = ("reply_to", "sender", "cc", "bcc", "attachments", "max_chars") + (() if wording.template else ("subject",))
    return replace(wording, **{name: getattr(wording, name) or getattr(model, name) for name in around})


@dataclass(slots=True)
class _Step:
    """What a model or one of its steps compiles to."""

    channel: Channel
    app: str
    wording: Compiled | None
    #: top-level names that the condition and the wording read
    names: tuple[str, ...] = ()
    #: other ways, for those whom this one does not reach
    fallback: tuple[_Step, ...] = ()
    #: it calls a program, and writes to nobody
    webhook: bool = False
    #: the recipient's field with the address, what people call it, and its shape
    field: str = ""
    noun: str = ""
    shape: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        self.webhook = self.channel is Channel.WEBHOOK
        if not self.webhook:
            self.field, self.noun, self.shape = _ADDRESS[self.channel]


class Composer:
    """The message step of one model. Made once per run: compiles everything, and raises TemplateError naming the key that is wrong.

    ``suppressed`` and ``known`` answer from the store; ``available`` are the fields of the source's records where it can tell;
    ``subject`` gives the generic subject for a message id (LX-51).
    """

    def __init__(
        self,
        profile: Profile,
        spec: ModelSpec,
        recipe: Model[Any],
        *,
        sandbox: Sandbox | None = None,
        available: frozenset[str] | None = None,
        channels_of: ChannelsOf | None = None,
        subject: Callable[[str], str] | None = None,
        suppressed: Suppressed | None = None,
        known: Known | None = None,
        guards: Guards | None = None,
        references: Fill | None = None,
    ) -> None:
        self._profile, self._spec, self._recipe = profile, spec, recipe
        self._model, self._once, self._source, self._activity = spec.name, spec.once, spec.source, spec.activity
        self._zone = profile.timezone
        self._sandbox = sandbox or Sandbox(profile.locale, profile.timezone.key)
        self._suppressed, self._known = suppressed, known
        self._references = references
        self._guards = guards if guards is not None and not guards.idle else None
        self._approved = {"": spec.approve, **{each.name: spec.approve or each.approve for each in spec.steps}}
        self._audience = Audience(spec.audience)
        self._names = Names.of(recipe, available)
        self._where = self._condition(spec.where)
        self._hours = Hours.of(profile, spec)
        self._span = _lifetime(spec.expires or recipe.expires)
        self._press = press_of(profile, spec.name, recipe, self._sandbox, self._names)
        self._moment: tuple[datetime, Any] | None = None
        self._lived: tuple[datetime, datetime | None] | None = None
        self._steps = {step: self._ways(step, channels_of, subject) for step in ("", *(each.name for each in spec.steps))}

    def _condition(self, source: str | None) -> Expression | None:
        if not source:
            return None
        try:
            return self._sandbox.expression(source)
        except TemplateError as error:
            raise TemplateError(f"where: {error.message}", hint=error.hint) from None

    def _ways(self, name: str, channels_of: ChannelsOf | None, subject: Callable[[str], str] | None) -> _Step:
        """A step by its own channel, and by those it falls back to."""
        first = self._compile(name, channels_of, subject)
        at = next((each for each in self._spec.steps if each.name == name), None) if name else None
        others = (at.fallback if at else ()) or self._spec.fallback
        if first.wording is not None:
            first.fallback = tuple(self._compile(name, channels_of, subject, by=each) for each in others if each is not first.channel)
        return first

    def _compile(
        self, name: str, channels_of: ChannelsOf | None, subject: Callable[[str], str] | None, *, by: Channel | None = None
    ) -> _Step:
        spec, profile = self._spec, self._profile
        at = next((each for each in spec.steps if each.name == name), None) if name else None
        conditions = self._where.order if self._where else ()
        wording = _inherited(at.wording, spec.wording) if at is not None and says(at.wording) else spec.wording
        if not name and (spec.steps or not self._recipe.messages) and not says(wording) and spec.webhook is None:
            # a ladder whose every rung has its own wording has none itself; nor has a recipe that writes to nobody
            return _Step(Channel.EMAIL, "", None, _heads(conditions))
        channel, app = channel_of(spec, profile, step=name, channels_of=channels_of)
        if channel is Channel.WEBHOOK:
            return _Step(channel, app, None, _heads(conditions))
        if by is not None:
            channel, app = by, self._default_app(by, name)
        if not says(wording):
            raise ProfileError(f"model {spec.name!r} has no message", hint="add text = …, html = … or template = …")
        if wording.template and (by is not None or ((at.fallback if at else ()) or spec.fallback)):
            wording = self._either(wording, name, by)
        if by is not None and not wording.subject:
            wording = replace(wording, subject=spec.wording.subject)
        if self._press is not None and channel is not Channel.EMAIL:
            raise ProfileError(f"channel: {spec.name} sends a document, and {channel} carries none", hint='use channel = "email"')
        generic = ""
        if channel is Channel.EMAIL and not (wording.subject or "").strip() and not wording.template:
            generic = (subject or self._generic)(self._recipe.generic_subject)
        try:
            compiled = Compiled(
                wording, channel, self._sandbox, defaults=profile.defaults, generic_subject=generic, language=profile.locale
            )
        except TemplateError as error:
            raise TemplateError(f"steps {name}, {error.message}" if name else error.message, hint=error.hint) from None
        used = [field for fields in compiled.fields.values() for field in fields]
        return _Step(channel, app, compiled, _heads((*conditions, *used)))

    def _default_app(self, channel: Channel, step: str) -> str:
        from libax_automate.engine.workspace import FREE_PLAN

        app = self._profile.defaults.apps.get(channel) or (FREE_PLAN if channel is Channel.EMAIL else "")
        if not app:
            where = f"steps {step}, " if step else ""
            raise ProfileError(f"{where}fallback: no app sends {channel}", hint=f'add {channel} = "APP" to [defaults]')
        return app

    @staticmethod
    def _either(wording: Wording, step: str, by: Channel | None) -> Wording:
        """Of a template and a text beside it, the template is the first channel's and the text its fallbacks'."""
        if by is None:
            return replace(wording, text=None, html=None, subject=None)
        if not (wording.text or wording.html):
            where = f"steps {step}, " if step else ""
            raise ProfileError(f"{where}fallback: {by} has no text", hint="add text = …: the template belongs to the first channel")
        return replace(wording, template=None, vars=(), params={}, extra={})

    def _generic(self, key: str) -> str:
        from libax_automate.engine.language import language

        return language(self._profile.locale).subject(key)

    def fields(self) -> Iterator[tuple[str, str]]:
        """(key, dotted field) for every field that the model names: ``("text", "first_name")``."""
        for field in self._where.order if self._where else ():
            yield "where", field
        for name, first in self._steps.items():
            for step in (first, *first.fallback):
                for key, fields in step.wording.fields.items() if step.wording else ():
                    for field in fields:
                        yield (f"steps {name}, {key}" if name else key), field
        for field in self._press.fields if self._press is not None else ():
            yield "layout", field

    def compose(self, candidate: Candidate, *, now: datetime, slot: Slot) -> Draft:
        """What becomes of ``candidate`` at ``now`` (with a zone), for ``slot``; raises TemplateError where the texts are at fault."""
        record = candidate.record
        recipient = _recipient(candidate)
        try:
            step = self._steps[candidate.step]
        except KeyError:
            raise ProfileError(f"model {self._spec.name!r} has no step {candidate.step!r}", hint="add it under steps") from None
        if step.fallback:
            step = self._reaching(step, recipient)
        channel, webhook, field, noun, shape = step.channel, step.webhook, step.field, step.noun, step.shape
        address = "" if webhook else recipient.get(field) or ""
        name = recipient.get("name") or recipient.get("first_name") or ""
        if name and not (name := str(name)).isprintable():
            name = _CONTROL.sub(" ", name).strip()
        person = recipient.id or recipient.get("email") or recipient.get("mobile") or ""
        draft = Draft(
            model=self._model, person=str(person), occasion="once" if self._once else candidate.occasion, step=candidate.step,
            app=step.app, channel=channel, to=address, name=name,
        )  # fmt: skip
        if candidate.baseline:
            draft.baseline = True
            return _excluded(draft, "was there before the model began")
        if candidate.excluded is not None:
            return _excluded(draft, candidate.excluded)
        if not person:
            return _excluded(draft, _at("has neither id, e-mail nor mobile", recipient))
        if field and (why := recipient.problem(field)) is not None:
            return _excluded(draft, _at(f"{noun} not valid: {why}", recipient))
        if self._audience.words and (reason := self._audience.verdict(recipient)) is not None:
            return _excluded(draft, reason)
        context: dict[str, Any] = {}
        extra = candidate.extra
        if candidate.document is not None and self._press is not None:
            extra = {**extra, **self._press.values(now)}
        if step.names:
            context = self._names.context(step.names, record, recipient, extra, self._today(now))
        if self._where is not None and (reason := self._fails(self._where, context, recipient)) is not None:
            return _excluded(draft, reason)
        if shape is not None:
            if not address:
                return _excluded(draft, f"no {noun}")
            if not shape.fullmatch(address):
                return _excluded(draft, _at(f"{noun} not valid: {address[:80]!r}", recipient))
            if self._suppressed is not None and (reason := self._suppressed(channel, address)) is not None:
                return _excluded(draft, reason)
        if self._known is not None and (reason := self._known(candidate.step, draft.person, draft.occasion)) is not None:
            draft.known = True
            return _excluded(draft, reason)
        ruling = self._guards.judge(draft.person, recipient) if self._guards is not None and not webhook else None
        if ruling is not None and ruling.until is None:
            return _excluded(draft, ruling.reason)
        if step.wording is not None:
            if self._references is not None and candidate.payable and not PLACEHOLDERS.isdisjoint(step.names):
                # last of all: no reference is made for somebody to whom nothing is said
                filled = self._references(candidate.payable)
                if isinstance(filled, str):
                    return _excluded(draft, filled)
                context.update(filled)
            try:
                draft.payload = step.wording.payload(context)
            except EmptyValue as error:
                return _excluded(draft, _empty(error.field, record, recipient))
            except NotSayable as error:
                return _excluded(draft, str(error))
            except UnknownField as error:
                if self._names.available is not None:
                    raise
                return _excluded(draft, _at(f"has no field {error.field!r}", record))
            if name:
                draft.payload["name"] = name
            if candidate.document is not None and self._press is not None:
                said = Said(step.wording, context, name)
                paper = self._press.paper(candidate.document, said, record=record, recipient=recipient, extra=extra, now=now)
                if isinstance(paper, str):
                    draft.payload = {}
                    return _excluded(draft, paper)
                draft.document = paper
        elif webhook:
            draft.payload = {"record": _listed(record, recipient, candidate.extra)}
        else:
            raise ProfileError(f"model {self._spec.name!r} has no message for step ''", hint="add text = … to the model")
        draft.approve = self._approved[candidate.step]
        return self._timed(draft, candidate, now, slot, recipient=recipient, ruling=ruling)

    def empties(self, candidate: Candidate, *, now: datetime) -> list[tuple[str, str]]:
        """(key, field) of every part of the wording that needs a value which ``candidate`` has not got: ``("vars[2]", "city")``."""
        step, recipient = self._steps[candidate.step], _recipient(candidate)
        if step.fallback:
            step = self._reaching(step, recipient)
        if step.wording is None:
            return []
        context = self._names.context(step.names, candidate.record, recipient, candidate.extra, self._today(now))
        prefix = f"steps {candidate.step}, " if candidate.step else ""
        return [(prefix + key, field) for key, field in step.wording.empties(context) if field not in PLACEHOLDERS]

    def _reaching(self, first: _Step, recipient: Record) -> _Step:
        """The first way that leads to an address of the person that may be written to; the first of all where none does."""
        for step in (first, *first.fallback):
            field, _, shape = _ADDRESS[step.channel]
            address = recipient.get(field) or ""
            if address and shape.fullmatch(address) and (self._suppressed is None or self._suppressed(step.channel, address) is None):
                return step
        return first

    def _timed(self, draft: Draft, candidate: Candidate, now: datetime, slot: Slot, *, recipient: Record, ruling: Ruling | None) -> Draft:
        expires = draft.expires = candidate.expires or self._end(slot.instant)
        if expires is not None and expires <= now:
            return _excluded(draft, f"expired at {local_of(expires, self._zone):%Y-%m-%d %H:%M}")
        if ruling is not None and ruling.until is not None:
            if expires is not None and expires <= ruling.until:
                return _excluded(draft, f"{ruling.reason}; expires before it may be said")
            draft.verdict, draft.reason, draft.not_before = Verdict.HELD, ruling.reason, ruling.until
        elif (hold := self._hours.hold(now)) is not None and draft.channel is not Channel.WEBHOOK:
            if expires is not None and expires <= hold.until:
                return _excluded(
                    draft, "expires before quiet hours end" if hold.reason.startswith("quiet") else "expires before the next sending day"
                )
            draft.verdict, draft.reason, draft.not_before = Verdict.HELD, hold.reason, hold.until
        source = self._source
        if source is not None:
            if self._activity:
                draft.activity = (source, recipient.id)
            if candidate.still:
                draft.still = (source, candidate.record.entity, candidate.record.id, candidate.still)
                draft.also = candidate.also
        if not draft.reason:
            draft.reason = candidate.why
        if self._guards is not None:
            self._guards.count(draft.person)
        return draft

    def _today(self, now: datetime) -> Any:
        last = self._moment
        if last is None or last[0] != now:
            last = self._moment = (now, local_of(now, self._zone).date())
        return last[1]

    def _end(self, slot_instant: datetime) -> datetime | None:
        """When a message of the slot is void."""
        if self._span is None:
            return None
        last = self._lived
        if last is None or last[0] != slot_instant:
            local = local_of(slot_instant, self._zone)
            if self._span == "day":
                end = midnight(local.date() + _DAY, self._zone)
            elif self._span % _DAY:
                end = slot_instant + self._span
            else:  # whole days keep the time of day across a change of the clock
                end = instant_of(local.replace(fold=0) + self._span, self._zone)
            last = self._lived = (slot_instant, end)
        return last[1]

    def _fails(self, where: Expression, context: Mapping[str, Any], recipient: Record) -> str | None:
        try:
            return None if where.evaluate(context) else f"where: {where.source} is not true"
        except EmptyValue as error:
            return f"where: {error.field} is empty"
        except UnknownField as error:
            if self._names.available is not None:
                raise
            return _at(f"where: has no field {error.field!r}", recipient)
        except TemplateError as error:
            return f"where: {error.message}"


def _listed(record: Record, recipient: Record, extra: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of a webhook's list: the record's fields, the person it belongs to in full, and what the recipe adds."""
    made = {**record, **extra}
    if recipient is not record:
        made[next((name for name in RECIPIENT if name in record), "contact")] = dict(recipient)
    return made


def _lifetime(text: str | None) -> Any:
    if text is None or text == "day":
        return text
    try:
        return span_of(text)
    except ValueError as error:
        raise ProfileError(f"expires: {error}", hint='write "day", or a span such as "2d"') from None


def _heads(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field.partition(".")[0] for field in fields))


def _recipient(candidate: Candidate) -> Record:
    """Whom to write to: the record itself, or the person it belongs to."""
    if candidate.recipient is not None:
        return candidate.recipient
    record = candidate.record
    if record.entity != "contacts":
        for name in ("customer", "contact"):
            if isinstance(found := record.get(name), Record):
                return found
    return record


def _excluded(draft: Draft, reason: str) -> Draft:
    draft.verdict, draft.reason = Verdict.EXCLUDED, reason
    return draft


def _at(reason: str, record: Record) -> str:
    return f"{reason} ({record.where})" if record.where else reason


def _empty(field: str, record: Record, recipient: Record) -> str:
    """An empty field, with what was wrong with it where its source had something."""
    last = field.rpartition(".")[2]
    for each in (record, recipient):
        if (why := each.problem(last)) is not None:
            return _at(f"{field} not valid: {why}", each)
    return f"{field} is empty"


def fields_used(spec: ModelSpec, recipe: Model[Any], profile: Profile) -> set[str]:
    """The dotted fields that a model's texts, variables and condition name."""
    return {field for _, field in Composer(profile, spec, recipe).fields()}


def check_fields(
    spec: ModelSpec,
    recipe: Model[Any],
    profile: Profile,
    available: frozenset[str] | None,
    *,
    people: frozenset[str] | None = None,
    channels_of: ChannelsOf | None = None,
) -> list[str]:
    """What is wrong with the texts of a model, one line each, naming the key: what does not compile, and fields that no record has.

    ``available`` are the fields of the source's records; None where the source cannot tell, and then only wrong paths are found.
    ``people`` are the fields of its contacts, where the records are others.
    """
    try:
        composer = Composer(profile, spec, recipe, available=available, channels_of=channels_of)
    except (TemplateError, ProfileError) as error:
        return [str(error)]
    names = Names.of(recipe, available, people)
    problems = [f"{key}: {problem}" for key, field in composer.fields() if (problem := names.problem(field)) is not None]
    missing = [field for field in recipe.reads() if available is not None and field not in available]
    return [*dict.fromkeys(problems), *(f"source: {spec.use} needs the field {field!r}, and no record has it" for field in missing)]


def catalogue_of(recipe: Model[Any], record_fields: frozenset[str] | None) -> list[tuple[str, str]]:
    """Every placeholder of a model with a sample value (LX-53), for ``models fields``."""
    return list(Names.of(recipe, record_fields).samples(record_fields or ()))

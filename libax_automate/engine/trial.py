"""A test send: one person's data, my address, nothing recorded."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from libax_automate.connector import Sender, Source
from libax_automate.engine import outbox
from libax_automate.engine.compose import Composer
from libax_automate.engine.fields import singular
from libax_automate.engine.outbox import Draft
from libax_automate.engine.plan import plan_model
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.walltime import Slot, local_of
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import NotFound, ProfileError, TemplateError, UsageError
from libax_automate.message import Attachment, Channel, Receipt
from libax_automate.model import Candidate, Document, Model
from libax_automate.normalise import email_of, mobile_of
from libax_automate.people import person_of
from libax_automate.record import Money, Query, Record

#: records that are tried until every step has one that it can be said of
_LOOKED_AT = 50
#: what stands where a document has its number
_NO_NUMBER = "(test)"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a test send was."""

    app: str
    to: str
    subject: str
    text: str
    receipt: Receipt


def send_trial(space: Workspace, profile: Profile, spec: ModelSpec, *, person: str, to: str, step: str | None = None) -> Trial:
    """Compose the model's message for ``person`` and hand it to its app with ``to`` as the address.

    ``step`` names the step of a ladder; without it the first is sent, unless the model itself has a wording. Audience, conditions and
    guard rails are left out: the wording is what is looked at. Raises NotFound where the source has no such record, ConnectorError as a
    real send would.
    """
    if spec.webhook is not None:
        raise UsageError(f"{spec.name} sends a list to {spec.webhook!r}, not messages to people", hint="automate apps test " + spec.webhook)
    plain = _plain(spec)
    plan = plan_model(space, profile, plain)
    candidate = next(_candidates(space, profile, plain, person, _step(spec, step)), None)
    if candidate is None:
        raise NotFound(f"no {plan.recipe.entity_name()} record has the id {person!r}", hint=f"automate plan {spec.name} shows ids")
    draft = _composer(space, profile, plain).compose(candidate, now=space.clock.now(), slot=plan.moment.slot)
    if not draft.payload:
        raise ProfileError(f"nothing can be said to {person}: {draft.reason}", hint=f"automate explain {spec.name} {person}")
    channel = draft.channel or Channel.EMAIL
    try:
        address = email_of(to) if channel is Channel.EMAIL else mobile_of(to, profile.country)
    except ValueError as error:
        raise UsageError(f"--to: {error}", hint=f"{spec.name} sends {channel}") from None
    app = space.apps(profile)[draft.app]
    with space.opened(profile, app) as connector:
        if not isinstance(connector, Sender):
            raise ProfileError(f"app {app.name!r} sends nothing", hint="name a sender in via or [defaults]")
        payload, shelf = _printed(draft)
        made = outbox.message(
            reference="M0", key=str(uuid.uuid4()), to=address, channel=channel, person=person, payload=payload, folder=profile.folder,
            sent_at=space.clock.now(), shelf=shelf,
        )  # fmt: skip
        receipt = connector.send(made)
    return Trial(app.name, address, draft.subject, draft.text, receipt)


def samples(space: Workspace, profile: Profile, spec: ModelSpec, steps: Iterable[str]) -> Iterator[Draft]:
    """What each of ``steps`` would say, with the data of the first record that it can be said of; nothing where there is none."""
    plain, wanted = _plain(spec), list(steps)
    if not wanted or spec.webhook is not None or spec.source is None:
        return
    recipe, composer, now = space.recipe(plain), _composer(space, profile, plain), space.clock.now()
    slot = Slot(local_of(now, profile.timezone), now)
    with space.opened(profile, profile.apps[spec.source]) as source:
        assert isinstance(source, Source)
        rows = (row for row in source.fetch(recipe.entity_name(), Query()) if isinstance(row, Record))
        for record in islice(rows, _LOOKED_AT):
            for step in list(wanted):
                candidate = _candidate(source, recipe, record, step)
                with contextlib.suppress(TemplateError):
                    draft = composer.compose(candidate, now=now, slot=slot)
                    if draft.payload:
                        wanted.remove(step)
                        yield draft
            if not wanted:
                return


def _plain(spec: ModelSpec) -> ModelSpec:
    """The model without all that keeps people out."""
    return replace(
        spec,
        audience=(),
        where=None,
        quiet=None,
        send_weekdays=None,
        once=False,
        activity=False,
        consent=False,
        approve=False,
        expires="365d",
    )


def _composer(space: Workspace, profile: Profile, spec: ModelSpec) -> Composer:
    bare = replace(profile, defaults=replace(profile.defaults, quiet=None, send_weekdays=None))
    return Composer(bare, spec, space.recipe(spec), channels_of=lambda app: space.channels(profile, app))


def _printed(draft: Draft) -> tuple[dict[str, Any], outbox.Shelf | None]:
    """The payload with the document that goes with it: printed, but under no number, and kept nowhere."""
    if draft.document is None:
        return draft.payload, None
    made = draft.document.finish(_NO_NUMBER)
    return {**made.payload, "document": {"id": 0}}, lambda _: Attachment(made.file, made.content, "application/pdf")


def _candidate(source: Source[Any], recipe: Model[Any], record: Record, step: str) -> Candidate:
    # what the recipe would add (an age …) is shown by its sample
    extra = recipe.sample(record)
    total = extra.get("total")
    document = Document(records=(), total=total if isinstance(total, Money) else Money.of(0)) if recipe.stationery() else None
    recipient = _recipient(source, recipe, record)
    return Candidate(record=_with_address(record), occasion="test", extra=extra, recipient=recipient, step=step, document=document)


def _step(spec: ModelSpec, wanted: str | None) -> str:
    names = [each.name for each in spec.steps]
    if wanted is None:
        own = spec.wording.text or spec.wording.html or spec.wording.template
        return names[0] if names and not own else ""
    if wanted not in names:
        raise NotFound(f"{spec.name} has no step {wanted!r}", hint=f"its steps: {', '.join(names) or 'none'}")
    return wanted


def _candidates(space: Workspace, profile: Profile, spec: ModelSpec, person: str, step: str) -> Iterator[Candidate]:
    recipe = space.recipe(spec)
    if spec.source is None:
        return
    with space.opened(profile, profile.apps[spec.source]) as source:
        assert isinstance(source, Source)
        entity = recipe.entity_name()
        # by its own id, or where it is not people who are read, by that of somebody whom a record belongs to
        for query in (Query(ids=frozenset({person})), *([Query()] if recipe.people != "contacts" else [])):
            for record in source.fetch(entity, query):
                if isinstance(record, Record) and person in (record.id, *([_owner(recipe, record)] if query.ids is None else [])):
                    yield _candidate(source, recipe, record, step)
                    return


def _owner(recipe: Model[Any], record: Record) -> str:
    """The id of whom a record belongs to."""
    value = _related(recipe, record)
    return value.id if isinstance(value, Record) else str(value or "")


def _related(recipe: Model[Any], record: Record) -> Record | str | None:
    if recipe.people == "contacts":
        return person_of(record)
    value = record.get(singular(recipe.people))
    return value if isinstance(value, Record) or value is None else str(value)


def _recipient(source: Source[Any], recipe: Model[Any], record: Record) -> Record | None:
    person = _related(recipe, record)
    if isinstance(person, str) and recipe.people in source.entities():
        found = source.fetch(recipe.people, Query(ids=frozenset({person})))
        person = next((each for each in found if isinstance(each, Record) and each.id == person), None)
    return _with_address(person) if isinstance(person, Record) else None


def _with_address(record: Record) -> Record:
    """The person may have no address of the channel: the test goes elsewhere anyway."""
    fields = {**record, "email": record.get("email") or "nobody@example.com", "mobile": record.get("mobile") or "+351910000000"}
    return Record(record.entity, fields, raw=record.raw, where=record.where)

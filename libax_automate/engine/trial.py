"""A test send: one person's data, my address, nothing recorded."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from libax_automate.connector import Sender, Source
from libax_automate.engine import outbox
from libax_automate.engine.compose import Composer
from libax_automate.engine.plan import plan_model
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import NotFound, ProfileError, UsageError
from libax_automate.message import Channel, Receipt
from libax_automate.model import Candidate
from libax_automate.normalise import email_of, mobile_of
from libax_automate.people import person_of
from libax_automate.record import Query, Record


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
    plain = replace(
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
    plan = plan_model(space, profile, plain)
    candidate = next(_candidates(space, profile, plain, person, _step(spec, step)), None)
    if candidate is None:
        raise NotFound(f"no {plan.recipe.entity_name()} record has the id {person!r}", hint=f"automate plan {spec.name} shows ids")
    bare = replace(profile, defaults=replace(profile.defaults, quiet=None, send_weekdays=None))
    composer = Composer(bare, plain, plan.recipe, channels_of=lambda app: space.channels(profile, app))
    draft = composer.compose(candidate, now=space.clock.now(), slot=plan.moment.slot)
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
        made = outbox.message(
            reference="M0", key=str(uuid.uuid4()), to=address, channel=channel, person=person, payload=draft.payload, folder=profile.folder,
            sent_at=space.clock.now(),
        )  # fmt: skip
        receipt = connector.send(made)
    return Trial(app.name, address, draft.subject, draft.text, receipt)


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
        for record in source.fetch(recipe.entity_name(), Query(ids=frozenset({person}))):
            if isinstance(record, Record) and record.id == person:
                # what the recipe would add (an age …) is shown by its sample
                recipient = _recipient(source, record)
                yield Candidate(record=_with_address(record), occasion="test", extra=recipe.sample(record), recipient=recipient, step=step)
                return


def _recipient(source: Source[Any], record: Record) -> Record | None:
    person = person_of(record)
    if isinstance(person, str) and "contacts" in source.entities():
        found = source.fetch("contacts", Query(ids=frozenset({person})))
        person = next((each for each in found if isinstance(each, Record) and each.id == person), None)
    return _with_address(person) if isinstance(person, Record) else None


def _with_address(record: Record) -> Record:
    """The person may have no address of the channel: the test goes elsewhere anyway."""
    fields = {**record, "email": record.get("email") or "nobody@example.com", "mobile": record.get("mobile") or "+351910000000"}
    return Record(record.entity, fields, raw=record.raw, where=record.where)

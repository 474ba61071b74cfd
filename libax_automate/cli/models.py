"""``automate models``: the automations of the profiles, and their switches."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from libax_automate.cli.model_new import new
from libax_automate.cli.output import Column
from libax_automate.cli.run import NEEDS_PERSON, show, stoppable
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import instant, local

app = noun()
command(app)(new)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model, or PROFILE/MODEL.")]


@command(app, "list", now=True)
def list_(session: Session) -> None:
    """Show every model: when it fires, for whom it sends, and how its last task went."""
    from libax_automate.engine.explain import next_slot
    from libax_automate.engine.schedule import describe
    from libax_automate.engine.way import channel_of
    from libax_automate.errors import AutomateError

    space = session.space
    store = space.existing_store()
    items: list[dict[str, Any]] = []
    for profile in space.profiles:
        for spec in profile.models.values():
            row = store.tasks.model(profile.name, spec.name) if store else None
            on = spec.enabled if row is None or row.enabled is None else row.enabled
            try:
                channel, sender = channel_of(spec, profile) if space.recipe(spec).messages else (None, "")
            except AutomateError:
                channel, sender = None, ""
            last = next(iter(store.tasks.listed(profiles=frozenset((profile.name,)), model=spec.name, limit=1)), None) if store else None
            slot = next_slot(space, profile, spec)
            items.append(
                {
                    "model": spec.name, "profile": profile.name, "use": spec.use, "description": spec.description, "enabled": on,
                    "schedule": describe(spec.schedule), "source": spec.source, "channel": str(channel or ""), "app": sender,
                    "audience": list(spec.audience),
                    "next": instant(slot.instant) if slot else None, "last": f"T{last.id}" if last else None,
                    "last_slot": last.slot if last else None, "last_state": str(last.state) if last else None,
                }
            )  # fmt: skip
    columns = [
        Column("model"),
        Column("use"),
        Column("enabled", show=lambda on: "" if on else "off"),
        Column("schedule"),
        Column("channel"),
    ]
    columns += [Column("app"), Column("next", show=lambda text: local(text, session.zone)), Column("last"), Column("last_state", "state")]
    if any(item["description"] for item in items):
        columns.append(Column("description"))
    if len(space.profiles) > 1:
        columns.insert(0, Column("profile"))
    session.out.items(items, columns, empty="no models")


@command(app)
def fields(session: Session, model: Model) -> None:
    """List the placeholders a model's texts may use, each with a sample value (LX-53)."""
    from libax_automate.connector import Source
    from libax_automate.engine.compose import catalogue_of

    space = session.space
    profile, spec = space.model(model)
    recipe = space.recipe(spec)
    available = None
    if spec.source is not None:
        with space.opened(profile, profile.apps[spec.source]) as source:
            if isinstance(source, Source):
                available = source.fields(recipe.entity_name())
    items = [{"field": name, "placeholder": "{{ " + name + " }}", "sample": sample} for name, sample in catalogue_of(recipe, available)]
    session.out.items(items, [Column("placeholder"), Column("sample")])
    session.out.say("also written (#FirstName#), #FirstName# or #first_name#")


def _switch(session: Session, reference: str, *, on: bool) -> None:
    from libax_automate.engine import duty

    space = session.space
    profile, spec = space.model(reference)
    before = duty.enabled(spec, duty.see(space, profile, spec))
    space.store.tasks.enable(profile.name, spec.name, enabled=on, now=space.now())
    word = "on" if on else "off"
    if session.out.json:
        session.out.object({"model": spec.name, "profile": profile.name, "enabled": on, "changed": before != on})
    else:
        session.out.line(f"{spec.name} is {word}" if before != on else f"{spec.name} was {word} already")


@command(app)
def enable(session: Session, model: Model) -> None:
    """Switch a model on, whatever the profile says; slots missed while it was off are not made up for."""
    _switch(session, model, on=True)


@command(app)
def disable(session: Session, model: Model) -> None:
    """Switch a model off, whatever the profile says; what it has queued stays."""
    _switch(session, model, on=False)


@command(app, now=True)
def test(
    session: Session,
    model: Model,
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Where the test goes: your own address.")],
    person: Annotated[str, typer.Option("--as", metavar="PERSON", help="Whose data it is made with: the record's id in the source.")],
    step: Annotated[str | None, typer.Option("--step", metavar="STEP", help="Which step of a ladder; default: the first.")] = None,  # noqa: PT028 - a command, no test
) -> None:
    """Send me what somebody else would get: that person's data, my address; nothing is recorded as sent."""
    from libax_automate.engine.trial import send_trial

    space = session.space
    profile, spec = space.model(model)
    trial = send_trial(space, profile, spec, person=person, to=to, step=step)
    if session.out.json:
        session.out.object(
            {"model": spec.name, "profile": profile.name, "person": person, "to": trial.to, "app": trial.app, "subject": trial.subject,
             "text": trial.text, "id": trial.receipt.id}
        )  # fmt: skip
    else:
        session.out.line(f"{spec.name} as {person} sent to {trial.to} by {trial.app}; nothing is recorded")


@command(app, now=True)
def run(session: Session, model: Model) -> int:
    """Run a model now, by hand, besides its schedule; whoever heard already does not hear again."""
    from libax_automate.engine.run import run_model, run_pass
    from libax_automate.errors import LockHeld

    space = session.space
    profile, spec = space.model(model)
    task = run_model(space, profile, spec)
    try:
        with stoppable() as stop, session.out.progress("sending") as progress:
            result = run_pass(space, model=f"{profile.name}/{spec.name}", stop=stop.event, progress=progress)
    except LockHeld:
        # the task is written down: whoever holds the lock runs it
        session.out.say(f"T{task} is due; the process that is running takes it")
        if session.out.json:
            session.out.object({"items": [], "task": f"T{task}", "sent": 0, "waiting": 0, "halted": []})
        return 0
    show(session, result)
    return stop.code or (NEEDS_PERSON if result.halted or result.needs_person else 0)

"""``automate apps``: the configured applications, the defaults and what waits for each (LX-13, LX-14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.finding import app_rows
from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.errors import UsageError

if TYPE_CHECKING:
    from libax_automate.connector import Connector
    from libax_automate.engine.spec import AppSpec, Profile
    from libax_automate.message import Channel, Message

app = noun()

App = Annotated[str, typer.Argument(metavar="APP", help="An app, or PROFILE/APP.")]


@command(app, "list")
def list_(session: Session) -> None:
    """Show every app: connector, what it does, for which channel it is the default, and how many messages wait."""
    from libax_automate.engine.workspace import FREE_PLAN
    from libax_automate.message import Channel

    space = session.space
    rows = {(row.profile, row.name): row for row in app_rows(session)}
    items: list[dict[str, Any]] = []
    for profile in space.profiles:
        for spec in space.apps(profile).values():
            row = rows.get((profile.name, spec.name))
            defaults = [str(channel) for channel, name in profile.defaults.apps.items() if name == spec.name]
            if spec.name == FREE_PLAN and Channel.EMAIL not in profile.defaults.apps:
                defaults.append(str(Channel.EMAIL))
            items.append(
                {
                    "app": spec.name, "profile": profile.name, "connector": spec.connector,
                    "capabilities": sorted(space.connector(profile, spec).offers()), "default": defaults,
                    "waiting": row.waiting if row else 0, "state": str(row.state) if row else "running",
                    "reason": row.reason if row else "",
                }
            )  # fmt: skip
    columns = [Column("app"), Column("connector"), Column("capabilities"), Column("default", "default for"), Column("waiting", right=True)]
    columns += [Column("state"), Column("reason")]
    if len(space.profiles) > 1:
        columns.insert(0, Column("profile"))
    session.out.items(items, columns)


@command(app, "test")
def try_out(
    session: Session,
    name: App,
    to: Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="Also send one test message there.")] = None,
) -> None:
    """Prove that an app's credentials work; with --to also send one message that says it is a test."""
    from libax_automate.connector import Capability, Sender

    space = session.space
    profile, spec = space.app(name)
    answer: dict[str, Any] = {"app": spec.name, "profile": profile.name, "connector": spec.connector, "check": "ok"}
    with space.opened(profile, spec) as connector:
        connector.check()
        if isinstance(connector, Sender) and Capability.BALANCE in connector.offers():
            answer["balance"] = str(connector.balance())
        if to is not None:
            answer |= _send(session, profile, spec, connector, to)
    out = session.out
    if out.json:
        out.object(answer)
        return
    out.line(f"{spec.name} ({spec.connector}): the credentials work")
    if "balance" in answer:
        out.line(f"balance: {answer['balance']}")
    if to is not None:
        out.line(f"a test message went to {answer['to']} ({answer['channel']}); it is in no queue and no task" + _id(answer))


def _id(answer: dict[str, Any]) -> str:
    return f"; the provider calls it {answer['provider_id']}" if answer.get("provider_id") else ""


def _send(session: Session, profile: Profile, spec: AppSpec, connector: Connector[Any], to: str) -> dict[str, Any]:
    """One message straight through the connector, and a note of who sent it when."""
    from libax_automate.connector import CHANNELS, Sender

    channels = {CHANNELS[each] for each in connector.offers() if each in CHANNELS}
    if not isinstance(connector, Sender):
        raise UsageError(f"{spec.name!r} ({spec.connector}) sends nothing", hint="leave --to away")
    message = _message(session, profile, spec, channels, to)
    space = session.space
    space.store.apps.note("test", f"{profile.name}/{spec.name}", message.to, space.now())
    receipt = connector.send(message)
    return {"to": message.to, "channel": str(message.channel), "provider_id": receipt.id, "detail": receipt.detail}


def _message(session: Session, profile: Profile, spec: AppSpec, channels: set[Channel], to: str) -> Message:
    import uuid

    from libax_automate.message import Channel, Email, Text
    from libax_automate.normalise import email_of, mobile_of

    now = session.space.clock.now()
    key = str(uuid.uuid4())
    words = f"This is a test of {spec.name!r} in the profile {profile.name!r}, sent by hand. Nothing needs to be done."
    subject = f"Test: {spec.name}"
    try:
        if "@" in to:
            if Channel.EMAIL not in channels:
                raise UsageError(f"{spec.name!r} ({spec.connector}) sends no e-mail", hint="give a mobile number with --to")
            return Email(id=f"test-{key[:8]}", key=key, to=email_of(to), sent_at=now, subject=subject, text=words)
        found = next((each for each in (Channel.SMS, Channel.WHATSAPP) if each in channels), None)
        if found is None:
            raise UsageError(f"{spec.name!r} ({spec.connector}) sends no text messages", hint="give an e-mail address with --to")
        return Text(id=f"test-{key[:8]}", key=key, to=mobile_of(to, profile.country), channel=found, sent_at=now, text=words)
    except ValueError as error:
        raise UsageError(f"--to: {error}", hint="write name@example.com, or +351912345678") from None


@command(app)
def templates(session: Session, name: App) -> None:
    """List the templates kept at an app's provider, the inactive ones included (LX-74, LX-79, IB-06)."""
    from libax_automate.connector import Capability, Sender

    space = session.space
    profile, spec = space.app(name)
    with space.opened(profile, spec) as connector:
        if not isinstance(connector, Sender) or Capability.TEMPLATES not in connector.offers():
            raise UsageError(f"{spec.name!r} ({spec.connector}) keeps no templates", hint="write subject and text in the model")
        items = [
            {
                "id": each.id, "name": each.name, "active": each.active, "channel": str(each.channel), "language": each.language,
                "variables": list(each.variables) if each.variables is not None else None, "text": each.text,
            }
            for each in connector.templates()
        ]  # fmt: skip
    columns = [Column("id"), Column("name"), Column("active"), Column("channel"), Column("language"), Column("variables")]
    session.out.items(items, columns, empty=f"{spec.name} has no templates")

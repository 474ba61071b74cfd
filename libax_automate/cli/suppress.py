"""``automate suppress``: addresses that are never written to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count
from libax_automate.errors import InputDataError, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.spec import Profile

app = noun()

Addresses = Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="An e-mail address or a mobile number; several are fine.")]
Over = Annotated[str, typer.Option("--channel", metavar="CHANNEL", help="email, sms or whatsapp alone; by default all.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="What a plan says of this person.")]

_CHANNELS = ("*", "email", "sms", "whatsapp")


def _profile(session: Session) -> Profile:
    profiles = session.space.profiles
    if len(profiles) > 1:
        raise UsageError("the list belongs to one profile", hint=f"add --profile: {', '.join(sorted(session.space.names))}")
    return profiles[0]


def _channel(text: str) -> str:
    if text not in _CHANNELS:
        raise UsageError(f"--channel {text!r} is none", hint="write email, sms or whatsapp, or leave it away")
    return text


def _address(text: str, profile: Profile) -> str:
    """As sources write it, or the list would not recognise it."""
    from libax_automate.normalise import email_of, mobile_of

    try:
        return email_of(text) if "@" in text else mobile_of(text, profile.country)
    except ValueError as error:
        raise UsageError(str(error), hint="write name@example.com, or +351912345678") from None


@command(app, "list")
def list_(session: Session) -> None:
    """Show the list."""
    space = session.space
    store = space.existing_store()
    items = [
        {"profile": profile.name, "address": address, "channel": "all" if channel == "*" else channel, "reason": reason}
        for profile in space.profiles
        for (channel, address), reason in (store.ledger.suppressions(profile.name) if store else {}).items()
    ]
    columns = [Column("address"), Column("channel"), Column("reason")]
    session.out.items(items, [Column("profile"), *columns] if len(space.profiles) > 1 else columns, empty="nobody is on the list")


@command(app)
def add(session: Session, addresses: Addresses, channel: Over = "*", reason: Why = "on the suppression list") -> None:
    """Never write to these addresses again; what waits for them ends as suppressed."""
    profile = _profile(session)
    _add(session, profile, [_address(each, profile) for each in addresses], channel, reason)


def _add(session: Session, profile: Profile, addresses: list[str], channel: str, reason: str) -> None:
    space = session.space
    over = _channel(channel)
    store = space.store
    with store.write():
        added = [each for each in dict.fromkeys(addresses) if store.ledger.suppress(profile.name, over, each, reason, space.now())]
    if session.out.json:
        session.out.object({"profile": profile.name, "added": added, "known": len(set(addresses)) - len(added)})
    else:
        known = len(set(addresses)) - len(added)
        session.out.line(f"{count(len(added), 'address', 'addresses')} added" + (f", {known} on the list already" if known else ""))


@command(app)
def remove(session: Session, addresses: Addresses, channel: Over = "*") -> None:
    """Take addresses off the list."""
    profile = _profile(session)
    over = _channel(channel)
    removed = sum(session.space.store.ledger.unsuppress(profile.name, over, _address(each, profile)) for each in dict.fromkeys(addresses))
    if session.out.json:
        session.out.object({"profile": profile.name, "removed": removed})
    else:
        session.out.line(f"{count(removed, 'entry', 'entries')} removed" if removed else "not on the list")


@command(app, "import")
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One address a line, or a CSV whose first column has them; - reads stdin.")],
    channel: Over = "*",
    reason: Why = "on the suppression list",
) -> None:
    """Add all addresses of a file; lines without one are named and left out."""
    import re
    import sys

    profile = _profile(session)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = file.read_text(encoding="cp1252", errors="replace")
    except OSError as error:
        raise InputDataError(f"{file}: {error.strerror}", hint="correct the path") from None
    found: list[str] = []
    bad = 0
    for number, line in enumerate(text.splitlines(), 1):
        cell = re.split(r"[,;\t]", line, maxsplit=1)[0].strip().strip('"')
        if not cell:
            continue
        try:
            found.append(_address(cell, profile))
        except UsageError as error:
            if number == 1:
                continue  # a heading
            bad += 1
            session.out.warn(f"{file}:{number}: {error.message}")
    if bad and not found:
        raise InputDataError(f"{file}: holds no address", hint="one address a line")
    _add(session, profile, found, channel, reason)

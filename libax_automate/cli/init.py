"""``automate init``: a commented profile that works at once, and sample customers."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated

import typer

from libax_automate.cli.session import Session, command, noun

app = noun()

_LANGUAGES = ("pt", "pt_BR", "en")


@command(app)
def init(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if it is not there.")] = Path(),
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The profile's name; by default the folder's.")] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="LANG", help="pt, pt_BR or en; by default pt.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Lisbon.")] = None,
) -> None:
    """Write a commented profile and sample data; asks a few questions on a terminal."""
    from libax_automate.engine.profile import write_starter

    out = session.out
    suggested = _name(folder.resolve().name)
    if out.can_ask():
        name = name or out.ask("name of the profile", default=suggested)
        language = language or out.ask("language", [each.lower() for each in _LANGUAGES], "pt")
    files = write_starter(folder, name=name or suggested, language=language or "pt", timezone=timezone)
    if out.json:
        out.object({"folder": str(folder.resolve()), "files": [str(path) for path in files]})
        return
    for path in files:
        out.line(str(path))
    model = "birthday" if (language or "pt").startswith("en") else "aniversario"
    change = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    out.say(f"next: {change}automate check && automate plan {model} --on 2026-12-24")


def _name(folder: str) -> str:
    """A profile's name out of a folder's."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64] or "acme"

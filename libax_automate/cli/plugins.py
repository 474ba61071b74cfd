"""``automate plugins``: what is installed, broken ones with the reason; and a start for one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.errors import UsageError

app = noun()


@command(app, "list")
def list_(session: Session) -> None:
    """Show every plugin, connectors and models; one that cannot be loaded is listed with its reason and harms no other."""
    from libax_automate.plugins.catalogue import default_catalogue

    items = [
        {
            "name": entry.name, "kind": entry.kind, "title": entry.cls.title if entry.cls else "", "package": entry.package,
            "distribution": entry.distribution, "version": entry.version, "module": entry.module, "error": entry.error,
        }
        for entry in default_catalogue().entries()
    ]  # fmt: skip
    session.out.items(items, [Column("name"), Column("kind"), Column("package"), Column("title"), Column("error")])


@command(app)
def new(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="connector, source or model.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in profiles: kebab-case.")],
    folder: Annotated[Path, typer.Option("--in", metavar="DIR", help="Where to put its folder.")] = Path(),
) -> None:
    """Write an installable package of your own, which passes its own contract test."""
    from libax_automate.plugins.scaffold import write_connector, write_model

    where = folder.resolve()
    if kind == "model":
        files = write_model(name, where)
    elif kind in {"connector", "sender", "source"}:
        files = write_connector(name, where, "source" if kind == "source" else "sender")
    else:
        raise UsageError(f"{kind!r} is no kind of plugin", hint="write connector, source or model")
    paths = [str(path) for path in files]
    if session.out.json:
        session.out.object({"name": name, "kind": kind, "files": paths})
        return
    for path in paths:
        session.out.line(path)
    session.out.say("next: pip install -e it with [testing], and run pytest in it")

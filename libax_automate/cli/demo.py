"""``automate demo``: a sample business end to end, without credentials and without sending anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.plan import draft_item, first_words
from libax_automate.cli.run import task_item
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count

app = noun()


@command(app)
def demo(
    session: Session,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where; by default a new temporary folder.")] = None,
    language: Annotated[str, typer.Option("--language", metavar="LANG", help="pt, pt_BR or en.")] = "pt",
) -> None:
    """Run a small business from end to end in a temporary folder; what would leave becomes .eml files."""
    import tempfile

    from libax_automate.clock import SystemClock
    from libax_automate.engine.demo import run_demo

    where = folder or Path(tempfile.mkdtemp(prefix="automate-demo-"))
    found = run_demo(where, now=SystemClock().now(), environ=session.environ, language=language)
    items = [{**draft_item(draft), "model": draft.model} for draft in found.drafts]
    out = session.out
    if out.json:
        out.object(
            {
                "folder": str(where), "day": found.day.isoformat(), "items": items, "sent": found.result.sent,
                "tasks": [task_item(task) for task in found.result.tasks], "files": [str(path) for path in found.files],
                "bad_rows": [{"where": row.where, "column": row.column, "why": row.why} for row in found.bad_rows],
            }
        )  # fmt: skip
        return
    out.line(f"It is {found.day:%Y-%m-%d}, 10 o'clock, in a small bakery.\n")
    rows = []
    for item in items:
        got = item["verdict"] != "excluded"
        says = first_words(item) if got else ""
        rows.append({"model": item["model"], "who": item["name"] or item["person"], "got": says, "why not": "" if got else item["reason"]})
    out.table(rows, [Column("model"), Column("who"), Column("got"), Column("why not")])
    for row in found.bad_rows:
        out.line(f"{row.where}: {f'{row.column}: ' if row.column else ''}{row.why}")
    out.line(f"\n{count(found.result.sent, 'message')} sent, that is, written as files:")
    for path in found.files:
        out.line(f"  {path}")
    again = f"automate run --profiles {where / 'profiles.toml'} --db {where / 'automate.db'} --now {found.day}T11:00"
    out.line(f"\nA second pass sends nothing again:\n  {again}")
    out.line("\nYour own: automate init acme")

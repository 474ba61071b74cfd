"""``automate apply``: send exactly what a saved plan says, or say what has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from libax_automate.cli.run import NEEDS_PERSON, show, stoppable
from libax_automate.cli.session import Session, command, noun

app = noun()


@command(app, now=True)
def apply(
    session: Session, plan: Annotated[Path, typer.Argument(metavar="PLAN", readable=False, help="A file of: automate plan --save.")]
) -> int:
    """Send exactly what a saved plan says; refused when the source says otherwise now."""
    from libax_automate.engine.run import run_pass
    from libax_automate.engine.saved import apply as queue
    from libax_automate.engine.saved import load

    space = session.space
    saved = load(plan)
    task, queued = queue(space, saved)
    session.out.say(f"T{task}: {queued} of {len(saved.sends)} messages are new and queued")
    with stoppable() as stop, session.out.progress("sending") as progress:
        result = run_pass(space, model=f"{saved.profile}/{saved.model}", stop=stop.event, progress=progress)
    if not any(row.id == task for row in result.tasks) and (row := space.store.tasks.get(task)) is not None:
        result.tasks.append(row)
    show(session, result)
    return stop.code or (NEEDS_PERSON if result.halted or result.needs_person else 0)

"""``automate check``: everything that is wrong with the profiles, at once, with file, line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count

if TYPE_CHECKING:
    from libax_automate.errors import Problem

app = noun()

PROFILE = 78


@command(app, now=True)
def check(
    session: Session,
    connect: Annotated[bool, typer.Option("--connect", help="Also credentials, templates, variables and real data.")] = False,
) -> int:
    """Validate the profiles; warnings alone are fine (0), problems are not (78)."""
    from libax_automate.engine.check import findings
    from libax_automate.errors import ProfileError

    out = session.out
    items: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    names: list[str] = []
    try:
        for profile, found in findings(session.space, connect=connect, texts=texts):
            names.append(profile.name)
            problems = [each for each in found if not each.warning]
            items += [_item(each.problem, "warning" if each.warning else "problem") for each in found]
            if not out.json:
                for each in found:
                    out.warn(f"{'warning: ' if each.warning else ''}{each.problem}")
                if not problems:
                    out.line(f"{profile.name}: {count(len(profile.apps), 'app')}, {count(len(profile.models), 'model')}: fine")
                for text in texts if connect or session.verbose else ():
                    if text["profile"] == profile.name:
                        out.line(_longest(text))
    except ProfileError as error:
        if not error.problems:
            raise
        if not out.json:
            raise
        items += [_item(problem, "problem") for problem in error.problems]
    wrong = sum(item["severity"] == "problem" for item in items)
    if out.json:
        out.object({"items": items, "profiles": names, "problems": wrong, "warnings": len(items) - wrong, "texts": texts})
    if wrong and out.json:
        raise ProfileError(f"{count(wrong, 'problem')} in the profile", hint="correct what is listed, then check again")
    return PROFILE if wrong else 0


def _longest(text: dict[str, Any]) -> str:
    name = f"{text['model']}, {text['step']}" if text["step"] else text["model"]
    why = f", for the sake of {text['forced_by']!r}" if text["forced_by"] else ""
    return (
        f"{name}: longest of {count(text['texts'], 'SMS', 'SMS')}: {count(text['characters'], 'character')}, {count(text['segments'], 'segment')} "
        f"({text['encoding']}{why}), to {text['person']}"
    )


def _item(problem: Problem, severity: str) -> dict[str, Any]:
    return {
        "severity": severity, "path": problem.path, "line": problem.line, "column": problem.column,
        "what": problem.what, "hint": problem.hint,
    }  # fmt: skip

"""``automate models new``: a model is put together by questions or by arguments, checked, and added to the profile's file (LX-35)."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.session import Session
from libax_automate.cli.words import count
from libax_automate.errors import ProfileError, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.spec import Profile

Key = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the model or option of the recipe; TOML, or a text.")
]


def new(
    session: Session,
    *,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="What it is called, or PROFILE/NAME.")] = None,
    use: Annotated[str | None, typer.Option("--use", metavar="RECIPE", help="The recipe; see: automate plugins list.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="APP", help="The app that the records come from.")] = None,
    at: Annotated[list[str] | None, typer.Option("--at", metavar="TIME", help="Time of day; may be repeated.")] = None,
    cron: Annotated[str | None, typer.Option("--cron", metavar="LINE", help="Five cron fields, instead of --at.")] = None,
    every: Annotated[str | None, typer.Option("--every", metavar="SPAN", help="Repetition counted from --start, such as 14d.")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="When the source tells of something new.")] = False,
    weekdays: Annotated[str | None, typer.Option("--weekdays", metavar="DAYS", help="Such as mon-fri or 1-5.")] = None,
    monthdays: Annotated[str | None, typer.Option("--monthdays", metavar="DAYS", help="Such as 1-7.")] = None,
    months: Annotated[str | None, typer.Option("--months", metavar="MONTHS", help="Such as jan-jun.")] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="DATE", help="First day.")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="DATE", help="Last day.")] = None,
    settings: Key = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the table, and write nothing.")] = False,
) -> None:
    """Add a model to a profile; asks on a terminal for what is not given, and writes what was checked or nothing."""
    from libax_automate.cli.model_form import Form
    from libax_automate.engine.profile.added import content_of, grown, model_text, write_grown

    out = session.out
    given: dict[str, Any] = {
        "source": source, "at": (at[0] if len(at) == 1 else at) if at else None, "cron": cron, "every": every, "realtime": realtime or None,
        "weekdays": weekdays, "monthdays": monthdays, "months": months, "start": _day(start), "end": _day(end),
    }  # fmt: skip
    table = {key: value for key, value in given.items() if value is not None}
    wishes = _settings(settings or [], {*table, *(("use",) if use else ())})
    use = use or wishes.pop("use", None)
    profile, model = _place(session, name)
    space = session.space
    before = content_of(profile.path)
    form = Form(space, profile, model, table, wishes)
    if model and (problem := form.name_fault(model)):
        raise UsageError(problem[0], hint=problem[1])
    if use is not None:
        form.use(use)
    asked = not form.complete()
    if asked and not out.can_ask():
        raise form.refusal()
    if asked:
        from libax_automate.cli.model_ask import complete

        complete(out, form, space.clock.now().astimezone(profile.timezone).date())
    text = model_text(form.name, form.table)
    after, line = grown(before, text)
    try:
        warnings = _checked(session, profile, after, line)
    except ProfileError:
        if asked:
            # what was typed is not lost
            out.say(f"\n{session.space.redactor.text(text)}")
        out.say("nothing is written:")
        raise
    shown = space.redactor.text(text)
    for warning in warnings:
        out.say(f"warning: {warning}")
    if asked and not dry_run:
        out.say(f"\n{shown}")
        if out.ask(f"add this to {profile.path}?", ("yes", "no"), "yes") == "no":
            out.say("nothing is written")
            return
    if not dry_run:
        write_grown(profile, before, after)
    reference = f"{profile.name}/{form.name}" if session.profile or len(space.profiles) > 1 else form.name
    if out.json:
        out.object(
            {"model": form.name, "profile": profile.name, "use": form.table["use"], "path": str(profile.path), "line": line,
             "written": not dry_run, "table": shown, "warnings": warnings}
        )  # fmt: skip
        return
    if dry_run:
        out.raw(shown)
        return
    out.line(f"{profile.path}:{line}: {form.name} is added")
    out.say(f"next: automate plan {reference}" + (f" --profiles {session.profiles}" if session.profiles else ""))


def _day(text: str | None) -> date | str | None:
    """A date as TOML has it; what is none stays a text, and the check says so."""
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        return text


def _settings(pairs: list[str], taken: set[str]) -> dict[str, str]:
    """The ``--set`` by key, their values as they were typed."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not key or not equals:
            raise UsageError(f"--set {pair!r} names no key and value", hint="write --set KEY=VALUE, such as --set channel=email")
        if key in found or key in taken:
            raise UsageError(f"{key} is given twice", hint=f"keep one --set {key}=…" + (f", or --{key}" if key in taken else ""))
        found[key] = value
    return found


def _place(session: Session, name: str | None) -> tuple[Profile, str]:
    """The profile that gets the model, and the model's name as far as it is known."""
    wanted, _, model = (name or "").rpartition("/")
    if wanted:
        if session.profile not in (None, wanted):
            raise UsageError(f"{name!r} is not in --profile {session.profile}", hint="keep one of them")
        session.profile = wanted
    profiles = session.space.profiles
    if len(profiles) == 1:
        return profiles[0], model
    names = sorted(each.name for each in profiles)
    if not session.out.can_ask():
        ways = ", ".join(f"{each}/{model or 'NAME'}" for each in names)
        raise UsageError("there are several profiles", hint=f"say which with --profile, or {ways}")
    session.profile = session.out.ask("profile", names)
    return session.space.profile(session.profile), model


def _checked(session: Session, profile: Profile, after: bytes, line: int) -> list[str]:
    """The warnings about the new table, once the whole file has been loaded and checked in memory; raises ProfileError with every problem."""
    from libax_automate.engine.check import check_profile
    from libax_automate.engine.profile.build import profile_within
    from libax_automate.engine.redact import secrets_of
    from libax_automate.engine.workspace import Workspace

    space = session.space
    made = profile_within(profile.path, after, space.catalogue, session.environ)
    space.redactor.add(secrets_of(made))
    with Workspace((made,), space.db_path, space.catalogue, space.clock, space.redactor) as trial:
        found = check_profile(trial, made, content=after.decode("utf-8-sig"))
    if problems := tuple(each.problem for each in found if not each.warning):
        raise ProfileError(
            f"{count(len(problems), 'problem')} in the profile: {problems[0]}", hint="correct it, then try again", problems=problems
        )
    # of two models that meet the first is where the warning stands
    named = re.compile(rf"(?<![\w-]){re.escape([*made.models][-1])}(?![\w-])")
    return [str(each.problem) for each in found if each.problem.line >= line or named.search(each.problem.what)]

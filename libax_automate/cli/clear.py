"""``automate queue clear``: the one door for whatever has stopped (LX-64 to LX-67), by question and answer or by flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli import errors
from libax_automate.cli.finding import app_row, app_rows, error_row
from libax_automate.cli.session import Session
from libax_automate.cli.words import age, count, span
from libax_automate.errors import UsageError

if TYPE_CHECKING:
    from libax_automate.engine.store.rows import AppRow, ErrorRow

#: from this age on the advice is to clear before resolving (LX-67), in seconds
_STALE = 86400


def clear(
    session: Session,
    *,
    name: Annotated[str | None, typer.Argument(metavar="[APP]", help="An app, or PROFILE/APP.")] = None,
    error: Annotated[str | None, typer.Option("--error", metavar="ERROR", help="Resolve this error, with one of the next three.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try its messages again.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave its messages out.")] = False,
    sent: Annotated[bool, typer.Option("--sent", help="They did arrive.")] = False,
    older_than: Annotated[str | None, typer.Option("--older-than", metavar="SPAN", help="Clear what has waited longer: 2d, 12h.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Clear what this model wrote.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """Clear the way: cancel what waits, resolve an error, or both; whatever was cleared can be restored.

    Alone, on a terminal, it walks through the halted apps and asks. Days-old messages are best cleared before their error is resolved.
    """
    verbs = [verb for verb, asked in (("retry", retry), ("skip", skip), ("sent", sent)) if asked]
    clears = name is not None or older_than is not None or model is not None
    if error is None and verbs:
        raise UsageError(f"--{verbs[0]} of which error?", hint=f"add --error E12, or: automate errors {verbs[0]} --all")
    if error is not None and len(verbs) != 1:
        raise UsageError("--error wants exactly one of --retry, --skip and --sent", hint="say what shall become of its messages")
    if error is None and not clears:
        if not session.out.can_ask():
            raise UsageError(
                "what shall be cleared?", hint="give APP, --older-than, --model, or --error E12 with --retry, --skip or --sent"
            )
        return walk(session)
    found = error_row(session, error) if error is not None else None
    cleared: list[dict[str, Any]] = []
    if clears:
        rows = [app_row(session, name)] if name is not None else _apps_of(session, found)
        cleared = _cleared(session, rows, older_than, model, yes=yes)
    resolved = errors.resolve(session, verbs[0], [found]) if found is not None else []
    if session.out.json:
        session.out.object({"items": cleared, "errors": resolved})
    else:
        _tell(session, cleared)
        errors.tell(session, resolved) if resolved else None
    return None


def _apps_of(session: Session, error: ErrorRow | None) -> list[AppRow]:
    rows = app_rows(session)
    return rows if error is None else [row for row in rows if row.id == error.app_id]


def _cleared(session: Session, rows: list[AppRow], older_than: str | None, model: str | None, *, yes: bool) -> list[dict[str, Any]]:
    """Cancel what waits in ``rows``, once a person or ``--yes`` has agreed."""
    store, now = session.books.store, session.books.now()
    before = now - span(older_than, "--older-than").total_seconds() if older_than else None
    profile, _, bare = (model or "").rpartition("/")
    rows = [row for row in rows if profile in ("", row.profile)]
    counts = {row.id: store.ledger.clearable(row.id, model=bare or None, before=before) for row in rows}
    total = sum(counts.values())
    if total and not yes:
        if not session.out.can_ask():
            raise UsageError(f"{count(total, 'message')} would be cleared", hint="add --yes: nobody is here to be asked")
        names = ", ".join(row.name for row in rows if counts[row.id])
        if not session.out.confirm(f"clear {count(total, 'message')} of {names}?"):
            session.out.say("nothing was cleared")
            return []
    items = []
    for row in rows if len(rows) == 1 else [row for row in rows if counts[row.id]]:
        what = " ".join(
            part
            for part in (f"{row.profile}/{row.name}", f"--older-than {older_than}" if older_than else "", f"--model {bare}" if bare else "")
            if part
        )
        done = store.ledger.clear(row.id, now, model=bare or None, before=before, what=what) if counts[row.id] else None
        items.append(
            {
                "app": row.name, "profile": row.profile, "cleared": len(done.messages) if done else 0,
                "batch": f"B{done.batch}" if done and done.batch else None,
            }
        )  # fmt: skip
    return items


def _tell(session: Session, items: list[dict[str, Any]]) -> None:
    done = [item for item in items if item["batch"]]
    for item in done:
        session.out.line(
            f"{item['app']}: {count(item['cleared'], 'message')} cleared ({item['batch']}); undo: automate queue restore {item['batch']}"
        )
    if items and not done:
        session.out.line("nothing waits that could be cleared")


# -- question and answer ---------------------------------------------------------------------------------------------------


def walk(session: Session) -> int:
    """Every halted app in turn: what happened, how long ago, how many wait; and the person's decision."""
    out = session.out
    store = session.ledger
    halted = [row for row in app_rows(session) if str(row.state) == "halted"]
    if store is not None and store.apps.fenced():
        out.line(f"nothing is sent: {store.db.get('fenced')} → automate queue resume")
    elif not halted:
        out.line("no app is halted")
    for row in halted:
        assert store is not None
        for found in store.errors.listed(app_id=row.id):
            _decide(session, row, found.id)
    return 0


def _decide(session: Session, row: AppRow, error_id: int) -> None:
    out = session.out
    while True:
        store = session.books.store
        error = store.errors.get(error_id)
        if error is None or error.closed_at is not None:
            return  # resolved with another app's, or by somebody else meanwhile
        now = session.books.now()
        after = next(each for each in app_rows(session) if each.id == row.id)
        out.line(f"\n{row.profile}/{row.name}: E{error.id} {error.cls}, {age(now - error.opened_at)}")
        out.line(f"  {error.cause}")
        if error.hint:
            out.line(f"  {error.hint}")
        out.line(f"  {count(len(error.messages), 'message')} stopped by it, {after.waiting} waiting behind")
        if after.waiting and after.oldest and now - after.oldest > _STALE:
            out.line(f"  the oldest has waited {age(now - after.oldest)}: clear first what is no longer worth sending")
        choices = ["retry", "skip", *(["sent"] if error.cls == "in_doubt" else []), *(["clear"] if after.waiting else []), "leave"]
        answer = out.ask("  what now?", choices, "leave")
        if answer == "leave":
            return
        if answer == "clear":
            older = out.ask("  older than (2d, 12h; empty = all)")
            _tell(session, _cleared(session, [after], older or None, None, yes=False))
            continue
        errors.tell(session, errors.resolve(session, answer, [error]))
        return

"""``automate errors``: what halts an app, and the three ways out (LX-63 to LX-65)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.finding import app_row, error_row, message_row
from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import age, count, instant, local
from libax_automate.errors import NotFound, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.store.rows import ErrorRow

app = noun()

Ids = Annotated[list[str] | None, typer.Argument(metavar="ERROR…", help="E12, or 12; several are fine.")]
All = Annotated[bool, typer.Option("--all", help="Every open error.")]
Message = Annotated[str | None, typer.Option("--message", metavar="MESSAGE", help="This message of the error alone.")]

#: the past of each verb, for people
_DONE = {"retry": "will be tried again", "skip": "skipped", "sent": "marked as sent"}


def error_item(error: ErrorRow) -> dict[str, Any]:
    """An error, JSON-ready."""
    first = error.messages[0] if error.messages else error.message_id
    return {
        "id": f"E{error.id}", "profile": error.profile, "app": error.app, "class": error.cls, "cause": error.cause,
        "since": instant(error.opened_at), "message": f"M{first}" if first else None, "messages": [f"M{id_}" for id_ in error.messages],
        "waiting": error.waiting, "hint": error.hint, "state": "open" if error.closed_at is None else "closed",
        "closed": instant(error.closed_at), "resolution": error.resolution,
    }  # fmt: skip


@command(app, "list")
def list_(
    session: Session,
    app_name: Annotated[str | None, typer.Option("--app", metavar="APP", help="Errors that halt this app.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Also those that are resolved.")] = False,
) -> None:
    """Show what halts apps, oldest first."""
    row = app_row(session, app_name) if app_name else None
    store = session.ledger
    found = store.errors.listed(profiles=session.names, app_id=row.id if row else None, closed=closed) if store else []
    now = session.books.now()
    items = [error_item(error) for error in found]
    ages = {f"E{error.id}": age(now - error.opened_at) for error in found}
    many = len({error.profile for error in found}) > 1
    columns = [
        Column("id"), *([Column("profile")] if many else []), Column("app"), Column("class"), Column("cause"),
        Column("id", "age", show=lambda id_: ages[id_]),
        Column("message"), Column("waiting", right=True), Column("resolution"), Column("hint"),
    ]  # fmt: skip
    session.out.items(items, columns, empty="no errors")


@command(app)
def show(session: Session, error: Annotated[str, typer.Argument(metavar="ERROR", help="E12, or 12.")]) -> None:
    """Show one error with its messages and what the plugin said."""
    row = error_row(session, error)
    store = session.ledger
    assert store is not None
    messages = [message for id_ in row.messages if (message := store.ledger.get(id_)) is not None]
    held = [
        {"id": f"M{m.id}", "model": m.model, "person": m.person, "name": m.name, "to": m.to, "state": str(m.state), "reason": m.reason}
        for m in messages
    ]
    out = session.out
    facts = {**error_item(row), "detail": row.detail, "held": held}
    if out.json:
        out.object(facts)
        return
    moments = {key: lambda text: local(text, session.zone) for key in ("since", "closed")}
    out.fact(facts, skip=("held", "detail", "messages", "message"), show=moments)
    if row.detail:
        out.line(f"\n{row.detail.rstrip()}")
    if held:
        out.line()
        out.table(held, [Column(key) for key in held[0]])
    if row.closed_at is None:
        again = f"automate errors retry E{row.id}"
        out.line(f"\n{again}   try again\nautomate errors skip E{row.id}    leave these messages, go on with the rest")
        if row.cls == "in_doubt":
            out.line(f"automate errors sent E{row.id}    they did arrive")


def wanted(session: Session, ids: list[str] | None, every: bool, message: str | None) -> list[ErrorRow]:
    """The errors that a verb is for."""
    if every and ids:
        raise UsageError("--all and ids together say two things", hint="give one of them")
    if message and not ids:
        held = message_row(session, message)
        if held.error_id is None:
            raise NotFound(f"M{held.id} is {held.state}: no error holds it", hint="see: automate errors list")
        return [error_row(session, str(held.error_id))]
    if every:
        store = session.ledger
        return store.errors.listed(profiles=session.names) if store else []
    if not ids:
        raise UsageError("which error?", hint="give an id such as E12, or --all; see: automate errors list")
    return [error_row(session, each) for each in dict.fromkeys(ids)]


def resolve(session: Session, verb: str, errors: list[ErrorRow], message: str | None = None) -> list[dict[str, Any]]:
    """Do what a person decided, error by error; answers what changed, and is content where nothing was left to do."""
    store = session.books.store
    held = message_row(session, message) if message else None
    items = []
    for error in errors:
        if held is not None and held.id not in error.messages and error.closed_at is None:
            raise NotFound(f"E{error.id} does not hold M{held.id}, which is {held.state}", hint=f"see: automate errors show E{error.id}")
        now = session.books.now()
        act = {"retry": store.errors.retry, "skip": store.errors.skip, "sent": store.errors.sent}[verb]
        done = act(error.id, now, message=held.id if held else None) if error.closed_at is None else None
        after = store.errors.get(error.id)
        assert after is not None
        items.append(
            {
                "id": f"E{error.id}", "profile": error.profile, "app": error.app, "verb": verb,
                "messages": [f"M{id_}" for id_ in done.messages] if done else [],
                "changed": done is not None, "state": "open" if after.closed_at is None else "closed", "resolution": after.resolution,
            }
        )  # fmt: skip
    return items


def tell(session: Session, items: list[dict[str, Any]]) -> None:
    """What :func:`resolve` did, for people."""
    out = session.out
    for item in items:
        where = f"{item['id']} ({item['app']})"
        if not item["changed"]:
            out.line(f"{where}: was resolved already: {item['resolution']}")
            continue
        rest = "" if item["state"] == "closed" else "; the error stays open for the others"
        out.line(f"{where}: {count(len(item['messages']), 'message')} {_DONE[item['verb']]}{rest}")
    if not items:
        out.line("no errors")
    elif any(item["changed"] for item in items):
        out.say("what waits leaves with the next: automate run")


def _answer(session: Session, items: list[dict[str, Any]]) -> None:
    if session.out.json:
        session.out.object({"items": items})
    else:
        tell(session, items)


@command(app)
def retry(session: Session, ids: Ids = None, every: All = False, message: Message = None) -> None:
    """Resolve errors by trying again: what was wrong has been put right."""
    _answer(session, resolve(session, "retry", wanted(session, ids, every, message), message))


@command(app)
def skip(session: Session, ids: Ids = None, every: All = False, message: Message = None) -> None:
    """Resolve errors by leaving their messages out; the rest goes on."""
    _answer(session, resolve(session, "skip", wanted(session, ids, every, message), message))


@command(app)
def sent(session: Session, ids: Ids = None, every: All = False, message: Message = None) -> None:
    """Resolve errors of messages in doubt that did arrive: nothing is sent again."""
    _answer(session, resolve(session, "sent", wanted(session, ids, every, message), message))

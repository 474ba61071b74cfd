"""``automate queue``: what waits to leave, and the switches an admin has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli import clear
from libax_automate.cli.finding import app_row, app_rows, message_row, senders, several
from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count, id_of, instant, is_id, local
from libax_automate.errors import NotFound, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.store.rows import AppRow, MessageRow

app = noun()

App = Annotated[str, typer.Argument(metavar="APP", help="An app, or PROFILE/APP.")]


def app_item(row: AppRow) -> dict[str, Any]:
    """An app's queue, JSON-ready."""
    return {
        "app": row.name, "profile": row.profile, "connector": row.connector, "state": str(row.state), "waiting": row.waiting,
        "sending": row.sending, "in_doubt": row.in_doubt, "failed": row.failed, "sent": row.sent, "oldest": instant(row.oldest),
        "until": instant(row.until), "reason": row.reason,
    }  # fmt: skip


def queue_columns(session: Session, items: list[dict[str, Any]]) -> list[Column]:
    """How queues are shown to people."""

    def when(text: Any) -> str:
        return local(text, session.zone)

    numbers = [Column(key, right=True) for key in ("waiting", "sending", "in_doubt", "failed", "sent")]
    profile = [Column("profile")] if several([item["profile"] for item in items]) else []
    return [*profile, Column("app"), Column("state"), *numbers, Column("oldest", show=when), Column("until", show=when), Column("reason")]


def queues(session: Session) -> list[dict[str, Any]]:
    """The queues of every app that can send: those that the database knows, and those that the profiles name and nothing has used yet."""
    # profiles first: opening them opens the database anew
    configured = senders(session)
    rows = [row for row in app_rows(session) if not configured or (row.profile, row.name) in configured or row.sent or row.oldest]
    known = {(row.profile, row.name) for row in rows}
    items = [app_item(row) for row in rows]
    items += [
        {
            "app": name, "profile": profile, "connector": connector, "state": "running", "waiting": 0, "sending": 0, "in_doubt": 0,
            "failed": 0, "sent": 0, "oldest": None, "until": None, "reason": "",
        }
        for (profile, name), connector in configured.items()
        if (profile, name) not in known
    ]  # fmt: skip
    return sorted(items, key=lambda item: (item["profile"], item["app"]))


@command(app, "list")
def list_(session: Session) -> None:
    """Show every app's queue: state, what waits, what is stuck."""
    items = queues(session)
    session.out.items(items, queue_columns(session, items), empty="no apps that send")


@command(app)
def show(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="APP|MESSAGE", help="An app, or a message such as M1042.")],
    state: Annotated[list[str] | None, typer.Option("--state", metavar="STATE", help="Also ended ones: sent, skipped …")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
) -> None:
    """Show what an app has in its queue, or everything about one message."""
    from libax_automate.engine.store.rows import MessageState as State

    if is_id(name, "M"):
        _show_message(session, message_row(session, name))
        return
    try:
        states = [State(each) for each in state] if state else [State.SENDING, State.IN_DOUBT, State.FAILED, State.WAITING]
    except ValueError:
        raise UsageError(f"{state} names no state of a message", hint=f"the states are: {', '.join(State)}") from None
    row = app_row(session, name)
    store = session.books.store
    items = [message_item(message) for message in store.ledger.listed(app_id=row.id, states=states, limit=limit)]
    columns = [Column(key) for key in ("id", "model", "person", "name", "to", "state")]
    columns += [Column("attempts", right=True), Column("not_before", show=lambda text: local(text, session.zone)), Column("reason")]
    session.out.items(items, columns, empty=f"nothing is in the queue of {row.name}")
    if len(items) == limit:
        session.out.say(f"the first {limit}; --limit shows more")


def message_item(message: MessageRow) -> dict[str, Any]:
    """A message, JSON-ready, without its wording."""
    return {
        "id": f"M{message.id}", "profile": message.profile, "app": message.app, "model": message.model,
        "task": f"T{message.task_id}" if message.task_id else None, "step": message.step, "person": message.person, "name": message.name,
        "occasion": message.occasion, "channel": message.channel, "to": message.to,
        "state": str(message.state), "attempts": message.attempts,
        "not_before": instant(message.not_before), "expires": instant(message.expires),
        "error": f"E{message.error_id}" if message.error_id else None, "reason": message.reason, "provider_id": message.provider_id,
        "created": instant(message.created_at), "ended": instant(message.ended_at),
    }  # fmt: skip


def _show_message(session: Session, message: MessageRow) -> None:
    store = session.books.store
    attempts = [
        {"n": n, "started": instant(started), "ended": instant(ended), "outcome": outcome, "detail": detail, "key": key}
        for n, key, started, ended, outcome, detail in store.ledger.attempts(message.id)
    ]
    payload = json.loads(message.payload or "{}")
    facts = {**message_item(message), "payload": payload, "tries": attempts}
    out = session.out
    if out.json:
        out.object(facts)
        return

    def when(text: Any) -> str:
        return local(text, session.zone)

    out.fact(facts, skip=("payload", "tries"), show=dict.fromkeys(("not_before", "expires", "created", "ended"), when))
    if payload:
        out.line()
        text = payload.pop("text", "")
        out.fact(payload)
        if text:
            out.line(f"\n{text}")
    if attempts:
        out.line()
        out.table(
            attempts,
            [Column("n", right=True), Column("started", show=when), Column("ended", show=when), Column("outcome"), Column("detail")],
        )


@command(app)
def pause(session: Session, name: App) -> None:
    """Stop sending by an app, until resume; what is queued waits."""
    row = app_row(session, name)
    changed = session.books.store.apps.pause(row.id, session.books.now())
    _answer(session, row, changed=changed, text="paused" if changed else "was paused already")


@command(app)
def resume(
    session: Session, name: Annotated[str | None, typer.Argument(metavar="[APP]", help="An app; without one the fence.")] = None
) -> None:
    """Take a pause or a throttle back; without an app, release a restored database for sending."""
    if name is None:
        store = session.ledger
        changed = store.apps.unfence(session.books.now()) if store else False
        if session.out.json:
            session.out.object({"fence": "released" if changed else "none", "changed": changed})
        else:
            session.out.line("this database sends again" if changed else "there is no fence; to resume an app: automate queue resume APP")
        return
    row = app_row(session, name)
    changed = session.books.store.apps.resume(row.id)
    _answer(session, row, changed=changed, text="resumed" if changed else "was not paused")


def _answer(session: Session, row: AppRow, *, changed: bool, text: str) -> None:
    after = next(each for each in app_rows(session) if each.id == row.id)
    if session.out.json:
        session.out.object({**app_item(after), "changed": changed})
        return
    still = f"; it is {after.state}: {after.reason}" if str(after.state) in ("halted", "fenced") else ""
    session.out.line(f"{row.name}: {text}{still}")


@command(app)
def restore(session: Session, batch: Annotated[str, typer.Argument(metavar="BATCH", help="B3, as `queue clear` printed it.")]) -> None:
    """Undo a clear: what it cancelled waits again."""
    id_ = id_of(batch, "B")
    store = session.ledger
    done = store.ledger.restore(id_, session.books.now()) if store else None
    if done is None:
        raise NotFound(f"there is no batch B{id_}", hint="`automate queue clear` prints the id of its batch")
    if session.out.json:
        session.out.object({"batch": f"B{id_}", "restored": len(done.messages), "messages": [f"M{each}" for each in done.messages]})
    elif done.messages:
        session.out.line(
            f"B{id_}: {count(len(done.messages), 'message')} wait again" if len(done.messages) != 1 else f"B{id_}: 1 message waits again"
        )
    else:
        session.out.line(f"B{id_}: was restored already")


command(app, "clear")(clear.clear)

"""``automate approve``: what waits for a person's yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.finding import approval_row
from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count, instant, local
from libax_automate.errors import UsageError

if TYPE_CHECKING:
    from libax_automate.engine.store.approvals import ApprovalRow

app = noun()


def _item(row: ApprovalRow) -> dict[str, Any]:
    return {
        "id": f"A{row.id}", "profile": row.profile, "model": row.model, "task": f"T{row.task_id}" if row.task_id else None, "why": row.why,
        "waiting": row.waiting, "since": instant(row.opened_at), "decided": instant(row.decided_at), "verdict": row.verdict,
    }  # fmt: skip


@command(app)
def approve(
    session: Session,
    which: Annotated[
        list[str] | None, typer.Argument(metavar="APPROVAL…", help="A3, or 3; several are fine. None: show what waits.")
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Cancel the messages instead; queue restore takes that back.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    decided: Annotated[bool, typer.Option("--decided", help="Also show what was decided.")] = False,
) -> None:
    """Let messages leave that wait for a person: grave steps, and runs far above their usual size."""
    if which and every:
        raise UsageError("approvals are named and --all is given", hint="write one of them")
    if not which and not every:
        if reject:
            raise UsageError("--reject of what?", hint="automate approve A3 --reject, or --all")
        _show(session, decided=decided)
        return
    store = session.ledger
    waiting = store.approvals.listed(profiles=session.names) if store else []
    rows = waiting if every else [approval_row(session, reference) for reference in which or ()]
    now = session.books.now()
    items = []
    for row in rows:
        assert store is not None
        done = (store.approvals.reject if reject else store.approvals.approve)(row.id, now)
        item: dict[str, Any] = {
            "id": f"A{row.id}",
            "model": row.model,
            "verdict": "rejected" if reject else "approved",
            "changed": done is not None,
        }
        item["messages"] = len(done.messages) if done else 0
        item["batch"] = f"B{done.batch}" if done and done.batch else None
        items.append(item)
        if session.out.json:
            continue
        if done is None:
            session.out.line(f"A{row.id} was {row.verdict} already")
        elif reject:
            undo = f"; undo: automate queue restore B{done.batch}" if done.batch else ""
            session.out.line(f"A{row.id} ({row.model}): {count(len(done.messages), 'message')} cancelled{undo}")
        else:
            session.out.line(f"A{row.id} ({row.model}): {count(len(done.messages), 'message')} will leave with the next: automate run")
    if session.out.json:
        session.out.object({"items": items})
    elif not items:
        session.out.line("nothing waits for approval")


def _show(session: Session, *, decided: bool) -> None:
    store = session.ledger
    items = [_item(row) for row in store.approvals.listed(profiles=session.names, decided=decided)] if store else []
    columns = [
        Column("id"), Column("model"), Column("why"), Column("waiting", right=True),
        Column("since", show=lambda text: local(text, session.zone)), *([Column("verdict")] if decided else []),
    ]  # fmt: skip
    session.out.items(items, columns, empty="nothing waits for approval")

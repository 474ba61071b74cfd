"""``automate tasks``: the history of executions, and the month's counter (LX-33, LX-56, LX-59)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.finding import task_row
from libax_automate.cli.output import Column
from libax_automate.cli.run import COLUMNS, task_item
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import instant, local, span
from libax_automate.errors import NotFound, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.store import Store
    from libax_automate.engine.store.rows import TaskRow

app = noun()

Ids = Annotated[list[str], typer.Argument(metavar="TASK…", help="T77, or 77; several are fine.")]


def _item(task: TaskRow) -> dict[str, Any]:
    return {
        **task_item(task), "trigger": task.trigger, "first_day": task.first_day, "last_day": task.last_day, "tries": task.tries,
        "created": instant(task.created_at), "started": instant(task.started_at), "ended": instant(task.ended_at),
    }  # fmt: skip


@command(app, "list")
def list_(
    session: Session,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Tasks of this model.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", metavar="STATE", help="Tasks in this state; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="SPAN", help="Tasks of the last 7d, 24h …")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
) -> None:
    """Show the newest tasks: when, what came of it, how many."""
    from libax_automate.engine.store.rows import TaskState

    try:
        states = [TaskState(each) for each in state or ()]
    except ValueError:
        raise UsageError(f"{state} names no state of a task", hint=f"the states are: {', '.join(TaskState)}") from None
    store, now = session.ledger, session.books.now()
    profile, _, name = (model or "").rpartition("/")
    found = (
        store.tasks.listed(
            profiles=frozenset((profile,)) if profile else session.names, model=name or None, states=states, limit=limit,
            since=now - span(since, "--since").total_seconds() if since else None,
        )
        if store
        else []
    )  # fmt: skip
    items = [_item(task) for task in found]
    many = len({task.profile for task in found}) > 1
    started = Column("started", show=lambda text: local(text, session.zone))
    columns = [column for column in COLUMNS if many or column.key != "profile"]
    session.out.items(items, [*columns[:-1], started, columns[-1]], empty="no tasks yet")


@command(app)
def show(session: Session, task: Annotated[str, typer.Argument(metavar="TASK", help="T77, or 77.")]) -> None:
    """Show one task: counts, who was left out and why, rows that could not be read."""
    row = task_row(session, task)
    store = session.ledger
    assert store is not None
    remarks = [{"kind": kind, "person": person, "name": name, "what": what} for kind, person, name, what in store.tasks.remarks(row.id)]
    out = session.out
    facts = {**_item(row), "remarks": remarks}
    if out.json:
        out.object(facts)
        return
    moments = {key: lambda text: local(text, session.zone) for key in ("created", "started", "ended")}
    out.fact(facts, skip=("remarks",), show=moments)
    if remarks:
        out.line()
        out.table(remarks, [Column("kind"), Column("person"), Column("name"), Column("what")])


def _move(session: Session, ids: list[str], verb: str) -> int:
    items: list[dict[str, Any]] = []
    for id_ in dict.fromkeys(ids):
        task = task_row(session, id_)
        store: Store = session.books.store
        act = store.tasks.retry if verb == "retry" else store.tasks.cancel
        changed = act(task.id, session.books.now())
        after = store.tasks.get(task.id)
        assert after is not None
        items.append({"id": f"T{task.id}", "model": task.model, "changed": changed, "state": str(after.state)})
    if session.out.json:
        session.out.object({"items": items})
        return 0
    for item in items:
        done = "is due again" if verb == "retry" else "cancelled"
        session.out.line(f"{item['id']} ({item['model']}): {done if item['changed'] else 'nothing to do: it is ' + item['state']}")
    if verb == "retry" and any(item["changed"] for item in items):
        session.out.say("it runs with the next: automate run")
    return 0


@command(app)
def retry(session: Session, ids: Ids) -> int:
    """Let failed, crashed, missed or cancelled tasks run again."""
    return _move(session, ids, "retry")


@command(app)
def cancel(session: Session, ids: Ids) -> int:
    """Tasks that have not run will not."""
    return _move(session, ids, "cancel")


@command(app, now=True)
def counter(
    session: Session, month: Annotated[str | None, typer.Option("--month", metavar="MONTH", help="This month alone: 2026-11.")] = None
) -> None:
    """Show how many tasks each month had; the counter starts again on day 1 (LX-33)."""
    import re

    if month is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"--month {month!r} is no month", hint="write 2026-11")
    space = session.space
    store = space.existing_store()
    items = []
    for profile in space.profiles:
        current = f"{space.clock.now().astimezone(profile.timezone):%Y-%m}"
        counted = dict(store.tasks.counters(profile.name)) if store else {}
        months = [month] if month else sorted({current, *counted}, reverse=True)
        items += [{"profile": profile.name, "month": each, "tasks": counted.get(each, 0), "current": each == current} for each in months]
    if not items:
        raise NotFound("no profile")
    session.out.items(items, [Column("profile"), Column("month"), Column("tasks", right=True)])

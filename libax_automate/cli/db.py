"""``automate db``: the one file in which everything is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from libax_automate.cli.finding import app_rows
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count, span
from libax_automate.errors import NotFound, StoreError, UsageError

app = noun()

DISK = 74


def size(number: int) -> str:
    """A size in bytes for people."""
    amount = float(number)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _existing(session: Session) -> Any:
    store = session.ledger
    if store is None:
        raise NotFound(f"there is no database {session.books.db_path}", hint="it is made by the first: automate run")
    return store


@contextlib.contextmanager
def _alone(session: Session) -> Iterator[None]:
    """While nobody runs, and nobody starts to."""
    from libax_automate.engine.lock import RunLock

    lock = RunLock(session.books.db_path)
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    lock.acquire(session.books.clock.now())
    try:
        yield
    finally:
        lock.release()


@command(app)
def info(session: Session) -> None:
    """Show where the database is, how large, and what is in it."""
    from libax_automate.engine.store import upkeep

    found = upkeep.info(_existing(session).db)
    facts = {
        "path": str(found.path), "size": found.size, "free": found.free, "schema": found.schema, "latest_schema": found.latest,
        "sqlite": found.sqlite, "journal": found.journal, "instance": found.instance, "runs": found.runs, "fenced": found.fenced,
        "messages": found.messages, "tasks": found.tasks, "open_errors": found.open_errors,
    }  # fmt: skip

    def counts(value: Any) -> str:
        return ", ".join(f"{number} {state}" for state, number in value.items()) or "none"

    session.out.fact(facts, skip=("instance", "latest_schema"), show={"size": size, "free": size, "messages": counts, "tasks": counts})


@command(app)
def check(session: Session) -> int:
    """Prove that the database is sound (0), or say what is damaged (74)."""
    store = _existing(session)
    problems = store.db.problems() or [*store.documents.problems()]
    if session.out.json:
        session.out.object({"items": [{"what": each} for each in problems], "sound": not problems})
    elif not problems:
        session.out.line(f"{session.books.db_path} is sound")
    for each in problems:
        session.out.say(each)
    if problems:
        session.out.say("keep the file, then: automate db restore BACKUP")
    return DISK if problems else 0


@command(app)
def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> None:
    """Write a copy that can be used as it is; safe while the program runs."""
    target = file / session.books.db_path.name if file.is_dir() else file
    if target.exists() and not force:
        raise UsageError(f"{target} exists", hint="give another name, or --force")
    if target.resolve() == session.books.db_path.resolve():
        raise UsageError("that is the database itself", hint="give another name")
    _existing(session).db.backup(target)
    if session.out.json:
        session.out.object({"path": str(target), "size": target.stat().st_size})
    else:
        session.out.line(f"{target}: {size(target.stat().st_size)}")


@command(app)
def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the database's place, fenced: it sends nothing until `automate queue resume`."""
    from libax_automate.engine.store import upkeep

    target = session.books.db_path
    upkeep.version_of(file)
    if target.exists() and not yes and session.out.can_ask() and not session.out.confirm(f"replace {target}?"):
        session.out.say("nothing was changed")
        return
    when = f"{session.books.clock.now():%Y-%m-%d %H:%M} UTC"
    with _alone(session):
        kept = upkeep.restore(file, target, f"this database was restored from {file.name} on {when}")
    if session.out.json:
        session.out.object({"path": str(target), "kept": str(kept) if kept else None, "fenced": True})
        return
    session.out.line(f"{target} is restored from {file}" + (f"; the file it replaced is {kept}" if kept else ""))
    session.out.line("it sends nothing yet: look at `automate queue list`, clear what has left already, then: automate queue resume")


@command(app)
def migrate(session: Session) -> None:
    """Bring the database to the shape that this program wants, after a backup beside it."""
    from libax_automate.engine.store import upkeep

    path = session.books.db_path
    before = upkeep.version_of(path)
    store = _existing(session)  # opening a file brings it up to date
    after = int(upkeep.info(store.db).schema)
    kept = path.with_name(f"{path.name}.schema{before}.backup")
    facts = {"path": str(path), "before": before, "after": after, "backup": str(kept) if before != after and kept.exists() else None}
    if session.out.json:
        session.out.object(facts)
    elif before == after:
        session.out.line(f"{path} has the right shape already ({after})")
    else:
        session.out.line(f"{path}: {before} → {after}; the backup is {facts['backup']}")


@command(app)
def vacuum(
    session: Session,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="Also forget the wording of messages that ended longer ago: 52w.")
    ] = None,
) -> None:
    """Give unused space back to the disk; what keeps people from hearing twice always stays."""
    from libax_automate.engine.store import upkeep

    limit = session.books.now() - span(older_than, "--older-than").total_seconds() if older_than else None
    store = _existing(session)
    forgotten = 0
    with _alone(session):
        for profile in sorted({row.profile for row in app_rows(session)}):
            while limit is not None and (some := store.ledger.forget(profile, limit)):
                forgotten += some
        try:
            before, after = upkeep.vacuum(store.db)
        except OSError as error:
            raise StoreError(f"{store.db.path}: {error.strerror}", hint="check the disk") from None
    if session.out.json:
        session.out.object({"before": before, "after": after, "forgotten": forgotten})
    else:
        thinned = f"; {count(forgotten, 'message')} thinned out" if forgotten else ""
        session.out.line(f"{size(before)} → {size(after)}{thinned}")

"""``automate documents``: what was numbered, printed and sent; any of it again, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import instant
from libax_automate.errors import NotFound, StoreError, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.store import Store
    from libax_automate.engine.store.documents import DocumentRow

app = noun()

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="As it is written on it: 'NP 2026/7'.")]

#: how many documents a list shows unless told otherwise
_SHOWN = 100


def document_item(row: DocumentRow) -> dict[str, Any]:
    """A document, JSON-ready."""
    return {
        "number": row.number, "profile": row.profile, "model": row.model, "date": row.day.isoformat(), "period": row.period,
        "person": row.person, "name": row.name, "total": str(row.total), "currency": row.currency, "state": _state(row),
        "message": f"M{row.message_id}" if row.message_id else None, "app": row.app, "file": row.file, "size": row.size, "sha256": row.sha256,
        "created": instant(row.created_at), "ended": instant(row.ended_at), "voided": instant(row.voided_at),
        "reason": row.reason or row.why or "",
    }  # fmt: skip


def _state(row: DocumentRow) -> str:
    """``void``, or the state of the message that carries it."""
    return "void" if row.voided_at is not None else row.state or ""


def _row(session: Session, number: str) -> tuple[Store, DocumentRow]:
    """A document by its number, in the profiles in view."""
    store = session.ledger
    found = store.documents.listed(profiles=session.names, number=number.strip()) if store else []
    if not found or store is None:
        raise NotFound(f"there is no document {number!r}", hint="see: automate documents list")
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} profiles have a document {number!r}", hint=f"add --profile: {', '.join(sorted(row.profile for row in found))}"
        )
    return store, found[0]


@command(app, "list")
def list_(
    session: Session,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Those of this model alone.")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="PERSON", help="Those of this person alone, by id.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="So many at most.")] = _SHOWN,
) -> None:
    """Show the documents, newest first, with what became of the messages that carry them."""
    store = session.ledger
    rows = store.documents.listed(profiles=session.names, model=model, person=person, limit=limit) if store else []
    columns = [
        Column("number"), Column("date"), *([Column("profile")] if len({row.profile for row in rows}) > 1 else []), Column("model"),
        Column("period"), Column("name"), Column("total", right=True), Column("currency", ""), Column("state"), Column("message"), Column("file"),
    ]  # fmt: skip
    session.out.items([document_item(row) for row in rows], columns, empty="no document was made yet")


@command(app)
def show(session: Session, number: Number) -> None:
    """Show one document: whose it is, what it comes to, the records that it speaks of, its checksum."""
    store, row = _row(session, number)
    session.out.fact({**document_item(row), "records": store.documents.records(row.id)})


@command(app)
def regenerate(
    session: Session,
    number: Number,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to; default: its own name, in the working folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a document's file again, byte for byte as it was sent; its checksum is held against the one from then."""
    store, row = _row(session, number)
    kept = store.documents.file(row.id)
    assert kept is not None
    target = Path(kept.file) if to is None else to / kept.file if to.is_dir() else to
    _write(target, kept.content, force=force)
    if session.out.json:
        session.out.object({"number": row.number, "file": str(target), "size": row.size, "sha256": kept.sha256})
    else:
        session.out.line(f"{row.number} written to {target} ({row.size} bytes, SHA-256 {kept.sha256})")


@command(app)
def void(
    session: Session,
    number: Number,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stays with the document.")],
) -> None:
    """Declare a document void: it keeps its number, and what it speaks of may come onto another one."""
    store, row = _row(session, number)
    changed = store.documents.void(row.id, reason.strip(), session.books.now())
    if session.out.json:
        session.out.object({"number": row.number, "changed": changed})
    else:
        session.out.line(
            f"{row.number} is void: what it speaks of may come onto another document" if changed else f"{row.number} was void already"
        )


def _write(target: Path, content: bytes, *, force: bool) -> None:
    """For its owner's eyes, whole or not at all."""
    if target.exists() and not force and target.read_bytes() != content:
        raise UsageError(f"{target} is there already, and is another file", hint="give another --to, or --force")
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}", hint="give another file: --to FILE") from None

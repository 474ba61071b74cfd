"""Finding in the database what people type: apps by name, errors, tasks and messages by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from libax_automate.cli.words import id_of
from libax_automate.errors import NotFound, ProfileError, UsageError

if TYPE_CHECKING:
    from libax_automate.cli.session import Session
    from libax_automate.engine.store.approvals import ApprovalRow
    from libax_automate.engine.store.rows import AppRow, ErrorRow, MessageRow, TaskRow


RowT = TypeVar("RowT")


def app_rows(session: Session) -> list[AppRow]:
    """Every app that the database knows, narrowed by ``--profile``; none where there is no database."""
    store = session.ledger
    return store.apps.rows(session.books.now(), profiles=session.names) if store else []


def app_row(session: Session, reference: str) -> AppRow:
    """An app by ``name`` (while unambiguous) or ``profile/name``.

    One that has never been used is taken from the profile and written down, so that it can be paused before its first message.
    """
    wanted, _, name = reference.rpartition("/")
    rows = app_rows(session)
    found = [row for row in rows if row.name == name and wanted in ("", row.profile)]
    if len(found) > 1:
        options = ", ".join(f"{row.profile}/{row.name}" for row in found)
        raise UsageError(f"app {name!r} is in several profiles", hint=f"say which: {options}")
    if not found:
        try:
            space = session.space
        except ProfileError as error:
            known = ", ".join(sorted(row.name for row in rows)) or "none"
            raise NotFound(f"the database knows no app {reference!r}, and the profile cannot be read", hint=f"it knows: {known}") from error
        profile, app = space.app(reference)
        id_ = space.store.apps.register(profile.name, app.name, app.connector, app.credential)
        found = [row for row in space.store.apps.rows(space.now()) if row.id == id_]
    return found[0]


def _there(found: RowT | None, what: str, hint: str) -> RowT:
    if found is None:
        raise NotFound(f"there is no {what}", hint=hint)
    return found


def error_row(session: Session, text: str) -> ErrorRow:
    """An error by id, open or closed."""
    id_, store = id_of(text, "E"), session.ledger
    return _there(store.errors.get(id_) if store else None, f"error E{id_}", "see: automate errors list")


def task_row(session: Session, text: str) -> TaskRow:
    """A task by id."""
    id_, store = id_of(text, "T"), session.ledger
    return _there(store.tasks.get(id_) if store else None, f"task T{id_}", "see: automate tasks list")


def message_row(session: Session, text: str) -> MessageRow:
    """A message by id."""
    id_, store = id_of(text, "M"), session.ledger
    return _there(store.ledger.get(id_) if store else None, f"message M{id_}", "see: automate queue show APP")


def approval_row(session: Session, text: str) -> ApprovalRow:
    """An approval by id, open or decided."""
    id_, store = id_of(text, "A"), session.ledger
    return _there(store.approvals.get(id_) if store else None, f"approval A{id_}", "see: automate approve")


def senders(session: Session) -> dict[tuple[str, str], str]:
    """(profile, app) -> connector of every configured app that can have a queue; none where the profiles cannot be read."""
    from libax_automate.connector import Actor, Capability, Sender

    found: dict[tuple[str, str], str] = {}
    try:
        space = session.space
    except ProfileError as error:
        session.out.detail(f"the profiles cannot be read: {error.message}", session.verbose)
        return found
    for profile in space.profiles:
        for app in profile.apps.values():
            cls = space.catalogue.connector(app.connector)
            if issubclass(cls, Sender | Actor) or Capability.WEBHOOK in cls.capabilities:
                found[profile.name, app.name] = app.connector
    return found


def several(items: Sequence[object]) -> bool:
    """Whether the profile's name has to be said."""
    return len(set(items)) > 1

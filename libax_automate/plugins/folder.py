"""The ``folder`` sender: every message becomes a file. For demos, dry runs and tests; nothing leaves the machine."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from libax_automate import mime
from libax_automate.connector import Capability, Connector, Sender
from libax_automate.errors import ConnectorError, ContentError, InvalidMessage, SetupError, Transient
from libax_automate.hookspecs import hookimpl
from libax_automate.message import Email, Message, Receipt
from libax_automate.normalise import heading_of
from libax_automate.options import Options
from libax_automate.whole import write_whole

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
_SAFE = re.compile(r"[^A-Za-z0-9._-]+")
#: the Date of a message that says no moment of its own
_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


class FolderOptions(Options):
    """Where the files go."""

    path: str = Field(min_length=1, description="the folder, relative to the profile; it is made if it is missing")
    channels: tuple[Literal["email", "sms", "whatsapp", "webhook"], ...] = Field(
        ("email", "sms", "whatsapp", "webhook"), min_length=1, description="what it takes"
    )
    sender: str = Field("noreply@localhost", description="From of e-mails that name no sender of their own")


class Folder(Sender[FolderOptions, Message]):
    """Writes one ``.eml`` per e-mail and one ``.json`` per other message, whole or not at all.

    The file's name comes from the message's id, person and key, so that the same send writes the same file, once.
    """

    name = "folder"
    title = "Files in a folder: .eml per e-mail, .json per other message"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.EMAIL,
            Capability.SMS,
            Capability.WHATSAPP,
            Capability.WEBHOOK,
            Capability.ATTACHMENTS,
            Capability.IDEMPOTENCY_KEY,
            Capability.LOOKUP,
        }
    )
    idempotency_ttl: ClassVar[timedelta | None] = timedelta(days=3650)

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return self.place.folder / self.options.path

    def offers(self) -> frozenset[Capability]:
        """Only the channels that the options allow."""
        channels = {"email", "sms", "whatsapp", "webhook"}
        return frozenset(one for one in self.capabilities if one.value not in channels or one.value in self.options.channels)

    def open(self) -> None:
        """Make the folder, for its owner alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._failure(error) from None

    def check(self) -> None:
        """A file can be written there."""
        self.open()
        try:
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise self._failure(error) from None

    def send(self, message: Message) -> Receipt:
        """Write the file; where it stands already, it was sent already."""
        name = self._file_name(message)
        target = self.folder / name
        if target.exists():
            return Receipt(id=name, detail="already there")
        content = self._email(message) if isinstance(message, Email) else _json(message)
        try:
            write_whole(target, content)
        except OSError as error:
            raise self._failure(error) from None
        return Receipt(id=name)

    def lookup(self, message: Message) -> Receipt | None:
        """Whether the message's file stands there."""
        name = self._file_name(message)
        return Receipt(id=name, detail="already there") if (self.folder / name).exists() else None

    def _file_name(self, message: Message) -> str:
        ending = "eml" if isinstance(message, Email) else "json"
        key = hashlib.sha256(message.key.encode()).hexdigest()[:10]
        parts = (_SAFE.sub("-", message.id).strip(".-")[:40], heading_of("", message.person or message.to).replace("_", "-")[:60], key)
        return f"{'_'.join(filter(None, parts))}.{ending}"

    def _email(self, email: Email) -> bytes:
        if email.template is not None and not (email.text or email.html):
            values = [*email.vars, *(f"{name} = {value}" for name, value in email.params.items())]
            email = dataclasses.replace(email, text="\n".join([f"[template {email.template}]", *values]))
        if not (email.text or email.html):
            email = dataclasses.replace(email, text="\n")
        try:
            return mime.build(email, sender=self.options.sender, date=email.sent_at or _NO_DATE)
        except InvalidMessage as error:
            raise ContentError(error.message, hint=error.hint) from None

    def _failure(self, error: OSError) -> ConnectorError:
        what = f"{self.options.path} cannot be written: {error.strerror or error}"
        if error.errno in _FULL:
            return Transient(what, hint="make room on the disk")
        return SetupError(what, hint="correct path in the profile, or the folder's rights")


def _json(message: Message) -> bytes:
    fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return (json.dumps(fields, ensure_ascii=False, indent=2, default=_plain) + "\n").encode("utf-8", "replace")


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@hookimpl
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The folder sender."""
    return [Folder]

"""A message on its way: the draft a model's candidate becomes, how it is kept, and what a connector gets of it."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from libax_automate._json import dumps
from libax_automate.engine.paper import Paper
from libax_automate.errors import ContentError
from libax_automate.message import Action, Attachment, Call, Channel, Email, Message, Text


class Verdict(StrEnum):
    """What a plan says of one person."""

    SEND = "send"
    EXCLUDED = "excluded"
    #: will leave, but not now; the reason says when
    HELD = "held"


@dataclass(slots=True, kw_only=True)
class Draft:
    """One candidate after the message step: everything but the database's own columns.

    (model, step, person, occasion) is the UNIQUE key within a profile. ``payload`` holds the channel's own
    fields, JSON-ready, as :func:`message` reads them back.
    """

    model: str
    person: str
    occasion: str
    step: str = ""
    app: str = ""
    channel: Channel | None = None
    to: str = ""
    name: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    verdict: Verdict = Verdict.SEND
    reason: str = ""
    #: already in the ledger under the same key: not inserted again
    known: bool = False
    #: recorded as skipped at a model's first sight
    baseline: bool = False
    not_before: datetime | None = None
    expires: datetime | None = None
    #: the activity to write into the source app once this has been sent (LX-55): app, record id
    activity: tuple[str, str] | None = None
    #: waits until a person approves
    approve: bool = False
    #: conditions to re-check at send time: (app, entity, record id, field -> allowed values)
    still: tuple[str, str, str, Mapping[str, frozenset[str]]] | None = None
    #: further records of which they have to hold
    also: tuple[str, ...] = ()
    #: what it carries; the payload speaks of it once it has its number
    document: Paper | None = None

    @property
    def subject(self) -> str:
        """The rendered subject, for people."""
        return str(self.payload.get("subject") or "")

    @property
    def text(self) -> str:
        """The rendered text, or what stands for it, for people."""
        if self.payload.get("text"):
            return str(self.payload["text"])
        if self.payload.get("template"):
            values = self.payload.get("vars") or list((self.payload.get("params") or {}).values())
            return f"[{self.payload['template']}] " + ", ".join(map(str, values))
        return str(self.payload.get("html") or self.payload.get("kind") or "")


def dump(value: Mapping[str, Any]) -> str:
    """Compact JSON; amounts as strings, dates as ISO 8601."""
    return dumps(value)


def activity_of(*, message: int, channel: str, to: str, payload: str, at: datetime) -> str:
    """The payload of the activity that writes a sent message back into its source (LX-55); ``payload`` is the message's own."""
    shown = json.loads(payload or "{}")
    said = {key: shown[key] for key in ("subject", "text") if shown.get(key)}
    fields = {"message": f"M{message}", "channel": channel, "to": to, **said, "at": at.isoformat(timespec="seconds")}
    return dump({"kind": "activity", "fields": fields})


def _files(folder: Path, names: list[str]) -> tuple[Attachment, ...]:
    files = []
    for name in names:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ContentError(f"attachment {name!r} lies outside the profile's folder", hint="move it beside the profile")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ContentError(
                f"attachment {name!r} cannot be read: {error.strerror}", hint="put the file back, then errors retry"
            ) from None
        files.append(Attachment(path.name, content, mimetypes.guess_type(path.name)[0] or "application/octet-stream"))
    return tuple(files)


#: what a payload says of its document -> the file
Shelf = Callable[[Mapping[str, Any]], Attachment]


def message(
    *, reference: str, key: str, to: str, channel: Channel, person: str, payload: Mapping[str, Any], folder: Path, sent_at: datetime,
    shelf: Shelf | None = None,
) -> Message:  # fmt: skip
    """The value a connector gets, made from a queue row; raises ContentError or InvalidMessage where it cannot be made.

    ``shelf`` answers the document that a payload speaks of.
    """
    got = payload.get
    if channel is Channel.EMAIL:
        return Email(
            id=reference, key=key, to=to, person=person, sent_at=sent_at,
            subject=got("subject") or "", text=got("text") or "", html=got("html"), name=got("name") or "",
            sender=got("sender"), reply_to=got("reply_to"), cc=tuple(got("cc") or ()), bcc=tuple(got("bcc") or ()),
            attachments=(
                *((shelf(payload["document"]),) if shelf is not None and got("document") else ()),
                *(_files(folder, payload["attachments"]) if got("attachments") else ()),
            ),
            headers=got("headers") or {}, template=got("template"), params=got("params") or {}, vars=tuple(got("vars") or ()),
        )  # fmt: skip
    if channel is Channel.WEBHOOK:
        at = datetime.fromisoformat(payload["at"]) if got("at") else None
        return Call(id=reference, key=key, to=to, person=person, sent_at=sent_at, type=got("type") or "", data=got("data") or {}, at=at)
    if channel is Channel.ACTION:
        return Action(id=reference, key=key, to=to, person=person, sent_at=sent_at, kind=got("kind") or "", fields=got("fields") or {})
    return Text(
        id=reference, key=key, to=to, channel=channel, person=person, sent_at=sent_at,
        text=got("text") or "", name=got("name") or "", sender=got("sender"), template=got("template"),
        language=got("language") or "", params=got("params") or {}, vars=tuple(got("vars") or ()), extra=got("extra") or {},
    )  # fmt: skip

"""What can leave: frozen values, one recipient each, that refuse line breaks where a header would carry them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from libax_automate.errors import InvalidMessage

#: CR, LF and NUL end a header or a protocol line (RFC 5322 §2.2, RFC 5321 §2.3.8).
_BREAKS = re.compile(r"[\r\n\0]")


class Channel(StrEnum):
    """How a message reaches its recipient."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    #: the list of a run, posted to another application (LX-17)
    WEBHOOK = "webhook"
    #: something done in another application (LX-55, PR-13 …)
    ACTION = "action"


class Status(StrEnum):
    """What a provider said when it took a message."""

    #: the provider holds it and will deliver later
    QUEUED = "queued"
    #: handed over (SMTP 250, HTTP 2xx)
    SENT = "sent"
    #: the provider knows that it arrived
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's acceptance of one message: its own id where it gave one, a word of detail for people."""

    status: Status = Status.SENT
    id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with an e-mail. ``content`` is the bytes; ``name`` is what the recipient sees."""

    name: str
    content: bytes = field(repr=False)
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        one_line("attachment name", self.name)


def one_line(what: str, value: str | None) -> None:
    """Refuse CR, LF and NUL in ``value``; raises InvalidMessage naming ``what``."""
    if value and _BREAKS.search(value):
        raise InvalidMessage(f"{what} holds a line break or NUL", hint="remove it: no header may carry one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One effect for one recipient, as a connector gets it.

    ``id`` is the queue's name for it (``M1042``); ``key`` is its idempotency key, a UUID that stays the same
    for every try of the same send; ``to`` is an address in the channel's own form (RFC 5321 mailbox, E.164
    number, URL). ``sent_at`` is the instant of this attempt, with a zone.
    """

    id: str
    key: str
    to: str
    channel: Channel
    person: str = ""
    sent_at: datetime | None = None

    def __post_init__(self) -> None:
        one_line("recipient", self.to)
        one_line("message id", self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Email(Message):
    """An e-mail (RFC 5322), or the provider's ``template`` filled with ``params`` (named) or ``vars`` (in order)."""

    channel: Channel = Channel.EMAIL
    subject: str = ""
    text: str = ""
    html: str | None = None
    name: str = ""
    sender: str | None = None
    reply_to: str | None = None
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    vars: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # zero-argument super() is unusable in slotted dataclasses on 3.11 (bpo-46414)
        Message.__post_init__(self)
        for what, value in (("subject", self.subject), ("name", self.name), ("sender", self.sender), ("reply_to", self.reply_to)):
            one_line(what, value)
        for address in (*self.cc, *self.bcc):
            one_line("copy recipient", address)
        for header, value in self.headers.items():
            one_line("header name", header)
            one_line(f"header {header!r}", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Message):
    """An SMS or WhatsApp text; or the provider's ``template`` with ``vars`` ({{1}}, {{2}} … in order) or named ``params``."""

    channel: Channel = Channel.SMS
    text: str = ""
    name: str = ""
    sender: str | None = None
    template: str | None = None
    language: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    vars: tuple[str, ...] = ()
    #: a stage's own fields that only its connector understands (IC-26)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Message):
    """A run's list for another application (LX-19): ``type`` is a dotted event name, ``data`` is JSON-ready."""

    channel: Channel = Channel.WEBHOOK
    type: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    #: when it happened, with a zone: the same on every try
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Message):
    """Something to do in another application, on the record ``to``; ``kind`` is one that the connector declares."""

    channel: Channel = Channel.ACTION
    kind: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

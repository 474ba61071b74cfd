"""An :class:`~libax_automate.message.Email` as RFC 5322 bytes, and mailboxes as people write them.

Made of the standard library's own encoders (``Header``, ``b2a_qp``, ``base64``), put together without the ``email`` package's
object tree, which takes several times as long. The bytes are 7-bit clean, so every server takes them.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from email.header import Header
from email.message import Message as _Headers
from email.utils import format_datetime
from functools import lru_cache

from libax_automate.errors import ContentError, InvalidMessage, SetupError
from libax_automate.message import Attachment, Email

_MAILBOX = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^<>"]*?))\s*<(?P<address>[^<>]*)>\s*')
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@]+@[^\s<>()\[\],;:\\\"@]+")
#: characters that need no quotes in a display name (RFC 5322 §3.2.3 atext, and space)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_NOT_ATOM = re.compile(r"[^A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")
#: what ``build`` sets itself, or what would change the shape or the recipients of the message
_OURS = frozenset(
    ["from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"]
)
#: RFC 5322 §2.1.1: 998 octets a line at most, CRLF not counted
_LONGEST = 990


def mailbox(text: str) -> tuple[str, str]:
    """The display name ("" if none) and the address of ``Padaria <geral@example.com>`` or ``geral@example.com``.

    A domain of other letters is answered in ASCII (RFC 5891). Raises InvalidMessage.
    """
    found = _MAILBOX.fullmatch(text)
    name = (found["plain"] or re.sub(r"\\(.)", r"\1", found["quoted"] or "")).strip() if found else ""
    address = (found["address"] if found else text).strip()
    if not _ADDRESS.fullmatch(address):
        raise InvalidMessage(f"{text!r} is not an e-mail address", hint="write name@example.com or Name <name@example.com>")
    return name, address if address.isascii() else _ascii_domain(address)


def _ascii_domain(address: str) -> str:
    import idna

    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        raise InvalidMessage(f"{address!r} is not an e-mail address: its domain has no ASCII form", hint="correct the address") from None


def _encoded(text: str, room: int) -> str:
    """A header's text: as it is where it may stand, else in encoded words (RFC 2047), folded. ``room`` is left on the first line."""
    if text.isascii() and len(text) <= room and "=?" not in text:
        return text
    plain = text.isascii() and "=?" not in text
    return Header(text, "us-ascii" if plain else "utf-8", maxlinelen=76).encode(splitchars=" ", linesep="\r\n", maxlinelen=76)


@lru_cache(maxsize=256)
def _from(sender: str) -> str:
    return _person(*mailbox(sender))


def _person(name: str, address: str) -> str:
    if not name:
        return address
    if name.isascii() and len(name) <= 60 and "=?" not in name:
        shown = name if _ATOMS.fullmatch(name) else '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    else:
        shown = Header(name, "utf-8", maxlinelen=70).encode(linesep="\r\n")
    return f"{shown} <{address}>" if len(shown) + len(address) < 70 else f"{shown}\r\n <{address}>"


def _body(kind: str, text: str) -> bytes:
    """A text part with its headers."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if not lines.endswith("\n"):
        lines += "\n"
    if lines.isascii() and "\0" not in lines and (len(lines) <= _LONGEST or max(map(len, lines.split("\n"))) <= _LONGEST):
        return f'Content-Type: text/{kind}; charset="us-ascii"\r\n\r\n'.encode() + lines.replace("\n", "\r\n").encode("ascii")
    data = lines.encode("utf-8", "replace")
    if len(data) > 2 * len(lines):  # mostly letters beyond Latin: base64 is shorter
        coding, body = "base64", base64.encodebytes(data.replace(b"\n", b"\r\n"))
    else:
        coding, body = "quoted-printable", binascii.b2a_qp(data, istext=True)
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {coding}\r\n\r\n'
    return head.encode() + body.replace(b"\n", b"\r\n")


def _file(attachment: Attachment) -> bytes:
    kind = attachment.media_type
    if not _MEDIA_TYPE.fullmatch(kind) or kind.lower().startswith(("message/", "multipart/")):  # these may not be base64 (RFC 2046)
        kind = "application/octet-stream"
    headers = _Headers()
    name = attachment.name
    headers.add_header("Content-Disposition", "attachment", filename=name if name.isascii() else ("utf-8", "", name))
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: {headers['Content-Disposition']}\r\n\r\n"
    return head.encode() + base64.encodebytes(attachment.content).replace(b"\n", b"\r\n")


def _multipart(kind: str, parts: list[bytes], boundary: str) -> bytes:
    # "=_" stands in no quoted-printable or base64 text; in plain text it may
    while any(boundary.encode() in part for part in parts):
        boundary += "_"
    line = f"--{boundary}\r\n".encode()
    inner = b"".join(line + part + (b"" if part.endswith(b"\r\n") else b"\r\n") for part in parts)
    return f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode() + inner + f"--{boundary}--\r\n".encode()


def message_id(email: Email, domain: str) -> str:
    """``<M1042.KEY@domain>``: the same for every try of the same send."""
    return f"<{_NOT_ATOM.sub('-', email.id)}.{_NOT_ATOM.sub('-', email.key)}@{domain}>"


def build(email: Email, *, sender: str, date: datetime, message_id_domain: str = "") -> bytes:
    """The message as RFC 5322 bytes: CRLF line ends, 7-bit clean but for addresses that are not ASCII (RFC 6532).

    ``sender`` serves where the message names none; ``date`` carries a zone; ``message_id_domain`` is the sender's unless given.
    BCC recipients are in no header. ``Auto-Submitted: auto-generated`` (RFC 3834) is set unless the message's own headers say
    otherwise. The same arguments give the same bytes. Raises InvalidMessage, ContentError, SetupError.
    """
    if email.template is not None and not (email.text or email.html):
        raise SetupError(
            f"template {email.template!r} lies with a provider, and this app writes messages itself",
            hint="give the model subject and text, or an app that has templates",
        )
    if not (email.text or email.html):
        raise ContentError("the message is empty: no text and no html", hint="give the model a text")
    author = email.sender or sender
    domain = message_id_domain or mailbox(author)[1].rpartition("@")[2]
    lines = [f"From: {_from(author)}", f"To: {_person(email.name, mailbox(email.to)[1])}"]
    if email.cc:
        lines.append("Cc: " + ",\r\n ".join(_person(*mailbox(copy)) for copy in email.cc))
    if email.reply_to:
        lines.append(f"Reply-To: {_from(email.reply_to)}")
    lines += (f"Subject: {_encoded(email.subject, 68)}", f"Date: {format_datetime(date)}", f"Message-ID: {message_id(email, domain)}")
    automatic = True
    for name, value in email.headers.items():
        if name.lower() in _OURS or not _FIELD_NAME.fullmatch(name):
            raise InvalidMessage(f"header {name!r} may not be set by hand", hint="leave it out: the message's own fields say it")
        automatic = automatic and name.lower() != "auto-submitted"
        lines.append(f"{name}: {_encoded(value, 74 - len(name))}")
    if automatic:
        lines.append("Auto-Submitted: auto-generated")
    lines.append("MIME-Version: 1.0\r\n")
    mark = _NOT_ATOM.sub("", email.key)[:40]
    bodies = [_body(kind, text) for kind, text in (("plain", email.text), ("html", email.html)) if text]
    body = _multipart("alternative", bodies, f"=_a{mark}") if len(bodies) > 1 else bodies[0]
    if email.attachments:
        body = _multipart("mixed", [body, *map(_file, email.attachments)], f"=_m{mark}")
    return "\r\n".join(lines).encode() + body

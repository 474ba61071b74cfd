"""Messages as Brevo's requests: one e-mail, a batch of versions of one, an SMS, a WhatsApp message."""

from __future__ import annotations

import base64
import html
import json
import uuid
from collections.abc import Sequence
from typing import Any

import libax_automate as ax
from libax_automate.mime import mailbox

#: recipients of one version, and of one request
VERSION_RECIPIENTS, REQUEST_RECIPIENTS = 99, 2000
#: bytes of one version's params, and of all of a request
VERSION_PARAMS, REQUEST_PARAMS = 100_000, 1_000_000
#: what a version says in words of its own
_WORDING = ("subject", "htmlContent", "textContent")
#: a display name longer than this is refused
_NAME = 70
#: characters that an SMS carries without going Unicode: 3GPP TS 23.038, default alphabet and extension
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)


def shared(message: ax.Email, sender: str | None) -> dict[str, Any]:
    """What a request says once: template, sender, attachments, headers. Messages that differ in it go in different requests."""
    body: dict[str, Any] = {}
    if message.template:
        body["templateId"] = number(message.template, "template")
    if author := message.sender or sender:
        body["sender"] = _person(author)
    elif not message.template:
        raise ax.SetupError("no sender is set", hint='add sender = "geral@example.com", one of the senders in Brevo, to the app (LX-78)')
    if message.headers:
        body["headers"] = dict(message.headers)
    if message.attachments:
        body["attachment"] = [
            {"name": file.name, "content": base64.b64encode(file.content).decode("ascii")} for file in message.attachments
        ]
    return body


def version(message: ax.Email) -> dict[str, Any]:
    """What each recipient has for himself."""
    try:
        to = _person(message.to, message.name)
    except ax.ContentError as error:
        raise ax.RecipientError(error.message, hint=error.hint) from None
    body: dict[str, Any] = {"to": [to]}
    for field, copies in (("cc", message.cc), ("bcc", message.bcc)):
        if copies:
            body[field] = [_person(copy) for copy in copies]
    if 1 + len(message.cc) + len(message.bcc) > VERSION_RECIPIENTS:
        raise ax.ContentError(f"Brevo takes {VERSION_RECIPIENTS} recipients of one message, copies included", hint="write to fewer copies")
    if message.reply_to:
        body["replyTo"] = _person(message.reply_to)
    if message.vars:
        raise ax.SetupError("Brevo's templates have named values, and vars are in order", hint='write params = { NAME = "…" } instead')
    if message.params:
        body["params"] = dict(message.params)
        if _size(body["params"]) > VERSION_PARAMS:
            raise ax.ContentError(f"the values of the template are more than {VERSION_PARAMS:,} bytes", hint="send less in params")
    if message.subject:
        body["subject"] = message.subject
    if not message.template:
        # Brevo asks for HTML where there is no template; a text without any is shown as it was written
        body["htmlContent"] = message.html or f'<div style="white-space:pre-wrap">{html.escape(message.text)}</div>'
        if message.text:
            body["textContent"] = message.text
    return body


def email(message: ax.Email, sender: str | None) -> dict[str, Any]:
    """One e-mail."""
    body = shared(message, sender) | version(message)
    body["headers"] = {**body.get("headers", {}), "idempotencyKey": message.key}
    return body


def batch(messages: Sequence[ax.Email], sender: str | None) -> dict[str, Any]:
    """Many e-mails that have the same :func:`shared` part; the first one's wording is what the others depart from.

    The key is made from the messages' own: the same batch has the same, any other has another (RFC 9562, version 5).
    """
    body = shared(messages[0], sender)
    versions = [version(message) for message in messages]
    if sum(len(one["to"]) + len(one.get("cc", ())) + len(one.get("bcc", ())) for one in versions) > REQUEST_RECIPIENTS:
        raise ax.ContentError(f"Brevo takes {REQUEST_RECIPIENTS} recipients with one request, copies included")
    if sum(_size(one["params"]) for one in versions if "params" in one) > REQUEST_PARAMS:
        raise ax.ContentError(f"the values of the template are more than {REQUEST_PARAMS:,} bytes for all messages together")
    common: dict[str, Any] = {field: versions[0][field] for field in _WORDING if field in versions[0]}
    if any([field for field in _WORDING if field in one] != list(common) for one in versions):
        # a version that lacks one would get another person's
        raise ax.ContentError("messages with and without subject, text or HTML cannot share one request")
    for one in versions:
        if all(one[field] == value for field, value in common.items()):
            for field in common:
                del one[field]
    body |= common
    key = uuid.uuid5(uuid.NAMESPACE_OID, "\n".join(message.key for message in messages))
    body["headers"] = {**body.get("headers", {}), "idempotencyKey": str(key)}
    body["messageVersions"] = versions
    return body


def sms(message: ax.Text, sender: str, kind: str) -> dict[str, Any]:
    """One SMS. The tag is our name for it, which Brevo's events repeat."""
    body: dict[str, Any] = {"sender": message.sender or sender, "recipient": digits(message.to), "type": kind, "tag": message.id}
    if message.template:
        body["templateId"] = number(message.template, "template")
        if message.params:
            body["params"] = dict(message.params)
    else:
        body["content"] = message.text
        body["unicodeEnabled"] = not _GSM.issuperset(message.text)
    return body


def whatsapp(message: ax.Text, sender: str) -> dict[str, Any]:
    """One WhatsApp message: a template, or a text to somebody who has written within the last day."""
    body: dict[str, Any] = {"senderNumber": digits(message.sender or sender), "contactNumbers": [digits(message.to)]}
    if not message.template:
        return {**body, "text": message.text}
    body["templateId"] = number(message.template, "template")
    if message.vars:
        raise ax.SetupError("Brevo's templates have named values, and vars are in order", hint='write params = { NAME = "…" } instead')
    if message.params:
        body["params"] = dict(message.params)
    return body


def number(text: str, what: str) -> int:
    """A number that Brevo gave; raises SetupError for anything else."""
    if not (text.isascii() and text.isdecimal()):
        raise ax.SetupError(f"Brevo knows a {what} by its number, not as {text!r}", hint="automate apps templates shows the numbers")
    return int(text)


def digits(phone: str) -> str:
    """A number with its country code and without the plus sign."""
    return phone.removeprefix("+")


def _person(text: str, name: str = "") -> dict[str, str]:
    try:
        own, address = mailbox(text)
    except ax.InvalidMessage as error:
        raise ax.ContentError(error.message, hint=error.hint) from None
    shown = (name or own)[:_NAME]
    return {"email": address, "name": shown} if shown else {"email": address}


def _size(params: dict[str, str]) -> int:
    return len(json.dumps(params, ensure_ascii=False).encode())

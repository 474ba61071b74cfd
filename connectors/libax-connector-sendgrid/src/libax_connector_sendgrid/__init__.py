"""SendGrid: e-mail with dynamic templates, up to a thousand with one call."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_automate.mime import mailbox
from libax_automate.paging import rows_at, walk

#: recipients of one request, copies included
_RECIPIENTS = 1000
_IDENTITY = "https://app.sendgrid.com/settings/sender_auth"


class SendgridOptions(ax.Options):
    """What a profile says about an app of this connector."""

    api_key: ax.Secret = Field(description="API key, begins with SG.")
    sender: str = Field(description="From: a verified sender, geral@example.com or Padaria <geral@example.com>")
    base_url: str = Field("https://api.sendgrid.com", description="https://api.eu.sendgrid.com for EU subusers; or a test server")

    @field_validator("sender")
    @classmethod
    def _is_mailbox(cls, value: str) -> str:
        try:
            mailbox(value)
        except ax.InvalidMessage as error:
            raise ValueError(error.message) from None
        return value


class Sendgrid(ax.Sender[SendgridOptions, ax.Email]):
    """One request per e-mail or per batch; SendGrid takes all of a request or none of it."""

    name = "sendgrid"
    title = "SendGrid: e-mail with dynamic templates"
    capabilities = frozenset({ax.Capability.EMAIL, ax.Capability.TEMPLATES, ax.Capability.BATCH, ax.Capability.ATTACHMENTS})
    credentials = (
        "1. In SendGrid, under *Settings → Sender Authentication*, authenticate the domain or verify the sender.\n"
        "2. Under *Settings → API Keys*, create a key with the access *Mail Send* (and *Template Engine → Read* for"
        " `automate check --connect`). It is shown once; keep it outside the profile:\n\n"
        '```toml\n[apps.sendgrid]\nconnector = "sendgrid"\napi_key   = { env = "SENDGRID_KEY" }\nsender    = "geral@example.com"\n```'
    )
    limits = "1,000 recipients and 30 MB a request; no limit is published for sending, others answer 429."
    verified = "the vendor's OpenAPI documents (mail send, templates)"
    unverified = (
        "1,000 recipients a request, copies included, and 30 MB",
        "the field names in refusals, by which recipient, sender and template are told apart",
        "whether a restricted key may ask for its scopes",
    )
    default_rate = "10/s"
    batch_size = _RECIPIENTS

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        key = self.options.api_key.get_secret_value()
        self.api = ApiClient(
            self.options.base_url,
            headers={"Authorization": f"Bearer {key}"},
            secrets=[key],
            allow_private=self.place.allow_private,
            max_body=16 << 20,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """The key works, and may send."""
        reply = self._get("/v3/scopes", {})
        scopes = reply.data()
        granted = scopes.get("scopes") if isinstance(scopes, Mapping) else None
        if isinstance(granted, list) and "mail.send" not in granted:
            raise ax.AccountError("the API key may not send mail", hint="give it the access Mail Send, under Settings → API Keys")

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """The dynamic templates; active means that one of its versions is."""
        return iter(()) if channel not in {None, ax.Channel.EMAIL} else walk(self._templates, "")

    def _templates(self, token: str) -> tuple[list[ax.Template], str | None]:
        page = self._get("/v3/templates", {"generations": "dynamic", "page_size": 200, "page_token": token or None}).data()
        rows = [row for row in rows_at(page, "result") if isinstance(row, Mapping) and row.get("id")]
        meta = page.get("_metadata")
        following = parse_qs(urlsplit(str(meta.get("next") or "")).query).get("page_token") if isinstance(meta, Mapping) else None
        return [_template(row) for row in rows], following[0] if following else None

    def send(self, message: ax.Email) -> ax.Receipt:
        """Hand over one e-mail."""
        return self._post([message])

    def batch_group(self, message: ax.Email) -> Hashable:
        """All that a request says once: what is said in own words is the same for all of its recipients."""
        words = () if message.template else (message.text, message.html)
        headers = tuple(sorted(message.headers.items()))
        return message.template, message.sender, message.reply_to, message.attachments, headers, bool(message.subject), words

    def send_batch(self, messages: Sequence[ax.Email]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        """Hand over many with one call; SendGrid names one id for all of them."""
        if len({self.batch_group(message) for message in messages}) > 1:
            raise ax.ContentError("messages that differ in template, sender or own words cannot share one request")
        return [self._post(messages)] * len(messages)

    def _post(self, messages: Sequence[ax.Email]) -> ax.Receipt:
        reply = self.api.post("/v3/mail/send", json=_body(messages, self.options.sender), classify=False)
        if not 200 <= reply.status < 300:
            raise _refusal(self.api, reply, "POST")
        return ax.Receipt(ax.Status.QUEUED, reply.headers.get("x-message-id") or None)

    def _get(self, path: str, query: dict[str, Any]) -> Reply:
        reply = self.api.get(path, query=query, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise _refusal(self.api, reply, "GET", safe=True)
        return reply


def _body(messages: Sequence[ax.Email], sender: str) -> dict[str, Any]:
    first = messages[0]
    body: dict[str, Any] = {
        "personalizations": [_personalization(message) for message in messages],
        "from": _person(first.sender or sender),
    }
    if sum(1 + len(message.cc) + len(message.bcc) for message in messages) > _RECIPIENTS:
        raise ax.ContentError(f"SendGrid takes {_RECIPIENTS} recipients with one request, copies included")
    if first.reply_to:
        body["reply_to"] = _person(first.reply_to)
    if first.template:
        body["template_id"] = first.template
    else:
        # the plain text stands first, and neither may be empty
        parts = (("text/plain", first.text), ("text/html", first.html))
        body["content"] = [{"type": kind, "value": value} for kind, value in parts if value]
        if not body["content"]:
            raise ax.ContentError("the message is empty", hint="write a text")
    if first.attachments:
        body["attachments"] = [
            {"filename": file.name, "type": file.media_type, "content": base64.b64encode(file.content).decode("ascii")}
            for file in first.attachments
        ]
    return body


def _personalization(message: ax.Email) -> dict[str, Any]:
    """What each recipient has for himself; ``custom_args`` come back with every event of SendGrid's."""
    try:
        one: dict[str, Any] = {"to": [_person(message.to, message.name)]}
    except ax.ContentError as error:
        raise ax.RecipientError(error.message, hint=error.hint) from None
    for field, copies in (("cc", message.cc), ("bcc", message.bcc)):
        if copies:
            one[field] = [_person(copy) for copy in copies]
    if message.subject:
        one["subject"] = message.subject
    if message.headers:
        one["headers"] = dict(message.headers)
    if message.vars:
        raise ax.SetupError("SendGrid's templates have named values, and vars are in order", hint='write params = { NAME = "…" } instead')
    if message.template and message.params:
        one["dynamic_template_data"] = dict(message.params)
    one["custom_args"] = {"automate_id": message.id, "automate_key": message.key}
    return one


def _person(text: str, name: str = "") -> dict[str, str]:
    try:
        own, address = mailbox(text)
    except ax.InvalidMessage as error:
        raise ax.ContentError(error.message, hint=error.hint) from None
    return {"email": address, "name": name or own} if name or own else {"email": address}


def _template(row: Mapping[str, Any]) -> ax.Template:
    versions = [one for one in row.get("versions") or () if isinstance(one, Mapping)]
    active = next((one for one in versions if one.get("active") == 1), None)
    return ax.Template(str(row["id"]), str(row.get("name") or ""), active is not None, text=str((active or {}).get("subject") or ""))


def _refusal(client: ApiClient, reply: Reply, method: str, *, safe: bool = False) -> ax.ConnectorError:
    """What a refusal means, by its status and by the field that it names."""
    plain = client.refusal(reply, method, safe=safe)
    if reply.status not in {400, 403, 404}:
        return plain
    for field, message in _told(reply):
        if "Sender Identity" in message or field == "from" or field.startswith("from."):
            return plain.recast(ax.SetupError, hint=f"verify the sender, or authenticate its domain: {_IDENTITY}")
        if field == "template_id" or "template" in message.lower():
            return plain.recast(ax.SetupError, hint="a dynamic template with an active version: automate apps templates shows them")
        if field.startswith("personalizations") and any(part in {"to", "cc", "bcc", "email"} for part in field.split(".")):
            return plain.recast(ax.RecipientError, hint="correct the address")
    return plain


def _told(reply: Reply) -> Iterator[tuple[str, str]]:
    try:
        body = reply.json()
    except ValueError:
        return
    errors = body.get("errors") if isinstance(body, Mapping) else None
    for one in errors if isinstance(errors, list) else ():
        if isinstance(one, Mapping):
            yield str(one.get("field") or ""), str(one.get("message") or "")


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Sendgrid]

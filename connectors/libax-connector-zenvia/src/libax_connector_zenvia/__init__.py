"""Zenvia: SMS and WhatsApp, with its templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_automate.paging import rows_at, walk

#: rows of a page of templates
_PAGE = 500
_CHANNELS = {ax.Channel.SMS: "SMS", ax.Channel.WHATSAPP: "WHATSAPP"}


class ZenviaOptions(ax.Options):
    """What a profile says about an app of this connector."""

    token: ax.Secret = Field(description="API token (X-API-TOKEN)")
    sms_sender: str | None = Field(
        None, min_length=1, max_length=64, description="the sender or integration that SMS come from; turns SMS on"
    )
    whatsapp_sender: str | None = Field(
        None, min_length=1, max_length=64, description="the number that WhatsApp messages come from; turns WhatsApp on"
    )
    base_url: str = Field("https://api.zenvia.com/v2", description="where the API is; for a test server")


class Zenvia(ax.Sender[ZenviaOptions, ax.Text]):
    """One request per message; Zenvia has no key against doing it twice, and no call that tells what it has."""

    name = "zenvia"
    title = "Zenvia: SMS and WhatsApp, with its templates"
    capabilities = frozenset({ax.Capability.SMS, ax.Capability.WHATSAPP, ax.Capability.TEMPLATES})
    credentials = (
        "In the [Zenvia console](https://app.zenvia.com), under *Developers → Tokens and webhooks*, create a token. The senders of SMS and WhatsApp"
        " are listed under *Developers → Sandbox / Senders*. Keep the token outside the profile:\n\n"
        '```toml\n[apps.zenvia]\nconnector       = "zenvia"\ntoken           = { env = "ZENVIA_TOKEN" }\nwhatsapp_sender = "5511900000000"\n```'
    )
    limits = "None are published."
    verified = "the vendor's OpenAPI document (v2)"
    unverified = (
        "rate limits: none are published",
        "how refusals name the field they mean, by which recipient, sender and template are told apart",
        "whether a message that ended in a 500 was taken: the documentation only calls it worth another try, so it is in doubt",
        "where in the console tokens and senders are",
    )
    default_rate = "5/s"

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.base_url, headers={"X-API-TOKEN": self.options.token}, allow_private=self.place.allow_private, max_body=8 << 20
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def offers(self) -> frozenset[ax.Capability]:
        """SMS and WhatsApp only where a sender is set for them."""
        able = {ax.Capability.SMS: self.options.sms_sender, ax.Capability.WHATSAPP: self.options.whatsapp_sender}
        return self.capabilities - {capability for capability, sender in able.items() if not sender}

    def check(self) -> None:
        """The token works."""
        self._get({"size": 1})

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """The templates of SMS and WhatsApp; active means approved."""
        for one in _CHANNELS if channel is None else {channel} & _CHANNELS.keys():
            yield from self._templates(one)

    def _templates(self, channel: ax.Channel) -> Iterator[ax.Template]:
        seen: set[str] = set()

        def page(number: int) -> tuple[list[ax.Template], int | None]:
            rows = rows_at(self._get({"channel": _CHANNELS[channel], "page": number, "size": _PAGE}).data())
            fresh = [row for row in rows if isinstance(row, Mapping) and row.get("id") and row["id"] not in seen]
            seen.update(str(row["id"]) for row in fresh)
            # a full page without anything new names itself as the next: walk() takes that for the circle that it is
            return [_template(row, channel) for row in fresh], None if len(rows) < _PAGE else number + bool(fresh)

        return walk(page, 1)

    def send(self, message: ax.Text) -> ax.Receipt:
        """Hand over one message; ``externalId`` is our name for it, which Zenvia's events repeat."""
        if message.channel not in _CHANNELS:
            raise ax.SetupError(f"zenvia does not send {message.channel}", hint="it sends sms and whatsapp")
        option = f"{message.channel}_sender"
        sender = message.sender or getattr(self.options, option)
        if not sender:
            raise ax.SetupError(f"no sender of {message.channel} is set", hint=f"add {option} to the app")
        body = {"from": _digits(sender), "to": _digits(message.to), "externalId": message.id, "contents": [_content(message)]}
        reply = self.api.post(f"/channels/{message.channel}/messages", json=body, classify=False)
        if not 200 <= reply.status < 300:
            raise _refusal(self.api, reply, "POST")
        return ax.Receipt(ax.Status.QUEUED, reply.id_at("id"))

    def _get(self, query: dict[str, Any]) -> Reply:
        reply = self.api.get("/templates", query=query, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise _refusal(self.api, reply, "GET", safe=True)
        return reply


def _content(message: ax.Text) -> dict[str, Any]:
    if not message.template:
        return {"type": "text", "text": message.text}
    if message.vars:
        raise ax.SetupError("Zenvia's templates have named values, and vars are in order", hint='write params = { name = "…" } instead')
    return {"type": "template", "templateId": message.template, "fields": dict(message.params)}


def _digits(number: str) -> str:
    """A number with its country code and without the plus sign; a name as it is."""
    return number.removeprefix("+")


def _template(row: Mapping[str, Any], channel: ax.Channel) -> ax.Template:
    fields = row.get("fields")
    return ax.Template(
        str(row["id"]),
        str(row.get("name") or ""),
        row.get("status") == "APPROVED",
        channel,
        text=str(row.get("text") or ""),
        language=str(row.get("locale") or ""),
        variables=tuple(map(str, fields)) if isinstance(fields, list) else None,
    )


def _refusal(client: ApiClient, reply: Reply, method: str, *, safe: bool = False) -> ax.ConnectorError:
    """What a refusal means, by its status and by the fields that it names."""
    plain = client.refusal(reply, method, safe=safe)
    try:
        body = reply.json()
    except ValueError:
        return plain
    if not isinstance(body, Mapping):
        return plain
    code = str(body.get("code") or "")
    details = body.get("details")
    if reply.status in {400, 404, 422}:
        for detail in details if isinstance(details, list) else ():
            path = str(detail.get("path") or "") if isinstance(detail, Mapping) else ""
            parts = path.replace("/", ".").strip(".").split(".")
            if parts[-1] == "to":
                return plain.recast(ax.RecipientError, code=code, hint="correct the number, or leave this person out")
            if parts[-1] == "from":
                return plain.recast(ax.SetupError, code=code, hint="set a sender that this account has: sms_sender, whatsapp_sender")
            if "templateId" in parts:
                return plain.recast(ax.SetupError, code=code, hint="automate apps templates shows the templates that there are")
    return plain.recast(type(plain), code=code)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Zenvia]

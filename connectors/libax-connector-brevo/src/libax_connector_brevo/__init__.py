"""Brevo: e-mail (its templates, batches of a thousand), SMS, WhatsApp, and its contact lists as actions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_automate.mime import mailbox
from libax_connector_brevo import contact, payload
from libax_connector_brevo.account import Account
from libax_connector_brevo.verdict import is_repeat, refusal


class BrevoOptions(ax.Options):
    """What a profile says about an app of this connector."""

    api_key: ax.Secret = Field(description="API key (v3), begins with xkeysib-")
    sender: str | None = Field(None, description="From: one of the senders in Brevo, geral@example.com or Padaria <geral@example.com>")
    sms_sender: str | None = Field(None, pattern=r"^([A-Za-z0-9 ]{1,11}|\+?[0-9]{1,15})$", description="who SMS come from; turns SMS on")
    sms_type: Literal["transactional", "marketing"] = Field(
        "transactional", description="marketing obeys opt-outs and quiet hours of Brevo"
    )
    whatsapp_sender: str | None = Field(
        None, pattern=r"^\+?[0-9]{6,15}$", description="the WhatsApp number to send from; turns WhatsApp on"
    )
    own_domain: bool = Field(default=True, description="false where the sender's domain is not yours to authenticate (gmail.com)")
    base_url: str = Field("https://api.brevo.com/v3", description="where the API is; for a test server")

    @field_validator("sender")
    @classmethod
    def _is_mailbox(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                mailbox(value)
            except ax.InvalidMessage as error:
                raise ValueError(error.message) from None
        return value


class Brevo(ax.Sender[BrevoOptions, ax.Message], ax.Actor[BrevoOptions]):
    """One request per message or per batch of e-mails; what Brevo refuses, and why, decides the class of the error."""

    name = "brevo"
    title = "Brevo: e-mail, SMS and WhatsApp, with its templates and contact lists"
    capabilities = frozenset(
        {
            *(ax.Capability.EMAIL, ax.Capability.SMS, ax.Capability.WHATSAPP, ax.Capability.ACTIONS, ax.Capability.TEMPLATES),
            *(ax.Capability.BATCH, ax.Capability.IDEMPOTENCY_KEY, ax.Capability.BALANCE, ax.Capability.ATTACHMENTS),
        }
    )
    credentials = (
        "1. In Brevo, under *Senders, domains, IPs*, create the sender and authenticate its domain (LX-75).\n"
        "2. Under *Security → Authorised IPs*, add the address of the machine that sends, or deactivate the blocking (LX-76).\n"
        "3. Under *SMTP & API → API keys*, generate a key (LX-77). Keep it outside the profile:\n\n"
        '```toml\n[apps.brevo]\nconnector = "brevo"\napi_key   = { env = "BREVO_KEY" }\nsender    = "geral@example.com"\n```\n\n'
        '4. A template must be *active* to be sent; a model names it by its number: `template = "12"` (LX-74, LX-79).'
    )
    limits = (
        "E-mail 1,000 requests a second, 100 a minute with batches (1,000 messages, 2,000 recipients, 1 MB of template values each); SMS 150 a"
        " second; contacts 10 a second; every other call 100 an hour, so senders, domains and templates are remembered for ten minutes."
    )
    verified = "the vendor's OpenAPI document (v3) and its published pages on batches, keys, limits and domains"
    unverified = (
        "the words of refusals for an IP address, a template or a sender: told apart by the words in the message",
        "what an SMS or WhatsApp message to an opted-out number is answered with",
        "whether a request of a thousand long HTML versions has a size limit",
        "text on WhatsApp: the document asks for a field authType that it does not explain, and it is not sent",
    )
    default_rate = "10/s"
    batch_size = 1000
    batch_channels = frozenset({ax.Channel.EMAIL})
    key_channels = frozenset({ax.Channel.EMAIL})
    idempotency_ttl = timedelta(minutes=30)
    actions: ClassVar[Mapping[str, str]] = contact.ACTIONS

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.base_url, headers={"api-key": self.options.api_key}, allow_private=self.place.allow_private, max_body=16 << 20
        )
        self.account = Account(self.api)

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def offers(self) -> frozenset[ax.Capability]:
        """SMS and WhatsApp only where a sender is set for them."""
        without = {
            capability
            for capability, sender in (
                (ax.Capability.SMS, self.options.sms_sender),
                (ax.Capability.WHATSAPP, self.options.whatsapp_sender),
            )
            if not sender
        }
        return self.capabilities - without

    def check(self) -> None:
        """The key works from this address, and the sender may send: active, its domain authenticated."""
        self.account.prove()
        if self.options.sender:
            self.account.prove_sender(mailbox(self.options.sender)[1], own_domain=self.options.own_domain)

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """E-mail templates, inactive ones included (LX-79), and WhatsApp's where WhatsApp is on."""
        if channel in {None, ax.Channel.EMAIL}:
            yield from self.account.email_templates()
        if channel is ax.Channel.WHATSAPP or (channel is None and self.options.whatsapp_sender):
            yield from self.account.whatsapp_templates()

    def balance(self) -> Decimal | None:
        """E-mails left in all plans of the account; None where Brevo names no plan."""
        return self.account.credits()

    def send(self, message: ax.Message) -> ax.Receipt:
        """Hand over one message."""
        if isinstance(message, ax.Email):
            return self._email(payload.email(message, self.options.sender))[0]
        if not isinstance(message, ax.Text) or message.channel not in {ax.Channel.SMS, ax.Channel.WHATSAPP}:
            raise ax.SetupError(f"brevo does not send {message.channel}", hint="it sends email, sms and whatsapp")
        if message.channel is ax.Channel.SMS:
            if not self.options.sms_sender:
                raise ax.SetupError("no sender of SMS is set", hint='add sms_sender = "PADARIA" to the app')
            body = payload.sms(message, payload.digits(self.options.sms_sender), self.options.sms_type)
            return ax.Receipt(ax.Status.QUEUED, self._post("/transactionalSMS/send", body).id_at("messageId"))
        if not self.options.whatsapp_sender:
            raise ax.SetupError("no sender of WhatsApp messages is set", hint="add whatsapp_sender, the number in Brevo, to the app")
        reply = self._post("/whatsapp/sendMessage", payload.whatsapp(message, self.options.whatsapp_sender))
        return ax.Receipt(ax.Status.QUEUED, reply.id_at("messageId"))

    def batch_group(self, message: ax.Message) -> Hashable:
        """Template, sender, headers and attachments: a request says them once for all of its messages. And what they have words for."""
        assert isinstance(message, ax.Email)
        worded = bool(message.subject), bool(message.text)
        return message.template, message.sender, tuple(sorted(message.headers.items())), message.attachments, worded

    def send_batch(self, messages: Sequence[ax.Message]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        """Hand over many e-mails with one call; Brevo takes all or none, and names each one's id."""
        emails = [message for message in messages if isinstance(message, ax.Email)]
        if len(emails) != len(messages):
            raise ax.SetupError("Brevo takes batches of e-mails only", hint="send the others one by one")
        return self._email(payload.batch(emails, self.options.sender), len(emails))

    def act(self, action: ax.Action) -> ax.Receipt:
        """Put a contact on lists or off them, or write its attributes."""
        method, path, body = contact.request(action)
        reply = self.api.request(method, path, json=body, classify=False)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply, method)
        return ax.Receipt(id=reply.id_at("id"))

    def _email(self, body: dict[str, Any], count: int = 1) -> list[ax.Receipt]:
        reply = self.api.post("/smtp/email", json=body, classify=False)
        if is_repeat(reply):
            return [ax.Receipt(ax.Status.QUEUED, detail="Brevo has had it before under this key")] * count
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply)
        if count == 1 and "messageVersions" not in body:
            return [ax.Receipt(ax.Status.QUEUED, reply.id_at("messageId"))]
        return [ax.Receipt(ax.Status.QUEUED, name) for name in _ids(reply, count)]

    def _post(self, path: str, body: dict[str, Any]) -> Reply:
        reply = self.api.post(path, json=body, classify=False)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply)
        return reply


def _ids(reply: Reply, count: int) -> list[str | None]:
    """The ids of a batch, in its order; None where they cannot be told: they were accepted all the same."""
    try:
        found = reply.json()["messageIds"]
    except (ValueError, LookupError, TypeError):
        found = None
    if not isinstance(found, list) or len(found) != count:
        return [None] * count
    return [name if isinstance(name, str) and name else None for name in found]


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Brevo]

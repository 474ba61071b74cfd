"""Mailchimp: members of its audiences as contacts, one by one as actions, and a run's list in calls of five hundred."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_connector_mailchimp import member
from libax_connector_mailchimp.reading import Reader
from libax_connector_mailchimp.verdict import refusal

_CENTRE = re.compile(r"-([a-z]{2,4}[0-9]{1,3})$")


class MailchimpOptions(ax.Options):
    """What a profile says about an app of this connector."""

    api_key: ax.Secret = Field(description="API key; ends with its data centre, such as -us21")
    audience: str | None = Field(
        None, pattern="^[0-9A-Za-z]{4,32}$", description="id of the audience (list) that is meant where an action names none"
    )
    status_if_new: Literal["subscribed", "pending", "transactional", "unsubscribed"] = Field(
        "subscribed", description="what a new member becomes; pending asks him by e-mail first"
    )
    update_existing: bool = Field(
        default=False, description="a run's list also writes members already there, and subscribes again those that you took off"
    )
    fields: dict[str, str] = Field(
        default_factory=lambda: {"first_name": "FNAME", "last_name": "LNAME"},
        description='our field = "merge field": { first_name = "FNAME", last_name = "LNAME", mobile = "PHONE" }',
    )
    base_url: str | None = Field(None, description="where the API is; for a test server. Without it the key tells")

    @model_validator(mode="after")
    def _has_a_centre(self) -> MailchimpOptions:
        if self.base_url is None and not _CENTRE.search(self.api_key.get_secret_value()):
            raise ValueError("api_key does not end with its data centre, such as -us21: copy the whole key")
        return self

    @property
    def address(self) -> str:
        """Where the API is."""
        found = _CENTRE.search(self.api_key.get_secret_value())
        return self.base_url or f"https://{found[1] if found else 'us1'}.api.mailchimp.com/3.0"


class Mailchimp(ax.Sender[MailchimpOptions, ax.Call], ax.Actor[MailchimpOptions], ax.Source[MailchimpOptions]):
    """Members go by the MD5 of their address, so doing the same twice is doing it once."""

    name = "mailchimp"
    title = "Mailchimp: audiences, their members and tags"
    capabilities = frozenset({ax.Capability.WEBHOOK, ax.Capability.ACTIONS, ax.Capability.SOURCE})
    credentials = (
        "1. In Mailchimp, under *Account & billing → Extras → API keys*, create a key. Keep it outside the profile:\n\n"
        '```toml\n[apps.mailchimp]\nconnector = "mailchimp"\napi_key   = { env = "MAILCHIMP_KEY" }\naudience  = "a1b2c3d4e5"\n```\n\n'
        "2. The id of an audience stands under *Audience → Settings → Audience name and defaults*."
    )
    limits = "Ten connections at once; 500 members with one call. `move` is done by Mailchimp in the background, after its answer."
    verified = "the vendor's OpenAPI document (Marketing API 3.0.55)"
    unverified = (
        "the words of refusals: told apart by the words in the message",
        "ten connections at once",
        "what became of a move: Mailchimp does both halves later, and its answer names only the batch",
    )
    default_rate = "10/s"
    default_concurrency = 4
    actions: ClassVar[Mapping[str, str]] = member.ACTIONS

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.address, auth=("automate", self.options.api_key), allow_private=self.place.allow_private, max_body=32 << 20
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def offers(self) -> frozenset[ax.Capability]:
        """Without an audience actions alone, which may name one themselves."""
        return self.capabilities if self.options.audience else frozenset({ax.Capability.ACTIONS})

    def check(self) -> None:
        """The key works, and the audience is there."""
        self._ask("ping")
        if self.options.audience:
            self._ask(f"lists/{self.options.audience}", {"fields": "id,name"})

    def act(self, action: ax.Action) -> ax.Receipt:
        """One member on an audience or off it, his tags, or from one audience to another (PR-56)."""
        method, path, body = member.request(action, self.options.audience, self.options.status_if_new)
        reply = self.api.request(method, path, json=body, classify=False)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply, method, person=action.kind not in {"list-add", "move"})
        queued = action.kind == "move"
        return ax.Receipt(ax.Status.QUEUED if queued else ax.Status.SENT, reply.id_at("id"), "in the background" if queued else "")

    def send(self, message: ax.Call) -> ax.Receipt:
        """Put a run's list, 500 people at most, on the audience with one request; the receipt says who was refused."""
        if not isinstance(message, ax.Call):
            raise ax.SetupError(f"mailchimp does not send {message.channel}", hint="it takes a run's list (webhook) and actions")
        audience = self.options.audience
        if audience is None:
            raise ax.SetupError("no audience is named", hint="add audience, the id of the list, to the app")
        members, without = member.listed(message, self.options.fields, self.options.status_if_new)
        if not members:
            return ax.Receipt(detail=f"nobody of {without} has an e-mail address" if without else "nobody")
        body = {"members": members, "update_existing": self.options.update_existing}
        reply = self.api.post(f"lists/{audience}", json=body, classify=False)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply)
        return ax.Receipt(detail=member.outcome(reply, len(members), without))

    def entities(self) -> Sequence[str]:
        """The members of the audience."""
        return ("contacts",)

    def changed_since(self, entity: str) -> bool:
        """Mailchimp selects by the time of the last change."""
        return entity == "contacts"

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """The members of the audience, archived ones left out; their tags are the groups."""
        if entity != "contacts":
            raise ax.InputDataError(f"mailchimp has no {entity}", hint="it has contacts")
        if self.options.audience is None:
            raise ax.SetupError("no audience is named", hint="add audience, the id of the list, to the app")
        yield from Reader(self._ask, quote(self.options.audience), self.options.fields, self.place).members(query)

    def _ask(self, path: str, query: Mapping[str, Any] | None = None) -> Reply:
        reply = self.api.get(path, query=query, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply, "GET", safe=True)
        return reply


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Mailchimp]

"""WhatsApp through Meta's Cloud API: approved templates, and texts within a day of the person's own message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_automate.paging import rows_at, walk
from libax_connector_whatsapp_cloud import payload
from libax_connector_whatsapp_cloud.verdict import refusal

#: rows of one page
_PAGE = 100


class WhatsAppOptions(ax.Options):
    """What a profile says about an app of this connector."""

    token: ax.Secret = Field(description="access token of a system user, with whatsapp_business_messaging and …_management")
    phone_number_id: str = Field(pattern="^[0-9]{5,20}$", description="id of the number that sends (not the number itself)")
    account_id: str | None = Field(
        None, pattern="^[0-9]{5,20}$", description="id of the WhatsApp Business Account; lists and checks its templates"
    )
    language: str | None = Field(
        None, pattern="^[a-z]{2,3}(_[A-Z]{2})?$", description="language of the templates, such as pt_PT; without it the profile's locale"
    )
    version: str = Field("v23.0", pattern=r"^v[0-9]+\.[0-9]+$", description="version of the Graph API")
    base_url: str = Field("https://graph.facebook.com", description="where the API is; for a test server")


class WhatsAppCloud(ax.Sender[WhatsAppOptions, ax.Text]):
    """One message, one request; Meta's error code decides the class of the error, for its HTTP statuses tell little."""

    name = "whatsapp-cloud"
    title = "WhatsApp Cloud API (Meta): templates, and texts within the day"
    capabilities = frozenset({ax.Capability.WHATSAPP, ax.Capability.TEMPLATES})
    credentials = (
        "1. In Meta's developer site, make an app of the type *Business* with the product *WhatsApp*, and add the number that sends.\n"
        "2. In *WhatsApp → API setup*, copy the id of the number (`phone_number_id`) and of the account (`account_id`).\n"
        "3. In the business settings, under *System users*, make a token that does not expire, with `whatsapp_business_messaging` and"
        " `whatsapp_business_management`. Keep it outside the profile:\n\n"
        '```toml\n[apps.whatsapp]\nconnector       = "whatsapp-cloud"\nphone_number_id = "106000000000000"\n'
        'account_id      = "102000000000000"\ntoken           = { env = "WHATSAPP_TOKEN" }\n```\n\n'
        "4. A template must be *approved* in the language it is sent in; a model names it by its name."
    )
    limits = (
        "80 messages a second for each number; one to the same person in six seconds, some more in a burst. New numbers may write first to"
        " a limited number of people in 24 hours, more as their quality proves good. Free text only within 24 hours of the person's message."
    )
    verified = "Meta's published OpenAPI document (v23.0) and its page of error codes"
    unverified = (
        "biz_opaque_callback_data, which carries our id and key, and parameter_name of named values stand in Meta's pages, not in its document",
        "an accepted message may still fail: Meta then tells a webhook, which this connector does not listen to",
        "errors 131000 and 1 with a 5xx are taken as in doubt: Meta calls them unknown",
    )
    default_rate = "20/s"

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        token = self.options.token.get_secret_value()
        self.api = ApiClient(
            f"{self.options.base_url.rstrip('/')}/{self.options.version}",
            headers={"Authorization": f"Bearer {token}"},
            secrets=[token],
            allow_private=self.place.allow_private,
            max_body=8 << 20,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def offers(self) -> frozenset[ax.Capability]:
        """Templates only where the account is named."""
        return self.capabilities if self.options.account_id else self.capabilities - {ax.Capability.TEMPLATES}

    def check(self) -> None:
        """The token works and may use the number."""
        self._ask(self.options.phone_number_id)

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """All of the account's templates, once for each language; active means approved. A model names one by its name."""
        if self.options.account_id is None:
            raise ax.SetupError("the account is not named", hint="add account_id, the id of the WhatsApp Business Account, to the app")
        if channel not in {None, ax.Channel.WHATSAPP}:
            return
        path = f"{self.options.account_id}/message_templates"

        def page(after: str) -> tuple[list[Any], str | None]:
            body = self._ask(path, {"limit": _PAGE, "after": after or None}).data()
            rows = rows_at(body, "data")
            paging = body.get("paging")
            paging = paging if isinstance(paging, Mapping) else {}
            cursors = paging.get("cursors")
            following = cursors.get("after") if isinstance(cursors, Mapping) else None
            # the cursor stands on the last page too; only "next", or a page that is full, says that there is more
            more = rows and isinstance(following, str) and ("next" in paging or len(rows) >= _PAGE)
            return rows, following if more else None

        for row in walk(page, ""):
            if isinstance(row, Mapping) and isinstance(row.get("name"), str):
                yield payload.template(row)

    def send(self, message: ax.Text) -> ax.Receipt:
        """Hand over one template or text."""
        if not isinstance(message, ax.Text) or message.channel is not ax.Channel.WHATSAPP:
            raise ax.SetupError(f"whatsapp-cloud does not send {message.channel}", hint="it sends whatsapp")
        number = message.sender or self.options.phone_number_id
        if not (number.isascii() and number.isdecimal()):
            raise ax.SetupError(f"{number!r} is no id of a number", hint="sender is the phone number id that Meta shows, digits alone")
        reply = self.api.post(f"{number}/messages", json=payload.message(message, self._language(message)), classify=False)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply)
        return ax.Receipt(ax.Status.QUEUED, reply.id_at("messages", 0, "id"), reply.id_at("messages", 0, "message_status") or "")

    def _language(self, message: ax.Text) -> str:
        # the profile's locale arrives with every message: what the app says goes before it, what the model says before both
        if message.language and message.language != self.place.locale:
            return message.language
        return self.options.language or message.language or self.place.locale

    def _ask(self, path: str, query: Mapping[str, Any] | None = None) -> Reply:
        reply = self.api.get(path, query=query, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply, safe=True)
        return reply


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [WhatsAppCloud]

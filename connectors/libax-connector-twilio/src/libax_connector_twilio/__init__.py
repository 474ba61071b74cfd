"""Twilio: SMS and WhatsApp, with Content templates, and a look at what became of a message whose reply was lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_automate.paging import rows_at, walk
from libax_connector_twilio.verdict import failed, refusal

#: characters of one message
_LONGEST = 1600
#: how far Twilio's clock and ours may lie apart
_SKEW = timedelta(minutes=2)
_STATUS = {"delivered": ax.Status.DELIVERED, "read": ax.Status.DELIVERED, "sent": ax.Status.SENT}
_FAILED = frozenset({"failed", "undelivered", "canceled"})
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_TEMPLATE = re.compile(r"HX[0-9a-fA-F]{32}")


class TwilioOptions(ax.Options):
    """What a profile says about an app of this connector."""

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$", description="Account SID, begins with AC")
    auth_token: ax.Secret = Field(description="Auth token of the account; or, with key_sid, the secret of that API key")
    key_sid: str | None = Field(
        None, pattern=r"^SK[0-9a-fA-F]{32}$", description="SID of an API key, begins with SK; better than the token"
    )
    sms_sender: str | None = Field(
        None,
        pattern=r"^(MG[0-9a-fA-F]{32}|\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})$",
        description="number, name or messaging service; turns SMS on",
    )
    whatsapp_sender: str | None = Field(
        None, pattern=r"^(MG[0-9a-fA-F]{32}|\+[0-9]{6,15})$", description="number or messaging service; turns WhatsApp on"
    )
    base_url: str = Field("https://api.twilio.com", description="where the API is; for a test server")
    content_url: str = Field("https://content.twilio.com", description="where the Content API is; for a test server")


class Twilio(ax.Sender[TwilioOptions, ax.Text]):
    """One request per message. Twilio has no key against doing it twice, but can be asked what it has."""

    name = "twilio"
    title = "Twilio: SMS and WhatsApp, with Content templates"
    capabilities = frozenset({ax.Capability.SMS, ax.Capability.WHATSAPP, ax.Capability.TEMPLATES, ax.Capability.LOOKUP})
    credentials = (
        "In the [Twilio console](https://console.twilio.com) the *Account SID* stands on the first page. Under *Account → API keys & tokens*"
        " create a *standard* API key: its SID is `key_sid`, its secret `auth_token`. Without `key_sid`, `auth_token` is the account's own token.\n\n"
        '```toml\n[apps.twilio]\nconnector   = "twilio"\naccount_sid = "AC…"\nkey_sid     = "SK…"\nauth_token  = { env = "TWILIO_SECRET" }\n'
        'sms_sender  = "+351910000000"\n```\n\n'
        'A model names a template by its SID: `template = "HX…"`, and its values in order: `vars = ["first_name"]`.'
    )
    limits = "Each sender has its own pace (carriers'); Twilio queues what comes faster, for hours. A text has 1,600 characters."
    verified = "the vendor's OpenAPI documents (messages, content)"
    unverified = (
        "which error codes mean the recipient, the sender or the account: Twilio changes them",
        "how soon a message shows in the list that the look-up reads, and that the list begins with the newest",
    )
    default_rate = "10/s"

    def open(self) -> None:
        """Prepare the clients; nothing leaves yet."""
        options = self.options
        login = (options.key_sid or options.account_sid, options.auth_token)
        self.api, self.content = (
            ApiClient(url, auth=login, allow_private=self.place.allow_private, max_body=8 << 20)
            for url in (options.base_url, options.content_url)
        )
        self._account = f"/2010-04-01/Accounts/{options.account_sid}"

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()
        self.content.close()

    def offers(self) -> frozenset[ax.Capability]:
        """SMS and WhatsApp only where a sender is set for them."""
        able = {ax.Capability.SMS: self.options.sms_sender, ax.Capability.WHATSAPP: self.options.whatsapp_sender}
        return self.capabilities - {capability for capability, sender in able.items() if not sender}

    def check(self) -> None:
        """The login works and the account is active; an API key may not see the account, and asks for one message instead."""
        if self.options.key_sid:
            self._get(self.api, f"{self._account}/Messages.json", {"PageSize": 1})
            return
        body = self._get(self.api, f"{self._account}.json", {}).data()
        status = body.get("status") if isinstance(body, Mapping) else None
        if status in {"suspended", "closed"}:
            raise ax.AccountError(f"the Twilio account is {status}", hint="look into the Twilio console")

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """The Content templates; for WhatsApp, active means approved."""
        if channel not in {None, ax.Channel.SMS, ax.Channel.WHATSAPP}:
            return iter(())
        wanted = channel or ax.Channel.WHATSAPP

        def page(path: str) -> tuple[list[ax.Template], str | None]:
            body = self._get(self.content, path, {}).data()
            rows = [row for row in rows_at(body, "contents") if isinstance(row, Mapping) and row.get("sid")]
            meta = body.get("meta")
            following = meta.get("next_page_url") if isinstance(meta, Mapping) else None
            return [_template(row, wanted) for row in rows], _path(following)

        return walk(page, "/v1/ContentAndApprovals?PageSize=500")

    def send(self, message: ax.Text) -> ax.Receipt:
        """Hand over one message."""
        form = {"To": self._address(message.channel, message.to), **self._sender(message)}
        if message.template:
            if not _TEMPLATE.fullmatch(message.template):
                raise ax.SetupError(f"Twilio knows a template by its SID, HX…, not as {message.template!r}", hint="automate apps templates")
            form["ContentSid"] = message.template
            values = dict(message.params) or {str(number): value for number, value in enumerate(message.vars, 1)}
            if values:
                form["ContentVariables"] = json.dumps(values, ensure_ascii=False)
        elif len(message.text) > _LONGEST:
            raise ax.ContentError(f"the text has {len(message.text)} characters, and Twilio takes {_LONGEST}", hint="set max_chars")
        else:
            form["Body"] = message.text
        reply = self.api.post(f"{self._account}/Messages.json", form=form, classify=False)
        if not 200 <= reply.status < 300:
            raise refusal(self.api, reply, "POST")
        body = _object(reply)
        if body.get("status") in _FAILED:
            raise failed(self.api, reply, body)
        return _receipt(body)

    def lookup(self, message: ax.Text) -> ax.Receipt | None:
        """Look for a message of ours to this number, as new as this one and with its text.

        What a template became cannot be compared: where there is such a message at all, a person decides.
        """
        query = {"To": self._address(message.channel, message.to), "PageSize": 100}
        if "From" in (sender := self._sender(message)):
            query["From"] = sender["From"]
        since = message.sent_at - _SKEW if message.sent_at else None

        def page(path: str) -> tuple[list[Mapping[str, Any]], str | None]:
            body = self._get(self.api, path, query if path == first else {}).data()
            rows = [row for row in rows_at(body, "messages") if isinstance(row, Mapping)]
            fresh = [row for row in rows if since is None or (_moment(row.get("date_created")) or since) >= since]
            # the newest come first: the first that is too old ends the search
            return fresh, _path(body.get("next_page_uri")) if len(fresh) == len(rows) else None

        first = f"{self._account}/Messages.json"
        for row in walk(page, first):
            if str(row.get("direction") or "outbound").startswith("outbound") and row.get("sid"):
                if message.template:
                    raise ax.OutcomeUnknown(
                        f"Twilio has message {row['sid']} to this number, and nobody can tell whether it is this one", hint="compare them"
                    )
                if row.get("body") == message.text:
                    return _receipt(row)
        return None

    def _address(self, channel: ax.Channel, number: str) -> str:
        return f"whatsapp:{number}" if channel is ax.Channel.WHATSAPP else number

    def _sender(self, message: ax.Text) -> dict[str, str]:
        if message.channel not in {ax.Channel.SMS, ax.Channel.WHATSAPP}:
            raise ax.SetupError(f"twilio does not send {message.channel}", hint="it sends sms and whatsapp")
        option = "sms_sender" if message.channel is ax.Channel.SMS else "whatsapp_sender"
        sender = message.sender or getattr(self.options, option)
        if not sender:
            raise ax.SetupError(f"no sender of {message.channel} is set", hint=f"add {option} to the app")
        if _SERVICE.fullmatch(sender):
            return {"MessagingServiceSid": sender}
        return {"From": self._address(message.channel, sender)}

    def _get(self, client: ApiClient, path: str, query: Mapping[str, Any]) -> Reply:
        reply = client.get(path, query=query, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise refusal(client, reply, "GET", safe=True)
        return reply


def _template(row: Mapping[str, Any], channel: ax.Channel) -> ax.Template:
    approval = row.get("approval_requests")
    status = approval.get("status") if isinstance(approval, Mapping) else None
    variables, types = row.get("variables"), row.get("types")
    names = sorted(variables, key=lambda name: (len(name), name)) if isinstance(variables, Mapping) else []
    bodies = [str(one.get("body") or "") for one in types.values() if isinstance(one, Mapping)] if isinstance(types, Mapping) else []
    return ax.Template(
        str(row["sid"]),
        str(row.get("friendly_name") or ""),
        channel is ax.Channel.SMS or status == "approved",
        channel,
        text=next(filter(None, bodies), ""),
        language=str(row.get("language") or ""),
        variables=tuple(names),
    )


def _receipt(body: Mapping[str, Any]) -> ax.Receipt:
    sid = body.get("sid")
    return ax.Receipt(_STATUS.get(str(body.get("status")), ax.Status.QUEUED), sid if isinstance(sid, str) and sid else None)


def _object(reply: Reply) -> Mapping[str, Any]:
    """The body of a 2xx; empty where it cannot be read: the message was accepted, and its id is unknown."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _path(link: Any) -> str | None:
    """A next page without its host: a test server's pages may name the vendor's."""
    return re.sub(r"^https?://[^/]+", "", link) if isinstance(link, str) and link else None


def _moment(text: Any) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Twilio]

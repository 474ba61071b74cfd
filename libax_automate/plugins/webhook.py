"""The ``webhook`` app (LX-17 … LX-20): a run's list in one signed call to another application, by Standard Webhooks.

https://www.standardwebhooks.com: headers ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``; the receiver tells
a repeated call by its id, which stays the same over all tries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from libax_automate.clock import wall_time
from libax_automate.connector import Capability, Connector, Sender
from libax_automate.errors import ConnectorError, ContentError, RateLimited, SetupError
from libax_automate.hookspecs import hookimpl
from libax_automate.message import Call, Receipt
from libax_automate.options import Options, Secret

if TYPE_CHECKING:
    from libax_automate.http import ApiClient, Reply

#: an event's name: parts of letters, digits and underscores between dots
_TYPE = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
#: bytes that the standard allows a secret to have
_KEY_BYTES = (24, 64)
_HOURS = 3600.0


def key_of(secret: str) -> bytes:
    """The signing key in a ``whsec_…`` secret; raises ValueError where there is none of 24 to 64 bytes."""
    if secret.startswith(("whsk_", "whpk_")):
        raise ValueError("this is an ed25519 key, not a shared secret: ask the receiver for one that starts with whsec_")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _KEY_BYTES[0] <= len(key) <= _KEY_BYTES[1]:
        raise ValueError("a webhook's secret is whsec_ and 24 to 64 bytes in base64")
    return key


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002 - the standard's own name
    """The ``webhook-signature`` of a call: ``v1,`` and HMAC-SHA256 over ``id.timestamp.body`` in base64."""
    signed = b"%s.%d.%s" % (id.encode("utf-8"), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


class WebhookOptions(Options):
    """Where the list goes, and the secret that signs it."""

    url: str | Secret = Field(repr=False, description="the receiver's address; https, unless allow_private covers the server")
    secret: Secret = Field(description="the shared secret that signs each call: whsec_ and 24 to 64 bytes in base64")
    headers: dict[str, str | Secret] = Field(
        default_factory=dict, repr=False, description='headers of every call; keys as { env = "NAME" }'
    )
    timeout: float = Field(20.0, ge=1, le=30, description="seconds to wait for an answer (the standard says 15 to 30)")
    plain_http: bool = Field(default=False, description="allow http:// to a public address; the list then travels in the clear")
    ca_file: str | None = Field(None, description="a PEM file of further certificate authorities, relative to the profile")

    @field_validator("secret")
    @classmethod
    def _usable(cls, secret: Secret) -> Secret:
        key_of(secret.get_secret_value())
        return secret


class Webhook(Sender[WebhookOptions, Call]):
    """Posts ``{"type", "timestamp", "data"}``, signed. Safe to repeat: the receiver tells a repeated call by its ``webhook-id``.

    So a 5xx is Transient here, and what stays in doubt may be sent again under the same id for as long as
    ``idempotency_ttl`` says. A 410 means that the receiver is gone for good: the app halts.
    """

    name = "webhook"
    title = "Another application's webhook: gets the list instead of messaging people"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.WEBHOOK, Capability.IDEMPOTENCY_KEY})
    credentials = (
        "Ask the receiving application for a webhook address, and for its *signing secret* (Standard Webhooks: it starts with `whsec_`)."
        " If it lets you choose the secret, make one:\n\n"
        "```\n"
        "python -c 'import base64,os; print(\"whsec_\" + base64.b64encode(os.urandom(32)).decode())'\n"
        "```\n\n"
        'Keep it outside the profile: `secret = { env = "WEBHOOK_SECRET" }`.\n'
    )
    limits = "Receivers answer within 15 to 30 s; a body of about 20 kB or less is advised."
    default_concurrency = 1
    #: the whole retry schedule, and some hours more
    idempotency_ttl = timedelta(days=4)
    server_errors_not_processed = True
    #: the delays that the standard suggests after the first try, which is immediate: 75 hours in all
    retry_schedule = (
        5.0, 300.0, 1800.0, 2 * _HOURS, 5 * _HOURS, 10 * _HOURS, 14 * _HOURS, 20 * _HOURS, 24 * _HOURS,
    )  # fmt: skip

    _client: ApiClient | None = None

    def open(self) -> None:
        """Prepare the client; raises SetupError where the URL may not be called."""
        from libax_automate.http import ApiClient

        if self._client is not None:
            return
        options = self.options
        self._key = key_of(options.secret.get_secret_value())
        self._client = ApiClient(
            # a reference in the profile arrives as plain text, so any URL may hold a token
            options.url if isinstance(options.url, Secret) else Secret(options.url),
            headers={"Content-Type": "application/json", **options.headers},
            timeout=options.timeout,
            total_timeout=30.0,
            allow_private=self.place.allow_private,
            plain_http=options.plain_http,
            ca_file=self.place.folder / Path(options.ca_file) if options.ca_file else None,
            secrets=[options.secret],
            server_errors_not_processed=True,
        )

    def close(self) -> None:
        """Close the client; safe twice."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def check(self) -> None:
        """See that the receiver's name resolves to an address that calls may go to; nothing is called."""
        self.open()
        assert self._client is not None
        self._client.resolve()

    def checks_account(self) -> bool:
        """Never: a receiver has no call without an effect."""
        return False

    def secrets(self) -> Sequence[str]:
        """The values of all extra headers."""
        return [value if isinstance(value, str) else value.get_secret_value() for value in self.options.headers.values()]

    def send(self, message: Call) -> Receipt:
        """Post one call; 2xx is success."""
        if self._client is None:
            self.open()
        client = self._client
        assert client is not None
        body = self._body(message)
        # the machine's own time, whatever --now says: receivers refuse a stamp that is five minutes off
        stamp = int(wall_time().timestamp())
        headers = {
            "webhook-id": message.key,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(self._key, message.key, stamp, body),
        }
        reply = client.post(content=body, headers=headers, classify=False)
        if 200 <= reply.status < 300:
            return Receipt()
        raise self._refusal(client, reply)

    def _body(self, message: Call) -> bytes:
        if not _TYPE.fullmatch(message.type):
            raise ContentError(f"{message.type!r} is no event type", hint="letters, digits and underscores between dots: contact.created")
        moment = (message.at or message.sent_at or wall_time()).astimezone(UTC)
        event = {"type": message.type, "timestamp": moment.isoformat().replace("+00:00", "Z"), "data": message.data}
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=_plain).encode("utf-8")

    def _refusal(self, client: ApiClient, reply: Reply) -> ConnectorError:
        from libax_automate.http import retry_after

        told = client.refusal(reply, "POST")
        error = told
        if reply.status == 410:
            error = SetupError(
                f"{told.message} (the endpoint says that it is gone)", hint="the app is halted: give it a new url, or remove it"
            )
        elif reply.status in {502, 504}:
            # the standard: these ask for a slower pace, like 429
            error = RateLimited(told.message, retry_after=retry_after(reply.headers.get("retry-after")))
        error.status, error.body = told.status, told.body
        return error


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime) or hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise ContentError(f"{type(value).__name__} does not go into JSON", hint="a fault of the model that made the list")


@hookimpl
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The ``webhook`` connector."""
    return [Webhook]

"""Makes Multibanco references through easypay's API 2.0, safe to repeat (LX-28)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.paging import rows_at
from libax_automate.payment import cents_of, days_left
from libax_automate.reply import Reply

__all__ = ["Easypay", "EasypayOptions", "automate_connectors"]

_BASE = "https://api.prod.easypay.pt/2.0"
_LEAST = "0.50"
#: names our ids among all UUIDs; it must never change, for a key made from it is what easypay knows a request by
_OURS = uuid.UUID("6f1d2f5e-6a0f-5a0b-9b0e-3c1f7d0a9e21")


class EasypayOptions(ax.Options):
    """What a profile says about an app of this connector."""

    account_id: ax.Secret = Field(description="the AccountId, a UUID")
    api_key: ax.Secret = Field(description="the ApiKey, a UUID")
    description: str = Field("", max_length=255, description="what the payment is called on the customer's statement")
    look_first: bool = Field(
        default=True, description="look whether there is a payment for our id before one is made; easypay itself remembers a day"
    )
    base_url: str = Field(_BASE, description="where the API is: https://api.test.easypay.pt/2.0 for tests")


class Easypay(ax.Referencer[EasypayOptions]):
    """One payment of method mb per id of ours: looked for, then made under a key that is worked out from the id.

    Within 24 hours easypay answers a repeated key with the first payment; later the look finds it.
    """

    name = "easypay"
    title = "easypay: Multibanco references"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.REFERENCES, ax.Capability.IDEMPOTENCY_KEY})
    credentials = (
        "In easypay's backoffice, under Web Services, Configuration API 2.0: *AccountId* and *ApiKey*. Keep them outside the profile:"
        ' `account_id = { env = "EASYPAY_ACCOUNT" }`, `api_key = { env = "EASYPAY_KEY" }`.'
    )
    limits = "Amounts from 0.50 to 999999.99 EUR; none published for the pace (429 says when)."
    verified = "by the vendor's pages (authentication, idempotency, the request); the vendor's OpenAPI document was not at hand"
    unverified: ClassVar[tuple[str, ...]] = (
        "where entity and reference stand in the reply to POST /single (method.entity, method.reference)",
        "GET /single?key=ID as the way to find a payment by our id; every row is compared with the id, and a filter that is ignored is an error",
    )
    idempotency_ttl = timedelta(hours=24)

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.base_url,
            headers={"AccountId": self.options.account_id, "ApiKey": self.options.api_key},
            allow_private=self.place.allow_private,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """Ask for a payment that cannot be: the key works, or it does not."""
        self.api.get("/single", query={"key": "libax-automate-check"}, safe=True)

    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        """The reference for ``our_id``: the one that is there, else a new one."""
        cents_of(amount, currency, least=_LEAST)
        if not our_id:
            raise ax.ContentError("a payment needs an id of ours", hint="give the debt a number in its source")
        if self.options.look_first and (found := self.find_reference(our_id)) is not None:
            return found
        body: dict[str, Any] = {
            "type": "sale",
            "method": "mb",
            "currency": currency,
            "value": float(amount),  # two decimals come out of JSON as they went in
            "key": our_id,
            "capture": {"descriptive": self.options.description or our_id, "transaction_key": our_id},
        }
        if days_left(due, self.place.timezone) is not None:
            body["expiration_time"] = f"{due} 23:59"
        reply = self.api.post("/single", json=body, headers={"Idempotency-Key": str(uuid.uuid5(_OURS, our_id))}, classify=False)
        if not 200 <= reply.status < 300:
            raise self._refusal(reply)
        made = _reference(_json(reply), our_id, amount, due)
        if made is None:
            raise ax.OutcomeUnknown(
                "easypay answered without a reference; it may have made one",
                hint=f"look for {our_id} in the backoffice, or ask again within a day",
            )
        return made

    def find_reference(self, our_id: str) -> ax.Reference | None:
        """The payment whose key is ``our_id``, if there is one."""
        try:
            rows = rows_at(self.api.get("/single", query={"key": our_id}, safe=True).data(), "data")
        except ax.InputDataError as error:
            raise ax.SetupError(f"easypay's list of payments cannot be read: {error.message}", hint=error.hint) from None
        for row in rows:
            if isinstance(row, Mapping) and row.get("key") == our_id and (found := _reference(row, our_id, None, None)) is not None:
                return found
        if any(isinstance(row, Mapping) and row.get("key") not in {our_id, None} for row in rows):
            raise ax.SetupError(
                "easypay does not select payments by key, so one that is there may be missed",
                hint="look_first = false makes without looking",
            )
        return None

    def _refusal(self, reply: Reply) -> ax.ConnectorError:
        """Easypay says itself whether asking again is right; under the same key nothing is made twice."""
        error = self.api.refusal(reply, "POST")
        again = (reply.headers.get("x-easypay-should-retry") or "").lower()
        if isinstance(error, ax.RateLimited):
            return error
        if again == "true" or (not again and reply.status in {409, 502}):
            later = ax.Transient(error.message)
            later.status, later.body = error.status, error.body
            return later
        return error


def _json(reply: Reply) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


def _reference(payment: Any, our_id: str, amount: Decimal | None, due: date | None) -> ax.Reference | None:
    """The reference that stands in a payment; None where there is none, or no amount that could be told."""
    method = payment.get("method") if isinstance(payment, Mapping) else None
    if not isinstance(method, Mapping) or not method.get("entity") or not method.get("reference"):
        return None
    if amount is None:
        try:
            amount = Decimal(str(payment.get("value")))
        except ArithmeticError:
            return None
    ends = str(method.get("expiration_time") or payment.get("expiration_time") or "")[:10]
    if due is None and ends:
        try:
            due = date.fromisoformat(ends)
        except ValueError:
            due = None
    name = payment.get("id")
    return ax.Reference(
        our_id=our_id,
        entity=str(method["entity"]),
        reference=str(method["reference"]),
        amount=amount,
        due=due,
        provider_id=str(name) if name else None,
    )


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Easypay]

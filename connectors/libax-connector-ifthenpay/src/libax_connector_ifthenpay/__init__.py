"""Makes Multibanco references of ifthenpay: by the operator's algorithm, without a call, or by its API (LX-28)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.payment import cents_of, days_left

__all__ = ["Ifthenpay", "IfthenpayOptions", "automate_connectors", "offline_reference"]

#: of the twenty digits of entity, sub-entity, id and amount, in that order
_WEIGHTS = (51, 73, 17, 89, 38, 62, 45, 53, 15, 50, 5, 49, 34, 81, 76, 27, 90, 9, 30, 3)
#: how many days a reference may live; without one of them it never ends
_DAYS = (*range(32), 45, 60, 90, 120, 180, 365, 730)
_ORDER_LENGTH = 25


def offline_reference(entity: str, subentity: str, number: int, cents: int) -> str:
    """The nine digits for ``number`` and ``cents``: sub-entity, number, and two check digits over entity and amount as well.

    The sub-entity has one to three digits, the number what is left of seven. Raises ValueError where something does not fit.
    """
    room = 7 - len(subentity)
    if not (re.fullmatch(r"[0-9]{5}", entity) and re.fullmatch(r"[0-9]{1,3}", subentity)):
        raise ValueError("an entity has five digits, a sub-entity one to three")
    if not (0 <= number < 10**room and 0 < cents < 10**8):
        raise ValueError(f"the number has at most {room} digits, the amount at most 999999.99")
    body = f"{subentity}{number:0{room}}"
    digits = f"{entity}{body}{cents:08}"
    check = 98 - sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 97
    return f"{body}{check:02}"


class IfthenpayOptions(ax.Options):
    """What a profile says about an app of this connector: ``entity`` and ``subentity``, or ``mb_key``."""

    entity: str | None = Field(None, pattern="^[0-9]{5}$", description="offline: the entity of the contract, five digits")
    subentity: str | None = Field(None, pattern="^[0-9]{1,3}$", description="offline: the sub-entity, one to three digits")
    number: Literal["whole", "last"] = Field(
        "whole", description="offline: our id is a number as a whole (118), or counts by its last number (FT 2026/118)"
    )
    mb_key: ax.Secret | None = Field(None, description="online: the MB key")
    sandbox: bool = Field(default=False, description="online: make references that nobody can pay")
    base_url: str = Field("https://api.ifthenpay.com", description="where the API is; for a test server")

    @model_validator(mode="after")
    def _one_way(self) -> IfthenpayOptions:
        offline = self.entity is not None and self.subentity is not None
        if offline == (self.mb_key is not None) or (self.entity is None) != (self.subentity is None):
            raise ValueError("write entity and subentity (offline), or mb_key (online)")
        return self


class Ifthenpay(ax.Referencer[IfthenpayOptions]):
    """Offline the same id and amount always give the same reference.

    Online ifthenpay makes a new one for every call, so what this process made is remembered, and a lost reply is in doubt.
    """

    name = "ifthenpay"
    title = "ifthenpay: Multibanco references, offline or by API"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.REFERENCES})
    credentials = (
        "ifthenpay's contract names the *entity* and *sub-entity* of your references (offline), or gives an *MB key* for dynamic references"
        ' (online): in the backoffice, or ask ifthenpay. Keep the key outside the profile: `mb_key = { env = "IFTHENPAY_MB_KEY" }`.'
    )
    limits = "Offline: none, and no call. Online: none published; test with sandbox = true."
    verified = "the algorithm on the vendor's published weights and sample; requests against a description made from its pages"
    unverified: ClassVar[tuple[str, ...]] = (
        "online, a second call for the same id is taken to make a second reference: ifthenpay documents no key against it, and no look-up by our id",
        "offline references never end: whether a payment after the due date is refused is a matter of the contract",
    )

    def __init__(self, options: IfthenpayOptions, place: ax.Place | None = None) -> None:
        super().__init__(options, place)
        self._api: ApiClient | None = None
        self._made: dict[str, ax.Reference] = {}

    def open(self) -> None:
        """Prepare the client, where one is needed; nothing leaves yet."""
        if self.options.mb_key is not None:
            self._api = ApiClient(self.options.base_url, secrets=[self.options.mb_key], allow_private=self.place.allow_private)

    def close(self) -> None:
        """Let go of the connections."""
        if self._api is not None:
            self._api.close()

    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        """The reference for ``our_id``: worked out, or asked for with one call."""
        cents = cents_of(amount, currency)
        if self._api is None:
            return self._offline(our_id, amount, cents, due)
        if our_id not in self._made:
            self._made[our_id] = self._online(self._api, our_id, amount, due)
        return self._made[our_id]

    def find_reference(self, our_id: str) -> ax.Reference | None:
        """What this process made for ``our_id``: the algorithm keeps nothing, and the API cannot be asked by our id."""
        return self._made.get(our_id)

    def _offline(self, our_id: str, amount: Decimal, cents: int, due: date | None) -> ax.Reference:
        entity, subentity = self.options.entity, self.options.subentity
        assert entity is not None, "validated"
        assert subentity is not None, "validated"
        found = re.search(r"([0-9]+)[^0-9]*$", our_id) if self.options.number == "last" else re.fullmatch(r"([0-9]+)", our_id)
        room = 7 - len(subentity)
        if found is None or len(found[1].lstrip("0")) > room:
            raise ax.ContentError(
                f"{our_id!r} is no number of at most {room} digits, so that no offline reference can be told from another",
                hint='number = "last" takes the last number of an id; mb_key takes any id',
            )
        reference = offline_reference(entity, subentity, int(found[1]), cents)
        return ax.Reference(our_id=our_id, entity=entity, reference=reference, amount=amount, due=due)

    def _online(self, api: ApiClient, our_id: str, amount: Decimal, due: date | None) -> ax.Reference:
        if not our_id or len(our_id) > _ORDER_LENGTH:
            raise ax.ContentError(f"{our_id!r} is too long for an order", hint=f"ifthenpay takes {_ORDER_LENGTH} characters")
        assert self.options.mb_key is not None
        body: dict[str, Any] = {"mbKey": self.options.mb_key.get_secret_value(), "orderId": our_id, "amount": f"{amount:.2f}"}
        left = days_left(due, self.place.timezone)
        # the shortest life that reaches the due date; longer than two years is for ever
        if left is not None and (days := next((days for days in _DAYS if days >= left), None)) is not None:
            body["expiryDays"] = days
        reply = api.post("/multibanco/reference/sandbox" if self.options.sandbox else "/multibanco/reference/init", json=body)
        entity, reference = reply.id_at("Entity"), reply.id_at("Reference")
        if reply.id_at("Status") not in {"0", None}:
            raise ax.ContentError(
                api.refusal(reply, "POST").message, hint="ifthenpay refuses this reference", code=reply.id_at("Status") or ""
            )
        if not entity or not reference:
            raise ax.OutcomeUnknown(
                "ifthenpay answered without a reference; it may have made one", hint=f"look for order {our_id} in the backoffice"
            )
        return ax.Reference(our_id=our_id, entity=entity, reference=reference, amount=amount, due=due, provider_id=reply.id_at("RequestId"))


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Ifthenpay]

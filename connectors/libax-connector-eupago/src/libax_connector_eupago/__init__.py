"""Makes Multibanco references through Eupago (LX-28)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.payment import cents_of, days_left
from libax_automate.reply import Reply

__all__ = ["Eupago", "EupagoOptions", "automate_connectors"]

_PATH = "/clientes/rest_api/multibanco"
#: what the ``estado`` of a reply means, where it is not 0 = done
_STATES: Mapping[int, tuple[type[ax.ConnectorError], str, str]] = {
    -7: (ax.SetupError, "the service is not active", "ask Eupago to activate Multibanco on the channel of this key"),
    -8: (ax.ContentError, "the reference is not valid", ""),
    -9: (ax.ContentError, "the values are not valid", "look at amount and date"),
    -10: (ax.AccountError, "the API key is not valid", "check api_key, and that it is of this environment (sandbox or production)"),
    -11: (ax.ContentError, "there is no such reference", ""),
}


class EupagoOptions(ax.Options):
    """What a profile says about an app of this connector."""

    api_key: ax.Secret = Field(description="the channel's API key (chave)")
    remind: bool = Field(default=False, description="let Eupago remind the customer before the reference ends (failOver)")
    base_url: str = Field("https://clientes.eupago.pt", description="where the API is: https://sandbox.eupago.pt for tests")


class Eupago(ax.Referencer[EupagoOptions]):
    """One call makes one reference. Eupago knows no key against a second one: what this process made is remembered, a lost reply is in doubt."""

    name = "eupago"
    title = "Eupago: Multibanco references"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.REFERENCES})
    credentials = (
        "In Eupago's backoffice, under Canais: the *chave API* of the channel that the payments belong to. Keep it outside the profile:"
        ' `api_key = { env = "EUPAGO_KEY" }`.'
    )
    limits = "Amounts from 1 to 99999 EUR; none published for the pace."
    verified = "by the vendor's page, and by a public client that was tried with real payments"
    unverified: ClassVar[tuple[str, ...]] = (
        "a second call for the same id is taken to make a second reference: Eupago documents no key against it, and no look-up by our id",
        "that check, which asks for a reference nobody has, gets estado -8 or -11 with a good key",
    )

    def __init__(self, options: EupagoOptions, place: ax.Place | None = None) -> None:
        super().__init__(options, place)
        self._made: dict[str, ax.Reference] = {}

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(self.options.base_url, secrets=[self.options.api_key], allow_private=self.place.allow_private)

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """Ask for a reference that nobody has: the key works, or it does not."""
        body = {"chave": self.options.api_key.get_secret_value(), "entidade": "00000", "referencia": "000000000"}
        reply = self.api.post(f"{_PATH}/info", json=body, safe=True)
        if (state := _state(reply)) not in {0, -8, -9, -11, None}:
            raise self._refusal(state, reply)

    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        """The reference for ``our_id``: the one this process made, else a new one."""
        cents_of(amount, currency, least="1.00", most="99999.00")
        if our_id in self._made:
            return self._made[our_id]
        body: dict[str, Any] = {
            "chave": self.options.api_key.get_secret_value(),
            "valor": float(amount),  # two decimals come out of JSON as they went in
            "id": our_id,
            "per_dup": 0,
        }
        if due is not None and days_left(due, self.place.timezone) is not None:
            body["data_fim"] = due.isoformat()
        if self.options.remind:
            body["failOver"] = "1"
        reply = self.api.post(f"{_PATH}/create", json=body)
        if (state := _state(reply)) not in {0, None}:
            raise self._refusal(state, reply)
        entity, reference = reply.id_at("entidade"), reply.id_at("referencia")
        if state is None or not entity or not reference:
            raise ax.OutcomeUnknown(
                "Eupago answered without a reference; it may have made one", hint=f"look for {our_id} in the backoffice before asking again"
            )
        # they come as numbers, and lose their zeros
        made = ax.Reference(our_id=our_id, entity=f"{entity:0>5}", reference=f"{reference:0>9}", amount=amount, due=due)
        self._made[our_id] = made
        return made

    def find_reference(self, our_id: str) -> ax.Reference | None:
        """What this process made for ``our_id``: Eupago is asked by reference, not by our id."""
        return self._made.get(our_id)

    def _refusal(self, state: int | None, reply: Reply) -> ax.ConnectorError:
        cls, said, hint = _STATES.get(state or 0, (ax.SetupError, "", "look the estado up in Eupago's documentation"))
        # its own words without what must not be told
        told = said or self.api.refusal(reply, "POST").message
        return cls(f"Eupago answers estado {state}: {told}", hint=hint, code=str(state))


def _state(reply: Reply) -> int | None:
    """The reply's ``estado``: 0 is done, below it are refusals; None where there is none. The HTTP status is 200 all the same."""
    try:
        return int(reply.json()["estado"])
    except (ValueError, LookupError, TypeError):
        return None


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Eupago]

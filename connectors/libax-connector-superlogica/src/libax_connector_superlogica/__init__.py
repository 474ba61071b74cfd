"""Superlógica (Assinaturas, Financeiro v2): customers, subscriptions and charges as actions; customers and charges as records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_connector_superlogica import work
from libax_connector_superlogica.reading import ENTITIES, Reader
from libax_connector_superlogica.verdict import judged


class SuperlogicaOptions(ax.Options):
    """What a profile says about an app of this connector."""

    app_token: ax.Secret = Field(description="token of the app (PR-47)")
    access_token: ax.Secret = Field(description="token of the account's access (PR-47); lasts a year")
    due_day: int | None = Field(None, ge=1, le=31, description="due day of new customers where an action names none (PR-48)")
    payment: str | None = Field(None, description="number of the payment method where an action names none (PR-50)")
    notify: bool = Field(default=False, description="tell the customer of a subscription where an action does not say (PR-49)")
    base_url: str = Field("https://api.superlogica.net/v2/financeiro", description="where the API is; for a test server")


class Superlogica(ax.Actor[SuperlogicaOptions], ax.Source[SuperlogicaOptions]):
    """One action, one request; the envelope in the reply says whether it was done, whatever HTTP says."""

    name = "superlogica"
    title = "Superlógica: customers, subscriptions and charges"
    capabilities = frozenset({ax.Capability.ACTIONS, ax.Capability.SOURCE})
    credentials = (
        "1. In Superlógica, under *Configurações → Integrações → Aplicativos*, create an app: it shows the *app token*.\n"
        "2. Let the app in, and copy the *access token*; it lasts a year. Keep both outside the profile:\n\n"
        '```toml\n[apps.superlogica]\nconnector    = "superlogica"\napp_token    = { env = "SL_APP" }\naccess_token = { env = "SL_ACCESS" }\n```'
    )
    limits = "None documented; the connector asks twice a second and reads fifty rows a page."
    verified = "published client code of others; the vendor's own pages could not be read"
    unverified = (
        "dates are written MM/DD/YYYY: seen in several clients, and in nothing by the vendor",
        "which words tell a wrong token, an unknown customer or a bad value",
        "how a cancelled charge is told: by its date of cancellation, where it has one",
        "pace, batches, and whether a second identical request is noticed: unknown",
        "where in the panel the tokens are",
    )
    default_rate = "2/s"
    default_concurrency = 2
    actions: ClassVar[Mapping[str, str]] = work.ACTIONS

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(
            self.options.base_url,
            headers={"app_token": self.options.app_token, "access_token": self.options.access_token},
            allow_private=self.place.allow_private,
            max_body=16 << 20,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """Ask for one customer."""
        reply = self.api.get("clientes", query={"pagina": 1, "itensPorPagina": 1}, classify=False, safe=True)
        judged(self.api, reply, safe=True)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Register or change a customer, begin or end a subscription, make a charge (PR-47 … PR-50)."""
        options = self.options
        zone = ZoneInfo(self.place.timezone)
        method, path, body = work.request(action, due_day=options.due_day, payment=options.payment, notify=options.notify, zone=zone)
        reply = self.api.request(method, path, json=body, classify=False)
        judged(self.api, reply)
        return ax.Receipt(id=work.made(reply))

    def entities(self) -> Sequence[str]:
        """Customers and charges."""
        return tuple(ENTITIES)

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """Every customer or charge; nothing is pushed down but the id of a single one."""
        if entity not in ENTITIES:
            raise ax.InputDataError(f"superlogica has no {entity}", hint=f"it has {' and '.join(ENTITIES)}")
        yield from Reader(self.api, entity, self.place).rows(query)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Superlogica]

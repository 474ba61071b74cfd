"""RD Station Marketing: conversions, contact fields, funnel stage, opportunities, sales and tags, as actions on a lead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_connector_rd_station import lead
from libax_connector_rd_station.access import Access
from libax_connector_rd_station.daily import Daily
from libax_connector_rd_station.verdict import is_expired, refusal


class RdStationOptions(ax.Options):
    """What a profile says about an app of this connector: the three of OAuth, or the public key, which can convert and nothing else."""

    client_id: str | None = Field(None, description="of the app in RD Station's app store")
    client_secret: ax.Secret | None = Field(None, description="of the same app")
    refresh_token: ax.Secret | None = Field(None, description="what the account's owner got when he let the app in")
    api_key: ax.Secret | None = Field(None, description="public token of the account; for conversions only")
    conversion: str | None = Field(None, description="the conversion identifier where an action names none (PR-35)")
    base_url: str = Field("https://api.rd.services", description="where the API is; for a test server")

    @model_validator(mode="after")
    def _has_a_credential(self) -> RdStationOptions:
        three = (self.client_id, self.client_secret, self.refresh_token)
        if any(three) and not all(three):
            raise ValueError("client_id, client_secret and refresh_token go together")
        if not any(three) and self.api_key is None:
            raise ValueError("no credential: give client_id, client_secret and refresh_token, or api_key for conversions only")
        return self


class RdStation(ax.Actor[RdStationOptions]):
    """One action, one request; besides, a new access token a day."""

    name = "rd-station"
    title = "RD Station Marketing: conversions, contacts, funnel, tags"
    capabilities = frozenset({ax.Capability.ACTIONS})
    credentials = (
        "For everything:\n\n"
        "1. In RD Station's app store, create an app; it has a `client_id` and a `client_secret`.\n"
        "2. Let the account's owner open `https://api.rd.services/auth/dialog?client_id=…&redirect_uri=…` and agree; the address he is sent to"
        " holds a `code`.\n"
        "3. Exchange the code once at `https://api.rd.services/auth/token` for a `refresh_token`. Keep all three outside the profile:\n\n"
        '```toml\n[apps.rd]\nconnector     = "rd-station"\nclient_id     = "…"\nclient_secret = { env = "RD_SECRET" }\n'
        'refresh_token = { env = "RD_REFRESH" }\n```\n\n'
        "For conversions only, the *public token* under *Integrations* will do: `api_key`."
    )
    limits = (
        "120 requests a minute for an account (500 with Advanced), 100 of which the connector takes; 24 changes and 24 conversions of one"
        " contact in 24 hours, which the connector counts while it runs; an access token lasts 24 hours."
    )
    verified = "the vendor's own Ruby client, its published page on limits, and callers of the funnel"
    unverified = (
        "24 conversions a contact: RD's pages disagree, the lower number is kept",
        "adding tags by POST …/tag, and the events OPPORTUNITY, SALE and OPPORTUNITY_LOST: from callers' code",
        "the words of refusals beyond the error types that the vendor's client names",
    )
    default_rate = "100/min"
    default_concurrency = 2
    actions: ClassVar[Mapping[str, str]] = lead.ACTIONS

    def open(self) -> None:
        """Prepare; nothing leaves yet, not even for a token."""
        options = self.options
        self._daily = Daily()
        self._access: Access | None = None
        self._public: ApiClient | None = None
        if options.client_id and options.client_secret and options.refresh_token:
            self._access = Access(
                options.base_url, options.client_id, options.client_secret, options.refresh_token, self.place.allow_private
            )
        elif options.api_key is not None:
            self._public = ApiClient(
                options.base_url, query={"api_key": options.api_key}, secrets=[options.api_key], allow_private=self.place.allow_private
            )

    def close(self) -> None:
        """Let go of the connections."""
        if self._access is not None:
            self._access.close()
        if self._public is not None:
            self._public.close()

    def checks_account(self) -> bool:
        """Only with OAuth: the public key can do nothing but convert."""
        return self.options.refresh_token is not None

    def check(self) -> None:
        """Get a token and ask for the contact fields; with the public key, see that the address resolves."""
        if self._access is None:
            assert self._public is not None
            self._public.resolve()
            return
        client = self._access.client()
        reply = client.get("/platform/contacts/fields", classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise refusal(client, reply, safe=True)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Do one thing to one lead, known by his e-mail address or RD's uuid."""
        request = lead.request(action, self.options.conversion)
        if self._public is not None:
            if action.kind != "conversion":
                raise ax.SetupError(
                    f"the public key can convert, not {action.kind}", hint="give the app client_id, client_secret and refresh_token"
                )
            client, path, query = self._public, "/platform/conversions", None
        else:
            assert self._access is not None
            client, path, query = self._access.client(), request.path, request.query
        self._daily.take(request.counted, action.to.lower())
        reply = client.request(request.method, path, query=query, json=request.body, classify=False)
        if 200 <= reply.status < 300:
            return ax.Receipt(id=reply.id_at("event_uuid") or reply.id_at("uuid"))
        if self._access is not None and is_expired(reply):
            self._access.forget()
            raise ax.Transient("RD Station's access token ran out before its time; the next try gets a new one", code="ExpiredAccessToken")
        raise refusal(client, reply)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [RdStation]

"""The exact requests, the token's life, and the count of one contact's changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from libax_connector_rd_station import RdStation, RdStationOptions
from libax_connector_rd_station.daily import Daily

import libax_automate as ax
from libax_automate.testing import LOOPBACK, Reply, Request, Service

TOKEN = Reply(200, {"access_token": "access-1", "expires_in": 86400})
OAUTH = {"client_id": "c-1", "client_secret": "secret-never-shown", "refresh_token": "refresh-never-shown"}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, {"event_uuid": "e-1"})) as service:
        service.on("/auth/token", TOKEN)
        yield service


def made(url: str, **options: Any) -> RdStation:
    connector = RdStation(RdStationOptions.model_validate({"base_url": url, **(options or OAUTH)}), ax.Place(allow_private=LOOPBACK))
    connector.open()
    return connector


def act(service: Service, kind: str, person: str = "ana@example.com", **fields: Any) -> Request:
    made(service.url).act(ax.Action(id="M1", key="k", to=person, kind=kind, fields=fields))
    return service.requests[-1]


@pytest.mark.req("PR-35", "PR-39")
def test_a_conversion(service: Service) -> None:
    request = act(service, "conversion", identifier="Newsletter", name="Ana", tags="lead, porto", cf_plano="fibra", consent=True)
    assert (request.method, request.path, request.query) == ("POST", "/platform/events", {"event_type": ["conversion"]})
    assert request.headers["authorization"] == "Bearer access-1"
    assert request.json() == {
        "event_type": "CONVERSION",
        "event_family": "CDP",
        "payload": {
            "conversion_identifier": "Newsletter",
            "email": "ana@example.com",
            "name": "Ana",
            "tags": ["lead", "porto"],
            "cf_plano": "fibra",
            "legal_bases": [{"category": "communications", "type": "consent", "status": "granted"}],
        },
    }


@pytest.mark.req("PR-35")
def test_the_identifier_comes_from_the_app_where_the_action_names_none(service: Service) -> None:
    action = ax.Action(id="M1", key="k", to="ana@example.com", kind="conversion")
    made(service.url, **OAUTH, conversion="Venda").act(action)
    assert service.requests[-1].json()["payload"]["conversion_identifier"] == "Venda"
    with pytest.raises(ax.SetupError, match="identifier"):
        made(service.url).act(action)


def test_fields_are_written_without_a_conversion_and_without_the_address(service: Service) -> None:
    request = act(service, "contact", name="Ana", email="ana@example.com", mobile_phone="+5511987654321")
    assert (request.method, request.path) == ("PATCH", "/platform/contacts/email:ana@example.com")
    assert request.json() == {"name": "Ana", "mobile_phone": "+5511987654321"}
    uuid = "5408c5a3-4711-4f2e-8d0b-13407a3e30f3"
    request = act(service, "contact", uuid, email="ana@example.com")
    assert (request.path, request.json()) == (f"/platform/contacts/{uuid}", {"email": "ana@example.com"})
    assert act(service, "contact", "ana+x/y@example.com", name="A").path == "/platform/contacts/email:ana%2Bx%2Fy@example.com"


@pytest.mark.req("PR-36", "PR-37", "PR-38")
@pytest.mark.parametrize(
    ("stage", "rd"),
    [
        ("Lead", "Lead"),
        ("Lead qualificado", "Qualified Lead"),
        ("qualified", "Qualified Lead"),
        ("Cliente", "Client"),
        ("client", "Client"),
    ],
)
def test_the_funnel(service: Service, stage: str, rd: str) -> None:
    request = act(service, "stage", stage=stage, opportunity="sim", owner="rui@example.com")
    assert (request.method, request.path) == ("PUT", "/platform/contacts/email:ana@example.com/funnels/default")
    assert request.json() == {"lifecycle_stage": rd, "opportunity": True, "contact_owner_email": "rui@example.com"}


@pytest.mark.req("PR-37")
def test_opportunities_and_sales(service: Service) -> None:
    request = act(service, "opportunity")
    assert request.query == {"event_type": ["opportunity"]}
    assert request.json()["payload"] == {"email": "ana@example.com", "funnel_name": "default"}
    assert act(service, "sale", value="1234.56").json()["payload"]["value"] == 1234.56
    lost = act(service, "lost", reason="preço", funnel="vendas").json()
    assert (lost["event_type"], lost["payload"]["reason"], lost["payload"]["funnel_name"]) == ("OPPORTUNITY_LOST", "preço", "vendas")


@pytest.mark.req("PR-39")
def test_tags(service: Service) -> None:
    request = act(service, "tag", tags="vip, porto")
    assert (request.method, request.path, request.json()) == (
        "POST",
        "/platform/contacts/email:ana@example.com/tag",
        {"tags": ["vip", "porto"]},
    )


@pytest.mark.parametrize(
    ("kind", "person", "fields", "error"),
    [
        ("stage", "ana@example.com", {"stage": "vip"}, ax.SetupError),
        ("stage", "ana@example.com", {"owner": "Rui"}, ax.SetupError),
        ("stage", "ana@example.com", {"opportunity": "perhaps"}, ax.SetupError),
        ("stage", "ana@example.com", {}, ax.SetupError),
        ("tag", "ana@example.com", {}, ax.SetupError),
        ("sale", "ana@example.com", {"value": "much"}, ax.SetupError),
        ("contact", "4711", {"name": "Ana"}, ax.RecipientError),
        ("sale", "5408c5a3-4711-4f2e-8d0b-13407a3e30f3", {}, ax.RecipientError),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_leaves(
    service: Service, kind: str, person: str, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(service, kind, person, **fields)
    assert service.requests == []


def test_a_token_is_asked_once_and_anew_when_it_ran_out(service: Service) -> None:
    rd = made(service.url)
    action = ax.Action(id="M1", key="k", to="ana@example.com", kind="opportunity")
    rd.act(action)
    rd.act(action)
    asked = [request for request in service.requests if request.path == "/auth/token"]
    assert [request.json() for request in asked] == [OAUTH]
    service.on("/platform/events", Reply(401, {"errors": [{"error_type": "EXPIRED_ACCESS_TOKEN", "error_message": "old"}]}))
    service.on("/auth/token", Reply(200, {"access_token": "access-2", "expires_in": 60}))
    with pytest.raises(ax.Transient):
        rd.act(action)
    service.on("/platform/events", Reply(200, {}))
    rd.act(action)
    assert service.requests[-1].headers["authorization"] == "Bearer access-2"
    service.clear()
    rd.act(action)
    assert [request.path for request in service.requests] == ["/auth/token", "/platform/events"], "60 seconds are as good as over"
    rd.close()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(401, {"errors": {"error_type": "INVALID_REFRESH_TOKEN", "error_message": "no"}}), ax.AccountError),
        (Reply(400, {"errors": {"error_type": "BAD", "error_message": "no"}}), ax.AccountError),
        (Reply(200, {}), ax.Transient),
        (Reply(200, b"<html>"), ax.Transient),
        (Reply(500, {}), ax.Transient),
        (Reply(429, {}, {"Retry-After": "7"}), ax.RateLimited),
    ],
)
def test_a_token_that_is_refused(service: Service, reply: Reply, kind: type[Exception]) -> None:
    service.on("/auth/token", reply)
    rd = made(service.url)
    with pytest.raises(kind):
        rd.check()
    with pytest.raises(kind):
        rd.act(ax.Action(id="M1", key="k", to="ana@example.com", kind="opportunity"))
    assert {request.path for request in service.requests} == {"/auth/token"}, "nothing else has left"


def test_the_public_key_converts_and_does_nothing_else(service: Service) -> None:
    rd = made(service.url, api_key="public-never-shown")
    rd.check()
    assert not rd.checks_account()
    rd.act(ax.Action(id="M1", key="k", to="ana@example.com", kind="conversion", fields={"identifier": "Venda"}))
    (request,) = service.requests
    assert (request.path, request.query) == ("/platform/conversions", {"api_key": ["public-never-shown"]})
    assert request.json()["event_family"] == "CDP"
    with pytest.raises(ax.SetupError, match="public key"):
        rd.act(ax.Action(id="M1", key="k", to="ana@example.com", kind="tag", fields={"tags": "vip"}))


def test_one_contact_is_changed_24_times_a_day() -> None:
    now = 0.0
    daily = Daily(lambda: now)
    for _ in range(24):
        daily.take("changes", "ana@example.com")
    daily.take("changes", "rui@example.com")
    daily.take("conversions", "ana@example.com")
    for _ in range(30):
        daily.take("", "ana@example.com")
    with pytest.raises(ax.RecipientError, match="24"):
        daily.take("changes", "ana@example.com")
    now = 86400.0
    daily.take("changes", "ana@example.com")


def test_the_25th_change_leaves_no_request(service: Service) -> None:
    rd = made(service.url)
    action = ax.Action(id="M1", key="k", to="ana@example.com", kind="contact", fields={"name": "Ana"})
    for _ in range(24):
        rd.act(action)
    before = len(service.requests)
    with pytest.raises(ax.RecipientError):
        rd.act(action)
    assert len(service.requests) == before
    rd.close()


@pytest.mark.parametrize("values", [{}, {"client_id": "c-1"}, {"client_id": "c-1", "client_secret": "x"}])
def test_a_credential_is_whole(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"go together|no credential"):
        RdStationOptions.model_validate(values)

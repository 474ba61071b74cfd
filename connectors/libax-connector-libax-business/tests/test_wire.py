"""Requests held against the contract's document, and a reference server whose replies are held against it too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from libax_connector_libax_business import LibaxBusiness, LibaxBusinessOptions
from libax_connector_libax_business.reference import TOKEN, ReferenceServer

import libax_automate as ax
from libax_automate.testing import Reply, Service, SpecServer

DOCUMENT = Path(__file__).parents[3] / "docs" / "source-contract.yaml"
MOMENT = datetime(2026, 11, 15, 9, 30, 0, 500, tzinfo=UTC)
ACTIVITY = {
    "subject": "Olá",
    "text": "Parabéns!",
    "channel": "email",
    "to": "ana@example.com",
    "message": "M7",
    "at": "2026-12-24T09:30:00+00:00",
}


def connect(url: str, **options: Any) -> LibaxBusiness:
    place = ax.Place(app="libax", timezone="Europe/Lisbon", country="PT", allow_private=("127.0.0.0/8",))
    connector = LibaxBusiness(LibaxBusinessOptions.model_validate({"base_url": url, "token": TOKEN, **options}), place)
    connector.open()
    return connector


def action(to: str = "1", key: str = "7d1c9a52-0000-4000-8000-000000000001", kind: str = "activity") -> ax.Action:
    return ax.Action(id="M8", key=key, to=to, kind=kind, fields=ACTIVITY, sent_at=MOMENT)


@pytest.fixture
def reference() -> Iterator[ReferenceServer]:
    with ReferenceServer(largest=1) as server:
        yield server


@pytest.fixture
def connector(reference: ReferenceServer) -> Iterator[LibaxBusiness]:
    connector = connect(reference.url)
    yield connector
    connector.close()


def ids(connector: LibaxBusiness, entity: str = "contacts", **query: Any) -> list[str]:
    return [row.id for row in connector.fetch(entity, ax.Query(**query)) if isinstance(row, ax.Record)]


def test_every_request_keeps_the_contract() -> None:
    """Each entity, each way to select, and an activity, held against the document."""
    with SpecServer(DOCUMENT) as server:
        connector = connect(server.url)
        server.answer("describe", body={"contract": "1.0", "entities": ["contacts"]})
        for name in ("Contacts", "Invoices", "Claims", "Partners", "Commissions"):
            server.answer(f"list{name}", body={"items": [], "next": None})
        connector.check()
        for entity in connector.entities():
            assert ids(connector, entity, ids=frozenset({"1", "2"})) == []
        for entity in ("contacts", "invoices", "claims"):
            ids(connector, entity, since=ax.Since("changed_at", MOMENT))
        ids(connector, since=ax.Since("created_at", MOMENT))
        ids(connector, anniversary=ax.Anniversary("birth_date", frozenset({(2, 29), (12, 24)})))
        ids(connector, "invoices", span=ax.Span("due", date(2026, 11, 1), date(2026, 11, 30)))
        ids(connector, "commissions", span=ax.Span("date", date(2026, 11, 1)))
        server.answer("createActivity", status=201, body={"id": "a-1", "contact": "1"})
        assert connector.act(action()).id == "a-1"
        server.assert_valid()
        asked = [dict(call.query) for call in server.calls]
        assert {"limit": "500", "birthdays": "02-29,12-24"} in asked
        assert {"limit": "500", "changed_since": "2026-11-15T09:30:00Z"} in asked
        connector.close()


@pytest.mark.req("LX-55")
def test_an_activity_is_written_once_whatever_happens(reference: ReferenceServer, connector: LibaxBusiness) -> None:
    """The same key again answers the first one; a contact that does not exist is named."""
    first = connector.act(action())
    again = connector.act(action())
    assert (first.id, again.id, len(reference.data["activities"])) == ("a-1", "a-1", 1)
    written = reference.data["activities"][0]
    assert written["contact"] == "1"
    assert (written["address"], written["reference"], written["text"]) == ("ana@example.com", "M7", "Parabéns!")
    with pytest.raises(ax.RecipientError, match="99"):
        connector.act(action("99", "another-key"))
    with pytest.raises(ax.SetupError, match="no action 'deal'"):
        connector.act(action(kind="deal"))


def test_the_reference_servers_replies_keep_the_contract(reference: ReferenceServer) -> None:
    """What a program's author compares with is right itself."""
    import jsonschema
    import yaml

    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    headers = {"authorization": f"Bearer {TOKEN}", "idempotency-key": "k"}

    def hold(schema: str, *request: Any) -> Any:
        status, body = reference.answer(*request)
        validator = jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]})
        problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(json.dumps(body)))]
        assert not problems, (status, problems)
        return status

    assert hold("Description", "GET", "/about", headers, b"") == 200
    assert hold("Activity", "POST", "/activities", headers, b'{"contact": "1", "subject": "x"}') == 201
    assert hold("Activity", "POST", "/activities", headers, b'{"contact": "1", "subject": "x"}') == 200
    for entity in ("Contacts", "Invoices", "Claims", "Partners", "Commissions", "Activities"):
        assert hold(entity, "GET", f"/{entity.lower()}?limit=1000", headers, b"") == 200
    assert hold("Problem", "GET", "/contacts", {}, b"") == 401
    assert hold("Problem", "GET", "/nothing", headers, b"") == 404
    assert hold("Problem", "POST", "/activities", headers, b"{}") == 422
    assert hold("Problem", "POST", "/activities", {**headers, "idempotency-key": "l"}, b'{"contact": "99"}') == 422


def test_records_come_page_by_page_and_canonical(connector: LibaxBusiness) -> None:
    """One record a page; embedded records and custom fields come along."""
    connector.check()
    assert ids(connector) == ["1", "2", "3"]
    assert ids(connector, anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)}))) == ["1"]
    assert ids(connector, since=ax.Since("created_at", MOMENT)) == ["2"]
    assert ids(connector, "invoices", span=ax.Span("due", date(2026, 12, 1), date(2026, 12, 31))) == ["11"]
    assert ids(connector, ids=frozenset({"3", "99"})) == ["3"]
    first, second = connector.fetch("invoices", ax.Query())
    assert isinstance(first, ax.Record)
    assert isinstance(second, ax.Record)
    assert (str(first["amount"]), first["amount"].currency, first["customer"]) == ("123.40", "EUR", "1")
    assert second["customer"]["first_name"] == "Rui"
    (rui,) = [row for row in connector.fetch("contacts", ax.Query(ids=frozenset({"2"}))) if isinstance(row, ax.Record)]
    assert rui["pontos"] == 7


def test_a_program_that_ignores_the_parameters_is_no_problem(automate_service: Service) -> None:
    """More comes than was asked: what nobody asked for is passed over."""
    rows = [{"id": "1", "birth_date": "1980-12-24"}, {"id": "2", "birth_date": "1980-12-25"}, {"id": "3", "birth_date": "24/13/1980"}]
    automate_service.on("/clientes", Reply(200, {"items": rows, "next": None}))
    connector = connect(automate_service.url, paths={"contacts": "/clientes"})
    assert ids(connector, anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)}))) == ["1", "3"]
    connector.close()


@pytest.mark.parametrize(
    ("body", "said"), [({}, "does not serve"), ([], "does not serve"), ({"contract": "2.0", "entities": []}, "speaks 1")]
)
def test_check_knows_what_is_served(automate_service: Service, body: Any, said: str) -> None:
    automate_service.on("/about", Reply(200, body))
    connector = connect(automate_service.url)
    with pytest.raises(ax.SetupError, match=said):
        connector.check()
    connector.close()


def test_a_page_that_does_not_say_what_comes_next_is_an_error(automate_service: Service) -> None:
    """A list without an end that is told may be half a list."""
    automate_service.on("/contacts", Reply(200, {"items": [{"id": "1"}]}))
    connector = connect(automate_service.url)
    with pytest.raises(ax.InputDataError, match="what comes next"):
        ids(connector)
    connector.close()

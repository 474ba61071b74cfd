"""The exact requests, and what replies become."""

from collections.abc import Iterator
from typing import Any

import pytest
from libax_connector_movidesk import Movidesk, MovideskOptions

import libax_automate as ax
from libax_automate.testing import Reply, Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, {"id": "LIBAX-123"})) as service:
        yield service


@pytest.fixture
def desk(service: Service) -> Iterator[Movidesk]:
    desk = made(service)
    yield desk
    desk.close()


def made(service: Service, **options: Any) -> Movidesk:
    given = {"token": "s3cret-never-shown", "base_url": service.url, **options}
    desk = Movidesk(MovideskOptions.model_validate(given), ax.Place(allow_private=("127.0.0.0/8",)))
    desk.open()
    return desk


def act(desk: Movidesk, kind: str, to: str = "123", **fields: Any) -> ax.Receipt:
    return desk.act(ax.Action(id="M1", key="k", to=to, kind=kind, fields=fields))


@pytest.mark.req("PR-44")
def test_a_contact_is_registered_under_our_code_with_its_type(service: Service) -> None:
    """Token in the query, the contact's type from the profile; the code is made of the record's id, so that a second time makes no second one."""
    desk = made(service, contact_type="company")
    assert (
        act(desk, "person", name="Padaria Central", email="geral@example.com", tax_id="555000000", organization="ORG-1").id == "LIBAX-123"
    )
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/persons")
    assert {name: values[0] for name, values in request.query.items()} == {"token": "s3cret-never-shown", "returnAllProperties": "false"}
    assert request.json() == {
        "id": "LIBAX-123",
        "isActive": True,
        "personType": 2,
        "profileType": 2,
        "businessName": "Padaria Central",
        "emails": [{"emailType": "Profissional", "email": "geral@example.com", "isDefault": True}],
        "cpfCnpj": "555000000",
        "relationships": [{"id": "ORG-1"}],
    }
    act(desk, "person", "LIBAX-9", name="Ana", contact_type="person", profile="both", isActive=False)
    body = service.requests[1].json()
    assert (body["id"], body["personType"], body["profileType"], body["isActive"]) == ("LIBAX-9", 1, 3, False)
    desk.close()


def test_a_change_goes_to_its_code(service: Service, desk: Movidesk) -> None:
    """Only what changes is sent; nobody there is this record's error."""
    act(desk, "person-update", "LIBAX-9", email="ana@example.com", active=False)
    (request,) = service.requests
    assert (request.method, request.query["id"]) == ("PATCH", ["LIBAX-9"])
    assert request.json() == {
        "emails": [{"emailType": "Profissional", "email": "ana@example.com", "isDefault": True}],
        "isActive": False,
    }
    service.on("/persons", Reply(404, ""))
    with pytest.raises(ax.RecipientError, match="LIBAX-9"):
        act(desk, "person-update", "LIBAX-9", email="ana@example.com")


def test_what_cannot_be_done_is_not_asked(service: Service, desk: Movidesk) -> None:
    """No name, no change, no such type."""
    for kind, fields in (("person", {}), ("person-update", {}), ("person", {"name": "Ana", "contact_type": "robot"})):
        with pytest.raises(ax.ContentError):
            act(desk, kind, **fields)
    with pytest.raises(ax.RecipientError):
        act(desk, "person", "", name="Ana")
    with pytest.raises(ax.SetupError):
        list(desk.fetch("deals", ax.Query()))
    assert service.requests == []


def test_people_come_by_a_hundred_in_canonical_fields(service: Service, desk: Movidesk) -> None:
    """The default address, the state, the type; $select is mandatory."""
    row = {
        "id": "C1",
        "businessName": "Ana Silva",
        "cpfCnpj": "555000000",
        "personType": 1,
        "isActive": False,
        "profileType": 2,
        "emails": [{"email": "b@example.com"}, {"email": "a@example.com", "isDefault": True}],
    }
    service.on("/persons", Reply(200, [row]))
    (record,) = desk.fetch("contacts", ax.Query())
    assert isinstance(record, ax.Record)
    assert (record["name"], record["first_name"], record["email"], record["status"], record["person_type"], record["tax_id"]) == (
        "Ana Silva",
        "Ana",
        "a@example.com",
        "inactive",
        "person",
        "555000000",
    )
    query = {name: values[0] for name, values in service.requests[0].query.items()}
    assert (query["$top"], query["$skip"], query["$expand"], "$orderby" in query) == ("100", "0", "emails", False)


def test_pages_that_overlap_give_nobody_twice(service: Service) -> None:
    """Nobody sorts the list, so a person may be met on two pages; ``order_by`` asks for an order."""
    desk = made(service, order_by="businessName")
    first = [{"id": f"C{number}", "businessName": "Ana"} for number in range(100)]
    service.on("/persons", [Reply(200, first), Reply(200, [{"id": "C99"}, {"id": "C100"}])])
    assert len(list(desk.fetch("contacts", ax.Query()))) == 101
    assert service.requests[0].query["$orderby"] == ["businessName"]
    desk.close()


def test_ids_are_asked_for_one_by_one(service: Service, desk: Movidesk) -> None:
    """A filter on the id is refused over there; one that is gone is left out."""
    service.on("/persons", [Reply(200, {"id": "C1", "businessName": "Ana"}), Reply(404, "")])
    assert [record["id"] for record in desk.fetch("contacts", ax.Query(ids=frozenset({"C1", "C2"}))) if isinstance(record, ax.Record)] == [
        "C1"
    ]
    assert [request.query["id"] for request in service.requests] == [["C1"], ["C2"]]

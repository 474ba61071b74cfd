"""The exact requests, held against the vendor's own document where it is at hand, and what replies become."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from libax_connector_piperun import PipeRun, PipeRunOptions

import libax_automate as ax
from libax_automate.testing import Reply, Service, SpecServer

CONTRACT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts") / "piperun" / "openapi.json"
MOMENT = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
KEY = "7d1c9a52-0000-4000-8000-000000000001"


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(default=Reply(200, {"success": True, "data": {"id": 7}})) as service:
        yield service


@pytest.fixture
def crm(service: Service) -> Iterator[PipeRun]:
    crm = made(service.url)
    yield crm
    crm.close()


def made(url: str, **options: Any) -> PipeRun:
    given = {"token": "0123456789abcdef-never-shown", "base_url": url, "owner": 64911, "activity_type": 121380, **options}
    place = ax.Place(allow_private=("127.0.0.0/8",), country="BR", timezone="America/Sao_Paulo")
    crm = PipeRun(PipeRunOptions.model_validate(given), place)
    crm.open()
    return crm


def act(crm: PipeRun, kind: str, to: str = "12", **fields: Any) -> ax.Receipt:
    return crm.act(ax.Action(id="M1", key=KEY, to=to, kind=kind, fields=fields, sent_at=MOMENT))


def page(*rows: dict[str, Any], following: str | None = None) -> Reply:
    return Reply(200, {"success": True, "message": "OK", "data": list(rows), "meta": {"cursor": {"next": following}}})


def test_a_page_goes_by_cursor_and_filters(service: Service, crm: PipeRun) -> None:
    """The first cursor is empty, the next is the one that the page names; what can be selected is."""
    service.on("/deals", [page({"id": 1}, following="abc"), page({"id": 2})])
    query = ax.Query(
        since=ax.Since("changed_at", MOMENT),
        equals={"status": frozenset({"won"}), "stage": frozenset({"5"}), "pipeline": frozenset({"1", "2"}), "title": frozenset({"x"})},
    )
    assert [record["id"] for record in crm.fetch("deals", query) if isinstance(record, ax.Record)] == ["1", "2"]
    first, second = service.requests
    assert {name: values[0] for name, values in first.query.items()} == {
        "show": "200",
        "cursor": "",
        "updated_at_start": "2026-11-20 09:30:00",
        "status": "1",
        "stage_id": "5",
        "with": "persons,users,customFields,tags",
    }
    assert second.query["cursor"] == ["abc"]
    assert first.headers["token"] == "0123456789abcdef-never-shown"


def test_a_full_page_without_a_cursor_is_not_the_last(service: Service, crm: PipeRun) -> None:
    """Two hundred rows and no word on what follows: an error, not the end."""
    service.on("/tags", Reply(200, {"data": [{"id": number} for number in range(1, 201)]}))
    with pytest.raises(ax.InputDataError):
        list(crm.fetch("tags", ax.Query()))
    service.on("/tags", Reply(200, {"data": [{"id": 1}]}))
    assert len(list(crm.fetch("tags", ax.Query()))) == 1


def test_a_deal_in_canonical_fields(service: Service, crm: PipeRun) -> None:
    """States by number, amounts in the account's currency, moments of the account's clock, custom fields by the account's names."""
    row = {
        "id": 748,
        "title": "Renovação",
        "pipeline_id": 1,
        "stage_id": 3,
        "status": 3,
        "value": 100.5,
        "owner_id": 6,
        "person_id": 12,
        "updated_at": "2026-11-20 09:30:00",
        "last_stage_updated_at": "2026-11-20 09:30:00",
        "probably_closed_at": "2026-12-31",
        "customFields": [{"id": 1, "name": "Região", "value": "Sul"}],
        "tags": [{"id": 9, "name": "vip"}],
    }
    service.on("/deals", page(row, {"id": 749, "deleted": 1}))
    service.on("/users", page({"id": 6, "name": "Rui", "email": "rui@example.com"}))
    service.on("/persons/12", Reply(200, {"success": True, "data": {"id": 12, "name": "Ana Silva"}}))
    (record,) = crm.fetch("deals", ax.Query())
    assert isinstance(record, ax.Record)
    assert (record["pipeline"], record["stage"], record["status"], str(record["amount"])) == ("1", "3", "lost", "100.5")
    assert (record["amount"].currency, record["owner"]["email"], record["contact"]["name"]) == ("BRL", "rui@example.com", "Ana Silva")
    assert record["changed_at"] == record["stage_changed_at"] == MOMENT
    assert record["close_date"] == date(2026, 12, 31)
    assert (record["regiao"], tuple(record["tags"])) == ("Sul", ("vip",))
    assert record.problems == {}


def test_records_that_come_with_a_deal_are_not_asked_for_again(service: Service, crm: PipeRun) -> None:
    """Under whichever name they come; no more requests than pages."""
    row = {"id": 1, "owner_id": 6, "person_id": 12, "users": [{"id": 6, "name": "Rui"}], "person": {"id": 12, "name": "Ana Silva"}}
    service.on("/deals", page(row))
    (record,) = crm.fetch("deals", ax.Query())
    assert isinstance(record, ax.Record)
    assert (record["owner"]["name"], record["contact"]["first_name"]) == ("Rui", "Ana")
    assert len(service.requests) == 1


def test_a_person_in_canonical_fields(service: Service, crm: PipeRun) -> None:
    """The main address comes first, the first number that can get a text is the mobile; one address alone may stand without its list."""
    row = {
        "id": 1,
        "name": "Ana Silva",
        "status": 0,
        "birth_day": "1990-02-25",
        "cpf": "555.000.000-00",
        "city": {"id": 1, "uf": "RS", "name": "Porto Alegre"},
        "contact_emails": [{"email": "a@example.com", "is_main": 0}, {"email": "b@example.com", "is_main": 1}],
        "contact_phones": [{"phone": "51 3221-5555", "is_main": 1}, {"phone": "(51) 99955-5123", "is_main": 0}],
    }
    service.on("/persons", page(row, {"id": 2, "contact_emails": {"email": "c@example.com"}}))
    first, second = crm.fetch("contacts", ax.Query())
    assert isinstance(first, ax.Record)
    assert isinstance(second, ax.Record)
    assert (first["email"], first["mobile"], first["status"]) == ("b@example.com", "+5551999555123", "inactive")
    assert (first["birth_date"], first["city"], first["region"], first["first_name"]) == (date(1990, 2, 25), "Porto Alegre", "RS", "Ana")
    assert second["email"] == "c@example.com"


def test_a_few_ids_are_asked_for_one_by_one(service: Service, crm: PipeRun) -> None:
    """One that is gone is left out; a 404 that is not PipeRun's own is the URL's."""
    service.on("/deals/7", Reply(200, {"success": True, "data": {"id": 7, "title": "a"}}))
    service.on("/deals/8", Reply(404, {"success": False, "message": "Not Found"}))
    found = list(crm.fetch("deals", ax.Query(ids=frozenset({"7", "8", "x"}))))
    assert [record["id"] for record in found if isinstance(record, ax.Record)] == ["7"]
    assert [request.path for request in service.requests] == ["/deals/7", "/deals/8"]
    service.on("/deals/8", Reply(404, "nginx"))
    with pytest.raises(ax.SetupError):
        list(crm.fetch("deals", ax.Query(ids=frozenset({"8"}))))


@pytest.mark.req("LX-55")
def test_what_was_sent_becomes_a_done_activity_on_the_person(service: Service, crm: PipeRun) -> None:
    """As the engine writes it back: on the record that the message came from, at the moment it was sent."""
    fields = {"message": "M1042", "channel": "email", "subject": "Feliz aniversário", "text": "Olá", "at": "2026-11-20T12:31:00+00:00"}
    assert act(crm, "activity", **fields).id == "7"
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/activities")
    assert request.json() == {
        "activity_type_id": 121380,
        "owner_id": 64911,
        "status": 2,
        "title": "Feliz aniversário",
        "description": "Olá",
        "start_at": "2026-11-20 09:31:00",
        "persons": [{"id": 12}],
    }


@pytest.mark.req("PR-19", "PR-20", "PR-21")
def test_an_activity_of_a_rule_starts_in_days_at_a_time(service: Service, crm: PipeRun) -> None:
    """Type, name, description, responsible, days to start, time of day, duration."""
    fields = {"subject": "Ligar", "text": "Ouvir o cliente", "type": 5, "responsible": 42001, "in_days": 3, "time": "14:30", "duration": 30}
    act(crm, "activity", entity="deals", **fields)
    assert service.requests[0].json() == {
        "activity_type_id": 5,
        "owner_id": 42001,
        "status": 0,
        "title": "Ligar",
        "description": "Ouvir o cliente",
        "start_at": "2026-11-23 14:30:00",
        "duration": 30,
        "deal_id": 12,
    }


@pytest.mark.req("PR-13")
def test_a_deal_changes_owner_pipeline_stage_and_status(service: Service, crm: PipeRun) -> None:
    """By the profile's words; custom fields and tags by their numbers."""
    changes = {"owner": "42001", "pipeline": 2, "stage": 9, "status": "won", "amount": "1.234,50", "custom_fields": {"549205": "x"}}
    act(crm, "deal-update", **changes, tags=[273265], situation="frozen")
    (request,) = service.requests
    assert (request.method, request.path) == ("PUT", "/deals/12")
    assert request.json() == {
        "owner_id": 42001,
        "pipeline_id": 2,
        "stage_id": 9,
        "status": 1,
        "freezed": True,
        "value": 1234.5,
        "custom_fields": [{"id": 549205, "value": "x"}],
        "tags": [{"id": 273265}],
    }


def test_a_person_is_added_to_those_involved(service: Service, crm: PipeRun) -> None:
    """By the deal's list of other contacts."""
    act(crm, "deal-person", person=15)
    assert (service.requests[0].method, service.requests[0].path) == ("PUT", "/deals/12/persons/15")


def test_a_history_entry_is_a_note_on_the_deal(service: Service, crm: PipeRun) -> None:
    """Text and deal, nothing else."""
    act(crm, "note", text="A regra não correu: falta o e-mail")
    assert service.requests[0].json() == {"text": "A regra não correu: falta o e-mail", "deal_id": 12}


def test_what_cannot_be_done_is_not_asked(service: Service, crm: PipeRun) -> None:
    """A record that is no number, an entity nothing is written on, a moment that is none, an app without a type of activity."""
    for error, kind, to, fields in (
        (ax.ContentError, "deal-stage", "ana@example.com", {"stage": 1}),
        (ax.ContentError, "deal-stage", "12", {}),
        (ax.ContentError, "deal-update", "12", {}),
        (ax.ContentError, "deal-update", "12", {"situation": "thawed"}),
        (ax.ContentError, "deal-update", "12", {"amount": "a lot"}),
        (ax.ContentError, "activity", "12", {"in_days": "soon"}),
        (ax.SetupError, "note", "12", {"text": "a", "entity": "cars"}),
        (ax.ContentError, "activity", "12", {"in_days": 1, "time": "25:00"}),
    ):
        with pytest.raises(error):
            act(crm, kind, to, **fields)
    bare = made(service.url, owner=None)
    with pytest.raises(ax.SetupError, match="owner"):
        act(bare, "activity", text="a")
    bare.close()
    assert service.requests == []


def test_requests_are_as_the_vendor_documents_them() -> None:
    """Every list and every action, checked by a server made of the vendor's document."""
    if not CONTRACT.exists():
        pytest.skip("the vendor's document is not at hand (LIBAX_CONTRACTS)")
    # the vendor's own program begins a walk with an empty cursor, which its document does not allow for
    document = json.loads(CONTRACT.read_text(encoding="utf-8"))
    activity = document["paths"]["/activities"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    # called a date, described and shown as a date with a time of day
    del activity["properties"]["start_at"]["format"]
    with SpecServer(document, lenient=["cursor"]) as server:
        crm = made(server.url)
        crm.check()
        for entity in crm.entities():
            operation = next(
                operation.name for operation in server.document.operations.values() if operation.label == f"GET /{PATHS[entity]}"
            )
            server.answer(operation, status=200, body={"success": True, "data": [{"id": 1}], "meta": {"cursor": {"next": None}}})
            query = ax.Query(since=ax.Since("changed_at", MOMENT)) if entity not in DATED else ax.Query()
            assert len(list(crm.fetch(entity, query))) == 1
        act(crm, "activity", subject="a", text="b", in_days=1, duration=30)
        act(crm, "note", text="b", user=1)
        act(crm, "deal-stage", stage=1, pipeline=2)
        act(crm, "deal-update", owner=1, status="lost", amount="10", tags=[1], custom_fields={"1": "x"}, lost_reason_id=3)
        act(crm, "deal-add", title="a", pipeline=1, stage=2)
        crm.close()
        server.assert_valid()


PATHS = {
    "contacts": "persons",
    "companies": "companies",
    "deals": "deals",
    "activities": "activities",
    "notes": "notes",
    "pipelines": "pipelines",
    "stages": "stages",
    "users": "users",
    "tags": "tags",
    "custom_fields": "customFields",
}
#: their dates are called date-time, and described in words as they are sent: AAAA-MM-DD HH:MM:SS
DATED = frozenset({"deals", "activities"})

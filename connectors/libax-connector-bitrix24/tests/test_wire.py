"""The exact requests, and what replies become; parameters are held against the vendor's own list of methods where it is at hand."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from libax_connector_bitrix24 import Bitrix24, Bitrix24Options

import libax_automate as ax
from libax_automate.testing import Reply, Request, Service

CODE = "s3cretcode0never0shown"
CONTRACTS = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts") / "bitrix24" / "methods.json"


class Portal:
    """A CRM that answers as the documents say: pages of fifty, batches of fifty calls that refer to one another."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __call__(self, request: Request) -> Reply:
        method = request.path.rpartition("/")[2].removesuffix(".json")
        body = request.json()
        if method == "batch":
            results, failures = {}, {}
            for name, command in body["cmd"].items():
                _, _, query = command.partition("?")
                try:
                    results[name] = self.list(**parsed(re.sub(r"\$result\[(\w+)\]\[items\]\[49\]\[id\]", refer(results), query)))["result"]
                except LookupError:
                    failures[name] = {"error": "INVALID_ARG_VALUE", "error_description": "field '>ID' has invalid value"}
                    break
            return Reply(200, {"result": {"result": results, "result_error": failures or []}})
        return Reply(200, self.list(**body))

    def list(self, *, entityTypeId: Any, filter: Any, order: Any, start: Any) -> Any:  # noqa: A002, N803 - the vendor's names
        assert order == {"id": "ASC"}
        assert int(entityTypeId) == 3
        found = [item for item in self.items if item["id"] > int(filter[">id"])]
        return {"result": {"items": found[:50]}, "total": len(found) if int(start) == 0 else None}


def refer(results: Any) -> Any:
    return lambda found: str(results[found[1]]["items"][49]["id"])


def parsed(query: str) -> dict[str, Any]:
    """A query as PHP reads it, one level deep."""
    values = {}
    for name, value in parse_qsl(query):
        if nested := re.fullmatch(r"(\w+)\[(.+)\]", name):
            values.setdefault(nested[1], {})[nested[2]] = value
        else:
            values[name] = value
    return values


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def crm(service: Service) -> Iterator[Bitrix24]:
    with_defaults = made(service)
    with_defaults.open()
    yield with_defaults
    with_defaults.close()


def made(service: Service, **options: Any) -> Bitrix24:
    options = Bitrix24Options.model_validate({"webhook": f"{service.url}/rest/1/{CODE}/", **options})
    return Bitrix24(options, ax.Place(allow_private=("127.0.0.0/8",), country="PT", timezone="Europe/Lisbon"))


def answer(service: Service, method: str, *replies: Reply) -> None:
    service.on(f"/rest/1/{CODE}/{method}.json", replies)


def act(crm: Bitrix24, kind: str, to: str = "7", **fields: Any) -> ax.Receipt:
    return crm.act(ax.Action(id="M1", key="7d1c9a52-0000-4000-8000-000000000001", to=to, kind=kind, fields=fields, sent_at=MOMENT))


MOMENT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 101, 2550, 2551, 5203])
def test_every_item_comes_once_in_few_requests(count: int) -> None:
    """A page and a batch of fifty pages by turns: five thousand items are five requests."""
    items = [{"id": number * 3, "name": "Ana"} for number in range(1, count + 1)]
    with Service(default=Portal(items)) as service:
        crm = made(service)
        crm.open()
        assert [record.id for record in crm.fetch("contacts", ax.Query())] == [str(item["id"]) for item in items]
        assert len(service.requests) <= 3 + 2 * (count // 2550)
        crm.close()


def test_items_that_vanish_meanwhile_end_the_walk_where_the_list_ends() -> None:
    """A page that has become short is the last: what the batch asked behind it had nothing to start from."""

    class Shrinking(Portal):
        def __call__(self, request: Request) -> Reply:
            reply = super().__call__(request)
            self.items = self.items[:70]
            return reply

    with Service(default=Shrinking([{"id": number} for number in range(1, 301)])) as service:
        crm = made(service)
        crm.open()
        assert [record.id for record in crm.fetch("contacts", ax.Query())] == [str(number) for number in range(1, 71)]
        crm.close()


def test_a_batch_that_fails_inside_its_200_is_an_error(service: Service, crm: Bitrix24) -> None:
    """HTTP 200 with a failed page is no shorter list."""
    answer(service, "crm.item.list", Reply(200, {"result": {"items": [{"id": number} for number in range(1, 51)]}, "total": 90}))
    failure = {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
    answer(service, "batch", Reply(200, {"result": {"result": [], "result_error": {"p0": failure}}}))
    with pytest.raises(ax.RateLimited):
        list(crm.fetch("contacts", ax.Query()))


def test_operating_time_waits_until_it_is_counted_anew(service: Service, crm: Bitrix24) -> None:
    """429 tells when; where it does not, the whole window of ten minutes."""
    answer(
        service,
        "crm.item.update",
        Reply(429, {"error": "OPERATION_TIME_LIMIT", "error_description": "", "time": {"operating_reset_at": 1}}),
    )
    with pytest.raises(ax.RateLimited) as caught:
        act(crm, "deal-stage", stage="NEW")
    assert caught.value.retry_after == 1.0
    answer(service, "crm.item.update", Reply(429, {"error": "OPERATION_TIME_LIMIT"}))
    with pytest.raises(ax.RateLimited) as caught:
        act(crm, "deal-stage", stage="NEW")
    assert caught.value.retry_after == 600


def test_a_query_becomes_a_filter(service: Service, crm: Bitrix24) -> None:
    """since, spans, ids, stage, pipeline, owner, contact and status are selected over there."""
    service.on(f"/rest/1/{CODE}/crm.item.list.json", Reply(200, {"result": {"items": []}, "total": 0}))
    query = ax.Query(
        since=ax.Since("changed_at", MOMENT),
        span=ax.Span("close_date", date(2026, 12, 1), date(2026, 12, 31)),
        equals={
            "stage": frozenset({"C9:NEW"}),
            "pipeline": frozenset({"9"}),
            "owner": frozenset({"6"}),
            "contact": frozenset({"4", "5"}),
            "status": frozenset({"open", "won"}),
            "title": frozenset({"any"}),
        },
        ids=frozenset({"12", "9", "not-theirs"}),
    )
    assert list(crm.fetch("deals", query)) == []
    assert service.requests[0].json() == {
        "entityTypeId": 2,
        "filter": {
            ">=updatedTime": "2026-11-20T09:30:00+00:00",
            ">=closedate": "2026-11-30T00:00:00+00:00",
            "<=closedate": "2027-01-02T00:00:00+00:00",
            "@stageId": ["C9:NEW"],
            "@categoryId": [9],
            "@assignedById": [6],
            "@contactId": [4, 5],
            "@stageSemanticId": ["P", "S"],
            "@id": [9, 12],
            ">id": 0,
        },
        "order": {"id": "ASC"},
        "start": 0,
    }


def test_ids_that_are_no_numbers_ask_nothing(service: Service, crm: Bitrix24) -> None:
    """Nobody over there has such an id."""
    assert list(crm.fetch("contacts", ax.Query(ids=frozenset({"x"})))) == []
    assert service.requests == []


def test_a_contact_in_canonical_fields(service: Service, crm: Bitrix24) -> None:
    """Of several numbers the one that can get a text is the mobile; a birth date is the date as written, whatever its zone."""
    row = {
        "id": 12,
        "name": "Ana",
        "lastName": "Silva",
        "birthdate": "1980-12-24T02:00:00+02:00",
        "assignedById": 6,
        "updatedTime": "2026-11-20T11:30:00+02:00",
        "post": "Gerente",
        "ufCrm_1720019876534": "321",
        "fm": [
            {"typeId": "PHONE", "valueType": "WORK", "value": "+351 222 345 678"},
            {"typeId": "PHONE", "valueType": "HOME", "value": "912 345 678"},
            {"typeId": "EMAIL", "valueType": "WORK", "value": "Ana@Example.com"},
        ],
    }
    answer(service, "crm.item.list", Reply(200, {"result": {"items": [row]}, "total": 1}))
    (record,) = crm.fetch("contacts", ax.Query())
    assert record["name"] == "Ana Silva"
    assert record["birth_date"] == date(1980, 12, 24)
    assert record["mobile"] == "+351912345678"
    assert record["phone"] == "+351 222 345 678"
    assert record["email"] == "Ana@example.com"
    assert record["owner"] == "6"
    assert record["changed_at"] == MOMENT
    assert record["post"] == "Gerente"
    assert record["uf_crm_1720019876534"] == "321"
    assert record["person_type"] == "person"
    assert record.problems == {}
    assert record.raw is not row
    assert record.raw == row


def test_a_company_can_be_written_to(service: Service, crm: Bitrix24) -> None:
    """It is read as a contact that is a company, under its own entity."""
    row = {"id": 5, "title": "Padaria Central", "fm": [{"typeId": "EMAIL", "valueType": "WORK", "value": "geral@example.com"}]}
    answer(service, "crm.item.list", Reply(200, {"result": {"items": [row]}, "total": 1}))
    (record,) = crm.fetch("companies", ax.Query())
    assert (record.entity, record["name"], record["email"], record["person_type"]) == (
        "companies",
        "Padaria Central",
        "geral@example.com",
        "company",
    )
    assert "first_name" not in record


def test_deals_and_invoices_in_canonical_fields(service: Service) -> None:
    """Amounts are exact, the stage's group is the status, custom fields come under the profile's names."""
    crm = made(service, fields={"deals": {"region": "ufCrm_1"}}, paid_stages=["P", "PAID"])
    crm.open()
    deal = {
        "id": 342,
        "title": "Renovação",
        "categoryId": 0,
        "stageId": "WON",
        "stageSemanticId": "S",
        "opportunity": 999.99,
        "currencyId": "EUR",
        "contactId": 0,
        "closedate": "2026-12-31T02:00:00+02:00",
        "movedTime": "2026-11-20T11:30:00+02:00",
        "ufCrm_1": "Norte",
    }
    invoice = {"id": 9, "accountNumber": "2026/118", "stageId": "DT31_1:PAID", "opportunity": 123.45, "currencyId": "EUR", "contactId": 12}
    answer(
        service,
        "crm.item.list",
        Reply(200, {"result": {"items": [deal]}, "total": 1}),
        Reply(200, {"result": {"items": [invoice]}, "total": 1}),
    )
    (found,) = crm.fetch("deals", ax.Query())
    assert (found["pipeline"], found["stage"], found["status"], str(found["amount"])) == ("0", "WON", "won", "999.99")
    assert (found["amount"].currency, found["contact"], found["close_date"], found["region"]) == ("EUR", None, date(2026, 12, 31), "Norte")
    (found,) = crm.fetch("invoices", ax.Query())
    assert (found["number"], found["customer"], found["status"], found["balance"]) == ("2026/118", "12", "paid", 0)
    crm.close()


def test_a_deal_holds_the_records_of_its_contact_and_owner(service: Service, crm: Bitrix24) -> None:
    """One list of contacts for all deals at hand, one of users; without the right to users an owner stays a number."""
    deals = [{"id": number, "contactId": 12, "assignedById": 6} for number in (1, 2)]
    contact = {"id": 12, "name": "Ana", "lastName": "Silva"}
    answer(
        service,
        "crm.item.list",
        *(Reply(200, {"result": {"items": rows}, "total": len(rows)}) for rows in (deals, [contact], deals, [contact])),
    )
    users = Reply(200, {"result": [{"ID": "6", "NAME": "Rui", "EMAIL": "rui@example.com"}, {"ID": "7", "NAME": "Eva"}]})
    answer(service, "user.get", users, Reply(403, {"error": "insufficient_scope", "error_description": ""}))
    for deal in crm.fetch("deals", ax.Query()):
        assert isinstance(deal, ax.Record)
        assert (deal["contact"]["first_name"], deal["owner"]["email"], deal.problems) == ("Ana", "rui@example.com", {})
    assert len(service.requests) == 3
    assert service.requests[1].json()["filter"]["@id"] == [12]
    for deal in crm.fetch("deals", ax.Query()):
        assert isinstance(deal, ax.Record)
        assert deal["owner"] == "6"
        assert "not to be found" in deal.problems["owner"]


def test_smart_processes_are_entities_of_the_profile(service: Service) -> None:
    """``items`` names them by number; their fields are mapped like any other."""
    crm = made(service, items={"claims": 1036}, fields={"claims": {"policy": "ufCrm5_1"}})
    crm.open()
    assert "claims" in crm.entities()
    gone = Reply(400, {"error": "NOT_FOUND", "error_description": "SPA not found"})
    answer(service, "crm.item.list", Reply(200, {"result": {"items": [{"id": 1, "ufCrm5_1": "AP-1001"}]}, "total": 1}), gone)
    (found,) = crm.fetch("claims", ax.Query())
    assert found["policy"] == "AP-1001"
    assert service.requests[0].json()["entityTypeId"] == 1036
    with pytest.raises(ax.SetupError, match="SPA not found"):
        list(crm.fetch("claims", ax.Query()))
    crm.close()


@pytest.mark.req("LX-55")
def test_an_activity_is_a_to_do_on_the_person(service: Service, crm: Bitrix24) -> None:
    """What the engine writes back after a message: subject, text, when, on the record it came from."""
    answer(service, "crm.activity.todo.add", Reply(200, {"result": {"id": 999}}))
    receipt = act(crm, "activity", subject="Feliz aniversário", text="Olá, Ana", channel="email", at="2026-11-20T09:31:00+00:00")
    assert receipt.id == "999"
    assert service.requests[0].json() == {
        "ownerTypeId": 3,
        "ownerId": 7,
        "deadline": "2026-11-20T09:31:00+00:00",
        "title": "Feliz aniversário",
        "description": "Olá, Ana",
    }


@pytest.mark.req("PR-13")
def test_the_owner_of_a_deal_is_changed(service: Service, crm: Bitrix24) -> None:
    """By the profile's own words, or by the vendor's."""
    answer(service, "crm.item.update", Reply(200, {"result": {"item": {"id": 7}}}))
    assert act(crm, "deal-update", owner=6, amount="999.99", ufCrm_1="x").id == "7"
    assert service.requests[0].json() == {
        "entityTypeId": 2,
        "id": 7,
        "fields": {"assignedById": 6, "opportunity": "999.99", "ufCrm_1": "x", "isManualOpportunity": "Y"},
    }


def test_a_deal_moves_to_a_stage(service: Service, crm: Bitrix24) -> None:
    """Stage and pipeline in one call."""
    answer(service, "crm.item.update", Reply(200, {"result": {"item": {"id": 7}}}))
    act(crm, "deal-stage", stage="C9:NEW", pipeline=9)
    assert service.requests[0].json()["fields"] == {"stageId": "C9:NEW", "categoryId": 9}
    with pytest.raises(ax.ContentError, match="lacks stage"):
        act(crm, "deal-stage", pipeline=9)


def test_comments_and_new_items(service: Service, crm: Bitrix24) -> None:
    """A comment's id is the result itself; what is made carries the message's key, by which a double can be found."""
    answer(service, "crm.timeline.comment.add", Reply(200, {"result": 999}))
    assert act(crm, "timeline-comment", text="Parabéns", entity="contacts").id == "999"
    assert service.requests[0].json() == {"fields": {"ENTITY_ID": 7, "ENTITY_TYPE": "contact", "COMMENT": "Parabéns"}}
    answer(service, "crm.item.add", Reply(200, {"result": {"item": {"id": 8}}}))
    assert act(crm, "item-add", entity="deals", title="Renovação").id == "8"
    assert service.requests[1].json()["fields"] == {
        "title": "Renovação",
        "originatorId": "libax-automate",
        "originId": "7d1c9a52-0000-4000-8000-000000000001",
    }


def test_what_cannot_be_asked_is_not_asked(service: Service, crm: Bitrix24) -> None:
    """A record that is no number, an entity nobody has, an action that changes nothing."""
    for error, kind, to, fields in (
        (ax.RecipientError, "deal-stage", "ana@example.com", {"stage": "NEW"}),
        (ax.SetupError, "item-update", "7", {"entity": "cars", "title": "x"}),
        (ax.ContentError, "item-update", "7", {"title": "x"}),
        (ax.ContentError, "deal-update", "7", {}),
        (ax.ContentError, "timeline-comment", "7", {"text": ""}),
    ):
        with pytest.raises(error):
            act(crm, kind, to, **fields)
    with pytest.raises(ax.SetupError):
        list(crm.fetch("cars", ax.Query()))
    assert service.requests == []


@pytest.mark.req("BX-20")
def test_the_secret_in_the_address_is_told_to_nobody(service: Service, crm: Bitrix24) -> None:
    """The code stands in the path of every request; no error, repr or option shows it, though the server quotes the path."""
    answer(service, "crm.item.update", Reply(404, {"error": "ERROR_METHOD_NOT_FOUND", "error_description": f"no /rest/1/{CODE}/x"}))
    with pytest.raises(ax.SetupError) as caught:
        act(crm, "deal-stage", stage="NEW")
    assert CODE not in f"{caught.value} {vars(caught.value)} {crm!r} {crm.options!r} {crm.api!r}"
    assert list(crm.secrets()) == [CODE]


def test_check_names_a_missing_right(service: Service, crm: Bitrix24) -> None:
    """A webhook without the CRM is found before a run."""
    answer(service, "scope", Reply(200, {"result": ["user"]}))
    with pytest.raises(ax.SetupError, match="may not use the CRM"):
        crm.check()


def test_an_address_that_is_no_webhook_is_refused() -> None:
    """And is not shown: it may hold the code."""
    with pytest.raises(ValueError, match="incoming webhook") as caught:
        Bitrix24Options.model_validate({"webhook": f"https://b24.example.com/{CODE}"})
    assert CODE not in str(caught.value)


def test_every_parameter_is_one_that_the_vendor_documents(service: Service, crm: Bitrix24) -> None:
    """Names of methods and parameters, held against the vendor's list."""
    if not CONTRACTS.exists():
        pytest.skip("the vendor's list of methods is not at hand (LIBAX_CONTRACTS)")
    methods = json.loads(CONTRACTS.read_text(encoding="utf-8"))["methods"]
    service.on(f"/rest/1/{CODE}/crm.item.list.json", Reply(200, {"result": {"items": [{"id": n} for n in range(1, 51)]}, "total": 60}))
    service.on(f"/rest/1/{CODE}/batch.json", Reply(200, {"result": {"result": {"p0": {"items": []}}, "result_error": []}}))
    service.on(f"/rest/1/{CODE}/user.get.json", Reply(200, {"result": []}))
    service.on(f"/rest/1/{CODE}/scope.json", Reply(200, {"result": ["crm"]}))
    crm.check()
    list(crm.fetch("users", ax.Query(ids=frozenset({"1"}))))
    list(crm.fetch("contacts", ax.Query()))
    act(crm, "activity", subject="a", text="b", responsible=6)
    act(crm, "timeline-comment", text="b")
    act(
        crm,
        "deal-update",
        title="a",
        owner=6,
        amount=1,
        currency="EUR",
        contact=1,
        company=2,
        close_date="2026-12-31",
        stage="NEW",
        pipeline=0,
    )
    act(crm, "item-add", entity="contacts", first_name="Ana", last_name="Silva", birth_date="1980-12-24")
    assert len(service.requests) == 8
    for request in service.requests:
        method = methods[request.path.rpartition("/")[2].removesuffix(".json")]
        body = request.json()
        known = {parameter["name"] for parameter in method["parameters"].get("Method Parameters", ())}
        assert set(body) <= known | {"id"}, f"{request.path}: {set(body) - known}"
        needed = {parameter["name"] for parameter in method["parameters"].get("Method Parameters", ()) if parameter["required"]}
        assert needed <= set(body)
        if named := {parameter["name"] for parameter in method["parameters"].get("Parameter fields", ())}:
            assert set(body["fields"]) <= named

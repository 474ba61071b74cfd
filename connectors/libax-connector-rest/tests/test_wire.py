"""What is asked, exactly, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from libax_connector_rest import Rest, RestOptions
from pydantic import ValidationError

import libax_automate as ax
from libax_automate.testing import Reply, Service

Make = Callable[..., Rest]


@pytest.fixture
def make(automate_service: Service) -> Iterator[Make]:
    made: list[Rest] = []

    def build(**options: Any) -> Rest:
        place = ax.Place(app="erp", timezone="Europe/Lisbon", country="PT", allow_private=("127.0.0.0/8",))
        connector = Rest(RestOptions.model_validate({"base_url": automate_service.url, **options}), place)
        connector.open()
        made.append(connector)
        return connector

    yield build
    for connector in made:
        connector.close()


def records(connector: Rest, entity: str = "contacts", **query: Any) -> list[ax.Record]:
    return [row for row in connector.fetch(entity, ax.Query(**query)) if isinstance(row, ax.Record)]


def test_a_service_that_gives_fewer_rows_than_asked_is_read_to_its_end(automate_service: Service, make: Make) -> None:
    """A cap of two rows a page is not the end of the list."""
    rows = [{"id": number} for number in range(5)]

    def answer(request: Any) -> Reply:
        page = int(request.query["page"][0])
        return Reply(200, rows[2 * page - 2 : 2 * page])

    automate_service.on("/c", answer)
    found = records(make(contacts="/c", paging="page", size_param="limit", page_size=100))
    assert [record.id for record in found] == ["0", "1", "2", "3", "4"]
    assert [request.query["limit"] for request in automate_service.requests] == [["100"]] * 3


def test_rows_that_shift_between_pages_come_once(automate_service: Service, make: Make) -> None:
    """Somebody was added while the pages were read."""
    pages = {"0": [{"id": 1}, {"id": 2}], "2": [{"id": 2}, {"id": 3}], "4": []}
    automate_service.on("/c", lambda request: Reply(200, pages[request.query["offset"][0]]))
    assert [record.id for record in records(make(contacts="/c", paging="offset"))] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("iso", "2026-07-20T23:30:00Z"), ("local", "2026-07-21T00:30:00"), ("date", "2026-07-20"), ("unix", "1784590200"), ("unix-ms", "1784590200999"),
    ],
)  # fmt: skip
def test_moments_are_written_as_the_service_reads_them(automate_service: Service, make: Make, form: str, written: str) -> None:
    """Never later than they are."""
    automate_service.on("/c", Reply(200, []))
    table = {"path": "/c", "since": {"changed_at": "after", "created_at": "new"}, "query": {"active": True}}
    connector = make(contacts=table, moment=form)
    moment = datetime(2026, 7, 20, 23, 30, 0, 999_999, tzinfo=UTC)
    records(connector, since=ax.Since("changed_at", moment))
    records(connector, since=ax.Since("birth_date", moment))
    first, second = automate_service.requests
    assert dict(first.query) == {"active": ["true"], "after": [written]}
    assert dict(second.query) == {"active": ["true"]}


def test_dates_and_ids_go_into_the_request(automate_service: Service, make: Make) -> None:
    """Both ends of a span; ids by the fifty, or one by one, a record that is gone left out."""
    automate_service.on("/i", Reply(200, []))
    automate_service.on("/c/a b", Reply(404, {}))
    automate_service.on("/c/a%20b", Reply(404, {}))
    automate_service.on("/c/7", Reply(200, {"data": {"id": 7, "name": "Ana"}}))
    connector = make(
        invoices={"path": "/i", "first": {"due": "from"}, "last": {"due": "to"}, "ids": "ids"},
        contacts={"path": "/c", "one": "/c/{id}", "item": "data"},
    )
    records(connector, "invoices", span=ax.Span("due", date(2026, 11, 1), date(2026, 11, 30)))
    records(connector, "invoices", ids=frozenset(str(number) for number in range(120)))
    queries = [request.query for request in automate_service.requests]
    assert dict(queries[0]) == {"from": ["2026-11-01"], "to": ["2026-11-30"]}
    assert [len(query["ids"][0].split(",")) for query in queries[1:]] == [50, 50, 20]
    assert [record.id for record in records(connector, ids=frozenset({"7", "a b"}))] == ["7"]


def test_rows_that_nobody_asked_for_are_passed_over(automate_service: Service, make: Make) -> None:
    """By the field's value, wherever it sits; what cannot be read comes along and is named."""
    rows = [
        {"id": 1, "born": {"on": "1980-12-24"}}, {"id": 2, "born": {"on": "1980-12-25"}}, {"id": 3, "born": {"on": "31/31/1980"}}, {"id": 4}, "x",
    ]  # fmt: skip
    automate_service.on("/c", Reply(200, rows))
    connector = make(contacts="/c", fields={"birth_date": "born.on"})
    found = list(connector.fetch("contacts", ax.Query(anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)})))))
    assert [row.id if isinstance(row, ax.Record) else row.why for row in found] == ["1", "3", "is no record: 'x'"]
    automate_service.on("/d", Reply(200, [{"id": 1}, {"id": 2, "data_nascimento": "24/12/1980"}, {"id": 3, "birthDate": "1990-12-24"}]))
    by_name = make(contacts="/d")
    assert [record.id for record in records(by_name, anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)})))] == ["2", "3"]


def test_amounts_relations_and_custom_fields(automate_service: Service, make: Make) -> None:
    """Decimals out of JSON numbers, related records by name, the rest as it came."""
    row = {
        "id": 10,
        "total": 1.234,
        "moeda": "EUR",
        "client": {"id": 4, "fullName": "Ana Silva"},
        "seller": {"team": "a"},
        "due": "2026-11-30",
    }
    automate_service.on("/i", Reply(200, [row]))
    fields = {"amount": "total", "currency": "moeda", "customer.id": "client.id", "customer.name": "client.fullName"}
    (invoice,) = records(make(invoices={"path": "/i", "fields": fields}), "invoices")
    assert (invoice["amount"], invoice["amount"].currency, invoice["due"]) == (Decimal("1.234"), "EUR", date(2026, 11, 30))
    assert (invoice["customer"].id, invoice["customer"]["first_name"]) == ("4", "Ana")
    assert invoice["seller"] == {"team": "a"}
    assert invoice.raw is not None


@pytest.mark.parametrize("style", ["link", "next-url"])
def test_a_next_page_elsewhere_is_refused(automate_service: Service, make: Make, style: str) -> None:
    """The key would go with the request."""
    url = "https://elsewhere.example.com/customers"
    automate_service.on("/c", Reply(200, {"rows": [{"id": 1}], "next": url}, {"Link": f"<{url}>; rel=next"}))
    with pytest.raises(ax.SetupError, match="another server"):
        records(make(contacts="/c", paging=style, items="rows"))


def test_how_a_request_shows_who_it_is(automate_service: Service, make: Make) -> None:
    automate_service.on("/c", Reply(200, []))
    for auth in (
        {"auth": "bearer", "token": "t0ken-value"},
        {"auth": "header", "token": "t0ken-value"},
        {"auth": "query", "token": "t0ken-value"},
        {"auth": "basic", "username": "u", "password": "p"},
    ):
        records(make(contacts="/c", **auth))
    bearer, header, query, basic = automate_service.requests
    assert bearer.headers["authorization"] == "Bearer t0ken-value"
    assert header.headers["x-api-key"] == "t0ken-value"
    assert query.query["api_key"] == ["t0ken-value"]
    assert basic.headers["authorization"] == "Basic dTpw"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no entity is named"),
        ({"contacts": "/c", "auth": "bearer"}, "needs token"),
        ({"contacts": "/c", "token": "x"}, "not how it goes"),
        ({"contacts": "/c", "auth": "basic", "username": "u"}, "needs username and password"),
        ({"contacts": "/c", "pagin": "page"}, "did you mean 'paging'"),
        ({"contacts": "/c", "deals": "/d", "fields": {"id": "code"}}, "which entity"),
        ({"contacts": {"path": "/c", "one": "/c/id"}}, "no place for the id"),
        ({"contacts": {"path": "/c", "sinse": "x"}}, "contacts"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RestOptions.model_validate({"base_url": "https://erp.example.com", **options})


def test_check_finds_rows_without_an_id(automate_service: Service, make: Make) -> None:
    """Before a run does, and with what to write."""
    automate_service.on("/c", Reply(200, [{"ref": 1}]))
    with pytest.raises(ax.SetupError, match="has no id") as caught:
        make(contacts="/c", fields={"name": "n"}).check()
    assert "fields" in caught.value.hint
    automate_service.on("/c", Reply(200, [{"ref": 1}]))
    make(contacts="/c", fields={"id": "ref"}).check()

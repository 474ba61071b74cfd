"""Every request held against the vendor's own document; skipped where the document is not at hand."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from libax_connector_mailchimp import Mailchimp, MailchimpOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts")
DOCUMENT = ROOT / "mailchimp" / "openapi.json"
pytestmark = pytest.mark.skipif(not DOCUMENT.is_file(), reason="no vendor document: set LIBAX_CONTRACTS to a folder of them")

KEY = "0123456789abcdef-invented-us21"
HASH = hashlib.md5(b"ana@example.com").hexdigest()
#: examples that a document made from nothing but its schemas would not give
MEMBER = {"id": HASH, "email_address": "ana@example.com", "status": "subscribed"}


def made(url: str, **options: Any) -> Mailchimp:
    values = {"api_key": KEY, "base_url": url, "audience": "a1b2c3d4e5", **options}
    connector = Mailchimp(MailchimpOptions.model_validate(values), ax.Place(allow_private=LOOPBACK))
    connector.open()
    return connector


@pytest.fixture
def spec() -> Iterator[SpecServer]:
    with SpecServer(DOCUMENT) as server:
        yield server
        server.assert_valid()


def act(spec: SpecServer, kind: str, person: str = "Ana@Example.com", **fields: Any) -> Any:
    made(spec.url).act(ax.Action(id="M1", key="k", to=person, kind=kind, fields=fields))
    return spec.calls[-1]


def test_a_member_is_known_by_the_hash_of_his_address(spec: SpecServer) -> None:
    spec.answer("putListsIdMembersId", body=MEMBER)
    call = act(spec, "list-add", language="pt", fname="Ana")
    assert call.path.endswith(f"/lists/a1b2c3d4e5/members/{HASH}")
    assert call.body == {
        "email_address": "Ana@Example.com",
        "status_if_new": "subscribed",
        "language": "pt",
        "merge_fields": {"FNAME": "Ana"},
    }
    assert act(spec, "list-remove", list="f6e5d4c3b2").path.endswith(f"/lists/f6e5d4c3b2/members/{HASH}")
    assert spec.calls[-1].method == "DELETE"
    assert act(spec, "unsubscribe").body == {"status": "unsubscribed"}
    assert act(spec, "tag", tags="vip, porto").body == {
        "tags": [{"name": "vip", "status": "active"}, {"name": "porto", "status": "active"}]
    }
    assert act(spec, "untag", person=HASH, tags=["vip"]).body == {"tags": [{"name": "vip", "status": "inactive"}]}
    assert spec.calls[-1].path.endswith(f"/members/{HASH}/tags")


@pytest.mark.req("PR-56")
def test_a_move_from_list_to_list_is_one_call(spec: SpecServer) -> None:
    spec.answer("postBatches", body={"id": "b1", "status": "pending"})
    receipt = made(spec.url).act(
        ax.Action(id="M1", key="k", to="ana@example.com", kind="move", fields={"from": "a1b2c3d4e5", "to": "f6e5d4c3b2", "FNAME": "Ana"})
    )
    assert (receipt.status, receipt.id) == (ax.Status.QUEUED, "b1")
    put, delete = spec.calls[0].body["operations"]
    assert (put["method"], put["path"]) == ("PUT", f"/lists/f6e5d4c3b2/members/{HASH}")
    assert json.loads(put["body"]) == {"email_address": "ana@example.com", "status_if_new": "subscribed", "merge_fields": {"FNAME": "Ana"}}
    assert delete == {"method": "DELETE", "path": f"/lists/a1b2c3d4e5/members/{HASH}"}


@pytest.mark.parametrize(
    ("kind", "to", "fields", "error"),
    [
        ("move", "ana@example.com", {"to": "f6e5d4c3b2"}, ax.SetupError),
        ("list-add", "ana@example.com", {"list": "../x"}, ax.SetupError),
        ("tag", "ana@example.com", {}, ax.SetupError),
        ("list-add", "4711", {}, ax.RecipientError),
        ("move", HASH, {"from": "a1b2c3d4e5", "to": "f6e5d4c3b2"}, ax.RecipientError),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_leaves(
    spec: SpecServer, kind: str, to: str, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(spec, kind, to, **fields)
    assert spec.calls == []


def call(records: Any) -> ax.Call:
    return ax.Call(id="M1", key="k", to="mailchimp", type="automate.welcome", data={"records": records})


def test_a_runs_list_is_one_call_of_at_most_500(spec: SpecServer) -> None:
    people = [{"email": f"p{n}@example.com", "first_name": f"P{n}", "last_name": None} for n in range(498)]
    records = [
        *people,
        {"email": None, "first_name": "Rui"},
        {"number": "FT 1", "customer": {"email": "ana@example.com", "first_name": "Ana"}},
    ]
    spec.answer("postListsId", body={"new_members": [], "updated_members": [], "errors": [], "error_count": 0})
    receipt = made(spec.url, fields={"first_name": "FNAME", "last_name": "LNAME"}).send(call(records))
    body = spec.calls[0].body
    assert len(body["members"]) == 499
    assert body["members"][0] == {"email_address": "p0@example.com", "status": "subscribed", "merge_fields": {"FNAME": "P0"}}
    assert body["members"][-1]["email_address"] == "ana@example.com"
    assert body["update_existing"] is False, "nobody who left is subscribed again unless the app says so"
    assert receipt.detail == "499 of 499 written, 1 without e-mail"
    with pytest.raises(ax.ContentError, match="500"):
        made(spec.url).send(call(people + people))
    with pytest.raises(ax.ContentError, match="no list"):
        made(spec.url).send(call(None))
    assert made(spec.url).send(call([{"email": None}])).detail == "nobody of 1 has an e-mail address"
    assert len(spec.calls) == 1


def test_a_list_tells_the_refused_from_those_already_there(spec: SpecServer) -> None:
    there = {"email_address": "a@example.com", "error": "a@example.com is already a list member", "error_code": "ERROR_CONTACT_EXISTS"}
    bad = {"email_address": "b@example.com", "error": "Please provide a valid email address.", "error_code": "ERROR_GENERIC"}
    people = [{"email": f"{name}@example.com"} for name in "abc"]
    spec.answer("postListsId", body={"new_members": [{}], "errors": [there, bad], "error_count": 2})
    detail = made(spec.url).send(call(people)).detail
    assert detail == "1 of 3 written, 1 were there already, 1 refused (b@example.com: Please provide a valid email address.)"
    spec.answer("postListsId", body={"new_members": [], "errors": [bad, bad, bad], "error_count": 3})
    with pytest.raises(ax.ContentError, match="refuses everybody"):
        made(spec.url).send(call(people))


def test_members_as_contacts(spec: SpecServer) -> None:
    row = {
        "id": HASH,
        "email_address": "ana@example.com",
        "full_name": "Ana Silva",
        "status": "subscribed",
        "merge_fields": {"FNAME": "Ana", "LNAME": "Silva", "PHONE": "912345678", "BORN": "1980-12-24"},
        "tags": [{"id": 7, "name": "vip"}],
        "last_changed": "2026-03-02T10:00:00+00:00",
        "language": "pt",
    }
    spec.answer("getListsIdMembers", body={"members": [row], "total_items": 1})
    fields = {"first_name": "FNAME", "mobile": "PHONE", "birth_date": "BORN"}
    source = Mailchimp(
        MailchimpOptions.model_validate({"api_key": KEY, "base_url": spec.url, "audience": "a1b2c3d4e5", "fields": fields}),
        ax.Place(allow_private=LOOPBACK, country="PT"),
    )
    source.open()
    since = ax.Since("changed_at", datetime(2026, 3, 1, 12, tzinfo=UTC))
    (found,) = source.fetch("contacts", ax.Query(since=since))
    assert isinstance(found, ax.Record)
    assert (found["mobile"], str(found["birth_date"]), found["groups"], found["status"], found["consent"]) == (
        "+351912345678",
        "1980-12-24",
        ("vip",),
        "active",
        "yes",
    )
    query = dict(spec.calls[0].query)
    assert (query["count"], query["since_last_changed"]) == ("1000", "2026-03-01T12:00:00+00:00")
    assert "members.tags" in query["fields"]


def test_the_key_and_the_audience_are_checked(spec: SpecServer) -> None:
    made(spec.url).check()
    assert [call.path.rpartition("/3.0")[2] for call in spec.calls] == ["/ping", "/lists/a1b2c3d4e5"]
    assert spec.calls[0].headers["Authorization"].startswith("Basic ")
    spec.answer("getListsId", status=404, body={"title": "Resource Not Found", "status": 404, "detail": "no"})
    with pytest.raises(ax.SetupError, match="404") as told:
        made(spec.url).check()
    assert "no such audience" in told.value.hint


def test_without_an_audience_only_actions_are_offered(spec: SpecServer) -> None:
    bare = made(spec.url, audience=None)
    assert bare.offers() == {ax.Capability.ACTIONS}
    with pytest.raises(ax.SetupError, match="no audience"):
        bare.send(call([]))
    with pytest.raises(ax.SetupError, match="no audience"):
        list(bare.fetch("contacts", ax.Query()))


def test_the_key_tells_where_the_account_is() -> None:
    assert MailchimpOptions.model_validate({"api_key": KEY}).address == "https://us21.api.mailchimp.com/3.0"
    with pytest.raises(ValueError, match="data centre"):
        MailchimpOptions.model_validate({"api_key": "0123456789abcdef"})

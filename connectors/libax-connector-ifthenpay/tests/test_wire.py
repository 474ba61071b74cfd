"""The algorithm on published vectors, and the API as the vendor's pages describe it."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from libax_connector_ifthenpay import Ifthenpay, IfthenpayOptions, offline_reference
from pydantic import ValidationError

import libax_automate as ax
from libax_automate.testing import Reply, Service, SpecServer

_BESIDE = Path(__file__).parents[4] / "shared" / "contracts"
CONTRACT = Path(os.environ.get("LIBAX_CONTRACTS", _BESIDE)) / "ifthenpay"
needs_contract = pytest.mark.skipif(not CONTRACT.is_dir(), reason="the vendor's contract is not here: set LIBAX_CONTRACTS")


def connect(url: str = "", **options: Any) -> Ifthenpay:
    given = options or {"mb_key": "MBK-000000"}
    connector = Ifthenpay(
        IfthenpayOptions.model_validate({"base_url": url, **given}), ax.Place(timezone="Europe/Lisbon", allow_private=("127.0.0.0/8",))
    )
    connector.open()
    return connector


@pytest.mark.req("LX-28")
@needs_contract
def test_the_algorithm_gives_the_published_references() -> None:
    vectors = json.loads((CONTRACT / "examples" / "offline-vectors.json").read_text())["vectors"]
    assert vectors
    for vector in vectors:
        made = connect(entity=vector["entity"], subentity=vector["subentity"]).create_reference(vector["id"], Decimal(vector["amount"]))
        assert (made.entity, made.reference) == (vector["entity"], vector["reference"])


def test_shorter_subentities_leave_more_room_for_the_number() -> None:
    """Nine digits in all, and another amount gives other check digits."""
    one, two, three = (offline_reference("11604", sub, 123, 2586) for sub in ("9", "99", "999"))
    assert (one[:7], two[:7], three[:7]) == ("9000123", "9900123", "9990123")
    assert offline_reference("11604", "999", 123, 2587) != three
    for wrong in (("1160", "999", 1, 1), ("11604", "9999", 1, 1), ("11604", "999", 10000, 1), ("11604", "999", 1, 0)):
        with pytest.raises(ValueError, match="digits"):
            offline_reference(*wrong)


@pytest.mark.parametrize("our_id", ["FT 2026/118", "12345", "", "12a", "١٢"])
def test_an_id_that_is_no_number_is_refused(our_id: str) -> None:
    """Two debts must not share a reference."""
    with pytest.raises(ax.ContentError, match="no number"):
        connect(entity="11604", subentity="999").create_reference(our_id, Decimal("1.00"))


def test_the_last_number_of_an_id_counts_where_the_profile_says_so() -> None:
    offline = connect(entity="11604", subentity="999", number="last")
    whole = connect(entity="11604", subentity="999")
    assert offline.create_reference("FT 2026/118", Decimal("9.50")).reference == whole.create_reference("118", Decimal("9.50")).reference


@pytest.mark.req("LX-28")
@needs_contract
def test_a_request_keeps_the_description() -> None:
    """Amount with two decimals, a life that reaches the due date."""
    today = datetime.now(UTC).date()
    with SpecServer(CONTRACT / "openapi.derived.json") as server:
        connector = connect(server.url)
        reply = {"Status": "0", "Entity": "11249", "Reference": "999000123", "RequestId": "r-1"}
        server.answer("initReference", status=200, body=reply)
        made = connector.create_reference("FT-1", Decimal("12.5"), due=today + timedelta(days=35))
        connector.create_reference("FT-2", Decimal(7), due=today - timedelta(days=3))
        server.assert_valid()
        first, second = (call.body for call in server.calls)
        assert (made.entity, made.reference, made.provider_id) == ("11249", "999000123", "r-1")
        assert (first["amount"], first["expiryDays"]) == ("12.50", 45)
        assert "expiryDays" not in second


def test_one_id_is_asked_for_once(automate_service: Service) -> None:
    """Whatever the vendor does with a second call, none is made."""
    automate_service.on("/multibanco/reference/sandbox", Reply(200, {"Status": "0", "Entity": "11249", "Reference": "999000123"}))
    connector = connect(automate_service.url, mb_key="MBK-000000", sandbox=True)
    assert connector.find_reference("FT-1") is None
    made = connector.create_reference("FT-1", Decimal("1.00"))
    assert connector.create_reference("FT-1", Decimal("1.00")) is made
    assert connector.find_reference("FT-1") is made
    assert len(automate_service.requests) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(400, {"Status": "-1", "Message": "invalid amount", "Reference": ""}), ax.ContentError),
        (Reply(200, {"Status": "-1", "Message": "invalid amount", "Reference": ""}), ax.ContentError),
        (Reply(403, b""), ax.AccountError),
        (Reply(200, {"Status": "0", "Reference": ""}), ax.OutcomeUnknown),
        (Reply(200, "<html>", {"Content-Type": "text/html"}), ax.OutcomeUnknown),
    ],
)
def test_refusals_have_their_class(automate_service: Service, reply: Reply, error: type[Exception]) -> None:
    automate_service.on("/multibanco/reference/init", reply)
    with pytest.raises(error):
        connect(automate_service.url).create_reference("FT-1", Decimal("1.00"))


@pytest.mark.parametrize(
    "options", [{}, {"entity": "11604"}, {"entity": "11604", "subentity": "999", "mb_key": "k"}, {"entity": "1", "subentity": "9"}]
)
def test_options_say_one_way(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        IfthenpayOptions.model_validate(options)


def test_another_currency_is_refused() -> None:
    with pytest.raises(ax.ContentError, match="EUR"):
        connect(entity="11604", subentity="999").create_reference("1", Decimal("1.00"), currency="BRL")


def test_a_due_date_is_kept_on_the_reference() -> None:
    due = date(2027, 1, 31)
    assert connect(entity="11604", subentity="999").create_reference("1", Decimal("1.00"), due=due).due == due

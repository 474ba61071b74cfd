"""What is asked, exactly, and what becomes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from libax_connector_easypay import Easypay, EasypayOptions

import libax_automate as ax
from libax_automate.testing import Fault, Reply, Service

MADE = Reply(201, {"status": "ok", "id": "5f0c", "method": {"type": "MB", "entity": "11683", "reference": "808000123"}})


def connect(url: str, **options: Any) -> Easypay:
    given = {"base_url": f"{url}/2.0", "account_id": "acc-1", "api_key": "key-2", "look_first": False, **options}
    connector = Easypay(EasypayOptions.model_validate(given), ax.Place(timezone="Europe/Lisbon", allow_private=("127.0.0.0/8",)))
    connector.open()
    return connector


@pytest.mark.req("LX-28")
def test_a_payment_is_asked_for_under_a_key_of_its_own(automate_service: Service) -> None:
    """One id, one key: easypay refuses another amount under it rather than to make a second payment."""
    automate_service.on("/2.0/single", MADE)
    connector = connect(automate_service.url, description="Padaria Central")
    due = datetime.now(UTC).date() + timedelta(days=20)
    made = connector.create_reference("FT 2026/118", Decimal("17.50"), due=due)
    connector.create_reference("FT 2026/118", Decimal("17.50"), due=due)
    connector.create_reference("FT 2026/118", Decimal("18.50"), due=due)
    connector.create_reference("FT 2026/119", Decimal("17.50"), due=due - timedelta(days=100))
    first, again, more, other = automate_service.requests
    assert first.headers["accountid"] == "acc-1"
    assert first.headers["apikey"] == "key-2"
    assert first.json() == {
        "type": "sale", "method": "mb", "currency": "EUR", "value": 17.5, "key": "FT 2026/118", "expiration_time": f"{due} 23:59",
        "capture": {"descriptive": "Padaria Central", "transaction_key": "FT 2026/118"},
    }  # fmt: skip
    keys = [request.headers["idempotency-key"] for request in (first, again, more, other)]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(len(key) <= 50 for key in keys)
    assert "expiration_time" not in other.json()
    assert (made.entity, made.reference, made.amount, made.due, made.provider_id) == ("11683", "808000123", Decimal("17.50"), due, "5f0c")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(403, {"status": "error", "message": "Authentication Error"}), ax.AccountError),
        (Reply(400, {"status": "error", "message": ["value"]}), ax.ContentError),
        (Reply(409, {}), ax.Transient),
        (Reply(500, {}), ax.OutcomeUnknown),
        (Reply(500, {}, {"X-Easypay-Should-Retry": "true"}), ax.Transient),
        (Reply(502, {}, {"X-Easypay-Should-Retry": "false"}), ax.OutcomeUnknown),
        (Reply(503, {}), ax.Transient),
        (Reply(429, {}, {"Retry-After": "9"}), ax.RateLimited),
        (Reply(201, {"status": "ok", "method": {}}), ax.OutcomeUnknown),
        (Fault.HANG_UP, ax.OutcomeUnknown),
    ],
)
def test_refusals_have_their_class(automate_service: Service, reply: Any, error: type[Exception]) -> None:
    automate_service.on("/2.0/single", reply)
    with pytest.raises(error):
        connect(automate_service.url).create_reference("FT-1", Decimal("1.00"))
    assert len(automate_service.requests) == 1


def test_a_payment_that_is_there_is_not_made_again(automate_service: Service) -> None:
    """A day later easypay has forgotten the key, and the look finds the payment."""
    row = {
        "id": "x",
        "key": "FT-1",
        "value": 12.3,
        "method": {"entity": 11683, "reference": "808000123", "expiration_time": "2027-01-31 23:59"},
    }
    automate_service.on("/2.0/single", Reply(200, {"data": [{"key": "FT-1", "method": {"type": "CC"}}, row]}))
    made = connect(automate_service.url, look_first=True).create_reference("FT-1", Decimal("12.30"))
    assert (made.reference, made.amount, str(made.due)) == ("808000123", Decimal("12.3"), "2027-01-31")
    assert [request.method for request in automate_service.requests] == ["GET"]
    assert dict(automate_service.requests[0].query) == {"key": ["FT-1"]}


def test_a_filter_that_is_ignored_is_said(automate_service: Service) -> None:
    """Rows of others would hide the one that is on the next page."""
    automate_service.on("/2.0/single", Reply(200, {"data": [{"key": "FT-9", "method": {}}]}))
    with pytest.raises(ax.SetupError, match="does not select"):
        connect(automate_service.url).find_reference("FT-1")


@pytest.mark.parametrize("amount", ["0.49", "1000000.00", "NaN"])
def test_amounts_out_of_bounds_are_refused_here(amount: str) -> None:
    with pytest.raises(ax.ContentError):
        connect("http://127.0.0.1:9").create_reference("FT-1", Decimal(amount))

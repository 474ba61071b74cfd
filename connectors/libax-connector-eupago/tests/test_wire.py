"""What is asked, exactly, and what becomes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from libax_connector_eupago import Eupago, EupagoOptions

import libax_automate as ax
from libax_automate.testing import Fault, Reply, Service

CREATE = "/clientes/rest_api/multibanco/create"
INFO = "/clientes/rest_api/multibanco/info"


def connect(url: str, **options: Any) -> Eupago:
    given = {"base_url": url, "api_key": "demo-s3cret", **options}
    connector = Eupago(EupagoOptions.model_validate(given), ax.Place(timezone="Europe/Lisbon", allow_private=("127.0.0.0/8",)))
    connector.open()
    return connector


@pytest.mark.req("LX-28")
def test_a_reference_is_asked_for_once(automate_service: Service) -> None:
    """Zeros that numbers lose are put back; a second call for the id makes none."""
    automate_service.on(CREATE, Reply(200, {"estado": 0, "entidade": 1249, "referencia": 888777, "valor": 49.9}))
    connector = connect(automate_service.url, remind=True)
    due = datetime.now(UTC).date() + timedelta(days=20)
    made = connector.create_reference("FT 2026/118", Decimal("49.90"), due=due)
    assert connector.create_reference("FT 2026/118", Decimal("49.90"), due=due) is made
    assert connector.find_reference("FT 2026/118") is made
    assert (made.entity, made.reference, made.amount, made.due) == ("01249", "000888777", Decimal("49.90"), due)
    (request,) = automate_service.requests
    assert request.json() == {
        "chave": "demo-s3cret", "valor": 49.9, "id": "FT 2026/118", "per_dup": 0, "data_fim": due.isoformat(), "failOver": "1",
    }  # fmt: skip
    connector.create_reference("FT-2", Decimal(5), due=due - timedelta(days=90))
    assert "data_fim" not in automate_service.requests[-1].json()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(200, {"estado": -10}), ax.AccountError),
        (Reply(200, {"estado": "-10"}), ax.AccountError),
        (Reply(200, {"estado": -7}), ax.SetupError),
        (Reply(200, {"estado": -9}), ax.ContentError),
        (Reply(200, {"estado": -99, "resposta": "demo-s3cret is odd"}), ax.SetupError),
        (Reply(200, {"estado": 0}), ax.OutcomeUnknown),
        (Reply(200, {"entidade": 1, "referencia": 2}), ax.OutcomeUnknown),
        (Reply(200, b""), ax.OutcomeUnknown),
        (Reply(500, {}), ax.OutcomeUnknown),
        (Fault.CUT_BODY, ax.OutcomeUnknown),
    ],
)
def test_a_200_that_means_failure_has_its_class(automate_service: Service, reply: Any, error: type[Exception]) -> None:
    automate_service.on(CREATE, reply)
    connector = connect(automate_service.url)
    with pytest.raises(error) as caught:
        connector.create_reference("FT-1", Decimal("5.00"))
    assert "demo-s3cret" not in str(caught.value)
    assert connector.find_reference("FT-1") is None


def test_check_tells_a_wrong_key_from_a_wrong_channel(automate_service: Service) -> None:
    for state, error in ((-10, ax.AccountError), (-7, ax.SetupError)):
        automate_service.on(INFO, Reply(200, {"estado": state}))
        with pytest.raises(error):
            connect(automate_service.url).check()
    automate_service.on(INFO, Reply(200, {"estado": -11}))
    connect(automate_service.url).check()


@pytest.mark.parametrize("amount", ["0.99", "99999.01"])
def test_amounts_out_of_bounds_are_refused_here(amount: str) -> None:
    with pytest.raises(ax.ContentError):
        connect("http://127.0.0.1:9").create_reference("FT-1", Decimal(amount))

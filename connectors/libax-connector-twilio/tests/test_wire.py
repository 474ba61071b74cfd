"""Every request held against the vendor's own documents; skipped where they are not at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from libax_connector_twilio import Twilio, TwilioOptions

import libax_automate as ax
from libax_automate.testing import LOOPBACK, SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts") / "twilio"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="no vendor documents: set LIBAX_CONTRACTS to a folder of them")

HEX = "0123456789abcdef0123456789abcdef"
ACCOUNT = f"/2010-04-01/Accounts/AC{HEX}"
SENT = datetime(2026, 12, 24, 9, 30, tzinfo=UTC)
TEXT = ax.Text(id="M7", key="k7", to="+351912345678", text="Olá Ana 🎂", sent_at=SENT)
WHATSAPP = replace(TEXT, channel=ax.Channel.WHATSAPP)


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> Iterator[SpecServer]:
    with SpecServer(ROOT / getattr(request, "param", "openapi.json")) as server:
        yield server
        server.assert_valid()


def connect(spec: SpecServer, **more: str) -> Twilio:
    options = {
        "account_sid": f"AC{HEX}",
        "auth_token": "invented-0123456789",
        "sms_sender": "+351910000000",
        "whatsapp_sender": "+351910000001",
        "base_url": spec.url,
        "content_url": spec.url,
        **more,
    }
    connector = Twilio(TwilioOptions.model_validate(options), ax.Place(allow_private=LOOPBACK))
    connector.open()
    return connector


@pytest.fixture
def twilio(spec: SpecServer) -> Iterator[Twilio]:
    connector = connect(spec)
    yield connector
    connector.close()


def answer(spec: SpecServer, operation: str, body: Any, status: int = 200, **more: Any) -> None:
    spec.answer(operation, status=status, body=body, **more)


def test_an_sms(spec: SpecServer, twilio: Twilio) -> None:
    answer(spec, "CreateMessage", {"sid": f"SM{HEX}", "status": "accepted"}, 201)
    assert twilio.send(TEXT) == ax.Receipt(ax.Status.QUEUED, f"SM{HEX}")
    (call,) = spec.calls
    assert call.path == f"{ACCOUNT}/Messages.json"
    assert call.body == {"To": "+351912345678", "From": "+351910000000", "Body": "Olá Ana 🎂"}


def test_a_messaging_service_sends_it(spec: SpecServer) -> None:
    twilio = connect(spec, sms_sender=f"MG{HEX}")
    twilio.send(TEXT)
    assert spec.calls[0].body == {"To": "+351912345678", "MessagingServiceSid": f"MG{HEX}", "Body": "Olá Ana 🎂"}
    twilio.close()


def test_a_whatsapp_template_with_values_in_order_or_by_name(spec: SpecServer, twilio: Twilio) -> None:
    twilio.send(replace(WHATSAPP, text="", template=f"HX{HEX}", vars=("Ana", "10 €")))
    twilio.send(replace(WHATSAPP, text="", template=f"HX{HEX}", params={"nome": "Ana"}))
    common = {"To": "whatsapp:+351912345678", "From": "whatsapp:+351910000001", "ContentSid": f"HX{HEX}"}
    assert spec.calls[0].body == {**common, "ContentVariables": '{"1": "Ana", "2": "10 €"}'}
    assert spec.calls[1].body == {**common, "ContentVariables": '{"nome": "Ana"}'}


def test_what_cannot_go_is_said_before_anything_leaves(spec: SpecServer, twilio: Twilio) -> None:
    with pytest.raises(ax.ContentError, match="1601 characters"):
        twilio.send(replace(TEXT, text="x" * 1601))
    with pytest.raises(ax.SetupError, match="by its SID"):
        twilio.send(replace(WHATSAPP, template="aviso"))
    bare = Twilio(TwilioOptions.model_validate({"account_sid": f"AC{HEX}", "auth_token": "invented-0123456789"}))
    assert not {ax.Capability.SMS, ax.Capability.WHATSAPP} & bare.offers()
    bare.open()
    with pytest.raises(ax.SetupError, match="no sender of sms"):
        bare.send(TEXT)
    bare.close()
    assert spec.calls == []


def test_check_asks_what_the_login_may_see(spec: SpecServer, twilio: Twilio) -> None:
    answer(spec, "FetchAccount", {"status": "active"})
    twilio.check()
    answer(spec, "FetchAccount", {"status": "suspended"})
    with pytest.raises(ax.AccountError, match="suspended"):
        twilio.check()
    keyed = connect(spec, key_sid=f"SK{HEX}")
    keyed.check()
    keyed.close()
    assert [call.operation for call in spec.calls] == ["FetchAccount", "FetchAccount", "ListMessage"]


def message(body: str, moment: str, sid: str = f"SM{HEX}", direction: str = "outbound-api") -> dict[str, Any]:
    return {"sid": sid, "body": body, "date_created": f"Thu, 24 Dec 2026 {moment} +0000", "direction": direction, "status": "delivered"}


def test_a_lost_reply_is_looked_up_among_the_newest(spec: SpecServer, twilio: Twilio) -> None:
    other = message("another text", "09:30:09")
    following = f"{ACCOUNT}/Messages.json?PageSize=100&Page=1&PageToken=abc"
    answer(spec, "ListMessage", {"messages": [other], "next_page_uri": following}, times=1)
    answer(spec, "ListMessage", {"messages": [message(TEXT.text, "09:30:02")], "next_page_uri": None}, times=1)
    assert twilio.lookup(TEXT) == ax.Receipt(ax.Status.DELIVERED, f"SM{HEX}")
    assert dict(spec.calls[0].query) == {"To": "+351912345678", "From": "+351910000000", "PageSize": "100"}
    assert dict(spec.calls[1].query)["PageToken"] == "abc"

    # the same words of last year, or from them, are not this message; what is too old ends the search
    old, reply = message(TEXT.text, "08:00:00"), message(TEXT.text, "09:31:00", direction="inbound")
    answer(spec, "ListMessage", {"messages": [reply, old], "next_page_uri": following})
    assert twilio.lookup(TEXT) is None
    assert len(spec.calls) == 3


def test_a_template_that_may_have_arrived_is_left_to_a_person(spec: SpecServer, twilio: Twilio) -> None:
    template = replace(WHATSAPP, text="", template=f"HX{HEX}")
    answer(spec, "ListMessage", {"messages": [message("Olá Ana, deve 10 €", "09:30:02")], "next_page_uri": None})
    with pytest.raises(ax.OutcomeUnknown, match="nobody can tell"):
        twilio.lookup(template)
    answer(spec, "ListMessage", {"messages": [message("Olá Ana, deve 10 €", "08:30:02")], "next_page_uri": None})
    assert twilio.lookup(template) is None


@pytest.mark.parametrize("spec", ["openapi-content.json"], indirect=True)
def test_templates_with_approval_and_variables(spec: SpecServer, twilio: Twilio) -> None:
    def page(letter: str, status: str, following: str | None) -> dict[str, Any]:
        values = {"10": "x", "2": "10 €", "1": "Ana"}
        row = {"sid": f"HX{letter * 32}", "friendly_name": f"aviso_{letter}", "language": "pt", "variables": values}
        row |= {"types": {"twilio/text": {"body": "Olá {{1}}"}}, "approval_requests": {"status": status}}
        return {"contents": [row], "meta": {"next_page_url": following}}

    following = "https://content.twilio.com/v1/ContentAndApprovals?PageSize=500&Page=1&PageToken=abc"
    answer(spec, "ListContentAndApprovals", page("a", "approved", following), times=1)
    answer(spec, "ListContentAndApprovals", page("b", "rejected", None), times=1)
    found = list(twilio.templates(ax.Channel.WHATSAPP))
    assert [(one.name, one.active, one.variables, one.text) for one in found] == [
        ("aviso_a", True, ("1", "2", "10"), "Olá {{1}}"),
        ("aviso_b", False, ("1", "2", "10"), "Olá {{1}}"),
    ]
    answer(spec, "ListContentAndApprovals", page("b", "rejected", following))
    with pytest.raises(ax.InputDataError, match="again and again"):
        list(twilio.templates())
    assert list(twilio.templates(ax.Channel.EMAIL)) == []

"""What goes out, and what is refused before anything does."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from libax_connector_apprise import Apprise, AppriseOptions
from pydantic import ValidationError

import libax_automate as ax
from libax_automate.testing import Fault, Reply, Service


def connect(url: str, **options: Any) -> Apprise:
    connector = Apprise(AppriseOptions.model_validate({"url": url, **options}), ax.Place())
    connector.open()
    return connector


def text(to: str = "+351912345678", body: str = "Olá 🎂") -> ax.Text:
    return ax.Text(id="M1", key="k", to=to, text=body)


def test_the_recipient_goes_into_the_url(automate_service: Service) -> None:
    """Percent-encoded, so that it stays one part."""
    connector = connect(automate_service.url.replace("http", "json") + "/to/{to}")
    connector.send(text("+351912345678"))
    connector.send(text("a/b?c"))
    first, second = automate_service.requests
    assert first.path in {"/to/%2B351912345678", "/to/+351912345678"}
    assert (first.json()["message"], first.json()["title"]) == ("Olá 🎂", "")
    assert "c" not in second.query


def test_an_email_has_a_subject_and_html(automate_service: Service) -> None:
    connector = connect(automate_service.url.replace("http", "json") + "?to={to}", channel="email")
    connector.send(ax.Email(id="M1", key="k", to="ana@example.com", subject="Olá", text="Olá", html="<p>Olá</p>"))
    (request,) = automate_service.requests
    assert request.json()["title"] == "Olá"
    assert connector.offers() == {ax.Capability.EMAIL}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (ax.Email(id="M1", key="k", to="a@example.com", text="x", cc=("b@example.com",)), ax.ContentError),
        (ax.Email(id="M1", key="k", to="a@example.com", text="x", attachments=(ax.Attachment("a.txt", b"x"),)), ax.ContentError),
        (ax.Text(id="M1", key="k", to="+1", template="12", text="x"), ax.SetupError),
        (ax.Text(id="M1", key="k", to="+1"), ax.ContentError),
    ],
)
def test_what_it_cannot_carry_is_refused_before_it_leaves(automate_service: Service, message: ax.Message, error: type[Exception]) -> None:
    with pytest.raises(error):
        connect(automate_service.url.replace("http", "json") + "/{to}").send(message)
    assert not automate_service.requests


def test_a_no_is_in_doubt_and_tells_no_token(automate_service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever Apprise and its HTTP library would log."""
    automate_service.on("/t0ken-of-mine/1", Reply(401, {"error": "t0ken-of-mine"}))
    connector = connect(automate_service.url.replace("http", "json") + "/t0ken-of-mine/{to}")
    with caplog.at_level(logging.DEBUG), pytest.raises(ax.OutcomeUnknown) as caught:
        connector.send(text("1"))
    assert "t0ken-of-mine" not in f"{caught.value!r} {caplog.text}"
    assert "t0ken-of-mine" in connector.secrets()


@pytest.mark.parametrize("end", [Fault.HANG_UP, Fault.RESET, Reply(302, b"", {"Location": "/elsewhere"}), Reply(500, {}), Reply(429, {})])
def test_anything_but_a_yes_is_in_doubt_after_one_request(automate_service: Service, end: Any) -> None:
    automate_service.on("/room/1", end)
    with pytest.raises(ax.OutcomeUnknown):
        connect(automate_service.url.replace("http", "json") + "/room/{to}").send(text("1"))
    assert len(automate_service.requests) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "json://localhost/x"}, "no {to}"),
        ({"url": "json://localhost/{to}", "fixed": True}, "holds {to}"),
        ({"url": "localhost/{to}"}, "no Apprise URL"),
        ({"url": "json://localhost/{to}?retry=3"}, "retry="),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AppriseOptions.model_validate(options)


def test_a_url_that_apprise_cannot_read_is_a_fault_of_the_set_up() -> None:
    with pytest.raises(ax.SetupError, match="nosuchservice://"):
        connect("nosuchservice://t0ken/{to}").check()
    connect("json://localhost/room", fixed=True).check()

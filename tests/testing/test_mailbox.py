"""The test mail server does what it is told, seen by the standard library's own client."""

from __future__ import annotations

import smtplib
import ssl
import threading
from typing import Any

import pytest

from libax_automate.testing.mailbox import Mailbox

TEXT = b"Subject: x\r\n\r\nbody\r\n"


def send(box: Mailbox, to: str = "ana@example.com") -> None:
    with smtplib.SMTP(box.host, box.port, "client.example.com", timeout=10) as client:
        client.sendmail("geral@example.com", [to], TEXT)


def test_what_is_sent_is_kept_with_its_envelope() -> None:
    with Mailbox() as box:
        send(box)
        (message,) = box.messages
        assert (message.sender, message.recipients, message.content) == ("geral@example.com", ("ana@example.com",), TEXT)
        assert message.parsed()["subject"] == "x"
        assert box.commands == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
        assert box.connections == 1


def test_a_recipient_is_refused_with_the_chosen_code_until_accepted_again() -> None:
    with Mailbox() as box:
        box.refuse("Ana@example.com", "551 5.1.6 moved")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            send(box)
        assert caught.value.recipients["ana@example.com"] == (551, b"5.1.6 moved")
        box.accept("ana@example.com")
        send(box)
        assert len(box.messages) == 1


@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA", "END"])
def test_any_moment_can_answer_as_told_as_often_as_told(moment: Any) -> None:
    with Mailbox() as box:
        box.answer(moment, "451 4.3.0 later", times=1)
        with pytest.raises(smtplib.SMTPException, match=r"later|451"):
            send(box)
        assert box.messages == []
        send(box)
        assert len(box.messages) == 1


@pytest.mark.parametrize(("moment", "kept"), [("CONNECT", 0), ("MAIL", 0), ("DATA", 0), ("END", 1)])
def test_the_line_is_dropped_at_the_moment_told(moment: Any, kept: int) -> None:
    with Mailbox() as box:
        box.hang_up(moment)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(box)
        assert len(box.messages) == kept


def test_a_stalled_server_is_silent() -> None:
    with Mailbox() as box:
        box.stall("MAIL")
        client = smtplib.SMTP(box.host, box.port, "x", timeout=0.3)
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            client.sendmail("a@example.com", ["b@example.com"], TEXT)
        client.close()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_and_login_are_insisted_on(security: Any) -> None:
    with Mailbox(login=("u", "p"), security=security) as box:
        context = ssl.create_default_context(cafile=box.ca_file)

        def client() -> smtplib.SMTP:
            if security == "tls":
                return smtplib.SMTP_SSL(box.host, box.port, "x", timeout=10, context=context)
            plain = smtplib.SMTP(box.host, box.port, "x", timeout=10)
            with pytest.raises(smtplib.SMTPException):
                plain.sendmail("a@example.com", ["b@example.com"], TEXT)
            plain.starttls(context=context)
            return plain

        with client() as line:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                line.login("u", "wrong")
            with pytest.raises(smtplib.SMTPException):
                line.sendmail("a@example.com", ["b@example.com"], TEXT)
            line.login("u", "p")
            line.sendmail("a@example.com", ["b@example.com"], TEXT)
        assert [message.user for message in box.messages] == ["u"]


def test_open_lines_can_be_dropped_and_a_mailbox_leaves_no_thread() -> None:
    before = threading.active_count()
    with Mailbox() as box:
        client = smtplib.SMTP(box.host, box.port, "x", timeout=10)
        client.ehlo()
        box.drop_connections()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
    assert threading.active_count() == before


def test_a_mailbox_without_tls_has_no_certificate() -> None:
    with Mailbox() as box, pytest.raises(AssertionError, match="no certificate"):
        _ = box.ca_file

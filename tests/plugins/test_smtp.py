"""The smtp sender against a real server that takes, refuses, and hangs up in every phase."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.connector import Place
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    OutcomeUnknown,
    RateLimited,
    RecipientError,
    SetupError,
    Transient,
)
from libax_automate.message import Attachment, Email
from libax_automate.plugins.smtp import Smtp, SmtpOptions
from libax_automate.testing.mailbox import Mailbox, Moment


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with Mailbox() as one:
        yield one


def sender(box: Mailbox, **options: Any) -> Smtp:
    return Smtp(
        SmtpOptions(
            **({"host": "127.0.0.1", "port": box.port, "security": "none", "sender": "Padaria <geral@example.com>", "timeout": 5} | options)
        )
    )


@pytest.fixture
def smtp(box: Mailbox) -> Iterator[Smtp]:
    made = sender(box)
    made.open()
    yield made
    made.close()


def mail(**fields: Any) -> Email:
    whole: dict[str, Any] = {
        "id": "M1",
        "key": "k-1",
        "to": "ana@example.com",
        "subject": "Olá",
        "text": "Parabéns",
        "sent_at": datetime(2026, 11, 22, tzinfo=UTC),
    }
    whole.update(fields)
    return Email(**whole)


def test_a_message_arrives_as_written(box: Mailbox, smtp: Smtp) -> None:
    text = "Olá\n.\n..dois\n. ponto\nfim" + "x" * 2000
    receipt = smtp.send(
        mail(
            name="Ana Conceição",
            text=text,
            html="<p>.</p>\n.",
            cc=("Rui <rui@example.com>",),
            bcc=("eva@example.com",),
            attachments=(Attachment("a.bin", b".\r\n.\n" * 100),),
        )
    )
    (message,) = box.messages
    assert (message.sender, message.recipients) == ("geral@example.com", ("ana@example.com", "rui@example.com", "eva@example.com"))
    back = message.parsed()
    body = back.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n").rstrip("\n") == text
    assert [part.get_payload(decode=True) for part in back.iter_attachments()] == [b".\r\n.\n" * 100]
    assert back["bcc"] is None
    assert back["message-id"] == f"<{receipt.id}>" == "<M1.k-1@example.com>"
    assert any(option.startswith("SIZE=") for option in message.options)


def test_one_line_serves_many_messages(box: Mailbox, smtp: Smtp) -> None:
    for number in range(5):
        smtp.send(mail(id=f"M{number}"))
    assert (len(box.messages), box.connections) == (5, 1)


def test_a_line_that_the_server_closed_meanwhile_is_opened_anew_and_the_message_sent_once(box: Mailbox, smtp: Smtp) -> None:
    smtp.send(mail(id="M1"))
    box.drop_connections()
    smtp.send(mail(id="M2"))
    # the same where the server says so in words, as after its limit of messages in a session
    box.answer("MAIL", "421 4.7.0 too many messages in this session", times=1)
    smtp.send(mail(id="M3"))
    assert (len(box.messages), box.connections) == (3, 3)


REFUSALS: list[tuple[Moment, str, type[ConnectorError]]] = [
    ("CONNECT", "421 4.3.2 not now", RateLimited),
    ("CONNECT", "554 5.7.1 your address is listed", AccountError),
    ("EHLO", "451 4.3.0 try later", Transient),
    ("MAIL", "421 4.7.0 slow down", RateLimited),
    ("MAIL", "451 4.7.1 slow down", RateLimited),
    ("MAIL", "451 4.3.0 local trouble", Transient),
    ("MAIL", "550 5.1.8 bad sender", SetupError),
    ("MAIL", "553 5.7.1 not yours", SetupError),
    ("MAIL", "530 5.7.0 log in first", AccountError),
    ("MAIL", "552 5.3.4 too big", ContentError),
    ("RCPT", "450 4.2.1 busy", Transient),
    ("RCPT", "452 4.2.2 full for now", Transient),
    ("RCPT", "421 4.7.0 enough", RateLimited),
    ("RCPT", "550 5.1.1 no such user", RecipientError),
    ("RCPT", "550 no such user", RecipientError),
    ("RCPT", "551 5.1.6 moved", RecipientError),
    ("RCPT", "552 5.2.2 mailbox full", RecipientError),
    ("RCPT", "553 5.1.3 bad address", RecipientError),
    ("RCPT", "501 5.1.3 bad address syntax", RecipientError),
    ("RCPT", "554 5.7.1 Relay access denied", AccountError),
    ("RCPT", "554 5.7.1 blocked", AccountError),
    ("DATA", "451 4.3.0 try later", Transient),
    ("DATA", "554 5.5.1 no valid recipients", ContentError),
    ("END", "451 4.7.1 greylisted", RateLimited),
    ("END", "452 4.3.1 disk full", Transient),
    ("END", "552 5.3.4 too big", ContentError),
    ("END", "554 5.7.1 looks like spam", ContentError),
    ("END", "550 5.1.1 no such user", RecipientError),
    ("END", "421 4.3.2 shutting down", RateLimited),
]


@pytest.mark.parametrize(("moment", "reply", "kind"), REFUSALS)
def test_a_refusal_is_named_by_its_code_and_its_phase(
    box: Mailbox, smtp: Smtp, moment: Moment, reply: str, kind: type[ConnectorError]
) -> None:
    box.answer(moment, reply)
    with pytest.raises(kind) as caught:
        smtp.send(mail())
    assert type(caught.value) is kind
    assert reply[4:] in caught.value.message
    assert caught.value.code.startswith(reply[:3])
    assert box.messages == []
    # the next message goes as if nothing had been
    box.behave()
    smtp.send(mail(id="M2"))
    assert len(box.messages) == 1


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_line_lost_before_the_final_dot_is_not_sent(box: Mailbox, smtp: Smtp, moment: Moment) -> None:
    box.hang_up(moment)
    with pytest.raises(Transient):
        smtp.send(mail(text="x" * 100_000))
    assert box.messages == []
    box.behave()
    smtp.send(mail())
    assert len(box.messages) == 1


def test_a_line_lost_in_the_middle_of_the_text_of_a_kept_line_is_not_sent(box: Mailbox, smtp: Smtp) -> None:
    smtp.send(mail())
    box.hang_up("DATA", times=1)
    with pytest.raises(Transient):
        smtp.send(mail(id="M2", text="y\n" * 5_000_000))
    assert len(box.messages) == 1


def test_a_line_lost_after_the_final_dot_is_in_doubt_and_is_not_tried_again(box: Mailbox, smtp: Smtp) -> None:
    smtp.send(mail())
    box.hang_up("END")
    with pytest.raises(OutcomeUnknown):
        smtp.send(mail(id="M2"))
    assert [message.parsed()["message-id"] for message in box.messages] == ["<M1.k-1@example.com>", "<M2.k-1@example.com>"]
    assert box.connections == 1


def test_silence_before_the_final_dot_is_not_sent_and_after_it_is_in_doubt(box: Mailbox) -> None:
    impatient = sender(box, timeout=0.2)
    box.stall("RCPT", times=1)
    with pytest.raises(Transient):
        impatient.send(mail())
    box.stall("END", times=1)
    with pytest.raises(OutcomeUnknown):
        impatient.send(mail())
    impatient.close()


def test_an_answer_that_is_no_answer_after_the_final_dot_is_in_doubt(box: Mailbox, smtp: Smtp) -> None:
    box.answer("END", "what?", times=1)
    with pytest.raises(OutcomeUnknown):
        smtp.send(mail())


def test_a_refused_copy_does_not_stop_the_persons_own_message(box: Mailbox, smtp: Smtp) -> None:
    box.refuse("rui@example.com")
    receipt = smtp.send(mail(cc=("rui@example.com", "ana@example.com"), bcc=("eva@example.com",)))
    assert box.messages[0].recipients == ("ana@example.com", "eva@example.com")
    assert "copy to rui@example.com refused: 550 5.1.1 No such user here" in receipt.detail


def test_the_person_refused_gets_nothing_and_neither_do_the_copies(box: Mailbox, smtp: Smtp) -> None:
    box.refuse("ana@example.com")
    with pytest.raises(RecipientError):
        smtp.send(mail(cc=("rui@example.com",)))
    assert box.messages == []
    assert box.connections == 1
    smtp.send(mail(to="rui@example.com"))
    assert box.messages[0].recipients == ("rui@example.com",)


def test_a_server_that_is_not_there_is_told_with_its_name_and_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    smtp = Smtp(SmtpOptions(host="127.0.0.1", port=port, security="none", sender="a@example.com"))
    with pytest.raises(Transient, match=f"127.0.0.1:{port} cannot be reached"):
        smtp.send(mail())


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_secured_line_logs_in_and_sends(security: Any) -> None:
    with Mailbox(login=("geral", "s3gredo"), security=security) as box:
        smtp = sender(box, security=security, ca_file=box.ca_file, username="geral", password="s3gredo")
        smtp.check()
        smtp.send(mail())
        smtp.send(mail(id="M2"))
        smtp.close()
        assert [message.user for message in box.messages] == ["geral", "geral"]
        assert box.connections == 2  # one of them the check's


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_cannot_be_trusted_stops_everything_before_the_login(security: Any, tmp_path: Path) -> None:
    with Mailbox(login=("geral", "s3gredo"), security=security) as box:
        smtp = sender(box, security=security, username="geral", password="s3gredo")
        with pytest.raises(Transient, match="has no certificate to trust") as caught:
            smtp.send(mail())
        assert "ca_file" in caught.value.hint
        assert "AUTH" not in box.commands
    with Mailbox(security=security, names=("other.example.com",)) as box:
        with pytest.raises(Transient, match="has no certificate to trust"):
            sender(box, security=security, ca_file=box.ca_file).send(mail())
        assert box.messages == []
    with pytest.raises(SetupError, match="ca_file"):
        sender(box, security="tls", ca_file=str(tmp_path / "none.pem")).check()


def test_a_server_without_starttls_gets_no_mail(box: Mailbox) -> None:
    with pytest.raises(SetupError, match="offers no STARTTLS"):
        sender(box, security="starttls").send(mail())
    assert "MAIL" not in box.commands


def test_tls_spoken_to_a_plain_port_is_told(box: Mailbox) -> None:
    with pytest.raises(Transient) as caught:
        sender(box, security="tls", timeout=2).send(mail())
    assert caught.value.hint


def test_a_wrong_password_is_an_account_error_that_shows_no_password() -> None:
    with Mailbox(login=("geral", "s3gredo"), security="starttls") as box:
        smtp = sender(box, security="starttls", ca_file=box.ca_file, username="geral", password="wr0ng-pass")
        for attempt in (smtp.check, lambda: smtp.send(mail())):
            with pytest.raises(AccountError) as caught:
                attempt()
            assert "wr0ng" not in f"{caught.value} {caught.value!r} {smtp.options!r}"
        assert "MAIL" not in box.commands
        # no login where one is asked for
        stranger = sender(box, security="starttls", ca_file=box.ca_file)
        with pytest.raises(AccountError):
            stranger.send(mail())
        stranger.close()


def test_a_login_that_the_server_does_not_take_is_a_setup_error(box: Mailbox) -> None:
    with pytest.raises(SetupError, match=r"takes no login|cannot be used"):
        sender(box, host="127.0.0.1", username="geral", password="x").check()


def test_addresses_of_other_letters_need_a_server_that_takes_them(box: Mailbox, smtp: Smtp) -> None:
    smtp.send(mail(to="zé@example.com"))
    assert box.messages[0].recipients == ("zé@example.com",)
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(box.messages[0].options)
    smtp.send(mail(to="ze@bücher.example.com"))
    assert box.messages[1].recipients == ("ze@xn--bcher-kva.example.com",)
    with Mailbox(smtputf8=False) as old:
        plain = sender(old)
        with pytest.raises(RecipientError, match="SMTPUTF8"):
            plain.send(mail(to="zé@example.com"))
        plain.send(mail())
        plain.close()
        assert len(old.messages) == 1


def test_a_message_beyond_the_servers_limit_is_not_even_offered() -> None:
    with Mailbox(size_limit=5000) as box:
        smtp = sender(box)
        with pytest.raises(ContentError, match="takes 5,000"):
            smtp.send(mail(text="x\n" * 5000))
        assert "MAIL" not in box.commands
        smtp.send(mail())
        smtp.close()
        assert len(box.messages) == 1


def test_what_is_no_address_is_the_recipients_error_and_needs_no_server() -> None:
    smtp = Smtp(SmtpOptions(host="127.0.0.1", port=1, security="none", sender="a@example.com"))
    with pytest.raises(RecipientError):
        smtp.send(mail(to="ana"))
    with pytest.raises(RecipientError):
        smtp.send(mail(to="ana@example.com> SIZE=1 <x@example.com"))
    with pytest.raises(ContentError):
        smtp.send(mail(cc=("rui",)))
    with pytest.raises(ContentError):
        smtp.send(mail(text=""))
    with pytest.raises(SetupError):
        smtp.send(mail(text="", template="12"))


def test_several_threads_have_a_line_each(box: Mailbox, smtp: Smtp) -> None:
    together = threading.Barrier(4)

    def send(number: int) -> None:
        together.wait(10)
        for step in range(5):
            smtp.send(mail(id=f"M{number}-{step}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert len({message.parsed()["message-id"] for message in box.messages}) == 20
    assert box.connections <= 4


def test_close_says_goodbye_and_may_be_called_twice(box: Mailbox) -> None:
    smtp = sender(box)
    smtp.send(mail())
    smtp.close()
    smtp.close()
    assert box.commands[-1] == "QUIT"
    smtp.send(mail(id="M2"))
    smtp.close()
    assert len(box.messages) == 2


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"sender": "nobody"}, "is not an e-mail address"),
        ({"sender": "a@example.com\r\nBcc: x@example.com"}, "line break"),
        ({"username": "x"}, "go together"),
        ({"host": "mail.example.com", "security": "none", "username": "x", "password": "y"}, "would show the password"),
        ({"security": "ssl"}, "'starttls', 'tls' or 'none'"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"from": "x"}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        SmtpOptions(**({"host": "localhost", "sender": "a@example.com"} | options))


def test_the_free_plan_is_the_machines_own_server(box: Mailbox) -> None:
    options = Smtp.free_plan("noreply@host.example.com")
    assert (options.host, options.port, options.security, options.username) == ("localhost", 25, "none", None)
    smtp = Smtp(options.model_copy(update={"host": "127.0.0.1", "port": box.port}), Place())
    smtp.send(mail())
    smtp.close()
    assert box.messages[0].sender == "noreply@host.example.com"

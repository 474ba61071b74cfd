"""E-mails become RFC 5322 bytes that the standard library reads back unchanged."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate import mime
from libax_automate.errors import ContentError, InvalidMessage, SetupError
from libax_automate.message import Attachment, Email

WHEN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SENDER = "Padaria Açúcar <geral@example.com>"


def made(**fields: Any) -> Email:
    return Email(**({"id": "M1042", "key": "0b0b6a1c-8f6c-4a2b-9a43-1c7b3f1d2e3f", "to": "ana@example.com", "text": "Olá"} | fields))


def read(message: Email, **options: Any) -> EmailMessage:
    data = mime.build(message, sender=SENDER, date=WHEN, **options)
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert data.isascii()
    back = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(back, EmailMessage)
    for part in back.walk():
        assert not part.defects
    return back


def text_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n").removesuffix("\n")


def test_the_headers_say_who_when_and_which() -> None:
    back = read(
        made(
            subject="Olá",
            name="Ana Conceição",
            reply_to="Rui <rui@example.com>",
            cc=("x@example.com", '"Silva, Eva" <eva@example.com>'),
            bcc=("secret@example.com",),
        )
    )
    assert str(back["from"]) == "Padaria Açúcar <geral@example.com>"
    assert str(back["to"]) == "Ana Conceição <ana@example.com>"
    assert str(back["reply-to"]) == "Rui <rui@example.com>"
    assert [address.addr_spec for address in back["cc"].addresses] == ["x@example.com", "eva@example.com"]
    assert back["message-id"] == "<M1042.0b0b6a1c-8f6c-4a2b-9a43-1c7b3f1d2e3f@example.com>"
    assert back["date"].datetime == WHEN
    assert back["auto-submitted"] == "auto-generated"
    assert back["mime-version"] == "1.0"
    assert "secret" not in str(back)


def test_the_messages_own_sender_and_headers_win() -> None:
    message = made(sender="eu@example.net", headers={"List-Unsubscribe": "<https://example.com/u?x=1>", "Auto-Submitted": "no"})
    back = read(message, message_id_domain="mail.example.org")
    assert str(back["from"]) == "eu@example.net"
    assert back["list-unsubscribe"] == "<https://example.com/u?x=1>"
    assert back.get_all("auto-submitted") == ["no"]
    assert back["message-id"].endswith("@mail.example.org>")


@pytest.mark.parametrize("name", ["Bcc", "content-type", "From", "Message-ID", "X Y", "X:", ""])
def test_headers_that_would_change_the_message_are_refused(name: str) -> None:
    with pytest.raises(InvalidMessage, match="may not be set"):
        read(made(headers={name: "x"}))


def test_text_and_html_are_alternatives_and_attachments_come_with_them() -> None:
    files = (Attachment("Fatura nº 1.pdf", bytes(range(256)) * 9, "application/pdf"), Attachment('a"b.txt', b"x", "message/rfc822"))
    back = read(made(html="<p>Olá &amp; adeus</p>", attachments=files))
    assert [part.get_content_type() for part in back.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf", "application/octet-stream",
    ]  # fmt: skip
    assert (text_of(back, "plain"), text_of(back, "html")) == ("Olá", "<p>Olá &amp; adeus</p>")
    first, second = back.iter_attachments()
    assert (first.get_filename(), first.get_payload(decode=True)) == ("Fatura nº 1.pdf", bytes(range(256)) * 9)
    assert second.get_filename() == 'a"b.txt'


def test_html_alone_is_one_part() -> None:
    assert read(made(text="", html="<p>x</p>")).get_content_type() == "text/html"


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert len({mime.build(made(html="x"), sender=SENDER, date=WHEN) for _ in range(3)}) == 1


def test_a_text_that_holds_the_boundary_is_not_cut_by_it() -> None:
    message = made(text="--=_a0b0b6a1c-8f6c-4a2b-9a43-1c7b3f1d2e3f\n--=_a0b0b6a1c-8f6c-4a2b-9a43-1c7b3f1d2e3f--", html="x")
    assert text_of(read(message), "plain") == message.text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_any_subject_comes_back(subject: str) -> None:
    back = read(made(subject=subject))
    assert " ".join(str(back["subject"]).split()) == " ".join(subject.split())


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=80))
def test_any_display_name_comes_back(name: str) -> None:
    assert [address.addr_spec for address in read(made(name=name))["to"].addresses] == ["ana@example.com"]
    # the newer parser puts a space between two encoded words of a name, against RFC 2047 §6.2
    raw = email.message_from_bytes(mime.build(made(name=name), sender=SENDER, date=WHEN), policy=email.policy.compat32)["to"]
    shown, _, address = raw.rpartition("<")
    assert address == "ana@example.com>" if name.strip() else raw == "ana@example.com"
    decoded = str(make_header(decode_header(shown))) if "=?" in shown else re.sub(r"\\(.)", r"\1", shown.strip().strip('"'))
    assert " ".join(decoded.split()) == " ".join(name.split())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), st.integers(1, 12))
def test_any_text_comes_back(text: str, times: int) -> None:
    whole = text * times
    part = read(made(text=whole)).get_payload(decode=True)
    assert isinstance(part, bytes)
    lines = whole.replace("\r\n", "\n").replace("\r", "\n")
    assert part.decode().replace("\r\n", "\n").removesuffix("\n") == lines.removesuffix("\n")


def test_letters_beyond_latin_are_sent_as_base64_and_short() -> None:
    assert read(made(text="日本語の誕生日" * 50))["content-transfer-encoding"] == "base64"


def test_an_empty_message_and_a_providers_template_are_refused() -> None:
    with pytest.raises(ContentError, match="empty"):
        read(made(text=""))
    with pytest.raises(SetupError, match="template '12'"):
        read(made(text="", template="12"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("geral@example.com", ("", "geral@example.com")),
        (" Padaria <geral@example.com> ", ("Padaria", "geral@example.com")),
        (r'"Silva, \"Zé\"" <ze@example.com>', ('Silva, "Zé"', "ze@example.com")),
        ("Zé <ze@bücher.example.com>", ("Zé", "ze@xn--bcher-kva.example.com")),
    ],
)
def test_mailboxes_are_read_as_people_write_them(text: str, parts: tuple[str, str]) -> None:
    assert mime.mailbox(text) == parts


@pytest.mark.parametrize(
    "text", ["", "ana", "a@b@c", "<ana@example.com", "a@example.com, b@example.com", "Ana <a b@example.com>", "a@exam ple.com"]
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="not an e-mail address"):
        mime.mailbox(text)

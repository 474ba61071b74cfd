"""What the redactor masks, and what it lets pass."""

from __future__ import annotations

import base64
import json
import logging
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate.engine.redact import Redactor

SECRET = 'pä"ss/wörd +&'


def test_every_form_of_a_value_is_masked() -> None:
    text = Redactor([SECRET]).text
    for form in (
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
    ):
        assert text(f"a {form} b").replace('"', "").replace("'", "") == "a *** b"


@given(user=st.text(max_size=12).filter(lambda text: ":" not in text), secret=st.text(min_size=8, max_size=40))
def test_basic_authentication_does_not_leak_whatever_the_user_name(user: str, secret: str) -> None:
    try:
        header = base64.b64encode(f"{user}:{secret}".encode()).decode()
    except UnicodeEncodeError:
        return
    masked = Redactor([secret]).text(f"Authorization: Basic {header}")
    assert "***" in masked
    left = masked.removeprefix("Authorization: Basic ").rpartition("***")[2].rstrip("=")
    assert len(left) <= 2


def test_the_longest_goes_first() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "*** ***"


def test_short_values_are_let_pass_and_an_empty_redactor_changes_nothing() -> None:
    assert Redactor(["on", "", "abc"]).text("on abc") == "on abc"
    assert Redactor().text("x") == "x"


def test_values_can_be_added_later() -> None:
    redactor = Redactor()
    redactor.add(["first-one"])
    redactor.add(["second-one", "first-one"])
    assert redactor.text("first-one second-one") == "*** ***"


def test_the_lines_of_a_key_file_are_masked_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----"
    assert Redactor([key]).text("at MIIEvQIBADANBgkqhkiG9w0B:") == "at ***:"


def test_the_filter_masks_message_arguments_and_exceptions(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.Logger("test.redact")  # noqa: LOG001 - nobody else shall see it
    log.addHandler(caplog.handler)
    redactor = Redactor(["s3cret-value"])
    log.addFilter(redactor.filter)
    log.warning("sent with %s and %d", "s3cret-value", 3)
    log.warning("plain s3cret-value")
    log.warning("%(key)s", {"key": "s3cret-value"})
    log.warning("odd %d", "s3cret-value")
    try:
        raise ValueError("s3cret-value")
    except ValueError:
        log.exception("failed")
    log.warning("stack", stack_info=True)
    formatted = "\n".join(logging.Formatter("%(message)s").format(record) for record in caplog.records)
    assert "s3cret-value" not in formatted
    assert "sent with *** and 3" in formatted
    assert "ValueError: ***" in formatted
    assert all(record.args is None or record.args == () for record in caplog.records)


def test_the_filter_formats_an_exception_given_as_a_tuple() -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "m", (), (None, None, None))
    assert Redactor(["abcdef"]).filter.filter(record)
    try:
        raise KeyError("abcdef")
    except KeyError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "m", (), sys.exc_info())
    assert Redactor(["abcdef"]).filter.filter(record)
    assert record.exc_text is not None
    assert "abcdef" not in record.exc_text

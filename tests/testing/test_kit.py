"""The kit's clock, its small run, and the fixtures that pytest finds by themselves."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import libax_automate as ax
from libax_automate import testing
from libax_automate.testing import FakeClock, PlannedRun, Reply
from libax_automate.testing.service import Request
from libax_automate.testing.wire import Wire, parts


def test_the_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert clock.now() == clock.now()
    clock.sleep(90)
    assert clock.slept == [90]
    assert clock.monotonic() == 90
    assert clock.move(days=1) == datetime(2026, 10, 26, 0, 31, 30, tzinfo=UTC)
    before = clock.monotonic()
    clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == before


def test_the_clock_refuses_what_no_clock_does() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        FakeClock().move(seconds=-1)
    for instant in (lambda: FakeClock(datetime(2026, 1, 1)), lambda: FakeClock().set(datetime(2026, 1, 1))):
        with pytest.raises(ValueError, match="zone"):
            instant()


def test_a_run_reads_given_records_as_a_source_would() -> None:
    run = PlannedRun([{"id": 7, "name": "Ana Silva", "birth_date": "24/12/1980", "mobile": "912 345 678"}], day=date(2026, 12, 24))
    (ana,) = run.fetch("contacts", ax.Query(anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)}))))
    assert (ana.id, ana["first_name"], ana["birth_date"], ana["mobile"]) == ("7", "Ana", date(1980, 12, 24), "+351912345678")
    assert not list(run.fetch("contacts", ax.Query(ids=frozenset({"8"}))))
    assert not list(run.fetch("invoices", ax.Query()))
    assert run.now == datetime(2026, 12, 24, 9, 30, tzinfo=UTC)
    assert (run.first, run.last) == (date(2026, 12, 24), date(2026, 12, 24))


def test_a_run_reads_other_apps_and_says_what_was_not_given() -> None:
    run = PlannedRun(others={("erp", "invoices"): [{"id": "1", "amount": "1.234,50"}]})
    assert [record["amount"] for record in run.other("erp", "invoices", ax.Query())] == [Decimal("1234.50")]
    with pytest.raises(KeyError, match="erp"):
        run.other("erp", "contacts", ax.Query())


def test_a_given_record_that_cannot_be_read_is_an_error_of_the_test() -> None:
    with pytest.raises(ValueError, match="birth_date"):
        PlannedRun([{"id": "1", "birth_date": "yesterday"}])


def test_fixtures_are_there_without_an_import(
    automate_service: testing.Service, automate_mailbox: testing.Mailbox, automate_clock: FakeClock, automate_run: type[PlannedRun]
) -> None:
    assert automate_service.url.startswith("http://127.0.0.1:")
    assert automate_mailbox.port
    assert automate_clock.now().tzinfo is UTC
    assert automate_run([], day=date(2026, 1, 2)).last == date(2026, 1, 2)


def test_the_pytest_plugin_costs_nothing_until_it_is_used() -> None:
    code = "import sys, libax_automate.testing.pytest_plugin; print([m for m in sys.modules if m.startswith(('pydantic', 'httpx', 'openapi', 'aiosmtpd'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_kit_leads_somewhere() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    assert all(getattr(getattr(testing, name), "__name__", name) == name for name in testing.__all__)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = testing.no_such_thing


def test_every_text_of_a_request_is_found() -> None:
    body = b'{"to": "ana", "items": [{"text": "a\\r\\nb"}], "packed": "{\\"inner\\": \\"deep\\"}"}'
    request = Request("POST", "/v1/s%20t", {"q": ["1", "2"]}, {"content-type": "application/json", "x-key": "k"}, body)
    texts = dict(parts(request))
    assert texts["path"] == "/v1/s t"
    assert texts["header:x-key"] == "k"
    assert texts["json:.items[0].text"] == "a\nb"
    assert texts["json:.packed>json:.inner"] == "deep"
    form = Request("POST", "/", {}, {"content-type": "application/x-www-form-urlencoded"}, b"Body=Ol%C3%A1+%F0%9F%8E%82")
    assert dict(parts(form))["form:Body"] == "Olá 🎂"
    assert dict(parts(Request("POST", "/", {}, {}, "Olá".encode())))["body"] == "Olá"


def test_a_wire_answers_in_turn_and_ends_what_would_not_end() -> None:
    import http.client

    with Wire({"/token": Reply(200, {"token": "t"})}) as wire:
        wire.answer(Reply(201), Reply(404), limit=3)
        host = wire.url.removeprefix("http://")

        def ask(path: str) -> int:
            connection = http.client.HTTPConnection(host, timeout=5)
            connection.request("GET", path)
            try:
                return connection.getresponse().status
            finally:
                connection.close()

        assert [ask("/a"), ask("/token"), ask("/b"), ask("/c")] == [201, 200, 404, 404]
        assert [request.path for request in wire.requests] == ["/a", "/b", "/c"]
        with pytest.raises(http.client.RemoteDisconnected):
            ask("/d")


def test_the_kit_is_marked_as_typed() -> None:
    assert (Path(testing.__file__).parents[1] / "py.typed").exists()

"""The contract of a source: nothing lost, nothing doubled, everything canonical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from libax_automate._plugin import Plugin
from libax_automate.connector import Source
from libax_automate.errors import AccountError, ConnectorError, InputDataError, OutcomeUnknown, RateLimited, SetupError, Transient
from libax_automate.record import ENTITIES, BadRow, Field, FieldType, Query, Record, Since
from libax_automate.testing.plugin import HTML, ConnectorContract, nobody_listens
from libax_automate.testing.service import Answer, Fault, Reply
from libax_automate.testing.wire import Wire, parts

#: a page walk that does not end by itself is ended here (requests)
_ENDLESS = 25


class SourceContract(ConnectorContract):
    """What models rely on in every source over HTTP.

    ::

        class TestCrm(SourceContract):
            source = Crm
            entity = "contacts"
            pages = [Reply(200, {"items": [...], "next": "p2"}), Reply(200, {"items": [...]})]
            ids = ["1", "2", "3"]

            def options(self, url):
                return {"token": "s3cret-never-shown", "base_url": url}
    """

    source: ClassVar[type[Source[Any]]]

    entity: ClassVar[str] = "contacts"
    #: what is asked for
    query: ClassVar[Query] = Query()
    #: the service's replies to one walk, page by page; override ``replies`` where they hold the service's URL
    pages: ClassVar[Sequence[Reply]] = ()
    #: the ids of all records in them, in order
    ids: ClassVar[Sequence[str]] = ()
    #: a page that holds one row that cannot be used, where there is such a thing
    bad_row: ClassVar[Reply | None] = None
    #: the reply that stands for "there is nothing"
    empty: ClassVar[Reply | None] = None

    def subject(self) -> type[Plugin[Any]]:
        """The class under test."""
        return self.source

    def replies(self, url: str) -> Sequence[Reply]:
        """The replies to one walk, for a service at ``url``."""
        del url
        return self.pages

    def walk(self, connector: Any, query: Query | None = None) -> list[Record]:
        """All records of one walk; bad rows are left out."""
        rows = connector.fetch(self.entity, query or self.query)
        return [row for row in rows if not isinstance(row, BadRow)]

    def test_it_names_its_entities(self, connector: Any) -> None:
        """``automate check`` knows what a model may ask for."""
        assert self.entity in connector.entities(), f"{self.entity!r} is not among {list(connector.entities())}"

    def test_every_page_is_read_once_to_the_last(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """Each record once, in order; as many requests as there are pages; nothing is changed over there."""
        pages = self._pages(wire)
        wire.answer(*pages, limit=_ENDLESS)
        found = [record.id for record in self.walk(connector)]
        assert found == list(self.ids), f"the walk gave {found}, the pages hold {list(self.ids)}"
        assert len(wire.requests) == len(pages), f"{len(wire.requests)} requests for {len(pages)} pages"
        changing = sorted({request.method for request in wire.requests} & {"PUT", "PATCH", "DELETE"})
        assert not changing, f"reading sent {', '.join(changing)}"
        assert not awake, "it slept: pace is the engine's"

    def test_records_stream(self, wire: Wire, connector: Any) -> None:
        """The first record comes before the last page is asked for: a source never holds everything in memory."""
        pages = self._pages(wire)
        if len(pages) < 2:
            pytest.skip("one page is no walk")
        wire.answer(*pages)
        rows = iter(connector.fetch(self.entity, self.query))
        next(rows)
        asked = len(wire.requests)
        getattr(rows, "close", list)()
        assert asked < len(pages), f"all {asked} pages were read before the first record came out"

    def test_a_page_token_that_loops_ends_in_an_error(self, wire: Wire, connector: Any) -> None:
        """A service that answers the same page for ever must not be asked for ever, nor give its people twice."""
        pages = self._pages(wire)
        if len(pages) < 2:
            pytest.skip("one page is no walk")
        wire.answer(pages[0], limit=_ENDLESS)
        found: list[str] = []
        with pytest.raises((InputDataError, ConnectorError)):
            for record in connector.fetch(self.entity, self.query):
                found.append(record.id)
                assert len(found) < 100_000, "records without end"
            pytest.fail("the same page again and again was taken for a walk that ended well")
        assert len(wire.requests) < _ENDLESS, f"the same page was asked for {len(wire.requests)} times"

    def test_a_refusal_in_mid_walk_is_raised(self, wire: Wire, connector: Any) -> None:
        """A key that expires between two pages ends the walk with an error, never as if that were all."""
        pages = self._pages(wire)
        wire.answer(*pages[:-1], self.unauthorised)
        with pytest.raises(AccountError):
            self.walk(connector)
            pytest.fail("a 401 on the last page was taken for the end")

    def test_each_failure_raises_its_class(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """What went wrong at the service has its name, after one request and no wait."""
        doubt = (Transient, RateLimited, OutcomeUnknown)
        cases: tuple[tuple[Answer, tuple[type[Exception], ...]], ...] = (
            (self.unauthorised, (AccountError,)),
            (Reply(403, {}), (AccountError, SetupError)),
            (Reply(404, {}), (SetupError,)),
            (Reply(429, {}, {"Retry-After": "7"}), (RateLimited,)),
            (Reply(500, {}), doubt),
            (Reply(503, HTML.body), doubt),
            (Fault.HANG_UP, doubt),
            (Fault.CUT_BODY, (*doubt, InputDataError)),
        )
        for answer, classes in cases:
            wire.answer(answer)
            names = " or ".join(cls.__name__ for cls in classes)
            try:
                found = self.walk(connector)
            except classes:
                pass
            except Exception as error:
                pytest.fail(f"{answer} raised {type(error).__name__} ({error}); it means {names}")
            else:
                pytest.fail(f"{answer} was taken for an answer ({len(found)} records); it means {names}")
            assert len(wire.requests) == 1, f"{answer}: {len(wire.requests)} requests, but a connector never retries"
        assert not awake, "it slept"

    def test_an_unreachable_service_is_transient(self, tmp_path: Path) -> None:
        """Nobody listens: try again later."""
        with nobody_listens() as url:
            connector = self.build(url, tmp_path)
            connector.open()
            with pytest.raises(Transient):
                self.walk(connector)
            connector.close()

    def test_a_malformed_reply_is_never_an_empty_list(self, wire: Wire, connector: Any) -> None:
        """HTML, half a JSON, another shape, ten megabytes of nothing: an error, on the first page as on the last."""
        pages = self._pages(wire)
        ok = pages[0].status
        bodies: tuple[Any, ...] = (b"", b"not json", b'{"items": [', b"\xff\xfe", HTML.body, None, 7, "x", {"unexpected": True})
        replies = [Reply(ok, body) for body in bodies] + [Reply(ok, b" " * (10 * 1024 * 1024))]
        for reply in replies:
            for before in {0, len(pages) - 1}:
                wire.answer(*pages[:before], reply, limit=_ENDLESS)
                shown = repr(reply.body)[:60]
                try:
                    found = self.walk(connector)
                except (InputDataError, ConnectorError):
                    continue
                except Exception as error:
                    pytest.fail(f"page {before + 1} with {shown} raised {type(error).__name__}: {error}")
                pytest.fail(f"page {before + 1} with {shown} was taken for an answer, and {len(found)} records for all there are")

    def test_nothing_is_nothing(self, wire: Wire, connector: Any) -> None:
        """An empty list is no error."""
        if self.empty is None:
            pytest.skip("empty is not set")
        wire.answer(self.empty, limit=_ENDLESS)
        assert self.walk(connector) == []

    def test_records_are_canonical(self, wire: Wire, connector: Any) -> None:
        """Ids are strings, dates dates, amounts decimals, instants carry a zone, choices are of the words there are."""
        wire.answer(*self._pages(wire), limit=_ENDLESS)
        known = connector.fields(self.entity)
        for record in self.walk(connector):
            assert isinstance(record, Record), f"{record!r} is no Record"
            assert record.entity == self.entity, f"a record of {record.entity!r} in a walk over {self.entity!r}"
            assert isinstance(record.get("id"), str), f"the id {record.get('id')!r} is not a string"
            assert record.id, f"a record without an id: {dict(record)}"
            for name, value in record.items():
                field = ENTITIES.get(self.entity, {}).get(name)
                if field is not None and value is not None:
                    wrong = _wrong(field, value)
                    assert not wrong, f"{self.entity}.{name} of {record.id} is {value!r}: {wrong}"
            if known is not None:
                assert set(record) <= known, f"fields() does not name {sorted(set(record) - known)}"

    def test_a_bad_row_is_named_and_costs_no_other(self, wire: Wire, connector: Any) -> None:
        """A row that cannot be used is a BadRow that says where it is and why."""
        if self.bad_row is None:
            pytest.skip("bad_row is not set")
        wire.answer(self.bad_row, limit=_ENDLESS)
        rows = list(connector.fetch(self.entity, self.query))
        bad = [row for row in rows if isinstance(row, BadRow)]
        assert len(bad) == 1, f"one row is bad, {len(bad)} are named"
        assert bad[0].where, "a bad row says where it is"
        assert bad[0].why, "a bad row says why it cannot be used"

    def test_since_is_pushed_down_where_it_is_declared(self, wire: Wire, connector: Any) -> None:
        """A declared ``since`` narrows the request itself, and moves with the moment."""
        if not connector.changed_since(self.entity):
            pytest.skip("it declares no since")
        asked: list[list[tuple[str, str]]] = []
        for moment in (None, datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 9, 1, 12, tzinfo=UTC)):
            wire.answer(*self._pages(wire), limit=_ENDLESS)
            self.walk(connector, Query(since=Since("changed_at", moment)) if moment else Query())
            asked.append(list(parts(wire.requests[0])))
        assert asked[0] != asked[1], "since is declared, and the request is the same without it"
        assert asked[1] != asked[2], "since is declared, and the request is the same for another moment"

    def test_no_secret_is_told(self, wire: Wire, connector: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """No error, repr or log line holds a secret, though the service quotes it and the URL may carry it."""
        with self.no_secret_told(connector, caplog) as errors:
            for answer in (*self.awkward(connector), Reply(200, "<html>"), *self._pages(wire)):
                wire.answer(answer, limit=_ENDLESS)
                self._collect(connector, errors)
            with nobody_listens() as url:
                lost = self.build(url, tmp_path)
                lost.open()
                self._collect(lost, errors)
                lost.close()

    def _pages(self, wire: Wire) -> Sequence[Reply]:
        pages = self.replies(wire.url)
        assert pages, "set pages to the service's replies, page by page"
        assert self.ids, "set ids to the ids of the records in them"
        return pages

    def _collect(self, connector: Any, errors: list[BaseException]) -> None:
        try:
            self.walk(connector)
        except Exception as error:
            errors.append(error)


def _wrong(field: Field, value: Any) -> str:
    """What is wrong with ``value`` as a ``field``; nothing if nothing is."""
    kind = field.type
    if kind is FieldType.DATE and (not isinstance(value, date) or isinstance(value, datetime)):
        return "a date is a datetime.date"
    if kind is FieldType.INSTANT and not (isinstance(value, date) if not isinstance(value, datetime) else value.tzinfo is not None):
        return "an instant is a datetime with a zone, or a date where only the day is known"
    if kind is FieldType.AMOUNT and not isinstance(value, Decimal):
        return "an amount is a Decimal"
    if kind is FieldType.CHOICE and value not in field.choices:
        return f"one of {', '.join(field.choices)}"
    if kind is FieldType.LIST and (isinstance(value, str) or not isinstance(value, Sequence)):
        return "a list is a tuple or list of strings"
    if kind is FieldType.RECORD and not isinstance(value, str | Mapping):
        return "a related record is its id or a Record"
    if kind is FieldType.EMAIL and ("@" not in str(value) or str(value) != str(value).strip()):
        return "an address is one mailbox, or None"
    if kind is FieldType.MOBILE and not str(value).startswith("+"):
        return "a number is in E.164 (+351…), or None"
    if kind in {FieldType.TEXT, FieldType.EMAIL, FieldType.MOBILE} and not isinstance(value, str):
        return "a text is a str"
    return ""

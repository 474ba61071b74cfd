"""What every call that changes something at a provider promises: it goes out once, and its end has a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

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
from libax_automate.message import Receipt
from libax_automate.testing.plugin import HTML, ConnectorContract, Stopwatch, nobody_listens
from libax_automate.testing.service import Answer, Fault, Reply
from libax_automate.testing.wire import Wire, parts

#: accents, a sign outside the basic plane, scripts, lines that begin with dots, quotes, backslashes, percent signs
DIFFICULT = (
    "Olá, João! Ação: 10 % de «desconto» até às 24 h – só hoje…\n.\n..\n.ponto\n"
    "\"aspas\" \\barra\\ 'x' & <b>não</b> + ?\n🎂👩\u200d👩\u200d👧 Ω 漢字 العربية\nfim"
)
LONG = "\n".join(f"linha {number}: pão, café e um bolo" for number in range(1, 1001))

#: 2xx replies that no program can read
_UNREADABLE: tuple[Any, ...] = (b"", b"not json", b"\xff\xfe\x00\x01", b'{"id": ', str(HTML.body))
#: 2xx replies that are JSON, and nothing that was expected
_UNEXPECTED: tuple[Any, ...] = ([], {}, None, "ok", 7, [[]], {"unexpected": {"id": None}})
_TEN_MIB = 10 * 1024 * 1024


class CallContract(ConnectorContract):
    """Checks of one call that must not be doubled: ``SenderContract`` and ``ActionContract`` say how it is made."""

    #: what the service says when it accepts
    accepted: ClassVar[Reply]

    #: what the service says to a request that it refuses for what is in it
    rejected: ClassVar[Reply]
    #: what ``rejected`` means; set it where only one of them is right
    rejected_as: ClassVar[type[ConnectorError] | tuple[type[ConnectorError], ...]] = (RecipientError, ContentError, SetupError)

    rate_limited: ClassVar[Reply] = Reply(429, {"message": "slow down"}, {"Retry-After": "7"})
    unavailable: ClassVar[Reply] = Reply(503, {"message": "back soon"})
    failing: ClassVar[Reply] = Reply(500, {"message": "internal error"})

    #: more replies of this service, each with the class that it has to raise
    refusals: ClassVar[tuple[tuple[Reply, type[ConnectorError]], ...]] = ()

    #: the id that ``accepted`` holds; ``...`` = any, None = this service gives none
    receipt_id: ClassVar[Any] = ...

    #: True where the service also refuses with a 2xx, so that a reply nobody can read may be either
    verdict_in_body: ClassVar[bool] = False

    #: the longest text that the service takes, in characters; None = no limit worth a name
    max_chars: ClassVar[int | None] = None

    def call(self, connector: Any, text: str = "Hello", number: int = 1) -> Receipt:
        """Make the call under test: ``text`` is what a person writes, ``number`` tells calls apart."""
        raise pytest.UsageError(f"{type(self).__name__} does not say how the call is made")

    def texts(self, request: Any) -> list[str]:
        """Every text in ``request``, decoded; override it where a service wraps texts in a way of its own."""
        return [text for place, text in parts(request) if not place.startswith("header:")]

    def test_one_call_is_one_request(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """Accepted with one request, without a wait, and with the provider's id."""
        wire.answer(self.accepted)
        receipt = self.call(connector)
        assert isinstance(receipt, Receipt), f"an accepted call answers a Receipt, not {receipt!r}"
        assert len(wire.requests) == 1, f"{len(wire.requests)} requests for one call"
        if self.receipt_id is ...:
            assert receipt.id, "the receipt has no id; where the service gives none, set receipt_id = None"
        else:
            assert receipt.id == self.receipt_id, f"the receipt's id is {receipt.id!r}, not {self.receipt_id!r}"
        assert receipt.id is None or isinstance(receipt.id, str), f"an id is a string, {receipt.id!r} is not"
        assert not awake, "it slept"

    def test_a_wrong_credential_is_an_account_error(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """A refused key halts the app and every other app on it."""
        self._ends(wire, connector, awake, self.unauthorised, AccountError)

    def test_too_fast_is_rate_limited_and_says_for_how_long(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """The wait that the service asks for reaches the queue."""
        error = self._ends(wire, connector, awake, self.rate_limited, RateLimited)
        wanted = self.rate_limited.headers.get("Retry-After")
        if wanted is not None:
            assert error.retry_after == float(wanted), f"Retry-After {wanted} became retry_after={error.retry_after}"

    def test_unavailable_is_not_sent(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """503 means that nothing was accepted: the queue may try again."""
        self._ends(wire, connector, awake, self.unavailable, Transient, RateLimited)
        self._ends(wire, connector, awake, Reply(503, HTML.body, HTML.headers), Transient, RateLimited)

    def test_a_server_error_is_in_doubt(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """After a 500 nobody knows; only where the vendor documents "not processed" is it safe to try again."""
        right = (Transient, RateLimited) if connector.server_errors_not_processed else (OutcomeUnknown,)
        for status in (500, 502, 504):
            self._ends(wire, connector, awake, Reply(status, self.failing.body, self.failing.headers), *right)

    def test_a_hang_up_is_in_doubt(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """The request left and no answer came: it may have been accepted."""
        for fault in (Fault.HANG_UP, Fault.RESET, Fault.CUT_HEAD):
            self._ends(wire, connector, awake, fault, OutcomeUnknown)

    def test_a_reply_that_breaks_off_is_never_sent_again(self, wire: Wire, connector: Any) -> None:
        """A 200 whose body ends too early is in doubt or accepted, and nothing that would be sent again."""
        wire.answer(Fault.CUT_BODY)
        try:
            receipt = self.call(connector)
        except OutcomeUnknown:
            return
        assert receipt.id is None, f"an id {receipt.id!r} out of half a reply"

    def test_unreachable_is_not_sent(self, tmp_path: Path, awake: list[float]) -> None:
        """Nobody listens, so nothing left: the queue may try again."""
        if not self.speaks_http:
            pytest.skip("it speaks to no server")
        with nobody_listens() as url:
            connector = self.build(url, tmp_path)
            connector.open()
            watch = Stopwatch()
            with pytest.raises(Transient):
                self.call(connector)
            watch.check()
            connector.close()
        assert not awake, "it slept"

    def test_a_refusal_raises_its_class(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """What the service refuses for its content, and every reply in ``refusals``, raises the class that says so."""
        classes = self.rejected_as if isinstance(self.rejected_as, tuple) else (self.rejected_as,)
        self._ends(wire, connector, awake, self.rejected, *classes)
        for reply, cls in self.refusals:
            self._ends(wire, connector, awake, reply, cls)

    def test_a_redirect_is_not_followed(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """A redirect would carry message and key to another place."""
        self._ends(wire, connector, awake, Reply(307, b"", {"Location": f"{wire.url}/elsewhere"}), ConnectorError)

    def test_a_success_nobody_can_read_is_still_a_success(self, wire: Wire, connector: Any) -> None:
        """A 2xx with a body that makes no sense was accepted: the id is unknown, and it is never sent again."""
        large = Reply(self.accepted.status, b'{"x": "' + b"x" * _TEN_MIB + b'"}', {"Content-Type": "application/json"})
        replies = [Reply(self.accepted.status, body) for body in (*_UNREADABLE, *_UNEXPECTED)]
        for reply in (*replies, large):
            wire.answer(reply)
            try:
                receipt = self.call(connector)
            except OutcomeUnknown:
                if self.verdict_in_body:
                    continue
                raise
            except Exception as error:
                shown = reply.body if reply is not large else "10 MiB"
                pytest.fail(
                    f"HTTP {reply.status} with {shown!r} raised {type(error).__name__}: {error}; it was accepted, with an unknown id"
                )
            assert isinstance(receipt, Receipt), f"{receipt!r} is no Receipt"
            assert not receipt.id, f"an id {receipt.id!r} out of {str(reply.body)[:60]!r}"
            assert len(wire.requests) == 1, f"{len(wire.requests)} requests for one call"

    def test_a_wrong_content_type_changes_nothing(self, wire: Wire, connector: Any) -> None:
        """Services send JSON as text/plain; accepted is accepted."""
        wire.answer(Reply(self.accepted.status, self.accepted.body, {**self.accepted.headers, "Content-Type": "text/plain"}))
        assert isinstance(self.call(connector), Receipt)

    def test_no_reply_raises_anything_else(self, wire: Wire, connector: Any) -> None:
        """Whatever comes back, a call ends in a Receipt or in a ConnectorError: anything else is a bug that halts the app."""
        for status in (200, 204, 400, 404, 409, 418, 451, 501, 507, 599):
            bodies: tuple[Any, ...] = (b"", b"\xff", HTML.body, [], None, "x", {"error": None}, {"errors": [1]}, {"message": {"a": []}})
            for body in bodies:
                wire.answer(Reply(status, b"" if status == 204 else body))
                try:
                    outcome = self.call(connector)
                except ConnectorError:
                    continue
                except Exception as error:
                    pytest.fail(f"HTTP {status} with {body!r} raised {type(error).__name__}: {error}")
                assert status < 300, f"HTTP {status} was taken for a success"
                assert isinstance(outcome, Receipt)

    def test_no_secret_is_told(self, wire: Wire, connector: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """No error, repr or log line holds a secret, though the service quotes it and the URL may carry it."""
        with self.no_secret_told(connector, caplog) as errors:
            for answer in (*self.awkward(connector), self.rejected, self.accepted):
                wire.answer(answer)
                self._collect(connector, errors)
            with nobody_listens() as url:
                lost = self.build(url, tmp_path)
                lost.open()
                self._collect(lost, errors)
                lost.close()

    def test_difficult_text_arrives_intact(self, wire: Wire, connector: Any) -> None:
        """Accents, emoji, dots, quotes and a thousand lines reach the service as they were written."""
        for text in (DIFFICULT, LONG):
            sent = text[: self.max_chars].strip()
            wire.answer(self.accepted)
            self.call(connector, sent)
            texts = self.texts(wire.requests[0])
            assert any(sent in text for text in texts), f"the request does not hold the text as it was written: {sent[:60]!r}…"

    def test_many_threads_use_one_connector(self, wire: Wire, connector: Any) -> None:
        """The engine calls from several threads at once; each call carries its own text."""
        from concurrent.futures import ThreadPoolExecutor

        wire.answer(self.accepted)
        texts = [f"text-of-call-{number}-" for number in range(10, 34)]
        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda pair: self.call(connector, pair[1], pair[0]), enumerate(texts, 1)))
        assert all(isinstance(receipt, Receipt) for receipt in receipts)
        carried = [[text for text in texts if any(text in part for part in self.texts(request))] for request in wire.requests]
        assert sorted(carried) == sorted([text] for text in texts), "calls from several threads mixed up their texts"

    def _ends(self, wire: Wire, connector: Any, awake: list[float], answer: Answer, *classes: type[ConnectorError]) -> ConnectorError:
        """The call ends in one of ``classes``, after one request and no wait."""
        names = " or ".join(cls.__name__ for cls in classes)
        wire.answer(answer)
        watch = Stopwatch()
        try:
            receipt = self.call(connector)
        except ConnectorError as error:
            watch.check()
            assert isinstance(error, classes), f"{answer} raised {type(error).__name__} ({error}); it means {names}"
            assert len(wire.requests) == 1, f"{len(wire.requests)} requests: a connector never retries"
            assert not awake, f"it slept {awake[0]} s: a connector never waits"
            assert error.message, "an error says what happened"
            return error
        except Exception as error:
            pytest.fail(f"{answer} raised {type(error).__name__} ({error}); it means {names}")
        pytest.fail(f"{answer} was taken for a success ({receipt!r}); it means {names}")

    def _collect(self, connector: Any, errors: list[BaseException]) -> None:
        try:
            self.call(connector)
        except Exception as error:
            errors.append(error)

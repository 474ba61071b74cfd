"""What every plugin promises: found by its name, strict about its options, quiet about its secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from libax_automate._plugin import Plugin
from libax_automate.clock import SystemClock
from libax_automate.connector import Actor, Capability, Connector, Place, Referencer, Sender, Source
from libax_automate.options import is_secret
from libax_automate.testing.service import Answer, Fault, Reply, Request, refusing
from libax_automate.testing.wire import Wire

#: what a contract test may go to, and a profile only by ``allow_private``
LOOPBACK = ("127.0.0.0/8", "::1/128")

_LOOKS_SECRET = re.compile(r"(^|_)(token|secret|password|passwd|pass|api_?key|auth_?key|hash)($|_)", re.IGNORECASE)

#: a shorter text turns up in messages by chance
_SECRET_LENGTH = 8

#: a call that takes longer has waited for something (seconds)
_PATIENCE = 4.0

HTML = Reply(503, "<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>", {"Content-Type": "text/html"})


class PluginContract:
    """Checks of connectors and models alike."""

    kind: ClassVar[Literal["connector", "model"]] = "connector"

    def subject(self) -> type[Plugin[Any]]:
        """The class under test."""
        raise pytest.UsageError(f"{type(self).__name__} does not say which class it tests")

    def valid_options(self) -> Mapping[str, Any]:
        """Options that the class accepts."""
        return {}

    def test_it_is_found_by_its_entry_point(self) -> None:
        """A profile names it, so the installed package must offer this very class under that name."""
        from libax_automate.plugins.catalogue import Catalogue

        cls, catalogue = self.subject(), Catalogue()
        found: type[Any] = catalogue.connector(cls.name) if self.kind == "connector" else catalogue.model(cls.name)
        assert found is cls, f"the entry point {cls.name!r} leads to {found!r}, not to {cls!r}"

    def test_its_name_is_kebab_case(self) -> None:
        """Names are written in profiles: small letters, digits and hyphens."""
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.subject().name), f"{self.subject().name!r} is not kebab-case"

    def test_an_unknown_option_is_refused(self) -> None:
        """A typing error in a profile is an error, never silence."""
        options_type = self.subject().options_type
        options_type.model_validate(dict(self.valid_options()))
        with pytest.raises(ValidationError):
            options_type.model_validate({**self.valid_options(), "no_such_option_at_all": 1})
            pytest.fail(f"{options_type.__name__} takes any key: does it inherit from Options, with extra='forbid'?")

    def test_what_looks_like_a_secret_is_kept_shut(self) -> None:
        """An option called token, password or api_key has the type Secret, so that nothing prints it."""
        fields = self.subject().options_type.model_fields
        shown = [
            name for name, info in fields.items() if _LOOKS_SECRET.search(name) and not is_secret(info) and info.annotation is not bool
        ]
        assert not shown, f"{', '.join(shown)} should have the type Secret"

    def test_no_check_of_the_contract_is_overridden(self) -> None:
        """Where a check cannot hold, mark it ``xfail`` with the reason; leaving it out in silence is no way."""
        for cls in type(self).__mro__:
            if cls.__module__.startswith("libax_automate.testing"):
                continue
            for name, member in vars(cls).items():
                inherited = any(hasattr(base, name) for base in cls.__mro__[1:])
                marks = {mark.name for mark in getattr(member, "pytestmark", ())}
                if name.startswith("test_") and inherited and not marks & {"xfail", "skip"}:
                    pytest.fail(f"{cls.__name__}.{name} replaces a check of the contract; mark it xfail with a reason instead")


class ConnectorContract(PluginContract):
    """Checks of all connectors. ``options(url)`` answers valid options for a service at ``url``."""

    #: replies of paths that are not the call under test (a token endpoint), by path; requests to them are not counted
    elsewhere: ClassVar[Mapping[str, Reply]] = {}

    #: what the service says to a wrong key
    unauthorised: ClassVar[Reply] = Reply(401, {"message": "unauthorised"})

    #: what the service answers when ``check`` succeeds
    checked: ClassVar[Reply] = Reply(200, {})

    #: why this service cannot be asked whether a key works, where that is so
    no_check: ClassVar[str] = ""

    #: False where nothing goes over HTTP (a file, an algorithm): the checks that need a reply are then left out
    speaks_http: ClassVar[bool] = True

    def options(self, url: str) -> Mapping[str, Any]:
        """Options as a profile would hold them, secrets as plain text, for a service at ``url``."""
        raise pytest.UsageError(f"{type(self).__name__}: def options(self, url) is missing")

    def valid_options(self) -> Mapping[str, Any]:
        """Options that the class accepts."""
        return self.options("http://127.0.0.1:9")

    def build(self, url: str, folder: Path) -> Any:
        """A connector for ``url``, not yet opened; its relative paths start in ``folder``."""
        cls: Any = self.subject()
        options = cls.options_type.model_validate(dict(self.options(url)))
        return cls(options, Place(folder=folder, allow_private=LOOPBACK))

    def secret_texts(self, connector: Connector[Any]) -> list[str]:
        """What nobody may ever read in a message or log."""
        found = [*_secrets_in(connector.options), *connector.secrets()]
        short = [text for text in found if len(text) < _SECRET_LENGTH]
        assert not short, f"give the secrets in options() at least {_SECRET_LENGTH} characters, so that they can be told from other text"
        return found

    @pytest.fixture
    def wire(self) -> Iterator[Wire]:
        """The service that the connector talks to."""
        with Wire(self.elsewhere) as wire:
            yield wire

    @pytest.fixture
    def connector(self, wire: Wire, tmp_path: Path) -> Iterator[Any]:
        """The connector under test, open."""
        connector = self.build(wire.url, tmp_path)
        connector.open()
        yield connector
        connector.close()

    @pytest.fixture
    def awake(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The waits that were asked for with ``time.sleep``; none of them happens."""
        waits: list[float] = []
        monkeypatch.setattr("time.sleep", waits.append)
        return waits

    def test_close_is_safe_twice(self, wire: Wire, tmp_path: Path) -> None:
        """Whatever went wrong before, closing never makes it worse."""
        connector = self.build(wire.url, tmp_path)
        connector.open()
        connector.close()
        connector.close()

    def test_open_sends_nothing(self, wire: Wire, tmp_path: Path) -> None:
        """``open`` prepares: a profile check or a plan must not reach the service."""
        connector = self.build(wire.url, tmp_path)
        connector.open()
        connector.close()
        assert not wire.requests, f"open sent {_listed(wire.requests)}"

    def test_no_secret_is_in_a_repr(self, wire: Wire, tmp_path: Path) -> None:
        """Printing the connector or its options shows no secret."""
        connector = self.build(wire.url, tmp_path)
        connector.open()
        for secret in self.secret_texts(connector):
            for thing in (connector, connector.options, getattr(connector, "api", None)):
                assert secret not in f"{thing!r} {thing!s}", f"a secret is in the repr of {type(thing).__name__}"
        connector.close()

    def test_it_says_how_to_get_its_credentials(self, wire: Wire, tmp_path: Path) -> None:
        """Whoever needs a key is told where to get it (``credentials``, shown by ``automate connectors show``)."""
        connector = self.build(wire.url, tmp_path)
        if self.secret_texts(connector):
            assert type(connector).credentials.strip(), "set credentials to a sentence or two on where the key is found"

    def test_its_capabilities_are_those_of_its_kind(self, wire: Wire, tmp_path: Path) -> None:
        """A Source declares SOURCE, an Actor ACTIONS, a Referencer REFERENCES, a Sender a channel; and the other way round."""
        connector = self.build(wire.url, tmp_path)
        declared = connector.offers()
        kinds: tuple[tuple[type, set[Capability]], ...] = (
            (Source, {Capability.SOURCE}),
            (Actor, {Capability.ACTIONS}),
            (Referencer, {Capability.REFERENCES}),
            (Sender, {Capability.EMAIL, Capability.SMS, Capability.WHATSAPP, Capability.WEBHOOK}),
        )
        for kind, wanted in kinds:
            names = " or ".join(sorted(wanted))
            if isinstance(connector, kind):
                assert wanted & declared, f"a {kind.__name__} declares {names} among its capabilities"
            else:
                assert not wanted & declared, f"{names} is declared, but it is no {kind.__name__}"

    def test_check_succeeds_and_changes_nothing(self, wire: Wire, connector: Any, awake: list[float]) -> None:
        """``check`` with good credentials raises nothing, and only asks."""
        wire.answer(self.checked)
        connector.check()
        changing = [request for request in wire.requests if request.method in {"PUT", "PATCH", "DELETE"}]
        assert not changing, f"check sent {_listed(changing)}"
        assert not awake, "check slept"

    def test_check_names_a_wrong_credential(self, wire: Wire, connector: Any) -> None:
        """``automate check --connect`` finds a wrong key before a run does."""
        from libax_automate.errors import AccountError

        if self.no_check:
            pytest.skip(self.no_check)
        if not self.speaks_http or not self.secret_texts(connector):
            pytest.skip("there is no credential to be wrong")
        wire.answer(self.unauthorised)
        with pytest.raises(AccountError):
            connector.check()
            pytest.fail("check is content with a refused key; where the service cannot be asked, set no_check to the reason")

    @contextmanager
    def no_secret_told(self, connector: Connector[Any], caplog: pytest.LogCaptureFixture) -> Iterator[list[BaseException]]:
        """Collects errors and log lines of the block, and looks for secrets in them afterwards."""
        errors: list[BaseException] = []
        secrets = self.secret_texts(connector)
        with caplog.at_level(logging.DEBUG):
            yield errors
        logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
        for secret in secrets:
            assert secret not in logged, "a secret is in the log"
            for error in errors:
                for told in _told(error):
                    assert secret not in told, f"a secret is in what {type(error).__name__} says"

    def awkward(self, connector: Connector[Any]) -> list[Answer]:
        """Replies that quote what they got, secrets included, and ends without a reply."""
        secrets = " ".join(self.secret_texts(connector))
        quoting = [
            Reply(status, {"message": f"refused: {secrets}"}, {"X-Echo": "refused"}) for status in (400, 401, 403, 404, 429, 500, 503)
        ]
        return [*quoting, Reply(401, f"<html>{secrets}</html>"), Reply(302, b"", {"Location": f"/?key={secrets[:40]}"}), Fault.HANG_UP]


class Stopwatch:
    """How long a block took, by the machine's clock."""

    def __init__(self) -> None:
        self._monotonic = SystemClock().monotonic
        self._start = self._monotonic()

    def check(self) -> None:
        """Fail if it took so long that somebody must have waited."""
        took = self._monotonic() - self._start
        assert took < _PATIENCE, f"the call took {took:.1f} s: a connector never waits, the queue does"


@contextmanager
def nobody_listens() -> Iterator[str]:
    """A URL where connections are refused."""
    with refusing() as url:
        yield url


def _listed(requests: list[Request]) -> str:
    return ", ".join(f"{request.method} {request.path}" for request in requests) or "nothing"


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _secrets_in(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _secrets_in(part)


def _told(error: BaseException) -> Iterator[str]:
    """All that a person could read of ``error``, what it was raised from included."""
    seen: BaseException | None = error
    while seen is not None:
        yield f"{seen!s} {seen!r} {vars(seen)!r}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)

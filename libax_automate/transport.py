"""How bytes leave: the small interface behind which HTTP engines stand (``libax_automate._engines``).

All send one request per call, know no proxy, follow no redirect, decompress nothing, and connect to the address they are
told, whatever the name in the URL resolves to. They must agree on every verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from libax_automate.address import Place

#: seconds an unused connection is kept: shorter than the 5 s after which many servers drop theirs
IDLE = 4.0

Headers: TypeAlias = Sequence[tuple[str, str]]


class NotSent(Exception):
    """Nothing of the request left this machine (no connection, no TLS session)."""


class InDoubt(Exception):
    """The request, or a part of it, left, and no complete status line and headers came back."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a transport is made for; times are in seconds, ``headers`` go with every request."""

    place: Place
    #: the checked address to begin with
    address: str
    headers: Headers = ()
    connect_timeout: float = 10.0
    timeout: float = 30.0
    total_timeout: float = 60.0
    max_body: int = 1 << 20
    #: a PEM file of certificate authorities to trust besides the well-known ones
    ca_file: Path | None = None


class Answer:
    """What came back: ``status``, ``headers``, and at most ``max_body`` bytes of the body as they came over the line.

    ``truncated`` says that there was more; ``broken`` says why the body ended early, and is empty when it did not.
    """

    __slots__ = ("_pairs", "broken", "content", "header", "status", "truncated")

    def __init__(
        self,
        status: int,
        header: Callable[[str], str | None],
        pairs: Callable[[], Iterable[tuple[str, str]]],
        content: bytes,
        *,
        truncated: bool = False,
        broken: str = "",
    ) -> None:
        self.status = status
        #: the first value of a header, by name in any case
        self.header = header
        self._pairs = pairs
        self.content = content
        self.truncated = truncated
        self.broken = broken

    @classmethod
    def raw(
        cls, status: int, headers: Sequence[tuple[bytes, bytes]], content: bytes, *, truncated: bool = False, broken: str = ""
    ) -> Answer:
        """From headers as they came over the line, read where somebody asks for one (Latin-1: RFC 9110 §5.5)."""

        def header(name: str) -> str | None:
            wanted = name.lower().encode("ascii")
            return next((value.decode("latin-1") for key, value in headers if key.lower() == wanted), None)

        def pairs() -> Iterable[tuple[str, str]]:
            return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in headers]

        return cls(status, header, pairs, content, truncated=truncated, broken=broken)

    def pairs(self) -> Iterable[tuple[str, str]]:
        """All headers, in order."""
        return self._pairs()


class Transport(Protocol):
    """Sends one request to one place; serves many threads at once."""

    def aim(self, address: str) -> None:
        """Connect to ``address`` from now on; requests under way end where they began."""

    def send(self, method: str, target: str, headers: Headers, content: bytes) -> Answer:
        """Send one request; raises NotSent or InDoubt, with a reason that names no URL."""

    def close(self) -> None:
        """Let go of every connection; safe twice."""

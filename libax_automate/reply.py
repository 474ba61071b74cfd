"""What a vendor answered: a status, headers, a bounded body, and how long it asks us to wait."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from json import loads
from typing import Any

from pydantic_core import from_json

from libax_automate.clock import wall_time
from libax_automate.errors import InputDataError
from libax_automate.transport import Answer

#: the longest a Retry-After is believed; seconds
RETRY_AFTER_MAX = 6 * 3600.0


class UnreadableReply(ValueError):
    """A reply that should be JSON and is not. After a 2xx to a send: accepted, id unknown, never to be sent again."""


class ReplyHeaders(Mapping[str, str]):
    """The headers of a reply, by name in any case; of several with one name, the first."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __getitem__(self, name: str) -> str:
        value = self._answer.header(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._answer.pairs()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Reply:
    """What a vendor answered. ``content`` is at most the client's ``max_body`` bytes; ``truncated`` says whether there was more."""

    __slots__ = ("_answer", "content", "status", "truncated")

    def __init__(self, answer: Answer, max_body: int) -> None:
        self._answer = answer
        self.status = answer.status
        self.content = answer.content
        self.truncated = answer.truncated
        encoding = answer.header("content-encoding")
        if encoding is not None and encoding.lower() in {"gzip", "x-gzip", "deflate"}:
            self._inflate(max_body)

    @property
    def headers(self) -> ReplyHeaders:
        """Its headers, by name in any case."""
        return ReplyHeaders(self._answer)

    @property
    def text(self) -> str:
        """The body as text, in the character set it declares or UTF-8; bytes that are none become U+FFFD."""
        declared = re.search(r"charset=\"?([\w.:-]+)", self._answer.header("content-type") or "", re.IGNORECASE)
        try:
            return self.content.decode(declared[1] if declared else "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; raises UnreadableReply (a ValueError) when it is empty, cut off, or something else."""
        if self.truncated:
            raise UnreadableReply(f"the reply is larger than {len(self.content)} bytes")
        try:
            return from_json(self.content)
        except ValueError:
            pass  # perhaps only in another encoding, or deeper than that parser goes
        try:
            return loads(self.content)
        except UnicodeDecodeError:
            pass
        except (ValueError, RecursionError):
            raise UnreadableReply("the reply is not JSON") from None
        try:
            return loads(self.text)
        except (ValueError, RecursionError):
            raise UnreadableReply("the reply is not JSON") from None

    def data(self) -> Any:
        """The body as JSON, for reads: raises InputDataError where ``json()`` would raise UnreadableReply."""
        try:
            return self.json()
        except UnreadableReply as error:
            raise InputDataError(str(error), hint="is the base URL the vendor's API?") from None

    def id_at(self, *path: str | int) -> str | None:
        """The id at ``path`` of the JSON body (keys, and places in lists), as text; None where none can be read.

        It never raises: a 2xx was accepted whatever is in it, and then the id is unknown.
        """
        try:
            found = self.json()
            for key in path:
                found = found[key]
        except (ValueError, LookupError, TypeError):
            return None
        return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) and found else None

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.content)} bytes>"

    def _inflate(self, limit: int) -> None:
        engine = zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, told by the header
        try:
            self.content = engine.decompress(self.content, limit + 1)
        except zlib.error:
            return  # left as it came: not JSON, and readable as such
        self.truncated = self.truncated or len(self.content) > limit
        self.content = self.content[:limit]


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (a number, or an HTTP date: RFC 9110 §10.2.3), within 0 … 6 h; None if it asks nothing."""
    text = (value or "").strip()
    if re.fullmatch(r"[+-]?[0-9]+(?:\.[0-9]*)?", text):
        seconds = float(text[:32])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - wall_time()).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)

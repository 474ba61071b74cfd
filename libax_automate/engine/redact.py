"""Keeping live secret values out of logs, tables and error texts, in every form they take on the wire."""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from libax_automate.engine.spec import Profile

MASK = "***"
#: below this a value is too common to be masked: ``"on"`` would blacken half a log
SHORTEST = 4
#: lines of a many-line secret (a PEM key) that are worth masking on their own
_LONG_LINE = 16


class Redactor:
    """Replaces every known secret value with ``***``; ``filter`` does the same for log records."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.filter = _Filter(self)
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Learn more secret values; those shorter than four characters are ignored."""
        values = set(values)
        new = {value for value in (*values, *(part for value in values for part in _parts(value))) if len(value) >= SHORTEST} - self._values
        if not new:
            return
        self._values |= new
        forms = {form for value in self._values for form in _forms(value) if len(form) >= SHORTEST}
        # longest first: a secret that contains another must go as a whole
        self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form)))))

    def text(self, text: str) -> str:
        """``text`` with every known value masked: plain, URL-quoted, JSON-escaped, or base64 as in Basic authentication."""
        return self._pattern.sub(MASK, text) if self._pattern else text


class _Filter(logging.Filter):
    """Masks a log record's message, arguments and exception text."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite ``record`` in place; it always passes."""
        mask = self._redactor.text
        # formatted here once: masking msg and args apart would miss a secret that only the two together spell
        try:
            record.msg, record.args = mask(record.getMessage()), None
        except (TypeError, ValueError, KeyError):
            record.msg, record.args = mask(f"{record.msg} {record.args!r}"), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
            record.exc_info = None
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        return True


def _parts(value: str) -> Iterator[str]:
    """What is secret by itself in an address that is a secret: a reply may quote the path without the host (``Cannot POST /hook/T0/B0/key``)."""
    if "://" not in value:
        return
    try:
        parts = urlsplit(value)
        password = parts.password
    except ValueError:
        return
    pieces = [*parts.path.split("/"), parts.fragment, password or ""]
    pieces += [text for _, text in parse_qsl(parts.query, keep_blank_values=True)]
    for piece in pieces:
        # words such as "services" or "v2" are no secrets, and masking them would blacken what people have to read
        if len(piece) >= _LONG_LINE or (len(piece) >= 2 * SHORTEST and any(map(str.isdigit, piece))):
            yield piece
            yield unquote(piece)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield from _base64(value.encode("utf-8", "surrogatepass"))
    for line in value.splitlines():
        if len(line) >= _LONG_LINE and line != value:
            yield line


def _base64(value: bytes) -> Iterator[str]:
    """The base64 texts that ``value`` can be inside ``user:value`` (RFC 7617), whatever stands before or behind it.

    Where it starts decides the alignment; the first and last characters, which mix with neighbours, are left out.
    """
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value).decode().rstrip("=")
        start = (0, 2, 3)[shift]
        end = len(encoded) - (1 if (shift + len(value)) % 3 else 0)
        if end - start >= 2 * SHORTEST:
            yield encoded[start:end]
            yield encoded[start:end].translate(_URL_SAFE)
    yield base64.b64encode(value).decode()


_URL_SAFE = str.maketrans("+/", "-_")


def secret_leaves(value: Any, loc: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], SecretStr]]:
    """Every Secret inside an option value, however deep, with the path of keys that leads to it."""
    if isinstance(value, SecretStr):
        yield loc, value
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield from secret_leaves(getattr(value, name), (*loc, info.alias or name))
        for name, extra in (value.model_extra or {}).items():
            yield from secret_leaves(extra, (*loc, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_leaves(item, (*loc, str(key)))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from secret_leaves(item, (*loc, index))


def secrets_of(profile: Profile) -> set[str]:
    """All secret values of a profile: its Secret options, and whatever came into other options by reference."""
    found = set(profile.referenced)
    for options in (spec.options for specs in (profile.apps, profile.models) for spec in specs.values()):
        found.update(secret.get_secret_value() for _, secret in secret_leaves(options))
    found.discard("")
    return found

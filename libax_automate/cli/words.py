"""How ids, times and spans are written and read on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from libax_automate.errors import UsageError

_KINDS = {"A": "approval", "T": "task", "M": "message", "E": "error", "B": "batch"}
_ID = re.compile(r"([ATMEB]?)(\d{1,15})", re.IGNORECASE)
_UNITS = ((604800, "w"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


#: instants from here on stand for "when somebody says so"
_NEVER = 1e11


def instant(value: float | datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second: ``2026-12-24T09:30:00Z``; None and 0 stay nothing, and so does what waits for a person."""
    if not value or (isinstance(value, float) and value >= _NEVER):
        return None
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(text: object, zone: tzinfo | None) -> str:
    """An RFC 3339 text as people read it: ``2026-12-24 09:30`` in ``zone`` (None = the machine's)."""
    if not text:
        return ""
    return datetime.fromisoformat(str(text)).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def age(seconds: float) -> str:
    """A span for people, in its largest unit: ``3h``, ``2d``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "now"


def id_of(text: str, kind: str) -> int:
    """``E12`` or ``12`` -> 12; raises UsageError where it is no id of ``kind`` (T, M, E, B or A)."""
    match = _ID.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no {_KINDS[kind]} id", hint=f"ids of {_KINDS[kind]}s look like {kind}12")
    if match[1] and match[1].upper() != kind:
        raise UsageError(
            f"{text!r} is the id of a {_KINDS[match[1].upper()]}, not of a {_KINDS[kind]}", hint=f"give an id such as {kind}12"
        )
    return int(match[2])


def is_id(text: str, kind: str) -> bool:
    """Whether ``text`` is written as an id of ``kind``, letter and all."""
    return re.fullmatch(rf"{kind}\d{{1,15}}", text, re.IGNORECASE) is not None


def moment_of(text: str, zones: Sequence[ZoneInfo], option: str) -> datetime:
    """RFC 3339 with an offset, or a wall time of the one zone in view; raises UsageError otherwise."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{option} {text!r} is no moment", hint="write 2026-12-24T09:30, or with an offset 2026-12-24T09:30:00Z") from None
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if len(zones) > 1:
        raise UsageError(
            f"{option} {text!r} names no offset, and the profiles are in several timezones", hint=f"write {text}Z, or add --profile"
        )
    from libax_automate.engine.walltime import instant_of

    return instant_of(moment, zones[0]) if zones else moment.astimezone(UTC)


def span(text: str, option: str) -> timedelta:
    """A span such as ``2d``; raises UsageError otherwise."""
    from libax_automate.engine.profile import span_of

    try:
        return span_of(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def count(number: int, one: str, many: str = "") -> str:
    """``1 message``, ``2 messages``."""
    return f"{number} {one if number == 1 else many or one + 's'}"

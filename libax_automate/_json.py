"""JSON as all that leaves or is kept is written: compact, non-ASCII as it is, amounts as text, dates as ISO 8601."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from json import encoder
from typing import Any


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} does not go into JSON")


_slowly = encoder.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode


def _swift() -> Callable[[Any, int], Iterable[str]] | None:
    # JSONEncoder builds its C encoder anew for every value, which takes as long as encoding a message: here it is built once
    make = getattr(encoder, "c_make_encoder", None)
    try:
        chunks: Any = make(None, _plain, encoder.encode_basestring, None, ":", ",", False, False, True) if make else None
        return chunks if chunks and "".join(chunks({"ü": [Decimal("1.50"), None]}, 0)) == '{"ü":["1.50",null]}' else None
    except (TypeError, ValueError):
        return None  # an interpreter that builds it otherwise


_chunks = _swift()


def dumps(value: Any) -> str:
    """``value`` as JSON; raises TypeError for what has no form there."""
    return _slowly(value) if _chunks is None else "".join(_chunks(value, 0))

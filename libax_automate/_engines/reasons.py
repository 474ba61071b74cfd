"""What an HTTP engine's error says, in words that name no URL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

#: how libraries decorate an operating system's reason
_NUMBERS = re.compile(r"^\[Errno -?\d+\] | \(os error \d+\)$")


def causes(error: Any) -> Sequence[Mapping[str, str]]:
    """The chain of causes that a pyreqwest error carries, outermost first; none of any other."""
    details = getattr(error, "details", None)
    return (details.get("causes") or ()) if isinstance(details, dict) else ()


def words(error: BaseException, otherwise: str) -> str:
    """The innermost reason an HTTP library gives, without the URL it may quote."""
    inner = [cause["message"] for cause in causes(error) if "://" not in cause["message"]]
    text = inner[-1] if inner else str(getattr(error, "message", error))
    text = _NUMBERS.sub("", " ".join(text.split()))[:200]
    return text if text and "://" not in text else otherwise

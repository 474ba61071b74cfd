"""What RD Station's refusals mean: error types, in whichever of its shapes they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import libax_automate as ax
from libax_automate.http import ApiClient, Reply

_ACCOUNT = frozenset({"UNAUTHORIZED", "INVALID_CREDENTIALS", "INVALID_REFRESH_TOKEN", "EXPIRED_CODE_GRANT", "EXPIRED_ACCESS_TOKEN"})
_SETUP = frozenset({"CONFLICTING_FIELD", "INVALID_EVENT_TYPE", "INVALID_EVENT_FAMILY", "NOT_ALLOWED"})
#: how deep an error is looked for
_DEPTH = 5


def refusal(client: ApiClient, reply: Reply, *, safe: bool = False) -> ax.ConnectorError:
    """The error that a reply means."""
    plain = client.refusal(reply, safe=safe)
    found = list(_errors(reply))
    code = str(found[0].get("error_type") or "") if found else ""
    kind = _snake(code)
    if isinstance(plain, ax.AccountError) or (reply.status < 500 and kind in _ACCOUNT):
        return plain.recast(ax.AccountError, hint="RD Station refuses the credential: let the account's owner agree again", code=code)
    if reply.status == 404:
        return plain.recast(ax.RecipientError, hint="RD Station has no such contact, and this action makes none", code=code)
    if reply.status in {400, 409, 422}:
        if kind in _SETUP:
            return plain.recast(ax.SetupError, hint="correct the fields of the action", code=code)
        if any("email" in str(error.get("path") or error.get("error_message") or "").lower() for error in found):
            return plain.recast(ax.RecipientError, hint="correct the e-mail address, or leave this lead out", code=code)
    return plain.recast(type(plain), code=code)


def is_expired(reply: Reply) -> bool:
    """Whether the access token is refused for its age alone."""
    return reply.status == 401 and any(_snake(str(error.get("error_type") or "")) == "EXPIRED_ACCESS_TOKEN" for error in _errors(reply))


def _snake(name: str) -> str:
    """``ExpiredAccessToken`` and ``EXPIRED_ACCESS_TOKEN`` are the same to RD's own client."""
    if name.isupper() or "_" in name:
        return name.upper()
    return "".join(f"_{letter}" if letter.isupper() and place else letter for place, letter in enumerate(name)).upper()


def _errors(reply: Reply) -> Iterator[Mapping[str, Any]]:
    try:
        body = reply.json()
    except ValueError:
        return
    yield from _inside(body, _DEPTH)


def _inside(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if not depth:
        return
    if isinstance(value, Mapping):
        if "error_type" in value:
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _inside(part, depth - 1)

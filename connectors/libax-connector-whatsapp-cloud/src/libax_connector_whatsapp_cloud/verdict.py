"""What Meta's error codes mean: Meta asks to go by the code, not by the status or the words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import libax_automate as ax
from libax_automate.http import ApiClient, Reply

_Verdict: TypeAlias = tuple[type[ax.ConnectorError], str, float | None]


def _each(kind: type[ax.ConnectorError], hint: str, *codes: int, wait: float | None = None) -> dict[int, _Verdict]:
    return dict.fromkeys(codes, (kind, hint, wait))


_CODES: Mapping[int, _Verdict] = {
    **_each(ax.AccountError, "make a new token of the system user and set token", 0, 102, 104, 190),
    **_each(ax.AccountError, "the token lacks a right: give the system user the number and the account", 3, 10, 131005, *range(200, 300)),
    **_each(ax.AccountError, "Meta has restricted the account: look at its quality in the WhatsApp Manager", 368, 131031, 131048),
    **_each(ax.AccountError, "look at the payment method of the WhatsApp Business Account", 131042),
    **_each(ax.RateLimited, "", 4, 80007, 130429),
    **_each(ax.RateLimited, "too many messages to this one person in a short time", 131056, wait=6.0),
    **_each(ax.Transient, "", 2, 131016, 131057, 133004),
    **_each(
        ax.RecipientError,
        "the number has no WhatsApp, an old one, or has not agreed to its terms: correct the number, or leave this person out",
        131026,
    ),
    **_each(ax.RecipientError, "this person has not written within 24 hours: send an approved template instead of a text", 131047),
    **_each(ax.RecipientError, "Meta keeps this message from this person: try again in a day at the earliest, or leave him out", 130472, 131049),
    **_each(ax.RecipientError, "this person wants no marketing messages: leave him out", 131050),
    **_each(ax.RecipientError, "correct the number, or leave this person out", 131021, 131030, 130497),
    **_each(ax.SetupError, "vars or params must be as many as the template's placeholders: automate apps templates", 132000),
    **_each(ax.SetupError, "there is no such template in this language, or it is not approved: automate apps templates", 132001),
    **_each(ax.SetupError, "the template is paused or disabled for its quality: edit it in the WhatsApp Manager", 132007, 132015, 132016),
    **_each(ax.SetupError, "the template's flow is blocked: repair it in the WhatsApp Manager", 132068, 132069),
    **_each(ax.SetupError, "register the number in the WhatsApp Manager", 33, 131045, 133000, 133006, 133010, 133015),
    **_each(ax.ContentError, "a value has a form that the template does not take: no line breaks, no tabs, not too long", 132005, 132012, 132018),
    **_each(ax.ContentError, "", 131008, 131009, 131051, 131052, 131053),
}  # fmt: skip
#: "no such object": the id of the number or account
_NO_OBJECT = 33


def refusal(client: ApiClient, reply: Reply, *, safe: bool = False) -> ax.ConnectorError:
    """The error that a reply means."""
    plain = client.refusal(reply, safe=safe)
    error = _error(reply)
    code = _number(error.get("code"))
    if code is None:
        return plain
    if code == 100 and _number(error.get("error_subcode")) == _NO_OBJECT:
        return plain.recast(ax.SetupError, hint="Meta knows no such number or account, or the token may not see it", code="100/33")
    if code in _CODES:
        kind, hint, wait = _CODES[code]
        return plain.recast(kind, hint=hint or plain.hint, code=str(code), retry_after=wait)
    return plain.recast(type(plain), code=str(code))


def _error(reply: Reply) -> Mapping[str, Any]:
    try:
        body = reply.json()
    except ValueError:
        return {}
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

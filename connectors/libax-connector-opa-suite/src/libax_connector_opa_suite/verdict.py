"""What Opa's replies mean: its ``status`` decides, its words tell what is wrong with what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import libax_automate as ax
from libax_automate.http import ApiClient, Reply, UnreadableReply

_ATTENDED = re.compile(r"em atendimento", re.IGNORECASE)
_VALUES = re.compile(r"vari[aá]ve(?:l|is)|variable|par[aâ]metro", re.IGNORECASE)
_DAILY = re.compile(r"limite di[aá]rio|daily limit", re.IGNORECASE)
_SET_UP = re.compile(r"template|canal\b|channel|filter|filtro|\bfield\b", re.IGNORECASE)
_NUMBER = re.compile(r"canalCliente|n[uú]mero|telefone|phone|number|whatsapp id", re.IGNORECASE)


def judged(client: ApiClient, reply: Reply, *, safe: bool = False, bare: bool = False) -> None:
    """Raise the error that ``reply`` means; nothing if it is a success. ``bare`` lets a 2xx pass that has no ``status`` of its own."""
    if not 200 <= reply.status < 300:
        raise _refusal(client, reply, _body(reply), safe=safe)
    body = _body(reply)
    if body.get("status") == "success" or (bare and "status" not in body):
        return
    if "status" not in body and "error" not in body:
        if safe:
            raise ax.InputDataError("the reply is not one of Opa! Suite's", hint="is base_url its API?")
        raise ax.OutcomeUnknown(
            "Opa! Suite answered something that says neither yes nor no; it may have been accepted",
            hint="look there: automate errors sent if it has it, automate errors retry if it has not",
        )
    raise _refusal(client, reply, body, safe=safe)


def _refusal(client: ApiClient, reply: Reply, body: Mapping[str, Any], *, safe: bool) -> ax.ConnectorError:
    plain = client.refusal(reply, safe=safe)
    code, told = body.get("code"), " ".join(_words(body))
    status = reply.status
    if 200 <= status < 300:
        status = code if isinstance(code, int) and not isinstance(code, bool) else 400
    elif isinstance(plain, ax.RateLimited | ax.Transient | ax.OutcomeUnknown):
        return plain
    if status == 429:
        return plain.recast(ax.RateLimited)
    if status >= 500:
        return plain.recast(ax.Transient if safe else ax.OutcomeUnknown, hint="look at Opa! Suite whether it has it")
    if status == 401:
        return plain.recast(
            ax.AccountError, hint="Opa! Suite refuses the token: a newer one ends it; make one of an API user and set token"
        )
    if status == 403:
        return plain.recast(
            ax.AccountError, hint="the user's group may not do this, or not from this machine's address: look at the group in Opa! Suite"
        )
    if _ATTENDED.search(told):
        return plain.recast(
            ax.RecipientError,
            hint='somebody is attending to this contact: automate errors retry later, or in_attendance = "send" in the app',
        )
    if _DAILY.search(told):
        return plain.recast(ax.RateLimited, hint="the channel's limit for today is used up", retry_after=3600.0)
    if _VALUES.search(told):
        return plain.recast(
            ax.SetupError, hint="vars must be as many as the template's placeholders, in their order (IC-09); automate apps templates"
        )
    if _NUMBER.search(told):
        return plain.recast(ax.RecipientError, hint="correct the number: with country code, and in Brazil with the ninth digit")
    if status == 404 or _SET_UP.search(told):
        return plain.recast(ax.SetupError, hint="are channel and template there, and do they belong together (IB-05)?")
    return plain.recast(ax.ContentError) if 200 <= reply.status < 300 else plain


def _body(reply: Reply) -> Mapping[str, Any]:
    try:
        found = reply.json()
    except UnreadableReply:
        return {}
    return found if isinstance(found, Mapping) else {}


def _words(body: Mapping[str, Any]) -> Iterator[str]:
    data = body.get("data")
    for source in (body, data if isinstance(data, Mapping) else {}):
        for name in ("error", "message", "description"):
            if isinstance(text := source.get(name), str):
                yield text

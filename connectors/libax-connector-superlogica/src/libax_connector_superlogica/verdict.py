"""What Superlógica's replies mean: envelopes with a status of their own, one for each thing done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import libax_automate as ax
from libax_automate.http import ApiClient, Reply

_TOKEN = re.compile(r"app_token|access_token|client id|token inv[aá]lido|n[aã]o autorizado|unauthori[sz]ed", re.IGNORECASE)
_WHOM = re.compile(r"cliente n[aã]o|sacado|e-?mail inv[aá]lido|cpf|cnpj", re.IGNORECASE)
_DONE = frozenset({"200", "201"})


def judged(client: ApiClient, reply: Reply, *, safe: bool = False) -> None:
    """Raise the error that ``reply`` means; nothing if all of it was done. A read's 2xx passes that holds no envelope."""
    envelope = _envelope(reply)
    status = str(envelope.get("status", "")) if envelope is not None else ""
    told = str(envelope.get("msg") or "") if envelope is not None else ""
    if 200 <= reply.status < 300:
        if status in _DONE or (safe and not status):
            return
        if not status:
            raise ax.OutcomeUnknown(
                "Superlógica answered something that says neither yes nor no; it may have been done",
                hint="look there: automate errors sent if it has it, automate errors retry if it has not",
            )
    plain = client.refusal(reply, safe=safe)
    if _TOKEN.search(told):
        raise plain.recast(
            ax.AccountError, hint="Superlógica refuses app_token or access_token (a year is their life): make new ones", code=status
        )
    if not 200 <= reply.status < 300 and not (isinstance(plain, ax.ContentError) and told):
        raise plain
    if status == "429":
        raise plain.recast(ax.RateLimited, code=status)
    if status in {"401", "403"}:
        raise plain.recast(ax.AccountError, hint="Superlógica refuses app_token or access_token: make new ones", code=status)
    if status.startswith("5") and not told:
        raise plain.recast(ax.Transient if safe else ax.OutcomeUnknown, hint="look at Superlógica whether it has it", code=status)
    if _WHOM.search(told):
        raise plain.recast(ax.RecipientError, hint="correct the customer's data, or leave him out", code=status)
    raise plain.recast(ax.ContentError, hint="correct what the action sends", code=status)


def _envelope(reply: Reply) -> Mapping[str, Any] | None:
    """The envelope, of several the first that is no success; None where there is none."""
    try:
        body = reply.json()
    except ValueError:
        return None
    if isinstance(body, Mapping):
        return body
    rows = [row for row in body if isinstance(row, Mapping) and "status" in row and "msg" in row] if isinstance(body, list) else []
    return next((row for row in rows if str(row["status"]) not in _DONE), rows[0] if rows else None)

"""One call of a Bitrix24 method, a page of a list, a batch of pages; and what their errors mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from libax_automate.clock import wall_time
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    InputDataError,
    RateLimited,
    RecipientError,
    SetupError,
)
from libax_automate.http import ApiClient
from libax_automate.paging import rows_at
from libax_automate.reply import RETRY_AFTER_MAX, Reply

#: rows in a page, and calls in a batch, say the vendor's documents; neither can be changed
PAGE = 50
BATCH = 50

#: the window in which a method's operating time is counted; seconds
_WINDOW = 600.0
_RIGHTS = "in Bitrix24, under Developer resources, give the incoming webhook the rights crm and user"
_ACCOUNT = {
    "NO_AUTH_FOUND": "make the incoming webhook anew and write its address into the profile's secret",
    "INVALID_CREDENTIALS": "make the incoming webhook anew and write its address into the profile's secret",
    "expired_token": "make the incoming webhook anew and write its address into the profile's secret",
    "user_access_error": "the user who made the webhook must be active",
    "PORTAL_DELETED": "this Bitrix24 account no longer exists",
    "OVERLOAD_LIMIT": "Bitrix24 has blocked the account's REST API by hand: ask its support, then automate errors retry",
}
_MISSING = frozenset({"NOT_FOUND", "OWNER_NOT_FOUND"})
_PAGED = Callable[[Mapping[str, Any], int], Sequence[Any]]


def call(api: ApiClient, method: str, params: Mapping[str, Any], *, safe: bool = False) -> Reply:
    """Call ``method`` once; raises the class that its error means, HTTP 200 or not."""
    reply = api.post(f"{method}.json", json=params, classify=False, safe=safe)
    code, words = _error(reply)
    if 200 <= reply.status < 300 and not code:
        return reply
    error = _judged(api.refusal(reply, method, safe=safe), code, api.redacted(words), method, reply)
    if safe and isinstance(error, (RecipientError, ContentError)):
        # a read concerns no message: what is wrong is what the profile says of the entity
        raise SetupError(error.message, hint="check items and fields of the app: do that entityTypeId and those fields exist?")
    raise error


def items(api: ApiClient, type_id: int, chosen: Mapping[str, Any]) -> Iterator[Any]:
    """All items of a type that match the filter, by ascending id.

    A page counts what follows it; the rest comes in batches of 50 pages, each of which starts behind the last id of the page
    before it. So a hundred thousand items are forty requests, well within the burst that every account has, and an item that is
    deleted meanwhile moves no other out of sight, as it would between numbered pages.
    """
    last = 0
    while True:
        body = call(api, "crm.item.list", _listing(type_id, chosen, last, start=0), safe=True).data()
        rows = _page(body, last)
        yield from rows
        if len(rows) < PAGE:
            return
        last = _id(rows[-1])
        total = body.get("total")
        more = (total - 1) // PAGE if isinstance(total, int) else 0
        if not more:
            continue
        commands = {}
        behind = str(last)
        for number in range(min(more, BATCH)):
            commands[f"p{number}"] = "crm.item.list?" + _encoded(_listing(type_id, chosen, behind, start=-1))
            behind = f"$result[p{number}][items][{PAGE - 1}][id]"
        reply = call(api, "batch", {"halt": 1, "cmd": commands}, safe=True)
        for rows in _pages(api, reply, list(commands), last):
            yield from rows
            if len(rows) < PAGE:
                return
            last = _id(rows[-1])


def _pages(api: ApiClient, reply: Reply, names: Sequence[str], last: int) -> Iterator[list[Any]]:
    """The pages of a batch, up to the first that is not full: what comes behind it has nothing to start from."""
    body = reply.data()
    outer = body.get("result") if isinstance(body, Mapping) else None
    if not isinstance(outer, Mapping) or "result" not in outer:
        raise InputDataError("the reply to a batch holds no results", hint="is the webhook's address the whole one?")
    results, failures = outer["result"], outer.get("result_error")
    for number, name in enumerate(names):
        # PHP writes an empty map as []
        failure = failures.get(name) if isinstance(failures, Mapping) else None
        if isinstance(failure, Mapping):
            code, words = str(failure.get("error") or ""), str(failure.get("error_description") or "")
            raise _judged(api.refusal(reply, "batch", safe=True), code or "error", api.redacted(words), "batch", reply)
        found = results.get(name) if isinstance(results, Mapping) else results[number] if _has(results, number) else None
        rows = _page({"result": found}, last)
        yield rows
        if len(rows) < PAGE:
            return
        last = _id(rows[-1])


def _has(results: Any, number: int) -> bool:
    return isinstance(results, list) and number < len(results)


def _page(body: Any, last: int) -> list[Any]:
    rows = rows_at(body, "result", "items")
    known = [_id(row) for row in rows]
    if any(known) and min(filter(None, known)) <= last:
        raise InputDataError("crm.item.list answers the same page again and again", hint="it is theirs to mend: report it to the vendor")
    return rows


def _id(row: Any) -> int:
    found = row.get("id") if isinstance(row, Mapping) else None
    return int(str(found)) if str(found).isdecimal() else 0


def _listing(type_id: int, chosen: Mapping[str, Any], behind: int | str, *, start: int) -> dict[str, Any]:
    # the multi-field of e-mails and telephones comes only where nothing is selected
    return {"entityTypeId": type_id, "filter": {**chosen, ">id": behind}, "order": {"id": "ASC"}, "start": start}


def _encoded(value: Any, name: str = "") -> str:
    """``value`` as PHP reads a query: ``filter[@id][0]=7``."""
    pairs: Sequence[tuple[Any, Any]]
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    else:
        return f"{quote(name, safe='[]')}={quote(str(value), safe='$[]')}"
    return "&".join(_encoded(part, f"{name}[{key}]" if name else str(key)) for key, part in pairs)


def _error(reply: Reply) -> tuple[str, str]:
    """The error code and the words of a reply, both empty where it holds none; the vendor's own code may be empty or a number."""
    try:
        body = reply.json()
    except ValueError:
        return "", ""
    if not isinstance(body, Mapping) or "error" not in body:
        return "", ""
    words = str(body.get("error_description") or "")
    return str(body["error"] or "")[:60] or ("error" if words else ""), words


def _judged(told: ConnectorError, code: str, words: str, method: str, reply: Reply) -> ConnectorError:
    """The class for Bitrix24's own error code; what HTTP says where it has none."""
    shown = f"Bitrix24 {method}: {code}" + (f": {words[:200]}" if words else "")
    error: ConnectorError
    if code == "QUERY_LIMIT_EXCEEDED":
        error = RateLimited(shown, retry_after=told.retry_after)
    elif code == "OPERATION_TIME_LIMIT":
        error = RateLimited(shown, retry_after=told.retry_after if told.retry_after is not None else _until_reset(reply))
    elif code in _ACCOUNT:
        error = AccountError(shown, hint=_ACCOUNT[code])
    elif code == "insufficient_scope":
        error = SetupError(shown, hint=_RIGHTS)
    elif code == "ACCESS_DENIED" and reply.status == 403:
        error = AccountError(shown, hint="the REST API needs a commercial plan")
    elif code in _MISSING:
        error = RecipientError(shown, hint="is the record still there, and is its entity the right one?")
    elif code in {"ACCESS_DENIED", "ERROR_METHOD_NOT_FOUND", "ENTITY_TYPE_NOT_SUPPORTED", "allowed_only_intranet_user"}:
        error = SetupError(shown, hint="the webhook's user may not do this: check its rights in the CRM")
    elif code and reply.status < 500 and reply.status not in {401, 402, 403, 404, 429}:
        error = ContentError(shown)
    else:
        error = told
    error.code, error.status, error.body = code, told.status, told.body
    return error


def _until_reset(reply: Reply) -> float:
    """Seconds until the method's operating time is counted anew; the whole window where the reply does not tell."""
    try:
        reset = float(reply.json()["time"]["operating_reset_at"])
    except (ValueError, LookupError, TypeError):
        return _WINDOW
    return min(max(reset - wall_time().timestamp(), 1.0), RETRY_AFTER_MAX)

"""Members of an audience: the actions on one, and the list of many."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import libax_automate as ax
from libax_automate.http import Reply

#: kind -> what it does
ACTIONS: Mapping[str, str] = {
    "list-add": "puts the person on an audience, or writes his merge fields; list: its id, language, any other field a merge field (FNAME)",
    "list-remove": "archives the person in an audience; list: its id",
    "unsubscribe": "sets the person to unsubscribed in an audience; list: its id",
    "tag": "gives tags; tags: one or several with commas, list: the audience's id",
    "untag": "takes tags away; tags: one or several with commas, list: the audience's id",
    "move": "puts the person on one audience and archives him in another; from, to: their ids, any other field a merge field",
}
#: members of one call
LARGEST = 500
#: refused people that a receipt names
_NAMED = 5
_HASH = re.compile(r"[0-9a-f]{32}")
_LIST = re.compile(r"[0-9A-Za-z]{4,32}")
#: where a record that is about a person has him
_PERSON = ("customer", "contact", "partner")


def hashed(address: str) -> str:
    """How Mailchimp calls a member: the MD5 of the address in small letters."""
    return hashlib.md5(address.strip().lower().encode(), usedforsecurity=False).hexdigest()


def request(action: ax.Action, audience: str | None, status: str) -> tuple[str, str, Any]:
    """Method, path and body of ``action``; ``to`` is an e-mail address, or a member's hash where he is there already."""
    kind, fields = action.kind, dict(action.fields)
    if kind not in ACTIONS:
        raise ax.SetupError(f"mailchimp has no action {kind!r}", hint=f"it has: {', '.join(ACTIONS)}")
    to = action.to.strip()
    if "@" not in to and not (_HASH.fullmatch(to) and kind not in {"list-add", "move"}):
        raise ax.RecipientError(f"{to!r} is no e-mail address", hint="a member of Mailchimp is known by his e-mail address")
    member = to if _HASH.fullmatch(to) else hashed(to)
    if kind == "move":
        source, target = _audience(fields.pop("from", None), None), _audience(fields.pop("to", None), audience)
        operations = [
            {"method": "PUT", "path": f"/lists/{target}/members/{member}", "body": json.dumps(_body(to, fields, status), ensure_ascii=False)},
            {"method": "DELETE", "path": f"/lists/{source}/members/{member}"},
        ]  # fmt: skip
        return "POST", "batches", {"operations": operations}
    path = f"lists/{_audience(fields.pop('list', None), audience)}/members/{member}"
    if kind == "list-add":
        return "PUT", path, _body(to, fields, status)
    if kind == "list-remove":
        return "DELETE", path, None
    if kind == "unsubscribe":
        return "PATCH", path, {"status": "unsubscribed"}
    tags = _tags(fields.get("tags", fields.get("tag")))
    state = "active" if kind == "tag" else "inactive"
    return "POST", f"{path}/tags", {"tags": [{"name": tag, "status": state} for tag in tags]}


def _body(address: str, fields: dict[str, Any], status: str) -> dict[str, Any]:
    body: dict[str, Any] = {"email_address": address, "status_if_new": status}
    if language := fields.pop("language", None):
        body["language"] = str(language)
    if fields:
        body["merge_fields"] = {name.upper(): value for name, value in fields.items()}
    return body


def _audience(named: Any, default: str | None) -> str:
    found = str(named or default or "")
    if not _LIST.fullmatch(found):
        what = f"{found!r} is no audience's id" if found else "no audience is named"
        raise ax.SetupError(what, hint='write list = "a1b2c3d4e5" (move: from and to), or audience in the app')
    return found


def _tags(named: Any) -> list[str]:
    parts = [str(part).strip() for part in (named if isinstance(named, list | tuple) else str(named or "").split(","))]
    if not any(parts):
        raise ax.SetupError("no tag is named", hint='write tags = "vip, porto"')
    return [part for part in parts if part]


def listed(call: ax.Call, fields: Mapping[str, str], status: str) -> tuple[list[dict[str, Any]], int]:
    """A run's records as members, each address once, and how many had none. Raises ContentError for more than one call takes."""
    records = call.data.get("records")
    if not isinstance(records, list):
        raise ax.ContentError("the call holds no list of people", hint="mailchimp takes the list of a model's run: webhook = the app")
    if len(records) > LARGEST:
        raise ax.ContentError(f"{len(records)} people; Mailchimp takes {LARGEST} with one call")
    members: dict[str, dict[str, Any]] = {}
    without = 0
    for record in records:
        person = _person(record) if isinstance(record, Mapping) else {}
        address = person.get("email")
        if not isinstance(address, str) or "@" not in address:
            without += 1
            continue
        merged = {merge: _plain(person[name]) for name, merge in fields.items() if person.get(name) not in {None, ""}}
        members.setdefault(hashed(address), {"email_address": address, "status": status, **({"merge_fields": merged} if merged else {})})
    return list(members.values()), without


def _person(record: Mapping[str, Any]) -> Mapping[str, Any]:
    if record.get("email"):
        return record
    return next((record[name] for name in _PERSON if isinstance(record.get(name), Mapping)), record)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


def outcome(reply: Reply, count: int, without: int) -> str:
    """What became of a list, for people. Raises ContentError where everybody was refused; those already there are no refusal."""
    try:
        body = reply.json()
    except ValueError:
        body = None
    errors = body.get("errors") if isinstance(body, Mapping) else None
    rows = [row for row in (errors if isinstance(errors, list) else []) if isinstance(row, Mapping)]
    refused = [row for row in rows if row.get("error_code") != "ERROR_CONTACT_EXISTS"]
    named = "; ".join(f"{row.get('email_address')}: {str(row.get('error'))[:80]}" for row in refused[:_NAMED])
    if refused and len(refused) >= count:
        raise ax.ContentError(f"Mailchimp refuses everybody: {named}", hint="does the audience have required merge fields?")
    words = [f"{count - len(rows)} of {count} written"]
    if len(rows) > len(refused):
        words.append(f"{len(rows) - len(refused)} were there already")
    if without:
        words.append(f"{without} without e-mail")
    if refused:
        words.append(f"{len(refused)} refused ({named}{' …' if len(refused) > _NAMED else ''})")
    return ", ".join(words)

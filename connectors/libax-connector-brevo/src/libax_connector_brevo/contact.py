"""What models can do with Brevo's contacts: each action is one request, and doing it twice changes nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import libax_automate as ax

ACTIONS: Mapping[str, str] = {
    "contact-update": "writes the other fields as attributes of the contact, made if new; their names as in Brevo (FIRSTNAME)",
    "list-add": "puts the contact, made if new, on a list; list: its number, or several with commas",
    "list-remove": "takes the contact off a list; list: its number, or several with commas",
}


def request(action: ax.Action) -> tuple[str, str, dict[str, Any]]:
    """Method, path and body of ``action``; ``to`` is an e-mail address, a mobile number (+351…) or Brevo's number of the contact."""
    kind, fields = action.kind, dict(action.fields)
    if kind not in ACTIONS:
        raise ax.SetupError(f"brevo has no action {kind!r}", hint=f"it has: {', '.join(ACTIONS)}")
    if not action.to:
        raise ax.RecipientError("nobody is named", hint="the contact needs an e-mail address, a mobile or a number in Brevo")
    if kind == "list-remove":
        return "PUT", _path(action.to), {"unlinkListIds": _lists(fields)}
    body: dict[str, Any] = {}
    if kind == "list-add":
        body["listIds"] = _lists(fields)
    else:
        body["attributes"] = {name.upper(): value for name, value in fields.items()}
    if action.to.isdecimal():
        return "PUT", _path(action.to), body
    if action.to.startswith("+"):
        body["attributes"] = {**body.get("attributes", {}), "SMS": action.to}
    else:
        body["email"] = action.to
    return "POST", "/contacts", {**body, "updateEnabled": True}


def _path(to: str) -> str:
    return f"/contacts/{quote(to, safe='@')}"


def _lists(fields: Mapping[str, Any]) -> list[int]:
    named = fields.get("list", fields.get("lists"))
    parts = [str(part).strip() for part in (named if isinstance(named, list | tuple) else str(named or "").split(","))]
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        raise ax.SetupError(f"a list of Brevo has a number, not {named!r}", hint='write list = "7", the # beside the list in Brevo')
    return [int(part) for part in parts]

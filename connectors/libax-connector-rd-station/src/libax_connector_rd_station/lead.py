"""Actions on a lead as RD Station's requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import libax_automate as ax

#: kind -> what it does
ACTIONS: Mapping[str, str] = {
    "conversion": "tells a conversion; identifier: its name (PR-35), tags, consent = true, any other field of the contact (name, cf_…)",
    "contact": "writes fields of the contact without a conversion: name, mobile_phone, job_title, cf_…",
    "stage": "sets the funnel: stage = lead, qualified or client (PR-36), opportunity = true or false (PR-37), owner = an e-mail (PR-38)",
    "opportunity": "marks as an opportunity (PR-37); funnel: its name, default where none is given",
    "sale": "tells a sale; value: the amount, for the return on investment (PR-37); funnel",
    "lost": "tells a lost opportunity; reason, funnel",
    "tag": "adds tags, named here anew (PR-39); tags: one or several with commas",
}
#: words for the three stages, as RD and PipeRun write them -> RD's
_STAGES = {
    "lead": "Lead",
    "qualified": "Qualified Lead",
    "qualified lead": "Qualified Lead",
    "lead qualificado": "Qualified Lead",
    "client": "Client",
    "cliente": "Client",
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_YES, _NO = frozenset({"true", "yes", "sim", "1"}), frozenset({"false", "no", "não", "nao", "0"})


@dataclass(frozen=True, slots=True)
class Request:
    """One call: ``counted`` names the daily limit it falls under."""

    method: str
    path: str
    body: Mapping[str, Any]
    query: Mapping[str, str] | None = None
    counted: str = ""


def request(action: ax.Action, conversion: str | None) -> Request:
    """The call that does ``action``; raises before anything leaves what can be known to be wrong."""
    kind, fields = action.kind, dict(action.fields)
    if kind not in ACTIONS:
        raise ax.SetupError(f"rd-station has no action {kind!r}", hint=f"it has: {', '.join(ACTIONS)}")
    to = action.to.strip()
    by_uuid = _UUID.fullmatch(to) is not None
    if "@" not in to and not by_uuid:
        raise ax.RecipientError(f"{to!r} is neither an e-mail address nor RD's uuid", hint="a lead is known by his e-mail address")
    where = "/platform/contacts/" + (to if by_uuid else f"email:{quote(to, safe='@')}")
    if kind == "contact":
        # the identifier must not be repeated among the fields
        body = {name: _value(name, value) for name, value in fields.items() if by_uuid or name != "email"}
        return Request("PATCH", where, body, counted="changes")
    if kind == "stage":
        return Request("PUT", f"{where}/funnels/default", _funnel(fields))
    if kind == "tag":
        return Request("POST", f"{where}/tag", {"tags": _tags(fields.get("tags"))})
    if by_uuid:
        raise ax.RecipientError(f"{kind} wants an e-mail address, not a uuid", hint="RD Station's events know a lead by his e-mail address")
    if kind == "conversion":
        return _event("CONVERSION", _converted(to, fields, conversion), counted="conversions")
    payload: dict[str, Any] = {"email": to, "funnel_name": str(fields.get("funnel") or "default")}
    if kind == "sale" and fields.get("value") is not None:
        payload["value"] = _amount(fields["value"])
    if kind == "lost" and fields.get("reason"):
        payload["reason"] = str(fields["reason"])
    return _event({"opportunity": "OPPORTUNITY", "sale": "SALE", "lost": "OPPORTUNITY_LOST"}[kind], payload)


def _event(name: str, payload: Mapping[str, Any], counted: str = "") -> Request:
    body = {"event_type": name, "event_family": "CDP", "payload": payload}
    return Request("POST", "/platform/events", body, {"event_type": name.lower()}, counted)


def _converted(to: str, fields: dict[str, Any], conversion: str | None) -> dict[str, Any]:
    identifier = str(fields.pop("identifier", None) or conversion or "")
    if not identifier:
        raise ax.SetupError("the conversion has no identifier", hint='write identifier = "…" in the action, or conversion in the app')
    consent = fields.pop("consent", None)
    payload: dict[str, Any] = {"conversion_identifier": identifier, "email": to}
    payload |= {name: _value(name, value) for name, value in fields.items() if name != "email"}
    if consent is not None and _flag("consent", consent):
        payload["legal_bases"] = [{"category": "communications", "type": "consent", "status": "granted"}]
    return payload


def _funnel(fields: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if stage := fields.get("stage"):
        if (known := _STAGES.get(str(stage).strip().casefold())) is None:
            raise ax.SetupError(f"RD Station has no funnel stage {stage!r}", hint="it has lead, qualified and client")
        body["lifecycle_stage"] = known
    if (marked := fields.get("opportunity")) is not None:
        body["opportunity"] = _flag("opportunity", marked)
    if owner := fields.get("owner"):
        if "@" not in str(owner):
            raise ax.SetupError(f"the owner {owner!r} is no e-mail address", hint="RD Station knows its users by e-mail (PR-38)")
        body["contact_owner_email"] = str(owner)
    if not body:
        raise ax.SetupError("nothing says what to set", hint="give stage, opportunity or owner")
    return body


def _value(name: str, value: Any) -> Any:
    return _tags(value) if name == "tags" else value


def _tags(named: Any) -> list[str]:
    parts = [str(part).strip() for part in (named if isinstance(named, list | tuple) else str(named or "").split(","))]
    if not any(parts):
        raise ax.SetupError("no tag is named", hint='write tags = "vip, porto" (PR-39)')
    return [part for part in parts if part]


def _amount(value: Any) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise ax.SetupError(f"the value {value!r} is no number", hint="write 1234.56") from None


def _flag(name: str, value: Any) -> bool:
    word = str(value).strip().casefold()
    if word not in _YES | _NO:
        raise ax.SetupError(f"{name} is {value!r}", hint="write true or false")
    return word in _YES

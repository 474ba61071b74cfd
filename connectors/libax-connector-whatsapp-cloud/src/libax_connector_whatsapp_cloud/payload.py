"""Messages as Meta's requests, and its templates as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import libax_automate as ax

#: characters of a text
TEXT_LENGTH = 4096
_VALUES = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


def message(text: ax.Text, language: str) -> dict[str, Any]:
    """One message; our id and key go with it, and Meta's webhooks repeat them."""
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": text.to,
        "biz_opaque_callback_data": f"{text.id} {text.key}".strip(),
    }
    if text.template:
        return {**body, "type": "template", "template": _filled(text, language)}
    if len(text.text) > TEXT_LENGTH:
        raise ax.ContentError(f"a text of {len(text.text)} characters; WhatsApp takes {TEXT_LENGTH}", hint="write less")
    return {**body, "type": "text", "text": {"body": text.text, "preview_url": bool(text.extra.get("preview_url"))}}


def _filled(text: ax.Text, language: str) -> dict[str, Any]:
    if text.vars and text.params:
        raise ax.SetupError("a template has values in order or by name, not both", hint="write vars or params")
    values = [{"type": "text", "text": value} for value in text.vars]
    values += [{"type": "text", "parameter_name": name, "text": value} for name, value in text.params.items()]
    components: list[Any] = [{"type": "body", "parameters": values}] if values else []
    more = text.extra.get("components", [])
    if not isinstance(more, list | tuple):
        raise ax.SetupError("extra.components is no list", hint="write the header and buttons as Meta documents them, in a list")
    template: dict[str, Any] = {"name": text.template, "language": {"policy": "deterministic", "code": language}}
    return {**template, "components": [*more, *components]} if more or components else template


def template(row: Mapping[str, Any]) -> ax.Template:
    """A template in one language. Its values are those of the body: by number, or as they first occur where they have names."""
    parts = row.get("components")
    body = next(
        (
            str(part.get("text") or "")
            for part in (parts if isinstance(parts, list) else [])
            if isinstance(part, Mapping) and str(part.get("type")).upper() == "BODY"
        ),
        None,
    )
    values: tuple[str, ...] | None = None
    if body is not None:
        values = tuple(dict.fromkeys(_VALUES.findall(body)))
        if all(value.isdecimal() for value in values):
            values = tuple(sorted(values, key=int))
    name = str(row["name"])
    active = str(row.get("status") or "").upper() == "APPROVED"
    return ax.Template(name, name, active, ax.Channel.WHATSAPP, text=body or "", language=str(row.get("language") or ""), variables=values)

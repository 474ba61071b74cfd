"""``automate connectors``: what can be connected, with which options, and how to get the credentials (LX-08, LX-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.errors import NotFound, PluginError

if TYPE_CHECKING:
    from libax_automate.connector import Connector
    from libax_automate.options import Options

app = noun()


@command(app, "list")
def list_(session: Session) -> None:
    """Show every installed connector and what it can do."""
    from libax_automate.plugins.catalogue import default_catalogue

    items = []
    for entry in default_catalogue().entries():
        if entry.kind == "model":
            continue
        cls = entry.cls
        items.append(
            {
                "name": entry.name, "title": cls.title if cls else "", "capabilities": sorted(cls.capabilities) if cls else [],
                "package": entry.package, "state": "ok" if cls else "broken", "error": entry.error, **(features(cls) if cls else {}),
            }
        )  # fmt: skip
    columns = [Column("name"), *(Column(key, show=_few) for key in FEATURES), Column("title")]
    broken = any(item["error"] for item in items)
    session.out.items(items, [*columns, Column("package"), Column("state"), Column("error")] if broken else [*columns, Column("package")])


#: the columns of the feature matrix
FEATURES = ("channels", "entities", "actions", "templates", "batch", "key", "lookup", "balance", "references")


def features(cls: type[Connector[Any]]) -> dict[str, Any]:
    """What a connector can do, in the columns of the feature matrix (``docs/connectors.md``); "" where it cannot."""
    from libax_automate.connector import CHANNELS, Capability, Source

    able = cls.capabilities
    ttl = cls.idempotency_ttl
    return {
        "channels": [
            str(channel) for capability, channel in CHANNELS.items() if capability in able and capability is not Capability.ACTIONS
        ],
        "entities": _entities(cls) if issubclass(cls, Source) else [],
        "actions": sorted(getattr(cls, "actions", {})),
        "templates": "yes" if Capability.TEMPLATES in able else "",
        "batch": str(getattr(cls, "batch_size", 1)) if Capability.BATCH in able else "",
        "key": (_span(ttl.total_seconds()) if ttl else "as set") if Capability.IDEMPOTENCY_KEY in able else "",
        "lookup": "yes" if Capability.LOOKUP in able else "",
        "balance": "yes" if Capability.BALANCE in able else "",
        "references": "yes" if Capability.REFERENCES in able else "",
    }


def _entities(cls: Any) -> list[str]:
    """The entities of a source; where its options decide them, a word that says so."""
    try:
        return list(cls.entities(object.__new__(cls)))
    except (AttributeError, TypeError):
        return ["as configured"]


def _few(value: Any) -> str:
    """A list that fits a table: its first three, and how many more there are."""
    if not isinstance(value, list):
        return str(value or "")
    return ", ".join(value[:3]) + (f" +{len(value) - 3}" if len(value) > 3 else "")


def _span(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:g} h" if seconds < 100 * 3600 else f"{seconds / 86400:g} d"


@command(app)
def show(session: Session, name: Annotated[str, typer.Argument(metavar="CONNECTOR")]) -> None:
    """Show a connector's options, capabilities, limits, and how to get its credentials."""
    from libax_automate.plugins.catalogue import default_catalogue

    if name not in {entry.name for entry in default_catalogue().entries()}:
        try:
            default_catalogue().connector(name)
        except PluginError as error:
            # asked for by a person, not by a profile: nothing is broken
            raise NotFound(error.message, hint=error.hint) from None
    cls = default_catalogue().connector(name)
    entry = next(entry for entry in default_catalogue().entries() if entry.name == name)
    facts = {
        "name": name, "title": cls.title, "package": entry.package, "capabilities": sorted(cls.capabilities), **_facts(cls),
        "options": options_of(cls.options_type), "credentials": cls.credentials, "limits": cls.limits, "verified": cls.verified,
        "unverified": list(cls.unverified),
        "actions": dict(getattr(cls, "actions", {})),
    }  # fmt: skip
    out = session.out
    if out.json:
        out.object(facts)
        return
    out.fact(
        {key: value for key, value in facts.items() if key not in {"options", "credentials", "limits", "verified", "unverified", "actions"}}
    )
    out.line()
    out.table(facts["options"], OPTION_COLUMNS)
    for title, text in (("Actions", "\n".join(f"{kind}: {what}" for kind, what in facts["actions"].items())), ("Limits", cls.limits)):
        if text:
            out.line(f"\n{title}\n{text.strip()}")
    out.line(f"\nCredentials\n{cls.credentials.strip() or 'This connector needs none.'}")
    if cls.verified:
        out.line(f"\nVerified\n{cls.verified}")
    if cls.unverified:
        out.line("\nNot verified\n" + "\n".join(f"- {fact}" for fact in cls.unverified))


def _facts(cls: type[Connector[Any]]) -> dict[str, Any]:
    ttl = cls.idempotency_ttl
    return {
        "rate": cls.default_rate,
        "concurrency": cls.default_concurrency,
        "window": max(cls.default_window or 4 * cls.default_concurrency, getattr(cls, "batch_size", 1)),
        "idempotency_hours": ttl.total_seconds() / 3600 if ttl else None,
    }


OPTION_COLUMNS = (Column("option"), Column("type"), Column("default"), Column("description"))


def options_of(options: type[Options]) -> list[dict[str, Any]]:
    """The options of a plugin with type, default and description."""
    from libax_automate.options import is_secret

    rows = []
    for name, info in options.model_fields.items():
        default = "required" if info.is_required() else info.get_default(call_default_factory=True)
        rows.append(
            {
                "option": info.alias or name,
                "type": "secret" if is_secret(info) else _type(info.annotation),
                "required": info.is_required(),
                "default": default if default is None or isinstance(default, str | int | float | bool) else str(default),
                "description": info.description or "",
            }
        )  # fmt: skip
    return rows


def _type(annotation: Any) -> str:
    """A type in words that fit a table."""
    import typing

    if annotation is type(None):
        return ""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin is dict or (origin is not None and "Mapping" in str(origin)):
        return "table"
    if origin in (list, tuple, set, frozenset):
        return "list"
    if origin is not None:
        return " | ".join(dict.fromkeys(text for text in map(_type, arguments) if text))
    names = {"str": "text", "int": "number", "float": "number", "bool": "true | false", "Path": "path"}
    name = getattr(annotation, "__name__", str(annotation))
    members = getattr(annotation, "__members__", None)
    return " | ".join(str(member.value) for member in members.values()) if members else names.get(name, name.lower())

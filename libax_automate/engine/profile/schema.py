"""JSON Schema of a profile, made from the installed plugins' options, so that an editor completes and checks it while it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from libax_automate.engine.profile.keys import NAME, AppKeys, DefaultsKeys, ModelKeys, ProfileKeys, StepKeys, TactKeys
from libax_automate.engine.profile.secrets import KINDS
from libax_automate.errors import AutomateError

_KINDS = {
    "env": "An environment variable.",
    "file": "A file, relative to the profile.",
    "credential": "A systemd credential (LoadCredential=).",
    "keyring": 'An entry of the system\'s keyring: "service/user".',
}
_REFERENCE = {"$ref": "#/$defs/reference"}
#: what stays beside the alternatives when a value may be a reference too
_NOTES = ("title", "description", "default", "examples", "deprecated")


class Installed(Protocol):
    """What is installed: :class:`libax_automate.plugins.catalogue.Catalogue`."""

    def connector(self, name: str) -> type[Any]:
        """The connector class called ``name``."""

    def model(self, name: str) -> type[Any]:
        """The model class called ``name``."""

    def names(self, kind: Literal["connector", "model"]) -> Iterable[str]:
        """The names of all usable plugins of ``kind``."""


def profile_schema(catalogue: Installed) -> dict[str, Any]:
    """The JSON Schema of a profile that uses the plugins of ``catalogue``; broken ones are left out.

    It is 2020-12, in words that draft-07 knows too, since editors still do.
    It accepts what :func:`load_profiles` accepts, save what only several keys together can get wrong.
    """
    definitions: dict[str, Any] = {
        "reference": {
            "title": "A value that lives elsewhere",
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {kind: {"type": "string", "description": _KINDS[kind]} for kind in KINDS},
        }
    }
    top = _table(ProfileKeys, "profile", definitions)
    step = _table(StepKeys, "step", definitions)
    # a recipe's own keys of a step are known to the recipe alone
    step |= {"additionalProperties": True, "anyOf": [{"required": ["stage"]}, {"required": ["name"]}]}
    definitions["step"] = step
    steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "description": "Rungs of the ladder, in order."}
    definitions["tact"] = _table(TactKeys, "tact", definitions)
    connectors = {name: cls for name in catalogue.names("connector") if (cls := _usable(catalogue.connector, name))}
    models = {name: cls for name in catalogue.names("model") if (cls := _usable(catalogue.model, name))}
    ladders = {name: {"steps": {**steps, "items": _rung(name, cls, step, definitions)}} for name, cls in models.items() if cls.step_type}
    definitions["app"] = _choice("connector", AppKeys, connectors, {}, definitions)
    definitions["model"] = _choice("use", ModelKeys, models, {"steps": steps}, definitions, each=ladders)
    top["properties"] |= {
        "defaults": {**_table(DefaultsKeys, "defaults", definitions), "description": "What holds for every model."},
        "apps": _named("app", "Configured connectors."),
        "models": _named("model", "Automations: a recipe, when, for whom, what."),
        "tact": {"type": "array", "items": {"$ref": "#/$defs/tact"}, "description": "What is not said to a person in a certain situation."},
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "title": "Libax Automate profile", "$defs": definitions}


def _usable(find: Any, name: str) -> type[Any] | None:
    try:
        found: type[Any] = find(name)
    except AutomateError:
        return None
    return found


def _named(kind: str, description: str) -> dict[str, Any]:
    reference = {"$ref": f"#/$defs/{kind}"}
    return {"type": "object", "description": description, "propertyNames": {"pattern": NAME}, "additionalProperties": reference}


def _rung(name: str, cls: type[Any], step: Mapping[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A step of a recipe that says which keys its steps take."""
    own = _table(cls.step_type, f"step-{name}", definitions)
    definitions[f"step-{name}"] = {
        **step,
        "properties": {**own["properties"], **step["properties"]},
        "required": sorted(own.get("required", ())),
        "additionalProperties": own.get("additionalProperties", False),
    }
    return {"$ref": f"#/$defs/step-{name}"}


def _choice(
    key: str,
    shared: type[BaseModel],
    plugins: Mapping[str, type[Any]],
    more: Mapping[str, Any],
    definitions: dict[str, Any],
    *,
    each: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """A table whose ``key`` names a plugin, and whose other keys follow from that; ``each`` holds what one plugin alone has."""
    common = _table(shared, key, definitions)
    naming = {**common["properties"][key], "enum": sorted(plugins)}
    naming.pop("anyOf", None)
    branches = []
    for name, cls in sorted(plugins.items()):
        own = _table(cls.options_type, f"{key}-{name}", definitions)
        definitions[f"{key}-{name}"] = {
            "title": cls.title or name,
            "type": "object",
            "properties": {
                **own["properties"],
                **common["properties"],
                **more,
                **(each or {}).get(name, {}),
                key: {**naming, "const": name},
            },
            "required": sorted({*own.get("required", ()), key}),
            "additionalProperties": own.get("additionalProperties", False),
        }
        known = {"properties": {key: {"const": name}}, "required": [key]}
        branches.append({"if": known, "then": {"$ref": f"#/$defs/{key}-{name}"}})
    table: dict[str, Any] = {"type": "object", "properties": {key: naming}, "required": [key]}
    return table | ({"allOf": branches} if branches else {})


def _table(cls: type[BaseModel], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one class, its own definitions moved to ``definitions`` under ``prefix``, references allowed where values stand."""
    schema = cls.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}.{{model}}", schema_generator=_Generator)
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _inside(definition, definitions)
    schema.setdefault("properties", {})
    schema.pop("title", None)
    schema.pop("description", None)
    return _inside(schema, definitions)


def _inside(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` of a table with references allowed for every value in it."""
    if "properties" in schema:
        schema["properties"] = {name: _open(value, name, definitions) for name, value in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = _open(schema["additionalProperties"], "", definitions)
    return schema


def _open(schema: dict[str, Any], name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A value's schema that lets a reference stand for the value."""
    notes = {key: schema[key] for key in _NOTES if key in schema}
    if notes.get("title") == name.replace("_", " ").title():
        del notes["title"]
    if notes.get("default", ...) is None:
        del notes["default"]
    rest = {key: value for key, value in schema.items() if key not in _NOTES}
    if _is_table(rest, definitions):
        return {**_inside(rest, definitions), **notes}
    if rest.get("type") == "array" and isinstance(rest.get("items"), dict):
        rest["items"] = _open(rest["items"], "", definitions)
    # TOML has no null: an optional key is left out
    ways = [way for way in rest.get("anyOf", [rest]) if way != {"type": "null"}]
    if any(_is_table(way, definitions) for way in ways):
        return {"anyOf": [_inside(dict(way), definitions) for way in ways], **notes}
    if ways == [{}]:
        return notes
    return {"anyOf": [*ways, _REFERENCE], **notes}


def _is_table(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> bool:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return bool(definitions.get(reference.rpartition("/")[2], {}).get("type", "object") == "object")
    return schema.get("type") == "object"


class _Generator(GenerateJsonSchema):
    """Options may have types that JSON cannot describe: any value is then allowed, and loading decides."""

    def handle_invalid_for_json_schema(self, schema: core_schema.CoreSchema, error_info: str) -> JsonSchemaValue:  # noqa: ARG002
        return {}

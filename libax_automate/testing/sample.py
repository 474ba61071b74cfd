"""A value that a JSON schema allows, the same on every call: the document's own examples first, made up where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Resolve = Callable[[Any], Any]

#: optional parts are left out below this depth, and a required part that contains itself becomes null
_DEPTH = 6

_FORMATS = {
    "date": "2026-12-24",
    "date-time": "2026-12-24T09:30:00Z",
    "time": "09:30:00Z",
    "email": "ana@example.com",
    "idn-email": "ana@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "5f0c2a64-3f0e-4d0b-9f0a-1c2d3e4f5a6b",
    "byte": "bGliYXg=",
    "password": "example",
}

_TYPES: Mapping[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def sample(schema: Any, resolve: Resolve, depth: int = 0) -> Any:
    """A value for ``schema``; ``resolve`` follows a ``$ref``."""
    schema = resolve(schema)
    if not isinstance(schema, Mapping):
        return {}
    for key in ("example", "const", "default"):
        if schema.get(key) is not None and _fits(schema, schema[key]):
            return schema[key]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return schema["examples"][0]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("oneOf", "anyOf"):
        if schema.get(key):
            rest = {name: value for name, value in schema.items() if name not in {key, "discriminator"}}
            value = sample(_merged([rest, schema[key][0]], resolve), resolve, depth)
            if isinstance(value, dict) and isinstance(schema.get("discriminator"), Mapping):
                value[schema["discriminator"]["propertyName"]] = _chosen(schema["discriminator"], schema[key][0])
            return value
    if schema.get("allOf"):
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        return sample(_merged([rest, *schema["allOf"]], resolve), resolve, depth)
    return _of_type(schema, resolve, depth)


def _fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether an example is of the type it is an example of; published documents often have it wrong."""
    types = schema.get("type", ())
    wanted = [types] if isinstance(types, str) else list(types)
    if isinstance(value, bool):  # which Python takes for a number, and JSON does not
        return not wanted or "boolean" in wanted
    return not wanted or any(isinstance(value, _TYPES.get(name, object)) for name in wanted)


def _of_type(schema: Mapping[str, Any], resolve: Resolve, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, resolve, depth)
    if kind == "array":
        count = max(int(schema.get("minItems", 0)), 1 if depth < _DEPTH else 0)
        return [sample(schema.get("items", {}), resolve, depth + 1) for _ in range(min(count, 100))]
    if kind in {"integer", "number"}:
        return _number(schema, kind)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    if kind == "string":
        return _text(schema)
    return {}


def _object(schema: Mapping[str, Any], resolve: Resolve, depth: int) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    if depth > 4 * _DEPTH:
        return {}
    return {
        name: sample(part, resolve, depth + 1)
        for name, part in schema.get("properties", {}).items()
        if name in required or (depth < _DEPTH and not dict(resolve(part) or {}).get("writeOnly"))
    }


def _chosen(discriminator: Mapping[str, Any], branch: Any) -> str:
    """The word by which a discriminator says that ``branch`` is meant."""
    reference = str(branch.get("$ref", "")) if isinstance(branch, Mapping) else ""
    for word, target in discriminator.get("mapping", {}).items():
        if target in {reference, reference.rsplit("/", 1)[-1]}:
            return str(word)
    return reference.rsplit("/", 1)[-1]


def _number(schema: Mapping[str, Any], kind: str) -> float | int:
    low = schema.get("minimum", 1)
    # 3.0 writes ``exclusiveMinimum: true`` beside a minimum, 3.1 writes the number itself
    exclusive = schema.get("exclusiveMinimum")
    if exclusive is True:
        low += 1
    elif isinstance(exclusive, int | float) and exclusive is not False:
        low = max(low, exclusive + 1)
    high = schema.get("maximum")
    value = low if high is None else min(low, high)
    if step := schema.get("multipleOf"):
        value = -(-value // step) * step
    return int(value) if kind == "integer" else value


def _text(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), "example")
    if pattern := schema.get("pattern"):
        from libax_automate.testing.pattern import matching

        return matching(pattern) or text
    short, long = int(schema.get("minLength", 0)), schema.get("maxLength")
    text = text.ljust(short, "x") if short <= 10_000 else text
    return text[: int(long)] if long is not None else text


def _merged(parts: list[Any], resolve: Resolve) -> dict[str, Any]:
    """What all ``parts`` say together, enough to write a value: properties and required names add up, nested ``allOf`` included."""
    whole: dict[str, Any] = {}
    for part in map(resolve, parts):
        if not isinstance(part, Mapping):
            continue
        flat = _merged([{k: v for k, v in part.items() if k != "allOf"}, *part["allOf"]], resolve) if part.get("allOf") else part
        properties = {**whole.get("properties", {}), **flat.get("properties", {})}
        required = [*whole.get("required", ()), *flat.get("required", ())]
        whole |= flat
        if properties:
            whole["properties"] = properties
        if required:
            whole["required"] = required
    return whole

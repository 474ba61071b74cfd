"""Swagger 2.0 read as OpenAPI 3.0: what a request or reply looks like stays the same, only its place in the document moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from libax_automate.testing.openapi import METHODS

#: keys of a Swagger parameter or header that OpenAPI 3 keeps in its schema
_SCHEMA_KEYS = (
    *("type", "format", "items", "default", "enum", "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_MOVED = {"#/definitions/": "#/components/schemas/", "#/responses/": "#/components/responses/", "#/parameters/": "#/components/parameters/"}


def as_openapi(swagger: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI 3.0 document that says what ``swagger`` says (Swagger 2.0 specification; "Migrating from 2.0" of OpenAPI 3.0)."""
    text = json.dumps(swagger)
    for old, new in _MOVED.items():
        text = text.replace(f'"$ref": "{old}', f'"$ref": "{new}')
    old = json.loads(text)
    shared = {name: parameter for name, parameter in old.get("parameters", {}).items() if isinstance(parameter, Mapping)}
    host = f"https://{old['host']}" if old.get("host") else ""
    return {
        "openapi": "3.0.3",
        "info": old.get("info", {}),
        "servers": [{"url": host + (old.get("basePath", "").rstrip("/") or ("" if host else "/"))}],
        "security": old.get("security", []),
        "components": {
            "schemas": {name: _schema(schema) for name, schema in old.get("definitions", {}).items()},
            "parameters": {name: _parameter(p) for name, p in shared.items() if p.get("in") not in {"body", "formData"}},
            "responses": {name: _response(r, old.get("produces", [])) for name, r in old.get("responses", {}).items()},
            "securitySchemes": {name: _security(scheme) for name, scheme in old.get("securityDefinitions", {}).items()},
        },
        "paths": {path: _path_item(item, old, shared) for path, item in old.get("paths", {}).items()},
    }


def _path_item(item: Mapping[str, Any], old: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    common = [_deref(parameter, shared) for parameter in item.get("parameters", ())]
    return {method: _operation(item[method], old, common, shared) for method in METHODS if method in item}


def _operation(spec: Mapping[str, Any], old: Mapping[str, Any], common: list[Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    own = [_deref(parameter, shared) for parameter in spec.get("parameters", ())]
    parameters = list({(p["name"], p["in"]): p for p in (*common, *own)}.values())
    consumes = spec.get("consumes", old.get("consumes", ["application/json"]))
    produces = spec.get("produces", old.get("produces", ["application/json"]))
    new = {key: value for key, value in spec.items() if key in {"operationId", "summary", "description", "security", "tags", "deprecated"}}
    new["parameters"] = [_parameter(p) for p in parameters if p["in"] not in {"body", "formData"}]
    new["responses"] = {status: _response(response, produces) for status, response in spec.get("responses", {}).items()}
    for body in (p for p in parameters if p["in"] == "body"):
        media = {"schema": _schema(body.get("schema", {}))}
        new["requestBody"] = {"required": body.get("required", False), "content": dict.fromkeys(consumes or ["application/json"], media)}
    if form := [p for p in parameters if p["in"] == "formData"]:
        schema = {
            "type": "object",
            "properties": {p["name"]: _schema({key: p[key] for key in _SCHEMA_KEYS if key in p}) for p in form},
            "required": [p["name"] for p in form if p.get("required")],
        }
        if not schema["required"]:
            del schema["required"]
        kinds = [kind for kind in consumes if kind in _FORMS] or [_FORMS[any(p.get("type") == "file" for p in form)]]
        new["requestBody"] = {"required": "required" in schema, "content": {kind: {"schema": schema} for kind in kinds}}
    return new


def _deref(parameter: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = shared[parameter["$ref"].rsplit("/", 1)[1]] if "$ref" in parameter else parameter
    return found


def _parameter(old: Mapping[str, Any]) -> dict[str, Any]:
    new = {key: value for key, value in old.items() if key in {"name", "in", "description", "allowEmptyValue"}}
    new["required"] = True if old.get("in") == "path" else old.get("required", False)
    new["schema"] = _schema({key: old[key] for key in _SCHEMA_KEYS if key in old})
    if old.get("type") == "array":
        if old.get("collectionFormat") == "multi":
            new |= {"style": "form", "explode": True}
        elif old.get("in") == "query":
            new |= {
                "style": {"ssv": "spaceDelimited", "pipes": "pipeDelimited"}.get(old.get("collectionFormat", ""), "form"),
                "explode": False,
            }
    return new


def _response(old: Mapping[str, Any], produces: list[str]) -> dict[str, Any]:
    if "$ref" in old:
        return dict(old)
    examples = old.get("examples", {})
    kinds = list(examples) or produces or ["application/json"]
    new: dict[str, Any] = {"description": old.get("description", "")}
    if "schema" in old or examples:
        new["content"] = {kind: {"schema": _schema(old.get("schema", {}))} for kind in kinds}
        for kind, example in examples.items():
            new["content"][kind]["example"] = example
    return new


def _schema(old: Any) -> Any:
    """A schema with the words that changed: ``file``, ``x-nullable``, a discriminator that was a string."""
    if isinstance(old, list):
        return [_schema(part) for part in old]
    if not isinstance(old, Mapping):
        return old
    new = {key: value if key in {"example", "default", "enum"} else _schema(value) for key, value in old.items()}
    if new.get("type") == "file":
        new |= {"type": "string", "format": "binary"}
    if new.get("x-nullable") is True:
        new["nullable"] = True
    if isinstance(new.get("discriminator"), str):
        new["discriminator"] = {"propertyName": new["discriminator"]}
    return new


def _security(old: Mapping[str, Any]) -> dict[str, Any]:
    if old.get("type") == "basic":
        return {"type": "http", "scheme": "basic"}
    if old.get("type") == "oauth2":
        return {"type": "http", "scheme": "bearer"}
    return dict(old)

"""How a request breaks its service's contract, in one line each: openapi-core judges, and what it lets pass unknown is named too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from libax_automate.testing.openapi import Document, Operation


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it arrived, in plain values; ``path`` is as it stood on the wire."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    @property
    def content_type(self) -> str:
        """The Content-Type header, or nothing."""
        return next((value for name, value in self.headers.items() if name.lower() == "content-type"), "")

    def decoded(self) -> Any:
        """The body as JSON or as form fields where it is that, else the bytes; None without one."""
        if not self.body:
            return None
        if "x-www-form-urlencoded" in self.content_type:
            return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body


class _Request:
    """An Incoming in the shape that openapi-core asks for."""

    def __init__(self, origin: str, incoming: Incoming, path_parameters: Mapping[str, str]) -> None:
        self.host_url = origin
        self.path = incoming.path
        self.method = incoming.method.lower()
        self.body = incoming.body or None
        self.content_type = incoming.content_type or "application/octet-stream"
        cookies = next((value for name, value in incoming.headers.items() if name.lower() == "cookie"), "")
        pairs = [part.strip().split("=", 1) for part in cookies.split(";") if "=" in part]
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(list(incoming.query)),
            header=Headers(list(incoming.headers.items())),
            cookie=ImmutableMultiDict([(name, value) for name, value in pairs]),
            path=dict(path_parameters),
        )


class Validator:
    """Holds requests to ``document``, which is served at ``origin``; names in ``lenient`` may be sent though no document knows them."""

    def __init__(self, document: Document, origin: str, lenient: frozenset[str]) -> None:
        self._document = document
        self._origin = origin
        self._lenient = lenient
        self._one: dict[str, OpenAPI] = {}

    def problems(self, operation: Operation, path_parameters: Mapping[str, str], incoming: Incoming) -> Iterator[str]:
        """Each way in which ``incoming`` breaks the contract, as ``POST /smtp/email: what``."""
        from openapi_core.exceptions import OpenAPIError
        from openapi_core.validation.request.validators import V30RequestValidator, V31RequestValidator

        kind = V31RequestValidator if str(self._document.tree["openapi"]).startswith("3.1") else V30RequestValidator
        validator = kind(self._only(operation).spec)
        request = _Request(self._origin, incoming, path_parameters)
        errors: list[Exception] = []
        try:
            errors.extend(validator.iter_errors(request))
        except OpenAPIError as error:
            errors.append(error)
        except Exception as error:
            # a flaw of the document that its validator trips over: said, not swallowed, and no reason to hang up on a connector
            yield f"{operation.label}: the document cannot be applied: {type(error).__name__}: {error}"
        for found in errors:
            for text in _told(found):
                yield f"{operation.label}: {text}"
        yield from (f"{operation.label}: {text}" for text in self._undocumented(operation, incoming))

    def _only(self, operation: Operation) -> OpenAPI:
        """The document with this operation alone, so that openapi-core judges by the one that was found, not by a path like it."""
        if operation.label not in self._one:
            spec = {**operation.spec, "parameters": [p for p in operation.parameters if p["name"] not in self._lenient]}
            tree = {
                **self._document.tree,
                "servers": [{"url": self._origin + self._document.base_path}],
                "paths": {operation.path: {operation.method: spec}},
            }
            # whether the document itself is flawless is its publisher's business
            unchecked: Any = None
            self._one[operation.label] = OpenAPI.from_dict(tree, config=Config(spec_validator_cls=unchecked))
        return self._one[operation.label]

    def _undocumented(self, operation: Operation, incoming: Incoming) -> Iterator[str]:
        known = {str(parameter["name"]) for parameter in operation.parameters if parameter["in"] == "query"}
        schemes = self._document.tree.get("components", {}).get("securitySchemes", {}).values()
        known |= {str(scheme.get("name")) for scheme in schemes if scheme.get("in") == "query"} | self._lenient
        for name, _ in incoming.query:
            # filter[name]=x and ids[]=x belong to the parameters filter and ids
            if name not in known and re.sub(r"\[.*", "", name) not in known:
                yield f"query: {name!r} is not documented"
        body = self._document.resolve(operation.spec.get("requestBody", {}))
        if not body and incoming.body:
            yield "body: none is documented"
        media = body.get("content", {}).get(incoming.content_type.split(";")[0].strip().lower(), {})
        if isinstance(value := incoming.decoded(), Mapping | list) and "schema" in media:
            yield from (f"body: {where} is not documented" for where in self._unknown(media["schema"], value, ""))

    def _unknown(self, schema: Any, value: Any, where: str) -> Iterator[str]:
        """The properties inside ``value`` that no branch of ``schema`` names, where the schema does not invite others."""
        if isinstance(value, list):
            branches = list(self._branches(schema, 0))
            items = [branch["items"] for branch in branches if "items" in branch]
            if items:
                for number, item in enumerate(value):
                    yield from self._unknown({"anyOf": items}, item, f"{where}[{number}]")
        elif isinstance(value, Mapping):
            branches = list(self._branches(schema, 0))
            properties: dict[str, list[Any]] = {}
            for branch in branches:
                for name, part in branch.get("properties", {}).items():
                    properties.setdefault(name, []).append(part)
            is_open = not properties or any(branch.get("additionalProperties") or branch.get("patternProperties") for branch in branches)
            for name, part in value.items():
                place = f"{where}.{name}" if where else str(name)
                if name in properties:
                    yield from self._unknown({"anyOf": properties[name]}, part, place)
                elif not is_open and name not in self._lenient:
                    yield repr(place)

    def _branches(self, schema: Any, depth: int) -> Iterator[Mapping[str, Any]]:
        """``schema`` and everything it is put together from."""
        schema = self._document.resolve(schema)
        if isinstance(schema, Mapping) and depth < 16:
            yield schema
            for key in ("allOf", "anyOf", "oneOf"):
                for part in schema.get(key, ()):
                    yield from self._branches(part, depth + 1)


def _told(error: BaseException) -> Iterator[str]:
    """What openapi-core found, in words: the schema's own complaints where there are any."""
    cause: BaseException | None = error
    while cause is not None:
        schema_errors = getattr(cause, "schema_errors", None)
        if schema_errors is not None:
            for found in schema_errors:
                where = ".".join(map(str, getattr(found, "absolute_path", ())))
                yield f"{_part(error)}: {where + ': ' if where else ''}{' '.join(str(found.message).split())[:300]}"
            return
        cause = cause.__cause__
    last = error.__cause__ if error.__cause__ is not None else error
    yield f"{_part(error)}: {' '.join(str(last).split())[:300] or type(last).__name__}"


def _part(error: BaseException) -> str:
    """Which part of a request is meant: credentials, body, or the parameter by name."""
    name = type(error).__name__
    if "Security" in name:
        return "credentials"
    if "Body" in name or "Media" in name:
        return "body"
    parameter = getattr(error, "name", "")
    return f"{getattr(error, 'location', 'parameter')} {parameter!r}" if parameter else "request"

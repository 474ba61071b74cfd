"""An OpenAPI 3.0/3.1 or Swagger 2.0 document as the spec server needs it: one form, its operations, its own examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


@dataclass(frozen=True, slots=True)
class Operation:
    """One documented call. ``name`` is its ``operationId``; ``label`` (``POST /smtp/email``) names it as well."""

    name: str
    method: str
    path: str
    spec: Mapping[str, Any] = field(repr=False)
    parameters: tuple[Mapping[str, Any], ...] = field(repr=False)
    pattern: re.Pattern[str] = field(repr=False)

    @property
    def label(self) -> str:
        """Method and path template."""
        return f"{self.method.upper()} {self.path}"

    @property
    def statuses(self) -> tuple[str, ...]:
        """The documented reply statuses: numbers, ``2XX``, ``default``."""
        return tuple(map(str, self.spec.get("responses", {})))


class Document:
    """A service's published contract, from a JSON or YAML file or a mapping; Swagger 2.0 is read as OpenAPI 3.0.

    ``tree`` is the document with what cannot be checked on loopback made plain: one server, OAuth 2 and OpenID Connect
    as the bearer token that they are on the wire. Raises ValueError for what is not such a document.
    """

    def __init__(self, source: Path | str | Mapping[str, Any]) -> None:
        tree = _read(source)
        if str(tree.get("swagger", "")).startswith("2"):
            from libax_automate.testing.swagger import as_openapi

            tree = as_openapi(tree)
        if not re.match(r"3\.[01]", str(tree.get("openapi", ""))):
            raise ValueError(f"neither OpenAPI 3.0/3.1 nor Swagger 2.0: openapi is {tree.get('openapi')!r}")
        self.tree: dict[str, Any] = tree
        #: what stands before every path: ``/v3``
        self.base_path = _base_path(tree)
        for name, scheme in tree.get("components", {}).get("securitySchemes", {}).items():
            tree["components"]["securitySchemes"][name] = _plain(scheme)
        # a query inside a path template is matched by nothing; its parameters are documented as such
        tree["paths"] = {path.split("?")[0]: item for path, item in reversed(tree.get("paths", {}).items())}
        self.operations: dict[str, Operation] = {}
        for operation in self._operations():
            self.operations[operation.label] = operation
            self.operations.setdefault(operation.name, operation)
        # the path with the fewest variables is meant: /contacts/export before /contacts/{id}
        self._in_order = sorted({o.label: o for o in self.operations.values()}.values(), key=lambda o: (o.path.count("{"), -len(o.path)))

    def operation(self, name: str) -> Operation:
        """The operation called ``name`` or labelled so; raises KeyError naming what there is."""
        try:
            return self.operations[name]
        except KeyError:
            raise KeyError(f"no operation {name!r}; there are: {', '.join(sorted({o.name for o in self._in_order}))}") from None

    def find(self, method: str, path: str) -> list[tuple[Operation, dict[str, str]]]:
        """The operations that ``method`` on ``path`` (without base path) may mean, the likeliest first, with decoded path parameters."""
        found: list[tuple[Operation, dict[str, str]]] = []
        for operation in self._in_order:
            if operation.method == method.lower() and (match := operation.pattern.fullmatch(path)):
                # only templates with as many variables are as likely: /{version}/{phone} and /{version}/{template}
                if found and operation.path.count("{") > found[0][0].path.count("{"):
                    break
                names = re.findall(r"\{([^}]+)\}", operation.path)
                found.append((operation, {name: unquote(value) for name, value in zip(names, match.groups(), strict=True)}))
        return found

    def resolve(self, node: Any) -> Any:
        """``node``, or what its local ``$ref`` points at."""
        for _ in range(32):
            if not (isinstance(node, Mapping) and isinstance(node.get("$ref"), str)):
                return node
            target: Any = self.tree
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        raise ValueError(f"a $ref that never ends: {node['$ref']}")

    def response(self, operation: Operation, status: int) -> Mapping[str, Any] | None:
        """What is documented for ``status``: by number, by class (``4XX``), or as default; None if nothing is."""
        responses = {str(key).upper(): value for key, value in operation.spec.get("responses", {}).items()}
        for key in (str(status), f"{status // 100}XX", "DEFAULT"):
            if key in responses:
                found: Mapping[str, Any] = self.resolve(responses[key])
                return found
        return None

    def success(self, operation: Operation) -> int:
        """The lowest documented status that means success; 200 where only a default is documented."""
        found = [int(status.upper().replace("XX", "00")) for status in operation.statuses if status[:1] == "2"]
        return min(found, default=200)

    def example(self, operation: Operation, status: int) -> tuple[str, Any]:
        """Media type and body that the document itself gives for ``status``, else one made from the schema; ``("", None)`` = no body."""
        from libax_automate.testing.sample import sample

        response = self.response(operation, status)
        content: Mapping[str, Any] = (response or {}).get("content", {})
        for media_type in sorted(content, key=lambda name: "json" not in name):
            media = self.resolve(content[media_type])
            if "example" in media:
                return media_type, media["example"]
            for example in map(self.resolve, media.get("examples", {}).values()):
                if "value" in example:
                    return media_type, example["value"]
            return (media_type, sample(media["schema"], self.resolve)) if "schema" in media else (media_type, {})
        return "", None

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.tree["paths"].items():
            item = self.resolve(item)  # noqa: PLW2901 - the item itself, wherever it stands
            item.pop("servers", None)
            for method in METHODS:
                if method in item:
                    spec = item[method]
                    spec.pop("servers", None)
                    # the operation's own parameter of a name and place takes over from the path's
                    own = [self.resolve(parameter) for parameter in (*item.get("parameters", ()), *spec.get("parameters", ()))]
                    parameters = tuple({(p["name"], p["in"]): _parameter(p) for p in own if not _ignored(p)}.values())
                    pattern = "".join("([^/]+)" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path))
                    name = spec.get("operationId") or f"{method.upper()} {path}"
                    yield Operation(name, method, path, spec, parameters, re.compile(pattern))


def _ignored(parameter: Mapping[str, Any]) -> bool:
    """Whether OpenAPI itself says that this definition "SHALL be ignored" (Parameter Object, ``in`` and ``name``)."""
    return bool(parameter["in"] == "header" and str(parameter["name"]).lower() in {"accept", "content-type", "authorization"})


def _parameter(parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without what only warns, and with deepObject exploded, which documents forget to say: the other form is defined nowhere."""
    plain = {key: value for key, value in parameter.items() if key not in {"deprecated", "allowEmptyValue"}}
    return {**plain, "explode": True} if plain.get("style") == "deepObject" else plain


def _read(source: Path | str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(source, Mapping):
        # a copy of our own: it is changed below
        return dict(json.loads(json.dumps(source, default=str)))
    text = Path(source).read_text(encoding="utf-8")
    if Path(source).suffix.lower() in {".yaml", ".yml"}:
        import yaml

        # through JSON, so that dates and number keys of YAML become what JSON would hold
        return dict(json.loads(json.dumps(yaml.safe_load(text), default=str)))
    return dict(json.loads(text))


def _base_path(tree: Mapping[str, Any]) -> str:
    for server in tree.get("servers", ()):
        url = str(server.get("url", ""))
        for name, variable in server.get("variables", {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", name)))
        return urlsplit(url).path.rstrip("/")
    return ""


def _plain(scheme: Mapping[str, Any]) -> Mapping[str, Any]:
    if scheme.get("type") in {"oauth2", "openIdConnect"}:
        return {"type": "http", "scheme": "bearer"}
    if scheme.get("type") == "http":
        return {**scheme, "scheme": str(scheme.get("scheme", "")).lower()}
    return scheme

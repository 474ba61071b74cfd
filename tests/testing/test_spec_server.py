"""The spec server holds requests to a published document and answers as the document does; invented documents, and the real ones where they are."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import yaml
from openapi_schema_validator import OAS30ReadValidator, OAS31Validator

from libax_automate.testing.openapi import Document
from libax_automate.testing.pattern import matching
from libax_automate.testing.sample import sample
from libax_automate.testing.spec_server import SpecServer

MESSAGE = {
    "type": "object",
    "required": ["to", "text"],
    "properties": {
        "to": {"type": "string", "format": "email"},
        "text": {"type": "string", "maxLength": 160},
        "params": {"type": "object", "additionalProperties": {"type": "string"}},
        "copies": {"type": "array", "items": {"$ref": "#/components/schemas/Copy"}},
    },
}
POSTBOX: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Postbox", "version": "1"},
    "servers": [{"url": "https://{place}.postbox.example/v3", "variables": {"place": {"default": "eu"}}}],
    "security": [{"key": []}],
    "paths": {
        "/messages": {
            "post": {
                "operationId": "sendMessage",
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Message"}}}},
                "responses": {
                    "202": {
                        "description": "taken",
                        "content": {"application/json": {"example": {"id": "m-1"}, "schema": {"$ref": "#/components/schemas/Taken"}}},
                    },
                    "401": {"description": "who?", "content": {"application/json": {"example": {"message": "unknown key"}}}},
                    "4XX": {"description": "no", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}},
                },
            },
            "get": {
                "operationId": "listMessages",
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                    {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                    {"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string", "pattern": "^never$"}},
                ],
                "responses": {
                    "200": {"description": "ok", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/List"}}}}
                },
            },
        },
        "/messages/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^MS[0-9a-f]{8}$"}}],
            "get": {"operationId": "showMessage", "responses": {"200": {"description": "ok"}}},
        },
        "/messages/export": {
            "get": {"security": [], "responses": {"200": {"description": "ok", "content": {"text/csv": {"example": "id,to\n1,ana"}}}}}
        },
        "/forms": {
            "post": {
                "operationId": "sendForm",
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {
                                "type": "object",
                                "required": ["To"],
                                "properties": {"To": {"type": "string"}, "Count": {"type": "integer"}},
                            }
                        }
                    }
                },
                "responses": {"default": {"description": "whatever"}},
            }
        },
    },
    "components": {
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
        "schemas": {
            "Message": MESSAGE,
            "Copy": {"type": "object", "properties": {"to": {"type": "string"}}},
            "Taken": {"type": "object", "properties": {"id": {"type": "string"}}},
            "Problem": {
                "type": "object",
                "required": ["code", "at"],
                "properties": {
                    "code": {"type": "string", "pattern": r"^E-\d{4}$"},
                    "at": {"type": "string", "format": "date-time"},
                    "level": {"type": "string", "enum": ["high", "low"]},
                    "count": {"type": "integer", "minimum": 5, "exclusiveMinimum": True},
                },
            },
            "List": {
                "type": "object",
                "required": ["items"],
                "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Taken"}}},
            },
        },
    },
}
SWAGGER = """
swagger: "2.0"
info: {title: Chat, version: "1"}
host: chat.example.com
basePath: /api
schemes: [https]
securityDefinitions: {oauth: {type: oauth2, flow: implicit, authorizationUrl: "https://example.com", scopes: {}}}
security: [{oauth: []}]
consumes: [application/json]
produces: [application/json]
definitions:
  Note: {type: object, required: [text], properties: {text: {type: string}, seen: {type: string, x-nullable: true}}}
parameters:
  channel: {name: channel, in: query, type: string, required: true}
paths:
  /notes:
    parameters: [{$ref: "#/parameters/channel"}]
    post:
      operationId: addNote
      parameters: [{name: body, in: body, required: true, schema: {$ref: "#/definitions/Note"}}]
      responses: {"201": {description: made, schema: {$ref: "#/definitions/Note"}, examples: {application/json: {text: hello}}}}
  /files:
    post:
      operationId: addFile
      consumes: [application/x-www-form-urlencoded]
      parameters:
        - {name: title, in: formData, type: string, required: true}
        - {name: tags, in: formData, type: array, items: {type: string}}
      responses: {"200": {description: ok, schema: {type: object, properties: {day: {type: string, format: date}}}}}
"""

KEY = {"X-Key": "abc"}
SENT = {"to": "ana@example.com", "text": "Olá 🎂"}


def ask(
    server: SpecServer, method: str, path: str, body: Any = None, *, form: dict[str, str] | None = None, headers: dict[str, str] = KEY
) -> tuple[int, Any]:
    """One request with Python's own client; JSON is decoded, anything else is text."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    sent, kind = None, "application/json"
    if form is not None:
        sent, kind = urlencode(form).encode(), "application/x-www-form-urlencoded"
    elif body is not None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, parts.path + path, sent, {**headers, **({"Content-Type": kind} if sent else {})})
        reply = connection.getresponse()
        text = reply.read().decode()
        return reply.status, json.loads(text) if "json" in (reply.getheader("Content-Type") or "") else text
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[SpecServer]:
    with SpecServer(POSTBOX) as server:
        yield server


def test_a_good_request_is_answered_with_the_document_s_own_example(server: SpecServer) -> None:
    assert server.url.endswith("/v3")
    assert ask(server, "POST", "/messages", SENT) == (202, {"id": "m-1"})
    server.assert_valid()
    call = server.calls[0]
    assert (call.operation, call.method, call.body, call.status, call.problems) == ("sendMessage", "POST", SENT, 202, ())


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", "/messages", {"to": "ana@example.com"}, "body: 'text' is a required property"),
        ("POST", "/messages", {**SENT, "text": "x" * 161}, "is too long"),
        ("POST", "/messages", {**SENT, "text": 7}, "text: 7 is not of type 'string'"),
        ("POST", "/messages", {**SENT, "txet": "x"}, "body: 'txet' is not documented"),
        ("POST", "/messages", {**SENT, "copies": [{"to": "x", "too": "y"}]}, "body: 'copies[0].too' is not documented"),
        ("POST", "/messages", b"{", "body: "),
        ("POST", "/messages", None, "body: "),
        ("GET", "/messages?limit=x", None, "query 'limit'"),
        ("GET", "/messages?limit=101", None, "greater than the maximum"),
        ("GET", "/messages?limt=10", None, "query: 'limt' is not documented"),
        ("GET", "/messages/MS1", None, "path 'id'"),
        ("GET", "/messages", {"a": 1}, "body: none is documented"),
    ],
)
def test_a_request_that_breaks_the_document_is_refused_and_named(
    server: SpecServer, method: str, path: str, body: Any, problem: str
) -> None:
    status, _ = ask(server, method, path, body)
    assert status == 400
    assert problem in "\n".join(server.problems)
    assert server.problems[0].startswith(f"{method} /messages")
    with pytest.raises(AssertionError, match="break the service's contract"):
        server.assert_valid()


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("DELETE", "/messages"), ("GET", "/messages/a/b")])
def test_what_is_not_documented_does_not_exist(server: SpecServer, method: str, path: str) -> None:
    assert ask(server, method, path)[0] == 404
    assert "no such operation" in server.problems[0]


def test_credentials_belong_in_their_place(server: SpecServer) -> None:
    assert ask(server, "POST", "/messages", SENT, headers={}) == (401, {"message": "unknown key"})
    assert "credentials" in server.problems[0]
    assert ask(server, "GET", "/messages/export", headers={}) == (200, "id,to\n1,ana")


def test_maps_deep_objects_and_undocumented_names_called_lenient_are_taken() -> None:
    with SpecServer(POSTBOX, lenient=["txet", "limt", "limit"]) as server:
        assert ask(server, "POST", "/messages", {**SENT, "params": {"anything": "x"}, "txet": "x"})[0] == 202
        assert ask(server, "GET", "/messages?filter[to]=ana&limt=1&limit=999")[0] == 200
        server.assert_valid()


def test_the_more_concrete_path_is_meant_and_path_values_are_decoded(server: SpecServer) -> None:
    ask(server, "GET", "/messages/export")
    ask(server, "GET", f"/messages/{quote('MS0123abcd')}")
    assert [call.operation for call in server.calls] == ["GET /messages/export", "showMessage"]
    assert server.calls[1].path_parameters == {"id": "MS0123abcd"}
    server.assert_valid()


def test_forms_are_held_to_their_schema(server: SpecServer) -> None:
    assert ask(server, "POST", "/forms", form={"To": "+351912345678", "Count": "2"})[0] == 200
    assert server.calls[0].body == {"To": "+351912345678", "Count": "2"}
    server.assert_valid()
    assert ask(server, "POST", "/forms", form={"Count": "x", "Too": "1"})[0] == 400
    assert len(server.problems) >= 2


def test_any_documented_error_is_answered_on_demand(server: SpecServer) -> None:
    server.answer("sendMessage", status=401)
    assert ask(server, "POST", "/messages", SENT) == (401, {"message": "unknown key"})
    server.answer("POST /messages", status=422, headers={"Retry-After": "7"})
    status, body = ask(server, "POST", "/messages", SENT)
    assert status == 422
    assert body == {"code": "E-0000", "at": "2026-12-24T09:30:00Z", "level": "high", "count": 6}
    server.answer("sendMessage", status=429, body={"message": "slow down"})
    assert ask(server, "POST", "/messages", SENT) == (429, {"message": "slow down"})
    server.assert_valid()


def test_answers_are_used_in_turn_and_the_last_stands(server: SpecServer) -> None:
    server.answer("sendMessage", status=401, times=1)
    server.answer("sendMessage", status=422, times=2)
    assert [ask(server, "POST", "/messages", SENT)[0] for _ in range(5)] == [401, 422, 422, 202, 202]
    server.answer("sendMessage", status=401)
    server.answer("sendMessage", status=202)
    assert ask(server, "POST", "/messages", SENT)[0] == 202


def test_it_can_hang_up(server: SpecServer) -> None:
    server.hang_up("sendMessage", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "POST", "/messages", SENT)
    assert server.calls[0].status == 0
    assert ask(server, "POST", "/messages", SENT)[0] == 202


def test_what_the_document_does_not_know_cannot_be_answered(server: SpecServer) -> None:
    with pytest.raises(KeyError, match=r"sendMail.*listMessages"):
        server.answer("sendMail")
    with pytest.raises(ValueError, match="documents no 503, only 202, 401, 4XX"):
        server.answer("sendMessage", status=503)
    server.answer("sendMessage", status=503, body="down")
    assert ask(server, "POST", "/messages", SENT) == (503, "down")


def test_a_swagger_2_document_in_yaml_is_held_to_as_well(tmp_path: Path) -> None:
    path = tmp_path / "chat.yaml"
    path.write_text(SWAGGER)
    bearer = {"Authorization": "Bearer abc"}
    with SpecServer(path) as server:
        assert server.url.endswith("/api")
        assert ask(server, "POST", "/notes?channel=a", {"text": "x", "seen": None}, headers=bearer) == (201, {"text": "hello"})
        assert ask(server, "POST", "/files", form={"title": "x", "tags": "a"}, headers=bearer) == (200, {"day": "2026-12-24"})
        server.assert_valid()
        assert ask(server, "POST", "/notes", {"seen": "x"}, headers=bearer)[0] == 400
        assert ask(server, "POST", "/files", form={}, headers=bearer)[0] == 400
        assert ask(server, "POST", "/notes?channel=a", {"text": "x"}, headers={})[0] == 401
        told = "\n".join(server.problems)
        assert "'channel'" in told
        assert "'text' is a required property" in told


def test_openapi_3_1_and_json_files_are_read(tmp_path: Path) -> None:
    document = {**POSTBOX, "openapi": "3.1.0"}
    document["components"] = json.loads(json.dumps(POSTBOX["components"]))
    document["components"]["schemas"]["Problem"]["properties"]["count"] = {"type": ["integer", "null"], "exclusiveMinimum": 5}
    (path := tmp_path / "postbox.json").write_text(json.dumps(document))
    with SpecServer(path) as server:
        assert ask(server, "POST", "/messages", SENT)[0] == 202
        server.answer("sendMessage", status=422)
        assert ask(server, "POST", "/messages", SENT)[1]["count"] == 6
        server.assert_valid()


def test_a_file_that_is_no_such_document_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="neither OpenAPI"):
        SpecServer(path)


def test_two_servers_share_nothing() -> None:
    with SpecServer(POSTBOX) as one, SpecServer(POSTBOX) as two:
        one.answer("sendMessage", status=401)
        assert (ask(one, "POST", "/messages", SENT)[0], ask(two, "POST", "/messages", SENT)[0]) == (401, 202)
        assert (len(one.calls), len(two.calls)) == (1, 1)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^SM[0-9a-fA-F]{32}$", "SM" + "a" * 32),
        (r"^(SM|MM)\d{2}$", "SM00"),
        (r"^\+[1-9]\d{1,14}$", "+10"),
        (r"^(?:a|b)c?d+?[\]x]$", "ad]"),
        (r"^https://[^\s/$.?#].[^\s]*$", "https://aa"),
        (r"(", None),
        (r"(?=a)b", None),
    ],
)
def test_a_text_for_a_pattern_is_made_or_given_up(pattern: str, text: str | None) -> None:
    assert matching(pattern) == text


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    tree = {"type": "object", "required": ["child"], "properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}}
    assert json.dumps(sample(tree, lambda node: tree if isinstance(node, dict) and "$ref" in node else node))


def _documents() -> list[Path]:
    root = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[3] / "shared" / "contracts")
    return [path for path in sorted(root.rglob("*.*")) if path.suffix in {".json", ".yaml", ".yml"} and _is_document(path)]


def _is_document(path: Path) -> bool:
    if path.suffix == ".json":
        with path.open(encoding="utf-8") as file:
            head = file.read(4096)
        return '"openapi"' in head or '"swagger"' in head
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    return isinstance(tree, dict) and ("openapi" in tree or "swagger" in tree)


DOCUMENTS = _documents()


def _filled(document: Document, operation: Any) -> tuple[str, Any, dict[str, str] | None, dict[str, str]] | None:
    """Path, JSON body, form and headers of a request for ``operation`` made from its own schemas; None where it takes a file."""
    path: str = operation.path
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    for parameter in operation.parameters:
        value = parameter.get("example", sample(parameter.get("schema", {}), document.resolve))
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(value), safe=""))
        elif parameter.get("required") and parameter["in"] in {"query", "header"}:
            (query if parameter["in"] == "query" else headers)[parameter["name"]] = str(value[0] if isinstance(value, list) else value)
    for scheme in document.tree.get("components", {}).get("securitySchemes", {}).values():
        if scheme["type"] == "http":
            headers["Authorization"] = f"{scheme['scheme']} abc"
        elif scheme["in"] == "header":
            headers[scheme["name"]] = "abc"
        else:
            query[scheme["name"]] = "abc"
    path += f"?{urlencode(query)}" if query else ""
    content = document.resolve(operation.spec.get("requestBody", {})).get("content", {})
    if "application/json" in content:
        return path, sample(content["application/json"].get("schema", {}), document.resolve), None, headers
    if "application/x-www-form-urlencoded" in content:
        form = sample(content["application/x-www-form-urlencoded"].get("schema", {}), document.resolve)
        return path, None, {name: str(value) for name, value in form.items() if isinstance(value, str | int)}, headers
    return None if content else (path, None, None, headers)


@pytest.mark.skipif(not DOCUMENTS, reason="no vendor documents: set LIBAX_CONTRACTS to a folder of them")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_vendor_s_document_is_loaded_and_its_operations_answered(path: Path) -> None:
    """Every operation is understood and answered by its document, and a good half of them in good form by requests out of their own schemas."""
    with SpecServer(path) as server:
        document = server.document
        assert server.operations
        tried = good = 0
        for operation in {operation.label: operation for operation in document.operations.values()}.values():
            for status in (int(status) for status in operation.statuses if status.isdigit()):
                document.example(operation, status)
            request = _filled(document, operation)
            if request is not None and operation.method != "head":
                target, body, form, headers = request
                status, _ = ask(server, operation.method.upper(), target, body, form=form, headers=headers)
                tried += 1
                good += not server.calls[-1].problems
                assert server.calls[-1].operation, f"{operation.label} was not recognised"
                assert status == server.calls[-1].status
    # published examples break their own schemas here and there, and some headers want a client of their own
    assert good >= tried / 2, server.problems


@pytest.mark.skipif(not DOCUMENTS, reason="no vendor documents: set LIBAX_CONTRACTS to a folder of them")
def test_most_made_up_replies_are_valid_by_the_document_s_own_schema() -> None:
    made, wrong = 0, []
    for path in DOCUMENTS:
        document = Document(path)
        validator = OAS31Validator if document.tree["openapi"].startswith("3.1") else OAS30ReadValidator
        for label, operation in document.operations.items():
            for status in operation.statuses:
                response = document.resolve(operation.spec["responses"][status])
                for media in response.get("content", {}).values():
                    made += 1
                    schema = {"components": document.tree.get("components", {}), "allOf": [media.get("schema", {})]}
                    if not validator(schema).is_valid(sample(media.get("schema", {}), document.resolve)):
                        wrong.append(f"{path.parent.name} {label} {status}")
    assert len(wrong) <= made * 0.03, wrong

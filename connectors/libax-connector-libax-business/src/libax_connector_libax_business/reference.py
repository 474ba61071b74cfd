"""A small server of the source contract, to compare one's own with: ``python -m libax_connector_libax_business.reference``.

It holds its data in memory, selects by every parameter of the contract, and forgets everything when it ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

TOKEN = "reference-token"  # noqa: S105 - of a server with invented people

SAMPLE: Mapping[str, list[dict[str, Any]]] = {
    "contacts": [
        {
            "id": "1", "name": "Ana Silva", "email": "ana@example.com", "mobile": "+351912345678", "birth_date": "1980-12-24",
            "person_type": "person", "status": "active", "city": "Porto", "partner": "17",
            "created_at": "2026-10-01T09:00:00Z", "changed_at": "2026-11-20T09:30:00Z",
        },
        {
            "id": "2", "name": "Rui Costa", "email": "rui@example.com", "birth_date": "1975-03-02", "person_type": "person", "status": "active",
            "created_at": "2026-11-19T12:00:00Z", "changed_at": "2026-11-19T12:00:00Z", "pontos": 7,
        },
        {
            "id": "3", "name": "Padaria Central", "email": "geral@example.com", "person_type": "company", "status": "inactive",
            "created_at": "2026-01-05T10:00:00Z", "changed_at": "2026-02-05T10:00:00Z",
        },
    ],
    "invoices": [
        {"id": "10", "number": "FT 2026/118", "customer": "1", "amount": "123.40", "balance": "123.40", "currency": "EUR", "issued": "2026-11-01",
         "due": "2026-11-30", "status": "open", "changed_at": "2026-11-01T10:00:00Z"},
        {"id": "11", "number": "FT 2026/119", "customer": {"id": "2", "name": "Rui Costa", "email": "rui@example.com"}, "amount": "50.00",
         "balance": "0.00", "currency": "EUR", "issued": "2026-11-02", "due": "2026-12-05", "status": "paid",
         "paid_at": "2026-11-10T15:00:00Z", "changed_at": "2026-11-10T15:00:00Z"},
    ],
    "claims": [
        {"id": "31", "number": "P-2026-31", "contact": "1", "type": "auto", "stage": "peritagem", "policy": "AP-1001",
         "opened_at": "2026-11-02T16:05:00Z", "changed_at": "2026-11-12T08:00:00Z"},
    ],
    "partners": [{"id": "17", "name": "Mediadora Norte", "email": "norte@example.com", "language": "pt"}],
    "commissions": [
        {"id": "5", "partner": "17", "contact": "1", "document": "FT 2026/118", "date": "2026-11-15", "base": "1000.00", "rate": "5",
         "amount": "50.00", "currency": "EUR"},
    ],
}  # fmt: skip


class ReferenceServer:
    """Serves ``data`` on a free port of 127.0.0.1; a context manager."""

    def __init__(
        self, data: Mapping[str, list[dict[str, Any]]] = SAMPLE, *, token: str = TOKEN, port: int = 0, largest: int = 1000
    ) -> None:
        self.data = {**{entity: list(rows) for entity, rows in data.items()}, "activities": list(data.get("activities", []))}
        self.token = token
        #: records in a page, whatever is asked for
        self.largest = largest
        self._keys: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """The base URL to write into a profile."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self) -> None:
        """Serve until interrupted."""
        self._server.serve_forever()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        """The status and JSON for one request."""
        path, _, query = target.partition("?")
        if headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"title": "the key is missing or wrong"}
        entity = urlsplit(path).path.strip("/")
        if method == "GET" and entity == "about":
            return 200, {"contract": "1.0", "name": "Reference server", "entities": sorted(self.data), "actions": ["activity"]}
        if entity not in self.data:
            return 404, {"title": f"there is no {entity}"}
        if method == "GET":
            return self._page(entity, dict(parse_qsl(query)))
        if method == "POST" and entity == "activities":
            return self._activity(headers.get("idempotency-key", ""), body)
        return 405, {"title": f"{method} is not served"}

    def _page(self, entity: str, asked: dict[str, str]) -> tuple[int, Any]:
        rows = [row for row in self.data[entity] if _selected(row, asked)]
        start = int(asked.get("cursor", "0"))
        end = start + min(int(asked.get("limit", "100")), self.largest)
        return 200, {"items": rows[start:end], "next": str(end) if end < len(rows) else None}

    def _activity(self, key: str, body: bytes) -> tuple[int, Any]:
        try:
            new = json.loads(body)
            contact = new["contact"]
        except (ValueError, LookupError, TypeError):
            return 422, {"title": "this is no activity"}
        if not key:
            return 422, {"title": "Idempotency-Key is missing"}
        with self._lock:
            if key in self._keys:
                return 200, self._keys[key]
            if contact not in {row["id"] for row in self.data["contacts"]}:
                return 422, {"title": f"there is no contact {contact}", "code": "unknown_contact"}
            made = self._keys[key] = {"id": f"a-{len(self.data['activities']) + 1}", **new}
            self.data["activities"].append(made)
            return 201, made


def _selected(row: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    """Whether ``row`` is what the parameters ask for."""
    if "ids" in asked and row["id"] not in asked["ids"].split(","):
        return False
    if "birthdays" in asked and str(row.get("birth_date"))[5:] not in asked["birthdays"].split(","):
        return False
    for name, field in (("changed_since", "changed_at"), ("created_since", "created_at")):
        if name in asked and not (row.get(field) and datetime.fromisoformat(row[field]) > datetime.fromisoformat(asked[name])):
            return False
    # dates as text are in order
    return all(
        not (asked.get(f"{field}_from") or asked.get(f"{field}_to"))
        or asked.get(f"{field}_from", "") <= str(row.get(field, "")) <= asked.get(f"{field}_to", "9999")
        for field in ("due", "date")
    )


def _handler(server: ReferenceServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = server.answer(self.command, self.path, headers, body)
            content = json.dumps(answer, ensure_ascii=False).encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gave it
            """Say nothing."""

    return Handler


def main() -> None:
    """Serve the sample data until interrupted."""
    parser = argparse.ArgumentParser(description="Serve sample data by the source contract.")
    parser.add_argument("--port", type=int, default=8765)
    server = ReferenceServer(port=parser.parse_args().port)
    sys.stderr.write(f"{server.url}, key {TOKEN}; Ctrl-C ends it\n")
    server.serve()


if __name__ == "__main__":
    main()

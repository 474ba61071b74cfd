"""Reading out of other systems: a SQL table, a JSON API. Left out where their connectors are not installed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import libax_automate as ax
from benchmarks.rig import Line, Rig, reopen, timed

_PROFILE = """
name = "bench"
timezone = "Europe/Lisbon"
country = "PT"

[apps.erp]
{app}
"""
_DAY = frozenset({(12, 24)})
_COLUMNS = "id, nome AS name, email, telemovel AS mobile, data_nasc AS birth_date"
_SIZE = 1000


def _fetch(folder: Path, app: str, query: ax.Query, *fields: str) -> tuple[float, int]:
    """Seconds and rows of one reading of contacts, these fields of each looked at, the app open already."""
    path = folder / "profiles.toml"
    path.write_text(_PROFILE.format(app=app), encoding="utf-8")
    path.chmod(0o600)
    with reopen(folder) as space, space.opened(space.profiles[0], space.profiles[0].apps["erp"]) as source:
        assert isinstance(source, ax.Source)
        next(iter(source.fetch("contacts", ax.Query(ids=frozenset({"1"})))), None)  # connected, its statement known
        number = 0

        def walk() -> None:
            nonlocal number
            for record in source.fetch("contacts", query):
                number += 1
                for field in fields:
                    record[field]  # type: ignore[index]

        return timed(walk), number


def sql(rig: Rig) -> Iterator[Line]:
    """Today's birthdays out of 1,000,000 rows of SQLite, indexed by day and not."""
    if importlib.util.find_spec("libax_connector_sql") is None:
        print("sql: left out, libax-connector-sql is not installed", file=sys.stderr)
        return
    count = rig.count(1_000_000)
    with rig.place() as folder:
        days = [date(1950, 1, 1) + timedelta(days=number) for number in range(18_000)]
        rows = ((n, f"Pessoa {n}", f"p{n}@example.com", f"+35191{n % 10**7:07d}", days[n * 7919 % 18_000]) for n in range(count))
        with contextlib.closing(sqlite3.connect(folder / "erp.db")) as conn:
            for name in ("plain", "indexed"):
                conn.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, nome, email, telemovel, data_nasc DATE, dia TEXT)")
            conn.executemany(
                "INSERT INTO plain VALUES (?, ?, ?, ?, ?, ?)", ((*row[:4], row[4].isoformat(), f"{row[4]:%m-%d}") for row in rows)
            )
            conn.execute("INSERT INTO indexed SELECT * FROM plain")
            conn.execute("CREATE INDEX days ON indexed(dia)")
            conn.commit()

            def bare(table: str, where: str) -> float:
                return timed(lambda: conn.execute(f"SELECT {_COLUMNS} FROM {table} WHERE {where}").fetchall())

            today = ax.Query(anniversary=ax.Anniversary("birth_date", _DAY))
            scan = f'connector = "sql"\nurl = "sqlite:///erp.db"\ncontacts = "SELECT {_COLUMNS} FROM plain"'
            listed = """json_each('["' || replace(trim(:month_days, ','), ',', '","') || '"]')"""
            quick = (
                'connector = "sql"\nurl = "sqlite:///erp.db"\n'
                f"contacts = '''SELECT {_COLUMNS} FROM indexed WHERE dia IN (SELECT value FROM {listed})'''"
            )
            slow, plain, fast, indexed = rig.pair(
                lambda: _fetch(folder, scan, today)[0],
                lambda: bare("plain", "substr(data_nasc, 6) = '12-24'"),
                lambda: _fetch(folder, quick, today)[0],
                lambda: bare("indexed", "dia = '12-24'"),
            )
    for name, mine, theirs in (("not indexed", slow, plain), ("indexed", fast, indexed)):
        yield Line(
            f"today's birthdays out of {count:,} SQL rows, {name}: beside 1.5 times + 20 ms", f"{mine * 1000:.0f} ms",
            f"bare query {theirs * 1000:.0f} ms", mine / (1.5 * theirs + 0.020), 1, most=True,
        )  # fmt: skip


def serve(pages: int) -> None:
    """Lists of ``_SIZE`` customers a page, made beforehand."""
    made = []
    born = [(date(1950, 1, 1) + timedelta(days=number)).isoformat() for number in range(9973)]
    for page in range(pages):
        numbers = range(page * _SIZE, (page + 1) * _SIZE)
        rows = [
            {"id": n, "name": f"Pessoa {n}", "email": f"p{n}@example.com", "mobile": f"+35191{n:07d}", "birthDate": born[n % 9973]}
            for n in numbers
        ]
        made.append(json.dumps({"data": rows}).encode())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
            body = made[page - 1] if page <= len(made) else b'{"data":[]}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


def rest(rig: Rig) -> Iterator[Line]:
    """100,000 records of a JSON API, 1,000 a page."""
    if importlib.util.find_spec("libax_connector_rest") is None:
        print("rest: left out, libax-connector-rest is not installed", file=sys.stderr)
        return
    import httpx

    pages = max(1, rig.count(100_000) // _SIZE)
    command = [sys.executable, "-m", "benchmarks.systems", str(pages)]
    with rig.place() as folder, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        app = (
            f'connector = "rest"\nbase_url = "{url}"\nallow_private = ["127.0.0.1/32"]\npaging = "page"\nsize_param = "per_page"\n'
            'items = "data"\ncontacts = "/customers"'
        )

        def plain() -> float:
            # row by row, as ours: neither keeps what has gone by
            def walk() -> None:
                number = 0
                for page in range(1, pages + 1):
                    for _ in json.loads(client.get(f"{url}/customers", params={"page": page, "per_page": _SIZE}).content)["data"]:
                        number += 1

            with httpx.Client() as client:
                return timed(walk)

        def ours(query: ax.Query, *fields: str) -> float:
            return _fetch(folder, app, query, *fields)[0]

        today = ax.Query(anniversary=ax.Anniversary("birth_date", _DAY))
        mine, read, chosen, theirs = rig.pair(
            lambda: ours(ax.Query()), lambda: ours(ax.Query(), "first_name", "mobile"), lambda: ours(today), plain
        )
        process.stdin.close()
    yield Line(
        f"REST, {pages * _SIZE:,} records in {pages} pages",
        f"{mine:.2f} s",
        f"httpx + json {theirs:.2f} s",
        mine / theirs,
        1.3,
        most=True,
        note=f"first name and mobile of each looked at {read:.2f} s; only today's birthdays {chosen:.2f} s",
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))

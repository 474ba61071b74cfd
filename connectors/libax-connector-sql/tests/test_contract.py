"""The promises of every connector; a database is no HTTP service, so what sources promise is held in test_sql.py on real servers."""

import sqlite3
from pathlib import Path
from typing import Any

from libax_connector_sql import SqlSource

from libax_automate.testing.plugin import ConnectorContract


class TestSql(ConnectorContract):
    speaks_http = False

    def subject(self) -> type[Any]:
        return SqlSource

    def build(self, url: str, folder: Path) -> Any:
        with sqlite3.connect(folder / "erp.db") as connection:
            connection.execute("CREATE TABLE customers (id INTEGER, name TEXT)")
        connection.close()
        return super().build(url, folder)

    def options(self, url: str) -> dict[str, object]:
        return {"url": "sqlite:///erp.db", "password": "s3cret-never-shown", "contacts": "SELECT id, name FROM customers"}

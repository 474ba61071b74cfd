"""On SQLite and on a real PostgreSQL: what is answered, what the database is asked, and what its failures are called."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from libax_connector_sql import SqlSource
from libax_connector_sql.options import SqlOptions
from pydantic import ValidationError

import libax_automate as ax
from libax_automate.clock import SystemClock

Write = Callable[..., None]
Make = Callable[..., SqlSource]

CUSTOMERS = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, nome TEXT, email TEXT, telemovel TEXT, nascimento DATE, criado TIMESTAMP, ativo TEXT)",
    """INSERT INTO customers VALUES
    (1, 'Ana Silva', 'ana@example.com', '912345678', '1980-12-24', '2026-11-20 09:30:00', 'Ativo'),
    (2, 'Rui Costa', 'rui@example.com', NULL, '1975-03-02', '2026-11-21 10:00:00', 'Inativo'),
    (3, 'Eva 100%', 'not an address', NULL, NULL, '2026-11-22 11:00:00', 'Ativo'),
    (4, 'João Leap', NULL, '961234567', '1988-02-29', '2026-10-01 08:00:00', 'Ativo')""",
)
CONTACTS = (
    "SELECT id, nome AS name, email, telemovel AS mobile, nascimento AS birth_date, criado AS created_at, ativo AS status FROM customers"
)
INVOICES = (
    "CREATE TABLE invoices (id INTEGER PRIMARY KEY, number TEXT, customer INTEGER, total NUMERIC(10, 2), due DATE)",
    "INSERT INTO invoices VALUES (10, 'FT 1', 1, 123.40, '2026-11-30'), (11, 'FT 2', 2, 50, '2026-12-05'), (12, 'FT 3', 99, 7.5, '2027-01-01')",
)


def ids(source: SqlSource, entity: str = "contacts", **query: object) -> list[str]:
    return [row.id for row in source.fetch(entity, ax.Query(**query)) if isinstance(row, ax.Record)]  # type: ignore[arg-type]


def counted(source: SqlSource, **query: object) -> int:
    """How many rows the database itself let through."""
    return sum(1 for _ in source.fetch("contacts", ax.Query(**query)))  # type: ignore[arg-type]


def test_rows_are_canonical_records(write: Write, source: Make) -> None:
    """Names, dates, moments with a zone, numbers in E.164; what cannot be read is named, and the raw row stays."""
    write(*CUSTOMERS)
    ana, _rui, eva, _joao = sorted(source(contacts=CONTACTS).fetch("contacts", ax.Query()), key=lambda row: row.where)
    assert isinstance(ana, ax.Record)
    assert isinstance(eva, ax.Record)
    assert (ana.id, ana["first_name"], ana["mobile"], ana["birth_date"], ana["status"]) == (
        "1", "Ana", "+351912345678", date(1980, 12, 24), "active",
    )  # fmt: skip
    assert ana["created_at"] == datetime(2026, 11, 20, 9, 30, tzinfo=ZoneInfo("Europe/Lisbon"))
    assert eva["email"] is None
    assert "email" in eva.problems
    assert eva.raw["email"] == "not an address"
    assert ana.where == "erp contacts 1"


def test_a_days_birthdays_are_selected_by_the_database(write: Write, source: Make) -> None:
    """No row but those of the day leaves the server, 29 February too."""
    write(*CUSTOMERS)
    connector = source(contacts=CONTACTS)
    christmas = ax.Anniversary("birth_date", frozenset({(12, 24)}))
    leap = ax.Anniversary("birth_date", frozenset({(2, 28), (2, 29)}))
    assert (ids(connector, anniversary=christmas), counted(connector, anniversary=christmas)) == (["1"], 1)
    assert (ids(connector, anniversary=leap), counted(connector, anniversary=leap)) == (["4"], 1)


def test_ids_spans_and_moments_are_selected_by_the_database(write: Write, source: Make) -> None:
    """Ids whatever their type, dates both ends included, moments to the hour or better."""
    write(*CUSTOMERS, *INVOICES)
    connector = source(contacts=CONTACTS, invoices="SELECT id, number, total AS amount, due FROM invoices")
    assert ids(connector, ids=frozenset({"2", "4", "x", "999999999999999999999"})) == ["2", "4"]
    assert ids(connector, ids=frozenset()) == []
    span = ax.Span("due", date(2026, 11, 30), date(2026, 12, 5))
    assert ids(connector, "invoices", span=span) == ["10", "11"]
    after = ax.Since("created_at", datetime(2026, 11, 21, 12, tzinfo=UTC))
    found = ids(connector, since=after)
    assert "3" in found
    assert "4" not in found
    assert connector.changed_since("contacts")


def test_many_ids_are_asked_for_in_parts(write: Write, source: Make) -> None:
    """More ids than a statement may hold."""
    write("CREATE TABLE customers (id INTEGER, name TEXT)")
    write("INSERT INTO customers VALUES " + ", ".join(f"({number}, 'n')" for number in range(2000)))
    wanted = frozenset(str(number) for number in range(0, 3000, 2))
    assert set(ids(source(contacts="SELECT id, name FROM customers"), ids=wanted)) == {str(number) for number in range(0, 2000, 2)}


@pytest.mark.parametrize("push_down", [True, False])
def test_a_query_may_take_what_is_asked_for_itself(write: Write, source: Make, push_down: bool) -> None:
    """``:since`` and its like are bound, and NULL where nothing of the kind is asked."""
    write(*CUSTOMERS)
    connector = source(contacts=f"{CONTACTS} WHERE (:since IS NULL OR criado > :since) -- and nothing else\n;", push_down=push_down)
    assert ids(connector) == ["1", "2", "3", "4"]
    assert ids(connector, since=ax.Since("created_at", datetime(2026, 11, 21, 9, tzinfo=UTC))) == ["2", "3"]
    by_name = source(contacts=f"{CONTACTS} WHERE (:ids IS NULL OR :ids LIKE '%,' || CAST(id AS TEXT) || ',%')", push_down=push_down)
    assert ids(by_name, ids=frozenset({"1", "3"})) == ["1", "3"]
    spans = source(contacts=f"{CONTACTS} WHERE (:first IS NULL OR nascimento >= :first) AND (:last IS NULL OR nascimento <= :last)")
    assert ids(spans, span=ax.Span("birth_date", date(1980, 1, 1), date(1990, 1, 1))) == ["1", "4"]


def test_a_value_is_bound_and_never_part_of_the_statement(write: Write, source: Make) -> None:
    """Ids come from other systems: none of them is read as SQL."""
    write("CREATE TABLE customers (id TEXT, name TEXT)", "INSERT INTO customers VALUES ('1'' OR ''1''=''1', 'Bobby'), ('2', 'Eva')")
    connector = source(contacts="SELECT id, name FROM customers")
    assert ids(connector, ids=frozenset({"1' OR '1'='1"})) == ["1' OR '1'='1"]
    assert ids(connector, ids=frozenset({"'); DROP TABLE customers; --"})) == []
    assert ids(connector) == ["1' OR '1'='1", "2"]


def test_related_records_come_along(write: Write, source: Make) -> None:
    """By an id that another query of the app has, or by columns with a dot; amounts are decimals."""
    write(*CUSTOMERS, *INVOICES)
    connector = source(contacts=CONTACTS, invoices="SELECT id, number, customer, total AS amount, 'EUR' AS currency, due FROM invoices")
    first, _, lost = connector.fetch("invoices", ax.Query())
    assert isinstance(first, ax.Record)
    assert isinstance(lost, ax.Record)
    assert first["customer"]["first_name"] == "Ana"
    assert (first["amount"], first["amount"].currency, first["balance"]) == (Decimal("123.4"), "EUR", Decimal("123.4"))
    assert lost["customer"] == "99"
    assert "not among the contacts" in lost.problems["customer"]
    joined = (
        'SELECT i.id, i.number, c.id AS "customer.id", c.nome AS "customer.name" FROM invoices i LEFT JOIN customers c ON c.id = i.customer'
    )
    dotted = list(source(invoices=joined).fetch("invoices", ax.Query(ids=frozenset({"10", "12"}))))
    assert [row["customer"] and row["customer"]["first_name"] for row in dotted if isinstance(row, ax.Record)] == ["Ana", None]


def test_columns_are_fields_by_name_or_as_the_profile_says(write: Write, source: Make) -> None:
    """Headings are recognised, ``fields`` overrules them, other columns ride along."""
    write('CREATE TABLE c ("Código" INTEGER, "E-mail" TEXT, pontos REAL)', "INSERT INTO c VALUES (7, 'a@example.com', 1.125)")
    (row,) = source(contacts="SELECT * FROM c", fields={"score": "PONTOS"}).fetch("contacts", ax.Query())
    assert isinstance(row, ax.Record)
    assert (row.id, row["email"], row["score"]) == ("7", "a@example.com", 1.125)


@pytest.mark.parametrize(
    ("sql", "fields", "said"),
    [
        ("SELECT nome AS name FROM customers", {}, "no column id"),
        ("SELECT id, nome FROM customers", {"email": "mail"}, "no column 'mail'"),
        ("SELECT id, nome AS name, email AS name FROM customers", {}, "two columns for name"),
    ],
)
def test_columns_that_do_not_fit_are_named(write: Write, source: Make, sql: str, fields: dict[str, str], said: str) -> None:
    write(*CUSTOMERS)
    with pytest.raises(ax.InputDataError, match=said):
        source(contacts=sql, fields=fields).check()


def test_a_row_without_an_id_is_named_and_costs_no_other(write: Write, source: Make) -> None:
    write("CREATE TABLE c (id TEXT, name TEXT)", "INSERT INTO c VALUES ('a', 'Ana'), (NULL, 'Nobody'), ('b', 'Bea')")
    rows = list(source(contacts="SELECT id, name FROM c").fetch("contacts", ax.Query()))
    assert [isinstance(row, ax.BadRow) for row in rows] == [False, True, False]
    assert rows[1] == ax.BadRow("erp contacts row 2", "id", "has no id")


def test_a_query_that_writes_is_refused(write: Write, source: Make, database: sa.URL) -> None:
    """By its first word, and by the database where a function or a CTE hides it."""
    write(*CUSTOMERS)
    with pytest.raises(ValidationError, match="is no query"):
        source(contacts="DELETE FROM customers")
    if database.get_backend_name() == "postgresql":
        hidden = "WITH gone AS (DELETE FROM customers RETURNING id) SELECT id FROM gone"
        with pytest.raises(ax.SetupError):
            ids(source(contacts=hidden))
        with pytest.raises(ax.SetupError, match="data-modifying"):
            ids(source(contacts=hidden, push_down=False))
        write("CREATE SEQUENCE s")
        with pytest.raises(ax.SetupError, match="read-only transaction"):
            ids(source(contacts="SELECT nextval('s') AS id"))
    else:
        with pytest.raises(ax.SetupError):
            ids(source(contacts="SELECT id FROM customers; DELETE FROM customers"))
    assert ids(source(contacts=CONTACTS)) == ["1", "2", "3", "4"]


def test_a_statement_that_takes_too_long_is_ended(write: Write, source: Make, database: sa.URL) -> None:
    """Try again later, and what to do about it."""
    write(*CUSTOMERS)
    slow = {
        "postgresql": "SELECT id, nome, pg_sleep(30) AS nap FROM customers",
        "sqlite": "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n WHERE id < 0",
    }[database.get_backend_name()]
    clock = SystemClock()
    start = clock.monotonic()
    with pytest.raises(ax.Transient, match="within 1 s"):
        ids(source(contacts=slow, timeout=1))
    assert clock.monotonic() - start < 10


@pytest.mark.parametrize("sql", ["SELECT id FROM nowhere", "SELECT wrong FROM customers", "SELECT id FROM customers WHERE ("])
def test_a_query_that_is_wrong_is_a_fault_of_the_set_up(write: Write, source: Make, sql: str) -> None:
    write(*CUSTOMERS)
    with pytest.raises(ax.SetupError, match="contacts: "):
        source(contacts=sql).check()


def test_rows_stream(write: Write, source: Make, database: sa.URL) -> None:
    """The first row comes at once, however many there are."""
    write("CREATE TABLE n (id INTEGER)")
    many = {"postgresql": "SELECT id FROM (SELECT generate_series(1, 50000000) AS id) n", "sqlite": (
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n LIMIT 50000000) SELECT id FROM n"
    )}[database.get_backend_name()]  # fmt: skip
    rows = source(contacts=many, batch=100, push_down=False).fetch("contacts", ax.Query())
    assert [next(rows).id for _ in range(250)] == [str(number) for number in range(1, 251)]  # type: ignore[union-attr]
    rows.close()  # type: ignore[attr-defined]


def test_fields_are_known_once_the_query_was_asked(write: Write, source: Make) -> None:
    write(*CUSTOMERS)
    connector = source(contacts=CONTACTS)
    assert connector.fields("contacts") is None
    connector.check()
    assert connector.fields("contacts") == {
        "id", "name", "first_name", "last_name", "email", "mobile", "birth_date", "created_at", "status",
    }  # fmt: skip


def test_dates_that_are_text_are_judged_by_the_engine(write: Write, source: Make) -> None:
    """A birthday written 24/12/1980 is not lost because the database cannot read it."""
    write("CREATE TABLE c (id TEXT, birth_date TEXT)", "INSERT INTO c VALUES ('1', '24/12/1980'), ('2', '1975-03-02'), ('3', '1990-12-24')")
    found = ids(source(contacts="SELECT id, birth_date FROM c"), anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)})))
    assert {"1", "3"} <= set(found)


def test_what_cannot_be_reached_has_its_class(tmp_path: Path, server: sa.URL) -> None:
    """A wrong password is the account, a missing database the set-up, a closed port worth another try; no password is told."""

    def check(url: str, **options: object) -> ax.AutomateError:
        connector = SqlSource(SqlOptions.model_validate({"url": url, "contacts": "SELECT id FROM c", **options}), ax.Place(folder=tmp_path))
        with pytest.raises(ax.AutomateError) as caught:
            connector.check()
        connector.close()
        assert "s3cret" not in f"{caught.value!r} {caught.value}"
        return caught.value

    socket = server.query["host"]
    assert isinstance(check(f"postgresql://nobody:s3cret@/postgres?host={socket}"), ax.AccountError)
    assert isinstance(check(f"postgresql://postgres@/nowhere?host={socket}", password="s3cret"), ax.SetupError)
    assert isinstance(check("postgresql://nobody:s3cret@127.0.0.1:1/x?connect_timeout=2"), ax.Transient)
    assert isinstance(check("nosuchthing://u:s3cret@h/x"), ax.SetupError)
    assert isinstance(check("s3cret"), ax.SetupError)
    assert isinstance(check("sqlite:///nowhere.db"), ax.SetupError)
    (tmp_path / "text.db").write_text("this is no database, whatever its name says " * 100)
    assert isinstance(check("sqlite:///text.db"), ax.InputDataError)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no query is named"),
        ({"contacts": "SELECT :sinse"}, ":sinse is not known"),
        ({"contacts": "SELECT 1", "Contas": "SELECT 1"}, "not an entity name"),
        ({"contacts": "SELECT 1", "timeoute": "5"}, "did you mean 'timeout'"),
        ({"contacts": "SELECT 1", "fields": {"deals": {"id": "x"}}}, "has no query"),
        ({"contacts": "SELECT 1", "deals": "SELECT 1", "fields": {"id": "x"}}, "which query"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SqlOptions.model_validate({"url": "sqlite:///erp.db", **options})


def test_casts_and_times_are_no_names() -> None:
    """Colons that PostgreSQL and people write."""
    SqlOptions.model_validate({"url": "sqlite:///x", "contacts": "SELECT id::text, '12:30', '\\\\:x' FROM c WHERE d > :since"})


@pytest.mark.skipif("AUTOMATE_SPEED" not in os.environ, reason="measured on a quiet machine: AUTOMATE_SPEED=1")
def test_a_days_birthdays_cost_little_more_than_the_bare_query(write: Write, source: Make, database: sa.URL) -> None:
    """At most one and a half times as long, and 20 ms: the rest of 300,000 rows never leaves the database."""
    write("CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT, email TEXT, birth_date DATE)")
    engine = sa.create_engine(database, poolclass=sa.StaticPool)
    with engine.begin() as connection:
        rows = [
            {"id": n, "name": f"Ana {n}", "email": f"a{n}@example.com", "day": date(1950, 1, 1) + timedelta(days=n * 7919 % 20_000)}
            for n in range(300_000)
        ]
        insert = sa.text("INSERT INTO c VALUES (:id, :name, :email, :day)").bindparams(sa.bindparam("day", type_=sa.Date()))
        connection.execute(insert, rows)
    day = ax.Query(anniversary=ax.Anniversary("birth_date", frozenset({(12, 24)})))
    connector = source(contacts="SELECT * FROM c")
    wanted = len(list(connector.fetch("contacts", day)))
    sql = {
        "postgresql": "SELECT * FROM c WHERE extract(month FROM birth_date) = 12 AND extract(day FROM birth_date) = 24",
        "sqlite": "SELECT * FROM c WHERE strftime('%m-%d', birth_date) = '12-24'",
    }[database.get_backend_name()]
    clock = SystemClock()
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(5):
        start = clock.monotonic()
        with engine.connect() as connection:
            assert len(connection.execute(sa.text(sql)).fetchall()) == wanted
        bare.append(clock.monotonic() - start)
        start = clock.monotonic()
        assert sum(1 for _ in connector.fetch("contacts", day)) == wanted
        ours.append(clock.monotonic() - start)
    engine.dispose()
    assert min(ours) <= 1.5 * min(bare) + 0.02, f"{min(ours) * 1000:.0f} ms, the bare query takes {min(bare) * 1000:.0f}"

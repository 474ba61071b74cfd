"""The csv source reads files as other programs export them; no row is lost without a word."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from libax_automate.connector import Place
from libax_automate.errors import InputDataError
from libax_automate.plugins.csv_rows import Ids
from libax_automate.plugins.csv_source import CsvOptions, CsvSource
from libax_automate.record import Anniversary, BadRow, Query, Record, Since, Span

ALL = Query()
CHRISTMAS = Query(anniversary=Anniversary("birth_date", frozenset({(12, 24)})))
Make = Callable[..., CsvSource]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Writes the given files and opens a source over them."""
    opened = []

    def source(files: dict[str, str | bytes], **options: Any) -> CsvSource:
        for name, content in files.items():
            (tmp_path / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        paths = {name: f"{name}.csv" for name in files}
        made = CsvSource(CsvOptions(**(paths | options)), Place(folder=tmp_path, timezone="Europe/Lisbon", country="PT"))
        made.open()
        opened.append(made)
        return made

    yield source
    for one in opened:
        one.close()


def rows(source: CsvSource, entity: str = "contacts", query: Query = ALL) -> list[Record | BadRow]:
    return list(source.fetch(entity, query))


def good(found: list[Record | BadRow]) -> list[Record]:
    return [row for row in found if isinstance(row, Record)]


def bad(found: list[Record | BadRow]) -> list[BadRow]:
    return [row for row in found if isinstance(row, BadRow)]


PORTUGUESE = "Código;Nome;E-mail;Telemóvel;Data de nascimento;Estado\r\n1;João Conceição;joao@example.com;912 345 678;24/12/1980;Ativo\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"])
def test_an_export_of_a_portuguese_excel_is_understood_without_a_word(make: Make, encoding: str) -> None:
    (record,) = rows(make({"contacts": PORTUGUESE.encode(encoding)}))
    assert isinstance(record, Record)
    assert record == {
        "id": "1", "name": "João Conceição", "first_name": "João", "last_name": "Conceição", "email": "joao@example.com",
        "mobile": "+351912345678", "birth_date": date(1980, 12, 24), "status": "active",
    }  # fmt: skip
    assert record.where == "contacts.csv:2"
    assert record.raw["Telemóvel"] == "912 345 678"


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_on_the_header_outside_quotes(make: Make, sign: str) -> None:
    source = make({"contacts": f'id{sign}"nome, apelido; e mais"{sign}email\n1{sign}x{sign}a@example.com\n'})
    (record,) = rows(source)
    assert isinstance(record, Record)
    assert record["email"] == "a@example.com"
    assert source.fields("contacts") == frozenset({"id", "nome_apelido_e_mais", "email"})


def test_excels_own_sep_line_is_heeded(make: Make) -> None:
    (record,) = rows(make({"contacts": "sep=,\r\nid,nome;x\r\n1,Ana\r\n"}))
    assert isinstance(record, Record)
    assert (record.id, record.where) == ("1", "contacts.csv:3")


def test_line_ends_of_an_old_mac_are_read(make: Make) -> None:
    found = rows(make({"contacts": "id;nome\r1;Ana\r2;Rui\r"}))
    assert [(row.id, row.where) for row in good(found)] == [("1", "contacts.csv:2"), ("2", "contacts.csv:3")]


def test_one_broken_letter_does_not_turn_a_utf8_file_into_another_encoding(make: Make) -> None:
    lines = [f"{number};João\n".encode() for number in range(50)]
    lines[20] = b"20;Jo\xe3o\n"
    found = rows(make({"contacts": b"id;nome\n" + b"".join(lines)}))
    assert len(good(found)) == 49
    assert {row["name"] for row in good(found)} == {"João"}
    assert bad(found) == [BadRow("contacts.csv:22", "nome", "byte 0xe3 is no letter in utf-8")]


def test_every_bad_row_is_named_by_file_line_column_and_reason_and_the_others_come(make: Make) -> None:
    text = (
        "id;nome;email\n"
        "1;Ana;ana@example.com\n"
        "2;Rui\n"
        "3;Eva;eva@example.com;x;\n"
        "\n"
        ";;\n"
        ";Zé;ze@example.com\n"
        "1;Ana outra;a2@example.com\n"
        "4;N\0;n@example.com\n"
        '5;"aberta;b@example.com\n'
        '6;"a"b;b@example.com\n'
        "7;Fim;fim@example.com"
    )
    found = rows(make({"contacts": text}))
    assert [row.id for row in good(found)] == ["1", "7"]
    assert [(row.where, row.column) for row in bad(found)] == [
        ("contacts.csv:3", "email"),
        ("contacts.csv:4", ""),
        ("contacts.csv:7", "id"),
        ("contacts.csv:8", "id"),
        ("contacts.csv:9", ""),
        ("contacts.csv:10", ""),
        ("contacts.csv:11", ""),
    ]
    assert [why.split(",")[0] for why in (row.why for row in bad(found))][:4] == [
        "has 2 columns where the header has 3",
        "has 5 columns where the header has 3",
        "has no id",
        "id '1' stands in an earlier row",
    ]
    assert "quote" in bad(found)[5].why


def test_an_open_quote_costs_its_own_line_only(make: Make) -> None:
    lines = [f"{number};Ana;a{number}@example.com" for number in range(3000)]
    lines[10] = '10;"Ana;a10@example.com'
    lines[2500] = '2500;Ana";a2500@example.com'
    found = rows(make({"contacts": "id;nome;email\n" + "\n".join(lines)}))
    assert [row.where for row in bad(found)] == ["contacts.csv:12"]
    assert len(good(found)) == 2999


@pytest.mark.parametrize("quoted", ["", '"'])
def test_an_open_quote_that_another_closes_far_below_swallows_no_rows(make: Make, quoted: str) -> None:
    lines = [f"{number};Ana;a{number}@example.com;{quoted}x{quoted}" for number in range(300)]
    lines[10] = '10;"Ana;a10@example.com;x'
    lines[40] = '40;Ana";a40@example.com;x'
    found = rows(make({"contacts": f"id;nome;email;{quoted}nota{quoted}\n" + "\n".join(lines)}))
    assert [row.where for row in bad(found)] == ["contacts.csv:12"]
    assert len(good(found)) == 299


def test_line_numbers_stay_right_over_quoted_line_breaks(make: Make) -> None:
    text = 'id;nome;nota\r\n1;Ana;"duas\r\nlinhas; e ""aspas"""\r\n2;Rui;x\r\n3;"Eva\n\n";"\n"\r\n4;Zé;5" de tubo\r\n'
    found = rows(make({"contacts": text}))
    assert [(row.id, row.where) for row in good(found)] == [
        ("1", "contacts.csv:2"),
        ("2", "contacts.csv:4"),
        ("3", "contacts.csv:5"),
        ("4", "contacts.csv:9"),
    ]
    assert good(found)[0]["nota"] == 'duas\r\nlinhas; e "aspas"'
    assert good(found)[3]["nota"] == '5" de tubo'


def test_a_value_that_cannot_be_read_is_named_and_the_record_comes(make: Make) -> None:
    source = make({"contacts": "id;nome;E-mail;nascimento\n1;Ana;ana@;31/02/1980\n"})
    (record,) = rows(source)
    assert isinstance(record, Record)
    assert (record["email"], record["birth_date"]) == (None, None)
    assert [(row.where, row.column) for row in source.problems("contacts")] == [
        ("contacts.csv:2", "E-mail"),
        ("contacts.csv:2", "nascimento"),
    ]


def test_a_date_that_cannot_be_judged_is_a_bad_row_of_the_birthday_query(make: Make) -> None:
    found = rows(
        make({"contacts": "id;nome;nascimento\n1;Ana;24/12/1980\n2;Rui;24/12/80\n3;Eva;\n4;Zé;1990-12-24\n5;Ivo;25/12/1980\n"}),
        query=CHRISTMAS,
    )
    assert [row.id for row in good(found)] == ["1", "4"]
    assert bad(found) == [BadRow("contacts.csv:3", "nascimento", "'24/12/80' has a year of two digits: write all four")]


def test_columns_named_in_the_profile_are_taken_and_a_wrong_one_is_told_with_the_header(make: Make) -> None:
    text = "Cod;Primeiro;Mail 1;email\n1;Ana;ana@example.com;other@example.com\n"
    (record,) = rows(make({"contacts": text}, fields={"first_name": "Primeiro", "email": "mail 1", "nick": "Primeiro"}))
    assert isinstance(record, Record)
    assert (record["first_name"], record["email"], record["nick"], record["email_2"]) == (
        "Ana",
        "ana@example.com",
        "Ana",
        "other@example.com",
    )
    with pytest.raises(InputDataError, match="no column 'Primero' for first_name; did you mean 'Primeiro'") as caught:
        make({"contacts": text}, fields={"first_name": "Primero"}).check()
    assert "Cod, Primeiro, Mail 1, email" in caught.value.hint


def test_nome_beside_apelido_is_the_first_name(make: Make) -> None:
    (record,) = rows(make({"contacts": "id;Nome;Apelido\n1;Ana;Silva\n"}))
    assert isinstance(record, Record)
    assert (record["name"], record["first_name"], record["last_name"]) == ("Ana Silva", "Ana", "Silva")


def test_two_columns_of_one_name_are_refused(make: Make) -> None:
    with pytest.raises(InputDataError, match=r"two columns called 'EMAIL' \(columns 2 and 3\)"):
        make({"contacts": "id;email;EMAIL\n"}).check()


def test_without_an_id_column_email_then_mobile_then_name_and_birth_date_name_the_row(make: Make) -> None:
    text = "nome;email;telemovel;nascimento\nAna;ana@example.com;912345678;\nRui;;912345679;\nEva;;;24/12/1980\n;;;24/12/1980\n"
    found = rows(make({"contacts": text}))
    assert [row.id for row in good(found)] == ["ana@example.com", "+351912345679", "Eva 1980-12-24"]
    assert [row.where for row in bad(found)] == ["contacts.csv:5"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"PK\x03\x04", "Excel workbook"),
        (b";;\n1;2;3\n", "names no column"),
        (b"cor;peso\n1;2\n", "could name a row"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_what_to_do(make: Make, content: bytes, what: str) -> None:
    with pytest.raises(InputDataError, match=what) as caught:
        rows(make({"contacts": content}))
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_refused_with_what_to_do(tmp_path: Path) -> None:
    for path, what in (("nada.csv", "does not exist"), (".", "is a folder")):
        with pytest.raises(InputDataError, match=what) as caught:
            CsvSource(CsvOptions(contacts=path), Place(folder=tmp_path)).check()
        assert caught.value.hint


def test_any_entity_takes_a_file_and_an_unknown_entity_is_told(make: Make) -> None:
    source = make({"contacts": "id\n1\n", "boats": "id;Nome do barco\n1;Gaivota\n"})
    assert set(source.entities()) == {"contacts", "boats"}
    (boat,) = rows(source, "boats")
    assert isinstance(boat, Record)
    assert boat == {"id": "1", "nome_do_barco": "Gaivota"}
    with pytest.raises(InputDataError, match="has no invoices"):
        rows(source, "invoices")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({}, "no file is named"),
        ({"contacts": "a.csv", "delimeter": ";"}, "did you mean 'delimiter'"),
        ({"contacts": "a.csv", "boats": 3}, "valid string"),
        ({"contacts": "a.csv", "Bo ats": "b.csv"}, "not an entity name"),
        ({"contacts": " "}, "names no file"),
        ({"contacts": "a.csv", "invoices": "b.csv", "fields": {"id": "x"}}, "fields must say which file"),
        ({"contacts": "a.csv", "fields": {"boats": {"id": "x"}}}, "fields.boats has no file"),
        ({"contacts": "a.csv", "fields": {"contacts": {"id": "x"}, "id": "y"}}, "mixes"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        CsvOptions(**options)


INVOICES = "id;número;cliente;valor;vencimento\n1;FT 1;b;1.234,50;30/11/2026\n2;FT 2;nobody;5;01/12/2026\n3;FT 3;;6;02/12/2026\n"


def test_an_invoices_customer_is_the_contact_of_the_same_app(make: Make) -> None:
    source = make({"contacts": 'id;nome;nota\na;Ana;"x\ny"\n\nbad\nb;Bia;z\n', "invoices": INVOICES})
    first, second, third = good(rows(source, "invoices"))
    assert isinstance(first["customer"], Record)
    assert (first["customer"]["name"], first["customer"].where) == ("Bia", "contacts.csv:6")
    assert (second["customer"], second.problems["customer"]) == ("nobody", "'nobody' is not in contacts.csv")
    assert (third["customer"], dict(third.problems)) == (None, {})


def test_a_customer_is_found_by_the_id_that_stands_for_a_missing_id_column(make: Make) -> None:
    source = make({"contacts": "nome;email\nBia;b@example.com\n", "invoices": INVOICES.replace(";b;", ";b@example.com;")})
    assert good(rows(source, "invoices"))[0]["customer"]["first_name"] == "Bia"


def test_queries_are_answered_with_no_fewer_than_match(make: Make) -> None:
    text = "id;nome;nascimento;criado em\n1;A;24/12/1980;2026-11-20T23:30:00Z\n2;B;1981-01-01;2026-11-21\n3;C;;\n4;D;;19/11/2026 10:00\n"
    source = make({"contacts": text})

    def ids(query: Query) -> list[str]:
        return [row.id for row in good(rows(source, query=query))]

    assert ids(Query(ids=frozenset({"2", "9"}))) == ["2"]
    assert ids(Query(span=Span("birth_date", last=date(1980, 12, 31)))) == ["1"]
    assert ids(Query(span=Span("birth_date", first=date(1981, 1, 1)))) == ["2"]
    assert ids(Query(since=Since("created_at", datetime(2026, 11, 20, 12, tzinfo=UTC)))) == ["1", "2"]
    assert ids(Query(anniversary=Anniversary("no_such_field", frozenset({(1, 1)})))) == ["1", "2", "3", "4"]


def test_a_file_replaced_while_the_app_is_open_is_looked_at_again(make: Make, tmp_path: Path) -> None:
    source = make({"contacts": "id;nome\n1;Ana\n"})
    assert len(rows(source)) == 1
    (tmp_path / "contacts.csv").write_text("nome,id\nRui,2\nEva,3\n")
    assert [(row.id, row["name"]) for row in good(rows(source))] == [("2", "Rui"), ("3", "Eva")]


def test_fields_are_the_columns_and_what_is_derived_from_them(make: Make) -> None:
    source = make({"contacts": "Nome;Nascimento;Código Postal\n", "invoices": "number;valor\n"})
    assert source.fields("contacts") == frozenset({"id", "name", "first_name", "last_name", "birth_date", "codigo_postal"})
    assert source.fields("invoices") == frozenset({"id", "number", "amount", "balance"})


CELL = st.text(alphabet='ab;"\n,é 1', max_size=6)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(CELL, st.sampled_from(["24/12/1980", "1990-12-24", "01/01/1970", "", "?"]), CELL), max_size=12),
    st.booleans(),
    st.data(),
)
def test_what_python_writes_as_csv_comes_back_by_every_path(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str, str]], quote_all: bool, data: st.DataObject
) -> None:
    import csv

    path = tmp_path_factory.mktemp("csv") / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(
            file,
            delimiter=";",
            quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
            lineterminator=data.draw(st.sampled_from(["\n", "\r\n"])),
        )
        writer.writerow(["id", "x", "birth_date", "y"])
        writer.writerows((f"n{number}", *row) for number, row in enumerate(table))
    source = CsvSource(CsvOptions(contacts=str(path)), Place())
    everything = rows(source)
    assert bad(everything) == []
    assert [(row.raw["x"], row.raw["birth_date"], row.raw["y"]) for row in good(everything)] == table
    picked = rows(source, query=CHRISTMAS)
    assert [row.id for row in good(picked)] == [f"n{number}" for number, row in enumerate(table) if row[1] in {"24/12/1980", "1990-12-24"}]
    assert len(bad(picked)) == sum(row[1] == "?" for row in table)


@given(st.binary(max_size=300))
def test_no_file_whatever_it_holds_ends_in_anything_but_rows_or_a_reason(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("csv") / "c.csv"
    path.write_bytes(b"id;nome;nascimento\n" + content)
    source = CsvSource(CsvOptions(contacts=str(path)), Place())
    with contextlib.suppress(InputDataError):
        rows(source)
        rows(source, query=CHRISTMAS)


def test_a_query_and_a_full_read_agree_on_a_damaged_file(make: Make) -> None:
    shuffle = random.Random(7)
    lines = []
    for number in range(4000):
        line = f"{number};Ana {number};{shuffle.randrange(20, 29)}/12/{shuffle.randrange(1940, 2000)};x"
        if shuffle.random() < 0.05:
            place = shuffle.randrange(len(line))
            line = line[:place] + shuffle.choice(['"', ";", "\0", "\n", '""', "é"]) + line[place:]
        lines.append(line)
    source = make({"contacts": "id;nome;nascimento;nota\n" + "\n".join(lines)})
    everything = rows(source)
    wanted = [row.where for row in good(everything) if row["birth_date"] and row["birth_date"].day == 24]
    picked = rows(source, query=CHRISTMAS)
    # the first of two rows of one id counts, and a query may not have seen the first
    assert set(wanted) <= {row.where for row in good(picked)}
    structural = {row.where for row in bad(everything) if "columns" in row.why or "quote" in row.why or "NUL" in row.why}
    assert structural <= {row.where for row in bad(picked)}


def test_ids_are_remembered_whatever_their_number() -> None:
    ids = Ids(placed=True)
    assert all(ids.add(str(number), number * 7, number) for number in range(20_000))
    assert not any(ids.add(str(number)) for number in range(20_000))
    assert ids.find("12345") == (12345 * 7, 12345)
    assert ids.find("x") is None


def test_a_status_is_judged_by_its_word_and_a_word_that_means_nothing_is_not_passed_over(make: Make) -> None:
    source = make({"invoices": "id;situacao\n1;Aberto\n2;Pago\n3;\n4;talvez\n5;em aberto\n"})
    found = good(rows(source, "invoices", Query(equals={"status": frozenset({"open"})})))
    assert [(record.id, record["status"]) for record in found] == [("1", "open"), ("4", None), ("5", "open")]
    assert "status" in found[1].problems
    empty = good(rows(source, "invoices", Query(equals={"status": frozenset({"", "paid"})})))
    assert [record.id for record in empty] == ["2", "3", "4"]

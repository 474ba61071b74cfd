"""Rows of a CSV file by id: found by their places, they are the rows that a walk through the file finds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libax_automate.connector import Place
from libax_automate.plugins.csv_source import CsvOptions, CsvSource
from libax_automate.plugins.csv_table import Related
from libax_automate.record import BadRow, Query, Record

HEAD = "id;name;status;customer\n"
COUNT = 400


def invoices(status: str = "open") -> str:
    return HEAD + "".join(f"F{n};Fatura {n};{status};{n % 7}\n" for n in range(COUNT))


def source(folder: Path, text: str, encoding: str = "utf-8") -> CsvSource:
    (folder / "faturas.csv").write_bytes(text.encode(encoding))
    (folder / "clientes.csv").write_text("id;name\n" + "".join(f"{n};Cliente {n}\n" for n in range(5)), encoding="utf-8")
    options = CsvOptions.model_validate({"contacts": "clientes.csv", "invoices": "faturas.csv"})
    return CsvSource(options, Place(folder=folder, timezone="Europe/Lisbon", country="PT"))


def asked(made: CsvSource, *ids: str) -> list[Record | BadRow]:
    return list(made.fetch("invoices", Query(ids=frozenset(ids))))


def told(found: list[Record | BadRow]) -> list[object]:
    return [
        (dict(each), each.where, dict(each.problems), dict(each.raw)) if isinstance(each, Record) else (each.where, each.column, each.why)
        for each in found
    ]


@pytest.fixture
def sought(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the rows were found by their places, one entry a question that tried."""
    found: list[bool] = []
    pick = Related.pick

    def watched(self: Related, *args: object) -> object:
        answer = pick(self, *args)  # type: ignore[arg-type]
        found.append(answer is not None)
        return answer

    monkeypatch.setattr(Related, "pick", watched)
    return found


FILES = {
    "plain": invoices(),
    "quoted": invoices().replace("Fatura 3;", '"Fatura\n3; a ""big"" one";'),
    "a bad row": invoices().replace("F9;Fatura 9;open;2\n", "F9;Fatura 9\n"),
    "an id twice": invoices() + "F3;again;open;1\n",
    "an id in spaces": invoices().replace("F3;", "  F3 ;"),
    "no number of the customer": invoices().replace("F3;Fatura 3;open;3", "F3;Fatura 3;open;99"),
    "a status nobody knows": invoices().replace("F3;Fatura 3;open;3", "F3;Fatura 3;talvez;"),
    "an id of other letters": invoices().replace("F3;", "Fé3;"),
    "dos": invoices().replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_row_is_the_same_wherever_it_is_found(name: str, tmp_path: Path, sought: list[bool]) -> None:
    made = source(tmp_path, FILES[name])
    ids = ("F3", "Fé3", "F250", "F399", "nobody")
    walked = told(asked(made, *ids))
    again = told(asked(made, *ids))
    assert again == walked
    # of a file with a fault only a walk names it
    assert sought == [name not in ("a bad row", "an id twice")]
    everything = [each for each in made.fetch("invoices", Query()) if not isinstance(each, BadRow) and each.id in ids]
    assert [each for each in walked if len(each) == 4] == told([*everything])  # type: ignore[arg-type]
    made.close()


def test_many_of_few_are_read_in_one_walk(tmp_path: Path, sought: list[bool]) -> None:
    made = source(tmp_path, invoices())
    for _ in range(3):
        assert len(asked(made, *(f"F{n}" for n in range(100)))) == 100
    assert sought == []
    made.close()


@pytest.mark.parametrize("replaced", [True, False])
def test_what_changes_between_two_questions_is_seen(tmp_path: Path, sought: list[bool], *, replaced: bool) -> None:
    """A message whose invoice was paid a moment ago must not leave (``Candidate.still``)."""
    made = source(tmp_path, invoices())
    for _ in range(3):
        assert [each["status"] for each in asked(made, "F3") if isinstance(each, Record)] == ["open"]
    assert sought == [True, True]
    path = tmp_path / "faturas.csv"
    if replaced:
        (tmp_path / "new.csv").write_text(invoices("paid"), encoding="utf-8")
        (tmp_path / "new.csv").replace(path)
    else:
        path.write_text(invoices("paid"), encoding="utf-8")
        os.utime(path, ns=(1, 1))
    for _ in range(3):
        assert [each["status"] for each in asked(made, "F3") if isinstance(each, Record)] == ["paid"]
    made.close()


def test_a_record_knows_its_customer_when_its_source_is_closed(tmp_path: Path) -> None:
    made = source(tmp_path, invoices())
    kept = [each for each in made.fetch("invoices", Query()) if isinstance(each, Record)][:7]
    made.close()
    assert [each["customer"]["name"] for each in kept[:5]] == [f"Cliente {n}" for n in range(5)]
    assert kept[5]["customer"] == "5"
    assert kept[5].problem("customer") == kept[5].problems["customer"] == "'5' is not in clientes.csv"

"""A record that reads its fields when asked is, to whoever asks, the record that was read at once."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Mapping
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate._json import dumps
from libax_automate.normalise import Canonical, canonical
from libax_automate.reading import LazyRecord, Reading
from libax_automate.record import ENTITIES, Record

CANONICAL = {entity: Canonical(entity, country="PT", timezone="Europe/Lisbon") for entity in ("contacts", "invoices", "deals", "gadgets")}
#: other spellings of the same fields, and columns that are no field
FOREIGN = ("Nome", "firstName", "Mobile", "e-mail", "E-mail", "birthDate", "Valor", "Saldo", "colour", "Código", "***", "Status", "STATUS")
KEYS = st.sampled_from([*FOREIGN, *dict.fromkeys(name for fields in ENTITIES.values() for name in fields)])
VALUES = st.one_of(
    st.none(),
    st.sampled_from(["", "  ", "Ana Silva", "Silva, Ana", "ana@example.com", "ana@", "912345678", "212345678", "24/12/1980", "31/02/1980"]),
    st.sampled_from(
        ["2026-11-20T09:30:00Z", "1.234,56 €", "R$ 12", "12,3,4", "person", "empresa", "Ativo", "paid", "talvez", "a, b; c", "PT"]
    ),
    st.integers(-5, 10**12),
    st.booleans(),
    st.text(max_size=8),
    st.floats(allow_nan=False, allow_infinity=True),
    st.lists(st.text(max_size=3), max_size=3),
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=9)
WITH_ID = st.builds(lambda row, name: {**row, "id": name}, ROWS, st.sampled_from(["4711", 4711, " x ", "", None, "é"]))
#: what is done to a record before it is looked at as a whole
DEEDS = st.lists(
    st.tuples(st.sampled_from(["get", "in", "item", "problem", "put", "id", "where", "bool"]), KEYS | st.just("nothing")), max_size=8
)


_ABSENT: Any = object()


def at_once(entity: str, values: Mapping[str, Any]) -> Record:
    """The record, every field of it read now."""
    fields, problems = Reading(entity, CANONICAL[entity].converter).fields(values)
    return Record(entity, fields, raw=values, where="here:1", problems=problems)


def do(record: Record, what: str, key: str) -> Any:
    match what:
        case "get":
            return record.get(key, "nobody")
        case "in":
            return key in record
        case "item":
            try:
                return record[key]
            except KeyError:
                return KeyError
        case "problem":
            return record.problem(key)
        case "put":
            record[key] = "mine"
            return None
        case "id":
            return record.id
        case "where":
            return record.where, record.entity
        case _:
            return bool(record)


@given(st.sampled_from(sorted(CANONICAL)), ROWS | WITH_ID, DEEDS)
def test_every_question_has_the_same_answer(entity: str, row: dict[str, Any], deeds: list[tuple[str, str]]) -> None:
    lazy, eager = CANONICAL[entity](row, where="here:1"), at_once(entity, row)
    for what, key in deeds:
        if what == "put" and key in ("problems", "currency"):
            continue
        assert do(lazy, what, key) == do(eager, what, key), (what, key)
    assert list(lazy.items()) == list(eager.items())
    assert dict(lazy.problems) == dict(eager.problems)
    assert list(lazy.problems) == list(eager.problems)
    assert (lazy.entity, lazy.raw, lazy.where, lazy.id) == (eager.entity, eager.raw, eager.where, eager.id)
    assert lazy == eager
    assert not lazy != eager  # noqa: SIM202 - the operator itself


#: fields that depend on one another
PEOPLE = {
    "name": ["Ana Silva", "Silva, Ana", "Ana", ""],
    "first_name": ["Bea", ""],
    "last_name": ["Sá", None],
    "person_type": ["empresa", "f", "?"],
}
OWED = {"amount": ["12,00", "R$ 5", "x", ""], "balance": ["3.50", "?", ""], "currency": ["eur", ""]}


@pytest.mark.parametrize(("entity", "fields"), [("contacts", PEOPLE), ("invoices", OWED)])
def test_what_follows_from_other_fields_follows_whichever_is_asked_first(entity: str, fields: dict[str, list[Any]]) -> None:
    for values in product(*([_ABSENT, *each] for each in fields.values())):
        row = {"id": "7", **{name: value for name, value in zip(fields, values, strict=True) if value is not _ABSENT}}
        eager = at_once(entity, row)
        for asked in permutations((*fields, "nothing"), 2):
            lazy = CANONICAL[entity](row, where="here:1")
            for name in asked:
                for what in ("in", "get", "problem", "item"):
                    assert do(lazy, what, name) == do(eager, what, name), (row, asked, what, name)
            assert list(lazy.items()) == list(eager.items())


#: every way in which Python walks a dictionary, its C code included
WAYS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,
    "unpacked": lambda record: {**record},
    "arguments": lambda record: _named(**record),
    "list": list,
    "sorted": lambda record: sorted(record, key=str),
    "len": len,
    "reversed": lambda record: list(reversed(record)),
    "keys": lambda record: list(record.keys()),
    "values": lambda record: list(record.values()),
    "or": lambda record: record | {"more": 1},
    "ror": lambda record: {"more": 1} | record,
    "into": lambda record: _into({"more": 1}, record),
    "copy": lambda record: record.copy(),
    "copied": copy.copy,
    "deep": copy.deepcopy,
    "pickled": lambda record: pickle.loads(pickle.dumps(record)),
    "repr": repr,
    "text": str,
    "json": lambda record: json.dumps(record, default=str),
    "json, nested": lambda record: json.dumps({"one": record}, default=str, indent=1),
    "ours": lambda record: dumps({"one": [record]}),
    "pop": lambda record: (record.pop("email"), record.pop("nothing", 7), list(record)),
    "popitem": lambda record: (record.popitem(), list(record)),
    "setdefault": lambda record: (record.setdefault("email", 1), record.setdefault("new", 2), list(record)),
    "update": lambda record: (record.update({"email": 3}, new=4), list(record.items())),
    "delete": lambda record: (record.__delitem__("email"), list(record.items())),
    "clear": lambda record: (record.clear(), dict(record), bool(record)),
    "format": "{0[name]} {0[mobile]}".format,
    "mapped": "{name} {mobile}".format_map,
}
ROW = {
    "Name": "Ana Silva",
    "email": "Ana@Example.com",
    "mobile": "912 345 678",
    "birth_date": "24/12/1980",
    "id": 7,
    "city": "Pôrto",
    "phone": "",
}


def _into(target: dict[str, Any], record: Record) -> dict[str, Any]:
    target.update(record)
    target |= record
    return target


def _named(**values: Any) -> dict[str, Any]:
    return values


def _matched(record: Record) -> Any:
    match record:
        case {"first_name": first, "email": email, **rest}:
            return first, email, rest
    return None


WAYS["match"] = _matched


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", [(), ("first_name", "mobile"), ("email",)])
def test_every_way_through_a_dictionary_finds_all_of_it(way: str, before: tuple[str, ...]) -> None:
    lazy, eager = CANONICAL["contacts"](ROW, where="here:1"), at_once("contacts", ROW)
    assert isinstance(lazy, LazyRecord)
    for name in before:
        assert lazy[name] == eager[name]
    assert WAYS[way](lazy) == WAYS[way](eager)
    assert (lazy, dict(lazy)) == (eager, dict(eager))
    assert eager == lazy


def test_only_what_is_asked_for_is_read() -> None:
    asked: list[str] = []
    other = Canonical("contacts", country="PT")

    def converter(name: str) -> Any:
        convert = other.converter(name)

        def noted(value: Any) -> Any:
            asked.append(name)
            return convert(value)

        return noted

    record = Reading("contacts", converter).record(ROW, at="here:1")
    assert (record.id, record["mobile"], record.get("nothing"), record.problem("mobile")) == ("7", "+351912345678", None, None)
    assert record["mobile"] == "+351912345678"
    assert asked == ["id", "mobile"]
    assert "email" in record
    assert asked == ["id", "mobile"]


def test_what_was_written_into_a_record_stays() -> None:
    record = CANONICAL["contacts"](ROW, where="here:1")
    record["email"], record["partner"] = "other@example.com", "17"
    record.problems = {**record.problems, "partner": "is not there"}
    assert list(record.items())[-1] == ("partner", "17")
    assert record["email"] == "other@example.com"
    assert record.problem("partner") == record.problems["partner"] == "is not there"


def test_one_row_alone_is_the_same_record() -> None:
    assert canonical("contacts", ROW, country="PT", where="here:1") == at_once("contacts", ROW)

"""Page walks: every page once, to the last; relations a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from libax_automate.errors import InputDataError
from libax_automate.paging import related, rows_at, walk
from libax_automate.record import BadRow, Record


def test_a_walk_reads_every_page_once_and_only_when_it_is_needed() -> None:
    pages = {"": ([1, 2], "b"), "b": ([], "c"), "c": ([3], None)}
    asked: list[str] = []

    def ask(token: str) -> tuple[list[int], str | None]:
        asked.append(token)
        return pages[token]

    rows = walk(ask, "")
    assert next(rows) == 1
    assert asked == [""]
    assert list(rows) == [2, 3]
    assert asked == ["", "b", "c"]


@pytest.mark.parametrize("next_of_second", ["", "b"])
def test_a_walk_that_turns_round_ends_before_anybody_is_met_twice(next_of_second: str) -> None:
    pages = {"": ([1], "b"), "b": ([1], next_of_second)}
    rows = walk(lambda token: pages[token], "")
    assert next(rows) == 1
    with pytest.raises(InputDataError, match="again and again"):
        next(rows)


@pytest.mark.parametrize("body", [None, 7, "x", {}, {"data": None}, {"data": {"items": {}}}, [], [{"data": []}]])
def test_what_holds_no_list_is_no_empty_list(body: object) -> None:
    with pytest.raises(InputDataError, match=r"data\.items"):
        rows_at(body, "data", "items")


def test_the_list_may_be_the_whole_reply_or_stand_deep_in_it() -> None:
    assert rows_at([1]) == [1]
    assert rows_at({"data": {"items": []}}, "data", "items") == []
    with pytest.raises(InputDataError, match="no list"):
        rows_at({})


def test_relations_are_asked_for_once_a_batch_and_once_a_record() -> None:
    asked: list[list[str]] = []

    def people(ids: frozenset[str]) -> Iterable[Record | BadRow]:
        asked.append(sorted(ids))
        yield BadRow("contacts", "id", "it has no id")
        yield from (Record("contacts", {"id": one, "name": f"Ana {one}"}) for one in ("1", "2", "5") if one != "5" or one in ids)

    def deals() -> Iterator[Record | BadRow]:
        for number, contact in enumerate(["1", "2", None, "1", "2", "9"]):
            yield Record("deals", {"id": str(number), "contact": contact})
        yield BadRow("deals", "id", "it has no id")

    found = list(related(deals(), {"contact": people}, batch=3))
    records = [row for row in found if isinstance(row, Record)]
    assert len(found) == 7
    assert [row["contact"]["name"] if isinstance(row["contact"], Record) else row["contact"] for row in records] == [
        "Ana 1",
        "Ana 2",
        None,
        "Ana 1",
        "Ana 2",
        "9",
    ]
    assert records[-1].problems == {"contact": "'9' is not to be found"}
    assert asked == [["1", "2"], ["9"]]


def test_a_record_that_is_already_there_is_left_alone() -> None:
    there = Record("contacts", {"id": "1"})
    (row,) = related(iter([Record("deals", {"id": "7", "contact": there})]), {"contact": lambda _: pytest.fail("asked")}, batch=10)
    assert isinstance(row, Record)
    assert row["contact"] is there

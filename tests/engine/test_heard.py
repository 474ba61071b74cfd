"""Who heard what, kept small: against a plain dictionary, and in bytes."""

from __future__ import annotations

import tracemalloc
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from libax_automate.engine.heard import Heard, Word

WORDS = [Word("a", "", "courtesy"), Word("b", "aviso", "billing"), Word("b", "firme", "billing")]
EVENTS = st.lists(st.tuples(st.integers(0, 3000), st.sampled_from([None, *WORDS]), st.floats(0, 4e9)), max_size=300)


@given(EVENTS)
def test_what_was_added_comes_out_in_its_order(events: list[tuple[int, Word | None, float]]) -> None:
    heard, said, planned = Heard(), defaultdict[str, list[tuple[float, Word]]](list), Counter[str]()
    for number, word, at in events:
        if word is None:
            heard.plan(f"p{number}")
            planned[f"p{number}"] += 1
        else:
            heard.add(f"p{number}", at, word)
            said[f"p{number}"].append((at, word))
    for person in (*said, *planned, "nobody"):
        assert heard.of(person) == said[person]
        assert heard.planned(person) == planned[person]


def test_many_persons_are_told_apart_when_the_tables_grow() -> None:
    heard = Heard()
    for number in range(5000):
        heard.add(str(number), float(number), WORDS[number % 3])
        if number % 2:
            heard.plan(str(number))
    for number in range(5000):
        assert heard.of(str(number)) == [(float(number), WORDS[number % 3])]
        assert heard.planned(str(number)) == number % 2


def test_a_person_takes_some_tens_of_bytes() -> None:
    tracemalloc.start()
    heard = Heard()
    for number in range(60_000):
        heard.add(str(number), float(number), WORDS[0])
        heard.plan(str(number))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 60_000 * 64

"""Who heard what lately, in flat arrays: a million persons take some forty megabytes, whatever their ids look like."""

from __future__ import annotations

from array import array
from typing import NamedTuple


class Word(NamedTuple):
    """What was said: by which model, at which of its steps, and what class of word it was."""

    model: str
    step: str
    kind: str


class Heard:
    """Words by person, in the order in which they were added, and how many more the plan in hand holds for each.

    A person is known by a hash of 64 bits. That two of a million share one is a chance of one in forty million; then one of them waits for
    the other's cap.
    """

    def __init__(self) -> None:
        self._persons = 0
        self._size = 0
        self._hashes, self._last, self._planned = array("Q"), array("I"), array("H")
        # a chain per person: each word knows the one before it, 0 = none
        self._at, self._what, self._before = array("d", (0.0,)), array("I", (0,)), array("I", (0,))
        self._words: list[Word] = []
        self._places: dict[Word, int] = {}
        self._grow(1 << 10)

    def add(self, person: str, at: float, word: Word) -> None:
        """``person`` heard ``word`` at an instant, in epoch seconds."""
        place = self._places.get(word)
        if place is None:
            place = self._places[word] = len(self._words)
            self._words.append(word)
        slot = self._met(person)
        self._at.append(at)
        self._what.append(place)
        self._before.append(self._last[slot])
        self._last[slot] = len(self._at) - 1

    def plan(self, person: str) -> None:
        """One more message to ``person`` is planned now."""
        slot = self._met(person)
        if self._planned[slot] < 0xFFFF:
            self._planned[slot] += 1

    def begin(self) -> None:
        """Nothing is planned."""
        self._planned = array("H", bytes(2 * self._size))

    def planned(self, person: str) -> int:
        """How many messages to ``person`` are planned now."""
        slot = self._slot(hash(person) & 0xFFFF_FFFF_FFFF_FFFF or 1)
        return self._planned[slot]

    def of(self, person: str) -> list[tuple[float, Word]]:
        """What ``person`` heard, and when."""
        place = self._last[self._slot(hash(person) & 0xFFFF_FFFF_FFFF_FFFF or 1)]
        if not place:
            return []
        found = []
        while place:
            found.append((self._at[place], self._words[self._what[place]]))
            place = self._before[place]
        found.reverse()
        return found

    def _slot(self, number: int) -> int:
        mask, hashes = self._size - 1, self._hashes
        slot = number & mask
        while hashes[slot] not in (0, number):
            slot = (slot + 1) & mask
        return slot

    def _met(self, person: str) -> int:
        number = hash(person) & 0xFFFF_FFFF_FFFF_FFFF or 1
        slot = self._slot(number)
        if not self._hashes[slot]:
            if self._persons * 2 >= self._size:
                self._grow(self._size * 2)
                slot = self._slot(number)
            self._hashes[slot] = number
            self._persons += 1
        return slot

    def _grow(self, size: int) -> None:
        hashes, last, planned = self._hashes, self._last, self._planned
        self._size = size
        self._hashes, self._last, self._planned = array("Q", (0,)) * size, array("I", (0,)) * size, array("H", (0,)) * size
        for place, number in enumerate(hashes):
            if number:
                slot = self._slot(number)
                self._hashes[slot], self._last[slot], self._planned[slot] = number, last[place], planned[place]

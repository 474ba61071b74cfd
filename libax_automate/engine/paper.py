"""A document on its way: what a message carries before it has its number, and how it is finished once the number is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

#: what a plan shows where only a real run takes a number
LATER = "(numbered at run)"
#: the placeholders of every message that carries a document, with samples
NUMBERED = {"number": "NP 2026/7", "issued": "2026-12-01"}


@dataclass(frozen=True, slots=True)
class Finished:
    """A document with its number: the message's payload that speaks of it, its file's name, and its bytes."""

    payload: dict[str, Any]
    file: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A document without its number. The same number always makes the same bytes."""

    profile: str
    #: numbers count within it, without gaps: the stem, and of a yearly one the year
    series: str
    stem: str
    #: the first number of all, where no series of the stem has one yet; later years begin with 1
    first: int
    #: how a number of the series is written
    written: Callable[[int], str]
    day: date
    period: str
    total: Decimal
    currency: str
    #: ids of the records that it speaks of: no other document of the model may
    records: tuple[str, ...]
    #: print it under its number; raises what a wrong layout raises
    finish: Callable[[str], Finished]

"""CSV for people who open it in a spreadsheet: formulas defused."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

#: a cell that begins with one of these is a formula to a spreadsheet (OWASP, CSV injection)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: a telephone number (E.164) is a number to a spreadsheet, and would be no number any more with a mark before it
_PHONE = re.compile(r"\+[0-9]{4,15}", re.ASCII)


def defused(value: Any) -> str:
    """A cell's text that no spreadsheet runs: what looks like a formula gets an apostrophe in front."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _PHONE.fullmatch(text) else text


def sheet(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV (RFC 4180, UTF-8) with a heading; every cell defused."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([defused(cell) for cell in row] for row in rows)
    return out.getvalue()

"""A list of any length on its way to stdout: laid on disk, so that an answer comes out whole or not at all, and memory stays flat."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

from libax_automate.cli.output import Column, Output

#: bytes kept in memory before they go to disk
_IN_MEMORY = 1 << 20
#: rows that are drawn for a person at a terminal; whoever wants all has a pipe, --json or --save
_DRAWN = 1000


class Listing:
    """Gathers the items of an answer; ``show`` prints them as a table for people, ``answer`` as the JSON object's ``items``."""

    def __init__(self, out: Output, columns: Sequence[Column]) -> None:
        self._out = out
        self._columns = columns
        self._widths = [0] * len(columns)
        self._file: IO[str] = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", errors="surrogatepass", newline="\n")  # noqa: SIM115
        self._encode = json.JSONEncoder(ensure_ascii=out.json and not out.unicode, default=str).encode
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def json(self) -> bool:
        """Whether the answer is for programs."""
        return self._out.json

    def add(self, item: Mapping[str, Any]) -> None:
        """One more item, in the answer's order."""
        self.count += 1
        if self._out.json:
            self._file.write(self._encode(item) + "\n")
            return
        if self.count > _DRAWN and self._out.drawn:
            return
        cells = [column.text(item) for column in self._columns]
        self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        self._file.write(self._encode(cells) + "\n")

    def show(self) -> None:
        """The items as a table; at a terminal the first thousand."""
        if not self.count:
            return
        self._out.grid(self._columns, self._cells, self._widths)
        if self._out.drawn and self.count > _DRAWN:
            self._out.line(f"… and {self.count - _DRAWN} more (all of them: --json, --save FILE, or into a pipe)")

    def answer(self, **extra: Any) -> None:
        """The one JSON object of the command: ``items``, then ``extra``."""
        self._out.stream("items", self._lines(), extra)

    def _lines(self) -> Iterator[str]:
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip("\n")

    def _cells(self) -> Iterator[list[str]]:
        for line in self._lines():
            yield json.loads(line)


class Tally:
    """Counts texts, and names the most frequent; however many different ones there are, it remembers a bounded number."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        self.total = 0

    def add(self, text: str) -> None:
        """Count one more."""
        self.total += 1
        counts = self._counts
        if text in counts or len(counts) < self._most:
            counts[text] += 1

    def first(self, number: int) -> list[tuple[str, int]]:
        """The ``number`` most frequent with their counts."""
        return self._counts.most_common(number)

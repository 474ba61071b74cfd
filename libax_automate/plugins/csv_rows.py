"""The rows of one CSV file, out of its bytes: every row comes out, is known not to be asked for, or is named as bad."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from libax_automate.plugins.csv_dialect import Dialect
from libax_automate.record import BadRow

#: a quoted cell may go on over this many physical lines, and a row over this many bytes; beyond it the quote was never closed
_LINES = 1000
_BYTES = 1 << 20
_VERDICTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Probe:
    """Judges a row by one cell: True keeps it, False passes it over, a text says why the cell cannot be read.

    Verdicts are remembered by the cell's bytes, so a date column costs one parse per distinct date.
    """

    column: int
    judge: Callable[[str], bool | str]


class Rows:
    """Reads ``file`` from where it stands; ``line`` physical lines are before it. Made for one reader, once."""

    def __init__(self, file: BinaryIO, dialect: Dialect, shown: str, *, line: int) -> None:
        self._file = file
        self._dialect = dialect
        self._shown = shown
        self._width = len(dialect.header)
        #: physical lines read so far
        self.line = line
        self._pending: bytes | None = None
        self._more = 0
        self._more_bytes = 0
        self._reader = self._new_reader()

    def where(self, line: int) -> str:
        """``clientes.csv:12``."""
        return f"{self._shown}:{line}"

    def read(self, probe: Probe | None = None) -> Iterator[tuple[int, list[str]] | BadRow]:
        """The first physical line and the cells of each row that ``probe`` keeps; BadRow for each that cannot be read.

        Blank lines, and lines of nothing but delimiters, are no rows.

        Most lines hold no quote: counting their delimiters proves their shape, and only the judged cell is cut out.
        A line that holds one goes through the csv module, unless it is quoted throughout, which counting proves too.
        """
        # names bound once: this loop runs a million times
        encoding, sign = self._dialect.encoding, self._dialect.delimiter.encode()
        quotes, nuls, width = self._dialect.quotes, self._dialect.nuls, self._width
        signs, marks, joint = width - 1, width * 2, b'"' + sign + b'"'
        delimiter = self._dialect.delimiter
        column = probe.column if probe else 0
        verdicts: dict[bytes, bool | str] = {}
        for raw in self._file:
            self.line = line = self.line + 1
            if nuls and b"\0" in raw:
                yield BadRow(self.where(line), "", "holds a NUL byte: the file is damaged, or not text")
                continue
            cells: list[str] | None = None
            whole = False
            if quotes and b'"' in raw:
                if raw.count(b'"') == marks and raw.count(joint) == signs and raw[:1] == b'"' == raw.rstrip(b"\r\n")[-1:]:
                    whole = True
                    cut = joint
                else:
                    row = self._quoted(raw, line)
                    if isinstance(row, BadRow):
                        yield row
                        continue
                    cells = row
                    if probe:
                        verdict = probe.judge(cells[column].strip()) if any(cells) else False
                        if verdict is not True:
                            if verdict:
                                yield BadRow(self.where(line), self._dialect.header[column], str(verdict))
                            continue
                    yield line, cells
                    continue
            elif raw.count(sign) != signs:
                if bad := self._misshapen(raw, line):
                    yield bad
                continue
            else:
                cut = sign
            if probe:
                cell = raw.split(cut, column + 1)[column]
                known = verdicts.get(cell)
                if known is None:
                    if len(verdicts) >= _VERDICTS:
                        verdicts.clear()
                    try:
                        known = probe.judge(cell.strip(b'"\r\n' if whole else b"\r\n").decode(encoding).strip())
                    except UnicodeDecodeError:
                        known = True  # told below, with the whole row
                    verdicts[cell] = known
                if known is False:
                    continue
                if known is not True:
                    if raw.strip(b' \t\r\n"' + sign):
                        yield BadRow(self.where(line), self._dialect.header[column], str(known))
                    continue
            try:
                text = raw.decode(encoding).rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield self._undecodable(raw, error, line)
                continue
            cells = text[1:-1].split(f'"{delimiter}"') if whole else text.split(delimiter)
            if any(map(str.strip, cells)):
                yield line, cells

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines(), delimiter=self._dialect.delimiter, strict=True)

    def _lines(self) -> Iterator[str]:
        """Feeds the csv reader: the pending line, then, while its quote is open, the lines after it."""
        while True:
            raw = self._pending
            self._pending = None
            if raw is None:
                raw = self._file.readline(_BYTES)
                self._more_bytes += len(raw)
                self._more += 1
                if not raw or self._more > _LINES or self._more_bytes > _BYTES:
                    return
            yield raw.decode(self._dialect.encoding)

    def _quoted(self, raw: bytes, line: int) -> list[str] | BadRow:
        """The row that starts with ``raw``. A bad one costs its first line only: the lines after it are read again as rows of their own."""
        self._pending, self._more, self._more_bytes = raw, 0, 0
        try:
            cells = next(self._reader)
            if len(cells) == self._width:
                self.line += self._more
                return cells
            if self._more:
                bad = BadRow(
                    self.where(line), "", "a quote opened here is not closed on this line, and the lines after it do not complete the row"
                )
            else:
                bad = self._shape(cells, line)
        except UnicodeDecodeError as error:
            bad = self._undecodable(raw, error, line)
            self._reader = self._new_reader()
        except (csv.Error, StopIteration) as error:
            open_quote = isinstance(error, StopIteration) or "unexpected end" in str(error)
            why = "a quote opened here is never closed" if open_quote else f"its quotes cannot be read: {error}"
            bad = BadRow(self.where(line), "", why)
            self._reader = self._new_reader()
        if self._more_bytes:
            self._file.seek(-self._more_bytes, 1)
        return bad

    def _misshapen(self, raw: bytes, line: int) -> BadRow | None:
        sign = self._dialect.delimiter
        text = raw.decode(self._dialect.encoding, "replace")
        return self._shape(text.split(sign), line) if text.replace(sign, "").strip() else None

    def _shape(self, cells: list[str], line: int) -> BadRow:
        count, width = len(cells), self._width
        column = self._dialect.header[count] if count < width else ""
        return BadRow(self.where(line), column, f"has {count} column{'s' * (count != 1)} where the header has {width}")

    def _undecodable(self, raw: bytes, error: UnicodeDecodeError, line: int) -> BadRow:
        column = ""
        if error.object == raw:
            before = raw[: error.start].count(self._dialect.delimiter.encode())
            column = self._dialect.header[before] if before < self._width and b'"' not in raw else ""
        return BadRow(self.where(line), column, f"byte 0x{error.object[error.start]:02x} is no letter in {self._dialect.encoding}")


class Ids:
    """Ids seen, each with a place in the file: 64-bit hashes in flat arrays, 40 bytes an id at most, whatever the ids' length."""

    def __init__(self) -> None:
        self._count = 0
        self._grow(1 << 10)

    def _grow(self, size: int) -> None:
        old = zip(self._hashes, self._offsets, self._lines, strict=True) if self._count else ()
        self._mask = size - 1
        self._hashes, self._offsets, self._lines = (array("Q", bytes(8 * size)) for _ in range(3))
        for number, offset, line in old:
            if number:
                self._put(number, offset, line)

    def _slot(self, number: int) -> int:
        slot, mask, hashes = number & self._mask, self._mask, self._hashes
        while hashes[slot] not in (0, number):
            slot = (slot + 1) & mask
        return slot

    def _put(self, number: int, offset: int, line: int) -> None:
        slot = self._slot(number)
        self._hashes[slot], self._offsets[slot], self._lines[slot] = number, offset, line

    def add(self, name: str, offset: int = 0, line: int = 0) -> bool:
        """Remember the id ``name`` and its place; False when it is known already (the first place stays)."""
        number = hash(name) & 0xFFFF_FFFF_FFFF_FFFF or 1
        if self._hashes[self._slot(number)]:
            return False
        if self._count * 2 > self._mask:
            self._grow((self._mask + 1) * 2)
        self._put(number, offset, line)
        self._count += 1
        return True

    def find(self, name: str) -> tuple[int, int] | None:
        """The (offset, line) that the id ``name`` was added with."""
        slot = self._slot(hash(name) & 0xFFFF_FFFF_FFFF_FFFF or 1)
        return (self._offsets[slot], self._lines[slot]) if self._hashes[slot] else None

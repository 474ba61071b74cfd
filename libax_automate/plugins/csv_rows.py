"""The rows of one CSV file, out of its bytes: every row comes out, is known not to be asked for, or is named as bad."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from libax_automate.plugins.csv_dialect import Dialect
from libax_automate.record import BadRow

#: a quoted cell may go on over this many physical lines, and a row over this many bytes; beyond it the quote was never closed
_LINES = 1000
_BYTES = 1 << 20
_VERDICTS = 1 << 16
#: ids that are remembered as they are
_FEW = 1 << 15


@dataclass(frozen=True, slots=True)
class Probe:
    """Judges a row by one cell: True keeps it, False passes it over, a text says why the cell cannot be read.

    Verdicts are remembered by the cell's bytes, so a date column costs one parse per distinct date.
    """

    column: int
    judge: Callable[[str], bool | str]
    #: the only cells that are kept, where that is all there is to it
    among: frozenset[str] | None = None


_Cell = TypeVar("_Cell", str, bytes)


def _fits(text: str, encoding: str) -> bool:
    try:
        return bool(text.encode(encoding))
    except UnicodeEncodeError:
        return False


def _judged(probe: Probe, known: dict[_Cell, bool | str], key: _Cell, cell: str) -> bool | str:
    """The probe's verdict on a cell that is met for the first time."""
    if len(known) >= _VERDICTS:
        known.clear()
    verdict = known[key] = probe.judge(cell.strip())
    return verdict


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

    def read(self, probe: Probe | None = None, *, placed: bool = False) -> Iterator[tuple[int, list[str]] | BadRow]:
        """The first physical line and the cells of each row that ``probe`` keeps; BadRow for each that cannot be read.

        Blank lines, and lines of nothing but delimiters, are no rows. With ``placed`` the file stands, and ``line`` counts, at
        the end of each row as it is answered.
        """
        dialect = self._dialect
        if dialect.quotes and not (dialect.nuls or placed):
            yield from self._swift(probe)
        yield from self._steady(probe)

    def _swift(self, probe: Probe | None) -> Iterator[tuple[int, list[str]] | BadRow]:
        """Quotes, and nothing wrong yet: the csv module reads on its own. Leaves at the first row that is in doubt."""
        width, column = self._width, probe.column if probe else 0
        exact = probe is not None and probe.among is not None
        known: dict[str, bool | str] = dict.fromkeys(probe.among, True) if probe is not None and probe.among is not None else {}
        start, before, done, doubt = self._file.tell(), self.line, 0, True
        text = io.TextIOWrapper(self._file, self._dialect.encoding, newline="\n")
        reader = csv.reader(text, delimiter=self._dialect.delimiter, strict=True)
        with contextlib.suppress(csv.Error, UnicodeDecodeError):
            try:
                for cells in reader:
                    now = reader.line_num
                    if len(cells) != width:
                        if any(map(str.strip, cells)):
                            break
                    elif now - done > 1 and self._swallows(cells):
                        break
                    elif probe is None:
                        if any(map(str.strip, cells)):
                            yield before + done + 1, cells
                    else:
                        verdict = known.get(cells[column])
                        if verdict is None:
                            # of a hundred thousand ids none needs to be remembered
                            verdict = not (exact and cells[column].isalnum()) and _judged(probe, known, cells[column], cells[column])
                        if verdict is not False:
                            yield self._answer(before + done + 1, cells, verdict, column)
                    done = now
                else:
                    doubt = False
            finally:
                text.detach()
        self.line = before + done
        if not doubt:
            return
        self._file.seek(start)
        for _ in itertools.islice(self._file, done):
            pass

    def _steady(self, probe: Probe | None) -> Iterator[tuple[int, list[str]] | BadRow]:
        """Line by line: counting the delimiters of a line without quotes proves its shape, and only the judged cell is cut out."""
        # names bound once: this loop runs a million times
        encoding, delimiter, sign = self._dialect.encoding, self._dialect.delimiter, self._dialect.delimiter.encode()
        quotes, nuls, signs = self._dialect.quotes, self._dialect.nuls, self._width - 1
        column = probe.column if probe else 0
        pieces = column + 1
        known: dict[bytes, bool | str] = {}
        parsed: dict[str, bool | str] = {}
        exact = probe is not None and probe.among is not None
        if probe is not None and probe.among is not None:
            known = dict.fromkeys((text.encode(encoding) for text in probe.among if _fits(text, encoding)), True)
        verdict: bool | str | None
        for raw in self._file:
            self.line = line = self.line + 1
            if nuls and b"\0" in raw:
                yield BadRow(self.where(line), "", "holds a NUL byte: the file is damaged, or not text")
                continue
            if quotes and b'"' in raw:
                row = self._quoted(raw, line)
                if isinstance(row, BadRow):
                    yield row
                    continue
                if probe is None:
                    verdict = True
                else:
                    verdict = parsed.get(row[column])
                    if verdict is None:
                        verdict = _judged(probe, parsed, row[column], row[column])
                if verdict is not False and any(map(str.strip, row)):
                    yield self._answer(line, row, verdict, column)
                continue
            if raw.count(sign) != signs:
                if bad := self._misshapen(raw, line):
                    yield bad
                continue
            verdict = True
            try:
                if probe:
                    cell = raw.split(sign, pieces)[column]
                    verdict = known.get(cell)
                    if verdict is None:
                        verdict = not (exact and cell.isalnum()) and _judged(probe, known, cell, cell.decode(encoding))
                    if verdict is False:
                        continue
                cells = raw.decode(encoding).rstrip("\r\n").split(delimiter)
            except UnicodeDecodeError as error:
                yield self._undecodable(raw, error, line)
                continue
            if verdict is True and cells[0] and not cells[0].isspace():
                yield line, cells
            elif any(map(str.strip, cells)):
                yield self._answer(line, cells, verdict, column)

    def _answer(self, line: int, cells: list[str], verdict: bool | str, column: int) -> tuple[int, list[str]] | BadRow:
        return (line, cells) if verdict is True else BadRow(self.where(line), self._dialect.header[column], str(verdict))

    def _swallows(self, cells: list[str]) -> bool:
        """Whether a cell of several lines holds lines that look like rows: then its quote was opened by mistake.

        No CSV reader can be sure of this. All the lines within must have a row's number of delimiters; narrow tables need more
        of them, for a text may well hold a comma or two.
        """
        sign, signs = self._dialect.delimiter, self._width - 1
        within = [line for cell in cells if "\n" in cell for line in cell.split("\n")[1:-1]]
        return len(within) >= (1 if signs >= 4 else 3) and signs > 0 and all(line.count(sign) == signs for line in within)

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
            if len(cells) == self._width and not (self._more and self._swallows(cells)):
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
    """Ids seen: of many, 64-bit hashes in one flat array: 16 to 32 bytes an id, whatever its length; 48 to 96 with its place in the file."""

    def __init__(self, *, placed: bool = False) -> None:
        #: the first ones as they are: a set takes a third of the time, and of so few no room to speak of
        self._few: set[str] | None = None if placed else set()
        self._count = 0
        self._placed = placed
        self._size = 0
        self._hashes = self._offsets = self._lines = array("Q")
        self._grow(1 << 10)

    def _grow(self, size: int) -> None:
        hashes, offsets, lines = self._hashes, self._offsets, self._lines
        self._size = size
        self._hashes = array("Q", (0,)) * size
        if self._placed:
            self._offsets, self._lines = array("Q", (0,)) * size, array("Q", (0,)) * size
        for place, number in enumerate(hashes):
            if number:
                slot = self._slot(number)
                self._hashes[slot] = number
                if self._placed:
                    self._offsets[slot], self._lines[slot] = offsets[place], lines[place]

    def _slot(self, number: int) -> int:
        mask, hashes = self._size - 1, self._hashes
        slot = number & mask
        while hashes[slot] not in (0, number):
            slot = (slot + 1) & mask
        return slot

    def add(self, name: str, offset: int = 0, line: int = 0) -> bool:
        """Remember the id ``name`` and its place; False when it is known already (the first place stays)."""
        if self._few is not None:
            count = len(self._few)
            self._few.add(name)
            if len(self._few) == count:
                return False
            if count >= _FEW:
                few, self._few = self._few, None
                for each in few:
                    self.add(each)
            return True
        number = hash(name) & 0xFFFF_FFFF_FFFF_FFFF or 1
        slot = self._slot(number)
        if self._hashes[slot]:
            return False
        self._hashes[slot] = number
        if self._placed:
            self._offsets[slot], self._lines[slot] = offset, line
        self._count += 1
        if self._count * 2 > self._size:
            self._grow(self._size * 2)
        return True

    def find(self, name: str) -> tuple[int, int] | None:
        """The (offset, line) that the id ``name`` was added with."""
        slot = self._slot(hash(name) & 0xFFFF_FFFF_FFFF_FFFF or 1)
        return (self._offsets[slot], self._lines[slot]) if self._hashes[slot] else None

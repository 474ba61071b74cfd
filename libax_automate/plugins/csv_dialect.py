"""What kind of CSV a file is: its encoding, delimiter and header, found by looking; and which column means which field."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from libax_automate.errors import InputDataError
from libax_automate.normalise import heading_of
from libax_automate.record import ENTITIES

_CHUNK = 1 << 20
#: what a header is split by, the likeliest first
_DELIMITERS = (";", ",", "\t", "|")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to read one file. ``start`` is the byte where the rows begin, ``line`` how many physical lines stand before it."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    start: int
    line: int
    #: whether a quote, and a NUL, occur at all: rows of files without them are cheaper to check
    quotes: bool
    nuls: bool
    #: read it through :func:`open_lines`, which rewrites what cannot be cut at LF bytes
    rewrite: str | None = None


def open_lines(path: Path, shown: str, rewrite: str | None = None) -> BinaryIO:
    """The file for reading line by line at LF; UTF-16/32 and bare-CR files come as an unnamed UTF-8 copy with LF."""
    try:
        file = path.open("rb")
        if rewrite is None:
            return file
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with file, io.TextIOWrapper(file, encoding=rewrite) as text:
            while piece := text.read(_CHUNK):
                copy.write(piece.encode("utf-8", "surrogatepass"))
        copy.seek(0)
    except OSError as error:
        raise _unreadable(shown, error) from None
    except UnicodeError as error:
        raise InputDataError(f"{shown} cannot be read as {rewrite}: {error}", hint="save it again as CSV UTF-8") from None
    return copy


def _unreadable(shown: str, error: OSError) -> InputDataError:
    if isinstance(error, FileNotFoundError):
        return InputDataError(
            f"{shown} does not exist", hint="put the file there, or correct the path in the profile: it starts at the profile's folder"
        )
    if isinstance(error, IsADirectoryError):
        return InputDataError(f"{shown} is a folder", hint="name one CSV file")
    if isinstance(error, PermissionError):
        return InputDataError(f"{shown} may not be read: {error.strerror}", hint="give the user who runs automate the right to read it")
    return InputDataError(f"{shown} cannot be read: {error.strerror or error}", hint="see that the disk or share is there")


def look(path: Path, shown: str, *, encoding: str | None = None, delimiter: str | None = None) -> Dialect:
    """Find out how to read ``path``; the whole file is looked at, never held. Raises InputDataError with what to do."""
    with open_lines(path, shown) as file:
        head = file.read(_CHUNK)
    if not head.strip():
        raise InputDataError(f"{shown} is empty", hint="export it again: its first line names the columns")
    if head.startswith(_WORKBOOKS):
        raise InputDataError(f"{shown} is an Excel workbook, not a CSV file", hint="in Excel: File → Save as → CSV UTF-8")
    marked = next((codec for bom, codec in _BOMS if head.startswith(bom)), None)
    codec = _known(encoding, shown) if encoding else marked
    rewrite = codec if codec and not _is_ascii_like(codec) else None
    if rewrite is None and b"\n" not in head and b"\r" in head.strip():
        rewrite = codec or _survey(io.BytesIO(head)).encoding
    with open_lines(path, shown, rewrite) as file:
        seen = _survey(file)
        final = "utf-8" if rewrite else codec or seen.encoding
        file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) and not rewrite else 0)
        header, sign, line = _header(file, shown, final, delimiter)
        return Dialect(final, sign, header, file.tell(), line, seen.quotes, seen.nuls, rewrite)


def _known(encoding: str, shown: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise InputDataError(f"no encoding is called {encoding!r} ({shown})", hint="use utf-8, cp1252, utf-16 or leave it out") from None


def _is_ascii_like(codec: str) -> bool:
    return ";\n".encode(codec) == b";\n"


@dataclass(frozen=True, slots=True)
class _Survey:
    encoding: str
    quotes: bool
    nuls: bool


def _survey(file: BinaryIO) -> _Survey:
    """UTF-8 unless the bytes speak against it; a few broken letters in a UTF-8 file are bad rows, not another encoding."""
    file.seek(0)
    quotes = nuls = broken = False
    decoder = codecs.getincrementaldecoder("utf-8")()
    while chunk := file.read(_CHUNK):
        quotes = quotes or b'"' in chunk
        nuls = nuls or b"\0" in chunk
        if not broken:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                broken = True
    return _Survey("cp1252" if broken and _is_mostly_broken(file) else "utf-8", quotes, nuls)


def _is_mostly_broken(file: BinaryIO) -> bool:
    """In text of another encoding nearly every letter beyond ASCII is broken UTF-8."""
    file.seek(0)
    beyond = broken = 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while chunk := file.read(_CHUNK):
        if not chunk.isascii():
            text = decoder.decode(chunk)
            broken += text.count("\ufffd")
            beyond += len(text) - len(text.encode("ascii", "ignore"))
    return broken * 10 > beyond


def _header(file: BinaryIO, shown: str, encoding: str, delimiter: str | None) -> tuple[tuple[str, ...], str, int]:
    """The column names, the delimiter, and how many physical lines were read."""
    line = 0
    text = ""
    for raw in file:
        line += 1
        try:
            text += raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise InputDataError(
                f"{shown}:{line} cannot be read as {encoding}: {error.reason}", hint="set encoding in the profile"
            ) from None
        stripped = text.strip()
        if line == 1 and len(stripped) == 5 and stripped.lower().startswith("sep="):  # what Excel writes to say it
            delimiter, text = delimiter or stripped[4], ""
        elif stripped and text.count('"') % 2 == 0:
            break
        elif line > 100 or len(text) > _CHUNK:
            raise InputDataError(f"{shown}: no header in the first lines", hint="the first line names the columns")
    sign = delimiter or _sniff(text)
    try:
        names = tuple(name.strip() for name in next(csv.reader(io.StringIO(text.strip("\r\n"), newline=""), delimiter=sign, strict=True)))
    except (csv.Error, StopIteration):
        raise InputDataError(f"{shown}:1 the header cannot be read: a quote is not closed", hint="correct the first line") from None
    if not any(names):
        raise InputDataError(f"{shown}:1 names no column", hint="the first line names the columns")
    return names, sign, line


def _sniff(header: str) -> str:
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count) if any(sign in outside for sign in _DELIMITERS) else ","


def name_columns(
    entity: str, header: tuple[str, ...], fields: Mapping[str, str], shown: str
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """A field name per column, and the (field, column) pairs beyond, where one column gives several fields.

    Columns named in ``fields`` come first, then canonical names, then common headings; what remains keeps its own
    name in snake_case. No two columns share a name.
    """
    columns: dict[str, int] = {}
    for index, heading in enumerate(header):
        if heading and columns.setdefault(heading.casefold(), index) != index:
            raise InputDataError(
                f"{shown}:1 has two columns called {heading!r} (columns {columns[heading.casefold()] + 1} and {index + 1})",
                hint="rename one of them in the file",
            )
    keys: list[str | None] = [None] * len(header)
    extra: list[tuple[str, int]] = []
    for field, heading in fields.items():
        index = _find(heading, header, columns, shown, field)
        if keys[index] is None:
            keys[index] = field
        else:
            extra.append((field, index))
    taken = {*fields}
    meant = [heading_of(entity, heading) for heading in header]
    if "last_name" in meant and "first_name" not in meant and entity == "contacts":
        # "Nome" beside "Apelido" is the first name
        meant = [
            "first_name" if field == "name" and heading.casefold() in {"nome", "name"} else field
            for field, heading in zip(meant, header, strict=True)
        ]
    canonical = ENTITIES.get(entity, {})
    exact = [index for index, heading in enumerate(header) if heading.casefold() in canonical]
    for index in (*exact, *range(len(header))):
        if keys[index] is None and meant[index] in canonical and meant[index] not in taken:
            keys[index] = meant[index]
            taken.add(meant[index])
    for index, heading in enumerate(header):
        if keys[index] is None:
            keys[index] = _free(heading_of("", heading) or f"column_{index + 1}", taken)
    return tuple(map(str, keys)), tuple(extra)


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free


def _find(heading: str, header: tuple[str, ...], columns: Mapping[str, int], shown: str, field: str) -> int:
    index = columns.get(heading.strip().casefold())
    if index is not None:
        return index
    folded = heading_of("", heading)
    alike = [place for place, name in enumerate(header) if heading_of("", name) == folded]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(heading, header, 1)
    raise InputDataError(
        f"{shown}:1 has no column {heading!r} for {field}" + (f"; did you mean {near[0]!r}?" if near else ""),
        hint=f"its columns are: {', '.join(name for name in header if name)}",
    )

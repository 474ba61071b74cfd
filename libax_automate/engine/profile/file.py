"""Reading a profile file: bytes that may be anything in, a TOML table or findings out."""

from __future__ import annotations

import math
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libax_automate.engine.profile.findings import Findings, walk

#: a profile of a thousand models is a tenth of this
LARGEST = 1 << 20
#: tables inside tables: ``models.X.steps[0].extra.…`` needs a handful
_DEEPEST = 32
#: what TOML promises of an integer (TOML 1.0 §Integer)
_INT64 = 1 << 63
_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


class Unreadable(Exception):
    """A file that cannot be used, and what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(slots=True)
class ProfileFile:
    """One profile file after parsing; where it is not ``parsed``, the ``findings`` say why."""

    path: Path
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    parsed: bool = False
    #: nobody but the owner can read it
    private: bool = True
    findings: Findings = field(default_factory=Findings)


def read_bytes(path: Path, limit: int) -> tuple[bytes, int]:
    """Content and permission bits of a regular file; raises Unreadable for anything else (a pipe would block for ever)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise Unreadable("does not exist", "correct the path") from None
    except (OSError, ValueError) as error:
        raise Unreadable(
            f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}", "correct the path or its permissions"
        ) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unreadable("is not a regular file", "name a file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > limit:
            raise Unreadable(f"is larger than {limit >> 10} KiB", "is it the right file?")
        try:
            return file.read(limit + 1), stat.S_IMODE(status.st_mode)
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}", "correct the path or its permissions") from None


def writable_by_others(mode: int) -> bool:
    """Whether group or others may write (POSIX permission bits; elsewhere nobody is accused)."""
    return os.name == "posix" and bool(mode & 0o022)


def read_profile(path: Path) -> ProfileFile:
    """The file at ``path``; never raises, whatever it holds."""
    try:
        content, mode = read_bytes(path, LARGEST)
    except Unreadable as error:
        file = ProfileFile(path)
        file.findings.problem((), f"the file {error.what}", error.hint, place=(1, 1))
        return file
    return parsed(path, content, mode)


def parsed(path: Path, content: bytes, mode: int) -> ProfileFile:
    """What ``content``, with the permission bits ``mode``, is as the file at ``path``; never raises, whatever it holds."""
    file = ProfileFile(path)
    problem = file.findings.problem
    start = (1, 1)
    if len(content) > LARGEST:
        problem((), f"the file is larger than {LARGEST >> 10} KiB", "is it the right file?", place=start)
        return file
    file.private = os.name != "posix" or not mode & 0o077
    if writable_by_others(mode):
        problem((), f"group or others can write this file (mode {mode:04o}), and so decide what leaves in your name",
                f"chmod go-w {path.name}", place=start)  # fmt: skip
    try:
        file.text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        problem((), f"byte 0x{content[error.start]:02x} is not UTF-8", "save the file as UTF-8", place=(line, column))
        return file
    try:
        data = tomllib.loads(file.text)
    except RecursionError:
        problem((), "the file nests too deep", f"at most {_DEEPEST} levels", place=start)
    except ValueError as error:  # TOMLDecodeError is one; a number of 5000 digits raises a plain one
        what, place = _syntax(str(error), file.text)
        problem((), f"not TOML: {what}", "texts need quotes, and a key stands once in its table", place=place)
    else:
        file.parsed = _sane(data, file.findings)
        file.data = data
    return file


def _syntax(message: str, text: str) -> tuple[str, tuple[int, int]]:
    """Tomllib's message without its position, and the position."""
    match = _POSITION.search(message)
    if match and match[1]:
        return message[: match.start()].rstrip("."), (int(match[1]), int(match[2]))
    lines = text.split("\n")
    if match:
        return f"{message[: match.start()]} (the file ends here)", (len(lines), len(lines[-1]) + 1)
    # Python's limit on digits (CVE-2020-10735) comes without a place
    for number, line in enumerate(lines, 1):
        if digits := re.search(r"\d[\d_]{4000,}", line):
            return "a number of thousands of digits", (number, digits.start() + 1)
    return message, (1, 1)


def _sane(data: dict[str, Any], findings: Findings) -> bool:
    """Refuse what the parser lets through and no setting can mean; False if there is any of it."""
    sane = True
    for loc, value in walk(data):
        if len(loc) > _DEEPEST:
            findings.problem(loc[:1], "nests too deep", f"at most {_DEEPEST} levels", key=True)
            return False
        if isinstance(value, float) and not math.isfinite(value):
            sane = False
            findings.problem(loc, "should be a finite number")
        elif isinstance(value, int) and not -_INT64 <= value < _INT64:
            sane = False
            findings.problem(loc, "the number is too large for TOML (64 bits)")
        elif isinstance(value, str) and "\0" in value:
            sane = False
            findings.problem(loc, "the text holds a NUL character", "remove it")
    return sane

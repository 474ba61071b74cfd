"""The file of a roll (LX-26): who is in which group, and since when; written whole or not at all, and only where something changed."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from libax_automate.engine.sheet import defused, sheet
from libax_automate.errors import AutomateError, ProfileError, SetupError, TemporaryError
from libax_automate.model import Member, Roll
from libax_automate.whole import write_whole

if TYPE_CHECKING:
    from libax_automate.engine.outbox import Draft

#: the columns: a CSV source finds its contacts in such a file by these names
HEADS = ("id", "name", "email", "mobile", "group", "since")
_DELIMITERS = (",", ";", "\t")
#: what passes by itself, or once somebody has made room
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EBUSY})
Key = tuple[str, str]


def place(folder: Path, file: str) -> Path:
    """Where a roll is kept; raises ProfileError where it would leave the profile's folder, or where something else stands already."""
    root = folder.resolve()
    target = (root / file).resolve()
    if not target.is_relative_to(root):
        raise ProfileError(f"{file!r} lies outside the profile's folder", hint='name a file beside the profile: file = "groups.csv"')
    if target == root or target.is_dir():
        raise ProfileError(f"{file!r} is a folder", hint='name a file: file = "groups.csv"')
    if _rows(target, file) is None:
        raise ProfileError(
            f"{file} is there already and is no file of groups, so it is not written over",
            hint=f"name another file, or move it away; a file of groups begins with {','.join(HEADS)}",
        )
    return target


def lines(folder: Path, file: str, person: str) -> Iterator[tuple[str, str]]:
    """What a file of groups says of somebody: (group, since)."""
    for (group, whose), (_, since) in (_rows(place(folder, file), file) or {}).items():
        if whose == defused(person):
            yield group, since


class Ledger:
    """A roll beside its file: who enters, who leaves, and the file as it shall be on ``today``."""

    def __init__(self, folder: Path, roll: Roll, today: date) -> None:
        """Read what is kept; raises ProfileError where the roll may not be kept there."""
        self.file = roll.file
        self._path = place(folder, roll.file)
        before = _rows(self._path, roll.file) or {}
        lines: dict[Key, tuple[Member, str]] = {}
        for member in roll.members:
            key = (member.group, member.person)
            kept = before.get((defused(member.group), defused(member.person)))
            lines.setdefault(key, (member, kept[1] if kept else today.isoformat()))
        self._lines = [lines[key] for key in sorted(lines, key=_order)]
        known = {(defused(group), defused(person)) for group, person in lines}
        self.enter = [member for member, _ in self._lines if (defused(member.group), defused(member.person)) not in before]
        self.leave = [kept for key, (kept, _) in before.items() if key not in known]

    def __str__(self) -> str:
        return f"{self.file}: {len(self.enter)} enter, {len(self.leave)} leave, {len(self._lines)} lines"

    def drafts(self, model: str) -> Iterator[Draft]:
        """The differences, as a plan shows them; nothing of it goes into the queue."""
        from libax_automate.engine.outbox import Draft

        for verb, members in (("enters", self.enter), ("leaves", self.leave)):
            for one in members:
                yield Draft(
                    model=model, person=one.person, occasion=f"{self.file}:{one.group}", step=f"{verb.removesuffix('s')} {one.group}",
                    app=self.file, to=one.email or one.mobile, name=one.name, reason=f"{verb} {one.group}",
                )  # fmt: skip

    def write(self) -> bool:
        """Put the file into its place, for its owner alone (0600); False where it says the same already. Raises what :func:`_failure` makes of it."""
        rows = ((one.person, one.name, one.email, one.mobile, one.group, since) for one, since in self._lines)
        content = sheet(HEADS, rows).encode("utf-8")
        try:
            if self._path.is_file() and self._path.read_bytes() == content:
                return False
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, content)
        except OSError as error:
            raise _failure(f"{self.file} cannot be written", error) from None
        return True


def _failure(what: str, error: OSError) -> AutomateError:
    """The task's failure: tried again where it may pass, else a matter of the profile."""
    text = f"{what}: {error.strerror or error}"
    if error.errno in _PASSING:
        return TemporaryError(text, hint="make room on the disk")
    return SetupError(text, hint="correct file in the profile, or the folder's rights")


def _order(key: Key) -> tuple[str, int, str]:
    """By group, then by id as people count: 9 before 10."""
    group, person = key
    return group, len(person) if person.isdecimal() else 1 << 30, person


def _rows(path: Path, shown: str) -> Mapping[Key, tuple[Member, str]] | None:
    """(group, person), as they are written -> the line and its day; None where the file is none of ours. A spreadsheet may have saved it again."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _failure(f"{shown} cannot be read", error) from None
    if not data.strip():
        return {}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    head = text.partition("\n")[0].strip()
    delimiter = next((mark for mark in _DELIMITERS if head.replace('"', "") == mark.join(HEADS)), None)
    if delimiter is None:
        return None
    found: dict[Key, tuple[Member, str]] = {}
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells = {name: row.get(name) or "" for name in HEADS}
            member = Member(cells["group"], cells["id"], cells["name"], cells["email"], cells["mobile"])
            if (since := _day(cells["since"])) is not None:
                found.setdefault((member.group, member.person), (member, since))
    except csv.Error:
        return None
    return found


def _day(text: str) -> str | None:
    """A day as it is written here; None = nobody can tell, and it counts from now."""
    from libax_automate.normalise import date_of

    try:
        return date_of(text).isoformat()
    except ValueError:
        return None

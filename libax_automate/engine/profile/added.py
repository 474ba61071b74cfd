"""A model added to a profile's file: its table as text, and a file that grows by it whole or not at all, every byte of it kept."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import SecretStr

from libax_automate.engine.profile.file import LARGEST, Unreadable, read_bytes
from libax_automate.engine.profile.secrets import is_reference
from libax_automate.errors import ProfileError, StoreError, TemporaryError, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.spec import Profile

_BARE = re.compile(r"[A-Za-z0-9_-]+")
#: how people order a model: what, when, for whom; what it says comes last
_FIRST = ("description", "use", "enabled", "source", "at", "cron", "every", "realtime", "weekdays", "monthdays", "months", "start", "end",
          "audience", "where")  # fmt: skip
_LAST = ("webhook", "channel", "via", "fallback", "reply_to", "template", "vars", "params", "subject", "text", "text_file", "html",
         "html_file", "attachments")  # fmt: skip


def model_text(name: str, table: Mapping[str, Any]) -> str:
    """``[models.NAME]`` and its keys as TOML, in the order people read them; ``steps`` follow as tables of their own.

    What is read back is equal to ``table``. Raises UsageError where a value cannot be written as TOML.
    """
    parts = [_table(f"[models.{name}]", {key: value for key, value in table.items() if not _ladder(key, value)})]
    for key, value in table.items():
        if _ladder(key, value):
            parts += [_table(f"[[models.{name}.{key}]]", step) for step in value]
    text = "\n".join(parts)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"model {name!r} holds letters that are no text", hint="write it in UTF-8") from None
    return text


def _ladder(key: str, value: Any) -> bool:
    return key == "steps" and isinstance(value, Sequence) and bool(value) and all(isinstance(step, Mapping) for step in value)


def _table(header: str, table: Mapping[str, Any]) -> str:
    order = {key: number for number, key in enumerate((*_FIRST, "", *_LAST))}
    keys = sorted(table, key=lambda key: order.get(key, order[""]))
    width = max((len(_key(key)) for key in keys), default=0)
    return "".join([f"{header}\n", *(f"{_key(key):<{width}} = {_value(key, table[key], tall=True)}\n" for key in keys)])


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _scalar(key, key)


def _value(key: str, value: Any, *, tall: bool = False) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(name)} = {_value(key, item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(key, item) for item in value)}]"
    # a line's end written as such is whatever the file's own lines end with
    return _scalar(key, value, tall=tall and isinstance(value, str) and "\r" not in value)


def _scalar(key: str, value: Any, *, tall: bool = False) -> str:
    import tomli_w

    try:
        return tomli_w.dumps({"v": value}, multiline_strings=tall).removeprefix("v = ").removesuffix("\n")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{key} cannot be written into a profile: {error}", hint="write a text, a number, a date or a list") from None


def value_of(text: str, annotation: Any = None) -> Any:
    """What somebody typed for a key: TOML where it is TOML, else the text itself.

    A key of plain text (``annotation``) gets the text of what would be a number or a date: ``2026-01-05``.
    """
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # a line break in it may start a key of its own
    if set(found) != {"value"}:
        return text
    value = found["value"]
    if takes_text(annotation) and not isinstance(value, str) and not is_reference(value):
        return text
    return value


def takes_text(annotation: Any) -> bool:
    """Whether a key of this type takes a text and nothing else."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return takes_text(get_args(annotation)[0])
    if origin is Union or type(annotation).__name__ == "UnionType":
        return all(takes_text(part) for part in get_args(annotation) if part is not type(None))
    return annotation in (str, SecretStr)


def content_of(path: Path) -> bytes:
    """The bytes of a profile's file; raises ProfileError where it cannot be read."""
    try:
        return read_bytes(path, LARGEST)[0]
    except Unreadable as error:
        raise ProfileError(f"{path} {error.what}", hint=error.hint) from None


def grown(before: bytes, text: str) -> tuple[bytes, int]:
    """``before`` with ``text`` behind it after a blank line, its lines ended as the file's are; and the line ``text`` begins on."""
    end = b"\r\n" if before.count(b"\r\n") * 2 > before.count(b"\n") else b"\n"
    gap = b""
    if before.removeprefix(b"\xef\xbb\xbf"):
        gap = end if before.endswith(b"\n") else end * 2
    start = before + gap
    return start + text.encode().replace(b"\n", end), start.count(b"\n") + 1


def write_grown(profile: Profile, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of ``before``, the content of the profile's file: whole or not at all, with its mode and owner.

    A symbolic link stays, and what it points to is replaced. Raises TemporaryError where the file has changed since it was read as
    ``before``, and StoreError where it may not or cannot be written; in each case the file is as it was.
    """
    shown = profile.path
    try:
        path = shown.resolve(strict=True)
        with _alone(path):
            if path.read_bytes() != before:
                raise TemporaryError(f"{shown} has changed meanwhile, and is left alone", hint="look at it, then try again")
            status = path.stat()
            if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
                raise StoreError(f"{shown} is read-only", hint=f"chmod u+w {shown.name}; or add by hand what --dry-run prints")
            _replace(path, after, status)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(f"{shown} cannot be written: {reason}", hint="check owner, mode and free space of its folder") from None


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two commands take turns: the second finds a changed file, and not the first one's work gone."""
    with path.open("rb") as file:
        with contextlib.suppress(OSError):  # a file system that knows no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace(path: Path, content: bytes, status: os.stat_result) -> None:
    """Written aside, flushed to the disk, then given its name."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    aside = Path(name)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a handle, not a path
            made = os.fstat(handle)
            if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
                os.fchown(handle, status.st_uid, status.st_gid)
            _keep_attributes(path, aside)
            os.fchmod(handle, stat.S_IMODE(status.st_mode))
            file.write(content)
            file.flush()
            os.fsync(handle)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keep_attributes(path: Path, aside: Path) -> None:
    """Access lists and the like, where the system has them."""
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(aside, name, os.getxattr(path, name))

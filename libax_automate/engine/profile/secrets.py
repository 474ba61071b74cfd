"""Values that live elsewhere: ``{ env = "X" }``, ``{ file = "path" }``, ``{ credential = "name" }``, ``{ keyring = "service/user" }``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from libax_automate.engine.profile.file import Unreadable, read_bytes, writable_by_others
from libax_automate.engine.profile.findings import Findings, shown
from libax_automate.engine.profile.positions import Loc
from libax_automate.options import Referred

KINDS = ("env", "file", "credential", "keyring")
#: a key file or certificate, not a photograph
_LARGEST = 64 << 10


class Unresolved(Exception):
    """A reference leads nowhere; says what to do, never a value."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def is_reference(value: Any) -> bool:
    """Whether ``value`` is a table with one key that names where the real value lives."""
    return isinstance(value, dict) and len(value) == 1 and all(key in KINDS and isinstance(item, str) for key, item in value.items())


def takes_table(annotation: Any) -> bool:
    """Whether a key of this type may hold a table of its own, which is then no reference (``fields = { file = "Ficheiro" }``)."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return takes_table(get_args(annotation)[0])
    if origin is Union or type(annotation).__name__ == "UnionType":
        return any(takes_table(part) for part in get_args(annotation))
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, (Mapping, BaseModel))


def _takes_secrets(annotation: Any) -> bool:
    """Whether the values of a table or list of this type may be Secrets; tables with keys of their own are another matter."""
    return annotation is SecretStr or any(_takes_secrets(part) for part in get_args(annotation))


class References:
    """Resolves the references of one profile file, naming in its findings what cannot be resolved."""

    def __init__(self, folder: Path, environ: Mapping[str, str], findings: Findings) -> None:
        self._folder = folder
        self._environ = environ
        self._findings = findings
        #: paths whose value came by reference, and the value
        self.resolved: dict[Loc, str] = {}
        self._by_table: dict[Loc, list[str]] = {}

    def table(self, table: Mapping[str, Any], loc: Loc, types: Mapping[str, Any]) -> dict[str, Any]:
        """``table`` with every reference replaced; ``types`` tells which keys hold tables of their own."""
        return {
            key: self._inside(value, (*loc, key), shut=_takes_secrets(types[key]))
            if key in types and takes_table(types[key])
            else self.value(value, (*loc, key))
            for key, value in table.items()
        }

    def value(self, value: Any, loc: Loc, *, shut: bool = False) -> Any:
        """``value``, or what it refers to; ``shut`` as a Secret, so that it cannot be taken for what the profile's author wrote."""
        if not is_reference(value):
            return self._inside(value, loc, shut=shut)
        ((kind, target),) = value.items()
        try:
            text = self._fetch(kind, target, loc)
        except Unresolved as error:
            self._findings.unresolved(loc, error.what, error.hint)
            return ""
        self.resolved[loc] = text
        self._by_table.setdefault(loc[:2], []).append(text)
        self._findings.secrets.add(text)
        return SecretStr(text) if shut else Referred(text)

    def inside(self, loc: Loc) -> list[str]:
        """The values that came by reference into the app or model at ``loc``."""
        return self._by_table.get(loc, [])

    def came(self, loc: Loc) -> bool:
        """Whether the value at ``loc``, or what it is part of, came by reference."""
        return any(loc[:length] in self.resolved for length in range(1, len(loc) + 1))

    def _inside(self, value: Any, loc: Loc, *, shut: bool = False) -> Any:
        if isinstance(value, dict):
            return {key: self.value(item, (*loc, key), shut=shut) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*loc, index), shut=shut) for index, item in enumerate(value)]
        return value

    def _fetch(self, kind: str, target: str, loc: Loc) -> str:
        if kind == "env":
            return self._variable(target)
        if kind == "file":
            return self._file(self._folder / Path(target).expanduser(), target, loc)
        if kind == "credential":
            return self._credential(target, loc)
        return self._keyring(target)

    def _variable(self, name: str) -> str:
        value = self._environ.get(name)
        if value is None:
            raise Unresolved(
                f"the environment has no variable {shown(name)}", f"export {name[:64]}=… before the command, or in the service's unit"
            )
        if not value:
            raise Unresolved(f"the environment variable {shown(name)} is empty", "give it its value")
        return value

    def _file(self, path: Path, name: str, loc: Loc) -> str:
        try:
            content, mode = read_bytes(path, _LARGEST)
        except Unreadable as error:
            raise Unresolved(f"the file {shown(name)} {error.what}", error.hint) from None
        if writable_by_others(mode):
            raise Unresolved(
                f"group or others can write {shown(name)} (mode {mode:04o}), and so choose the value", f"chmod 600 {name[:200]}"
            )
        if os.name == "posix" and mode & 0o004:
            self._findings.warn(loc, f"everybody on this machine can read {shown(name)} (mode {mode:04o})", f"chmod 600 {name[:200]}")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unresolved(f"the file {shown(name)} is not UTF-8 text", "save it as UTF-8") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise Unresolved(f"the file {shown(name)} is empty", "write the value into it")
        return text

    def _credential(self, name: str, loc: Loc) -> str:
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise Unresolved(
                f"the credential {shown(name)} is not there: $CREDENTIALS_DIRECTORY is not set",
                "start it as a systemd service with LoadCredential=, or use { file = … }",
            )
        if not name or name in (".", "..") or "/" in name or os.sep in name:
            raise Unresolved(f"{shown(name)} is no credential name", "write the name given to LoadCredential=, without a path")
        return self._file(Path(folder) / name, name, loc)

    def _keyring(self, target: str) -> str:
        service, _, user = target.rpartition("/")
        if not service or not user:
            raise Unresolved(f"{shown(target)} is no keyring entry", 'write { keyring = "service/user" }')
        try:
            import keyring
        except ImportError:
            raise Unresolved("the keyring package is not installed", "pip install 'libax_automate[keyring]', or use { env = … }") from None
        try:
            value = keyring.get_password(service, user)
        except Exception as error:  # back ends raise what they like; their text may quote what they hold
            raise Unresolved(
                f"the keyring cannot be asked ({type(error).__name__})", "unlock it, or use { env = … } or { file = … }"
            ) from None
        if not value:
            raise Unresolved(f"the keyring has no entry {shown(target)}", f"keyring set {service[:64]} {user[:64]}")
        return str(value)

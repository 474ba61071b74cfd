"""What is wrong or odd in one profile file, collected first and placed (line and column) at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from libax_automate.engine.profile.positions import Loc, Positions
from libax_automate.engine.redact import MASK, SHORTEST, Redactor
from libax_automate.errors import Problem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: longer findings drown the next one
_LONGEST = 400
#: names compared with a misspelt one: comparing is slow, and a file of a hundred thousand names is no honest one
_MOST = 200
#: findings of one file that are shown; nobody reads on
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the value at ``loc``, or about its key."""

    loc: Loc
    what: str
    hint: str = ""
    #: point at the key instead of the value
    key: bool = False
    fatal: bool = True
    #: a place known beforehand (a TOML syntax error)
    place: tuple[int, int] | None = None


class Findings:
    """Problems and warnings of one file; no secret ever leaves it."""

    def __init__(self) -> None:
        self._found: dict[tuple[Loc, str], Finding] = {}
        #: values that must not be shown: resolved references and literal secrets, of any length
        self.secrets: set[str] = set()
        #: where problems are
        self._fatal: set[Loc] = set()
        #: where a reference could not be resolved, and all tables above: nothing more is said about them
        self._unresolved: set[Loc] = set()

    @property
    def fatal(self) -> bool:
        """Whether the file cannot be used."""
        return bool(self._fatal)

    def problem(self, loc: Loc, what: str, hint: str = "", *, key: bool = False, place: tuple[int, int] | None = None) -> None:
        """Something that makes the profile unusable."""
        self._found.setdefault((loc, what), Finding(loc, what, hint, key, True, place))
        self._fatal.add(loc)

    def unresolved(self, loc: Loc, what: str, hint: str) -> None:
        """A reference that leads nowhere: said once, whatever the plugin then misses."""
        self.problem(loc, what, hint)
        self._unresolved.update(loc[:length] for length in range(1, len(loc) + 1))

    def warn(self, loc: Loc, what: str, hint: str = "", *, key: bool = False) -> None:
        """Something a person should know; the profile works."""
        self._found.setdefault((loc, what), Finding(loc, what, hint, key, False))

    def at(self, loc: Loc) -> bool:
        """Whether a problem has been found at ``loc`` or above it."""
        return any(loc[:length] in self._fatal for length in range(1, len(loc) + 1))

    def rejected(
        self, errors: Iterable[ErrorDetails], base: Loc, table: Mapping[str, Any], known: Iterable[str], *, said: str = ""
    ) -> None:
        """Findings of pydantic's ``errors`` about ``table``, which stands at ``base``; ``known`` are the keys it may have."""
        merged: dict[tuple[Loc, bool], list[tuple[str, str]]] = {}
        for error in errors:
            loc, missing = _resolve(error["loc"], table)
            if (*base, *loc) in self._unresolved and error["type"] not in ("extra_forbidden", "missing"):
                continue
            kind = error["type"]
            if kind == "extra_forbidden":
                name = str(error["loc"][-1])
                self.problem(
                    (*base, *loc), f"unknown key {shown(name)}{said if len(loc) == 1 else ''}", _unknown(name, loc, known), key=True
                )
            elif kind == "missing" or missing:
                path = ".".join(str(part) for part in (*loc, missing or error["loc"][-1]))
                self.problem((*base, *loc), f"{shown(path)} is missing", f"add {path} = …", key=True)
            else:
                merged.setdefault((loc, False), []).append(_words(error))
        for (loc, _), said_here in merged.items():
            # the branches of a union each complain; one sentence is enough
            what = " or ".join(dict.fromkeys(what for what, _ in said_here))
            hint = next((hint for _, hint in said_here if hint), "")
            name = ".".join(str(part) for part in loc)
            self.problem((*base, *loc), f"{name}: {what}" if name else what, hint)

    def _mask(self) -> Callable[[str], str]:
        """Masks secrets of any length: short ones, which logs let pass, where they stand alone."""
        redactor = Redactor(self.secrets)
        short = sorted((secret for secret in self.secrets if 0 < len(secret) < SHORTEST), key=len, reverse=True)
        if not short:
            return redactor.text
        alone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, short))})(?!\w)")
        return lambda text: alone.sub(MASK, redactor.text(text))

    def placed(self, path: str, text: str) -> tuple[list[Problem], list[Problem]]:
        """Problems and warnings with line and column, in the order of the file; masks every known secret."""
        if not self._found:
            return [], []
        mask = self._mask()
        positions = Positions(text) if any(finding.place is None for finding in self._found.values()) else None
        problems: list[Problem] = []
        warnings: list[Problem] = []
        # problems first, should there be too many
        for finding in sorted(self._found.values(), key=lambda finding: not finding.fatal)[:_SHOWN]:
            place = finding.place
            if place is None and positions is not None:
                place = positions.key(finding.loc) if finding.key else positions.value(finding.loc)
            line, column = place or (1, 1)
            hint = finding.hint or (_usual(finding.loc) if finding.fatal else "")
            problem = Problem(path, line, column, _clip(mask(finding.what)), _clip(mask(hint)))
            (problems if finding.fatal else warnings).append(problem)
        for placed in (problems, warnings):
            placed.sort(key=lambda problem: (problem.line, problem.column))
        if (more := len(self._found) - _SHOWN) > 0:
            (problems or warnings).append(Problem(path, 1, 1, f"and {more} more", "correct these first"))
        return problems, warnings


def _usual(loc: Loc) -> str:
    """What to do about a finding that says nothing better itself."""
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "it")
    if len(loc) > 2 and loc[0] == "apps":
        return f"write another value; `automate connectors show` with the connector's name tells what {key} takes"
    return f"write another value; `automate schema` tells what {key} takes"


def wrong(what: str, hint: str = "") -> PydanticCustomError:
    """An error of a key's validator that carries its own hint."""
    return PydanticCustomError("profile", "{what}", {"what": what, "hint": hint})


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """``did you mean 'x'?``, or which names are known, or nothing."""
    known = sorted(set(names))
    near = get_close_matches(name.lower()[:80], known[:_MOST], 1, 0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(known[:12])}{', …' if len(known) > 12 else ''}" if known else ""


def shown(name: str) -> str:
    """A name for people: quoted, of bounded length, control characters escaped."""
    return repr(name if len(name) <= 64 else f"{name[:63]}…")


def said(errors: Iterable[ErrorDetails]) -> str:
    """What pydantic's ``errors`` about one value say, and what to do about it, in a line."""
    words = [_words(error) for error in errors]
    what = " or ".join(dict.fromkeys(what for what, _ in words))
    hint = next((hint for _, hint in words if hint), "")
    return f"{what} → {hint}" if hint else what


def _unknown(name: str, loc: Loc, known: Iterable[str]) -> str:
    if len(loc) > 1:
        return "remove it"
    near = get_close_matches(name.lower().replace("-", "_")[:80], sorted(set(known)), 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else "remove it, or see `automate schema` for the keys there are"


def _words(error: ErrorDetails) -> tuple[str, str]:
    context = error.get("ctx", {})
    if error["type"] == "profile":
        return str(context["what"]), str(context["hint"])
    if error["type"] in ("value_error", "assertion_error"):
        cause = context.get("error")
        return str(cause) or "is not valid", str(getattr(cause, "hint", ""))
    message = error["msg"]
    for start in ("Input should be ", "Value should be "):
        if message.startswith(start):
            return f"should be {message[len(start) :]}", ""
    return message[:1].lower() + message[1:], ""


def _resolve(loc: tuple[int | str, ...], table: Mapping[str, Any]) -> tuple[Loc, str]:
    """``loc`` without what pydantic adds for unions and keys, and the name at its end if the table has no such key."""
    found: list[str | int] = []
    here: Any = table
    last = ""
    for part in loc:
        there, child = _child(here, part)
        if there:
            found.append(part)
            here, last = child, ""
        else:
            last = "" if found else str(part)
    return tuple(found), last


def _child(value: Any, part: int | str) -> tuple[bool, Any]:
    if isinstance(value, Mapping):
        return part in value, value.get(part)
    if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
        return True, value[part]
    return False, None


def _clip(text: str) -> str:
    text = "".join(char if char.isprintable() else MASK if char == "\0" else " " for char in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def walk(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    """Every value of a parsed file with its path, without recursion: hostile files nest deep."""
    stack: list[tuple[Loc, Any]] = [(loc, value)]
    while stack:
        here, item = stack.pop()
        yield here, item
        if isinstance(item, dict):
            stack += [((*here, key), child) for key, child in item.items()]
        elif isinstance(item, list):
            stack += [((*here, index), child) for index, child in enumerate(item)]

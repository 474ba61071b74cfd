"""How a command ends badly: one line that says what to do, an exit code, and for our own faults a report."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from libax_automate.errors import AutomateError, ProfileError

if TYPE_CHECKING:
    from libax_automate.cli.session import Session

BUG = 70


def report(error: AutomateError, session: Session) -> int:
    """Say what went wrong on stderr; answers the exit code."""
    if session.verbose > 1:
        _write(_masked("".join(traceback.format_exception(error)), session))
    if session.as_json:
        _json(session, error.exit_code, error.kind, error.message, error.advice, problems(error))
    else:
        text = str(error) if error.hint or problems(error) else f"{error.message} → {error.advice}"
        _write(_masked(f"{text}\n", session))
    return error.exit_code


def problems(error: AutomateError) -> list[dict[str, object]]:
    """The findings of a ProfileError, JSON-ready."""
    if not isinstance(error, ProfileError):
        return []
    return [{"path": p.path, "line": p.line, "column": p.column, "what": p.what, "hint": p.hint} for p in error.problems]


def usage(message: str, hint: str, session: Session) -> int:
    """The command line itself is wrong."""
    if session.as_json:
        _json(session, 2, "usage", message, hint)
    else:
        _write(f"{message} → {hint}\n")
    return 2


def quiet_line(session: Session) -> None:
    """A terminal shows ^C at the end of a line: start a new one."""
    from libax_automate.cli.output import terminal

    if terminal(sys.stderr) and not session.as_json:
        _write("\n")


def crash(error: BaseException, session: Session) -> int:
    """Our fault: a report without secrets beside the database, its path on stderr, no traceback unless it was asked for."""
    text = _masked("".join(traceback.format_exception(error)), session)
    path = _kept(_preamble(session) + text, session)
    where = f"the report is {path}" if path else "the report could not be written"
    if session.verbose > 1:
        _write(text)
    message = _masked(f"this is a fault of the program: {type(error).__name__}; {where}", session)
    hint = "please report it; -vv shows the traceback"
    if session.as_json:
        _json(session, BUG, "bug", message, hint)
    else:
        _write(f"{message} → {hint}\n")
    return BUG


def _preamble(session: Session) -> str:
    import platform

    from libax_automate import __version__

    # no arguments: they may name people
    machine = f"Python {platform.python_version()}, {platform.platform()}"
    return f"libax_automate {__version__}, {machine}\ncommand: {session.command or 'automate'}\n\n"


def _kept(text: str, session: Session) -> Path | None:
    """Where the report went: the state folder, else the temporary one."""
    import tempfile

    from libax_automate.clock import SystemClock

    name = f"crash-{SystemClock().now():%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    folders = []
    with contextlib.suppress(Exception):
        from libax_automate.engine.workspace import database_path

        folders.append(database_path(session.db, session.environ).parent)
    for folder in (*folders, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.write(text)
            return path
    return None


def _masked(text: str, session: Session) -> str:
    return session.redactor.text(text) if session.redactor is not None else text


def _json(session: Session, code: int, kind: str, message: str, hint: str, findings: list[dict[str, object]] | None = None) -> None:  # noqa: PLR0917 - the fields of one object
    error: dict[str, object] = {"code": code, "kind": kind, "message": message, "hint": hint}
    if findings:
        error["problems"] = findings
    _write(_masked(json.dumps({"error": error}), session) + "\n")


def _write(text: str) -> None:
    with contextlib.suppress(OSError):
        # what a file or a customer is called does not steer a terminal
        sys.stderr.write("".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text))
        sys.stderr.flush()

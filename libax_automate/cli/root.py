"""The command line's root: which nouns there are, and how a command ends. A noun's file is imported when the noun is typed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command as click_command

from libax_automate.cli.session import ReaderGone, Session, before
from libax_automate.errors import AutomateError

#: noun -> (its file, its line of help); in the order in which a newcomer needs them
NOUNS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo", "A sample business end to end in a temporary folder; sends into .eml files."),
    "init": ("init", "Write a commented profile and sample data."),
    "check": ("check", "Validate the profiles; --connect also asks the applications."),
    "plan": ("plan", "Who gets what, who does not and why; sends nothing."),
    "apply": ("apply", "Send exactly what a saved plan says, or say what has changed."),
    "run": ("run", "One pass: due models, tasks, queue, send; or stay with --loop."),
    "status": ("status", "Apps, waiting, halted, last and next run."),
    "tasks": ("tasks", "What models did: list, show, retry, cancel, counter."),
    "queue": ("queue", "What waits to leave: list, show, clear, restore, pause, resume."),
    "errors": ("errors", "What halts an app, and the ways out: list, show, retry, skip, sent."),
    "approve": ("approve", "What waits for a person's yes: show, approve, reject."),
    "documents": ("documents", "What was numbered and printed: list, show, regenerate, void."),
    "apps": ("apps", "The configured applications: list, test, templates."),
    "models": ("models", "The automations: new, list, fields, test, enable, disable, run."),
    "connectors": ("connectors", "What can be connected: options, capabilities, credentials."),
    "calendar": ("calendar", "What fires when, with collisions and clock-change days."),
    "backtest": ("backtest", "What a model would have sent in a past period."),
    "explain": ("explain", "Each filter and its verdict for one person."),
    "report": ("report", "The weekly report."),
    "consent": ("consent", "Who agreed to hear from us: record, list, export, import."),
    "suppress": ("suppress", "Addresses that are never written to: list, add, remove, import."),
    "plugins": ("plugins", "What is installed, and a start for your own."),
    "schema": ("schema", "JSON Schema of the profile, for editors."),
    "doctor": ("doctor", "Is everything as it should be, and did it run?"),
    "db": ("db", "The database: info, check, backup, restore, migrate, vacuum."),
}


class Nouns(TyperGroup):
    """A group whose commands are imported one by one, by name."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """Every noun."""
        return [*NOUNS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The noun's command, imported now; None where there is no such noun."""
        if cmd_name not in NOUNS:
            return None
        module, text = NOUNS[cmd_name]
        found = click_command(import_module(f"libax_automate.cli.{module}").app)
        found.name = cmd_name
        found.short_help = text
        if isinstance(found, TyperGroup):
            found.help = text
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """The nouns with their line of help, of which none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(noun, text) for noun, (_, text) in NOUNS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named; a guess where none is."""
        if args and args[0] not in NOUNS:
            import difflib

            near = difflib.get_close_matches(args[0], NOUNS, 1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{guess}")
        return super().resolve_command(ctx, args)


#: what a machine's disk says where no part of the program has put it in words: no fault of the program
_DISK = frozenset((errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.ENOTDIR, errno.EISDIR))

app = typer.Typer(cls=Nouns, name="automate", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version() -> None:
    from libax_automate import __version__

    sys.stdout.write(f"automate {__version__}\n")


before(app, _version)


class Terminated(BaseException):
    """SIGTERM reached a command that has nothing in flight."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; answers the exit code and never raises."""
    session = Session()
    # known before anything is parsed: what cannot be parsed is answered in JSON too
    session.as_json = session.out.json = "--json" in arguments
    _speak_plainly()
    try:
        with _terminable():
            code = _outcome(arguments, session)
        sys.stdout.flush()
    except (BrokenPipeError, ReaderGone):
        # whoever read has seen enough; nothing is left to say, not even at exit
        _deafen()
        code = 0
    return code


def _outcome(arguments: Sequence[str], session: Session) -> int:
    from libax_automate.cli import failure

    try:
        answer = click_command(app)(args=[*arguments], prog_name="automate", standalone_mode=False, obj=session)
    except AutomateError as error:
        return failure.report(error, session)
    except (KeyboardInterrupt, typer.Abort):
        failure.quiet_line(session)
        return 130
    except Terminated:
        return 143
    except SystemExit as ended:  # the parser's own way out, when the reader of its help has gone
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        raise
    except Exception as error:  # the last door: whatever it is, it ends here with a code
        if isinstance(error, OSError) and error.errno in _DISK:
            return failure.report(_disk(error), session)
        if not hasattr(error, "format_message"):
            return failure.crash(error, session)
        return _misspoken(error, session)
    return answer if isinstance(answer, int) else 0


def _disk(error: OSError) -> AutomateError:
    from libax_automate.errors import StoreError

    place = f"{error.filename}: " if error.filename else ""
    return StoreError(f"{place}{error.strerror}", hint="check owner, mode and free space of that place, then: automate doctor")


def _misspoken(error: Any, session: Session) -> int:
    """What the parser says of a command line, in our words; bare ``automate`` and ``automate NOUN`` get their help."""
    from libax_automate.cli import failure

    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "automate"
    if type(error).__name__ == "NoArgsIsHelpError" and not session.as_json:
        error.show()
        return 2
    message = "a command is missing" if type(error).__name__ == "NoArgsIsHelpError" else error.format_message()
    return failure.usage(message.replace("\n\t", " ").strip(), f"see: {path} --help", session)


def _speak_plainly() -> None:
    """No letter of a name may end a command because the terminal's encoding lacks it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _deafen() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, and lets it close what it opened."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    try:
        previous = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread: whoever embeds us has his own way
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)

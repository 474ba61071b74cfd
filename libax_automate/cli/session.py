"""What every command shares: the global options, the workspace they open, and the way commands are registered."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from libax_automate.cli.journal import Journal
from libax_automate.cli.output import Output

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from libax_automate.clock import Clock
    from libax_automate.engine.redact import Redactor
    from libax_automate.engine.spec import Profile
    from libax_automate.engine.store import Store
    from libax_automate.engine.workspace import Workspace

#: a command: the session, then its own arguments; answers the exit code, None = 0
Body = TypeVar("Body", bound=Callable[..., "int | None"])


def _shared(now: bool) -> list[inspect.Parameter]:
    """The options of every command, before the noun and after the verb; ``now`` shows ``--now``, which always works.

    The parser does not look at paths (``readable=False``): a file that may not be read is a matter of exit 74 or 78, not of usage.
    """
    options: tuple[tuple[str, Any, Any, Any], ...] = (
        ("profiles", Path | None, None, typer.Option("--profiles", readable=False, metavar="PATH", help="Profile file, or a folder of them.")),
        ("profile", str | None, None, typer.Option("--profile", metavar="NAME", help="This profile alone.")),
        ("db", Path | None, None, typer.Option("--db", readable=False, metavar="PATH", help="The database file.")),
        ("as_json", bool, False, typer.Option("--json", help="Answer with one JSON object.")),
        ("verbose", int, 0, typer.Option("--verbose", "-v", count=True, help="Say more; -vv says everything.", show_default=False)),
        (
            "now", str | None, None,
            typer.Option("--now", metavar="TIME", hidden=not now, help="As if it were TIME: the profile's local time, or RFC 3339."),
        ),
    )  # fmt: skip
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        for name, kind, default, option in options
    ]


class ReaderGone(BaseException):
    """Whoever read our answer has closed the pipe."""


@dataclass
class Session:
    """One command's global options and what it has opened; closed when the command ends."""

    profiles: Path | None = None
    profile: str | None = None
    db: Path | None = None
    as_json: bool = False
    verbose: int = 0
    now: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    out: Output = field(default_factory=Output)
    journal: Journal = field(default_factory=Journal)
    #: the words of the command line that name a command, for crash reports
    command: str = ""
    _space: Workspace | None = None
    _clock: Clock | None = None
    _zones: frozenset[tzinfo] | None = None

    def take(self, given: Mapping[str, Any]) -> None:
        """Add global options; what stands later on the command line wins."""
        for name, value in given.items():
            if value:
                setattr(self, name, value)
        self.out.json = self.as_json

    @property
    def space(self) -> Workspace:
        """The workspace with its profiles; raises ProfileError with every finding."""
        return self._opened(sound=False)

    @property
    def sound_space(self) -> Workspace:
        """The workspace with the profiles that nothing is wrong with; raises ProfileError where there is none."""
        return self._opened(sound=True)

    def _opened(self, *, sound: bool) -> Workspace:
        if self._space is None or not self._space.profiles:
            self.close()
            self._space = self.reopen(sound=sound)
            for profile in self._space.profiles:
                for warning in profile.warnings:
                    self.out.detail(warning, self.verbose)
        return self._space

    @property
    def books(self) -> Workspace:
        """The workspace for what the database alone answers: a broken profile must not keep an admin from the queue."""
        if self._space is None:
            from libax_automate.engine.workspace import Workspace, database_path

            self._space = self._ready(Workspace((), database_path(self.db, self.environ)))
        return self._space

    def reopen(self, *, sound: bool = False) -> Workspace:
        """A workspace with the profiles as they are now (``sound``: those with nothing wrong), which the caller closes; time goes on as it did."""
        from libax_automate.engine.workspace import Workspace

        return self._ready(Workspace.open(profiles=self.profiles, profile=self.profile, db=self.db, environ=self.environ, sound=sound))

    def _ready(self, space: Workspace) -> Workspace:
        self.journal.hide(space.redactor)
        if self.now is not None:
            from libax_automate.clock import ShiftedClock

            self._clock = space.clock = self._clock or ShiftedClock(self._instant(self.now, space))
        return space

    def _instant(self, text: str, space: Workspace) -> datetime:
        from libax_automate.cli.words import moment_of

        # the database alone has no clock on its wall
        profiles = space.profiles or self._readable()
        zones = {str(profile.timezone): profile.timezone for profile in profiles}
        return moment_of(text, list(zones.values()), "--now")

    @property
    def redactor(self) -> Redactor | None:
        """The live secrets, once a profile has been read."""
        return self._space.redactor if self._space is not None else None

    @property
    def zone(self) -> tzinfo | None:
        """The one timezone in view, for people; None = the machine's. What the database alone answers is told in the profile's time too."""
        if self._zones is None:
            profiles = self._space.profiles if self._space is not None else ()
            if not profiles:
                profiles = self._readable()
            self._zones = frozenset(profile.timezone for profile in profiles)
        return next(iter(self._zones)) if len(self._zones) == 1 else None

    def _readable(self) -> tuple[Profile, ...]:
        """The profiles, where they can be read: the database answers without them too."""
        from libax_automate.engine.workspace import Workspace
        from libax_automate.errors import AutomateError

        with contextlib.suppress(AutomateError):
            return Workspace.open(profiles=self.profiles, profile=self.profile, db=self.db, environ=self.environ).profiles
        return ()

    @property
    def names(self) -> frozenset[str] | None:
        """The profiles that a command on the database narrows to; None = all."""
        return frozenset((self.profile,)) if self.profile else None

    @property
    def ledger(self) -> Store | None:
        """The database if there is one; nothing is made."""
        return self.books.existing_store()

    def close(self) -> None:
        """Let go of the database; safe twice."""
        if self._space is not None:
            self._space.close()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Session]:
        """The session for the length of a command."""
        try:
            with self.journal.open(self.verbose):
                yield self
        finally:
            self.close()


def noun() -> typer.Typer:
    """A noun's own command line; help in plain text, which needs no rich and fits any terminal."""
    return typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def command(app: typer.Typer, name: str | None = None, *, now: bool = False, hidden: bool = False) -> Callable[[Body], Body]:
    """Register ``body(session, …)`` as a command with the options that all commands share.

    The command line sees the body's own parameters and the shared ones; the body gets its own, and a Session that holds the others.
    """

    def register(body: Body) -> Body:
        hints = get_type_hints(body, include_extras=True)
        own = [each.replace(annotation=hints[each.name]) for each in list(inspect.signature(body).parameters.values())[1:]]
        own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        shared = _shared(now)

        def run(ctx: typer.Context, **values: Any) -> int:
            session: Session = ctx.obj
            session.take({each.name: values.pop(each.name) for each in shared})
            session.command = ctx.command_path
            try:
                with session.at_work():
                    code = body(session, **values) or 0
                sys.stdout.flush()
            except BrokenPipeError:
                raise ReaderGone from None
            return code

        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([context, *own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (context, *own, *shared)}
        run.__doc__ = body.__doc__
        app.command(name or body.__name__, hidden=hidden)(run)
        return body

    return register


def before(app: typer.Typer, version: Callable[[], None]) -> None:
    """Let the shared options stand before the noun too, and ``--version``."""
    shared = _shared(now=False)

    def run(ctx: typer.Context, **values: Any) -> None:
        values.pop("version")
        ctx.obj.take(values)

    def show(asked: bool) -> None:
        if asked:
            version()
            raise typer.Exit

    flag = typer.Option("--version", is_eager=True, callback=show, help="Show the version.")
    own = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, flag])
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__signature__ = inspect.Signature([context, own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (context, own, *shared)}
    run.__doc__ = "Models decide, the queue delivers: automations for small businesses, each person once."
    app.callback()(run)

"""``automate run``: one pass, or stay and do it on time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.output import Column, terminal
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count

if TYPE_CHECKING:
    from libax_automate.engine.run import RunResult
    from libax_automate.engine.store.rows import TaskRow

app = noun()

#: what a person has to look at
NEEDS_PERSON = 3

COLUMNS = (
    *(Column(key) for key in ("id", "profile", "model", "slot", "state")),
    *(Column(key, right=True) for key in ("planned", "excluded", "queued", "sent", "failed")),
    Column("reason"),
)


def task_item(task: TaskRow) -> dict[str, Any]:
    """A task, JSON-ready."""
    return {
        "id": f"T{task.id}", "profile": task.profile, "model": task.model, "slot": task.slot, "state": str(task.state),
        "planned": task.planned, "excluded": task.excluded, "queued": task.queued, "sent": task.sent, "failed": task.failed,
        "bad_rows": task.bad_rows, "reason": task.reason,
    }  # fmt: skip


@dataclass
class Stop:
    """Whether somebody has asked us to end, and with which signal."""

    event: threading.Event = field(default_factory=threading.Event)
    signal: int = 0

    @property
    def code(self) -> int:
        """The exit code of a command that was asked to end; 0 where it was not."""
        return 128 + self.signal if self.signal else 0


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """The first SIGINT or SIGTERM asks to stop once what is in flight has been answered; the second breaks off."""
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.event.is_set():
            # threads may hang in a provider's silence; whatever they were doing is found and resolved by the next run
            os._exit(128 + number)
        stop.signal = number
        stop.event.set()
        if terminal(sys.stderr):
            # not through sys.stderr: the signal may have come in the middle of one of its writes
            os.write(2, b"\nstopping: what is in flight is finished first; once more to break off\n")

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, ask)
    except ValueError:  # not the main thread
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@command(app, now=True)
def run(
    session: Session,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="This model alone.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Stay, and do everything on time.")] = False,
) -> int:
    """Make one pass: due models, tasks, queue, send; then exit.

    Without a terminal it is silent when all is well (0); when something needs a person (3) it prints what is new.
    Of several profiles those with nothing wrong have their pass; what is wrong with the others is said at the end (78).
    """
    if loop:
        return _loop(session, model)
    from libax_automate.engine.run import run_pass

    with stoppable() as stop, session.out.progress("sending") as progress:
        result = run_pass(session.sound_space, model=model, stop=stop.event, progress=progress)
    show(session, result)
    if stop.code:
        return stop.code
    if session.sound_space.broken is not None:
        # the others have had their pass
        raise session.sound_space.broken
    return NEEDS_PERSON if result.halted or result.needs_person else 0


def _loop(session: Session, model: str | None) -> int:
    from libax_automate.engine.loop import run_loop

    if model is not None:
        from libax_automate.errors import UsageError

        raise UsageError("--loop serves every model", hint="leave --model away; `automate models disable MODEL` takes one out")
    session.out.say("on duty; Ctrl-C ends it")
    with stoppable() as stop, _reloadable() as reload:
        run_loop(lambda: session.reopen(sound=True), stop=stop.event, report=lambda result: _news(session, result), reload=reload)
    # a service that is told to stop and stops has done well
    return 0 if stop.signal == signal.SIGTERM else stop.code


@contextlib.contextmanager
def _reloadable() -> Iterator[threading.Event]:
    """SIGHUP asks for the profiles to be read again."""
    reload = threading.Event()
    try:
        previous = signal.signal(signal.SIGHUP, lambda _number, _frame: reload.set())
    except ValueError:  # not the main thread
        yield reload
        return
    try:
        yield reload
    finally:
        signal.signal(signal.SIGHUP, previous)


def _news(session: Session, result: RunResult) -> None:
    """What a service writes into its journal: news at once, and with ``-v`` every task."""
    for line in result.news:
        session.out.warn(line)
    for task in result.tasks:
        session.out.detail(f"T{task.id} {task.profile}/{task.model} {task.slot}: {task.state}, {task.sent} sent", session.verbose)


def show(session: Session, result: RunResult) -> None:
    """What a pass did: everything to a person, the news to a mailbox, one object to a program."""
    out = session.out
    items = [task_item(task) for task in result.tasks]
    if out.json:
        out.object({"items": items, "sent": result.sent, "waiting": result.waiting, "halted": result.halted, "news": result.news})
        return
    if not terminal(sys.stdout) and not session.verbose:
        for line in result.news:
            out.line(line)
        return
    if items:
        many = len({item["profile"] for item in items}) > 1
        out.table(items, [column for column in COLUMNS if many or column.key != "profile"])
    else:
        out.line("nothing was due")
    out.line(f"{count(result.sent, 'message')} sent, {result.waiting} waiting")
    if result.halted:
        out.line(f"halted: {', '.join(result.halted)} → automate queue clear")
    if result.fenced:
        out.line(f"fenced: {result.fenced} → automate queue resume")
    for line in result.news:
        out.line(line)

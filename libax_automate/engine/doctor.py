"""Whether everything is as it should be: the machine, the database, the queue, and whether what should have fired did."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from libax_automate.engine import duty, schedule
from libax_automate.engine.store import Store, upkeep
from libax_automate.engine.store.rows import AppState, MessageState, TaskState
from libax_automate.engine.timeline import Timeline
from libax_automate.engine.workspace import FREE_PLAN, Workspace
from libax_automate.errors import AutomateError, Problem
from libax_automate.message import Channel

#: how late the next pass may be before a slot counts as not fired; cron's pace and a long pass fit in
_GRACE = timedelta(minutes=30)
#: a message that waits longer while its app runs has a reason worth knowing
_STUCK = timedelta(days=1)
#: less free space than this is trouble soon, and trouble now, in bytes
_LOW, _OUT = 1_000_000_000, 100_000_000
_WEEK = timedelta(days=7)


class State(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at, and what to do about it."""

    check: str
    state: State
    detail: str
    hint: str = ""


def _note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.with_name(path.name + ".lock").read_text(encoding="utf-8") or "{}")
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def last_run(store: Store | None) -> datetime | None:
    """When the last pass began; a process that stays counts from when it came."""
    text = store.db.get("last_run") if store is not None else ""
    return datetime.fromtimestamp(float(text), UTC) if text else None


def running(path: Path) -> str | None:
    """Who holds the run lock (``pid 71, since …``); None where nobody does."""
    lock = path.with_name(path.name + ".lock")
    try:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except OSError:
        note = _note(path)
        return f"pid {note.get('pid', '?')}, since {note.get('started', '?')}"
    return None


def broken_profile(problems: tuple[Problem, ...], message: str) -> Iterator[Diagnosis]:
    """The diagnoses of profiles that do not load."""
    for problem in problems:
        yield Diagnosis("profile", State.BAD, f"{problem.path}:{problem.line}:{problem.column}: {problem.what}", problem.hint)
    if not problems:
        yield Diagnosis("profile", State.BAD, message, "automate init writes one")


def diagnose(space: Workspace) -> list[Diagnosis]:
    """Look at everything; changes nothing. A database that cannot be opened is one diagnosis, and the rest goes on."""
    found = [*_machine(space), *_plugins(space), *_profiles(space)]
    store: Store | None = None
    try:
        store = space.existing_store()
    except AutomateError as error:
        found.append(Diagnosis("database", State.BAD, error.message, error.advice))
        return found
    if store is None:
        return [*found, Diagnosis("database", State.WARN, f"{space.db_path} does not exist yet", "it is made by the first: automate run")]
    looks: tuple[Callable[[Workspace, Store], Iterator[Diagnosis]], ...] = (_database, _clock, _runs, _tasks, _queue)
    for look in looks:
        try:
            found += look(space, store)
        except AutomateError as error:
            found.append(Diagnosis(look.__name__.strip("_"), State.BAD, error.message, error.advice))
    return found


def _machine(space: Workspace) -> Iterator[Diagnosis]:
    folder = space.db_path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    state = State.BAD if free < _OUT else State.WARN if free < _LOW else State.OK
    yield Diagnosis(
        "disk", state, f"{free / 1e9:.1f} GB free at {folder}", "" if state is State.OK else "free some space; see: automate db vacuum"
    )


def _plugins(space: Workspace) -> Iterator[Diagnosis]:
    entries = space.catalogue.entries()
    broken = [entry for entry in entries if entry.kind == "broken"]
    used = {spec.connector for profile in space.profiles for spec in profile.apps.values()}
    used |= {spec.use for profile in space.profiles for spec in profile.models.values()}
    for entry in broken:
        needed = entry.name in used
        yield Diagnosis(
            "plugin",
            State.BAD if needed else State.WARN,
            f"{entry.name} ({entry.package}): {entry.error}",
            f"upgrade or remove {entry.package}",
        )
    if not broken:
        yield Diagnosis("plugins", State.OK, f"{len(entries)} installed, none broken")


def _profiles(space: Workspace) -> Iterator[Diagnosis]:
    for profile in space.profiles:
        for warning in profile.warnings:
            what, _, hint = warning.partition(" → ")
            yield Diagnosis("profile", State.WARN, what, hint)
        if not profile.notify:
            yield Diagnosis("notices", State.WARN, f"{profile.name}: nobody hears of errors", 'add notify = ["you@example.com"]')
        elif Channel.EMAIL not in profile.defaults.apps and FREE_PLAN not in profile.apps:
            yield Diagnosis("notices", State.OK, f"{profile.name}: go over this machine's own mail server (LX-15)")
    if space.profiles:
        models = sum(len(profile.models) for profile in space.profiles)
        yield Diagnosis("profiles", State.OK, f"{len(space.profiles)} loaded, with {models} model{'' if models == 1 else 's'}")


def _database(space: Workspace, store: Store) -> Iterator[Diagnosis]:
    path = space.db_path
    if problems := store.db.problems():
        yield Diagnosis("database", State.BAD, f"{path} is damaged: {problems[0]}", "keep the file, then: automate db restore BACKUP")
        return
    info = upkeep.info(store.db)
    yield Diagnosis("database", State.OK, f"{path}: sound, schema {info.schema}, {info.size / 1e6:.1f} MB")
    if info.journal == info.wanted_journal:
        yield Diagnosis("journal", State.OK, f"{info.journal}, right for SQLite {info.sqlite}")
    else:
        why = "has the WAL-reset fault" if info.wanted_journal == "TRUNCATE" else "can do WAL safely"
        yield Diagnosis(
            "journal",
            State.WARN,
            f"{info.journal}, but SQLite {info.sqlite} {why}",
            "the next automate run changes it, if nobody else has the file open",
        )
    if info.free > max(info.size // 2, 50_000_000):
        yield Diagnosis("space", State.WARN, f"{info.free / 1e6:.0f} MB of the database are unused", "automate db vacuum")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield Diagnosis(
            "file mode", State.WARN, f"{path} can be read by others (mode {mode:04o}), and holds people's addresses", f"chmod 600 {path}"
        )
    if info.fenced:
        yield Diagnosis(
            "fence", State.BAD, f"nothing is sent: {info.fenced}", "automate queue resume, once what has left already is cleared"
        )


def _clock(space: Workspace, store: Store) -> Iterator[Diagnosis]:
    now, line = space.clock.now(), Timeline.of(store)
    if worry := line.worry(now.timestamp()):
        if line.leap_around(now.timestamp()) is not None:
            yield Diagnosis("clock", State.WARN, worry, "automate run, if the clock is right now")
        else:
            hint = "set the machine's clock (NTP); if it is right, restore a backup from before: automate db restore BACKUP"
            yield Diagnosis("clock", State.BAD, worry, hint)
        return
    healed = line.healed
    if healed and healed["at"] > now.timestamp() - _WEEK.total_seconds():
        yield Diagnosis(
            "clock",
            State.WARN,
            f"the clock had stood at {_at(healed['stood']):%Y-%m-%d %H:%M} UTC until {_at(healed['at']):%Y-%m-%d %H:%M} UTC; "
            f"{healed['slots']:.0f} slots were opened again, {healed['messages']:.0f} messages put right",
            "find out why (NTP, --now on the real database); what left meanwhile: automate tasks list",
        )
    else:
        yield Diagnosis("clock", State.OK, f"{now:%Y-%m-%d %H:%M} UTC")


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _runs(space: Workspace, store: Store) -> Iterator[Diagnosis]:
    now, last, holder = space.clock.now(), last_run(store), running(space.db_path)
    if holder is not None:
        yield Diagnosis("lock", State.OK, f"a process is running: {holder}")
    late: list[str] = []
    for profile in space.profiles:
        for spec in profile.models.values():
            row = store.tasks.model(profile.name, spec.name)
            if row is None or spec.schedule.realtime or not duty.enabled(spec, row) or row.fingerprint != spec.schedule.fingerprint():
                continue
            since = datetime.fromtimestamp(row.slot_bookmark, UTC)
            slot = next(islice(schedule.slots(spec.schedule, profile.timezone, since, max(since, now - _GRACE)), 1), None)
            if slot is not None:
                late.append(f"{profile.name}/{spec.name} at {slot.key}")
    if late:
        yield Diagnosis("schedule", State.BAD, f"should have fired and did not: {', '.join(late[:5])}{' …' if len(late) > 5 else ''}",
                        "is `automate run` in cron, or the service running? The next run does what `late` says")  # fmt: skip
    elif last is None:
        yield Diagnosis("schedule", State.WARN, "automate run has never run here", "put it into cron: */5 * * * * automate run")
    else:
        yield Diagnosis("schedule", State.OK, f"what should have fired did; last run {last:%Y-%m-%d %H:%M} UTC")


def _tasks(space: Workspace, store: Store) -> Iterator[Diagnosis]:
    now = space.now()
    names = space.names or None
    failed = store.tasks.unresolved(space.names)
    for task in failed[:5]:
        what = f"T{task.id} {task.model} {task.slot}: {task.state}: {task.reason}"
        yield Diagnosis("task", State.BAD, what, f"automate tasks retry T{task.id}, or cancel")
    if len(failed) > 5:
        yield Diagnosis("task", State.BAD, f"{len(failed) - 5} more have failed", "automate tasks list --state failed")
    missed = store.tasks.listed(profiles=names, states=(TaskState.MISSED,), limit=1000, since=now - _WEEK.total_seconds())
    if missed:
        what = f"{len(missed)} slots of the last week were missed, the latest {missed[0].model} {missed[0].slot}"
        yield Diagnosis("missed", State.WARN, what, 'run more often, or set late = "once"; automate tasks list --state missed')
    if not failed:
        yield Diagnosis("tasks", State.OK, "none has failed")


def _queue(space: Workspace, store: Store) -> Iterator[Diagnosis]:
    now = space.now()
    names = space.names or None
    well = True
    for error in store.errors.listed(profiles=names):
        well = False
        yield Diagnosis("error", State.BAD, f"E{error.id} {error.app}: {error.cause} ({error.waiting} waiting)", "automate queue clear")
    for row in store.apps.rows(now, profiles=names):
        if row.state is AppState.PAUSED and row.waiting:
            well = False
            yield Diagnosis("queue", State.WARN, f"{row.name} is paused, {row.waiting} waiting", f"automate queue resume {row.name}")
        elif row.state is AppState.RUNNING and row.waiting and row.next_at is not None and row.next_at < now - _STUCK.total_seconds() and (
            row.oldest is not None and row.oldest < now - _STUCK.total_seconds()
        ):  # fmt: skip
            well = False
            yield Diagnosis(
                "queue", State.BAD, f"{row.name}: {row.waiting} wait for more than a day though nothing holds them", "automate run -v"
            )
    if (sending := store.ledger.open_count(MessageState.SENDING, names)) and running(space.db_path) is None:
        well = False
        what = f"{sending} were in the air when a process died"
        yield Diagnosis("queue", State.WARN, what, "the next automate run finds out what became of them")
    if well:
        yield Diagnosis("queue", State.OK, f"{store.ledger.waiting(names)} waiting, nothing stopped")

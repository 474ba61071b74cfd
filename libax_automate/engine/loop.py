"""Stay and do it on time: the same pass as cron's, woken by the next slot, the next retry, a changed file or an admin's verb."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from libax_automate.engine import duty
from libax_automate.engine.lock import RunLock
from libax_automate.engine.redact import secrets_of
from libax_automate.engine.run import RunResult, guard, one_pass
from libax_automate.engine.schedule import next_fire
from libax_automate.engine.store.rows import AppState
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import AutomateError, ProfileError, TemporaryError

#: the longest sleep, in seconds: reminders and probes come round even if nothing else does
_LONGEST = 300.0
#: how often an idle loop looks for verbs of other processes and for changed profiles, in seconds
_GLANCE = 1.0
#: a clock that reads this much less than a moment ago was set back, in seconds
_BACK = 1.0


class Timetable:
    """The next fire of every model, in a heap: a tick with nothing due looks at one number, however many models there are."""

    def __init__(self, space: Workspace) -> None:
        self._heap: list[tuple[float, int, str, str]] = []
        self._space = space
        self.realtime = False
        now = space.clock.now()
        for number, (profile, spec) in enumerate((p, s) for p in space.profiles for s in p.models.values()):
            self.realtime = self.realtime or spec.schedule.realtime
            if not spec.schedule.realtime and (slot := next_fire(spec.schedule, profile.timezone, now)) is not None:
                self._heap.append((slot.instant.timestamp(), number, profile.name, spec.name))
        heapq.heapify(self._heap)

    def next(self) -> float:
        """The instant of the next fire; infinity if there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self, now: float) -> list[tuple[str, str]]:
        """The models whose time has come, (profile, model); each one's next fire is computed once, here."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, number, profile_name, name = self._heap[0]
            found.append((profile_name, name))
            profile = self._space.profile(profile_name)
            slot = next_fire(profile.models[name].schedule, profile.timezone, datetime.fromtimestamp(now, UTC))
            if slot is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, (slot.instant.timestamp(), number, profile_name, name))
        return found


def run_loop(
    reopen: Callable[[], Workspace],
    *,
    stop: threading.Event,
    report: Callable[[RunResult], None] | None = None,
    reload: threading.Event | None = None,
) -> None:
    """Pass after pass until ``stop``; ``reopen`` reads the profiles again when their files change (or ``reload`` is set).

    A profile that has become wrong is reported and the last good one stays in force. Holds the run lock all along.
    """
    space = reopen()
    if space.broken is not None:
        space.log.error("not on duty for what cannot be used:\n%s", space.broken)
    space.store  # noqa: B018 - opens (and brings up to date) the file before the lock beside it
    lock = RunLock(space.db_path)
    lock.acquire(space.clock.now())
    try:
        guard(space, lock)
        stamps = _stamps(space)
        timetable = Timetable(space)
        # the first pass looks at every model, as cron's would; later ones at those whose time has come
        only: frozenset[tuple[str, str]] | None = None
        reading = space.now()
        while not stop.is_set():
            try:
                result = one_pass(space, only=only, stop=stop)
            except TemporaryError as error:
                space.log.warning("%s", error)
                stop.wait(_GLANCE)
                continue
            if report is not None:
                report(result)
            version, changed = space.store.db.version(), False
            until = _wake_at(space, timetable)
            # a clock that is set back must not lengthen the wait
            ring = space.clock.monotonic() + until - space.now()
            while not stop.is_set():
                if (now := space.now()) < reading - _BACK:
                    # fires were reckoned from a reading that has not come yet: all anew, as if just started
                    reading, timetable, changed = now, Timetable(space), True
                    break
                reading = now
                if now >= until or space.clock.monotonic() >= ring or space.store.db.version() != version:
                    break
                if (reload is not None and reload.is_set()) or _stamps(space) != stamps:
                    stamps = _stamps(space)
                    space, timetable, changed = _reloaded(space, timetable, reopen, reload)
                    if changed:
                        break
                stop.wait(min(_GLANCE, max(0.01, until - now)))
            due = frozenset(timetable.pop(space.now()))
            only = None if changed else due
    finally:
        lock.release()
        space.close()


def _reloaded(
    space: Workspace, timetable: Timetable, reopen: Callable[[], Workspace], reload: threading.Event | None
) -> tuple[Workspace, Timetable, bool]:
    if reload is not None:
        reload.clear()
    try:
        fresh = reopen()
    except (ProfileError, AutomateError) as error:
        space.log.error(  # noqa: TRY400 - a finding in a file, not a fault of the program
            "the profiles have changed and cannot be used, the last good ones stay in force:\n%s",
            error,
        )
        return space, timetable, False
    if fresh.broken is not None:
        # each stays as it was last good, while its file is there
        there, anew = set(space.sources() if space.sources is not None else ()), {each.path for each in fresh.profiles}
        kept = tuple(each for each in space.profiles if each.path in there - anew and each.name not in fresh.names)
        space.log.error(
            "profiles have changed and cannot be used%s:\n%s", ", their last good ones stay in force" if kept else "", fresh.broken
        )
        fresh.profiles += kept
        for each in kept:
            fresh.redactor.add(secrets_of(each))
    fresh.adopt(space)
    return fresh, Timetable(fresh), True


def _stamps(space: Workspace) -> list[tuple[Path, int, int]]:
    """The profile files as they lie there now: new ones and those that went included."""
    try:
        paths = space.sources() if space.sources is not None else [profile.path for profile in space.profiles]
    except ProfileError:
        paths = []
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((path, stat.st_mtime_ns, stat.st_size))
    return found


def _wake_at(space: Workspace, timetable: Timetable) -> float:
    """When there may be something to do again."""
    now = space.now()
    wake = min(now + _LONGEST, timetable.next())
    if timetable.realtime:
        wake = min(wake, now + duty.REALTIME_SECONDS)
    store = space.store
    if store.apps.fenced():
        return wake
    for app in store.apps.rows(now, profiles=space.names, system=True):
        if app.waiting and app.state in (AppState.RUNNING, AppState.THROTTLED):
            wake = min(wake, max(app.until, app.next_at or 0.0, now + 0.05))
    if (retry := store.tasks.next_ready()) is not None:
        wake = min(wake, max(retry, now + 0.05))
    return wake

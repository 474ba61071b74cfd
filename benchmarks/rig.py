"""What every measurement is made with: a table's line, alternating rounds, and a queue filled for draining."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks import senders
from benchmarks.senders import catalogue
from libax_automate.clock import ShiftedClock, SystemClock
from libax_automate.engine.deliver import Delivery
from libax_automate.engine.outbox import Draft
from libax_automate.engine.profile import load_profiles
from libax_automate.engine.workspace import Workspace
from libax_automate.message import Channel


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: ours beside something bare, and the ratio that is promised."""

    work: str
    ours: str
    beside: str
    ratio: float
    #: what the ratio should reach; ``most`` turns it into a limit
    reach: float
    most: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.ratio <= self.reach if self.most else self.ratio >= self.reach

    def cells(self) -> tuple[str, ...]:
        sign = "≤" if self.most else "≥"
        return (
            self.work, self.ours, self.beside, f"{self.ratio:.2f}", f"{sign} {self.reach:g}", "yes" if self.reached else "**no**", self.note,
        )  # fmt: skip


@dataclass
class Rig:
    """Where files go, how often each side is measured, and by how much the counts of the table are scaled down."""

    folder: Path
    rounds: int = 3
    scale: float = 1.0
    _made: int = field(default=0, init=False)

    def count(self, number: int) -> int:
        return max(100, int(number * self.scale))

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """A folder for one measurement."""
        self._made += 1
        folder = Path(tempfile.mkdtemp(prefix=f"bench{self._made}-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def pair(self, *sides: Callable[[], float]) -> list[float]:
        """Each side's median, measured in turns (A B A B …): what else the machine does falls on all alike."""
        seen: list[list[float]] = [[] for _ in sides]
        for _ in range(self.rounds):
            for side, results in zip(sides, seen, strict=True):
                gc.collect()
                results.append(side())
        return [statistics.median(results) for results in seen]


def timed(call: Callable[[], object]) -> float:
    """Seconds that ``call`` took."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


PROFILE = """
name = "bench"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
sms = "sms"

[apps.sms]
{app}
"""

HTTP = """
connector = "http"
url = "{url}"
json = {{ id = "{{{{ message.id }}}}", to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
id = "id"
allow_private = ["127.0.0.1/32"]
"""

TEXT = "Olá Pessoa, parabéns pelos 46 anos! Temos um bolo à sua espera na padaria, venha buscá-lo hoje."


def open_space(folder: Path, app: str) -> Workspace:
    """A workspace whose one app is ``app``, on a new database in ``folder``."""
    path = folder / "profiles.toml"
    path.write_text(PROFILE.format(app=app), encoding="utf-8")
    path.chmod(0o600)
    return reopen(folder)


def reopen(folder: Path, *, now: str | None = None) -> Workspace:
    """The workspace in a folder, as it is; ``now`` moves its clock there."""
    clock = SystemClock() if now is None else ShiftedClock(datetime.fromisoformat(now))
    plugins = catalogue()
    return Workspace(load_profiles([folder / "profiles.toml"], plugins, dict(os.environ)), folder / "automate.db", plugins, clock)


def drafts(count: int, *, first: int = 0) -> Iterator[Draft]:
    """Invented texts."""
    for number in range(first, first + count):
        yield Draft(
            model="m", person=str(number), occasion="2026-12-24", app="sms", channel=Channel.SMS, to=f"+35191{number:07d}",
            name=f"Pessoa {number}", payload={"text": TEXT},
        )  # fmt: skip


def fill(space: Workspace, count: int, *, first: int = 0, ready: list[Draft] | None = None) -> None:
    """Put ``count`` messages into the queue, all due."""
    store, now = space.store, space.now()
    app = space.profiles[0].apps["sms"]
    with store.write():
        model_id = store.tasks.see_model("bench", "m", now=now, slots_from=now, fingerprint="").id
        app_id = store.apps.register("bench", "sms", app.connector, app.credential)
        found = drafts(count, first=first) if ready is None else ready
        store.queue.enqueue(found, model_id=model_id, task_id=None, apps={"sms": app_id}, now=now)


def drain(space: Workspace, *, most: int | None = None) -> tuple[float, float]:
    """Messages a second through the whole delivery, and CPU microseconds a message; stops after about ``most``."""
    stop = threading.Event()
    senders.stop_after(most, stop)
    delivery = Delivery(space, stop=stop)
    before, used = _sent(space), cpu()
    seconds = timed(delivery.run)
    used = cpu() - used
    if most is None and (left := space.store.ledger.waiting()):
        raise SystemExit(f"{left} messages did not leave: {space.store.errors.listed()}")
    sent = _sent(space) - before
    return sent / seconds, used / sent * 1e6


def _sent(space: Workspace) -> int:
    return sum(app.sent for app in space.store.apps.rows(space.now()))

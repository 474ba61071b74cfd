"""R9: the service for half an hour at fifty messages a second while the gateway fails in every way and admins keep asking.

``automate run --loop`` is a process of its own. There is no web page yet, so what is polled from outside is what admins have:
``status``, ``queue list``, ``errors list`` and ``report``, each as a process too; and as an admin would, the test resolves what waits for
a person. Its memory, open files and journal are read from outside all along. The run of every day is the same code for half a minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest

from tests.figures import Figure
from tests.harness.runner import ROOT
from tests.harness.storm import Storm

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
APPS, RATE = 10, 50
#: two gateways know no keys; theirs are among the first to answer 500 after they have delivered, and to reset the line
KEYED = frozenset(f"a{number}" for number in range(APPS) if number not in (3, 5))
#: a slot reads this many of the last batches, so that one missed minute loses nobody
BATCHES = 3

APP = """
[apps.s{n}]
connector = "csv"
contacts = "people-{n}.csv"

[apps.a{n}]
connector = "http"
url = "{url}/a{n}"
headers = {{ Authorization = "Bearer key-{n}" }}
json = {{ id = "{{{{ message.id }}}}", to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
id = "id"
allow_private = ["127.0.0.1/32"]
rate = "{rate}/s"
concurrency = 2
timeout = 2
{more}

[models.m{n}]
use = "notice"
source = "s{n}"
cron = "* * * * *"
occasion = "soak"
channel = "sms"
via = "a{n}"
text = "Olá {{{{ first_name }}}}, a sua revisão está marcada."
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a process at one moment."""

    #: seconds since the start
    at: float
    #: bytes of memory
    rss: int
    #: open files that are no connections, and connections
    files: int
    connections: int
    #: bytes of the journal or write-ahead log
    journal: int
    #: deliveries so far
    delivered: int


def descriptors(pid: int) -> tuple[int, int]:
    """How many open files that are no connections a process has, and how many connections."""
    kinds: Counter[bool] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in between
            kinds[str(link.readlink()).startswith("socket:")] += 1
    return kinds[False], kinds[True]


@dataclass
class Watch:
    """What is seen of a process from outside, twice a second."""

    pid: int
    db: Path
    storm: Storm
    seen: list[Look] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        process, began = psutil.Process(self.pid), time.monotonic()
        while not self.over.wait(0.5):
            try:
                rss, (files, connections) = process.memory_info().rss, descriptors(self.pid)
            except (psutil.Error, OSError):
                return
            journals = (self.db.with_name(self.db.name + end) for end in ("-wal", "-journal"))
            journal = max((path.stat().st_size for path in journals if path.exists()), default=0)
            self.seen.append(Look(time.monotonic() - began, rss, files, connections, journal, self.storm.delivered.total()))

    def between(self, first: float, last: float) -> list[Look]:
        return [each for each in self.seen if first <= each.at < last]


class Service:
    """The program as its admins have it: one process that stays, and commands beside it. Its clock is set so that a slot comes at once."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.db = folder, folder / "state" / "automate.db"
        self.profile = folder / "profiles.toml"
        keys = 'idempotency_header = "Idempotency-Key"'
        apps = [APP.format(n=n, url=url, rate=2 * RATE // APPS, more=keys if f"a{n}" in KEYED else "") for n in range(APPS)]
        head = 'name = "padaria"\ntimezone = "UTC"\nlocale = "pt_PT"\ncountry = "PT"\nactivation = "immediate"\n'
        self.profile.write_text(head + "".join(apps), encoding="utf-8")
        self.profile.chmod(0o600)
        real = datetime.now(UTC)
        self.shift = real.replace(second=55, microsecond=0) - real
        self.log = folder / "service.log"
        self._batches: list[list[str]] = []
        self.people: list[str] = []

    def command(self, *args: str) -> list[str]:
        where = ["--profiles", str(self.profile), "--db", str(self.db)]
        return [sys.executable, "-m", "libax_automate", *args, *where]

    def start(self) -> subprocess.Popen[bytes]:
        at = (datetime.now(UTC) + self.shift).isoformat()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command("run", "--loop", "-v", "--now", at), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
                env={**os.environ, "AUTOMATE_MACHINE_ID": "soak"},
            )  # fmt: skip

    def ask(self, *args: str) -> Any:
        """What a command answers; 3 says that something waits for a person."""
        done = subprocess.run(
            self.command(*args, "--json"), capture_output=True, text=True, cwd=ROOT, check=False, timeout=120,
            env={**os.environ, "AUTOMATE_MACHINE_ID": "soak"},
        )  # fmt: skip
        assert done.returncode in (0, 3), (args, done)
        assert "Traceback" not in done.stderr, (args, done)
        return json.loads(done.stdout)

    def feed(self, count: int) -> None:
        """So many new people, spread over the sources; those of the last batches stay."""
        first = len(self.people) + 1
        self.people += [f"+3519{number:08d}" for number in range(10_000_000 + first, 10_000_000 + first + count)]
        self._batches = [*self._batches, [f"{n},Pessoa {n},{self.people[n - 1]}" for n in range(first, first + count)]][-BATCHES:]
        for app in range(APPS):
            rows = [row for batch in self._batches for row in batch[app::APPS]]
            partial = self.folder / f"people-{app}.partial"
            partial.write_text("\n".join(["id,name,mobile", *rows, ""]), encoding="utf-8")
            partial.replace(self.folder / f"people-{app}.csv")

    def resolve(self, storm: Storm) -> Counter[str]:
        """What a person does about open errors: ask the gateway about what is in doubt, try the rest again."""
        seen: Counter[str] = Counter()
        for error in self.ask("errors", "list")["items"]:
            seen[error["class"]] += 1
            if error["class"] != "in_doubt":
                self.ask("errors", "retry", error["id"])
                continue
            for message in error["messages"]:
                self.ask("errors", "sent" if storm.delivered[message] else "retry", error["id"], "--message", message)
        return seen


@dataclass
class Soaked:
    """What was seen of one run."""

    watch: Watch
    seconds: float
    people: int
    lost: int
    doubled: int
    code: int
    log: str
    errors: Counter[str]
    polls: int
    slowest: float
    storms: int
    rate: float

    def growth(self, warm: float) -> float:
        """By how much the highest RSS after ``warm`` seconds exceeds the highest before, as a share."""
        before = max(each.rss for each in self.watch.between(0, warm))
        return max(each.rss for each in self.watch.between(warm, 1e9)) / before - 1

    def files(self, first: float, last: float) -> tuple[float, int]:
        """Open files that are no connections, usually; and all of them, at most."""
        seen = self.watch.between(first, last)
        return median(each.files for each in seen), max(each.files + each.connections for each in seen)


def soak(folder: Path, seconds: float, *, each: float, calm: int) -> Soaked:
    """Feed and watch for so many seconds, asking every ``each`` seconds; then wait until all has left and end the service."""
    errors: Counter[str] = Counter()
    polls, slowest, minute = 0, 0.0, 1
    folder.mkdir(exist_ok=True)
    with Storm(keyed=KEYED, calm=calm) as storm:
        service = Service(folder, storm.url)
        service.feed(0)
        process = service.start()
        watch = Watch(process.pid, service.db, storm)
        watcher = threading.Thread(target=watch.run, daemon=True)
        watcher.start()
        began = time.monotonic()
        try:
            service.feed(int(RATE * min(seconds, 60)))
            deadline = began + seconds + 240
            while time.monotonic() < deadline:
                assert process.poll() is None, service.log.read_text(encoding="utf-8")[-2000:]
                now = time.monotonic() - began
                # the next minute's people are there well before its slot
                if now > minute * 60 - 25 and minute * 60 < seconds:
                    service.feed(RATE * 60)
                    minute += 1
                asked = time.monotonic()
                if service.db.exists():
                    status, queue = service.ask("status"), service.ask("queue", "list")
                    slowest = max(slowest, (time.monotonic() - asked) / 2)
                    errors += service.resolve(storm)
                    if polls % 6 == 0:
                        service.ask("report")
                    polls += 1
                    idle = not status["errors"] and all(not item[key] for item in queue["items"] for key in ("waiting", "sending"))
                    if now > seconds and idle and len(storm.reached) == len(service.people):
                        break
                time.sleep(max(0.0, min(each, each - (time.monotonic() - asked))))
            ended = time.monotonic() - began
        finally:
            watch.over.set()
            watcher.join(5)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(60)
            finally:
                process.kill()
        lost = [number for number in service.people if not storm.reached[number]]
        return Soaked(
            watch, ended, len(service.people), len(lost), sum(count - 1 for count in storm.reached.values() if count > 1), code,
            service.log.read_text(encoding="utf-8") + "".join(map(str, service.db.parent.glob("crash-*"))), errors, polls, slowest, sum(storm.met.values()), sum(storm.reached.values()) / ended,
        )  # fmt: skip


def judge(soaked: Soaked, figure: Figure, *, memory: float, files: float, warm: float | None = None) -> None:
    """Say and hold the figures: what grows after ``warm`` seconds (by default, when a fourth has been delivered).

    For open files, the half of the time that follows that is compared with the rest. Connections come and go with the gateway's moods: of
    those, the most at once are compared.
    """
    if warm is None:
        warm = next(each.at for each in soaked.watch.seen if each.delivered >= soaked.people / 4)
    growth, middle = soaked.growth(warm), (warm + soaked.watch.seen[-1].at) / 2
    (own, most), (own_then, most_then) = soaked.files(warm, middle), soaked.files(middle, 1e9)
    journal = max(each.journal for each in soaked.watch.seen) / 1e6
    peak = max(each.rss for each in soaked.watch.seen) / 1e6
    figure(
        f"R9 {soaked.seconds / 60:.1f} min: {soaked.people} people at {soaked.rate:.0f}/s through {soaked.storms} faults and "
        f"{sum(soaked.errors.values())} errors for a person, {soaked.polls} polls (a command at most {soaked.slowest:.1f} s): lost {soaked.lost}, "
        f"doubled {soaked.doubled}, RSS {peak:.0f} MB, {growth:+.1%} after {warm / 60:.1f} min, open files {own:.0f} then {own_then:.0f} "
        f"(with connections at most {most} then {most_then}), journal at most {journal:.1f} MB, exit {soaked.code}"
    )
    assert (soaked.lost, soaked.doubled) == (0, 0)
    assert soaked.code == 0
    assert "Traceback" not in soaked.log
    assert "crash-" not in soaked.log
    assert soaked.errors["bug"] == 0
    assert soaked.storms > 0
    assert growth <= memory
    assert abs(own_then - own) <= 2
    assert most_then - most <= files
    assert journal <= 64


@pytest.mark.timeout(300)
def test_half_a_minute_of_service_in_a_storm(tmp_path: Path, figure: Figure) -> None:
    judge(soak(tmp_path / "shop", 12, each=2, calm=70), figure, memory=0.1, files=2 * APPS)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_half_an_hour_of_service_in_a_storm(tmp_path: Path, figure: Figure) -> None:
    judge(soak(tmp_path / "shop", MINUTES * 60, each=10, calm=600), figure, memory=0.05, files=2, warm=300)

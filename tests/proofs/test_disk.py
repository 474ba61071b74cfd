"""R4: the disk fills, fails or is read-only in the middle of a drain; nothing doubles, no outcome is lost, and one line says what to do."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from libax_automate.engine.run import run_pass
from libax_automate.errors import StoreError
from tests.conftest import Cli, Finished
from tests.figures import Figure
from tests.harness.sink import Sink
from tests.harness.world import BIRTHDAY, World

PEOPLE = 20
EARLY = "2026-12-24T09:00:00+00:00"
PAGE = 4096


@dataclass
class Tally:
    """What the faults of one kind came to."""

    cases: int = 0
    hit: int = 0
    lost: int = 0
    doubled: int = 0
    in_doubt: int = 0
    codes: dict[int, int] = field(default_factory=dict)

    def line(self, name: str) -> str:
        """The figure of the proof."""
        codes = ", ".join(f"{count} × exit {code}" for code, count in sorted(self.codes.items()))
        return (
            f"R4 {name}: {self.cases} cases, {self.hit} hit ({codes}), lost {self.lost}, doubled {self.doubled}, in doubt {self.in_doubt}"
        )


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    """A gateway that counts, without keys: what is sent twice is delivered twice."""
    with Sink() as running:
        yield running


@pytest.fixture(scope="module")
def base(sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A business that has run once, an hour before everybody's birthday message."""
    folder = tmp_path_factory.mktemp("base")
    world = World(folder / "w", sink.url, count=PEOPLE, sms="concurrency = 2\nwindow = 8\n")
    world.run(EARLY)
    return world.folder


class Copy(World):
    """A copy of the business; its database may stand elsewhere (a small disk)."""

    def __init__(self, base: Path, folder: Path, state: Path | None = None) -> None:
        shutil.copytree(base, folder)
        self.folder, self.profile = folder, folder / "profiles.toml"
        self.db = folder / "state" / "automate.db"
        if state is not None:
            for each in self.db.parent.iterdir():
                shutil.copy(each, state / each.name)
            self.db = state / "automate.db"
        from libax_automate.plugins.catalogue import default_catalogue

        self.catalogue = default_catalogue()

    def args(self, at: str = BIRTHDAY) -> list[str]:
        """The command line of a pass."""
        return ["run", "--profiles", str(self.profile), "--db", str(self.db), "--now", at]


def one_line(done: Finished, *codes: int) -> None:
    """It ended with one of the codes and one line that says what to do."""
    assert done.code in codes, done
    assert "Traceback" not in done.err, done.err
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert " → " in done.err, done.err


def settle(world: World, sink: Sink, tally: Tally, people: int = PEOPLE) -> None:
    """With the fault gone: let it finish, and count."""
    sink_before = sum(sink.delivered.values())
    with world.store() as store:
        assert store.db.problems() == []
    for _ in range(10):
        if not world.run().waiting or world.errors():
            break
    states = world.states()
    assert sum(states.values()) == people, states
    delivered = {row.id: sink.delivered[f"M{row.id}"] for row in world.messages()}
    tally.lost += sum(1 for row in world.messages() if not delivered[row.id] and row.state not in ("in_doubt", "waiting"))
    tally.doubled += sum(count - 1 for count in delivered.values() if count > 1)
    tally.in_doubt += states.get("in_doubt", 0)
    if not states.get("in_doubt"):
        assert states == {"sent": people}, (states, sink_before)


def attempt(world: World, sink: Sink, tally: Tally, run: Callable[[], Finished], *codes: int) -> Finished:
    """One case: the run under the fault, then the truth."""
    sink.delivered.clear()
    done = run()
    tally.cases += 1
    tally.codes[done.code] = tally.codes.get(done.code, 0) + 1
    if done.code:
        tally.hit += 1
        one_line(done, *codes)
    else:
        assert done.err == "", done.err
    settle(world, sink, tally)
    return done


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") is not None and os.geteuid() == 0
    mounted = (
        mounted
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a tmpfs cannot be mounted here (root and the right to mount are needed)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_at_any_page_loses_nothing_and_doubles_nothing(
    base: Path, sink: Sink, tmp_path: Path, small_disk: Path, cli: Cli, figure: Figure
) -> None:
    tally = Tally()
    for free in range(24):
        for old in small_disk.iterdir():
            old.unlink()
        world = Copy(base, tmp_path / f"w{free}", small_disk)
        filler = small_disk / "filler"
        space = os.statvfs(small_disk)
        filler.write_bytes(b"x" * max(space.f_bavail * space.f_frsize - free * PAGE, 0))

        def run(world: World = world, filler: Path = filler) -> Finished:
            done = cli(*world.args())  # type: ignore[attr-defined]
            filler.unlink()
            return done

        attempt(world, sink, tally, run, 74)
    figure(tally.line("full disk (tmpfs 512 KiB)"))
    assert tally.hit >= 5
    assert (tally.lost, tally.doubled, tally.in_doubt) == (0, 0, 0)


def test_a_database_that_may_not_grow_loses_nothing_and_doubles_nothing(base: Path, sink: Sink, tmp_path: Path, figure: Figure) -> None:
    tally, hints = Tally(), list[str]()
    for extra in range(0, 24, 2):
        world = Copy(base, tmp_path / f"w{extra}")
        world.people(150)
        sink.delivered.clear()
        tally.cases += 1
        with world.space() as space:
            pages = int(space.store.db.value("PRAGMA page_count"))
            space.store.db.conn.execute(f"PRAGMA max_page_count = {pages + extra}")
            try:
                run_pass(space, patience=0)
            except StoreError as error:
                tally.hit += 1
                hints.append(error.hint)
        settle(world, sink, tally, 150)
    figure(tally.line("max_page_count"))
    assert all(hints)
    assert tally.hit >= 1
    assert (tally.lost, tally.doubled, tally.in_doubt) == (0, 0, 0)


def process(world: Copy, *, before: Sequence[str] = (), limit: int | None = None) -> Finished:
    """A pass in a process of its own, under a tracer or a limit."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*before, sys.executable, "-m", "libax_automate", *world.args()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=limited, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def test_a_limit_on_file_sizes_loses_nothing_and_doubles_nothing(base: Path, sink: Sink, tmp_path: Path, figure: Figure) -> None:
    tally = Tally()
    size = (base / "state" / "automate.db").stat().st_size
    for number, limit in enumerate((PAGE, size // 2, size, size + PAGE, size + 2 * PAGE)):
        world = Copy(base, tmp_path / f"w{number}")
        attempt(world, sink, tally, lambda world=world, limit=limit: process(world, limit=limit), 74)  # type: ignore[misc]
    figure(tally.line("RLIMIT_FSIZE"))
    assert tally.hit >= 2
    assert (tally.lost, tally.doubled, tally.in_doubt) == (0, 0, 0)


#: what SQLite writes with, and what can go wrong there
INJECTED = [
    ("pwrite64", "ENOSPC", "+"),
    ("pwrite64", "EIO", ""),
    ("fdatasync", "EIO", ""),
    ("fdatasync", "EIO", "+"),
    ("ftruncate", "EIO", ""),
]


def traced(call: str, error: str, when: str) -> list[str]:
    """The tracer that lets ``call`` fail at its ``when``-th time."""
    return [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "--seccomp-bpf",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error={error}:when={when}",
    ]


def how_often(world: Copy, call: str, log: Path) -> int:
    """How many times an undisturbed run makes the call."""
    process(world, before=["strace", "-f", "-qq", "-o", str(log), "--seccomp-bpf", "-e", f"trace={call}"])
    return sum(1 for line in log.read_text().splitlines() if f" {call}(" in line)


def _inject(base: Path, sink: Sink, tmp_path: Path, share: int, figure: Figure) -> None:
    if (
        shutil.which("strace") is None
        or subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("strace is not installed, or may not trace here")
    for number, (call, error, more) in enumerate(INJECTED):
        tally = Tally()
        total = how_often(Copy(base, tmp_path / f"count{number}"), call, tmp_path / "log")
        sink.delivered.clear()
        steps = range(1, total + 1) if not share else sorted({round(total * (i + 0.5) / share) for i in range(share)})
        for at in steps:
            world = Copy(base, tmp_path / f"w{number}-{at}")
            fault = traced(call, error, f"{at}{more}")
            attempt(world, sink, tally, lambda world=world, fault=fault: process(world, before=fault), 74)  # type: ignore[misc]
            shutil.rmtree(world.folder)
        figure(tally.line(f"{error} at {call}{more and ' and ever after'} ({total} calls)"))
        assert tally.hit or tally.cases < 3
        assert (tally.lost, tally.doubled, tally.in_doubt) == (0, 0, 0)


def test_a_write_that_fails_in_the_middle_of_a_drain_is_survived(base: Path, sink: Sink, tmp_path: Path, figure: Figure) -> None:
    _inject(base, sink, tmp_path, 2, figure)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_each_write_of_a_drain_that_fails_is_survived(base: Path, sink: Sink, tmp_path: Path, figure: Figure) -> None:
    _inject(base, sink, tmp_path, 0, figure)


def test_without_room_for_the_outcomes_nothing_is_sent(base: Path, sink: Sink, tmp_path: Path, small_disk: Path, cli: Cli) -> None:
    world = Copy(base, tmp_path / "w", small_disk)
    (small_disk / "automate.db.outcomes").unlink()
    space = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (space.f_bavail * space.f_frsize - 50 * PAGE))
    sink.delivered.clear()
    done = cli(*world.args())
    one_line(done, 74)
    assert "nothing was sent" in done.err
    assert not sink.delivered
    (small_disk / "filler").unlink()
    settle(world, sink, Tally())


def unprivileged() -> list[str]:
    """A prefix under which file modes count, also for root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root reads every file, and setpriv, which could change that, is not installed")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


@contextlib.contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """The path with other bits for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


def test_what_may_not_be_written_or_read_is_told_and_nothing_leaves(base: Path, sink: Sink, tmp_path: Path, figure: Figure) -> None:
    prefix, cases = unprivileged(), 0
    for name, bits, code in (
        ("state/automate.db", 0o400, 74),
        ("state/automate.db", 0o000, 74),
        ("state", 0o500, 74),
        ("state", 0o000, 74),
        ("state/automate.db.lock", 0o400, 74),
        ("state/automate.db.outcomes", 0o400, 74),
        ("profiles.toml", 0o000, 78),
        ("profiles.toml", 0o666, 78),
        (".", 0o000, 78),
    ):
        world = Copy(base, tmp_path / f"w{cases}")
        sink.delivered.clear()
        with mode(world.folder / name, bits):
            done = process(world, before=prefix)
        if done.code == 0:
            # a folder that takes no new files is enough where the journal is there already (journal_mode TRUNCATE)
            assert (name, bits) == ("state", 0o500)
        else:
            assert not sink.delivered, name
            one_line(done, code)
        tally = Tally()
        settle(world, sink, tally)
        assert (tally.lost, tally.doubled, tally.in_doubt) == (0, 0, 0), name
        cases += 1
    figure(f"R4 modes: {cases} cases, 0 sent, 0 tracebacks")


def test_a_file_system_gone_read_only_is_told_and_nothing_leaves(
    base: Path, sink: Sink, tmp_path: Path, small_disk: Path, cli: Cli
) -> None:
    world = Copy(base, tmp_path / "w", small_disk)
    sink.delivered.clear()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        done = cli(*world.args())
        assert not sink.delivered
        one_line(done, 74)
        looked = cli("queue", "list", "--db", world.db, "--json")
        assert looked.code in (0, 74)
        assert "Traceback" not in looked.err
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    settle(world, sink, Tally())


@pytest.mark.parametrize(
    "content",
    [b"", b"not a database at all, but long enough to be looked at as if it were one" * 20, b"SQLite format 3\0" + b"\xff" * 8000],
)
def test_a_file_that_is_no_database_is_told_and_left_alone(base: Path, tmp_path: Path, cli: Cli, content: bytes) -> None:
    world = Copy(base, tmp_path / "w")
    world.db.write_bytes(content)
    done = cli(*world.args())
    if content:
        one_line(done, 74)
        assert world.db.read_bytes() == content
    else:
        assert done.code == 0  # an empty file is what a database is before its first page
        with contextlib.closing(sqlite3.connect(world.db)) as conn:
            assert conn.execute("PRAGMA user_version").fetchone()[0] >= 1

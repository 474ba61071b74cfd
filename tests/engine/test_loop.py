"""The service: on time, awake when another process changes something, loyal to the last good profile, gone when asked."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest

from libax_automate.clock import ShiftedClock
from libax_automate.engine.lock import RunLock
from libax_automate.engine.loop import Timetable, run_loop
from libax_automate.engine.run import RunResult
from libax_automate.errors import LockHeld
from libax_automate.testing.clock import FakeClock
from libax_automate.testing.service import Reply, Service
from tests.harness.world import World

OK = Reply(200, {"id": "g1"})


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


class Loop:
    """The loop over a world in a thread of its own, from ``start`` on."""

    def __init__(self, world: World, start: str) -> None:
        self.world = world
        self.clock = ShiftedClock(datetime.fromisoformat(start))
        self.stop, self.reload = threading.Event(), threading.Event()
        self.results: list[RunResult] = []
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            run_loop(lambda: self.world.space(clock=self.clock), stop=self.stop, report=self.results.append, reload=self.reload)
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Self:
        self._thread.start()
        self.until(lambda: self.results or self.failure)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure

    def until(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.failure is None, self.failure
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.01)


def test_a_slot_is_run_when_its_time_comes_and_not_before(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3)
    with Loop(world, "2026-12-24T09:59:58.500+00:00") as loop:
        assert gateway.requests == []
        loop.until(lambda: len(gateway.requests) == 3)
        assert loop.clock.now() >= datetime(2026, 12, 24, 10, tzinfo=UTC)
        started = world.value("SELECT started_at FROM tasks")
        assert started - datetime(2026, 12, 24, 10, tzinfo=UTC).timestamp() < 5
    assert world.states() == {"sent": 3}


def test_it_holds_the_lock_and_lets_go_when_told_to_stop(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=1)
    with Loop(world, "2026-12-24T08:00:00+00:00") as loop, pytest.raises(LockHeld):
        RunLock(world.db).acquire(loop.clock.now())
    lock = RunLock(world.db)
    lock.acquire(loop.clock.now())
    lock.release()


def test_another_process_resumes_an_app_and_its_queue_moves(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=3)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        store.apps.pause(app, 0.0)
    world.run("2026-12-24T10:00:00+00:00")
    with Loop(world, "2026-12-24T10:00:10+00:00") as loop:
        assert gateway.requests == []
        with world.store() as store:
            store.apps.resume(app)
        loop.until(lambda: len(gateway.requests) == 3)


def test_a_throttled_app_goes_on_when_its_wait_is_over(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Reply(429, "", {"Retry-After": "6"}), OK])
    world = World(tmp_path, gateway.url, count=2, sms="concurrency = 1")
    with Loop(world, "2026-12-24T09:59:59.500+00:00") as loop:
        loop.until(lambda: len(gateway.requests) == 1)
        first = time.monotonic()
        loop.until(lambda: len(gateway.requests) == 3)
        assert 4.5 <= time.monotonic() - first < 15


def test_a_changed_profile_is_taken_over_and_a_broken_one_is_not(
    tmp_path: Path, gateway: Service, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, gateway.url, count=1)
    good = world.profile.read_text(encoding="utf-8")
    with caplog.at_level(logging.ERROR), Loop(world, "2026-12-24T09:30:00+00:00") as loop:
        world.write(good.replace('at = "10:00"', 'at = "25:00"'))
        loop.until(lambda: "the last good ones stay in force" in caplog.text)
        assert ": at: a time of day" in caplog.text
        print_of = "SELECT fingerprint FROM models WHERE name = 'parabens'"
        before = world.value(print_of)
        world.write(good.replace('text = "Olá', 'realtime_is_not_a_key = 1\ntext = "Olá'))
        loop.until(lambda: caplog.text.count("the last good ones stay in force") == 2)
        assert world.value(print_of) == before
        world.write(good.replace('at = "10:00"', 'at = "15:00"'))
        loop.until(lambda: world.value(print_of) != before)
        loop.reload.set()
        loop.until(lambda: not loop.reload.is_set())


def test_a_day_of_a_thousand_models_is_a_heap(tmp_path: Path) -> None:
    """Each model's next fire is computed once per fire, and only the models whose time has come are named."""
    models = "".join(
        f'[models.m{i}]\nuse = "birthday"\nsource = "gestao"\nat = "{i // 60:02}:{i % 60:02}"\nchannel = "sms"\ntext = "Olá"\n'
        for i in range(300)
    )
    world = World(tmp_path, count=0, more=models)
    clock = FakeClock(datetime(2026, 12, 23, 23, 59, tzinfo=UTC))
    with world.space(clock=clock) as space:
        table = Timetable(space)
        seen = []
        while table.next() < datetime(2026, 12, 24, 23, tzinfo=UTC).timestamp():
            clock.set(datetime.fromtimestamp(table.next(), UTC))
            seen += table.pop(table.next())
        assert sorted(name for _, name in seen if name != "parabens") == sorted(f"m{i}" for i in range(300))
        assert table.pop(table.next() - 1) == []


def test_the_service_ends_with_0_on_sigterm(tmp_path: Path, gateway: Service, start_process: Callable[..., subprocess.Popen[str]]) -> None:
    world = World(tmp_path, gateway.url, count=2)
    process = start_process("run", "--loop", "--profiles", world.profile, "--db", world.db, "--now", "2026-12-24T09:59:59+00:00")
    deadline = time.monotonic() + 30
    while len(gateway.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(gateway.requests) == 2
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert world.states() == {"sent": 2}


class Settable(ShiftedClock):
    """A machine clock that somebody sets; monotonic time goes on."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


def test_a_clock_that_is_put_right_while_it_stays_does_not_put_it_to_sleep(tmp_path: Path, gateway: Service) -> None:
    """Forty days ahead for a moment: the service neither waits for that day nor forgets the slot that comes in two seconds."""
    world = World(tmp_path, gateway.url, count=2)
    loop = Loop(world, "2026-12-24T09:59:57+00:00")
    loop.clock = clock = Settable(datetime(2026, 12, 24, 9, 59, 56, tzinfo=UTC))
    with loop:
        clock.by = timedelta(days=40)
        assert world.db.exists()
        loop.until(lambda: world.value("SELECT max(created_at) FROM tasks") is not None)
        assert gateway.requests == []
        clock.by = timedelta()
        loop.until(lambda: len(gateway.requests) == 2)
        assert clock.now() < datetime(2026, 12, 24, 10, 1, tzinfo=UTC)
    assert world.states() == {"sent": 2}


def test_a_profile_that_is_put_into_the_folder_is_served_without_being_told(tmp_path: Path, gateway: Service) -> None:
    folder = tmp_path / "profiles"
    world = World(folder, gateway.url, count=1)
    world.db = tmp_path / "automate.db"
    first, world.profile = world.profile, folder
    with Loop(world, "2026-12-24T11:00:00+00:00") as loop:
        text = first.read_text(encoding="utf-8").replace('name = "padaria"', 'name = "talho"')
        second = folder / "talho.toml"
        second.write_text(text, encoding="utf-8")
        second.chmod(0o600)
        loop.until(lambda: world.value("SELECT count(*) FROM models WHERE profile = 'talho'") == 1)
        second.unlink()
        passes = len(loop.results)
        loop.until(lambda: len(loop.results) > passes)
    assert world.value("SELECT count(*) FROM models WHERE profile = 'padaria' AND name = 'parabens'") == 1

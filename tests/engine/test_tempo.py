"""How many calls at a time: one while answers are there at once, all as soon as one takes its time or does not come back."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from libax_automate.engine.tempo import Tempo
from libax_automate.testing.service import Reply, Request, Service
from tests.harness.world import World


def test_brief_calls_are_made_one_at_a_time() -> None:
    tempo = Tempo()
    assert not any(tempo.saw(seconds, 1) for seconds in (0.08, *[0.000_1] * 50, 0.001, 0.000_1, 0.001, 0.001, 0.000_1))
    assert not tempo.many


@pytest.mark.parametrize("calls", [[0.02], [0.001] * 3, [0.000_1, 0.000_3, 0.000_3, 0.000_3]])
def test_a_call_that_takes_its_time_or_three_that_take_some_want_company(calls: list[float]) -> None:
    tempo = Tempo()
    tempo.saw(0.05, 1)  # the first connects
    assert [tempo.saw(seconds, 1) for seconds in calls][-1]
    assert tempo.many


def test_a_batch_is_judged_by_each_message_in_it() -> None:
    tempo = Tempo()
    assert not any(tempo.saw(0.004, 100) for _ in range(10))
    assert any(tempo.saw(0.006, 100) for _ in range(3))


def test_what_does_not_come_back_is_stuck() -> None:
    tempo = Tempo()
    for now, left in ((10.0, 5), (10.09, 5), (10.2, 4), (10.25, 4)):
        tempo.look(left, now)
        assert not tempo.many
    tempo.look(4, 10.31)
    assert tempo.many


def test_nothing_left_is_not_stuck() -> None:
    tempo = Tempo()
    tempo.look(0, 1.0)
    tempo.look(0, 100.0)
    assert not tempo.many


class Crowd:
    """A gateway that counts how many calls it has at once; the first one hangs as long as it is told."""

    def __init__(self, hang: float, each: float) -> None:
        self.most = self.now = self.seen = 0
        self._hang, self._each, self._lock = hang, each, threading.Lock()

    def __call__(self, request: Request) -> Reply:
        with self._lock:
            self.now += 1
            self.seen += 1
            self.most = max(self.most, self.now)
            first = self.seen == 1
        time.sleep(self._hang if first else self._each)
        with self._lock:
            self.now -= 1
        return Reply(200, {"id": "g"})


@pytest.fixture(params=[(0.02, 0.02), (1.5, 0.0)], ids=["slow", "stuck"])
def crowd(request: pytest.FixtureRequest) -> Crowd:
    """Slow each time, or stuck once."""
    return Crowd(*request.param)


def test_a_gateway_that_takes_its_time_is_called_as_often_at_once_as_the_profile_says(tmp_path: Path, crowd: Crowd) -> None:
    with Service(default=crowd) as gateway:
        world = World(tmp_path, gateway.url, count=40, sms="concurrency = 8\nwindow = 40")
        began = time.monotonic()
        assert world.run().sent == 40
        took = time.monotonic() - began
    # one at a time, forty calls of 20 ms would never meet, and all would wait for the one that hangs
    assert crowd.most > 4 if crowd._each else crowd.most > 1
    assert took < 8

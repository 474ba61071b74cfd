"""Idempotency keys: a send without an answer goes again under its key while the provider surely remembers it, and never after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.testing.service import Fault, Reply, Service
from tests.harness.world import World, later

OK = Reply(200, {"id": "g1"})
ONE = "concurrency = 1"
KEYED = f'{ONE}\nidempotency_header = "X-Key"\nidempotency_ttl = "1h"'


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


def test_a_provider_that_asks_for_patience_beyond_its_memory_leaves_it_in_doubt(tmp_path: Path, gateway: Service) -> None:
    """No answer, then 429 with a Retry-After longer than the key is remembered: sent again it could double."""
    gateway.on("/send", [Fault.HANG_UP, Reply(429, "", {"Retry-After": "7200"}), OK])
    world = World(tmp_path, gateway.url, count=1, sms=KEYED)
    world.run()
    world.run(later(minutes=2))
    assert world.states() == {"waiting": 1}
    world.run(later(minutes=130))
    assert len(gateway.requests) == 2
    assert world.states() == {"in_doubt": 1}
    (error,) = world.errors()
    assert (error.cls, "forgotten its key" in error.cause) == ("in_doubt", True)
    # a person says that it has not arrived: it leaves
    world.verb("retry", error.id, later(minutes=131))
    world.run(later(minutes=132))
    assert world.states() == {"sent": 1}
    assert len(gateway.requests) == 3


def test_a_wait_within_the_providers_memory_is_no_doubt(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Fault.HANG_UP, Reply(429, "", {"Retry-After": "1800"}), OK])
    world = World(tmp_path, gateway.url, count=1, sms=KEYED)
    for minutes in (0, 2, 34):
        world.run(later(minutes=minutes))
    assert world.states() == {"sent": 1}
    assert len({request.headers["x-key"] for request in gateway.requests}) == 1


def test_what_provably_never_left_has_no_key_to_forget(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Reply(429, "", {"Retry-After": "7200"}), OK])
    world = World(tmp_path, gateway.url, count=1, sms=KEYED)
    world.run()
    world.run(later(minutes=130))
    assert world.states() == {"sent": 1}


def test_a_clock_that_was_set_back_says_nothing_of_a_keys_age(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Fault.HANG_UP, OK])
    world = World(tmp_path, gateway.url, count=1, sms=KEYED)
    world.run()
    world.run(later(minutes=-40))
    world.run(later(minutes=-30))
    world.run(later(minutes=2))
    assert world.states() == {"sent": 1}
    gateway.clear()
    gateway.on("/send", [Fault.HANG_UP, OK])
    ahead = World(tmp_path / "b", gateway.url, count=1, sms=KEYED)
    ahead.run("2026-12-24T09:00:00+00:00")
    ahead.run("2026-12-24T12:00:00+00:00")
    ahead.run("2026-12-24T10:00:00+00:00")
    ahead.run("2026-12-24T12:01:00+00:00")
    assert ahead.states() == {"in_doubt": 1}
    assert len(gateway.requests) == 1

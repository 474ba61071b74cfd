"""R10: providers that fail in every way, through the whole engine and over both transports: what becomes of each message, and the pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from libax_automate.clock import Clock
from libax_automate.engine.run import run_pass
from libax_automate.testing.clock import FakeClock
from libax_automate.testing.service import Fault, Reply, Request, Script, Service, blackhole, refusing
from tests.figures import Figure
from tests.harness.world import World

EARLY = "2026-12-24T09:00:00+00:00"
NOW = datetime(2026, 12, 24, 10, 0, 5, tzinfo=UTC)
SMS = "timeout = 1\nconcurrency = 1\nwindow = 1\n"
PATIENCE = 60 + 1
BIG = b'{"id": "' + b"x" * (10 << 20) + b'"}'


@pytest.fixture(params=["httpx", "httptools", "pyreqwest"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport that every client of the test uses."""
    if request.param == "pyreqwest":
        pytest.importorskip("pyreqwest")
    monkeypatch.setenv("AUTOMATE_HTTP", str(request.param))
    return str(request.param)


#: what the provider does → (state of the message, class of the open error or "", state of the app)
TABLE: dict[str, tuple[Script, tuple[str, str, str]]] = {
    "200": (Reply(200, {"id": "p-1"}), ("sent", "", "running")),
    "201 without a body": (Reply(201), ("sent", "", "running")),
    "204": (Reply(204), ("sent", "", "running")),
    "200 malformed JSON": (Reply(200, b'{"id": '), ("sent", "", "running")),
    "200 HTML": (Reply(200, "<html>", {"Content-Type": "text/html"}), ("sent", "", "running")),
    "200 ten MiB": (Reply(200, BIG), ("sent", "", "running")),
    "200 deep JSON": (Reply(200, b"[" * 20000 + b"]" * 20000), ("sent", "", "running")),
    "200 wrong type": (Reply(200, {"id": {"a": [1]}}), ("sent", "", "running")),
    "301": (Reply(301, b"", {"Location": "/elsewhere"}), ("failed", "configuration", "halted")),
    "307": (Reply(307, b"", {"Location": "http://127.0.0.1:1/"}), ("failed", "configuration", "halted")),
    "400": (Reply(400, {}), ("failed", "recipient", "halted")),
    "401": (Reply(401, {}), ("failed", "account", "halted")),
    "402": (Reply(402, {}), ("failed", "account", "halted")),
    "403": (Reply(403, {}), ("failed", "account", "halted")),
    "404": (Reply(404, {}), ("failed", "recipient", "halted")),
    "405": (Reply(405, {}), ("failed", "configuration", "halted")),
    "408": (Reply(408, {}), ("waiting", "", "throttled")),
    "413": (Reply(413, {}), ("failed", "content", "halted")),
    "422": (Reply(422, {}), ("failed", "recipient", "halted")),
    "429": (Reply(429, {}, {"Retry-After": "30"}), ("waiting", "", "throttled")),
    "429 in the past": (Reply(429, {}, {"Retry-After": "-5"}), ("waiting", "", "throttled")),
    "429 huge": (Reply(429, {}, {"Retry-After": "9" * 400}), ("waiting", "", "throttled")),
    "429 as a date": (Reply(429, {}, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)}), ("waiting", "", "throttled")),
    "429 nonsense": (Reply(429, {}, {"Retry-After": "soon"}), ("waiting", "", "throttled")),
    "500": (Reply(500, {}), ("in_doubt", "in_doubt", "halted")),
    "502": (Reply(502, {}), ("in_doubt", "in_doubt", "halted")),
    "503": (Reply(503, {}), ("waiting", "", "throttled")),
    "504": (Reply(504, {}), ("in_doubt", "in_doubt", "halted")),
    **{f"{fault.value}": (fault, ("in_doubt", "in_doubt", "halted")) for fault in Fault if "before" not in fault.value and "DRIP" not in fault.name},
}  # fmt: skip


@pytest.fixture
def business(tmp_path: Path) -> Callable[..., World]:
    """A business with one person, whose gateway is at the URL; it has run once, an hour before."""
    count = 0

    def make(url: str, *, people: int = 1, sms: str = SMS) -> World:
        nonlocal count
        count += 1
        world = World(tmp_path / str(count), url, count=people, sms=sms)
        world.run(EARLY)
        return world

    return make


def a_pass(world: World, clock: Clock) -> float:
    """One pass; answers how long it took in real time."""
    began = time.monotonic()
    with world.space(clock=clock) as space:
        run_pass(space, patience=0)
    return time.monotonic() - began


def verdict(world: World) -> tuple[str, str, str]:
    """(state of the message, class of the open error, state of the app)."""
    (row,) = world.messages()
    classes = [error.cls for error in world.errors()]
    return str(row.state), ", ".join(classes), str(world.app(at=NOW.isoformat()).state)


def test_every_way_to_fail_ends_as_the_table_says(transport: str, business: Callable[..., World], figure: Figure) -> None:
    wrong, longest = list[str](), 0.0
    for name, (script, wanted) in TABLE.items():
        with Service() as service:
            service.on("/send", script)
            world = business(service.url)
            longest = max(longest, a_pass(world, FakeClock(NOW)))
            got = verdict(world)
            if got != wanted:
                wrong.append(f"{name}: {got}, not {wanted}")
            if len(service.requests) != 1:
                wrong.append(f"{name}: {len(service.requests)} requests")
            # whatever it was: a second pass at the same moment does not send it again
            a_pass(world, FakeClock(NOW))
            if len(service.requests) != 1:
                wrong.append(f"{name}: sent again")
    with ExitStack() as stack:
        for name, url in (("refused", stack.enter_context(refusing())), ("blackhole", stack.enter_context(blackhole()))):
            world = business(url)
            longest = max(longest, a_pass(world, FakeClock(NOW)))
            if verdict(world) != ("waiting", "", "throttled"):
                wrong.append(f"{name}: {verdict(world)}")
    figure(f"R10 {transport}: {len(TABLE) + 2} ways to fail, {len(wrong)} judged wrongly, longest {longest:.1f} s")
    assert wrong == []
    assert longest < 5


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("fault", [Fault.DRIP, Fault.DRIP_BODY])
def test_a_provider_that_answers_byte_by_byte_holds_nobody_for_more_than_a_minute(
    transport: str, business: Callable[..., World], fault: Fault
) -> None:
    with Service() as service:
        service.on("/send", fault)
        world = business(service.url)
        assert a_pass(world, FakeClock(NOW)) < PATIENCE
        assert verdict(world) == ("in_doubt", "in_doubt", "halted")


def test_after_a_429_no_request_comes_before_its_time(transport: str, business: Callable[..., World], figure: Figure) -> None:
    """A provider that allows one message in thirty seconds, and a run each second for ten minutes of the engine's clock."""
    clock, seen, early = FakeClock(NOW), list[datetime](), list[float]()
    free_from = NOW

    def gate(_: Request) -> Reply:
        nonlocal free_from
        now = clock.now()
        seen.append(now)
        if now < free_from:
            early.append((free_from - now).total_seconds())
            return Reply(429, {}, {"Retry-After": str(int((free_from - now).total_seconds()) + 1)})
        free_from = now + timedelta(seconds=30)
        return Reply(200, {"id": "p"})

    with Service() as service:
        service.on("/send", gate)
        world = business(service.url, people=8)
        for _ in range(0, 400, 4):
            a_pass(world, clock)
            clock.move(seconds=4)
    accepted = world.states().get("sent", 0)
    # the one call after a success meets the limit; after that 429 nothing comes before its time, so there is never a second refusal
    figure(
        f"R10 {transport}: {len(seen)} requests for {accepted} messages, {len(early)} met the limit, no second one before its Retry-After"
    )
    assert world.states() == {"sent": 8}
    assert len(early) <= accepted
    assert not world.errors()


def test_a_storm_of_429_is_met_with_patience_and_no_retries_in_between(
    transport: str, business: Callable[..., World], figure: Figure
) -> None:
    clock, seen = FakeClock(NOW), list[float]()

    def storm(_: Request) -> Reply:
        seen.append(clock.now().timestamp())
        return Reply(429, {}, {"Retry-After": "20"} if len(seen) < 6 else {})

    with Service() as service:
        service.on("/send", storm)
        world = business(service.url, people=3)
        for _ in range(100):
            a_pass(world, clock)
            clock.move(seconds=15)
    gaps = [b - a for a, b in pairwise(seen)]
    figure(f"R10 {transport}: a storm of 429 for {100 * 15 // 60} minutes: {len(seen)} requests, shortest gap {min(gaps):.0f} s")
    assert min(gaps) >= 20
    # the back-off grows where the provider names no time
    assert gaps == sorted(gaps) or max(gaps) <= 6 * 3600
    assert world.states() == {"waiting": 3}


def test_the_rate_of_an_app_is_kept_across_passes(transport: str, business: Callable[..., World]) -> None:
    seen: list[float] = []

    def note(_: Request) -> Reply:
        seen.append(time.monotonic())
        return Reply(200, {"id": "p"})

    with Service() as service:
        service.on("/send", note)
        world = business(service.url, people=12, sms='rate = "20/s"\nconcurrency = 4\nwindow = 8\n')
        for _ in range(4):
            world.run(NOW.isoformat())
    assert world.states() == {"sent": 12}
    span = seen[-1] - seen[0]
    assert (len(seen) - 1) / span <= 20 * 1.1, f"{(len(seen) - 1) / span:.1f} per second"

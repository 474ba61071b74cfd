"""Draining over HTTP: the queue's price beside the bare calls, and beside another queue."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks import bare
from benchmarks.peer import huey_drain
from benchmarks.rig import HTTP, TEXT, Line, Rig, drain, fill, open_space
from benchmarks.sink import sink
from libax_automate._engines import choose
from libax_automate.address import place
from libax_automate.transport import Settings

#: the client that is used where all are installed
FAST = "httptools"
_TYPE = (("Content-Type", "application/json"),)
_BULK = 'connector = "bulk"\nurl = "{url}"\nallow_private = ["127.0.0.1/32"]\nconcurrency = 4\nwindow = 400\n'


@contextlib.contextmanager
def client(name: str) -> Iterator[None]:
    """Which HTTP client ``ApiClient`` uses."""
    before = os.environ.get("AUTOMATE_HTTP")
    os.environ["AUTOMATE_HTTP"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["AUTOMATE_HTTP"]
        else:
            os.environ["AUTOMATE_HTTP"] = before


@contextlib.contextmanager
def engine(url: str) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Our fast HTTP engine alone, without the rules of ``ApiClient`` around it."""
    there = place(url)
    made = choose(FAST)(Settings(place=there, address=there.host))
    try:
        yield lambda body: json.loads(made.send("POST", there.path, _TYPE, json.dumps(body, ensure_ascii=False).encode()).content)
    finally:
        made.close()


@contextlib.contextmanager
def poster(name: str, url: str) -> Iterator[Callable[[int, str, str], object]]:
    """The bare call, its reply read: what is measured against."""
    if name == "httpx":
        import httpx

        with httpx.Client(limits=httpx.Limits(max_connections=100)) as plain:
            yield lambda number, to, text: plain.post(url, json={"id": f"M{number}", "to": to, "text": text}).json()
    elif name == "httptools":
        with engine(url) as post:
            yield lambda number, to, text: post({"id": f"M{number}", "to": to, "text": text})
    else:
        from pyreqwest.client import SyncClientBuilder

        with SyncClientBuilder().http1_only().no_proxy().build() as fast:
            yield lambda number, to, text: fast.post(url).body_json({"id": f"M{number}", "to": to, "text": text}).build().send().json()


def bare_calls(name: str, url: str, count: int, threads: int) -> float:
    """Calls a second from ``threads`` threads, with no queue at all."""
    numbers = iter(range(count))

    def work() -> None:
        for number in numbers:  # a range's iterator hands each number to one thread only
            post(number, f"+35191{number:07d}", TEXT)

    with poster(name, url) as post:
        post(0, "+351910000000", TEXT)
        workers = [threading.Thread(target=work) for _ in range(threads)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return count / (time.perf_counter() - start)


def ours(rig: Rig, name: str, url: str, count: int, settings: str, app: str = HTTP) -> float:
    """Messages a second through the whole delivery."""
    with client(name), rig.place() as folder, open_space(folder, app.format(url=url) + settings) as space:
        fill(space, count)
        return drain(space)[0]


def huey(rig: Rig, name: str, url: str, count: int, workers: int) -> float:
    """Tasks a second through huey's consumer."""
    with rig.place() as folder, poster(name, url) as post:
        return count / huey_drain(folder, count, post, workers)


def fast(rig: Rig) -> Iterator[Line]:
    """20,000 messages, eight at a time, the fast client."""
    count = rig.count(20_000)
    with sink() as there:
        mine, plain, other, peer = rig.pair(
            lambda: ours(rig, FAST, there.url, count, "concurrency = 8\nwindow = 64"),
            lambda: bare_calls(FAST, there.url, count, 8),
            lambda: bare_calls("pyreqwest", there.url, count, 8),
            lambda: huey(rig, FAST, there.url, count // 4, 8),
        )
    what = f"drain {count:,} through http, fast client, concurrency 8, window 64"
    yield Line(what, f"{mine:,.0f}/s", f"huey, the same client {peer:,.0f}/s", mine / peer, 8)
    yield Line("", f"{mine:,.0f}/s", f"the same threads and client, no queue {plain:,.0f}/s", mine / plain, 0.5)
    yield Line("", f"{mine:,.0f}/s", f"as many threads with pyreqwest, no queue {other:,.0f}/s", mine / other, 0.5)


def httpx(rig: Rig) -> Iterator[Line]:
    """The same with httpx, one at a time."""
    count = rig.count(20_000) // 2
    with sink() as there:
        mine, plain, peer = rig.pair(
            lambda: ours(rig, "httpx", there.url, count, "concurrency = 1\nwindow = 64"),
            lambda: bare_calls("httpx", there.url, count, 1),
            lambda: huey(rig, "httpx", there.url, count // 2, 1),
        )
    yield Line(
        f"drain {count:,} through http, httpx, one at a time", f"{mine:,.0f}/s", f"bare httpx loop {plain:,.0f}/s", mine / plain, 0.85
    )
    yield Line("", f"{mine:,.0f}/s", f"huey, the same calls {peer:,.0f}/s", mine / peer, 1.3)


def delay(rig: Rig) -> Iterator[Line]:
    """A provider that takes 20 ms, fifty at a time."""
    count, ideal = rig.count(10_000), 50 / 0.020
    settings = "concurrency = 50"
    with sink(0.020) as there:
        quick, bare_quick, slow, bare_slow = rig.pair(
            lambda: ours(rig, FAST, there.url, count, settings),
            lambda: bare_calls(FAST, there.url, count, 50),
            lambda: ours(rig, "httpx", there.url, count, settings),
            lambda: bare_calls("httpx", there.url, count, 50),
        )
    what = f"drain {count:,} with 20 ms provider delay, concurrency 50"
    yield Line(
        f"{what}, fast client", f"{quick:,.0f}/s", f"ideal {ideal:,.0f}/s", quick / ideal, 0.9, note=f"bare {bare_quick / ideal:.2f}"
    )
    yield Line(f"{what}, httpx", f"{slow:,.0f}/s", f"ideal {ideal:,.0f}/s", slow / ideal, 0.5, note=f"bare {bare_slow / ideal:.2f}")


def batch(rig: Rig) -> Iterator[Line]:
    """A batch endpoint, a hundred a call."""
    count = rig.count(100_000)

    def plain() -> float:
        with rig.place() as folder, engine(there.url) as post:

            def send(rows: Sequence[tuple[int, str, str]]) -> None:
                post({"messages": [{"id": f"M{id_}", "to": to, "text": payload} for id_, to, payload in rows]})

            conn = bare.database(folder / "bare.db")
            try:
                bare.enqueue(conn, count)
                return count / bare.drain(conn, 100, send)
            finally:
                conn.close()

    with sink() as there:
        mine, loop = rig.pair(lambda: ours(rig, FAST, there.url, count, "", _BULK), plain)
    yield Line(f"drain {count:,} through a batch endpoint, 100 a call", f"{mine:,.0f}/s", f"bare loop {loop:,.0f}/s", mine / loop, 0.5)

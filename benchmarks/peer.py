"""huey's SQLite queue doing the same work: threads, its own defaults (which do not sync to disk), nothing stored that nobody asks for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.rig import TEXT


def _queue(folder: Path) -> Any:
    from huey import SqliteHuey

    logging.getLogger("huey").setLevel(logging.ERROR)
    return SqliteHuey(filename=str(folder / "huey.db"), results=False, immediate=False)


def huey_enqueue(folder: Path, count: int) -> float:
    """Seconds to put ``count`` tasks into its queue."""
    queue = _queue(folder)

    @queue.task()  # type: ignore[untyped-decorator]
    def send(number: int, to: str, text: str) -> None:
        del number, to, text

    start = time.perf_counter()
    for number in range(count):
        send(number, f"+35191{number:07d}", TEXT)
    return time.perf_counter() - start


def huey_drain(folder: Path, count: int, post: Callable[[int, str, str], object], workers: int) -> float:
    """Seconds for its consumer to run ``count`` tasks that call ``post``."""
    queue = _queue(folder)
    over, lock, done = threading.Event(), threading.Lock(), [0]

    @queue.task()  # type: ignore[untyped-decorator]
    def send(number: int, to: str, text: str) -> None:
        post(number, to, text)
        with lock:
            done[0] += 1
            if done[0] == count:
                over.set()

    for number in range(count):
        send(number, f"+35191{number:07d}", TEXT)
    consumer = queue.create_consumer(
        workers=workers, worker_type="thread", periodic=False, initial_delay=0.001, max_delay=0.01, backoff=1.1
    )
    start = time.perf_counter()
    consumer.start()
    over.wait(600)
    seconds = time.perf_counter() - start
    consumer.stop(graceful=True)
    return seconds

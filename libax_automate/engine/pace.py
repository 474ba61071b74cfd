"""Keeping a provider's pace: evenly spaced calls, shared by every app on one credential."""

from __future__ import annotations

import threading

from libax_automate.clock import Clock
from libax_automate.engine.spec import Rate


class Pacer:
    """Hands out the moments at which calls may start, never closer together than the rate's interval. Thread-safe."""

    def __init__(self, rate: Rate, clock: Clock, first: float = 0.0) -> None:
        """``first`` is the epoch second from which the next call keeps the pace of an earlier process."""
        self.interval = rate.interval
        self._clock = clock
        self._lock = threading.Lock()
        wait = min(max(0.0, first - clock.now().timestamp()), self.interval)
        self._next = clock.monotonic() + wait

    def reserve(self) -> float:
        """Take the next moment; returns the seconds until it."""
        with self._lock:
            now = self._clock.monotonic()
            at = max(self._next, now)
            self._next = at + self.interval
            return at - now

    def ready_in(self) -> float:
        """Seconds until the next free moment."""
        return max(0.0, self._next - self._clock.monotonic())

    def next_call(self) -> float:
        """The next free moment in epoch seconds, for the next process."""
        return self._clock.now().timestamp() + self.ready_in()

    def calls_within(self, seconds: float) -> int:
        """How many calls may start in the coming ``seconds``."""
        return max(0, int((seconds - self.ready_in()) / self.interval) + 1) if self.ready_in() <= seconds else 0

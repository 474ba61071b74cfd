"""A clock that moves only when it is told to: time is a parameter, in tests above all."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

#: a Thursday morning in winter, so that neither a weekend nor a clock change is in the way unless a test asks for it
START = datetime(2026, 12, 24, 9, 30, tzinfo=UTC)


class FakeClock:
    """A :class:`libax_automate.clock.Clock` that stands still; ``sleep`` moves it at once and is remembered in ``slept`` (seconds)."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock starts at an instant with a zone, such as datetime(2026, 12, 24, tzinfo=UTC)")
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0
        self._lock = threading.Lock()
        #: every wait asked for, in order
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The instant, in UTC."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        with self._lock:
            return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move on by ``seconds`` without waiting; less than nothing is nothing."""
        with self._lock:
            self.slept.append(seconds)
        self.move(seconds=max(seconds, 0.0))

    def move(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move on by the span and answer the new instant; a clock never goes back."""
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if span < timedelta(0):
            raise ValueError(f"a clock does not go back ({span})")
        with self._lock:
            self._now += span
            self._monotonic += span.total_seconds()
            return self._now

    def set(self, instant: datetime) -> None:
        """Jump to ``instant`` (with a zone), forwards or back, as a corrected machine clock does; monotonic time does not notice."""
        if instant.tzinfo is None:
            raise ValueError("a clock is set to an instant with a zone")
        with self._lock:
            self._now = instant.astimezone(UTC)

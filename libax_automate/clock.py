"""The only place that asks what time it is; everything else is told."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the engine needs of time."""

    def now(self) -> datetime:
        """The instant, in UTC, with a zone."""

    def monotonic(self) -> float:
        """Seconds that only ever grow; for pacing and deadlines, never for dates."""

    def sleep(self, seconds: float) -> None:
        """Wait for about ``seconds``."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ShiftedClock(SystemClock):
    """The machine's clock, moved so that it starts at ``start`` (``--now``); it ticks on from there."""

    def __init__(self, start: datetime) -> None:
        self._shift: timedelta = start.astimezone(UTC) - super().now()

    def now(self) -> datetime:
        return super().now() + self._shift


def wall_time() -> datetime:
    """The machine's own time, whatever ``--now`` says: for what a stranger will compare with his clock (a signature's timestamp)."""
    return datetime.now(UTC)

"""How many templates a channel may still send today: asked now and then, counted down in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import libax_automate as ax
from libax_automate.clock import SystemClock

#: how long an answer is believed, in seconds: others send through the same channel
KEPT = 600.0
#: how long to wait when nothing is left, in seconds: when the day begins anew is not documented
WAIT = 3600.0


class Allowance:
    """What is left of each channel's day. Serves many threads; ``ask`` answers what is left, None = no limit."""

    def __init__(self, ask: Callable[[str], Decimal | None]) -> None:
        self._ask = ask
        self._left: dict[str, tuple[float, Decimal | None]] = {}
        self._lock = threading.Lock()
        self._now = SystemClock().monotonic

    def take(self, channel: str) -> None:
        """Count one message; raises RateLimited when none is left, or the error of asking.

        A channel that has no such answer, or one that nobody can read, is not limited.
        """
        with self._lock:
            since, left = self._left.get(channel, (0.0, Decimal(0)))
            if channel not in self._left or self._now() - since >= KEPT or left == 0:
                try:
                    left = self._ask(channel)
                except (ax.InputDataError, ax.ContentError, ax.SetupError, ax.RecipientError):
                    left = None  # a channel that cannot be asked: the send itself will tell
                since = self._now()
            if left is not None and left <= 0:
                self._left.pop(channel, None)
                raise ax.RateLimited(
                    "the channel has sent all it may today", hint="it goes on by itself when the limit is renewed", retry_after=WAIT
                )
            self._left[channel] = (since, None if left is None else left - 1)

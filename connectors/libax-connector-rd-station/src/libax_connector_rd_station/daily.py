"""How often one contact may be changed within 24 hours, counted while the program runs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import libax_automate as ax
from libax_automate.clock import SystemClock

#: changes of one contact in 24 hours, and conversions
MOST = 24
_DAY = 86400.0
#: contacts that are remembered before the idle ones are forgotten
_KEPT = 10_000


class Daily:
    """Counts by what is done and to whom. Serves many threads."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._now = now or SystemClock().monotonic
        self._done: dict[tuple[str, str], deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, what: str, whom: str) -> None:
        """Count one; raises RecipientError beyond what RD takes. "" is not counted."""
        if not what:
            return
        with self._lock:
            now = self._now()
            if len(self._done) > _KEPT:
                self._done = {key: times for key, times in self._done.items() if now - times[-1] < _DAY}
            times = self._done.setdefault((what, whom), deque(maxlen=MOST))
            if len(times) == MOST and now - times[0] < _DAY:
                raise ax.RecipientError(
                    f"this contact has had {MOST} {what} within 24 hours, all that RD Station takes",
                    hint="automate errors retry tomorrow, or leave it",
                )
            times.append(now)

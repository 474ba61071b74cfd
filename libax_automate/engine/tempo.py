"""How long an app's calls take, and so whether several at a time are worth it.

Threads share one interpreter. While a call waits for a provider, others can be made; where the answer is there at once (a gateway next
door), more threads only take the interpreter from each other, and one of them does nearly twice as much as eight. So the first calls are
made one at a time, until one has taken its time.
"""

from __future__ import annotations

#: a call as long as this, in seconds, is waiting for somebody
_LONG = 0.015
#: so is each of so many in a row of this length, and of this length for each message in it; a shorter one is over before another thread
#: would have its turn
_ROW, _SOME, _EACH = 3, 0.000_25, 0.000_05
#: nothing has come back for so many seconds
_STUCK = 0.1


class Tempo:
    """Begins with one call at a time; ``many`` says that all threads are called upon, and stays so."""

    def __init__(self) -> None:
        self.many = False
        #: the first call connects, and makes ready what all others use
        self._row: int | None = None
        self._left = -1
        self._since = 0.0

    def saw(self, seconds: float, messages: int) -> bool:
        """A call for ``messages`` took ``seconds``. True when this is how it became known that several at a time are worth it."""
        if self._row is None or seconds < _SOME or seconds < _EACH * messages:
            self._row = 0
            return False
        self._row += 1
        if self.many or (self._row < _ROW and seconds < _LONG):
            return False
        self.many = True
        return True

    def look(self, left: int, now: float) -> None:
        """``left`` messages are not answered at ``now`` (monotonic seconds): where that does not change, a call is stuck, and others must go on."""
        if left != self._left:
            self._left, self._since = left, now
        elif left and now - self._since > _STUCK:
            self.many = True

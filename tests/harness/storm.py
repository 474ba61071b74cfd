"""A gateway that counts what it delivers and fails now and then in every way that a provider under load does."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tests.harness.sink import Sink


@dataclass(frozen=True, slots=True)
class How:
    """One way to answer: whether the message is delivered, and what the client hears of it."""

    delivers: bool
    status: int = 200
    retry_after: int | None = None
    #: the connection is reset instead of an answer, or in the middle of one
    resets: bool = False
    cut: bool = False
    #: seconds before anything is answered
    wait: float = 0.0


class Weather(Enum):
    """What befalls a request."""

    SLOW = How(delivers=True, wait=0.6)
    THROTTLED = How(delivers=False, status=429, retry_after=2)
    BUSY = How(delivers=False, status=503)
    BAD_GATEWAY = How(delivers=False, status=502)
    DELIVERED_BUT_500 = How(delivers=True, status=500)
    RESET_BEFORE = How(delivers=False, resets=True)
    RESET_AFTER = How(delivers=True, resets=True)
    CUT = How(delivers=True, cut=True)
    SILENCE = How(delivers=True, wait=4.0)
    REFUSED_KEY = How(delivers=False, status=401)


#: in the order in which they befall an app
STORMS: Sequence[Weather] = tuple(weather for weather in Weather if weather is not Weather.SLOW)


class Storm(Sink):
    """``POST /APP`` with an id and a number. Every ``calm``-th request of an app meets one of the storms, in turn; every 37th is slow.

    Apps whose name is in ``keyed`` have their idempotency keys honoured. ``reached`` counts deliveries by number.
    """

    def __init__(self, *, keyed: frozenset[str], calm: int) -> None:
        super().__init__(keyed=True)
        self._keyed_apps, self._calm = keyed, calm
        self._asked: Counter[str] = Counter()
        self.met: Counter[Weather] = Counter()
        self.reached: Counter[str] = Counter()

    def _weather(self, app: str) -> How:
        self._asked[app] += 1
        count, own = self._asked[app], int(app[1:])
        # each app is at another place of the calendar
        if (count + own * 7) % self._calm == 0:
            weather = STORMS[(count // self._calm + own) % len(STORMS)]
        elif count % 37 == 0:
            weather = Weather.SLOW
        else:
            return How(delivers=True)
        self.met[weather] += 1
        return weather.value

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.split(b"\r\n")
                headers = dict(line.lower().split(b": ", 1) for line in lines if b": " in line)
                body = json.loads(await reader.readexactly(int(headers.get(b"content-length", b"0"))))
                app = first.split(b" ")[1].decode().strip("/")
                how = self._weather(app)
                self.calls += 1
                if how.delivers:
                    before = self.delivered[body["id"]]
                    self._deliver(body["id"], headers.get(b"idempotency-key", b"").decode() if app in self._keyed_apps else "")
                    self.reached[body["to"]] += self.delivered[body["id"]] - before
                await asyncio.sleep(how.wait)
                if how.resets:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                content = json.dumps({"id": f"p-{body['id']}"}).encode()
                wait = "" if how.retry_after is None else f"retry-after: {how.retry_after}\r\n"
                answer = f"HTTP/1.1 {how.status} x\r\n{wait}content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
                writer.write(answer.encode() + (content[:5] if how.cut else content))
                await writer.drain()
                if how.cut:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

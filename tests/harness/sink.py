"""A gateway that counts: how often each message was delivered, by its id; with ``keyed`` it honours idempotency keys."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Self


class Sink:
    """HTTP/1.1 with keep-alive on loopback, one thread, TCP_NODELAY. ``POST {"id": …}`` is a delivery.

    ``answer`` may replace the reply: message id -> (status, body), or None for 200. ``delay`` seconds pass before each reply.
    """

    def __init__(self, *, keyed: bool = False, delay: float = 0.0, answer: Callable[[str], tuple[int, str] | None] | None = None) -> None:
        self.keyed, self.delay, self.answer = keyed, delay, answer
        self.delivered: Counter[str] = Counter()
        self.calls = 0
        self.refused_keys = 0
        self.order: list[str] = []
        self._keys: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._mark = float("inf")
        self._marked = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def forget_keys(self) -> None:
        """A new provider: no key has been seen."""
        self._keys.clear()

    def after(self, calls: int) -> threading.Event:
        """An event that is set once so many more calls have come in."""
        self._marked = threading.Event()
        self._mark = self.calls + calls
        return self._marked

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
                body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
                message = str(json.loads(body)["id"])
                told = self.answer(message) if self.answer else None
                if told is None:
                    self._deliver(message, headers.get(b"idempotency-key", b"").decode())
                self.calls += 1
                if self.calls >= self._mark:
                    self._marked.set()
                if self.delay:
                    await asyncio.sleep(self.delay)
                status, text = told or (200, f'{{"id":"p-{message}"}}')
                content = text.encode()
                writer.write(
                    f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _deliver(self, message: str, key: str) -> None:
        if self.keyed and key:
            if key in self._keys:
                self.refused_keys += 1
                return
            self._keys.add(key)
        self.delivered[message] += 1
        self.order.append(message)

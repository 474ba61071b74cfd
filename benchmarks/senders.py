"""Connectors for measuring the engine alone: one that accepts at once, one with a batch endpoint."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.plugins.catalogue import GROUP, Catalogue

_stop: tuple[Iterator[int], int, threading.Event] | None = None


def stop_after(most: int | None, stop: threading.Event) -> None:
    """Set ``stop`` once ``nothing`` has been sent ``most`` times."""
    global _stop  # noqa: PLW0603 - connectors are made by the catalogue, out of reach
    _stop = None if most is None else (itertools.count(1), most, stop)


class NothingOptions(ax.Options):
    pass


class Nothing(ax.Sender[NothingOptions, ax.Message]):
    """Accepts everything at once and does nothing: what is left is the queue."""

    name = "nothing"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SMS})

    def send(self, message: ax.Message) -> ax.Receipt:
        if _stop is not None and next(_stop[0]) >= _stop[1]:
            _stop[2].set()
        return ax.Receipt(id=message.id)


class BulkOptions(ax.Options):
    url: str


class Bulk(ax.Sender[BulkOptions, ax.Message]):
    """A hundred messages a call."""

    name = "bulk"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SMS, ax.Capability.BATCH})
    default_concurrency = 4
    batch_size = 100

    def open(self) -> None:
        self.client = ApiClient(self.options.url, allow_private=self.place.allow_private)

    def close(self) -> None:
        self.client.close()

    def send(self, message: ax.Message) -> ax.Receipt:
        (answer,) = self.send_batch([message])
        if isinstance(answer, ax.Receipt):
            return answer
        raise answer

    def send_batch(self, messages: Sequence[ax.Message]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        rows = [{"id": each.id, "to": each.to, "text": each.text} for each in messages if isinstance(each, ax.Text)]
        self.client.post("", json={"messages": rows}).json()
        return [ax.Receipt(id=each.id) for each in messages]


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connectors of this file."""
    return [Nothing, Bulk]


def catalogue() -> Catalogue:
    """What is installed, and these."""
    return Catalogue([*entry_points(group=GROUP), *(EntryPoint(name, __name__, GROUP) for name in ("nothing", "bulk"))])

"""A real connector for tests of batches: letters of one colour go together under a key, WhatsApp messages and actions go alone; a model that acts."""

from __future__ import annotations

import os
import signal
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

import libax_automate as ax
from libax_automate.http import ApiClient, Reply
from libax_automate.plugins.catalogue import GROUP, Catalogue


class PostalOptions(ax.Options):
    url: str
    #: a file beside the profile: while it is there, the process dies as soon as a batch has left
    deadly: str = "deadly"


class Postal(ax.Sender[PostalOptions, ax.Text], ax.Actor[PostalOptions]):
    """Posts ids; 422 refuses all for the sake of one, 409 has had them before."""

    name = "postal"
    capabilities = frozenset(
        {
            *(ax.Capability.SMS, ax.Capability.WHATSAPP, ax.Capability.ACTIONS),
            *(ax.Capability.BATCH, ax.Capability.IDEMPOTENCY_KEY),
        }
    )
    default_concurrency = 1
    default_window = 2
    batch_size = 10
    batch_channels = frozenset({ax.Channel.SMS})
    key_channels = frozenset({ax.Channel.SMS})
    idempotency_ttl = timedelta(hours=1)
    actions: ClassVar[Mapping[str, str]] = {"note": "writes a note"}

    def open(self) -> None:
        self.client = ApiClient(self.options.url, allow_private=self.place.allow_private)

    def close(self) -> None:
        self.client.close()

    def batch_group(self, message: ax.Text) -> Hashable:
        return message.text.split()[0]

    def send(self, message: ax.Text) -> ax.Receipt:
        self._judge(self.client.post(f"/{message.channel}", json={"ids": [message.id], "key": message.key}, classify=False))
        return ax.Receipt()

    def send_batch(self, messages: Sequence[ax.Text]) -> Sequence[ax.Receipt | ax.ConnectorError]:
        body = {"ids": [message.id for message in messages], "key": "+".join(message.key for message in messages)}
        reply = self.client.post("/batch", json=body, classify=False)
        if (self.place.folder / self.options.deadly).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        self._judge(reply)
        return [ax.Receipt() for _ in messages]

    def act(self, action: ax.Action) -> ax.Receipt:
        self._judge(self.client.post("/act", json={"ids": [action.id]}, classify=False))
        return ax.Receipt()

    def _judge(self, reply: Reply) -> None:
        if reply.status == 422:
            raise ax.RecipientError("one of these has no letter box")
        if reply.status not in {200, 409}:
            raise self.client.refusal(reply)


class NoterOptions(ax.Options):
    pass


class Noter(ax.Model[NoterOptions]):
    """A note about everybody."""

    name = "noter"
    messages = False

    def plan(self, run: ax.Run) -> Iterator[ax.Effect]:
        for record in run.fetch("contacts", ax.Query()):
            yield ax.Effect(app="correios", kind="note", to=record.id, occasion=run.slot.date().isoformat(), person=record.id)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this file."""
    return [Postal]


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Noter]


def catalogue() -> Catalogue:
    """What is installed, and the plugins of this file."""
    return Catalogue([*entry_points(group=GROUP), *(EntryPoint(name, "tests.harness.postal", GROUP) for name in ("noter", "postal"))])

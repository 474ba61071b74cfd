"""Small real connectors and a model for the engine's tests: a batch gateway, a CRM that is read and acted in, a sender that breaks."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar

import libax_automate as ax
from libax_automate import errors
from libax_automate.http import ApiClient
from libax_automate.normalise import canonical
from libax_automate.plugins.catalogue import GROUP, Catalogue


class BulkOptions(ax.Options):
    url: str


class Bulk(ax.Sender[BulkOptions, ax.Message]):
    """Five messages a call; the gateway answers one word per message: ok, refused, or whatever else is content."""

    name = "bulk"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SMS, ax.Capability.BATCH})
    default_concurrency = 1
    batch_size = 5

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
        words = self.client.post("", json={"ids": [message.id for message in messages]}).json()["words"]
        return [_verdict(word, message.id) for word, message in zip(words, messages, strict=True)]


def _verdict(word: str, name: str) -> ax.Receipt | ax.ConnectorError:
    if word == "ok":
        return ax.Receipt(id=f"b-{name}")
    return errors.RecipientError("no such number") if word == "refused" else errors.ContentError(f"{word}: too long")


class CrmOptions(ax.Options):
    url: str
    records: str


class Crm(ax.Source[CrmOptions], ax.Actor[CrmOptions]):
    """Contacts out of a JSON file that may change between two questions, and actions posted to a server."""

    name = "crm"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SOURCE, ax.Capability.ACTIONS})
    default_concurrency = 1
    actions: ClassVar[dict[str, str]] = {"activity": "writes what was sent into the contact"}

    def open(self) -> None:
        self.client = ApiClient(self.options.url, allow_private=self.place.allow_private)

    def close(self) -> None:
        self.client.close()

    def entities(self) -> Sequence[str]:
        return ("contacts",)

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        path = self.place.folder / self.options.records
        if not path.exists():
            raise errors.Transient("the CRM is away")
        for row in json.loads(path.read_text(encoding="utf-8")):
            if row == "broken":
                raise errors.InputDataError("the CRM answered nonsense", hint="ask its support")
            if row == "deadly":
                os.kill(os.getpid(), signal.SIGKILL)
            yield canonical(entity, row, country="PT", timezone="Europe/Lisbon", raw=row, where=str(path))

    def act(self, action: ax.Action) -> ax.Receipt:
        reply = self.client.post("/act", json={"id": action.id, "kind": action.kind, "to": action.to, "fields": dict(action.fields)})
        return ax.Receipt(id=str(reply.json()["id"]))


class FragileOptions(ax.Options):
    #: a file beside the profile: the name of what to raise; without it the message is accepted
    fault: str
    account: ax.Secret = ax.Secret("one")


class Fragile(ax.Sender[FragileOptions, ax.Message]):
    """Appends what it sends to ``FAULT.sent``; raises what the file ``FAULT`` names, for all or (``Class M3``) for one message."""

    name = "fragile"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SMS})
    default_concurrency = 1

    @property
    def _fault(self) -> Path:
        return self.place.folder / self.options.fault

    def check(self) -> None:
        self._raise("")

    def send(self, message: ax.Message) -> ax.Receipt:
        self._raise(message.id)
        with self._fault.with_suffix(".sent").open("a", encoding="utf-8") as log:
            log.write(f"{message.id}\n")
        return ax.Receipt(id=f"f-{message.id}")

    def _raise(self, name: str) -> None:
        if self._fault.exists():
            cls, _, only = self._fault.read_text(encoding="utf-8").strip().partition(" ")
            if cls and only in ("", name):
                # a wait that no command sits out
                wait = {"retry_after": 100.0} if cls in ("RateLimited", "Transient") else {}
                raise getattr(errors, cls, RuntimeError)(f"{cls} as told", **wait)


class ReminderOptions(ax.Options):
    pass


class Reminder(ax.Model[ReminderOptions]):
    """Writes to every open contact, as long as it is still active when the message leaves."""

    name = "reminder"

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        for record in run.fetch("contacts", ax.Query()):
            yield ax.Candidate(record=record, occasion=run.slot.date().isoformat(), still={"status": frozenset({"active"})})


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connectors of this file."""
    return [Bulk, Crm, Fragile]


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [Reminder]


def catalogue() -> Catalogue:
    """What is installed, and the plugins of this file."""
    own = [EntryPoint(name, "tests.harness.plugins", GROUP) for name in ("bulk", "crm", "fragile", "reminder")]
    return Catalogue([*entry_points(group=GROUP), *own])

"""A connector that keeps templates, installed for the tests of ``check`` alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import libax_automate as ax


class GalleryOptions(ax.Options):
    """It needs none."""


class Gallery(ax.Sender[GalleryOptions, ax.Message]):
    """Has three templates: one active with two variables, one inactive, one that does not tell its variables; and one of an SMS."""

    name = "gallery"
    title = "A provider with templates"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.EMAIL, ax.Capability.SMS, ax.Capability.TEMPLATES})

    def send(self, message: ax.Message) -> ax.Receipt:
        """Accepts everything."""
        return ax.Receipt(id=message.id)

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """What there is, whatever the channel."""
        yield ax.Template("12", "birthday", active=True, variables=("first_name", "age"))
        yield ax.Template("13", "old-birthday", active=False)
        yield ax.Template("14", "free", active=True)
        yield ax.Template(
            "15", "text", active=True, channel=ax.Channel.SMS, text="{{1}} faz {{ 2 }} anos: " + "x" * 150, variables=("1", "2")
        )


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this file."""
    return [Gallery]

"""The send-queue model: the second of the two tasks that IXC asks for (IB-18, IC-21), accepted as its users write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import libax_automate as ax


class SendQueueOptions(ax.Options):
    """No options: its schedule is all there is to it."""


class SendQueue(ax.Model[SendQueueOptions]):
    """Plans nothing. Every pass of the program sends what waits in the queue, and this model's time is a time for a pass.

    Where tasks are written in pairs, ``check`` holds the pair to the rules for it: the sending after the planning, and half an hour
    between them (IB-19, IC-22).
    """

    name = "send-queue"
    title = "Sends what waits in the queue: the second task of a pair, as in IXC"
    entity = ""
    messages = False
    late = ax.Late.SKIP

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate | ax.Effect]:  # noqa: ARG002 - a pass sends, whatever it plans
        """Nobody."""
        return iter(())


@ax.hookimpl
def automate_models() -> Iterable[type[ax.Model[Any]]]:
    """The model of this file."""
    return [SendQueue]

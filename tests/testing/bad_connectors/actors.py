"""Actors that break one promise each."""

from __future__ import annotations

import libax_automate as ax

from . import case
from .good import Desk, DeskContract, receipt_of


@case(DeskContract, "every_declared_action_is_done")
class Half(Desk):
    def act(self, action: ax.Action) -> ax.Receipt:
        if action.kind == "note":
            raise ax.SetupError("not today")
        return super().act(action)


@case(DeskContract, "an_unknown_action_is_refused_before_anything_is_sent")
class Anything(Desk):
    def act(self, action: ax.Action) -> ax.Receipt:
        return receipt_of(self.api.post(f"/{action.kind}", json=dict(action.fields)), "id")


@case(DeskContract, "every_action_says_what_it_does")
class Wordless(Desk):
    actions = {"activity": "An activity.", "note": " "}


@case(DeskContract, "difficult_text_arrives_intact", "many_threads_use_one_connector")
class Textless(Desk):
    def act(self, action: ax.Action) -> ax.Receipt:
        if action.kind not in self.actions:
            raise ax.SetupError("no such action")
        return receipt_of(self.api.post(f"/{action.kind}", json={"contact": action.to}), "id")

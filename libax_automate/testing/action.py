"""The contract of a connector that does things in another application (activities, deals, notes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from libax_automate._plugin import Plugin
from libax_automate.connector import Actor
from libax_automate.errors import ConnectorError
from libax_automate.message import Action, Receipt
from libax_automate.testing.call import CallContract
from libax_automate.testing.clock import START
from libax_automate.testing.service import Reply
from libax_automate.testing.wire import Wire


class ActionContract(CallContract):
    """What the queue relies on in every actor.

    ::

        class TestDesk(ActionContract):
            actor = Desk
            actions = {"activity": {"subject": "Birthday", "text": "..."}}
            accepted = Reply(201, {"id": 7})
            rejected = Reply(422, {"error": "no such contact"})

            def options(self, url):
                return {"token": "s3cret-never-shown", "base_url": url}
    """

    actor: ClassVar[type[Actor[Any]]]

    #: for each declared action kind the fields of one that the service accepts; the first kind is the one that all checks use
    actions: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    #: the field that holds what a person wrote
    text_field: ClassVar[str] = "text"

    #: the record that is acted on
    to: ClassVar[str] = "4711"

    def subject(self) -> type[Plugin[Any]]:
        """The class under test."""
        return self.actor

    def accepted_as(self, kind: str) -> Reply:
        """What the service says when it accepts an action of ``kind``, where kinds differ."""
        del kind
        return self.accepted

    def action(self, kind: str, text: str | None = None, number: int = 1) -> Action:
        """Action ``number`` of ``kind``, with ``text`` in its text field."""
        fields = dict(self.actions[kind])
        if text is not None:
            fields[self.text_field] = text
        key = f"7d1c9a52-0000-4000-8000-{number:012d}"
        return Action(id=f"M{1000 + number}", key=key, to=self.to, kind=kind, fields=fields, sent_at=START)

    def call(self, connector: Any, text: str = "Hello", number: int = 1) -> Receipt:
        """Do one action of the first kind."""
        if not self.actions:
            raise pytest.UsageError(f"{type(self).__name__}: set actions to one example of each kind")
        receipt: Receipt = connector.act(self.action(next(iter(self.actions)), text, number))
        return receipt

    def test_every_declared_action_is_done(self, wire: Wire, connector: Any) -> None:
        """A declared kind takes its fields, with one request."""
        assert set(self.actions) == set(connector.actions), (
            f"declared are {sorted(connector.actions)}, the contract has examples of {sorted(self.actions)}"
        )
        for kind in self.actions:
            wire.answer(self.accepted_as(kind))
            assert isinstance(connector.act(self.action(kind)), Receipt), f"{kind} was not accepted"
            assert len(wire.requests) == 1, f"{len(wire.requests)} requests for one {kind}"

    def test_an_unknown_action_is_refused_before_anything_is_sent(self, wire: Wire, connector: Any) -> None:
        """A kind that nobody declared is an error of the profile, not a request."""
        wire.answer(self.accepted)
        with pytest.raises(ConnectorError):
            connector.act(Action(id="M1", key="k", to=self.to, kind="no-such-kind", fields={}))
            pytest.fail("an unknown kind was taken for a success")
        assert not wire.requests, "an unknown kind reached the service"

    def test_every_action_says_what_it_does(self, connector: Any) -> None:
        """``automate connectors show`` lists each kind with a word on what it does and takes."""
        silent = [kind for kind, words in connector.actions.items() if not words.strip()]
        assert not silent, f"{', '.join(silent)} without a word of explanation"

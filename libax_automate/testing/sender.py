"""The contract of a sender: an author's whole test file is one subclass of :class:`SenderContract`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from libax_automate._plugin import Plugin
from libax_automate.connector import CHANNELS, Capability, Sender, Template
from libax_automate.errors import AccountError, ConnectorError
from libax_automate.message import Attachment, Call, Channel, Email, Message, Receipt, Text
from libax_automate.testing.call import CallContract
from libax_automate.testing.clock import START
from libax_automate.testing.service import Fault, Reply, Request
from libax_automate.testing.wire import Wire, parts

#: method that a capability promises
_METHODS = {
    Capability.BATCH: "send_batch",
    Capability.TEMPLATES: "templates",
    Capability.LOOKUP: "lookup",
    Capability.BALANCE: "balance",
}


class SenderContract(CallContract):
    """What the queue relies on in every sender.

    ::

    class TestPostbox(SenderContract):
        sender = Postbox
        accepted = Reply(202, {"id": "m-1"})
        rejected = Reply(422, {"error": "bad recipient"})

        def options(self, url):
            return {"token": "s3cret-never-shown", "base_url": url}
    """

    sender: ClassVar[type[Sender[Any, Any]]]

    #: the reply to a batch of three that are all accepted
    accepted_batch: ClassVar[Reply | None] = None
    #: the reply to a batch of three whose second message is refused; None = the service takes all or none
    partial_batch: ClassVar[Reply | None] = None

    #: the replies to ``templates()``, page by page; at least one template is in them
    template_replies: ClassVar[Sequence[Reply]] = ()

    #: the replies to ``lookup`` of a message that the service has, and of one that it has not
    found: ClassVar[Reply | None] = None
    not_found: ClassVar[Reply | None] = None

    #: the reply to ``balance()``
    balance_reply: ClassVar[Reply | None] = None

    def subject(self) -> type[Plugin[Any]]:
        """The class under test."""
        return self.sender

    def channels(self, connector: Any) -> list[Channel]:
        """The channels that the connector declares, e-mail first."""
        return [channel for capability, channel in CHANNELS.items() if capability in connector.offers() and channel is not Channel.ACTION]

    def message(self, channel: Channel, text: str) -> Message:
        """A message that the service takes, ``text`` where a person's words go; override it for a service that sends only templates."""
        if channel is Channel.EMAIL:
            return Email(id="M1", key="", to="ana@example.com", subject="Hello", text=text, name="Ana", sent_at=START)
        if channel is Channel.WEBHOOK:
            return Call(id="M1", key="", to="list", type="contacts.list", data={"items": [{"text": text}]}, sent_at=START)
        return Text(id="M1", key="", to="+351912345678", channel=channel, text=text, name="Ana", sent_at=START)

    def accepted_on(self, channel: Channel) -> Reply:
        """What the service says when it accepts a message of ``channel``, where channels differ."""
        del channel
        return self.accepted

    def made(self, connector: Any, text: str = "Hello", number: int = 1, channel: Channel | None = None) -> Message:
        """Message ``number``, with an id and a key of its own."""
        message = self.message(channel or self.channels(connector)[0], text)
        return replace(message, id=f"M{1000 + number}", key=f"7d1c9a52-0000-4000-8000-{number:012d}")

    def call(self, connector: Any, text: str = "Hello", number: int = 1) -> Receipt:
        """Send one message of the first declared channel."""
        receipt: Receipt = connector.send(self.made(connector, text, number))
        return receipt

    def test_every_declared_channel_is_sent_on(self, wire: Wire, connector: Any) -> None:
        """A declared channel takes a message of its kind, with one request."""
        channels = self.channels(connector)
        assert channels, "it declares no channel: set capabilities"
        for channel in channels:
            wire.answer(self.accepted_on(channel))
            assert isinstance(connector.send(self.made(connector, channel=channel)), Receipt), f"{channel} was not accepted"
            assert len(wire.requests) == 1, f"{len(wire.requests)} requests for one message on {channel}"

    def test_what_it_declares_it_has_and_what_it_has_it_declares(self, connector: Any) -> None:
        """Capabilities are read before methods are called: one without the other is a promise broken, or a gift nobody finds."""
        declared, cls = connector.offers() | connector.capabilities, type(connector)
        for capability, method in _METHODS.items():
            own = getattr(cls, method) is not getattr(Sender, method)
            if capability in connector.offers():
                assert own, f"{capability} is declared, but there is no {method}"
            elif own:
                assert capability in declared, f"there is a {method}, but {capability} is not declared"
        assert (connector.batch_size > 1) == (Capability.BATCH in declared), "BATCH and batch_size > 1 go together"
        assert (connector.key_ttl() is not None) == (Capability.IDEMPOTENCY_KEY in connector.offers()), (
            "IDEMPOTENCY_KEY and idempotency_ttl go together: for how long does the service remember a key?"
        )

    def test_a_file_goes_with_an_email(self, wire: Wire, connector: Any) -> None:
        """What declares ATTACHMENTS carries the file's name and bytes; an app that does not is given no message that has one."""
        if not {Capability.EMAIL, Capability.ATTACHMENTS} <= connector.offers():
            pytest.skip("it declares no attachments")
        file = Attachment("nota-7.pdf", b"%PDF-1.4 \xe2\xe3", "application/pdf")
        message = self.made(connector, channel=Channel.EMAIL)
        assert isinstance(message, Email)
        wire.answer(self.accepted_on(Channel.EMAIL))
        connector.send(replace(message, attachments=(file,)))
        said = self.texts(wire.requests[0])
        assert any(file.name in text for text in said), "the file's name is not in the request"
        assert any(b64encode(file.content).decode() in text for text in said), "the file's bytes are not in the request (Base64, RFC 4648)"

    def test_the_same_message_carries_the_same_key(self, wire: Wire, connector: Any) -> None:
        """The key is in the request, in one place, the same for every try and another one for every message."""
        if Capability.IDEMPOTENCY_KEY not in connector.offers():
            pytest.skip("it declares no idempotency key")
        wire.answer(self.accepted)
        messages = [self.made(connector), self.made(connector), self.made(connector, number=2)]
        for message in messages:
            connector.send(message)
        first, again, other = (self.key_places(request) for request in wire.requests)
        here = [place for place, value in first if messages[0].key in value]
        assert here, "the message's key is nowhere in the request; where the service wants it in another form, override key_places"
        for place in here:
            assert dict(first)[place] == dict(again)[place], f"the key at {place} differs between two tries of one message"
            assert dict(first)[place] != dict(other).get(place), f"two messages carry the same key at {place}"

    def key_places(self, request: Request) -> list[tuple[str, str]]:
        """The texts of ``request`` with their places, among which the key is looked for."""
        return list(parts(request))

    def test_a_batch_answers_for_each_message(self, wire: Wire, connector: Any) -> None:
        """One request for many messages, one outcome for each, in order; an error for all is raised."""
        if Capability.BATCH not in connector.offers():
            pytest.skip("it declares no batch")
        assert self.accepted_batch is not None, "set accepted_batch to the reply to three accepted messages"
        messages = [self.made(connector, f"batch-text-{number}-", number) for number in (1, 2, 3)]
        wire.answer(self.accepted_batch)
        outcomes = connector.send_batch(messages)
        assert len(wire.requests) == 1, f"{len(wire.requests)} requests for one batch"
        assert [type(outcome) for outcome in outcomes] == [Receipt] * 3, f"three accepted messages, outcomes {outcomes!r}"
        texts = self.texts(wire.requests[0])
        for number in (1, 2, 3):
            assert any(f"batch-text-{number}-" in text for text in texts), f"message {number} of the batch is not in the request"
        wire.answer(self.unauthorised)
        with pytest.raises(AccountError):
            connector.send_batch(messages)
            pytest.fail("a refused key means the same for all: send_batch raises it")
        wire.answer(Fault.HANG_UP)
        self._all_in_doubt(connector, messages)
        assert len(wire.requests) == 1, "a batch is never sent again by the connector"

    def test_a_batch_tells_the_refused_from_the_accepted(self, wire: Wire, connector: Any) -> None:
        """One refused message costs its neighbours nothing."""
        if Capability.BATCH not in connector.offers():
            pytest.skip("it declares no batch")
        if self.partial_batch is None:
            pytest.skip("partial_batch is not set: the service takes all or none")
        messages = [self.made(connector, f"text {number}", number) for number in (1, 2, 3)]
        wire.answer(self.partial_batch)
        first, second, third = connector.send_batch(messages)
        assert isinstance(first, Receipt), f"the first was accepted, its outcome is {first!r}"
        assert isinstance(third, Receipt), f"the third was accepted, its outcome is {third!r}"
        assert isinstance(second, ConnectorError), f"the second was refused, its outcome is {second!r}"

    def test_a_batch_goes_under_its_messages_keys(self, wire: Wire, connector: Any) -> None:
        """The engine hands a batch without an answer over again: it must be the same request then, and another one for other keys."""
        if not {Capability.BATCH, Capability.IDEMPOTENCY_KEY} <= connector.offers():
            pytest.skip("it declares no batch, or no idempotency key")
        channel = self.channels(connector)[0]
        if any(some is not None and channel not in some for some in (connector.batch_channels, connector.key_channels)):
            pytest.skip(f"{channel} has no batch, or no key")
        assert self.accepted_batch is not None, "set accepted_batch to the reply to three accepted messages"
        messages = [self.made(connector, f"text {number}", number) for number in (1, 2, 3)]
        others = [replace(message, key=f"7d1c9a52-0000-4000-9000-{number:012d}") for number, message in enumerate(messages)]
        wire.answer(self.accepted_batch)
        for batch in (messages, messages, others):
            connector.send_batch(batch)
        first, again, other = (self.key_places(request) for request in wire.requests)
        assert first == again, "two tries of one batch differ: the service cannot know the second for the first"
        assert first != other, "a batch of other keys is the same request: no key of its messages is in it"

    def test_templates_are_listed(self, wire: Wire, connector: Any, tmp_path: Path) -> None:
        """``automate apps templates`` shows them all, inactive ones included, each by an id."""
        if Capability.TEMPLATES not in connector.offers():
            pytest.skip("it declares no templates")
        assert self.template_replies, "set template_replies to the service's replies, page by page"
        wire.answer(*self.template_replies)
        found = list(connector.templates())
        assert found, "no template in template_replies was found"
        assert all(isinstance(template, Template) and isinstance(template.id, str) and template.id for template in found)
        assert len({(template.id, template.language) for template in found}) == len(found), "a template is listed twice"
        assert len(wire.requests) == len(self.template_replies), f"{len(wire.requests)} requests for {len(self.template_replies)} pages"
        # one that remembers nothing: where few requests are allowed, a list may be kept for a while
        other = self.build(wire.url, tmp_path)
        other.open()
        wire.answer(self.unauthorised)
        with pytest.raises(AccountError):
            list(other.templates())
        other.close()

    def test_a_message_can_be_looked_up(self, wire: Wire, connector: Any) -> None:
        """The receipt of a message that the service has, None for one that it surely has not, an error where it cannot tell."""
        if Capability.LOOKUP not in connector.offers():
            pytest.skip("it declares no look-up")
        assert self.found is not None, "set found to the service's reply for a message it has"
        assert self.not_found is not None, "set not_found to its reply for one it has not"
        message = self.made(connector)
        wire.answer(self.found)
        assert isinstance(connector.lookup(message), Receipt), "a message that the service has is answered with its receipt"
        wire.answer(self.not_found)
        assert connector.lookup(message) is None, "None for a message that the service has not"
        for failure in (self.unauthorised, self.failing, Fault.HANG_UP):
            wire.answer(failure)
            with pytest.raises(ConnectorError):
                connector.lookup(message)
                pytest.fail(f"{failure}: it cannot know, and None would mean that the message is sent again")

    def test_the_balance_is_a_decimal(self, wire: Wire, connector: Any) -> None:
        """What is left at the provider, exactly; None where it has no end."""
        if Capability.BALANCE not in connector.offers():
            pytest.skip("it declares no balance")
        assert self.balance_reply is not None, "set balance_reply to the service's reply"
        wire.answer(self.balance_reply)
        left = connector.balance()
        assert left is None or isinstance(left, Decimal), f"a balance is a Decimal, {left!r} is not"

    def _all_in_doubt(self, connector: Any, messages: list[Message]) -> None:
        from libax_automate.errors import OutcomeUnknown

        try:
            outcomes = connector.send_batch(messages)
        except OutcomeUnknown:
            return
        assert all(isinstance(outcome, OutcomeUnknown) for outcome in outcomes), (
            f"a hang-up leaves the whole batch in doubt, not {outcomes!r}"
        )

"""The contract of a connector that makes payment references."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from libax_automate._plugin import Plugin
from libax_automate.connector import Reference, Referencer
from libax_automate.errors import AccountError, ConnectorError
from libax_automate.testing.plugin import ConnectorContract, nobody_listens
from libax_automate.testing.service import Fault, Reply
from libax_automate.testing.wire import Wire


class ReferencerContract(ConnectorContract):
    """What billing relies on in every operator of payment references (LX-28).

    An operator with an offline algorithm sets ``speaks_http = False`` and needs no replies.
    """

    referencer: ClassVar[type[Referencer[Any]]]

    #: replies to making a reference that did not exist, request by request
    created: ClassVar[Sequence[Reply]] = ()
    #: replies to asking again for the same id: by ``create_reference``, then by ``find_reference``
    repeated: ClassVar[Sequence[Reply]] = ()
    found: ClassVar[Sequence[Reply]] = ()
    #: replies to ``find_reference`` of an id that was never used
    absent: ClassVar[Sequence[Reply]] = ()

    our_id: ClassVar[str] = "FT-2026-118"
    amount: ClassVar[Decimal] = Decimal("123.45")
    due: ClassVar[date | None] = date(2027, 1, 31)
    #: the reference that ``created`` holds, or that the algorithm gives; None = any
    expected: ClassVar[str | None] = None

    def subject(self) -> type[Plugin[Any]]:
        """The class under test."""
        return self.referencer

    def make(self, connector: Any, amount: Decimal | None = None) -> Reference:
        """Ask for the reference of ``our_id``."""
        reference: Reference = connector.create_reference(self.our_id, amount or self.amount, due=self.due)
        return reference

    def test_a_reference_is_made_for_an_id_and_an_amount(self, wire: Wire, connector: Any) -> None:
        """It carries our id, the exact amount, and what the customer types in."""
        wire.answer(*self.created or (Reply(200, {}),))
        reference = self.make(connector)
        assert isinstance(reference, Reference), f"{reference!r} is no Reference"
        assert (reference.our_id, reference.amount) == (self.our_id, self.amount), f"asked for {self.our_id}, {self.amount}: {reference!r}"
        assert isinstance(reference.amount, Decimal), "an amount is a Decimal"
        assert reference.reference, "a reference has digits"
        if self.expected is not None:
            assert reference.reference.replace(" ", "") == self.expected.replace(" ", ""), f"{reference.reference} is not {self.expected}"
        if not self.speaks_http:
            assert not wire.requests, "an offline algorithm asks nobody"

    def test_the_same_id_gives_the_same_reference(self, wire: Wire, connector: Any) -> None:
        """Asked twice, it is one debt with one reference."""
        wire.answer(*self.created or (Reply(200, {}),))
        first = self.make(connector)
        if self.speaks_http:
            assert self.repeated, "set repeated to the replies when the reference exists already"
            wire.answer(*self.repeated)
        again = self.make(connector)
        assert (again.entity, again.reference) == (first.entity, first.reference), f"{first} became {again}"

    def test_a_reference_is_found_by_our_id(self, wire: Wire, connector: Any) -> None:
        """The one that was made, and None for an id that was never used."""
        if not self.speaks_http:
            pytest.skip("an offline algorithm keeps nothing to be found")
        assert self.found, "set found to the replies for a reference that exists"
        assert self.absent, "set absent to the replies for one that does not"
        wire.answer(*self.found)
        reference = connector.find_reference(self.our_id)
        assert isinstance(reference, Reference), f"{reference!r} is no Reference"
        wire.answer(*self.absent)
        assert connector.find_reference("never-used") is None

    def test_an_amount_that_cannot_be_is_refused(self, wire: Wire, connector: Any) -> None:
        """Nothing, less than nothing and fractions of a cent are no debt."""
        wire.answer(*self.created or (Reply(200, {}),))
        for amount in (Decimal(0), Decimal("-1.00"), Decimal("1.005")):
            with pytest.raises(ConnectorError):
                connector.create_reference(self.our_id, amount, due=self.due)
                pytest.fail(f"a reference over {amount} was made")
        assert not wire.requests, "an amount that cannot be reached the operator"

    def test_each_failure_raises_its_class(self, wire: Wire, connector: Any) -> None:
        """A refused key halts the app; whatever else goes wrong is a ConnectorError as well, and no reference."""
        if not self.speaks_http:
            pytest.skip("it speaks to no server")
        wire.answer(self.unauthorised)
        with pytest.raises(AccountError):
            self.make(connector)
        for answer in (Reply(400, {}), Reply(429, {}), Reply(500, {}), Reply(503, {}), Fault.HANG_UP, Reply(200, "<html>"), Reply(200, [])):
            wire.answer(answer)
            with pytest.raises(ConnectorError):
                self.make(connector)
                pytest.fail(f"{answer} gave a reference")

    def test_no_secret_is_told(self, wire: Wire, connector: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """No error, repr or log line holds a secret, though the operator quotes it."""
        if not self.speaks_http:
            pytest.skip("it speaks to no server")
        with self.no_secret_told(connector, caplog) as errors:
            for answer in self.awkward(connector):
                wire.answer(answer)
                try:
                    self.make(connector)
                except Exception as error:
                    errors.append(error)
            with nobody_listens() as url:
                lost = self.build(url, tmp_path)
                lost.open()
                try:
                    self.make(lost)
                except Exception as error:
                    errors.append(error)
                lost.close()

"""Operators of payment references that break one promise each."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal

import libax_automate as ax

from . import case
from .good import Pay, PayContract


@case(PayContract, "a_reference_is_made_for_an_id_and_an_amount")
class Rounding(Pay):
    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        return replace(super().create_reference(our_id, amount, currency=currency, due=due), amount=Decimal(123))


@case(PayContract, "the_same_id_gives_the_same_reference", "a_reference_is_made_for_an_id_and_an_amount")
class Counting(Pay):
    count = itertools.count()

    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        return replace(super().create_reference(our_id, amount, currency=currency, due=due), reference=f"{next(self.count):09}")


@case(PayContract, "a_reference_is_found_by_our_id")
class Losing(Pay):
    def find_reference(self, our_id: str) -> ax.Reference | None:
        super().find_reference(our_id)
        return None


@case(PayContract, "an_amount_that_cannot_be_is_refused")
class Generous(Pay):
    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        return super().create_reference(our_id, max(abs(round(amount, 2)), Decimal("0.01")), currency=currency, due=due)


@case(PayContract, "each_failure_raises_its_class")
class Inventive(Pay):
    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        try:
            return super().create_reference(our_id, amount, currency=currency, due=due)
        except ax.OutcomeUnknown:
            return ax.Reference(our_id, "11111", "000000000", amount)


@case(PayContract, "no_secret_is_told")
class Telling(Pay):
    def create_reference(self, our_id: str, amount: Decimal, *, currency: str = "EUR", due: date | None = None) -> ax.Reference:
        try:
            return super().create_reference(our_id, amount, currency=currency, due=due)
        except ax.AccountError:
            raise ax.AccountError(f"{self.options.token.get_secret_value()} was refused") from None

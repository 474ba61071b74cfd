"""Amounts and dates that an operator of payment references takes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine

from libax_automate.errors import ContentError
from libax_automate.payment import cents_of, days_left


@pytest.mark.parametrize(("amount", "cents"), [("0.01", 1), ("25.86", 2586), ("7", 700), ("999999.99", 99999999), ("1E+2", 10000)])
def test_an_amount_in_cents(amount: str, cents: int) -> None:
    assert cents_of(Decimal(amount)) == cents


@pytest.mark.parametrize("amount", ["0", "-1", "1.005", "1000000", "NaN", "Infinity"])
def test_an_amount_that_cannot_be(amount: str) -> None:
    with pytest.raises(ContentError):
        cents_of(Decimal(amount))


def test_another_currency_is_refused() -> None:
    with pytest.raises(ContentError, match="BRL"):
        cents_of(Decimal(1), "BRL")


@time_machine.travel(datetime(2026, 7, 1, 23, 30, tzinfo=UTC), tick=False)
def test_days_until_it_is_due_are_counted_where_the_customer_lives() -> None:
    """In Lisbon it is 2 July already."""
    assert days_left(date(2026, 7, 2), "Europe/Lisbon") == 0
    assert days_left(date(2026, 8, 1), "Europe/Lisbon") == 30
    assert days_left(date(2026, 7, 1), "Europe/Lisbon") is None
    assert days_left(date(2026, 7, 1), "UTC") == 0
    assert days_left(None, "UTC") is None

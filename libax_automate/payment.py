"""What every operator of payment references asks of an amount and a date (LX-28)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from libax_automate.clock import wall_time
from libax_automate.errors import ContentError


def cents_of(amount: Decimal, currency: str = "EUR", *, least: str = "0.01", most: str = "999999.99") -> int:
    """``amount`` of euros in cents; raises ContentError where it is another currency, has fractions of a cent, or is out of bounds."""
    if currency != "EUR":
        raise ContentError(
            f"a payment reference is in EUR, not in {currency or 'an unknown currency'}", hint="bill this customer in another way"
        )
    if not amount.is_finite() or not Decimal(least) <= amount <= Decimal(most):
        raise ContentError(f"{amount} EUR cannot be asked for by reference", hint=f"the operator takes {least} to {most}")
    cents = amount * 100
    if cents != cents.to_integral_value():
        raise ContentError(f"{amount} EUR has fractions of a cent", hint="round the amount in its source")
    return int(cents)


def days_left(due: date | None, timezone: str) -> int | None:
    """Days from today to ``due`` in ``timezone``; None where it is past, or there is none: what is overdue can still be paid."""
    if due is None:
        return None
    days = (due - wall_time().astimezone(ZoneInfo(timezone)).date()).days
    return days if days >= 0 else None

"""How values are printed for people: dates, instants, amounts and numbers in a locale (CLDR, by way of Babel)."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from libax_automate.record import Money

if TYPE_CHECKING:
    from babel import Locale

#: strftime's marks, which people know, in CLDR's letters
_MARKS = {
    "d": "dd", "m": "MM", "Y": "yyyy", "y": "yy", "H": "HH", "M": "mm", "S": "ss",
    "B": "MMMM", "b": "MMM", "A": "EEEE", "a": "EEE", "-d": "d", "-m": "M", "%": "'%'",
}  # fmt: skip
_MARK = re.compile(r"%(-?[a-zA-Z%])|([A-Za-z]+)|'")


def _pattern(text: str) -> str:
    """A strftime format as a CLDR pattern: letters between the marks are text."""

    def turned(found: re.Match[str]) -> str:
        if found[1]:
            try:
                return _MARKS[found[1]]
            except KeyError:
                raise ValueError(f"date format mark %{found[1]} is not known") from None
        return f"'{found[2]}'" if found[2] else "''"

    return _MARK.sub(turned, text)


class Locales:
    """Prints values in one ``locale`` (such as ``pt_PT``) and IANA ``timezone``; raises ValueError when there is no such locale.

    What has been printed once is remembered: a run prints the same few dates and amounts for thousands of people.
    """

    def __init__(self, locale: str = "en_US", timezone: str = "UTC") -> None:
        self.name = locale
        self.zone = ZoneInfo(timezone)
        self._loaded: Locale | None = None
        self.date = lru_cache(maxsize=4096)(self._date)
        self.instant = lru_cache(maxsize=4096)(self._instant)
        self._amount = lru_cache(maxsize=4096)(self._currency)

    @property
    def babel(self) -> Locale:
        """Babel's own object, loaded when first used."""
        if self._loaded is None:
            from babel import Locale, UnknownLocaleError

            try:
                self._loaded = Locale.parse(self.name)
            except UnknownLocaleError as error:
                raise ValueError(str(error)) from None
        return self._loaded

    def _date(self, value: date, form: str = "") -> str:
        """``19/07/2023`` in Portuguese; ``form`` is short, medium, long, full, a CLDR pattern (``d MMMM``) or strftime's (``%d/%m``)."""
        from babel.dates import format_date, format_skeleton

        if isinstance(value, datetime):
            value = self.local(value).date()
        if not form:
            return format_skeleton("yMd", value, locale=self.babel)
        if len(form) > 64:
            raise ValueError("the date format is longer than 64 characters")
        if "%" in form:
            form = _pattern(form)
        return format_date(value, form, locale=self.babel)

    def _instant(self, value: datetime, form: str = "") -> str:
        """``19/07/2023 09:05`` in the profile's zone; ``form`` as for dates."""
        from babel.dates import format_datetime, format_skeleton

        local = self.local(value).replace(tzinfo=None)
        if not form:
            return f"{self._date(local.date())} {format_skeleton('Hm', local, locale=self.babel)}"
        if len(form) > 64:
            raise ValueError("the date format is longer than 64 characters")
        return format_datetime(local, _pattern(form) if "%" in form else form, locale=self.babel)

    def clock(self, value: time) -> str:
        """A time of day as the locale writes it: ``09:05``."""
        from babel.dates import format_skeleton

        return format_skeleton("Hm", datetime.combine(date(2000, 1, 1), value), locale=self.babel)

    def local(self, value: datetime) -> datetime:
        """``value`` on the profile's clock; a naive one is already on it."""
        return value.astimezone(self.zone) if value.tzinfo else value

    def money(self, value: Decimal, currency: str = "") -> str:
        """An amount with its currency (``R$ 123,00``); two decimals and no sign where no currency is known."""
        # equal amounts in two currencies are equal Decimals: the currency belongs to the key
        return self._amount(value, currency or (value.currency if isinstance(value, Money) else ""))

    def _currency(self, value: Decimal, currency: str) -> str:
        from babel.numbers import format_currency, format_decimal

        if not currency:
            return format_decimal(value, "#,##0.00", locale=self.babel)
        return format_currency(value, currency, locale=self.babel)

    def number(self, value: Decimal | float, digits: int | None = None) -> str:
        """A number with the locale's signs, ``digits`` decimals where given."""
        from babel.numbers import format_decimal

        if digits is None:
            return format_decimal(value, locale=self.babel, decimal_quantization=False)
        return format_decimal(value, "#,##0." + "0" * digits if digits else "#,##0", locale=self.babel)

"""What administrators and recipients read, in the profile's language: texts from message catalogues, dates and amounts from Babel.

Catalogues are gettext files, ``locale/LANGUAGE/LC_MESSAGES/automate.po`` in the package, read once at first use. A text is looked up in the
profile's own language, then in European Portuguese for every other Portuguese, then in English. Dates and amounts always follow the locale.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Literal
from zoneinfo import ZoneInfo

#: the catalogues shipped
LANGUAGES: Final = ("en", "pt_BR", "pt_PT")

#: Babel's plural form "one" is the first text of an entry; every other form of these languages is the second
_ONE = "one"


@dataclass(frozen=True, slots=True)
class _Entry:
    one: str
    other: str


@cache
def catalogue(language: str) -> Mapping[str, tuple[str, ...]]:
    """A shipped catalogue: id -> its text, or its singular and plural."""
    from babel.messages.pofile import read_po

    with (files("libax_automate") / "locale" / language / "LC_MESSAGES" / "automate.po").open("rb") as file:
        read = read_po(file)
    found = {}
    for message in read:
        if message.id:
            name = message.id if isinstance(message.id, str) else message.id[0]
            found[name] = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
    return found


def chain(locale: str) -> tuple[str, ...]:
    """The catalogues to look in, in order."""
    own = (locale,) if locale in LANGUAGES else ()
    portuguese = ("pt_PT",) if locale.replace("-", "_").split("_")[0].lower() == "pt" else ()
    return tuple(dict.fromkeys((*own, *portuguese, "en")))


@lru_cache(maxsize=64)
def _entries(locale: str) -> Mapping[str, _Entry]:
    found: dict[str, _Entry] = {}
    for language in reversed(chain(locale)):
        found.update({name: _Entry(texts[0], texts[-1]) for name, texts in catalogue(language).items()})
    return found


class Language:
    """One locale's texts, dates and amounts. Making one is cheap; everything behind it is read once per process."""

    def __init__(self, locale: str) -> None:
        from babel import Locale, UnknownLocaleError

        self.locale = locale
        try:
            self._babel = Locale.parse(locale, sep="-" if "-" in locale else "_")
        except (UnknownLocaleError, ValueError):
            self._babel = Locale.parse("en_US")
        # words (plurals, names of days and months) belong to the text around them, figures to the locale
        self._words = Locale.parse(chain(locale)[0]) if chain(locale)[0] != "en" or self._babel.language != "en" else self._babel
        self._entries = _entries(locale)

    @property
    def tag(self) -> str:
        """The language of the texts as HTML's ``lang`` names it (BCP 47): ``pt-PT``."""
        return chain(self.locale)[0].replace("_", "-")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def text(self, name: str, /, **values: object) -> str:
        """The text called ``name`` with its placeholders filled in; raises KeyError for a name that no catalogue has."""
        return self._entries[name].one.format_map(values)

    def ntext(self, name: str, count: int, /, **values: object) -> str:
        """The singular or plural of ``name``, as ``count`` asks for; ``{count}`` is written as the locale writes numbers."""
        entry = self._entries[name]
        chosen = entry.one if self._words.plural_form(count) == _ONE else entry.other
        return chosen.format_map({"count": self.number(count), **values})

    def subject(self, name: str) -> str:
        """The generic subject that a recipe names (LX-51); a plugin's own words where no catalogue has them."""
        entry = self._entries.get(name)
        return entry.one if entry is not None else name

    def date(self, day: dt.date) -> str:
        """``24/12/2026`` in Portuguese, ``Dec 24, 2026`` in American English."""
        from babel.dates import format_date

        return format_date(day, "medium", locale=self._babel)

    def day(self, day: dt.date) -> str:
        """Weekday and day, short: ``qui 24/12``."""
        return f"{self.weekday(day.weekday(), short=True)} {self.short_day(day)}"

    def weekday(self, number: int, *, short: bool = False) -> str:
        """The name of a day of the week, 0 = Monday: ``quinta-feira``; ``quinta`` where it is to be short."""
        from babel.dates import get_day_names

        return str(get_day_names("abbreviated" if short else "wide", "stand-alone", locale=self._words)[number]).rstrip(".")

    def short_day(self, day: dt.date) -> str:
        """Day and month: ``24/12``."""
        from babel.dates import format_skeleton

        return format_skeleton("Md", dt.datetime(day.year, day.month, day.day), locale=self._babel)  # noqa: DTZ001 - a day has no zone

    def label(self, day: dt.date, *, month: bool = False) -> str:
        """A day in figures, ``24/12/2026``, or its month, ``dez. de 2026``: where there is little room."""
        from babel.dates import format_skeleton

        shape, place = ("yMMM", self._words) if month else ("yMd", self._babel)
        return format_skeleton(shape, dt.datetime(day.year, day.month, day.day), locale=place)  # noqa: DTZ001 - a day has no zone

    def month(self, day: dt.date) -> str:
        """``dezembro de 2026``."""
        from babel.dates import format_skeleton

        return format_skeleton("yMMMM", dt.datetime(day.year, day.month, day.day), locale=self._words)  # noqa: DTZ001 - a month has no zone

    def quarter(self, day: dt.date) -> str:
        """``4.º trimestre de 2026``."""
        from babel.dates import format_skeleton

        return format_skeleton("yQQQQ", dt.datetime(day.year, day.month, day.day), locale=self._words)  # noqa: DTZ001 - a quarter has no zone

    def time(self, clock: dt.time) -> str:
        """``09:30``; ``9:30 AM`` in American English."""
        from babel.dates import format_time

        return format_time(clock, "short", locale=self._babel)

    def datetime(self, moment: dt.datetime, zone: ZoneInfo | None = None) -> str:
        """Day and minute, without seconds. An instant is shown in ``zone``; a naive wall time as it is."""
        local = moment if zone is None or moment.tzinfo is None else moment.astimezone(zone)
        return f"{self.date(local.date())} {self.time(local.time())}"

    def span(self, length: dt.timedelta) -> str:
        """A length of time in its largest fitting unit: ``4 horas``, ``2 dias``."""
        from babel.dates import format_timedelta

        return format_timedelta(length, locale=self._words)

    def length(self, length: dt.timedelta) -> str:
        """A length of time in whole days, hours or minutes, never in weeks or months: ``14 dias``, ``36 horas``."""
        from babel.dates import format_timedelta

        unit: Literal["day", "hour", "minute"] = "minute"
        if not length % dt.timedelta(hours=1):
            unit = "hour" if length % dt.timedelta(days=1) else "day"
        return format_timedelta(length, granularity=unit, threshold=float("inf"), locale=self._words)

    def money(self, amount: Decimal, currency: str) -> str:
        """``1.234,50 €``."""
        from babel.numbers import format_currency

        return format_currency(amount, currency, locale=self._babel)

    def number(self, value: Decimal | float) -> str:
        """``12.345,6``."""
        from babel.numbers import format_decimal

        return format_decimal(value, locale=self._babel)

    def amount(self, value: Decimal) -> str:
        """An amount of no known currency, with two decimals: ``1.234,50``."""
        from babel.numbers import format_decimal

        return format_decimal(value, "#,##0.00", locale=self._babel)


@lru_cache(maxsize=64)
def language(locale: str) -> Language:
    """The one :class:`Language` of a locale."""
    return Language(locale)

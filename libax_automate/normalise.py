"""Values as sources write them → canonical values; and :class:`Canonical`, which turns a whole row into a Record.

A parser answers the value or raises ValueError whose text says what is wrong with it, for people, value included.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate._words import CHOICES, HEADINGS, snake
from libax_automate.reading import Reading
from libax_automate.record import ENTITIES, Field, FieldType, Money, Record

_ISO_DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})", re.ASCII)
_SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}", re.ASCII)
_CLOCK = re.compile(r"[T ](\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII)


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _split_date(text: str) -> tuple[date, str]:
    """The date at the start of ``text`` and what follows it."""
    if found := _ISO_DATE.match(text):
        year, month, day = int(found[1]), int(found[3]), int(found[4])
    elif found := _DAY_FIRST.match(text):
        day, month, year = int(found[1]), int(found[3]), int(found[4])
    elif _SHORT_YEAR.fullmatch(text):
        raise ValueError(f"{_shown(text)} has a year of two digits: write all four")
    else:
        raise ValueError(f"{_shown(text)} is not a date: write 1980-12-24 or 24/12/1980")
    try:
        return date(year, month, day), text[found.end() :]
    except ValueError:
        pass
    if not 1 <= month <= 12:
        why = f"there is no month {month}" + ("; the day comes first" if found.re is _DAY_FIRST and month > 12 >= day else "")
    elif year < 1:
        why = "there is no year 0"
    else:
        why = f"month {month} of {year} has no day {day}"
    raise ValueError(f"{_shown(text)} is not a date: {why}")


def date_of(value: str | date) -> date:
    """A date from ``1980-12-24``, ``24/12/1980``, ``24-12-1980`` or ``24.12.1980``; of a date-time, the date as written.

    The day comes before the month. Years of two digits are refused: 1926 and 2026 are both somebody's birthday.
    """
    if isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    text = str(value).strip()
    day, rest = _split_date(text)
    if rest and not _CLOCK.fullmatch(rest):
        raise ValueError(f"{_shown(text)} is not a date: {_shown(rest)} follows it")
    return day


_known_date = lru_cache(maxsize=4096)(date_of)


def _date(value: Any) -> date:
    # a column of dates holds a few thousand different ones
    return _known_date(value) if type(value) is str else date_of(value)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return ZoneInfo(name)


def instant_of(value: str | date, timezone: str | tzinfo) -> datetime | date:
    """An instant with a zone, from ISO 8601 or ``24/12/1980 16:05[:00]``; without a zone it is local time in ``timezone``.

    A date alone answers a plain ``date``, so that callers know it is known only to the day.
    """
    zone = _zone(timezone) if isinstance(timezone, str) else timezone
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        return value
    text = str(value).strip()
    day, rest = _split_date(text)
    if not rest:
        return day
    clock = _CLOCK.fullmatch(rest)
    if clock is None:
        raise ValueError(f"{_shown(text)} is not a moment: write 2026-11-20T09:30:00Z or 20/11/2026 09:30")
    hour, minute, second, fraction, offset = clock.groups("")
    try:
        moment = datetime.fromisoformat(f"{day}T{hour:0>2}:{minute}:{second or '00'}.{fraction[:6]:0<6}{offset.upper()}")
    except ValueError:
        raise ValueError(f"{_shown(text)} is not a moment: no clock shows {_shown(rest.strip('T '))}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


_SYMBOLS = {"€": "EUR", "R$": "BRL", "US$": "USD", "£": "GBP", "Kz": "AOA", "MT": "MZN"}
_CURRENCY = r"(?:R\$|US\$|[€$£]|Kz|MT|[A-Z]{3})"
_AMOUNT = re.compile(rf"([-(]?)({_CURRENCY})?([-(]?)([\d.,']+)(-?\)?)({_CURRENCY})?\)?", re.ASCII)
_GROUPS = re.compile(r"\d{1,3}(?:[.,']\d{3})+", re.ASCII)
_SPACES = re.compile(r"[\s\u00a0\u202f\u2009]+")


def _money(value: object) -> tuple[Decimal, str]:
    """The amount and the currency written beside it, or ""."""
    if isinstance(value, Money):
        return Decimal(value), value.currency
    if isinstance(value, (Decimal, int)):
        return Decimal(value), ""
    if isinstance(value, float):
        return _finite(Decimal(repr(value))), ""
    text = str(value).strip()
    found = _AMOUNT.fullmatch(_SPACES.sub("", text).replace("\u2212", "-"))
    if found is None:
        try:
            return _finite(Decimal(text)), ""  # 1E+3, as Decimal and float print themselves
        except (InvalidOperation, ValueError):
            raise ValueError(f"{_shown(text)} is not an amount: write 1234.56 or 1.234,56") from None
    number = found[4].replace("'", "")
    comma, dot = number.rfind(","), number.rfind(".")
    mark = max(comma, dot)
    if mark >= 0:
        whole, sign, cents = number[:mark], number[mark], number[mark + 1 :]
        if sign in whole:  # the same sign twice groups thousands: 1.234.567
            whole, cents = number, ""
        elif min(comma, dot) < 0 and len(cents) == 3 and 1 <= len(whole) <= 3 and whole.strip("0"):
            whole, cents = number, ""  # 1.234 and 1,234: thousands, for money has two decimals
        if (re.search(r"[.,]", whole) and not _GROUPS.fullmatch(whole)) or not (whole or cents):
            raise ValueError(f"{_shown(text)} is not an amount: its thousands are not grouped by three")
        number = re.sub(r"[.,]", "", whole) + "." + cents
    amount = Decimal(number)
    symbol = found[2] or found[6] or ""
    signs = found[1] + found[3] + found[5]
    if len(signs.replace("()", "(")) > 1:
        raise ValueError(f"{_shown(text)} is not an amount: it has two signs")
    return -amount if signs else amount, "" if symbol == "$" else _SYMBOLS.get(symbol, symbol)


def _finite(amount: Decimal) -> Decimal:
    if not amount.is_finite():
        raise ValueError("not finite")
    return amount


def amount_of(value: str | float | Decimal) -> Decimal:
    """An amount from ``1.234,56``, ``1,234.56``, ``1234.5``, ``R$ 123,00``, ``€ 12``, ``-12``, ``(12,00)``.

    The last sign of two kinds is the decimal sign; a sign seen twice groups thousands. One sign alone with exactly three
    digits behind it and one to three before (``1.234``, ``1,234``) groups thousands, unless the whole part is zero (``0.500``).
    Numbers that are not text are never ambiguous.
    """
    return _money(value)[0]


_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:(?!.{0,63}?--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24})"
)
#: RFC 6761 and its like: email-validator judges them
_SPECIAL = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test", "example", "internal", "alt"})


def email_of(text: str) -> str:
    """An RFC 5321 mailbox with its domain in lower case; checked by form alone, never by DNS.

    A domain of other letters comes out in its ASCII form (RFC 5891), which every service takes; the part before @ in NFC.
    """
    text = str(text).strip()
    plain = _PLAIN_EMAIL.fullmatch(text)
    if plain and plain[1].lower() not in _SPECIAL and len(text) <= 254:
        local, _, domain = text.partition("@")
        if len(local) <= 64:
            return f"{local}@{domain.lower()}"
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f"{_shown(text)} is not an e-mail address: {str(error).rstrip('.')}") from None
    return f"{checked.local_part}@{checked.ascii_domain}"


#: Numbers that are plainly mobile, by country: +code, then the national form. Everything else is asked of phonenumbers.
_MOBILE = {
    "PT": ("351", re.compile(r"9[1236]\d{7}", re.ASCII)),
    "BR": ("55", re.compile(r"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])9[6-9]\d{7}", re.ASCII)),
    "ES": ("34", re.compile(r"6\d{8}", re.ASCII)),
}
_PLAIN_E164 = re.compile("|".join(rf"\+{code}{form.pattern}" for code, form in _MOBILE.values()), re.ASCII)
_PUNCTUATION = re.compile(r"[\s\u00a0().\-/]+")


def mobile_of(value: str | int, country: str = "") -> str:
    """A mobile number in E.164 (``+351912345678``); ``country`` (ISO 3166) reads national numbers.

    A number that can get no text message (a landline, a premium line) is refused with that reason.
    """
    text = str(value).strip()
    digits = _PUNCTUATION.sub("", text.removesuffix(".0"))
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if _PLAIN_E164.fullmatch(digits):
        return digits
    known = _MOBILE.get(country)
    if known and known[1].fullmatch(digits):
        return f"+{known[0]}{digits}"
    return _asked(text, digits, country)


def _asked(text: str, digits: str, country: str) -> str:
    import phonenumbers
    from phonenumbers import PhoneNumberType as Kind

    if "e+" in text.lower():
        raise ValueError(f"{_shown(text)} is not a telephone number: a spreadsheet has rounded it")
    if not digits.startswith("+") and not country:
        raise ValueError(f"{_shown(text)} has no country code, and the profile names no country")
    try:
        number = phonenumbers.parse(digits, country or None)
    except phonenumbers.NumberParseException:
        raise ValueError(f"{_shown(text)} is not a telephone number") from None
    if not phonenumbers.is_valid_number(number) or number.extension:
        raise ValueError(f"{_shown(text)} is not a telephone number" + (f" of {country}" if country and digits[0] != "+" else ""))
    if phonenumbers.number_type(number) not in {Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.PERSONAL_NUMBER, Kind.VOIP}:
        raise ValueError(f"{_shown(text)} is not a mobile number: it can get no text message")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


#: spellings of a column's words that are remembered
_CHOSEN = 256


def choice_of(entity: str, field: Field, value: object) -> str:
    """The canonical word of a CHOICE field, whatever Portuguese or English word the source has (``Ativo``, ``Pessoa Física``, ``F``)."""
    word = snake(str(value))
    if word in field.choices:
        return word
    try:
        return CHOICES[entity, field.name][word]
    except KeyError:
        raise ValueError(f"{_shown(value)} is not one of {', '.join(field.choices)}") from None


def _chooser(entity: str, field: Field) -> Callable[[Any], str]:
    """``choice_of`` for a column, which holds few different words."""
    known: dict[str, str] = {}

    def choose(value: Any) -> str:
        text = value if type(value) is str else str(value)
        word = known.get(text)
        if word is None:
            word = choice_of(entity, field, text)
            if len(known) < _CHOSEN:
                known[text] = word
        return word

    return choose


_LIST = re.compile(r"\s*[,;]\s*")


def list_of(value: object) -> tuple[str, ...]:
    """The parts of ``vip, porto; norte``; blanks left out, order kept."""
    parts = map(str, value) if isinstance(value, (list, tuple, set, frozenset)) else _LIST.split(str(value))
    return tuple(part.strip() for part in parts if part.strip())


def heading_of(entity: str, heading: str) -> str:
    """The canonical field that a column's heading means (``Data de nascimento`` → ``birth_date``), else its snake_case name."""
    name = snake(heading)
    return name if name in ENTITIES.get(entity, ()) else HEADINGS.get(entity, {}).get(name, name)


def _text(value: object) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return (text if text.isascii() else unicodedata.normalize("NFC", text)) or None
    return str(value)


def _custom(value: object) -> Any:
    return _text(value) if isinstance(value, str) else value


def _related(value: object) -> Any:
    return value if isinstance(value, Mapping) else _text(value)


class Canonical:
    """Turns rows of ``entity`` into Records. Made once per source and entity, called once per row, safe from many threads.

    Values arrive under canonical or other names; other names become snake_case ASCII and pass through. A value that cannot be
    read becomes None and is named in ``Record.problems``. Derived where missing: ``first_name`` and ``last_name`` from ``name``
    (of people, not companies) and back, ``balance`` from ``amount``; amounts carry the row's currency.
    """

    def __init__(self, entity: str, *, country: str = "", timezone: str | tzinfo = "UTC") -> None:
        self.entity = entity
        self.country = country.upper()
        self._zone = _zone(timezone) if isinstance(timezone, str) else timezone
        self._reading = Reading(entity, self.converter)

    def converter(self, name: str) -> Callable[[Any], Any]:
        """What reads field ``name``: a function of the source's value (not None, not blank) that answers or raises ValueError."""
        field = ENTITIES.get(self.entity, {}).get(name)
        if field is None:
            return _custom
        match field.type:
            case FieldType.DATE:
                return _date
            case FieldType.INSTANT:
                zone = self._zone
                return lambda value: instant_of(value, zone)
            case FieldType.AMOUNT:
                return _money
            case FieldType.EMAIL:
                return email_of
            case FieldType.MOBILE:
                country, plain = self.country, _PLAIN_E164.fullmatch
                return lambda value: value if type(value) is str and plain(value) else mobile_of(value, country)
            case FieldType.CHOICE:
                return _chooser(self.entity, field)
            case FieldType.LIST:
                return list_of
            case FieldType.RECORD:
                return _related
        return _upper if name == "currency" else _text

    def __call__(self, values: Mapping[str, Any], *, raw: Mapping[str, Any] | None = None, where: str = "") -> Record:
        """The row as a Record; ``where`` names its place for people, ``raw`` (default ``values``) stays beside it.

        Fields are read when they are asked for: ``values`` must not change any more.
        """
        record = self._reading.record(values, at=where)
        if raw is not None:
            record.raw = raw
        return record


def _upper(value: object) -> Any:
    return str(value).strip().upper()


@lru_cache(maxsize=64)
def _compiled(entity: str, country: str, timezone: str | tzinfo) -> Canonical:
    return Canonical(entity, country=country, timezone=timezone)


def canonical(
    entity: str,
    values: Mapping[str, Any],
    *,
    country: str = "",
    timezone: str | tzinfo = "UTC",
    raw: Mapping[str, Any] | None = None,
    where: str = "",
) -> Record:
    """One row as a Record (see :class:`Canonical`, which is cheaper for many rows)."""
    return _compiled(entity, country, timezone)(values, raw=raw, where=where)

"""The filters that templates offer: plain functions of values, each bounded in time and memory by the size of its input."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import islice
from typing import Any
from urllib.parse import quote

from libax_automate.errors import TemplateError
from libax_automate.locales import Locales
from libax_automate.record import Money, Record

#: the longest text (characters) that a template may make, and the longest that may come out of one
MAX_TEXT = 512 * 1024
#: the longest list, and the most that ``range`` counts
MAX_ITEMS = 1_000
#: the widest padding
MAX_WIDTH = 1_000
#: numbers stay below 10 ** MAX_DIGITS
MAX_DIGITS = 30

_FORMAT = re.compile(r"%(?:%|[-+ 0]{0,5}(\d{0,9})(?:\.(\d{0,9}))?[dfsi])")


def bounded(length: int) -> None:
    """Refuse a text that would be longer than MAX_TEXT, before it is made."""
    if length > MAX_TEXT:
        raise TemplateError(f"the text would be {length} characters long; at most {MAX_TEXT} are allowed", hint="shorten the template")


def items(value: Any) -> list[Any]:
    """The items of a list of at most MAX_ITEMS; letters of a text count as items."""
    found = list(islice(value, MAX_ITEMS + 1))
    if len(found) > MAX_ITEMS:
        raise TemplateError(f"a list of more than {MAX_ITEMS} items", hint="shorten the list")
    return found


def text_of(value: Any) -> str:
    """``value`` as plain text for text filters; a record or a list is no text."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # escaped text goes back to plain, and is escaped once more where it is printed
    if isinstance(value, Mapping):
        raise TemplateError("a record is not text", hint="name one of its fields, such as customer.name")
    if isinstance(value, int | float | Decimal | date):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(text_of(part) for part in items(value))
    raise TemplateError(f"{type(value).__name__} is not text")


def number_of(value: Any) -> Decimal | int:
    """A number from a number or its plain text."""
    if isinstance(value, Decimal | int):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str):
        try:
            number = Decimal(value.strip().replace(",", ".") if "." not in value else value.strip())
        except InvalidOperation:
            raise TemplateError(f"{value[:40]!r} is not a number") from None
        small(number)
        return number
    raise TemplateError(f"{type(value).__name__} is not a number")


def small(value: Any) -> Any:
    """Refuse numbers of more than MAX_DIGITS digits before the decimal sign, and those that are not finite."""
    big = abs(value) >= 10**MAX_DIGITS if isinstance(value, int) else isinstance(value, Decimal) and (
        not value.is_finite() or value.adjusted() >= MAX_DIGITS or (value.adjusted() < -MAX_DIGITS and bool(value))
    )  # fmt: skip
    if big:
        raise TemplateError(f"a number has more than {MAX_DIGITS} digits")
    return value


def date_of(value: Any) -> date | datetime:
    """A date from a date or ISO 8601 text."""
    if isinstance(value, date):
        return value
    try:
        text = str(value).strip()
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise TemplateError(f"{str(value)[:40]!r} is not a date", hint="dates are written 2026-12-24") from None


def _keep(old: Any, new: Decimal | int) -> Any:
    return Money.of(Decimal(new), old.currency) if isinstance(old, Money) else new


def _abs(value: Any) -> Any:
    number = number_of(value)
    return _keep(value, number if number >= 0 else -number)


def _round(value: Any, digits: int = 0, method: str = "common") -> Any:
    number = Decimal(number_of(value))
    how = {"common": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}.get(method)
    if how is None or not 0 <= digits <= 10:
        raise TemplateError("round takes 0 to 10 digits, and common, ceil or floor")
    rounded = number.quantize(Decimal(1).scaleb(-digits), rounding=how)
    return _keep(value, rounded if digits else int(rounded))


def _integer(value: Any, default: int = 0) -> int:
    try:
        return int(small(number_of(value)))
    except (TemplateError, ArithmeticError, ValueError):
        return default


def _decimal(value: Any, default: Any = 0) -> Any:
    try:
        return Decimal(number_of(value))
    except (TemplateError, ArithmeticError):
        return default


def replace(value: Any, old: str, new: str, count: int = -1) -> str:
    """``str.replace``, measured before it is made."""
    text = text_of(value)
    found = text.count(old) if count < 0 else min(count, text.count(old))
    bounded(len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, count)


def _join(value: Any, mark: str = ", ", attribute: str | None = None) -> str:
    if isinstance(value, str):
        return value
    parts = [text_of(_pick(part, attribute)) for part in items(value)]
    bounded(sum(map(len, parts)) + len(mark) * len(parts))
    return mark.join(parts)


def _pick(part: Any, attribute: str | None) -> Any:
    if attribute is None:
        return part
    if not isinstance(part, Mapping) or attribute not in part:
        raise TemplateError(f"an item of the list has no {attribute!r}")
    return part[attribute]


def _center(value: Any, width: int = 80) -> str:
    if width > MAX_WIDTH:
        raise TemplateError(f"center is at most {MAX_WIDTH} wide")
    return text_of(value).center(width)


def _indent(value: Any, width: int = 4, first: bool = False) -> str:
    text = text_of(value)
    if not 0 <= width <= MAX_WIDTH:
        raise TemplateError(f"indent is at most {MAX_WIDTH} wide")
    bounded(len(text) + width * (text.count("\n") + 1))
    return (" " * width if first else "") + text.replace("\n", "\n" + " " * width)


def _format(pattern: Any, *values: Any) -> str:
    text = text_of(pattern)
    used, rest = 0, _FORMAT.sub("", text)
    if "%" in rest:
        raise TemplateError("format knows %s, %d, %i, %f and %%, with plain widths")
    for found in _FORMAT.finditer(text):
        if int(found[1] or 0) > MAX_WIDTH or int(found[2] or 0) > 30:
            raise TemplateError(f"format is at most {MAX_WIDTH} wide, with at most 30 decimals")
        used += int(found[1] or 0)
    plain = tuple(value if isinstance(value, int | float | Decimal) else text_of(value) for value in values)
    bounded(len(text) + used + sum(len(str(value)) for value in plain) * 2)
    return text % plain


def _truncate(value: Any, length: int = 255, killwords: bool = False, end: str = "…") -> str:
    text = text_of(value)
    if len(text) <= length:
        return text
    cut = text[: max(length - len(end), 0)]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def _title(value: Any) -> str:
    return " ".join(word[:1].upper() + word[1:].lower() for word in text_of(value).split(" "))


def _first(value: Any) -> Any:
    return next(iter(value), None)


def _last(value: Any) -> Any:
    found = value if isinstance(value, str) else items(value)
    return found[-1] if found else None


def _sort(value: Any, reverse: bool = False, attribute: str | None = None) -> list[Any]:
    return sorted(items(value), key=lambda part: _pick(part, attribute), reverse=reverse)


def _reverse(value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else items(value)[::-1]


def _unique(value: Any) -> list[Any]:
    return list(dict.fromkeys(items(value)))


def _sum(value: Any, attribute: str | None = None) -> Any:
    total: Decimal | int = 0
    first: Any = None
    for part in items(value):
        picked = _pick(part, attribute)
        first = picked if first is None else first
        total = total + number_of(picked)
    return _keep(first, total) if isinstance(first, Money) else total


def _length(value: Any) -> int:
    return 0 if value is None else len(value)


def _words(value: Any) -> int:
    return len(text_of(value).split())


def _urlencode(value: Any) -> str:
    return quote(text_of(value), safe="")


def filters(locales: Locales) -> dict[str, Callable[..., Any]]:
    """The filters by name, printing in ``locales``. A value that is None stays None; ``default`` and ``length`` decide for themselves."""

    def show_date(value: Any, form: str = "") -> str:
        read = date_of(value)
        return locales.instant(read, form) if isinstance(read, datetime) and form else locales.date(read, form)

    def show_time(value: Any) -> str:
        read = date_of(value)
        if not isinstance(read, datetime):
            raise TemplateError("a date has no time of day")
        return locales.clock(locales.local(read).time())

    def show_money(value: Any, currency: str = "") -> str:
        return locales.money(Decimal(small(number_of(value))) if not isinstance(value, Money) else value, currency)

    def show_number(value: Any, digits: int | None = None) -> str:
        if digits is not None and not 0 <= digits <= 10:
            raise TemplateError("number takes 0 to 10 digits")
        return locales.number(small(number_of(value)), digits)

    return {
        "abs": _abs,
        "capitalize": lambda value: text_of(value).capitalize(),
        "center": _center,
        "count": _length,
        "date": show_date,
        "first": _first,
        "float": _decimal,
        "format": _format,
        "indent": _indent,
        "int": _integer,
        "join": _join,
        "last": _last,
        "length": _length,
        "list": items,
        "lower": lambda value: text_of(value).lower(),
        "max": lambda value: max(items(value)),
        "min": lambda value: min(items(value)),
        "money": show_money,
        "number": show_number,
        "replace": replace,
        "reverse": _reverse,
        "round": _round,
        "sort": _sort,
        "string": text_of,
        "sum": _sum,
        "time": show_time,
        "title": _title,
        "trim": lambda value, marks=None: text_of(value).strip(marks),
        "truncate": _truncate,
        "unique": _unique,
        "upper": lambda value: text_of(value).upper(),
        "urlencode": _urlencode,
        "wordcount": _words,
    }


def shown(value: Any, locales: Locales) -> str:
    """``value`` as a message prints it; "" for what is empty."""
    kind = type(value)
    if kind is int:
        return str(small(value))
    if value is None:
        return ""
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, datetime):
        return locales.instant(value)
    if isinstance(value, date):
        return locales.date(value)
    if isinstance(value, Money):
        return locales.money(small(value))
    if isinstance(value, Decimal | float):
        return locales.number(small(value))
    if isinstance(value, Record):
        raise TemplateError("a record is not text", hint="name one of its fields, such as customer.name")
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return ", ".join(shown(part, locales) for part in items(value))
    return text_of(value)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: bool(left == right),
    "ne": lambda left, right: bool(left != right),
    "gt": lambda left, right: bool(left > right),
    "gteq": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "lteq": lambda left, right: bool(left <= right),
}


def compared(operator: str, left: Any, right: Any, locales: Locales) -> bool:
    """A comparison in which text meets a number or a date by what it says: columns of a file are text (``score >= 10``)."""
    if operator in ("in", "notin"):
        found = _contained(left, right)
        return found if operator == "in" else not found
    if left is None or right is None:
        if operator in ("eq", "ne"):
            return (left is right) == (operator == "eq")
        raise TypeError("a comparison with nothing")
    if type(left) is not type(right):
        left, right = _level(left, right, locales)
    return _ORDER[operator](left, right)


def _contained(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return text_of(left) in right
    if isinstance(right, int | float | Decimal):
        raise TemplateError("a number holds nothing: write in (1, 2)")
    return left in right


def _level(left: Any, right: Any, locales: Locales) -> tuple[Any, Any]:
    """Two values of different types brought to one, where one of them says what is meant."""
    for here, there, swapped in ((left, right, False), (right, left, True)):
        made: tuple[Any, Any] | None = None
        if isinstance(here, str):
            try:
                if isinstance(there, datetime):
                    read = date_of(here)
                    made = (read, there)
                elif isinstance(there, date):
                    made = (date_of(here), there)
                elif isinstance(there, int | float | Decimal) and not isinstance(there, bool):
                    made = (number_of(here), there)
            except TemplateError:
                return left, right
        elif isinstance(here, float) and isinstance(there, Decimal):
            made = (Decimal(repr(here)), there)
        if made is not None:
            left, right = made if not swapped else made[::-1]
            break
    if isinstance(left, datetime) != isinstance(right, datetime) and isinstance(left, date) and isinstance(right, date):
        # an instant against a day: the day it falls on
        return tuple(locales.local(side).date() if isinstance(side, datetime) else side for side in (left, right))  # type: ignore[return-value]
    if isinstance(left, datetime) and isinstance(right, datetime) and (left.tzinfo is None) != (right.tzinfo is None):
        return tuple(side if side.tzinfo else side.replace(tzinfo=locales.zone) for side in (left, right))  # type: ignore[return-value]
    return left, right

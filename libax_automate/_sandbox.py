"""Jinja's sandbox, narrowed from what is forbidden to what is allowed, and bounded in time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import StrictUndefined, Undefined, UndefinedError, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from libax_automate._filters import MAX_ITEMS, bounded, compared, filters, items, number_of, replace, shown, small
from libax_automate.clock import SystemClock
from libax_automate.errors import EmptyValue, TemplateError, UnknownField
from libax_automate.locales import Locales
from libax_automate.record import ENTITIES, Money, Record

#: loops may turn this often in one rendering, all together
MAX_TURNS = 10_000
#: work in one rendering: roughly kilobytes touched, plus one for every operation
MAX_WORK = 50_000

clock = SystemClock()
#: methods that values offer in templates
_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        {
            "upper",
            "lower",
            "title",
            "capitalize",
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "startswith",
            "endswith",
            "replace",
            "find",
            "count",
        }
    ),
    date: frozenset({"isoformat", "weekday", "isoweekday"}),
    LoopContext: frozenset({"cycle", "changed"}),
}
CALLABLE = frozenset().union(*_METHODS.values())
_PARTS: Mapping[type, frozenset[str]] = {
    date: frozenset({"year", "month", "day", "hour", "minute"}),
    Money: frozenset({"currency"}),
    LoopContext: frozenset(
        {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "depth0"}
    ),
}
_TESTS = frozenset(
    (
        "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt", "in", "integer",
        "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string", "true", "undefined",
        "upper",
    )
)  # fmt: skip


class Rendering(Context):
    """One rendering, with what it has spent so far."""

    spent = 0
    turns = 0
    checked = 0
    deadline = float("inf")

    def spend(self, cost: int) -> None:
        """Count work of about ``cost`` kilobytes, and look at the clock now and then."""
        self.spent += 1 + cost
        if self.spent > MAX_WORK:
            raise TemplateError("the template does too much", hint="make it simpler")
        if self.spent - self.checked > 100:
            self.checked = self.spent
            self.look()

    def look(self) -> None:
        if clock.monotonic() > self.deadline:
            raise TemplateError("the template takes too long", hint="make it simpler")


class Unknown(StrictUndefined):
    """A name that nothing stands behind; any use of it raises UnknownField."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None) -> None:
        made: Any = exc if exc not in (None, UndefinedError) else lambda _: UnknownField(str(name or "value"))
        super().__init__(hint, obj, name, exc=made)


def counted_range(*bounds: int) -> range:
    """``range`` that counts at most MAX_ITEMS; raises TemplateError beyond."""
    counted = range(*bounds)
    if len(counted) > MAX_ITEMS:
        raise TemplateError(f"range counts at most {MAX_ITEMS}")
    return counted


def _split(text: str, mark: str | None = None, maxsplit: int = -1) -> list[str]:
    """``str.split`` that never makes more parts than a list may have."""
    return items(text.split(mark, MAX_ITEMS if maxsplit < 0 else min(maxsplit, MAX_ITEMS)))


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, narrowed from what is forbidden to what is allowed."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    context_class = Rendering

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return self._key(obj, attribute)
        if not attribute.startswith("_"):
            for kind, names in (*_PARTS.items(), *_METHODS.items()):
                if isinstance(obj, kind) and attribute in names and hasattr(obj, attribute):
                    return getattr(obj, attribute)
            if is_dataclass(obj) and any(attribute == known.name for known in fields_of(obj)):
                return getattr(obj, attribute)
        return Unknown(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            return self._key(obj, argument)
        if isinstance(obj, str | Sequence) and isinstance(argument, int):
            try:
                return obj[argument]
            except IndexError:
                return None
        return Unknown(obj=obj, name=str(argument)[:80])

    def _key(self, obj: Mapping[Any, Any], key: Any) -> Any:
        try:
            return obj[key]
        except (KeyError, TypeError):
            if isinstance(obj, Record) and key in ENTITIES.get(obj.entity, ()):
                return None  # a canonical field that this record does not have
            return Unknown(obj=obj, name=str(key)[:80])

    def call(self, context: Rendering, obj: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        kwargs.pop("_loop_vars", None)  # what Jinja adds inside loops
        kwargs.pop("_block_vars", None)
        name = getattr(obj, "__name__", "")
        if obj is not counted_range:
            owner = getattr(obj, "__self__", None)
            allowed = isinstance(obj, BuiltinMethodType | MethodType) and any(
                isinstance(owner, kind) and name in names for kind, names in _METHODS.items()
            )
            if not allowed:
                raise TemplateError("only range(…) and the plain methods of texts and dates can be called")
            if isinstance(owner, str):
                context.spend(len(owner) >> 10)
                if name == "replace":
                    return replace(owner, *args, **kwargs)
                if name == "split":
                    return _split(owner, *args, **kwargs)
        return obj(*args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        context.spend(0)
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises UnknownField
        if isinstance(left, str) and isinstance(right, str) and operator == "+":
            bounded(len(left) + len(right))
            return left + right
        if isinstance(left, date) or isinstance(right, date):
            return _days(operator, left, right)
        if left is None or right is None:
            raise TypeError("a calculation with nothing")
        first: Any = number_of(left)
        second: Any = number_of(right)
        if operator == "**" and (abs(first) > 10**6 or not -64 <= second <= 64):
            raise TemplateError("a power of at most 1000000 ** 64")
        if operator == "/" and isinstance(first, int) and isinstance(second, int):
            first = Decimal(first)
        with localcontext(prec=28):
            result: Any = small(self.binop_table[operator](first, second))
        currency = next((side.currency for side in (left, right) if isinstance(side, Money)), None)
        return result if currency is None or not isinstance(result, Decimal) else Money.of(result, currency)


def _days(operator: str, left: Any, right: Any) -> Any:
    """A date ± days, or the days between two dates."""
    if operator == "-" and isinstance(left, date) and isinstance(right, date):
        first, second = (side.date() if isinstance(side, datetime) else side for side in (left, right))
        return (first - second).days
    if isinstance(left, date) and isinstance(right, int) and operator in "+-":
        return left + timedelta(days=right if operator == "+" else -right)
    raise TemplateError(f"a date cannot be calculated with {operator}", hint="write due - today, or due + 3")


def environment(locales: Locales, *, html: bool, allow_empty: bool) -> Environment:
    """The environment of one sandbox; ``html`` escapes values, ``allow_empty`` prints empty ones as nothing."""
    made = Environment(undefined=Unknown, autoescape=html, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True)
    made.globals.clear()
    made.tests = {name: made.tests[name] for name in _TESTS}
    offered = filters(locales) | {name: made.filters[name] for name in ("e", "escape")}
    made.filters = {name: _counted(function, name) for name, function in offered.items()}
    made.filters["default"] = made.filters["d"] = _default
    # what _narrow puts into templates; nobody can write a name that starts with _
    made.filters |= {"_show": _shower(locales, allow_empty=allow_empty), "_plain": _printer(locales), "_compare": _comparer(locales)}
    made.filters |= {"_turns": _turns, "_concat": _concat, "_flat": _flat}
    return made


def _shower(locales: Locales, *, allow_empty: bool) -> Any:
    def show(value: Any, label: str) -> str:
        if type(value) is str:
            text = value
        elif isinstance(value, Undefined):
            raise UnknownField(label)
        elif hasattr(value, "__html__"):
            return value  # type: ignore[no-any-return]  # markupsafe's own str
        else:
            text = shown(value, locales)
        if not allow_empty and (not text or text.isspace()):
            raise EmptyValue(label)
        return text

    return show


def _printer(locales: Locales) -> Any:
    def plain(value: Any, label: str) -> str:
        if isinstance(value, Undefined):
            raise UnknownField(label)
        return shown(value, locales)

    return plain


def _comparer(locales: Locales) -> Any:
    def compare(context: Rendering, left: Any, *rest: Any) -> bool:
        context.spend(0)
        for operator, right in zip(rest[::2], rest[1::2], strict=True):
            for side in (left, right):
                if isinstance(side, Undefined):
                    str(side)  # raises UnknownField
            if not compared(operator, left, right, locales):
                return False
            left = right
        return True

    return pass_context(compare)


@pass_context
def _turns(context: Rendering, values: Any, label: str) -> Iterator[Any]:
    """The items of a loop, each counted."""
    if isinstance(values, Undefined):
        raise UnknownField(label)
    for value in values if values is not None else ():
        context.turns += 1
        if context.turns > MAX_TURNS:
            raise TemplateError(f"loops turn more than {MAX_TURNS} times")
        context.spend(1)
        yield value


@pass_context
def _concat(context: Rendering, parts: list[str]) -> str:
    length = sum(map(len, parts))
    bounded(length)
    context.spend(length >> 10)
    return "".join(map(str, parts))


def _flat(values: Any) -> Any:
    """A list that a template writes; lists within lists could be made to share themselves, and then take for ever to compare."""
    if any(isinstance(value, list | tuple) for value in values):
        raise TemplateError("a list cannot hold lists")
    return values


def _counted(function: Any, name: str) -> Any:
    """A filter that counts its work, passes None on, and names an unknown field."""
    decides = name in {"length", "count"}

    def counted(context: Rendering, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, Undefined):
            str(value)  # raises UnknownField
        if value is None and not decides:
            return None
        context.spend(len(value) >> 10 if isinstance(value, str) else 1)
        made = function(value, *args, **kwargs)
        if isinstance(made, str):
            bounded(len(made))
            context.spend(len(made) >> 10)
        return made

    return pass_context(counted)


def _default(value: Any, fallback: Any = "", truthy: bool = False) -> Any:
    """``fallback`` for a value that is unknown, empty, or (``truthy``) false."""
    if isinstance(value, Undefined) or value is None or value == "":
        return fallback
    return value or fallback if truthy else value

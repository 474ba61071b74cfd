"""Templates and expressions that people write: sandboxed, bounded, strict about names, and printed in the profile's locale."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from datetime import date
from decimal import Decimal, localcontext
from types import BuiltinMethodType, MethodType
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError, nodes, pass_context
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer, NodeVisitor

from libax_automate._filters import MAX_ITEMS, MAX_TEXT, bounded, compared, filters, items, number_of, replace, shown, small
from libax_automate.clock import SystemClock
from libax_automate.errors import EmptyValue, TemplateError, UnknownField
from libax_automate.locales import Locales
from libax_automate.placeholder import pieces, rewrite
from libax_automate.record import ENTITIES, Money, Record

#: loops may turn this often in one rendering, all together
MAX_TURNS = 10_000
#: characters of Jinja code, and pieces of it, in one template
MAX_CODE = 64 * 1024
MAX_PIECES = 2_000
#: work in one rendering: roughly kilobytes touched, plus one for every operation
MAX_WORK = 50_000

_clock = SystemClock()
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
_CALLABLE = frozenset().union(*_METHODS.values())
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
_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign)
_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Pair, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.Neg,
    nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Keyword,
)  # fmt: skip


class _Context(Context):
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
        if _clock.monotonic() > self.deadline:
            raise TemplateError("the template takes too long", hint="make it simpler")


class _Unknown(StrictUndefined):
    """A name that nothing stands behind; any use of it raises UnknownField."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None) -> None:
        made: Any = exc if exc not in (None, UndefinedError) else lambda _: UnknownField(str(name or "value"))
        super().__init__(hint, obj, name, exc=made)


def _range(*bounds: int) -> range:
    counted = range(*bounds)
    if len(counted) > MAX_ITEMS:
        raise TemplateError(f"range counts at most {MAX_ITEMS}")
    return counted


def _split(text: str, mark: str | None = None, maxsplit: int = -1) -> list[str]:
    """``str.split`` that never makes more parts than a list may have."""
    return items(text.split(mark, MAX_ITEMS if maxsplit < 0 else min(maxsplit, MAX_ITEMS)))


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, narrowed from what is forbidden to what is allowed."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    context_class = _Context

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return self._key(obj, attribute)
        if not attribute.startswith("_"):
            for kind, names in (*_PARTS.items(), *_METHODS.items()):
                if isinstance(obj, kind) and attribute in names and hasattr(obj, attribute):
                    return getattr(obj, attribute)
            if is_dataclass(obj) and any(attribute == known.name for known in fields_of(obj)):
                return getattr(obj, attribute)
        return _Unknown(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping):
            return self._key(obj, argument)
        if isinstance(obj, str | Sequence) and isinstance(argument, int):
            try:
                return obj[argument]
            except IndexError:
                return None
        return _Unknown(obj=obj, name=str(argument)[:80])

    def _key(self, obj: Mapping[Any, Any], key: Any) -> Any:
        try:
            return obj[key]
        except (KeyError, TypeError):
            if isinstance(obj, Record) and key in ENTITIES.get(obj.entity, ()):
                return None  # a canonical field that this record does not have
            return _Unknown(obj=obj, name=str(key)[:80])

    def call(self, context: _Context, obj: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        kwargs.pop("_loop_vars", None)  # what Jinja adds inside loops
        kwargs.pop("_block_vars", None)
        name = getattr(obj, "__name__", "")
        if obj is not _range:
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
    from datetime import datetime, timedelta

    if operator == "-" and isinstance(left, date) and isinstance(right, date):
        first, second = (side.date() if isinstance(side, datetime) else side for side in (left, right))
        return (first - second).days
    if isinstance(left, date) and isinstance(right, int) and operator in "+-":
        return left + timedelta(days=right if operator == "+" else -right)
    raise TemplateError(f"a date cannot be calculated with {operator}", hint="write due - today, or due + 3")


def _dotted(node: nodes.Node) -> tuple[str, ...] | None:
    """The path that names and constant keys spell, outermost first: ``invoice.customer['name']``."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        head = _dotted(node.node)
        return None if head is None else (*head, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        head = _dotted(node.node)
        return None if head is None else (*head, node.arg.value)
    return None


def _label(node: nodes.Node) -> str:
    """What people call an output expression: the field it prints, or its first field."""
    path = _dotted(node)
    if path:
        return ".".join(path)
    found = _Fields()
    found.visit(node)
    return found.order[0] if found.order else f"the value in line {node.lineno}"


class _Fields(NodeVisitor):
    """Collects the dotted names that are read and not bound by the template itself."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.bound: set[str] = {"range", "loop"}

    def _add(self, path: tuple[str, ...]) -> None:
        if path[0] not in self.bound:
            self.order.append(".".join(path))

    def visit_Name(self, node: nodes.Name) -> None:  # noqa: N802 - Jinja's dispatch
        if node.ctx == "load":
            self._add((node.name,))
        else:
            self.bound.add(node.name)

    def visit_Getattr(self, node: nodes.Getattr) -> None:  # noqa: N802
        if path := _dotted(node):
            self._add(path)
        else:
            self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> None:  # noqa: N802
        if path := _dotted(node):
            self._add(path)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: nodes.Call) -> None:  # noqa: N802
        # name.upper(): the method is no field
        self.visit(node.node.node if isinstance(node.node, nodes.Getattr) else node.node)
        for argument in node.iter_child_nodes(exclude=("node",)):
            self.visit(argument)

    def visit_For(self, node: nodes.For) -> None:  # noqa: N802
        self.visit(node.iter)
        self.visit(node.target)
        for child in (*([node.test] if node.test else []), *node.body, *node.else_):
            self.visit(child)

    def visit_Assign(self, node: nodes.Assign) -> None:  # noqa: N802
        self.visit(node.node)
        self.visit(node.target)


class _Narrow(NodeTransformer):
    """Refuses every construct that is not on the list, and puts our own functions where values are printed, compared, joined and walked."""

    def __init__(self, environment: _Environment) -> None:
        self.environment = environment
        self.loops = 0
        self.depth = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(node, (*_STATEMENTS, *_EXPRESSIONS)):
            raise TemplateError(f"line {node.lineno}: {type(node).__name__.lower()} is not available in templates")
        self.depth += 1
        if self.depth > 100:
            raise TemplateError("the template is nested too deeply")
        try:
            return super().visit(node, *args, **kwargs)
        finally:
            self.depth -= 1

    def _call(self, name: str, node: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
        return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802
        node.nodes = [
            child if isinstance(child, nodes.TemplateData) else self._printed(child, _label(child))  # before the child is changed
            for child in node.nodes
        ]
        return node

    def _printed(self, node: nodes.Expr, label: str) -> nodes.Expr:
        """``node`` behind the check for emptiness. A blank that the author wrote himself (``or ''``) is his word, and stays."""
        if isinstance(node, nodes.CondExpr):
            test = self.visit(node.test)
            second = self._printed(node.expr2, _label(node.expr2)) if node.expr2 is not None else nodes.Const("", lineno=node.lineno)
            return nodes.CondExpr(test, self._printed(node.expr1, _label(node.expr1)), second, lineno=node.lineno)
        blank = (
            isinstance(node, nodes.Const)
            or (isinstance(node, nodes.Or) and isinstance(node.right, nodes.Const))
            or (isinstance(node, nodes.Filter) and node.name in {"default", "d"} and all(isinstance(arg, nodes.Const) for arg in node.args))
        )
        return self._call("_plain" if blank else "_show", self.visit(node), nodes.Const(label, lineno=node.lineno))

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        if node.recursive:
            raise TemplateError(f"line {node.lineno}: recursive loops are not available")
        self.loops += 1
        if self.loops > 2:
            raise TemplateError(f"line {node.lineno}: loops may be nested two deep, not three")
        label = nodes.Const(_label(node.iter), lineno=node.lineno)
        self.generic_visit(node)
        node.iter = self._call("_turns", node.iter, label)
        self.loops -= 1
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        operands: list[nodes.Expr] = []
        for operand in node.ops:
            operands += [nodes.Const(operand.op, lineno=node.lineno), operand.expr]
        return self._call("_compare", node.expr, *operands)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        parts = [self._printed(child, _label(child)) for child in node.nodes]
        return self._call("_concat", nodes.List(parts, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return self._call("_flat", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return node if node.ctx == "store" else self._call("_flat", node)

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        if node.attr.startswith("_"):
            raise TemplateError(f"line {node.lineno}: names that start with _ are not available")
        self.generic_visit(node)
        return node

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        if node.name == "self":
            raise TemplateError(f"line {node.lineno}: self is not available in templates")
        if node.name.startswith("_"):
            raise TemplateError(f"line {node.lineno}: names that start with _ are not available")
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        name = node.node.name if isinstance(node.node, nodes.Name) else node.node.attr if isinstance(node.node, nodes.Getattr) else ""
        if not (isinstance(node.node, nodes.Name) and name == "range") and not (isinstance(node.node, nodes.Getattr) and name in _CALLABLE):
            raise TemplateError(f"line {node.lineno}: {name or 'this'}(…) cannot be called here")
        return self._plain_arguments(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        if node.name not in self.environment.filters or node.name.startswith("_"):
            raise TemplateError(f"line {node.lineno}: there is no filter {node.name!r}{_near(node.name, self.environment.filters)}")
        return self._plain_arguments(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        if node.name not in self.environment.tests:
            raise TemplateError(f"line {node.lineno}: there is no test {node.name!r}{_near(node.name, self.environment.tests)}")
        return self._plain_arguments(node)

    def _plain_arguments(self, node: Any) -> nodes.Node:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise TemplateError(f"line {node.lineno}: * and ** arguments are not available")
        self.generic_visit(node)
        return node  # type: ignore[no-any-return]


def _near(name: str, names: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, [known for known in names if not known.startswith("_")], 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _reason(error: Exception, fields: Sequence[str], context: Mapping[str, Any]) -> TemplateError:
    """Any failure of a rendering as ours: a calculation with an empty field names the field."""
    if isinstance(error, TemplateError):
        return error
    if isinstance(error, TypeError | AttributeError):
        for field in fields:
            if _value(field, context) is None:
                return EmptyValue(field)
    if isinstance(error, ZeroDivisionError):
        return TemplateError("division by zero")
    text = str(error) or type(error).__name__
    return TemplateError(text.replace("'datetime.date'", "a date").replace("'NoneType'", "nothing"))


def _value(field: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for part in field.split("."):
        if not isinstance(value, Mapping):
            return missing
        value = value.get(part)
        if value is None:
            return None
    return value


class _Compiled:
    """What templates and expressions share: the compiled root function, and the names it reads."""

    def __init__(self, sandbox: Sandbox, source: str, tree: nodes.Template, environment: _Environment) -> None:
        self.source = source
        found = _Fields()
        found.visit(tree)
        #: the names used in order of appearance; dotted as written
        self.order: tuple[str, ...] = tuple(dict.fromkeys(name for name in found.order if name.split(".")[0] not in found.bound))
        self.fields: frozenset[str] = frozenset(self.order)
        tree = _Narrow(environment).visit(tree)
        tree.set_environment(environment)  # the inserted nodes too
        code = environment.compile(tree)
        compiled = environment.template_class.from_code(environment, code, {}, None)
        self._root = compiled.root_render_func
        self._environment = environment
        self._globals: dict[str, Any] = {"range": _range} if "range" in source else {}
        self._seconds = sandbox.seconds
        self._timed = bool(self._globals) or "|" in source or "%}" in source or "(" in source

    def _context(self, context: Mapping[str, Any]) -> _Context:
        made = _Context(self._environment, {**self._globals, **context}, None, {})
        if self._timed:
            made.deadline = _clock.monotonic() + self._seconds
        return made


class Template(_Compiled):
    """A compiled text. ``fields`` are the dotted names it reads (``first_name``, ``invoice.number``)."""

    def render(self, context: Mapping[str, Any]) -> str:
        """The text for ``context``; raises UnknownField, EmptyValue, or TemplateError at a bound or a calculation that fails."""
        try:
            parts = []
            length = 0
            for part in self._root(self._context(context)):
                length += len(part)
                if length > MAX_TEXT:
                    raise TemplateError(f"the text is longer than {MAX_TEXT} characters", hint="shorten the template")
                parts.append(part)
            return "".join(parts)
        except Exception as error:
            raise _reason(error, self.order, context) from None


class Expression(_Compiled):
    """A compiled condition or value, such as ``city == 'Porto' and age >= 18``."""

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """Its value; raises UnknownField, EmptyValue (a comparison or calculation with an empty field), TemplateError."""
        try:
            made = self._context(context)
            for _ in self._root(made):
                pass
            value = made.vars["result"]
            if isinstance(value, Undefined):
                str(value)  # raises UnknownField
            return value
        except Exception as error:
            raise _reason(error, self.order, context) from None


class Sandbox:
    """Compiles what people write. Safe from many threads once made; ``seconds`` bounds one rendering.

    Bounds (engine.md, Security): text ≤ 512 KiB, lists ≤ 1,000, loops two deep and 10,000 turns in all, numbers < 10^30, code ≤ 64 KiB;
    with them a rendering stays far below 512 MiB. Only listed filters, tests, methods and statements exist; no name with a leading ``_``,
    no file, no macro. ``allow_empty`` prints an empty value as nothing, where a message is not the point (a request's fields).
    """

    def __init__(self, locale: str = "en_US", timezone: str = "UTC", seconds: float = 5.0, allow_empty: bool = False) -> None:
        self.locales = Locales(locale, timezone)
        self.seconds = seconds
        self.allow_empty = allow_empty
        self._plain = self._environment(html=False)
        self._html = self._environment(html=True)

    def template(self, source: str, html: bool = False) -> Template:
        """Compile a text in any of the spellings; raises TemplateError. ``html`` escapes the values."""
        try:
            if len(source) > MAX_TEXT:
                raise TemplateError(f"the template is longer than {MAX_TEXT} characters")
            rewritten = rewrite(source)
            code = [piece for is_code, piece in pieces(rewritten) if is_code]
            if len(code) > MAX_PIECES or sum(map(len, code)) > MAX_CODE:
                raise TemplateError(f"the template has more than {MAX_PIECES} fields and tags, or more than {MAX_CODE} characters of them")
            environment = self._html if html else self._plain
            return Template(self, rewritten, environment.parse(rewritten), environment)
        except Exception as error:
            _refuse(error)

    def expression(self, source: str) -> Expression:
        """Compile a condition or value; raises TemplateError."""
        try:
            if len(source) > MAX_CODE:
                raise TemplateError(f"the expression is longer than {MAX_CODE} characters")
            parser = Parser(self._plain, source, state="variable")
            parsed = parser.parse_expression()
            if not parser.stream.eos:
                raise TemplateError(f"{parser.stream.current.value!r} is not expected there")
            body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store", lineno=1), parsed, lineno=1)]
            return Expression(self, source, nodes.Template(body, lineno=1), self._plain)
        except Exception as error:
            _refuse(error)

    def filters(self) -> list[str]:
        """The names of the filters, for help texts."""
        return sorted(name for name in self._plain.filters if not name.startswith("_"))

    def _environment(self, *, html: bool) -> _Environment:
        made = _Environment(undefined=_Unknown, autoescape=html, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True)
        made.globals.clear()
        made.tests = {name: made.tests[name] for name in _TESTS}
        offered = filters(self.locales) | {name: made.filters[name] for name in ("e", "escape")}
        made.filters = {name: _counted(function, name) for name, function in offered.items()}
        made.filters["default"] = made.filters["d"] = _default
        made.filters |= {"_show": self._shower(), "_plain": self._printer(), "_turns": _turns, "_concat": _concat, "_flat": _flat}
        made.filters["_compare"] = self._comparer()
        return made

    def _shower(self) -> Any:
        locales, allow_empty = self.locales, self.allow_empty

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

    def _printer(self) -> Any:
        locales = self.locales

        def plain(value: Any, label: str) -> str:
            if isinstance(value, Undefined):
                raise UnknownField(label)
            return shown(value, locales)

        return plain

    def _comparer(self) -> Any:
        locales = self.locales

        def compare(context: _Context, left: Any, *rest: Any) -> bool:
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


def _refuse(error: Exception) -> NoReturn:
    """Whatever compiling hostile text can raise, as TemplateError."""
    if isinstance(error, TemplateError):
        raise error
    if isinstance(error, TemplateSyntaxError):
        raise TemplateError(f"line {error.lineno}: {error.message}") from None
    if isinstance(error, RecursionError | MemoryError):
        raise TemplateError("the template is nested too deeply") from None
    raise TemplateError(str(error) or type(error).__name__) from None


@pass_context
def _turns(context: _Context, values: Any, label: str) -> Iterator[Any]:
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
def _concat(context: _Context, parts: list[str]) -> str:
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

    def counted(context: _Context, value: Any, *args: Any, **kwargs: Any) -> Any:
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

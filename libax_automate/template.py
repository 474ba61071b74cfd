"""Templates and expressions that people write: sandboxed, bounded, strict about names, and printed in the profile's locale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from jinja2 import TemplateSyntaxError, Undefined, nodes
from jinja2.parser import Parser
from jinja2.utils import missing

from libax_automate._filters import MAX_TEXT
from libax_automate._narrow import Fields, Narrow
from libax_automate._sandbox import Environment, Rendering, clock, counted_range, environment
from libax_automate.errors import EmptyValue, TemplateError, UnknownField
from libax_automate.locales import Locales
from libax_automate.placeholder import pieces, rewrite

#: characters of Jinja code in one template, in one piece ({{ … }}, a condition), and pieces in a template
MAX_CODE = 64 * 1024
MAX_PIECE = 8 * 1024
MAX_PIECES = 2_000
#: whole numbers that are printed without asking for their bound
_SMALL = 10**15
#: names that the sandbox itself stands behind
_OWN = frozenset({"range", "loop"})


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


#: a text of the author's and the value after it: its top-level name, the keys inside of it, what people call it; no name: no value follows
_Piece: TypeAlias = tuple[str, str, tuple[str, ...], str]


def _pieces(tree: nodes.Template) -> tuple[_Piece, ...] | None:
    """A template of nothing but texts and fields, as pieces to be put together; None for all others."""
    found: list[_Piece] = []
    said = ""
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                said += node.data
                continue
            if not (isinstance(node, nodes.Filter) and node.name == "_show" and len(node.args) == 1):
                return None
            value, label = node.node, node.args[0]
            path: list[str] = []
            while isinstance(value, nodes.Getattr):
                path.append(value.attr)
                value = value.node
            if not isinstance(value, nodes.Name) or value.name in _OWN or not isinstance(label, nodes.Const):
                return None
            found.append((said, value.name, tuple(reversed(path)), label.value))
            said = ""
    return (*found, (said, "", (), ""))


def _put_together(pieces: tuple[_Piece, ...], environment: Environment) -> Callable[[Mapping[str, Any]], str]:
    """What says the same as the compiled template, without a rendering of Jinja's: most texts are such, and it takes a fifth of the time."""
    show, inside = environment.filters["_show"], environment.getattr

    def say(context: Mapping[str, Any]) -> str:
        made = ""
        for text, name, path, label in pieces:
            made += text
            if len(made) > MAX_TEXT:
                raise TemplateError(f"the text is longer than {MAX_TEXT} characters", hint="shorten the template")
            if not name:
                break
            value = context.get(name, missing)
            if value is missing:
                raise UnknownField(label)
            for part in path:
                value = inside(value, part)
            kind = type(value)
            if kind is int and -_SMALL < value < _SMALL:
                value = str(value)
            elif kind is not str or not value or value.isspace():
                value = str(show(value, label))
            made += value
        return made

    return say


class _Compiled:
    """What templates and expressions share: the compiled root function, and the names it reads."""

    def __init__(self, sandbox: Sandbox, source: str, tree: nodes.Template, environment: Environment) -> None:
        self.source = source
        found = Fields()
        found.visit(tree)
        #: the names used in order of appearance; dotted as written
        self.order: tuple[str, ...] = tuple(dict.fromkeys(name for name in found.order if name.split(".")[0] not in found.bound))
        self.fields: frozenset[str] = frozenset(self.order)
        tree = Narrow(environment).visit(tree)
        pieces = None if environment.autoescape else _pieces(tree)
        self._plainly = None if pieces is None else _put_together(pieces, environment)
        tree.set_environment(environment)  # the inserted nodes too
        code = environment.compile(tree)
        compiled = environment.template_class.from_code(environment, code, {}, None)
        self._root = compiled.root_render_func
        self._environment = environment
        self._globals: dict[str, Any] = {"range": counted_range} if "range" in source else {}
        self._seconds = sandbox.seconds
        self._timed = bool(self._globals) or "|" in source or "%}" in source or "(" in source

    def _context(self, context: Mapping[str, Any]) -> Rendering:
        made = Rendering(self._environment, {**self._globals, **context}, None, {})
        if self._timed:
            made.deadline = clock.monotonic() + self._seconds
        return made


class Template(_Compiled):
    """A compiled text. ``fields`` are the dotted names it reads (``first_name``, ``invoice.number``)."""

    def render(self, context: Mapping[str, Any]) -> str:
        """The text for ``context``; raises UnknownField, EmptyValue, or TemplateError at a bound or a calculation that fails."""
        try:
            if self._plainly is not None:
                return self._plainly(context)
            parts: list[str] = []
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
        self._plain = environment(self.locales, html=False, allow_empty=allow_empty)
        self._html = environment(self.locales, html=True, allow_empty=allow_empty)

    def template(self, source: str, html: bool = False) -> Template:
        """Compile a text in any of the spellings; raises TemplateError. ``html`` escapes the values."""
        try:
            if len(source) > MAX_TEXT:
                raise TemplateError(f"the template is longer than {MAX_TEXT} characters")
            rewritten = rewrite(source)
            code = [piece for is_code, piece in pieces(rewritten) if is_code]
            if len(code) > MAX_PIECES or sum(map(len, code)) > MAX_CODE:
                raise TemplateError(f"the template has more than {MAX_PIECES} fields and tags, or more than {MAX_CODE} characters of them")
            if max(map(len, code), default=0) > MAX_PIECE:
                raise TemplateError(f"one {{{{ … }}}} or {{% … %}} is longer than {MAX_PIECE} characters")
            made = self._html if html else self._plain
            return Template(self, rewritten, made.parse(rewritten), made)
        except Exception as error:
            _refuse(error)

    def expression(self, source: str) -> Expression:
        """Compile a condition or value; raises TemplateError."""
        try:
            if len(source) > MAX_PIECE:
                raise TemplateError(f"the expression is longer than {MAX_PIECE} characters")
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


def _refuse(error: Exception) -> NoReturn:
    """Whatever compiling hostile text can raise, as TemplateError."""
    if isinstance(error, TemplateError):
        raise error
    if isinstance(error, TemplateSyntaxError):
        raise TemplateError(f"line {error.lineno}: {error.message}") from None
    if isinstance(error, RecursionError | MemoryError):
        raise TemplateError("the template is nested too deeply") from None
    raise TemplateError(str(error) or type(error).__name__) from None

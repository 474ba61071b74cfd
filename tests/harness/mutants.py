"""Small changes to a module, one at a time: what a slip of the hand could make of it, in Python and in the SQL that it holds."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
_SWAPPED = {"max": "min", "min": "max", "any": "all", "all": "any"}

_SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|WHERE|JOIN|ORDER BY|SET|AND)\b")
#: in SQL: what stands there, what a slip makes of it
_SQL_SLIPS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"([+-]) 1\b"), lambda found: f"{found[1]} 2"),
    (re.compile(r"<=|>=|(?<![<>])=|<>|<|>"), lambda found: {"<=": "<", ">=": ">", "=": "<>", "<>": "=", "<": "<=", ">": ">="}[found[0]]),
    (re.compile(r"\bAND\b"), lambda _: "OR"),
    (re.compile(r"\bOR\b(?! IGNORE)"), lambda _: "AND"),
    (re.compile(r"\bIS NOT\b(?! NULL)"), lambda _: "IS"),
    (re.compile(r"\bIS NOT NULL\b"), lambda _: "IS NULL"),
    (re.compile(r"\bIS NULL\b"), lambda _: "IS NOT NULL"),
    (re.compile(r"\bNOT IN\b"), lambda _: "IN"),
    (re.compile(r"\bNOT EXISTS\b"), lambda _: "EXISTS"),
    (re.compile(r"\bmax\("), lambda _: "min("),
    (re.compile(r"\bmin\("), lambda _: "max("),
    (re.compile(r" DESC\b"), lambda _: ""),
    (re.compile(r"'[a-z_]{3,}'"), lambda _: "'another'"),
    (re.compile(r"= (0|NULL)\b"), lambda found: "= 1" if found[1] == "0" else "= 7"),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where it is, what it is, and the module as it then reads."""

    function: str
    line: int
    what: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's functions and of its SQL. Docstrings, annotations, log lines and the wording of errors are left alone."""
    tree = ast.parse(source)
    places = list(_places(tree, "", 0))
    for number, (function, node) in enumerate(places):
        for count in range(len(_changes(node))):
            changed = copy.deepcopy(tree)
            again = list(_places(changed, "", 0))[number][1]
            what, apply = _changes(again)[count]
            apply()
            yield Mutant(function, node.lineno, what, ast.fix_missing_locations(changed))


def _places(node: ast.AST, function: str, depth: int) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    for name, field in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in field if isinstance(field, list) else [field]:
            if not isinstance(child, ast.AST) or _quiet(child):
                continue
            inside = function
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inside = f"{function}.{child.name}".lstrip(".")
            if isinstance(child, (ast.expr, ast.stmt)):
                yield inside, child
            yield from _places(child, inside, depth + 1)


def _quiet(node: ast.AST) -> bool:
    """Words for people, whose every change is not a fault."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Raise, ast.Assert)):
        return True
    return isinstance(node, ast.Call) and ".log." in ast.unparse(node.func)


def _changes(node: ast.AST) -> list[tuple[str, Callable[[], None]]]:
    found: list[tuple[str, Callable[[], None]]] = []
    if isinstance(node, ast.Compare):
        for index, op in enumerate(node.ops):
            if (other := _COMPARE.get(type(op))) is not None:
                found.append((f"{_short(node)}: {other.__name__}", _setter(node.ops, index, other())))
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY and not isinstance(node.left, (ast.Constant, ast.JoinedStr)):
        new = _BINARY[type(node.op)]
        found.append((f"{_short(node)}: {new.__name__}", lambda: setattr(node, "op", new())))
    elif isinstance(node, ast.BoolOp):
        new_op = ast.Or if isinstance(node.op, ast.And) else ast.And
        found.append((f"{_short(node)}: {new_op.__name__}", lambda: setattr(node, "op", new_op())))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        found.append((f"{_short(node)}: without not", lambda: setattr(node, "operand", _negated(node.operand))))
    elif isinstance(node, ast.IfExp):
        found.append((f"{_short(node)}: always the first", lambda: setattr(node, "test", ast.Constant(value=True))))
        found.append((f"{_short(node)}: always the second", lambda: setattr(node, "test", ast.Constant(value=False))))
    elif isinstance(node, (ast.If, ast.While)):
        found.append((f"if {_short(node.test)}: never", lambda: setattr(node, "test", ast.Constant(value=False))))
        if isinstance(node, ast.If):
            found.append((f"if {_short(node.test)}: always", lambda: setattr(node, "test", ast.Constant(value=True))))
    elif isinstance(node, ast.Constant):
        found += _constants(node)
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        found.append((f"return {_short(node.value)}: None", lambda: setattr(node, "value", ast.Constant(value=None))))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _quiet(node.value):
        found.append((f"{_short(node)}: left out", lambda: setattr(node, "value", ast.Constant(value=None))))
    elif isinstance(node, ast.AugAssign) and type(node.op) in _BINARY:
        other_op = _BINARY[type(node.op)]
        found.append((f"{_short(node)}: {other_op.__name__}", lambda: setattr(node, "op", other_op())))
    elif isinstance(node, ast.Continue):
        pass
    elif isinstance(node, ast.Name) and node.id in _SWAPPED and isinstance(node.ctx, ast.Load):
        new_name = _SWAPPED[node.id]
        found.append((f"{node.id}: {new_name}", lambda: setattr(node, "id", new_name)))
    return found


def _constants(node: ast.Constant) -> list[tuple[str, Callable[[], None]]]:
    value = node.value
    if isinstance(value, bool):
        return [(f"{value}: {not value}", lambda: setattr(node, "value", not value))]
    if isinstance(value, (int, float)):
        return [(f"{value}: {value + 1}", lambda: setattr(node, "value", value + 1))]
    if not isinstance(value, str) or not _SQL.search(value):
        return []
    found: list[tuple[str, Callable[[], None]]] = []
    for pattern, slip in _SQL_SLIPS:
        for match in pattern.finditer(value):
            text = value[: match.start()] + slip(match) + value[match.end() :]
            around = " ".join(value[max(0, match.start() - 24) : match.end() + 16].split())
            found.append((f"SQL …{around}…: {match[0].strip()} → {slip(match).strip() or 'nothing'}", _assigner(node, text)))
    return found


def _setter(items: list[ast.cmpop], index: int, value: ast.cmpop) -> Callable[[], None]:
    return lambda: items.__setitem__(index, value)


def _assigner(node: ast.Constant, text: str) -> Callable[[], None]:
    return lambda: setattr(node, "value", text)


def _negated(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(op=ast.Not(), operand=node)


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:70]

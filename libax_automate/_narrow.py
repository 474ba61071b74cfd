"""What a template may say: its syntax tree, checked against a list of constructs, and our own functions put into it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer, NodeVisitor

from libax_automate._sandbox import CALLABLE, Environment
from libax_automate.errors import TemplateError

_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign)
_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Pair, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.Neg,
    nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Keyword,
)  # fmt: skip


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
    found = Fields()
    found.visit(node)
    return found.order[0] if found.order else f"the value in line {node.lineno}"


class Fields(NodeVisitor):
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


class Narrow(NodeTransformer):
    """Refuses every construct that is not on the list, and puts our own functions where values are printed, compared, joined and walked."""

    def __init__(self, environment: Environment) -> None:
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
        if not (isinstance(node.node, nodes.Name) and name == "range") and not (isinstance(node.node, nodes.Getattr) and name in CALLABLE):
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

"""Where a key or value stands in a TOML file: line and column, found with tree-sitter and only when something has to be placed."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

#: keys and list indexes that lead to a value
Loc = tuple[str | int, ...]
#: line and column, from 1, in characters
Place = tuple[int, int]

#: row and byte column, from 0, as tree-sitter counts them
Point = tuple[int, int]

#: nesting beyond this is refused elsewhere, and not followed here
_DEEPEST = 64
_HEADER = re.compile(r"^[ \t]*\[[ \t]*(apps|models)[ \t]*\.[ \t]*([\"']?)([A-Za-z0-9_-]+)\2[ \t]*\]", re.MULTILINE)
_LONG_STRING = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'', re.DOTALL)


class Positions:
    """The places of one file's keys and values."""

    def __init__(self, text: str) -> None:
        import tree_sitter
        import tree_sitter_toml

        source = text.encode("utf-8", "replace")
        self._lines = source.split(b"\n")
        self._keys: dict[Loc, Point] = {(): (0, 0)}
        self._values: dict[Loc, Point] = {}
        #: arrays of tables -> index of the latest element
        self._latest: dict[Loc, int] = {}
        tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language())).parse(source)
        for node in tree.root_node.named_children:
            if node.type == "pair":
                self._pair(node, (), 0)
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def key(self, loc: Loc) -> Place:
        """Where the key that ``loc`` ends in stands; for what is not there, its nearest parent."""
        while loc not in self._keys:
            loc = loc[:-1]
        return self._place(self._keys[loc])

    def value(self, loc: Loc) -> Place:
        """Where the value at ``loc`` stands; for a table that is its header."""
        return self._place(self._values[loc]) if loc in self._values else self.key(loc)

    def _table(self, node: Node) -> None:
        header = node.named_children[0] if node.named_children else None
        if header is None:
            return
        parts = _parts(header)
        loc: Loc = ()
        place = node.start_point
        for number, part in enumerate(parts, 1):
            loc = (*loc, part)
            self._keys.setdefault(loc, place)
            if node.type == "table_array_element" and number == len(parts):
                self._latest[loc] = self._latest.get(loc, -1) + 1
            if loc in self._latest:
                loc = (*loc, self._latest[loc])
                self._keys.setdefault(loc, place)
        if node.type == "table":
            # [a.b.c] before [a.b]: the table's own header is the better place
            self._keys[loc] = place
        for child in node.named_children[1:]:
            if child.type == "pair":
                self._pair(child, loc, 0)

    def _pair(self, node: Node, base: Loc, depth: int) -> None:
        # a comment behind the value belongs to the pair
        children = [child for child in node.named_children if child.type != "comment"]
        if len(children) < 2:
            return
        loc = base
        for part in _parts(children[0]):
            loc = (*loc, part)
            self._keys.setdefault(loc, children[0].start_point)
        self._value(children[-1], loc, depth)

    def _value(self, node: Node, loc: Loc, depth: int) -> None:
        self._values.setdefault(loc, node.start_point)
        if depth > _DEEPEST:
            return
        if node.type == "inline_table":
            for child in node.named_children:
                if child.type == "pair":
                    self._pair(child, loc, depth + 1)
        elif node.type == "array":
            for index, child in enumerate(child for child in node.named_children if child.type != "comment"):
                self._keys.setdefault((*loc, index), child.start_point)
                self._value(child, (*loc, index), depth + 1)

    def _place(self, point: Point) -> Place:
        row, column = point
        # tree-sitter counts bytes, editors count characters
        return row + 1, len(self._lines[row][:column].decode("utf-8", "replace")) + 1


def _parts(node: Node) -> list[str]:
    """The parts of a (dotted) key; dotted keys nest to the left, as deep as they are long, hence no recursion."""
    parts: list[str] = []
    while node.type == "dotted_key" and node.named_children:
        parts.append(_key(node.named_children[-1]))
        node = node.named_children[0]
    parts.append(_key(node))
    return parts[::-1]


def _key(node: Node) -> str:
    text = (node.text or b"").decode("utf-8", "replace")
    if node.type != "quoted_key":
        return text
    try:
        return str(tomllib.loads(f"key = {text}")["key"])
    except ValueError:
        return text


def headers(text: str) -> dict[Loc, Place]:
    """The places of ``[apps.X]`` and ``[models.X]`` headers, by a plain scan: enough for errors found after loading."""
    blank = _LONG_STRING.sub(lambda match: "\n" * match[0].count("\n"), text)
    found: dict[Loc, Place] = {}
    line, seen = 1, 0
    for match in _HEADER.finditer(blank):
        start = blank.index("[", match.start())
        line, seen = line + blank.count("\n", seen, start), start
        found.setdefault((match[1], match[3]), (line, start - blank.rfind("\n", 0, start)))
    return found

"""Everything that is printed: the answer on stdout, talk on stderr; the only file that knows rich."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: what moves a terminal's cursor or rings its bell does not come out of a customer's name
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
#: the same, where the text itself has lines and tabs
_STEERING = re.compile(_CONTROL.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f"))
#: below this a table that does not fit is stacked, field by field
_NARROW = 72
#: a cell of so many characters is not broken
_SHORT = 12

_STYLES = {
    "running": "green", "sent": "green", "done": "green", "send": "green", "ok": "green",
    "throttled": "yellow", "paused": "yellow", "held": "yellow", "waiting": "yellow", "warn": "yellow", "due": "yellow",
    "halted": "red", "failed": "red", "in_doubt": "red", "crashed": "red", "bad": "red", "fenced": "red", "rejected": "red",
    "broken": "red", "problem": "red", "warning": "yellow",
    "excluded": "dim", "skipped": "dim", "cancelled": "dim", "expired": "dim", "off": "dim",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the item's key, its heading, how a value is shown."""

    key: str
    title: str = ""
    right: bool = False
    show: Callable[[Any], str] | None = None

    @property
    def heading(self) -> str:
        """What stands above the column."""
        return self.title or self.key.replace("_", " ")

    def text(self, item: Mapping[str, Any]) -> str:
        """The value for people, on one line and without control characters."""
        value = item.get(self.key)
        if self.show is not None:
            value = self.show(value)
        return clean(value)


def clean(value: object) -> str:
    """One line without control characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set, frozenset)):
        value = ", ".join(map(str, value))
    return _CONTROL.sub(" ", str(value)).strip()


class Output:
    """Where a command's words go. ``json`` silences what is for people on stdout."""

    def __init__(self) -> None:
        self.json = False

    @property
    def unicode(self) -> bool:
        """Whether stdout takes every letter."""
        return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    @property
    def drawn(self) -> bool:
        """Whether a person looks at the answer on a terminal."""
        return terminal(sys.stdout)

    # -- the answer ----------------------------------------------------------------------------------------------------

    def object(self, answer: Mapping[str, Any]) -> None:
        """The one JSON object of a command."""
        json.dump(answer, sys.stdout, ensure_ascii=not self.unicode, indent=2 if self.drawn else None, default=str)
        sys.stdout.write("\n")

    def stream(self, key: str, items: Iterable[str], more: Mapping[str, Any]) -> None:
        """The one JSON object of a command whose list under ``key`` is long: its items come encoded, one by one; ``more`` follows them."""
        write, drawn, mark = sys.stdout.write, self.drawn, ""
        write("{" + json.dumps(key) + ": [")
        for item in items:
            write(mark + (json.dumps(json.loads(item), ensure_ascii=not self.unicode, indent=2) if drawn else item))
            mark = ", "
        rest = json.dumps(more, ensure_ascii=not self.unicode, default=str)
        write("]" + (", " if more else "") + rest[1:] + "\n")

    def line(self, text: str = "") -> None:
        """A line of the answer; nothing with ``--json``."""
        if not self.json:
            sys.stdout.write(f"{_STEERING.sub(' ', text)}\n")

    def raw(self, text: str) -> None:
        """A document as the answer, as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def items(self, items: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, empty: str = "", **extra: Any) -> None:
        """A list as the whole answer: ``{"items": […], …}``, or a table."""
        if self.json:
            self.object({"items": [*items], **extra})
        elif items:
            self.table(items, columns)
        elif empty:
            self.line(empty)

    def fact(self, answer: Mapping[str, Any], *, skip: Sequence[str] = (), show: Mapping[str, Callable[[Any], str]] | None = None) -> None:
        """One thing as the whole answer: its JSON object, or ``key: value`` lines."""
        if self.json:
            self.object(answer)
            return
        shown = [(key, (show or {}).get(key, clean)(value)) for key, value in answer.items() if key not in skip]
        pairs = [(key.replace("_", " "), text) for key, text in shown if text]
        width = max((len(key) for key, _ in pairs), default=0)
        for key, text in pairs:
            self.line(_hang(f"{key + ':':<{width + 2}}", text, room(sys.stdout)))

    def table(self, items: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """Rows for people: a table on a terminal, aligned columns in a pipe, ``key: value`` where it is narrow."""
        rows = [[column.text(item) for column in columns] for item in items]
        self.grid(columns, lambda: rows, [max((len(row[index]) for row in rows), default=0) for index in range(len(columns))])

    def grid(self, columns: Sequence[Column], every: Callable[[], Iterable[Sequence[str]]], widths: Sequence[int]) -> None:
        """A table of texts; ``every`` answers the rows, ``widths`` are the widest of each column. Only a terminal's are held all at once."""
        # a column in which nothing stands only takes room
        kept = [index for index in range(len(columns)) if widths[index]]
        columns, widths = [columns[index] for index in kept], [max(widths[index], len(columns[index].heading)) for index in kept]
        rows = ([row[index] for index in kept] for row in every())
        available = room(sys.stdout)
        if available is not None and sum(widths) + 2 * len(widths) > available and available < _NARROW:
            self._stacked(columns, rows, available)
        elif terminal(sys.stdout):
            self._rich(columns, list(rows))
        else:
            headings = [column.heading.upper() for column in columns]
            for row in itertools.chain((headings,), rows):
                cells = (
                    cell.rjust(width) if column.right else cell.ljust(width)
                    for cell, width, column in zip(row, widths, columns, strict=True)
                )
                self.line("  ".join(cells).rstrip())

    def _stacked(self, columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int) -> None:
        for number, row in enumerate(rows):
            if number:
                self.line()
            for column, cell in zip(columns, row, strict=True):
                if cell:
                    self.line(_hang(f"{column.heading}: ", cell, width))

    def _rich(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0), show_edge=False)
        for index, column in enumerate(columns):
            # where there is little room, long texts give way and short words stay whole
            short = max(len(row[index]) for row in rows) <= _SHORT
            table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold", no_wrap=short)
        for row in rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        Console(file=sys.stdout, highlight=False, emoji=False, markup=False).print(table)

    # -- talk ----------------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """A line of talk on stderr; not under ``--json``, whose reader has the answer."""
        if not self.json:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A line on stderr that is worth reading whatever the format of the answer; nothing in it is invisible or steers a terminal."""
        if not text.isprintable():
            text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
        sys.stderr.write(f"{text}\n")

    def detail(self, text: str, verbose: int) -> None:
        """A line on stderr for those who asked for more."""
        if verbose:
            self.warn(text)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """A bar with the time that is left, on stderr, once there is something to count; None where no person watches."""
        if self.json or not terminal(sys.stderr):
            yield None
            return
        bar: Any = None
        task: Any = None

        def step(done: int, total: int) -> None:
            nonlocal bar, task
            if bar is None:
                if total == 0:
                    return
                bar = _bar()
                bar.start()
                task = bar.add_task(what, total=total)
            bar.update(task, completed=done, total=total)

        try:
            yield step
        finally:
            if bar is not None:
                bar.stop()

    # -- questions -----------------------------------------------------------------------------------------------------

    def can_ask(self) -> bool:
        """Whether a person is there to answer."""
        return not self.json and terminal(sys.stdin) and terminal(sys.stderr)

    def ask(self, question: str, choices: Sequence[str] = (), default: str = "") -> str:
        """A question on stderr; with ``choices`` a unique beginning of one of them suffices. Raises KeyboardInterrupt at end of input."""
        shown = f" [{'/'.join(choices)}]" if choices else ""
        shown += f" ({default})" if default else ""
        while True:
            sys.stderr.write(f"{question}{shown}: ")
            sys.stderr.flush()
            line = sys.stdin.readline()
            if not line:
                raise KeyboardInterrupt
            answer = line.strip() or default
            if not choices:
                return answer
            # "sms" is not ambiguous because there is "sms2"
            found = [choice for choice in choices if choice == answer]
            found = found or [choice for choice in choices if answer and choice.startswith(answer.lower())]
            if len(found) == 1:
                return found[0]

    def ask_text(self, question: str) -> str:
        """Several lines, ended by one with a dot alone. Raises KeyboardInterrupt at end of input."""
        sys.stderr.write(f"{question}; a line with a dot alone ends it:\n")
        sys.stderr.flush()
        lines: list[str] = []
        while True:
            line = sys.stdin.readline()
            if not line:
                raise KeyboardInterrupt
            if line.rstrip("\r\n") == ".":
                return "\n".join(lines)
            lines.append(line.rstrip("\r\n"))

    def confirm(self, question: str) -> bool:
        """Yes or no; no by default."""
        return self.ask(question, ("yes", "no"), "no") == "yes"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)


def terminal(stream: Any) -> bool:
    """Whether a person looks at ``stream``."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def room(stream: Any) -> int | None:
    """How many columns there are; None where nothing limits them."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return shutil.get_terminal_size().columns if terminal(stream) else None


def _hang(head: str, text: str, width: int | None) -> str:
    import textwrap

    if width is None or len(head) + len(text) <= width:
        return f"{head}{text}".rstrip()
    indent = " " * min(len(head), max(width // 3, 2))
    return textwrap.fill(text, width=max(width, 20), initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)

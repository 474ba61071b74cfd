"""Writes ``docs/connectors.md``: what each connector of this repository can do, read from its code. ``just docs`` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from libax_automate.cli.connectors import FEATURES, features
from libax_automate.plugins.catalogue import Catalogue

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "connectors.md"
#: comes with the program itself
CORE = "libax_automate"

_HEAD = """\
# Connectors

What each connector can do. This page is written from the code by `just docs`; `automate connectors list` shows the same for what is
installed, and `automate connectors show NAME` the options of one, how to get its credentials, and what could not be verified.

- **batch**: so many messages leave with one call. **key**: for so long the provider refuses to do the same message twice.
- **lookup**: the provider can be asked whether it has a message whose reply was lost.
- A connector that is not part of the program is installed with `pip install libax-connector-NAME`.
"""


def shipped() -> dict[str, type[Any]]:
    """The connectors of this repository by name; raises LookupError naming one whose package is not installed."""
    folders = {path.parents[2].name.removeprefix("libax-connector-") for path in HERE.glob("libax-connector-*/src/*/__init__.py")}
    found = {
        entry.name: entry.cls
        for entry in Catalogue().entries()
        if entry.kind == "connector" and entry.cls is not None and (entry.distribution == CORE or entry.name in folders)
    }
    if missing := sorted(folders - found.keys()):
        raise LookupError(f"not installed, or broken: {', '.join(missing)}; run: just connectors")
    return found


def render(connectors: dict[str, type[Any]]) -> str:
    """The page for ``connectors``."""
    rows = {name: features(cls) for name, cls in sorted(connectors.items())}
    able = _table(("connector", *FEATURES), ([name, *(_cell(row[key]) for key in FEATURES)] for name, row in rows.items()))
    facts = _table(
        ("connector", "for", "pace", "limits", "verified by", "unverified"),
        (
            [name, cls.title, cls.default_rate or "", _line(cls.limits), _line(cls.verified), str(len(cls.unverified) or "")]
            for name, cls in sorted(connectors.items())
        ),
    )
    return f"{_HEAD}\n{able}\n## Pace, limits, and what they rest on\n\n{facts}"


def _table(heads: Iterable[str], rows: Iterable[list[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _cell(value: Any) -> str:
    return ", ".join(f"`{item}`" if "-" in item else item for item in value) if isinstance(value, list) else str(value)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(shipped()), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(HERE.parent)}: written\n")

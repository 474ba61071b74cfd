"""Writes the start of a connector or model: an installable package that passes its own contract test as it is."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

from libax_automate.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

#: as long as a profile's names
_LONGEST = 64


def write_connector(name: str, folder: Path, kind: Literal["sender", "source"] = "sender") -> list[Path]:
    """Write the package ``libax-connector-NAME`` into ``folder`` and answer its files.

    Raises UsageError for a name that no profile could write, that an installed plugin has, or whose folder holds something already.
    """
    return _write(name, folder, f"libax-connector-{name}", kind)


def write_model(name: str, folder: Path) -> list[Path]:
    """Write the package ``libax-model-NAME`` into ``folder`` and answer its files; raises as :func:`write_connector` does."""
    return _write(name, folder, f"libax-model-{name}", "model")


def _write(name: str, folder: Path, distribution: str, kind: str) -> list[Path]:
    _check(name)
    root = folder / distribution
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists and is not empty", hint="choose another name or folder: nothing is overwritten")
    from libax_automate import __version__

    module = distribution.replace("-", "_")
    title = name.replace("-", " ").title()
    words = {
        "class_name": _class_name(name),
        "distribution": distribution,
        "env": f"{name.replace('-', '_').upper()}_TOKEN",
        "module": module,
        "name": name,
        "summary": f"{title} for Libax Automate",
        "title": title,
        "version": __version__,
    }
    source = root / "src" / module
    contents = {
        root / "pyproject.toml": _filled("pyproject.toml", words),
        root / "README.md": _filled(f"{kind}_README.md", words),
        root / ".gitignore": "__pycache__/\n.venv/\ndist/\n",
        source / "__init__.py": _filled(f"{kind}.py", words),
        # PEP 561: the package's types are for its users as well
        source / "py.typed": "",
        root / "tests" / "test_contract.py": _filled(f"{kind}_test.py", words),
    }
    try:
        for path, text in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{root} cannot be written: {error.strerror}", hint="choose another folder") from None
    return list(contents)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        hint = f"small letters, digits and single hyphens, a letter first, {_LONGEST} at most; such as {_suggestion(name)!r}"
        raise UsageError(f"{name!r} is no name for a plugin", hint=hint)
    from libax_automate.plugins.catalogue import Catalogue

    if name in Catalogue().names():
        raise UsageError(f"{name!r} is the name of an installed plugin", hint="choose another; `automate plugins list` shows those taken")


def _class_name(name: str) -> str:
    made = "".join(part.capitalize() for part in name.split("-"))
    return f"{made}Plugin" if keyword.iskeyword(made) else made


def _suggestion(name: str) -> str:
    """The nearest name that would do."""
    near = re.sub(r"-+", "-", re.sub(r"[^a-z0-9]+", "-", name.lower())).strip("-")[:_LONGEST].strip("-")
    return near if _NAME.fullmatch(near) else "postbox"


def _filled(template: str, words: Mapping[str, str]) -> str:
    return Template((files("libax_automate.plugins") / "skeleton" / f"{template}.tmpl").read_text(encoding="utf-8")).substitute(words)

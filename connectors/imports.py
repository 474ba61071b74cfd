"""Holds every connector package beside this file to one rule: it imports what a stranger's package may import, and no neighbour.

``just imports`` runs it. The packages are found, not listed, so that a new one is held to the rule from its first day.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

#: what is no promise to anybody: sub-packages and files that begin with an underscore
PRIVATE = (
    *("engine", "cli", "plugins", "testing", "transport", "_plugin", "_filters", "_narrow", "_sandbox", "_words"),
)  # fmt: skip


def packages() -> list[str]:
    """The import names of all connector packages, sorted."""
    return sorted(path.parent.name for path in HERE.glob("libax-connector-*/src/*/__init__.py"))


def contracts(found: list[str]) -> str:
    """The rules for ``found``, as import-linter reads them."""
    forbidden = [f"libax_automate.{name}" for name in PRIVATE]
    lines = [
        "[tool.importlinter]",
        f"root_packages = {json.dumps(['libax_automate', *found])}",
        "[[tool.importlinter.contracts]]",
        'name = "Connectors import only the public API"',
        'type = "forbidden"',
        f"source_modules = {json.dumps(found)}",
        f"forbidden_modules = {json.dumps(forbidden)}",
        "allow_indirect_imports = true",
    ]
    if len(found) > 1:
        lines += [
            "[[tool.importlinter.contracts]]",
            'name = "Connectors do not know each other"',
            'type = "independence"',
            f"modules = {json.dumps(found)}",
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check them; 0 = every contract is kept."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "imports.toml"
        config.write_text(contracts(packages()), encoding="utf-8")
        command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache", "--config", str(config)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

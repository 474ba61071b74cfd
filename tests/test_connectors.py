"""The connector packages of this repository: what they may import, and the page that says what they can do."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONNECTORS = ROOT / "connectors"
FOLDERS = sorted(path for path in CONNECTORS.glob("libax-connector-*") if path.is_dir())


def test_connectors_import_only_the_public_api_and_no_neighbour() -> None:
    done = subprocess.run([sys.executable, CONNECTORS / "imports.py"], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rule_notices_a_breach(tmp_path: Path) -> None:
    package = tmp_path / "libax-connector-rogue" / "src" / "libax_connector_rogue"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def late():\n    from libax_automate.engine import run\n    return run\n", encoding="utf-8")
    (tmp_path / "imports.py").write_text((CONNECTORS / "imports.py").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "imports.py"],
        capture_output=True, text=True, timeout=90, check=False, env={"PYTHONPATH": str(package.parent), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Connectors import only the public API BROKEN" in done.stdout


@pytest.mark.req("LX-08")
def test_the_page_of_all_connectors_is_what_their_code_says() -> None:
    matrix = runpy.run_path(str(CONNECTORS / "matrix.py"))
    assert (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8") == matrix["render"](matrix["shipped"]()), "run: just docs"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_package_is_whole_and_named_alike(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = folder.name.removeprefix("libax-connector-")
    module = folder.name.replace("-", "_")
    assert project["name"] == folder.name
    assert name in project["entry-points"]["libax_automate"]
    for file in ("README.md", "CHANGELOG.md", f"src/{module}/__init__.py", f"src/{module}/py.typed", "tests/test_contract.py"):
        assert (folder / file).is_file(), f"{file} is missing"

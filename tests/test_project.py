"""The shape of the project: what is public, who may import whom, what start-up costs."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import libax_automate as ax

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "libax_automate"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

#: what no start-up may pay for
HEAVY = ("httpx", "pyreqwest", "sqlite_utils", "jinja2", "babel", "phonenumbers", "croniter", "email_validator", "keyring", "tree_sitter")


def tracked() -> list[Path]:
    """Every file that git keeps, or would keep with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


# what is public


def test_every_public_name_is_listed_sorted_and_can_be_had() -> None:
    assert list(ax.__all__) == sorted(set(ax.__all__))
    for name in ax.__all__:
        assert getattr(ax, name) is not None


def test_a_type_checker_sees_the_same_names_as_the_program() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: f"{node.module}.{alias.name}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted([*filter(None, seen), "__version__"]) == list(ax.__all__)
    for name, home in seen.items():
        assert name is not None
        module, _, attribute = home.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is getattr(ax, name)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sendr'"):
        _ = ax.Sendr


# who may import whom

#: contract name -> (a file, a line that breaks the contract and no other one's subject)
BREACHES: dict[str, tuple[str, str]] = {
    "Layers: each file imports only what stands below it": ("errors.py", "from libax_automate import message"),
    "Built-in plugins use only what strangers may use": ("plugins/rogue_a.py", "from libax_automate import _plugin"),
    "Built-in plugins do not know each other, nor the catalogue": ("plugins/rogue_b.py", "from libax_automate.plugins import catalogue"),
}


def lint_imports(folder: Path) -> dict[str, str]:
    """Contract name -> KEPT or BROKEN, or the one error line, for the package in ``folder``."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder, capture_output=True, text=True, timeout=90, check=False, env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400"},
    )  # fmt: skip
    found = re.findall(r"^(.+) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE)
    return dict(found) or {"error": (done.stdout + done.stderr).strip()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its contracts, free to be spoilt."""
    shutil.copytree(PACKAGE, tmp_path / "libax_automate", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_contract_is_kept_and_each_notices_its_breach(copy: Path) -> None:
    contracts = {contract["name"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
    breaches = dict(BREACHES)
    for name, contract in contracts.items():
        if contract["type"] == "protected":
            breaches[name] = ("record.py", "\n".join(f"import {module}" for module in contract["protected_modules"]))
    assert breaches.keys() == contracts.keys()
    assert lint_imports(copy) == dict.fromkeys(contracts, "KEPT")
    for file, line in breaches.values():
        path = copy / "libax_automate" / file
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        # inside a function: what is imported late counts as well
        path.write_text(f"{old}\n\ndef breach():\n    " + line.replace("\n", "\n    ") + "\n", encoding="utf-8")
    assert lint_imports(copy) == dict.fromkeys(contracts, "BROKEN")


def test_a_file_without_a_layer_is_noticed(copy: Path) -> None:
    (copy / "libax_automate" / "nowhere.py").write_text('"""A file that no layer names."""\n', encoding="utf-8")
    assert "BROKEN" in lint_imports(copy)["Layers: each file imports only what stands below it"]


# what start-up costs


def command_line_modules() -> list[str]:
    """Every module of the command line."""
    import libax_automate.cli

    return [found.name for found in pkgutil.walk_packages(libax_automate.cli.__path__, "libax_automate.cli.")]


def test_starting_the_program_imports_nothing_heavy() -> None:
    program = "\n".join(
        [
            "import importlib, sys",
            f"for name in {['libax_automate', *command_line_modules()]!r}: importlib.import_module(name)",
            f"print(sorted(name for name in sys.modules if name.split('.')[0] in {HEAVY!r} or name.startswith('libax_automate.plugins.')))",
        ]
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    loaded = ast.literal_eval(done.stdout)
    assert [name for name in loaded if not name.startswith("libax_automate.plugins.catalogue")] == []


# what the files hold


@pytest.mark.parametrize("group", ["libax_automate", "pytest11"])
def test_every_entry_point_names_a_module_that_exists(group: str) -> None:
    for module in PYPROJECT["project"]["entry-points"][group].values():
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module


def test_every_module_class_and_public_function_says_what_it_promises() -> None:
    silent = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(ROOT).as_posix()
        if not ast.get_docstring(tree):
            silent.append(name)
        silent += [
            f"{name}:{node.lineno} {node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
        ]
    assert silent == []


def test_no_file_is_hollow_or_names_a_machine() -> None:
    hollow = re.compile(r"NotImplemented" + r"Error|\bTO" + r"DO\b|\bFIX" + r"ME\b")
    machine = re.compile(r"(?<![\w.])/(?:wor" + r"k|home/\w+|Users/\w+|ro" + r"ot)/\w")
    found = []
    for path in tracked():
        if path.suffix in {".db", ".png", ".mo"}:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), 1):
            if (path.suffix == ".py" and hollow.search(line)) or machine.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_files_stay_small_enough_to_be_read() -> None:
    long = {}
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        # a test file is a list of promises, each read alone
        most = 700 if "tests/" in name else 500
        if path.suffix == ".py" and (count := len(path.read_text(encoding="utf-8").splitlines())) > most:
            long[name] = count
    assert long == {}


def test_no_file_is_named_for_what_did_not_find_a_name() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.stem in vague] == []


def test_the_gate_is_the_command_that_the_readme_gives() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "README.md" in gate
    section = readme.split("\n## Tests\n", 1)[1].split("```")[1].strip()
    assert "\n" not in section
    assert section.endswith("just check")

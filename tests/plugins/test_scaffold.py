"""A generated package installs and passes its own contract, and no file of anybody's is ever overwritten."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from libax_automate.errors import UsageError
from libax_automate.plugins import scaffold

WRITE: dict[str, Callable[[str, Path], list[Path]]] = {
    "sender": scaffold.write_connector,
    "source": lambda name, folder: scaffold.write_connector(name, folder, "source"),
    "model": scaffold.write_model,
}


def test_generated_packages_install_and_their_first_test_run_is_green(tmp_path: Path) -> None:
    """What `automate plugins new` writes, built by its own pyproject and tested where nothing but pip has put it."""
    roots = []
    for kind, write in WRITE.items():
        paths = write(f"made-{kind}", tmp_path)
        roots.append(paths[0].parent)
        assert all(path.is_relative_to(tmp_path) for path in paths)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    done = subprocess.run([*pip, *map(str, roots)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for root in roots:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-rs"]
        run = subprocess.run(command, cwd=root, env={"PYTHONPATH": str(site), "PATH": ""}, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        assert " passed" in run.stdout


@pytest.mark.parametrize("kind", WRITE)
def test_generated_code_is_clean(tmp_path: Path, kind: str) -> None:
    """It compiles, leaves no marker unfilled, and its lines are no longer than ours."""
    for path in WRITE[kind]("a-much-longer-name-than-usual", tmp_path):
        text = path.read_text(encoding="utf-8")
        assert "$" not in text, path
        if path.suffix == ".py":
            compile(text, str(path), "exec")
            assert max(map(len, text.splitlines()), default=0) <= 140


def test_the_ruff_settings_of_the_project_like_generated_code(tmp_path: Path) -> None:
    for kind, write in WRITE.items():
        write(f"made-{kind}", tmp_path)
    config = Path(__file__).parents[2] / "pyproject.toml"
    for verb in (["check", "--extend-ignore", "INP001,D,I001"], ["format", "--check"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *verb,
            "--no-cache",
            "--config",
            str(config),
            *map(str, sorted(tmp_path.rglob("src/**/*.py"))),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["", "Postbox", "post box", "../x", "post--box", "-x", "x-", "1x", "ação", "x" * 65, "post_box"])
def test_a_name_that_no_profile_could_write_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a plugin"):
        scaffold.write_connector(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_refusal_suggests_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'my-post-box'"):
        scaffold.write_connector("My Post_Box!", tmp_path)


def test_the_name_of_an_installed_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="installed plugin"):
        scaffold.write_connector("csv", tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (precious := tmp_path / "libax-model-mine" / "notes.txt").parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        scaffold.write_model("mine", tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        scaffold.write_model("mine", tmp_path / "file")

"""The tool behind ``just requirements`` tells the truth about marks, on a small project of its own and on this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tool_requirements import report, requirements

ROOT = Path(__file__).parent.parent
LINES = "# Requirements\n\n- LX-01 Work that repeats.\n- LX-02 It saves work.\n- BX-01 Rules.\n"


def collect(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-qq", "--collect-only", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one test file that carries two marks, with its own list of requirements."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "requirements.md").write_text(LINES, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = req(id): a line\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\npytest_plugins = ['tests.tool_requirements']\n", encoding="utf-8"
    )
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.req('LX-01', 'BX-01')\n@pytest.mark.parametrize('n', [1, 2])\ndef test_one(n):\n    raise SystemExit('collected, never run')\n",
        encoding="utf-8",
    )
    return tmp_path


def test_each_line_is_proven_by_its_tests_or_open(project: Path) -> None:
    done = collect(project, "--requirements")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LX-01  proven  Work that repeats.\n               test_it.py::test_one\n" in done.stdout
    assert "LX-02  open    It saves work." in done.stdout
    assert done.stdout.count("test_it.py::test_one") == 2  # once per line: variants of one test are one proof
    assert "LX: 1 of 2 proven\nBX: 1 of 1 proven\nall: 2 of 3 proven" in done.stdout


def test_only_what_is_open_on_request(project: Path) -> None:
    done = collect(project, "--requirements=open")
    assert done.returncode == 0
    assert "LX-02  open" in done.stdout
    assert "LX-01" not in done.stdout
    assert "all: 2 of 3 proven" in done.stdout


def test_an_unknown_id_fails_the_run_and_names_its_test(project: Path) -> None:
    source = project / "test_it.py"
    source.write_text(source.read_text(encoding="utf-8").replace("LX-01", "LX-99"), encoding="utf-8")
    done = collect(project, "--requirements")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no such requirement: LX-99 in test_it.py::test_one" in done.stderr


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="LX-01 stands twice"):
        requirements("- LX-01 once\n- LX-01 twice\n")


def test_a_list_without_proofs_is_open_throughout() -> None:
    assert (
        report({"LX-01": "a", "BX-01": "b"}, {})
        == "LX-01  open    a\nBX-01  open    b\n\nLX: 0 of 1 proven\nBX: 0 of 1 proven\nall: 0 of 2 proven"
    )


def test_the_marks_of_this_project_name_real_requirements() -> None:
    done = collect(ROOT, "--requirements")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert " of 204 proven" in done.stdout

"""The tutorials run as they stand: every file they show is written, every command they show is run and says what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass
class Reader:
    """Somebody who does what the page says, in a folder of his own."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        path = os.pathsep.join([str(self.folder), str(self.folder / ".site")])
        return {**kept, "HOME": str(self.folder), "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, command: str) -> tuple[int, str]:
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            self.install()
            return 0, ""
        if words[0] == "cat":
            return 0, (self.folder / words[1]).read_text(encoding="utf-8")
        modules = {
            "automate": ["-m", "libax_automate"],
            "pytest": ["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir=."],
        }
        line = [sys.executable, *modules[words[0]], *words[1:]]
        done = subprocess.run(line, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def install(self) -> None:
        """What `pip install -e .` leaves behind, without the network and without a build: metadata, and the folder on the path."""
        project = tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for old in (self.folder / ".site").glob("*.dist-info"):
            old.rename(old.with_suffix(".gone"))
        points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"]["libax_automate"].items())
        info = f".site/{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        self.write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
        self.write(f"{info}/entry_points.txt", f"[libax_automate]\n{points}")


@pytest.mark.parametrize("page", ["tutorial-connector.md", "tutorial-model.md"])
def test_a_tutorial_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    commands = 0
    for block in _BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")):
        info, text = block["info"], block["text"]
        if title := _TITLE.search(info):
            reader.write(title[1], text)
        elif info.startswith("console"):
            for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *expected = step.splitlines()
                code, output = reader.run(command)
                commands += 1
                assert (code != 0) == ("fails" in info), f"$ {command}\n{output}"
                for line in expected:
                    assert " ".join(line.split()) in " ".join(output.split()), f"$ {command} does not say {line!r} but\n{output}"
        else:
            pytest.fail(f"a block that nothing checks: {info!r}")
    assert commands >= 5


def test_the_first_connector_has_about_ten_lines_of_code() -> None:
    for page in ("tutorial-connector.md", "tutorial-model.md"):
        first = _BLOCK.search((DOCS / page).read_text(encoding="utf-8"))
        assert first is not None
        assert len([line for line in first["text"].splitlines() if line.strip()]) <= 12

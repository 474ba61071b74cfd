"""What the examples' READMEs tell people to type is typed here, line by line and in their order."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md"))


def commands(name: str) -> list[str]:
    text = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    return [line for block in _BLOCK.findall(text) for line in block.splitlines() if line.startswith("automate ")]


@pytest.fixture
def copied(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    folder = home / name
    shutil.copytree(
        ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("saida", "para-a-agencia", "chaves", "grupos.csv", "*.db", "*.pdf")
    )
    for profile in folder.rglob("*.toml"):
        profile.chmod(0o600)
    if name == "agencia":
        keys = folder / "profiles" / "estudio-serra" / "chaves"
        keys.mkdir(mode=0o700)
        (keys / "sms.key").write_text("not-a-key\n", encoding="utf-8")
        (keys / "sms.key").chmod(0o600)
        monkeypatch.setenv("SERRA_SMS_ACCOUNT", "not-an-account")
    monkeypatch.chdir(folder)
    return name


@pytest.mark.parametrize("copied", EXAMPLES, indirect=True)
def test_every_command_of_a_readme_works_where_it_stands(copied: str, cli: Cli) -> None:
    typed = commands(copied)
    assert typed
    for line in typed:
        done = cli(*shlex.split(line)[1:])
        # 3: done, and something waits for a person
        assert done.code in (0, 3), f"{line}: {done.err}"

"""Long runs, not in the gate: ``just soak``."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from tests.conftest import Cli

PEOPLE = int(os.environ.get("SOAK_PEOPLE", "3000"))
PROFILE = """\
name = "soak"
timezone = "UTC"
activation = "immediate"

[defaults]
sms = "out"

[apps.crm]
connector = "csv"
contacts = "people.csv"

[apps.out]
connector = "folder"
path = "out"
concurrency = 2

[models.all]
use = "notice"
source = "crm"
at = "10:00"
occasion = "soak"
channel = "sms"
text = "Olá {{ name }}"
"""


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_again_and_again_each_person_hears_once(home: Path, cli: Cli, start_process: Callable[..., Popen[str]]) -> None:
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (home / "profiles.toml").chmod(0o600)
    rows = [f"{number},Pessoa {number},+35191{number:07d}" for number in range(1, PEOPLE + 1)]
    (home / "people.csv").write_text("\n".join(["id,name,mobile", *rows]) + "\n", encoding="utf-8")
    assert cli("run", "--now", "2026-12-01T09:00").code == 0
    chance = random.Random(1)
    kills = 0
    while True:
        process = start_process("run", "--now", "2026-12-01T10:01")
        # planning is one transaction: a life too short to plan leaves nothing behind, so lives grow longer
        deadline = time.monotonic() + chance.uniform(0.3, 3.0 + kills / 2)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()
            break
        process.kill()
        process.wait()
        kills += 1
    reached = Counter(json.loads(path.read_text(encoding="utf-8"))["to"] for path in (home / "out").glob("*.json"))
    assert kills
    assert len(reached) == PEOPLE
    assert set(reached.values()) == {1}
    assert cli("queue", "list", "--json").json["items"][0]["sent"] == PEOPLE

"""However many people a plan names, it is made, listed, kept and drawn in the same memory: with caps, tact and a suppression list on."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.figures import Figure

FEW, MANY = 2_000, 30_000
#: what a person may cost in all tables together, in bytes: a draft alone takes two thousand
EACH = 300

PROFILE = """
name = "loja"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
sms = "saida"
cap = "2 per 7d"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[apps.saida]
connector = "folder"
path = "saida"

[models.parabens]
use = "birthday"
source = "gestao"
at = "10:00"
text = "Parabéns, {{ first_name }}!"

[models.aviso]
use = "notice"
source = "gestao"
at = "11:00"
class = "billing"
text = "Olá {{ first_name }}, fechamos na segunda-feira."

[[tact]]
hold = "billing"
on = "birth_date"

[[tact]]
hold = "aviso"
near = "parabens"
within = "3d"
"""
#: the command in its own process, and the most memory it ever had (kB) after its answer
PROGRAM = """
import re, sys
from pathlib import Path
from libax_automate.cli.root import run
code = run(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(code)
"""


def peak(home: Path, count: int, *how: str) -> tuple[int, str]:
    """Peak memory in kB, and the answer, of a plan for ``count`` people."""
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (home / "profiles.toml").chmod(0o600)
    days = [f"19{50 + number % 40}-{number % 12 + 1:02d}-{number % 28 + 1:02d}" for number in range(997)]
    rows = (f"{n},Pessoa {n},+35191{n:07d},{days[n % 997]}\n" for n in range(count))
    (home / "clientes.csv").write_text("id,name,mobile,birth_date\n" + "".join(rows), encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, "plan", "aviso", "--now", "2026-12-24T11:00", "--db", "a.db", *how]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^peak (\d+)$", done.stderr, re.MULTILINE)
    assert found
    return int(found[1]), done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count of memory is read where Linux has it")
@pytest.mark.parametrize("how", [("--json", "--save", "plan.json", "--html", "plan.html"), ()], ids=["json, saved, page", "table"])
def test_a_plan_takes_the_same_memory_for_fifteen_times_the_people(home: Path, figure: Figure, how: tuple[str, ...]) -> None:
    few, _ = peak(home, FEW, *how)
    many, answer = peak(home, MANY, *how)
    figure(f"plan, {'json, saved, page' if how else 'table'}: {few / 1024:.0f} MB for {FEW:,}, {many / 1024:.0f} MB for {MANY:,}")
    assert (many - few) * 1024 < EACH * (MANY - FEW)
    if how:
        assert len(json.loads(answer)["items"]) == MANY == len(json.loads((home / "plan.json").read_text("utf-8"))["items"])
    else:
        assert len(answer.splitlines()) > MANY


def on_a_terminal(home: Path, *how: str) -> str:
    """What a person sees on a wide terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "libax_automate", "plan", "aviso", "--now", "2026-12-24T11:00", "--db", "a.db", *how]
    with subprocess.Popen(command, stdout=theirs, cwd=home, env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the other end is closed: all has been said
            while piece := os.read(ours, 65536):
                seen += piece
        os.close(ours)
    assert process.returncode == 0
    return seen.decode("utf-8")


def test_a_terminal_shows_the_first_thousand_and_json_all(home: Path) -> None:
    peak(home, 1_003)
    lines = on_a_terminal(home).splitlines()
    assert sum("+35191" in line for line in lines) == 1_000
    assert any(line.startswith("… and 3 more") for line in lines)
    assert len(json.loads(on_a_terminal(home, "--json"))["items"]) == 1_003

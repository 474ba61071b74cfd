"""A year of a hundred thousand contacts, replayed with caps and tact: in a minute, and longer periods in no more memory."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.figures import Figure
from tests.proofs.test_plan_memory import PROFILE, PROGRAM

CONTACTS = 100_000
#: seconds of a processor, whatever else the machine does
LIMIT = 60
SOME = 20_000
#: what a message may cost in memory, in bytes: that it is not said twice has to be remembered, and when it was said for the caps
EACH = 160


def replay(home: Path, last: str) -> tuple[int, float, int]:
    """Peak memory in kB, seconds of a processor, and how many messages, from January to ``last``."""
    command = [sys.executable, "-c", PROGRAM, "backtest", "parabens", "--from", "2025-01-01", "--to", last, "--json", "--db", "a.db"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^peak (\d+)$", done.stderr, re.MULTILINE)
    assert found
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(found[1]), spent, json.loads(done.stdout)["messages"]


def people(home: Path, count: int) -> None:
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (home / "profiles.toml").chmod(0o600)
    rows = (f"{n},Pessoa {n},+35191{n:07d},19{50 + n % 40}-{n % 12 + 1:02d}-{n % 28 + 1:02d}\n" for n in range(count))
    (home / "clientes.csv").write_text("id,name,mobile,birth_date\n" + "".join(rows), encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count of memory is read where Linux has it")
def test_a_year_of_a_hundred_thousand_contacts_is_replayed_in_a_minute(home: Path, figure: Figure) -> None:
    people(home, CONTACTS)
    started = time.perf_counter()
    peak, spent, many = replay(home, "2025-12-31")
    wall = time.perf_counter() - started
    figure(
        f"backtest of a year, {CONTACTS:,} contacts, {many:,} messages: {spent:.1f} s of a processor, {wall:.1f} s, {peak / 1024:.0f} MB"
    )
    assert many == CONTACTS
    assert spent < LIMIT


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own count of memory is read where Linux has it")
def test_three_years_take_the_memory_of_one(home: Path, figure: Figure) -> None:
    people(home, SOME)
    year, _, few = replay(home, "2025-12-31")
    three, _, many = replay(home, "2027-12-31")
    figure(f"backtest of {SOME:,} contacts: {year / 1024:.0f} MB for a year, {three / 1024:.0f} MB for three")
    assert (few, many) == (SOME, 3 * SOME)
    assert (three - year) * 1024 < EACH * (many - few)

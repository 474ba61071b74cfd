"""How fast, on this machine: ``just bench``, or ``python -m benchmarks --customers 100000 --json``.

Everything is measured through the command, in its own process, on files in a temporary folder; messages go into a folder of files.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

PROFILE = """\
name = "bench"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[defaults]
email = "out"

[apps.crm]
connector = "csv"
contacts = "customers.csv"

[apps.out]
connector = "folder"
path = "out"
window = 256

[models.birthday]
use = "birthday"
source = "crm"
at = "09:30"
audience = ["active", "person"]
channel = "email"
subject = "Feliz aniversário, {{ first_name }}!"
text = "Olá (#FirstName#), feliz aniversário ao completar (#Age#) anos."

[models.everybody]
use = "notice"
source = "crm"
at = "11:00"
occasion = "bench"
audience = ["active", "person"]
where = "number_of_orders != '0'"
channel = "email"
subject = "Uma novidade"
text = "Olá {{ first_name }}, temos uma novidade para si."
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table."""

    what: str
    seconds: float
    #: things done, where that is the point
    count: int = 0

    def __str__(self) -> str:
        pace = f"{self.count / self.seconds:>12,.0f} /s" if self.count else ""
        return f"{self.what:<44}{self.seconds * 1000:>10,.0f} ms{pace}"


def write_customers(path: Path, count: int) -> None:
    """A CSV of ``count`` invented people whose birthdays are spread over the year."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(["Código", "Nome", "E-mail", "Telemóvel", "Nascimento", "Tipo", "Estado", "Number of orders"])
        for number in range(count):
            born = date(1950, 1, 1) + timedelta(days=number % 18_000)
            mail, mobile = f"p{number}@example.com", f"+35191{number % 10_000_000:07d}"
            rows.writerow([number + 1, f"Pessoa {number}", mail, mobile, f"{born:%d/%m/%Y}", "Particular", "Ativo", number % 7])


def automate(folder: Path, *words: str) -> str:
    """Run the command in ``folder``; answers stdout, and stops here if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "libax_automate", *words, "--db", "bench.db"],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "AUTOMATE_PROFILES": str(folder / "profiles.toml")},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"automate {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def timed(call: Callable[[], str]) -> tuple[float, str]:
    """Seconds, and what the call answered."""
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def measure(folder: Path, customers: int) -> list[Measure]:
    """All lines, in order."""
    folder.joinpath("profiles.toml").write_text(PROFILE, encoding="utf-8")
    folder.joinpath("profiles.toml").chmod(0o600)
    write_customers(folder / "customers.csv", customers)
    help_time = statistics.median(timed(lambda: automate(folder, "--help"))[0] for _ in range(5))
    lines = [Measure("automate --help", help_time)]
    took, answer = timed(lambda: automate(folder, "plan", "birthday", "--on", "2026-12-24", "--json"))
    lines.append(Measure(f"plan birthday over {customers:,} customers", took, customers))
    automate(folder, "run", "--now", "2026-12-24T09:00")
    took, answer = timed(lambda: automate(folder, "run", "--now", "2026-12-24T11:30", "--json"))
    sent = json.loads(answer)["sent"]
    lines.append(Measure(f"run: {sent:,} messages into a folder", took, sent))
    took, _ = timed(lambda: automate(folder, "run", "--now", "2026-12-24T12:00"))
    lines.append(Measure("run with nothing to do", took))
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast, on this machine.")
    parser.add_argument("--customers", type=int, default=20_000, help="people in the CSV (default: 20000)")
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="automate-bench-") as folder:
        lines = measure(Path(folder), given.customers)
    if given.json:
        print(json.dumps({"items": [asdict(line) for line in lines]}))
    else:
        print(*lines, sep="\n")


if __name__ == "__main__":
    main()

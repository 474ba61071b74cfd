"""One piece of work in a process of its own, so that its memory is its own: prints seconds, count and peak memory as JSON."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from datetime import date
from pathlib import Path

DAY = date(2026, 12, 24)


def plan(folder: Path) -> int:
    """Today's birthdays, as ``automate plan`` reads them."""
    from libax_automate.engine.plan import plan_model
    from libax_automate.engine.workspace import Workspace

    with Workspace.open(profiles=folder / "profiles.toml", db=folder / "automate.db", environ={}) as space:
        profile, spec = space.model("birthday")
        return sum(draft.verdict == "send" for draft in plan_model(space, profile, spec, on=DAY).drafts)


def listing(folder: Path) -> int:
    """``automate plan --json``, everybody in the answer, which goes nowhere."""
    return _listing(folder, "plain.toml")


def guarded(folder: Path) -> int:
    """The same with cap, tact and a suppression list."""
    return _listing(folder, "guarded.toml")


def _listing(folder: Path, profile: str) -> int:
    from libax_automate.cli.root import run

    with Path("/dev/null").open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        files = ["--profiles", str(folder / profile), "--db", str(folder / "automate.db")]
        return run([*files, "plan", "notice", "--now", f"{DAY}T11:00", "--json"])


def dict_reader(folder: Path) -> int:
    """The loop that everybody writes."""
    import csv

    with (folder / "customers.csv").open(encoding="utf-8", newline="") as file:
        return sum(row["Nascimento"].startswith("24/12/") for row in csv.DictReader(file, delimiter=";"))


def polars(folder: Path) -> int:
    """The same by polars, lazily."""
    import polars as pl

    rows = pl.scan_csv(folder / "customers.csv", separator=";", infer_schema=False)
    return int(rows.filter(pl.col("Nascimento").str.starts_with("24/12/")).collect().height)


def drain(folder: Path) -> int:
    """Everything that waits, with a sender that does nothing."""
    from benchmarks.rig import drain as all_of_it
    from benchmarks.rig import reopen

    with reopen(folder) as space:
        before = sum(app.sent for app in space.store.apps.rows(space.now()))
        all_of_it(space)
        return sum(app.sent for app in space.store.apps.rows(space.now())) - before


WORK = {each.__name__: each for each in (plan, listing, guarded, dict_reader, polars, drain)}


def main() -> None:
    """``python -m benchmarks.child WORK FOLDER``."""
    start = time.perf_counter()
    count = WORK[sys.argv[1]](Path(sys.argv[2]))
    seconds = time.perf_counter() - start
    # not ru_maxrss: that begins with what the parent had when it forked
    memory = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]
    print(json.dumps({"seconds": seconds, "count": count, "memory": memory}))


if __name__ == "__main__":
    main()

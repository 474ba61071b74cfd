"""``just bench``: every figure of the table, or those named; ``just bench fast enqueue --scale 0.1 --folder /dev/shm``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks import command, disk, mail, over_http, queue_alone, reading, systems, time_table
from benchmarks.rig import Line, Rig
from libax_automate.engine.store.database import journal_mode

WORK: Mapping[str, Callable[[Rig], Iterator[Line]]] = {
    "fast": over_http.fast,
    "httpx": over_http.httpx,
    "delay": over_http.delay,
    "batch": over_http.batch,
    "noop": queue_alone.noop,
    "syncs": disk.syncs,
    "enqueue": queue_alone.enqueue,
    "smtp": mail.smtp,
    "birthdays": reading.birthdays,
    "sql": systems.sql,
    "rest": systems.rest,
    "guarded": reading.guarded,
    "planned": reading.planned,
    "whole": reading.whole,
    "tick": time_table.tick,
    "month": time_table.month,
    "start_up": command.start_up,
    "memory": disk.memory,
}
_HEAD = ("work", "ours", "beside, in the same run", "ratio", "reach", "reached", "")


def machine(folder: Path) -> str:
    """The shape of the machine, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    lite = sqlite3.sqlite_version
    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {memory} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {lite} ({journal_mode(sqlite3.sqlite_version_info)}), files in {folder}"
    )


def main() -> int:
    """Measure and print; the exit code says nothing of the figures, for they are this machine's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures beside something bare, measured in the same run.")
    parser.add_argument("work", nargs="*", help=f"which ({', '.join(WORK)}); all by default")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the table's counts (default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured, in turns (default: 3)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where files go: memory (/dev/shm) or a disk")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    if unknown := [name for name in given.work if name not in WORK]:
        parser.error(f"no such work: {', '.join(unknown)}; there are {', '.join(WORK)}")
    rig = Rig(given.folder, given.rounds, given.scale)
    found: list[Line] = []
    if not given.json:
        print(machine(given.folder), "", "| " + " | ".join(_HEAD) + " |", "|---" * len(_HEAD) + "|", sep="\n", flush=True)
    for name in given.work or WORK:
        for line in WORK[name](rig):
            found.append(line)
            if not given.json:
                print("| " + " | ".join(line.cells()) + " |", flush=True)
    if given.json:
        print(json.dumps({"machine": machine(given.folder), "items": [{**asdict(line), "reached": line.reached} for line in found]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What durability costs: syncs per message by window, and the memory of a long drain."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.queue_alone import NOTHING
from benchmarks.reading import child
from benchmarks.rig import Line, Rig, fill, open_space

#: ``window`` in the profile -> most fdatasync calls per message
_REACH = {64: 0.15, 32: 0.5}


def syncs(rig: Rig) -> Iterator[Line]:
    """fdatasync calls per message at ``concurrency = 8``, by window, counted by the kernel."""
    if shutil.which("strace") is None:
        print("syncs: left out, there is no strace here (apt-get install strace)", file=sys.stderr)
        return
    count = rig.count(4_000)
    for window in (8, 16, 32, 64, 128, 256):
        with rig.place() as folder:
            with open_space(folder, NOTHING.format(window=window)) as space:
                fill(space, count)
            report = folder / "strace.txt"
            command = ["strace", "-f", "-c", "-o", str(report), "-e", "trace=fdatasync,fsync"]
            subprocess.run(
                [*command, sys.executable, "-m", "benchmarks.child", "drain", str(folder)], stdout=subprocess.DEVNULL, check=True
            )
            calls = sum(int(line.split()[3]) for line in report.read_text().splitlines() if line.endswith("sync"))
        what = f"fdatasync per message, concurrency 8, window {window}" + (" (the default)" if window == 32 else "")
        yield Line(
            what,
            f"{calls / count:.2f}",
            "",
            calls / count,
            _REACH.get(window, 3),
            most=True,
            note=f"a crash leaves at most {window} in doubt",
        )


def memory(rig: Rig) -> Iterator[Line]:
    """Peak memory of draining 1,000,000."""
    count = rig.count(1_000_000)
    with rig.place() as folder:
        with open_space(folder, NOTHING.format(window=64)) as space:
            for first in range(0, count, 100_000):
                fill(space, min(100_000, count - first), first=first)
        found = child("drain", folder)
    rate = found["count"] / found["seconds"]
    yield Line(
        f"peak memory draining {count:,}, in MB", f"{found['memory']:.0f}", "", found["memory"], 120, most=True, note=f"{rate:,.0f}/s"
    )

"""The command itself: how long until it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import people
from benchmarks.rig import Line, Rig, reopen, timed

_HELLO = """
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "world") -> None:
    print("hello", name)


app()
"""


def start_up(rig: Rig) -> Iterator[Line]:
    """``automate --help`` and ``automate queue list``, beside a bare typer program's ``--help``."""
    with rig.place() as folder:
        people.business(folder, 10, app='connector = "folder"\npath = "out"')
        with reopen(folder) as space:
            space.store  # noqa: B018 - the file is made here
        script = folder / "hello.py"
        script.write_text(_HELLO, encoding="utf-8")
        environment = {**os.environ, "AUTOMATE_PROFILES": str(folder / "profiles.toml"), "AUTOMATE_DB": str(folder / "automate.db")}

        def run(*words: str) -> float:
            def once() -> None:
                subprocess.run([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, check=True)

            return min(timed(once) for _ in range(5))

        bare, usage, queue = rig.pair(
            lambda: run(str(script), "--help"),
            lambda: run("-m", "libax_automate", "--help"),
            lambda: run("-m", "libax_automate", "queue", "list"),
        )
    beside = f"bare typer hello {bare * 1000:.0f} ms"
    yield Line("automate --help", f"{usage * 1000:.0f} ms", beside, usage / bare, 1.2, most=True)
    yield Line("automate queue list", f"{queue * 1000:.0f} ms", beside, queue / bare, 2, most=True)

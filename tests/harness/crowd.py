"""One of many processes that work on one database at the same time; told what to do by a line of JSON, starts at the line ``go``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any


def schedule(order: dict[str, Any]) -> dict[str, Any]:
    """Walk through the minutes and open every slot that has come, as a scheduler that believes it is alone."""
    from libax_automate.engine import duty
    from libax_automate.plugins.catalogue import default_catalogue
    from libax_automate.testing.clock import FakeClock
    from tests.harness.world import open_space

    rng = random.Random(order["seed"])
    clock = FakeClock(datetime.fromisoformat(order["at"]))
    made = trouble = minutes = 0
    with open_space(Path(order["profile"]), Path(order["db"]), clock, default_catalogue()) as space:
        profile, spec = space.model("minuto")
        duty.see(space, profile, spec)
        ready()
        # the slot of the minute of first sight counts too
        while minutes < order["slots"] - 1:
            step = min(rng.randint(1, 12), order["slots"] - 1 - minutes)
            minutes += step
            clock.move(minutes=step)
            try:
                made += duty.open_due(space, profile, spec, duty.see(space, profile, spec))
            except Exception:
                trouble += 1
    return {"made": made, "trouble": trouble}


def _command(*args: str) -> tuple[int, str]:
    """The program's own entry point in this process: its exit code, and what it said on stderr."""
    from libax_automate.cli.root import run

    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = run(list(args))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    return int(code or 0), err.getvalue()


def commands(order: dict[str, Any]) -> dict[str, Any]:
    """Commands one after the other until the time is up: ``run``, or an admin's."""
    where = ("--profiles", order["profile"], "--db", order["db"], "--now", order["at"], "--json")
    rng = random.Random(order.get("seed", 0))
    name = f"p{order.get('seed', 0)}@example.com"
    verbs = [
        ("queue", "pause", "correio"),
        ("queue", "resume", "correio"),
        ("queue", "list"),
        ("errors", "list"),
        ("suppress", "add", name),
        ("suppress", "remove", name),
        ("models", "disable", "parabens"),
        ("models", "enable", "parabens"),
        ("queue", "clear", "correio", "--yes"),
    ]
    codes: Counter[int] = Counter()
    locked = 0
    ready()
    until = time.monotonic() + order["seconds"]
    while time.monotonic() < until:
        verb = ("run",) if order["do"] == "run" else rng.choice(verbs)
        code, said = _command(*verb, *where)
        codes[code] += 1
        locked += "database is locked" in said or code == 75
        if code not in (0, 3, 11):
            sys.stderr.write(f"{verb}: {code}: {said}\n")
        time.sleep(0.01)
    return {"codes": codes, "locked": locked}


def loop(order: dict[str, Any]) -> dict[str, Any]:
    """The service, until the time is up; tries again where another run holds the lock."""
    from libax_automate.clock import ShiftedClock
    from libax_automate.engine.loop import run_loop
    from libax_automate.errors import AutomateError
    from libax_automate.plugins.catalogue import default_catalogue
    from tests.harness.world import open_space

    clock = ShiftedClock(datetime.fromisoformat(order["at"]))
    stop = threading.Event()
    codes: Counter[int] = Counter()
    locked = 0
    ready()
    timer = threading.Timer(order["seconds"], stop.set)
    timer.start()
    while not stop.is_set():
        try:
            run_loop(lambda: open_space(Path(order["profile"]), Path(order["db"]), clock, default_catalogue()), stop=stop)
            codes[0] += 1
        except AutomateError as error:
            codes[error.exit_code] += 1
            locked += "database is locked" in str(error)
            stop.wait(0.2)
    timer.join()
    return {"codes": codes, "locked": locked}


def ready() -> None:
    """Everything is loaded: wait for the others."""
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """Do what the first line says."""
    order = json.loads(sys.stdin.readline())
    os.environ["HOME"] = str(Path(order["db"]).parent)
    if order.get("break"):
        from tests.harness import mutations

        mutations.apply(order["break"])
    told = {"schedule": schedule, "run": commands, "write": commands, "loop": loop}[order["do"]](order)
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

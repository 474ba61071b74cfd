"""The program in processes that can be killed: one life is one pass, forked from a process that has imported everything already.

A life costs some milliseconds instead of a start of Python, so that hundreds of kills fit into a test. It dies like any other
process: the kernel frees its locks and closes its files. ``python -m tests.harness.runner`` is the nursery, spoken to by :class:`Nursery`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]


class Nursery:
    """Starts lives and tells how they ended."""

    def __init__(self, log: Path, **env: str) -> None:
        self._log: IO[bytes] = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.runner"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, cwd=ROOT,
            env={**os.environ, **env}, bufsize=0,
        )  # fmt: skip
        self._pid = 0
        self._said = b""

    def start(self, profile: Path, db: Path, at: str, **options: Any) -> int:
        """Begin a life: one pass over ``profile`` as if it were ``at``; answers its pid. One life at a time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"profile": str(profile), "db": str(db), "at": at, **options}).encode() + b"\n")
        self._pid = int(self._line())
        return self._pid

    def ended(self) -> bool:
        """Whether the life has ended by itself."""
        assert self._process.stdout is not None
        return b"\n" in self._said or bool(select.select([self._process.stdout], [], [], 0)[0])

    def kill(self) -> None:
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        """How the life ended: its exit code, or minus the signal that ended it."""
        return int(self._line())

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._said:
            if not (more := os.read(self._process.stdout.fileno(), 4096)):
                raise AssertionError(f"the nursery is gone, see {self._log.name}")
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.kill()
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()
        self._log.close()


def live(order: dict[str, Any]) -> int:
    """One pass, as a command would make it; the exit code."""
    import threading

    from tests.harness import plugins
    from tests.harness.world import run_pass_at

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if order.get("break"):
        # deliberately broken engines: each proof must be able to fail (tests/README.md)
        from tests.harness import mutations

        mutations.apply(order["break"])
    catalogue = plugins.catalogue() if order.get("plugins") else None
    if order.get("hold"):
        # somebody wants to attach before anything happens
        os.kill(os.getpid(), signal.SIGSTOP)
    result = run_pass_at(
        Path(order["profile"]), Path(order["db"]), datetime.fromisoformat(order["at"]), catalogue=catalogue, stop=stop,
        patience=order.get("patience", 0.0),
    )  # fmt: skip
    return 3 if result.halted or result.needs_person else 0


def _serve() -> None:
    from libax_automate.engine import digest, herald, language, notice  # noqa: F401 - loaded once, for all lives
    from libax_automate.engine.profile import load_profiles  # noqa: F401
    from libax_automate.engine.store import Store  # noqa: F401
    from libax_automate.plugins import birthday, csv_source, folder, http_gateway  # noqa: F401
    from libax_automate.plugins.catalogue import default_catalogue
    from tests.harness import plugins, world  # noqa: F401

    default_catalogue().names()
    if os.environ.get("AUTOMATE_HTTP") == "httpx":
        import certifi  # noqa: F401
        import h11  # noqa: F401
        import httpcore

        httpcore.ConnectionPool().close()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = live(json.loads(line))
            except BaseException as error:
                traceback.print_exc()
                code = getattr(error, "exit_code", 70)
            finally:
                sys.stderr.flush()
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _once() -> None:
    """One life in this very process, for tools that watch a process from its start (strace)."""
    code = 70
    try:
        code = live(json.loads(sys.stdin.readline()))
    except BaseException as error:
        traceback.print_exc()
        code = getattr(error, "exit_code", 70)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _once() if "--once" in sys.argv else _serve()

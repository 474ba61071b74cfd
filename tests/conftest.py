"""What every test may ask for: an empty home, the program in this process or in its own, and nothing else by itself."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.figures", "tests.tool_requirements"]

# the gate meets the same examples on every run; HYPOTHESIS_PROFILE=wide looks further
settings.register_profile("gate", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("wide", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

#: what a program needs of the machine; a test's environment holds nothing else of it
_KEPT = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer on stdout, read as one JSON document; fails with both streams when it is none."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"stdout is not JSON (exit {self.code}):\n{self.out}\nstderr:\n{self.err}") from None

    @property
    def error(self) -> dict[str, Any]:
        """The ``error`` object that a failed ``--json`` command leaves as the last line of stderr."""
        last = self.err.strip().splitlines()[-1]
        found: dict[str, Any] = json.loads(last)["error"]
        return found


class Cli(Protocol):
    """Runs the program in this process: ``cli("run", "--json", stdin="y\\n")``."""

    def __call__(self, *args: str | Path, stdin: str = "") -> Finished: ...


class RunProcess(Protocol):
    """Runs the program in its own process, to the end."""

    def __call__(self, *args: str | Path, stdin: str = "", timeout: float = 60, **env: str) -> Finished: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home that is also the working folder; no setting of the person who runs the tests is left."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith(("PYTEST_", "COV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The program through its real entry point, in this process, without a terminal."""

    def run(*args: str | Path, stdin: str = "") -> Finished:
        from libax_automate.__main__ import main

        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        code = 0
        with monkeypatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr(sys, "argv", ["automate", *map(str, args)])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            try:
                answer: object = main()
                code = answer if isinstance(answer, int) else 0
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        said = [stream.buffer for stream in (out, err)]
        texts = []
        for buffer in said:
            assert isinstance(buffer, io.BytesIO)
            texts.append(buffer.getvalue().decode("utf-8"))
        return Finished(code, *texts)

    return run


@pytest.fixture
def run_process(home: Path) -> RunProcess:
    """The program as a process of its own; keyword arguments beyond ``stdin`` and ``timeout`` are environment variables."""

    def run(*args: str | Path, stdin: str = "", timeout: float = 60, **env: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "libax_automate", *map(str, args)],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            env={**os.environ, **env},
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start_process(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The program as a process that the test may signal; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(*args: str | Path, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "libax_automate", *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **env},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()

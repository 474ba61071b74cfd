"""Mutation testing of the state machine: ``just mutate [MODULE …]``. Each small change to a module must be noticed by the tests that run through it.

A process that has loaded everything but the program is forked for each mutant, which then meets the tests that run through its line, the quickest
first. A mutant that none of them fails has survived; one that makes them run for longer than a minute has not. What survives is printed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENGINE, ENGINE_TESTS = "libax_automate/engine", "tests/engine"
#: a mutant's tests take no longer than this, in seconds
_LIMIT = 60
#: the tests of one mutant together take no longer than this in the unbroken program, in seconds, but for the first
_ENOUGH = 25.0


@dataclass(frozen=True, slots=True)
class Target:
    """A module, the functions of it that count (all, if none is named), and the tests that are held against it."""

    path: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()


def _named(*names: str) -> tuple[str, ...]:
    return tuple(f"{ENGINE_TESTS}/test_{name}.py" for name in names)


TARGETS = {
    "retry": Target(f"{ENGINE}/retry.py", _named("retry")),
    "errors": Target(f"{ENGINE}/store/errors.py", _named("store_errors", "queue_verbs")),
    "queue": Target(f"{ENGINE}/store/queue.py", _named("store_queue", "queue_verbs", "invariants", "keys")),
    "tasks": Target(f"{ENGINE}/store/tasks.py", (*_named("store_tasks", "invariants", "run"), "tests/cli/test_tasks.py")),
    "deliver": Target(
        f"{ENGINE}/deliver.py",
        _named("settling", "recovery", "keys", "batches"),
        ("_settle_all", "_settle", "_throttle", "_hold", "_break", "_replay", "_save", "_claim", "_commit"),
    ),
}  # fmt: skip


class Swap(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets one module of the program be imported as the mutant has it."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Ours, for that one name."""
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def create_module(self, spec: Any) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        """The changed tree in the place of the file."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)  # the program itself, but for one change


class Tracer:
    """A pytest plugin that writes down which lines of a file each test runs through, and how long it takes."""

    def __init__(self, path: Path) -> None:
        self._file = str(path)
        self._lines: set[int] = set()
        self.found: dict[str, tuple[float, list[int]]] = {}

    def _local(self, frame: FrameType, event: str, _: Any) -> Any:
        self._lines.add(frame.f_lineno)
        return self._local

    def _global(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != self._file:
            return None
        self._lines.add(frame.f_lineno)
        return self._local

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._lines = set()
        self._began = time.perf_counter()
        threading.settrace(self._global)
        sys.settrace(self._global)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """It has ended."""
        sys.settrace(None)
        threading.settrace(None)
        self.found[nodeid] = (time.perf_counter() - self._began, sorted(self._lines))


def _fork(work: Callable[[], int], said: int) -> int:
    """A process of its own for ``work``, in a session of its own; what it says goes to the file ``said``."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        for number in (1, 2):
            os.dup2(said, number)
        code = work()
    finally:
        os._exit(int(code))


def _pytest(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    import pytest

    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        return int(
            pytest.main(
                [
                    "-x",
                    "-q",
                    "--assert=plain",
                    "-p",
                    "no:randomly",
                    "-p",
                    "no:cacheprovider",
                    "-p",
                    "no:xdist",
                    f"--basetemp={folder}/t",
                    *arguments,
                ],
                plugins=plugins,
            )
        )


def _warm() -> None:
    """What every mutant needs and none changes."""
    for name in (
        "pytest", "_pytest.assertion.rewrite", "hypothesis", "pydantic", "httpx", "jinja2", "jinja2.sandbox", "sqlite_utils", "babel", "babel.dates",
        "phonenumbers", "typer", "croniter", "trustme", "tomllib", "email.message", "zoneinfo", "platformdirs", "holidays", "rich", "aiosmtpd.smtp",
    ):  # fmt: skip
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _covered(target: Target) -> dict[str, tuple[float, list[int]]]:
    """Each test's duration, and the lines of the module that it runs through."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file, tempfile.TemporaryFile("w+") as said:

        def work() -> int:
            tracer = Tracer(ROOT / target.path)
            code = _pytest([path for path in target.tests if (ROOT / path).exists()], [tracer])
            Path(file.name).write_text(json.dumps(tracer.found), encoding="utf-8")
            return code

        _, status = os.waitpid(_fork(work, said.fileno()), 0)
        if os.waitstatus_to_exitcode(status) != 0:
            said.seek(0)
            raise SystemExit(f"{said.read()}\n{target.path}: the tests fail on the program as it is")
        found: dict[str, tuple[float, list[int]]] = json.load(file)
        return found


def _spans(tree: ast.Module) -> dict[int, set[int]]:
    """Line → lines of a statement that begins or ends there, and for a constant of the module those that use it."""
    users: dict[str, set[int]] = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            users[node.id].add(node.lineno)
    spans: dict[int, set[int]] = defaultdict(set)
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            names = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            # a constant made of a constant
            lines = {line for name in names for line in users[name]}
            more = {
                line for other in tree.body if isinstance(other, ast.Assign) and other.lineno in lines for target in other.targets
                if isinstance(target, ast.Name) for line in users[target.id]
            }  # fmt: skip
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                spans[line] |= lines | more
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            # what stands in for arguments that are not given is met by whoever calls
            for line in range(node.lineno, node.body[0].lineno):
                spans[line] |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.stmt) and not isinstance(
            node, (ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
        ):
            lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            for line in lines:
                spans[line] |= lines
    return spans


@dataclass
class Report:
    """What became of a module's mutants."""

    name: str
    killed: int = 0
    survived: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        total = self.killed + len(self.survived)
        return f"{self.name}: {self.killed} of {total} killed ({100 * self.killed / max(total, 1):.0f} %)"


def run(name: str, *, jobs: int, only: str = "") -> Report:
    """Every mutant of a module against its tests."""
    from tests.harness.mutants import Mutant, mutants

    target = TARGETS[name]
    path = ROOT / target.path
    source = path.read_text(encoding="utf-8")
    module = target.path.removesuffix(".py").replace("/", ".")
    covered, spans = _covered(target), _spans(ast.parse(source))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    report, running = Report(name), dict[int, tuple[Mutant, float]]()

    def reap(block: bool) -> None:
        while running:
            for pid, (mutant, began) in list(running.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                late = time.monotonic() - began > _LIMIT
                if not done and late:
                    os.killpg(pid, signal.SIGKILL)
                    _, status = os.waitpid(pid, 0)
                if done or late:
                    del running[pid]
                    code = os.waitstatus_to_exitcode(status)
                    if code == 0:
                        report.survived.append(f"{target.path}:{mutant.line} {mutant.function}: {mutant.what}")
                        print("  survived", report.survived[-1], flush=True)
                    else:
                        report.killed += 1
                    return
            if not block:
                return
            time.sleep(0.02)

    for mutant in mutants(source):
        if only not in f"{mutant.function}:{mutant.line} {mutant.what}" or (
            target.functions and mutant.function.rpartition(".")[2] not in target.functions
        ):
            continue
        lines = spans.get(mutant.line, set()) | {mutant.line}
        # the body of a class is run through when it is loaded, by whatever test
        tests = _chosen(target, covered, lines) or (
            _chosen(target, covered, None) if mutant.function.rpartition(".")[2][:1].isupper() else []
        )
        if not tests:
            report.survived.append(f"{target.path}:{mutant.line} {mutant.function}: {mutant.what} (no test comes here)")
            print("  survived", report.survived[-1], flush=True)
            continue
        while len(running) >= jobs:
            reap(block=True)

        def work(mutant: Mutant = mutant, tests: Sequence[str] = tests) -> int:
            sys.meta_path.insert(0, Swap(module, path, mutant.tree))
            return _pytest(tests)

        running[_fork(work, nowhere)] = (mutant, time.monotonic())
    while running:
        reap(block=True)
    os.close(nowhere)
    return report


def _chosen(target: Target, covered: dict[str, tuple[float, list[int]]], lines: set[int] | None) -> list[str]:
    """The tests that run through one of ``lines`` (None: all): those of the module's own file, then the quickest first."""
    own = target.tests[0]
    found = sorted(
        (not test.startswith(own), seconds, test)
        for test, (seconds, through) in covered.items()
        if lines is None or lines.intersection(through)
    )
    chosen: list[str] = []
    spent = 0.0
    for _, seconds, test in found:
        if chosen and spent + seconds > _ENOUGH:
            break
        chosen.append(test)
        spent += seconds
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it over the named modules, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TARGETS))
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose description holds this text")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    _warm()
    reports = []
    for name in given.modules or TARGETS:
        print(f"{name} …", flush=True)
        reports.append(run(name, jobs=given.jobs, only=given.only))
        print(reports[-1], flush=True)
    total = Report("all", sum(each.killed for each in reports), [line for each in reports for line in each.survived])
    print(total)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

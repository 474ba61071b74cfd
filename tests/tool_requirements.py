"""``just requirements``: which line of docs/requirements.md is proven by which tests, and which is open.

A test names the lines it proves: ``@pytest.mark.req("LX-40", "LX-37")``. A name that docs/requirements.md does not have
fails the run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

DOCUMENT = Path("docs") / "requirements.md"
_LINE = re.compile(r"^- (?P<id>[A-Z]{2}-\d{2}) (?P<text>\S.*)$", re.MULTILINE)


def requirements(document: str) -> dict[str, str]:
    """Every ``- LX-01 text`` line of ``document``, in its order; raises ValueError where an id stands twice."""
    found: dict[str, str] = {}
    for line in _LINE.finditer(document):
        if line["id"] in found:
            raise ValueError(f"{line['id']} stands twice in {DOCUMENT}")
        found[line["id"]] = line["text"]
    return found


def proofs(items: Iterable[pytest.Item]) -> dict[str, list[str]]:
    """Requirement id -> the tests that carry its mark; the variants of a parametrised test count once."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        test = item.nodeid.partition("[")[0]
        for mark in item.iter_markers("req"):
            for name in mark.args:
                found[str(name)][test] = None
    return {name: list(tests) for name, tests in found.items()}


def report(known: Mapping[str, str], proven: Mapping[str, list[str]], *, only_open: bool = False) -> str:
    """The table for people: a line per requirement, then totals per group and over all."""
    lines = []
    for name, text in known.items():
        tests = proven.get(name, [])
        if not tests:
            lines.append(f"{name}  open    {text}")
        elif not only_open:
            lines.append(f"{name}  proven  {text}")
            lines += [f"               {test}" for test in tests]
    lines.append("")
    for group in dict.fromkeys(name[:2] for name in known):
        names = [name for name in known if name.startswith(group)]
        lines.append(f"{group}: {sum(name in proven for name in names)} of {len(names)} proven")
    lines.append(f"all: {sum(name in proven for name in known)} of {len(known)} proven")
    return "\n".join(lines)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--requirements`` prints the table, ``--requirements=open`` what nothing proves yet."""
    group = parser.getgroup("requirements")
    group.addoption(
        "--requirements", nargs="?", const="all", choices=("all", "open"), help="print which requirement is proven by which tests"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Print the table instead of the list of tests; an unknown id ends the run."""
    wanted = session.config.getoption("--requirements")
    if not wanted:
        return
    known = requirements((session.config.rootpath / DOCUMENT).read_text(encoding="utf-8"))
    proven = proofs(session.items)
    strangers = {name: tests for name, tests in proven.items() if name not in known}
    if strangers:
        named = "; ".join(f"{name} in {', '.join(tests)}" for name, tests in sorted(strangers.items()))
        raise pytest.UsageError(f"{DOCUMENT} has no such requirement: {named}")
    session.items.clear()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(report(known, proven, only_open=wanted == "open"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A printed table is a success, though no test ran."""
    if session.config.getoption("--requirements") and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK

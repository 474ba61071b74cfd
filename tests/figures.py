"""The figure of a proof, in one line: kept with the test's report, so that it is shown however many processes run the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Figure = Callable[[str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Says what a proof has measured: ``figure("R4 full disk: 24 cases, lost 0, doubled 0")``."""
    return lambda line: record_property("figure", line)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """All figures of the run, below the failures."""
    lines = {
        str(value): None
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "figure"
    }
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)

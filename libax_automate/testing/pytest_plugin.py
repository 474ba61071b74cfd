"""Fixtures for authors of connectors and models; nothing happens to a test that asks for none of them.

pytest imports this module before a test run measures coverage, so it imports nothing of the package until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from libax_automate.testing.clock import FakeClock
    from libax_automate.testing.mailbox import Mailbox
    from libax_automate.testing.run import PlannedRun
    from libax_automate.testing.service import Service


def pytest_configure(config: pytest.Config) -> None:
    """``@pytest.mark.req("LX-40")``: for packages whose tests say which lines of a specification they prove."""
    config.addinivalue_line("markers", "req(id, ...): proves these lines of the package's specification")


@pytest.fixture
def automate_service() -> Iterator[Service]:
    """A scripted HTTP server on loopback that records what it gets, and can hang up."""
    from libax_automate.testing.service import Service

    with Service() as service:
        yield service


@pytest.fixture
def automate_mailbox() -> Iterator[Mailbox]:
    """A real SMTP server on loopback that keeps what it gets, and can refuse."""
    from libax_automate.testing.mailbox import Mailbox

    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def automate_clock() -> FakeClock:
    """A clock that stands still until it is told to move."""
    from libax_automate.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def automate_run() -> Callable[..., PlannedRun]:
    """Makes the ``run`` that a model's ``plan`` reads from: ``automate_run([record, …], day=date(2026, 12, 24))``."""
    from libax_automate.testing.run import PlannedRun

    factory: Callable[..., PlannedRun] = PlannedRun
    return factory

"""The business that the command line's tests work in."""

from __future__ import annotations

from pathlib import Path

import pytest

from libax_automate.testing.service import Service
from tests.cli.business import EARLY, Business
from tests.conftest import Cli


@pytest.fixture
def business(home: Path, automate_service: Service, monkeypatch: pytest.MonkeyPatch) -> Business:
    """Files in the working folder, the database beside them."""
    monkeypatch.setenv("AUTOMATE_DB", str(home / "state" / "automate.db"))
    return Business(home, automate_service).write()


@pytest.fixture
def shop(business: Business, cli: Cli) -> Business:
    """The business after its first pass, early on the day: what the profile says is in force (LX-40)."""
    done = cli("run", "--now", EARLY)
    assert (done.code, done.out, done.err) == (0, "", "")
    return business

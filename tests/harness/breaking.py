"""A pytest plugin that breaks the engine on purpose: ``BREAK=orphans-handed-back pytest -p tests.harness.breaking tests/engine``."""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Apply the mutation named in ``$BREAK``; without one the names of all are the error."""
    from tests.harness import mutations

    name = os.environ.get("BREAK", "")
    if name not in mutations.names():
        raise pytest.UsageError(f"BREAK is one of: {', '.join(mutations.names())}")
    mutations.apply(name)

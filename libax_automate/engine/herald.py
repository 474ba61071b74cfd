"""What admins hear: notices of open errors and failed tasks, the weekly report. Effects like any other, through the same queue."""

from __future__ import annotations

from libax_automate.engine.workspace import Workspace


def announce(space: Workspace) -> int:
    """Queue the notices that are due; returns how many."""
    del space
    return 0

"""The kit for authors of connectors and models: ``pip install "libax_automate[testing]"``.

A connector's whole test file is one subclass of a contract::

    from libax_automate.testing import Reply, SenderContract


    class TestPostbox(SenderContract):
        sender = Postbox
        accepted = Reply(202, {"id": "m-1"})
        rejected = Reply(422, {"error": "bad recipient"})

        def options(self, url):
            return {"token": "s3cret-never-shown", "base_url": url}
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libax_automate.testing.clock import FakeClock as FakeClock
    from libax_automate.testing.contracts import ActionContract as ActionContract
    from libax_automate.testing.contracts import ModelContract as ModelContract
    from libax_automate.testing.contracts import ReferencerContract as ReferencerContract
    from libax_automate.testing.contracts import SenderContract as SenderContract
    from libax_automate.testing.contracts import SourceContract as SourceContract
    from libax_automate.testing.mailbox import Mailbox as Mailbox
    from libax_automate.testing.plugin import LOOPBACK as LOOPBACK
    from libax_automate.testing.run import PlannedRun as PlannedRun
    from libax_automate.testing.service import Fault as Fault
    from libax_automate.testing.service import Reply as Reply
    from libax_automate.testing.service import Request as Request
    from libax_automate.testing.service import Service as Service
    from libax_automate.testing.spec_server import SpecServer as SpecServer

_WHERE = {
    "ActionContract": "contracts",
    "FakeClock": "clock",
    "Fault": "service",
    "LOOPBACK": "plugin",
    "Mailbox": "mailbox",
    "ModelContract": "contracts",
    "PlannedRun": "run",
    "ReferencerContract": "contracts",
    "Reply": "service",
    "Request": "service",
    "SenderContract": "contracts",
    "Service": "service",
    "SourceContract": "contracts",
    "SpecServer": "spec_server",
}

__all__ = sorted(_WHERE)  # noqa: PLE0605 - computed from the one list of names


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: pytest loads this package in every run of whoever has it installed (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)

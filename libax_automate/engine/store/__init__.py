"""The store: what must survive the process, behind verbs; the only package that speaks SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from libax_automate.engine.store.approvals import Approvals
from libax_automate.engine.store.apps import Apps
from libax_automate.engine.store.database import Database
from libax_automate.engine.store.documents import Documents
from libax_automate.engine.store.errors import Errors
from libax_automate.engine.store.history import History
from libax_automate.engine.store.ledger import Ledger
from libax_automate.engine.store.payments import Payments
from libax_automate.engine.store.people import People
from libax_automate.engine.store.queue import Queue
from libax_automate.engine.store.tasks import Tasks


class Store:
    """One database, its verbs by noun. ``write()`` joins several into one transaction."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.db = Database(path, readonly=readonly)
        self.apps = Apps(self.db)
        self.queue = Queue(self.db)
        self.errors = Errors(self.db)
        self.tasks = Tasks(self.db)
        self.ledger = Ledger(self.db)
        self.history = History(self.db)
        self.approvals = Approvals(self.db)
        self.people = People(self.db)
        self.payments = Payments(self.db)
        self.documents = Documents(self.db)
        self.write = self.db.write

    def close(self) -> None:
        """Let go of the file; safe twice."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


__all__ = ["Store"]

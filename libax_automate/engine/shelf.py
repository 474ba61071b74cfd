"""Where a lane gets the documents that its messages carry."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from libax_automate.errors import ContentError, StoreError, TemporaryError, Transient
from libax_automate.message import Attachment


class Shelf:
    """Reads kept documents. Safe from many threads: each look opens the database for itself, for reading alone."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def __call__(self, named: Mapping[str, Any]) -> Attachment:
        """The file of which a message's payload speaks; raises ContentError where it is void, gone, or not what was printed.

        Raises Transient where the database cannot be read just now.
        """
        from libax_automate.engine.store import Store

        try:
            with Store(self._database, readonly=True) as store:
                found = store.documents.file(int(named["id"]), live=True)
        except TemporaryError as error:
            raise Transient(error.message, hint=error.hint) from None
        except StoreError as error:
            raise ContentError(error.message, hint=error.hint) from None
        if found is None or found.sha256 != named["sha256"]:
            raise ContentError("the document that goes with it is void or gone", hint="see: automate documents list; then errors skip")
        return Attachment(found.file, found.content, mimetypes.guess_type(found.file)[0] or "application/octet-stream")

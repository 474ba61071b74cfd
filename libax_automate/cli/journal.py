"""The log on stderr, behind the filter that keeps secrets out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libax_automate.engine.redact import Redactor

_LEVELS = (logging.ERROR, logging.INFO, logging.DEBUG)


class Journal:
    """Log lines of this program and its plugins on stderr: errors, with ``-v`` what happens, with ``-vv`` everything."""

    def __init__(self) -> None:
        self._redactors: list[Redactor] = []

    def hide(self, redactor: Redactor) -> None:
        """Mask what ``redactor`` knows from now on."""
        self._redactors.append(redactor)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite ``record`` in place; it always passes."""
        for redactor in self._redactors:
            redactor.filter.filter(record)
        return True

    @contextlib.contextmanager
    def open(self, verbose: int) -> Iterator[None]:
        """Write for the length of a command."""
        handler = logging.StreamHandler()  # stderr as it is now
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s" if verbose > 1 else "%(message)s"))
        handler.addFilter(self)
        logger = logging.getLogger("libax_automate")
        level = _LEVELS[min(verbose, 2)]
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(level)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

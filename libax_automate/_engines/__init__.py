"""The HTTP engines behind ``libax_automate.transport``, and which of them is used."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping

from libax_automate.errors import SetupError
from libax_automate.transport import Settings, Transport

#: by the names that ``AUTOMATE_HTTP`` knows, the fastest first: what each is built on, and the class
ENGINES: Mapping[str, tuple[str, str]] = {
    "httptools": ("libax_automate._engines.sockets", "SocketTransport"),
    "pyreqwest": ("libax_automate._engines.pyreqwest", "PyreqwestTransport"),
    "httpx": ("libax_automate._engines.httpcore", "HttpcoreTransport"),
}


def choose(name: str | None = None) -> Callable[[Settings], Transport]:
    """The transport called ``name``; else what ``AUTOMATE_HTTP`` says; else the first of ``ENGINES`` that is installed (httpx always is)."""
    wanted = name or os.environ.get("AUTOMATE_HTTP") or next(engine for engine in ENGINES if _installed(engine))
    if wanted not in ENGINES:
        raise SetupError(f"there is no HTTP transport {wanted!r}", hint=f"AUTOMATE_HTTP is one of {', '.join(ENGINES)}")
    if not _installed(wanted):
        raise SetupError(f"the HTTP transport {wanted} is not installed", hint='pip install "libax_automate[fast]"')
    module, attribute = ENGINES[wanted]
    made: Callable[[Settings], Transport] = getattr(importlib.import_module(module), attribute)
    return made


def _installed(engine: str) -> bool:
    return engine == "httpx" or importlib.util.find_spec(engine) is not None

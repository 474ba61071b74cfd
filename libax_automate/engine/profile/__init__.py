"""Profiles: found, read, checked, and built into what the engine runs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from libax_automate.engine.profile.build import load_profiles, sound_profiles
from libax_automate.engine.profile.find import find_profiles
from libax_automate.engine.profile.span import span_of

if TYPE_CHECKING:
    from libax_automate.engine.profile.schema import profile_schema as profile_schema
    from libax_automate.engine.profile.starter import write_starter as write_starter

__all__ = ["find_profiles", "load_profiles", "profile_schema", "sound_profiles", "span_of", "write_starter"]


def __getattr__(name: str) -> Any:
    """Import the rarely used when it is used (PEP 562): loading a profile needs neither."""
    homes = {"profile_schema": "schema", "write_starter": "starter"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{homes[name]}"), name)

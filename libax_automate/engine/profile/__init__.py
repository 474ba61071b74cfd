"""Profiles: found, read, checked, and built into what the engine runs."""

from __future__ import annotations

from libax_automate.engine.profile.build import load_profiles
from libax_automate.engine.profile.find import find_profiles
from libax_automate.engine.profile.span import span_of

__all__ = ["find_profiles", "load_profiles", "span_of"]

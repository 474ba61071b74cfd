"""The contracts that authors subclass, in one place; each kind of plugin has its own file beside this one."""

from __future__ import annotations

from libax_automate.testing.action import ActionContract
from libax_automate.testing.model import ModelContract
from libax_automate.testing.reference import ReferencerContract
from libax_automate.testing.sender import SenderContract
from libax_automate.testing.source import SourceContract

__all__ = ["ActionContract", "ModelContract", "ReferencerContract", "SenderContract", "SourceContract"]

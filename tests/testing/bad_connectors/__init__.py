"""Connectors and models that break one promise each, beside good ones that keep them all.

Nothing here is collected by the project's own test run: ``test_contracts.py`` runs ``suite.py`` once and looks who failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

C = TypeVar("C", bound=type[Any])


@dataclass(frozen=True)
class Case:
    """A plugin, the contract it is held to, and the checks that must fail (none for a good one)."""

    cls: type[Any]
    contract: type[Any]
    fails: frozenset[str]
    changes: dict[str, Any]

    @property
    def test(self) -> str:
        return f"Test{self.cls.__name__}"


CASES: list[Case] = []


def case(contract: type[Any], *fails: str, listed: bool = True, **changes: Any) -> Callable[[C], C]:
    """Enters a plugin with the checks that it must fail; ``changes`` are attributes of its contract subclass."""

    def enter(cls: C) -> C:
        if "name" not in vars(cls):
            cls.name = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        CASES.append(Case(cls, contract, frozenset(f"test_{fail}" for fail in fails), changes))
        if listed:
            LISTED.append(cls)
        return cls

    return enter


#: what the entry points lead to
LISTED: list[type[Any]] = []

"""The contract of every case, as pytest classes; run by ``test_contracts.py`` in a process of its own."""

from __future__ import annotations

from typing import Any

import libax_automate as ax

from . import CASES, LISTED, actors, good, models, referencers, senders, sources  # noqa: F401 - importing them enters their cases

_SUBJECT = {
    "SenderContract": "sender",
    "SourceContract": "source",
    "ActionContract": "actor",
    "ReferencerContract": "referencer",
    "ModelContract": "model",
}


def _attribute(contract: type[Any]) -> str:
    return next(_SUBJECT[base.__name__] for base in contract.__mro__ if base.__name__ in _SUBJECT)


for _case in CASES:
    globals()[_case.test] = type(
        _case.test, (_case.contract,), {_attribute(_case.contract): _case.cls, "__module__": __name__, **_case.changes}
    )


@ax.hookimpl
def automate_connectors() -> list[type[Any]]:
    return [cls for cls in LISTED if issubclass(cls, ax.Connector)]


@ax.hookimpl
def automate_models() -> list[type[Any]]:
    return [cls for cls in LISTED if issubclass(cls, ax.Model)]

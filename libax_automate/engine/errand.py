"""What a recipe's own options can get wrong that only its source and its applications can tell: conditions, actions, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

from libax_automate.connector import Actor, Capability, Connector
from libax_automate.engine.fields import Names
from libax_automate.engine.roll import place
from libax_automate.engine.spec import Profile
from libax_automate.errors import AutomateError
from libax_automate.model import Model
from libax_automate.record import ENTITIES

ConnectorOf = Callable[[str], Connector[Any] | None]
#: where (below the model), what, what to do, and whether it works all the same
Fault = tuple[tuple[str, ...], str, str, bool]


def options_at_fault(recipe: Model[Any], profile: Profile, available: frozenset[str] | None, connector_of: ConnectorOf) -> Iterator[Fault]:
    """Conditions over fields that no record has, apps that cannot do what they are asked, files that may not be written."""
    yield from _conditions(recipe, available)
    for key, app, kind in recipe.errands():
        if (found := _errand(profile, app, kind, connector_of)) is not None:
            yield (key if found[2] else "app",), found[0], found[1], False
    for key, file in recipe.rolls():
        try:
            place(profile.folder, file)
        except AutomateError as error:
            yield (key,), error.message, error.hint, False


def _conditions(recipe: Model[Any], available: frozenset[str] | None) -> Iterator[Fault]:
    from libax_automate.template import Sandbox

    sandbox, names = Sandbox(), Names.of(recipe, available)
    known = ENTITIES.get(recipe.entity_name(), {})
    for key, source in recipe.conditions():
        where = tuple(key.split("."))
        for field in dict.fromkeys(sandbox.expression(source).order):
            problem = names.problem(field)
            head = field.partition(".")[0]
            if problem is not None:
                what, _, hint = problem.partition("; ")
                yield where, f"{', '.join(where)}: {what}", hint or "automate models fields MODEL lists them", False
            elif available is not None and head in known and head not in available:
                yield where, f"{', '.join(where)}: no record has {head!r}, so it is always empty", "correct fields in the source app", True


def _errand(profile: Profile, app: str, kind: str, connector_of: ConnectorOf) -> tuple[str, str, bool] | None:
    """What is wrong with asking ``app`` for the action ``kind``: (what, what to do, whether it is the action)."""
    if app not in profile.apps:
        near = get_close_matches(app, list(profile.apps), 1)
        return f"no app is named {app!r}", f"did you mean {near[0]!r}?" if near else f"{_able(profile, connector_of)} can", False
    connector = connector_of(app)
    if connector is None:
        return None  # said where the app is
    if not isinstance(connector, Actor) or Capability.ACTIONS not in connector.offers():
        return f"{app!r} ({connector.name}) does nothing but send or read", f"{_able(profile, connector_of)} can", False
    if connector.actions and kind not in connector.actions:
        near = get_close_matches(kind, list(connector.actions), 1)
        known = ", ".join(connector.actions)
        return f"{app!r} ({connector.name}) has no action {kind!r}", f"did you mean {near[0]!r}?" if near else f"it has: {known}", True
    return None


def _able(profile: Profile, connector_of: ConnectorOf) -> str:
    """The apps that do things."""
    return ", ".join(name for name in profile.apps if isinstance(connector_of(name), Actor)) or "none of the apps"

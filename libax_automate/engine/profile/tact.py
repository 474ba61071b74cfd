"""``[[tact]]`` tables: what one model does not say to a person because of what another one said, or because of the day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from libax_automate.engine.profile.findings import did_you_mean, shown
from libax_automate.engine.profile.keys import TactKeys
from libax_automate.engine.profile.positions import Loc
from libax_automate.engine.profile.scope import Scope, types_of
from libax_automate.engine.spec import ModelSpec, Tact
from libax_automate.model import MessageClass


def tact_of(scope: Scope, raw: Any, models: Mapping[str, ModelSpec]) -> tuple[Tact, ...]:
    """The rules of a file, each checked against the models it names."""
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        scope.findings.problem(("tact",), "tact should be a list of tables", "write [[tact]] before each", key=True)
        return ()
    return tuple(_rule(scope, item, ("tact", index), models) for index, item in enumerate(raw))


def _rule(scope: Scope, raw: Mapping[str, Any], loc: Loc, models: Mapping[str, ModelSpec]) -> Tact:
    keys = scope.keys(TactKeys, scope.references.table(raw, loc, types_of(TactKeys)), loc)
    problem, classes = scope.findings.problem, [str(each) for each in MessageClass]
    if keys.hold and keys.hold not in (*models, *classes):
        problem((*loc, "hold"), f"{shown(keys.hold)} is neither a model nor a class", did_you_mean(keys.hold, [*models, *classes]))
    if (keys.near is None) == (keys.on is None):
        problem(loc, "a rule of tact has either near or on", 'near = "MODEL" looks at another model, on = "birth_date" at a day', key=True)
    if keys.near is not None:
        if keys.near not in models:
            problem((*loc, "near"), f"there is no model {shown(keys.near)}", did_you_mean(keys.near, list(models)))
        else:
            known = [step.name for step in models[keys.near].steps]
            for step in keys.steps:
                if step not in known:
                    problem((*loc, "steps"), f"{keys.near} has no step {shown(step)}", did_you_mean(step, known))
    return Tact(
        hold=keys.hold,
        near=keys.near,
        steps=frozenset(keys.steps),
        within=keys.within or timedelta(days=30),
        on=keys.on,
        then=keys.then or ("wait" if keys.on else "skip"),
    )

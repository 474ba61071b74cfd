"""What only several keys together can get wrong: schedules, and the apps that a model names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from libax_automate.connector import CHANNELS, Actor, Capability, Connector, Sender, Source
from libax_automate.engine.profile.findings import did_you_mean, shown
from libax_automate.engine.profile.positions import Loc
from libax_automate.engine.profile.scope import Scope
from libax_automate.engine.spec import Defaults, ModelSpec
from libax_automate.message import Channel

#: the ways to fire, and all keys that say when
_WAYS = ("at", "cron", "every", "realtime")
_TIMES = (*_WAYS, "weekdays", "monthdays", "months", "start", "end")
_BY_CHANNEL = {channel: capability for capability, channel in CHANNELS.items()}


def check_defaults(scope: Scope, defaults: Defaults) -> None:
    """The default app of each channel exists and sends on that channel (LX-13)."""
    for channel, app in defaults.apps.items():
        _sender(scope, app, channel, ("defaults", str(channel)))


def check_model(scope: Scope, spec: ModelSpec, recipe: type[Any] | None, defaults: Defaults, *, loc: Loc, given: set[str]) -> None:
    """All that ``spec`` says of apps and times fits together; ``given`` are the keys that were written."""
    _check_schedule(scope, spec, recipe, loc, given)
    if spec.source is not None:
        _source(scope, spec.source, (*loc, "source"))
    elif recipe is not None and recipe.entity:
        scope.findings.problem(loc, "source is missing", f"add source = …: {_apps(scope, Source)}", key=True)
    if spec.webhook is not None:
        _able(scope, spec.webhook, Capability.WEBHOOK, (*loc, "webhook"))
    if spec.activity and spec.source is not None:
        connector = _connector(scope, spec.source)
        if connector is not None and issubclass(connector, Source) and not _may(connector, Capability.ACTIONS):
            scope.findings.problem((*loc, "activity"), f"{spec.source!r} takes no activities (LX-55)", "remove activity = true")
    if spec.webhook is None:
        _check_reach(scope, spec.via, spec.channel, defaults, loc)
        _check_fallback(scope, spec.fallback, defaults, loc)
        for index, step in enumerate(spec.steps):
            _check_fallback(scope, step.fallback, defaults, (*loc, "steps", index))
            if step.via or step.channel:
                _check_reach(scope, step.via or spec.via, step.channel or spec.channel, defaults, (*loc, "steps", index))
    _check_wording(scope, spec, recipe, loc, given)


def _check_schedule(scope: Scope, spec: ModelSpec, recipe: type[Any] | None, loc: Loc, given: set[str]) -> None:
    problem = scope.findings.problem
    schedule = spec.schedule
    wrong = {key for key in _TIMES if key in given and scope.findings.at((*loc, key))}
    ways = [key for key in _WAYS if getattr(schedule, key) or key in wrong]
    # `every` counts days and `at` tells the time of those days
    if len(ways) > 1 and ways != ["at", "every"]:
        problem((*loc, ways[-1]), f"{' and '.join(ways)} are both given", "keep one: a model has one way to fire", key=True)
        return
    if not ways:
        scope.findings.warn(loc, "has no at, cron, every or realtime", f"it runs only by hand: automate models run {spec.name}", key=True)
    if schedule.realtime and recipe is not None and not recipe.realtime:
        problem((*loc, "realtime"), f"{spec.use} cannot run in real time (LX-41)", 'use at = "09:30", or every = "30min"')
    if schedule.realtime or not ways:
        for key in ("weekdays", "monthdays", "months"):
            if key in given:
                problem((*loc, key), f"{key} says on which days at or every fire, and there is neither", "remove it", key=True)
    if schedule.start and schedule.end and schedule.end < schedule.start:
        problem((*loc, "end"), f"end {schedule.end} is before start {schedule.start}", "the model would never run")
        return
    if schedule.every and schedule.start is None:
        if "start" not in wrong:
            problem((*loc, "every"), "every counts from start, which is missing (LX-37, LX-39)", "add start = 2026-12-01", key=True)
        return
    if ways and not wrong:
        from libax_automate.engine.schedule import remarks, validate

        key = "every" if "every" in ways else ways[0]
        for say, texts in ((problem, validate(schedule)), (scope.findings.warn, remarks(schedule))):
            for text in texts:
                what, _, hint = text.partition(" → ")
                say((*loc, key), what, hint)


def _check_reach(scope: Scope, via: str | None, channel: Channel | None, defaults: Defaults, loc: Loc) -> None:
    if via is not None:
        _sender(scope, via, channel, (*loc, "via"))
    elif channel not in (None, Channel.EMAIL) and channel not in defaults.apps:
        scope.findings.problem((*loc, "channel"), f"no app sends {channel}", f'add {channel} = "…" to [defaults], or via = "…" here')


def _check_fallback(scope: Scope, fallback: tuple[Channel, ...], defaults: Defaults, loc: Loc) -> None:
    for channel in fallback:
        if channel is not Channel.EMAIL and channel not in defaults.apps:
            scope.findings.problem((*loc, "fallback"), f"no app sends {channel}", f'add {channel} = "…" to [defaults], or drop it here')


def _check_wording(scope: Scope, spec: ModelSpec, recipe: type[Any] | None, loc: Loc, given: set[str]) -> None:
    wording = spec.wording
    said = given & {"text", "html", "template", "text_file", "html_file"}
    if recipe is None or not recipe.messages or spec.webhook or "steps" in given or wording.text or wording.html or wording.template:
        return
    if any(scope.findings.at((*loc, key)) for key in said):
        return
    if said:
        scope.findings.problem((*loc, min(said)), "the message is empty (LX-52)", "write what people shall read")
    else:
        scope.findings.problem(loc, "the message is missing (LX-52)", "add text = …, html = … or template = …; or webhook = …", key=True)


def _source(scope: Scope, name: str, loc: Loc) -> None:
    connector = _known(scope, name, loc, Source)
    if connector is not None and not issubclass(connector, Source):
        scope.findings.problem(loc, f"{shown(name)} ({connector.name}) has no records to read", _apps(scope, Source))


def _sender(scope: Scope, name: str, channel: Channel | None, loc: Loc) -> None:
    connector = _known(scope, name, loc, Sender)
    if connector is None:
        return
    if not issubclass(connector, Sender) and not _may(connector, Capability.WEBHOOK):
        scope.findings.problem(loc, f"{shown(name)} ({connector.name}) sends nothing", _apps(scope, Sender))
    elif channel is not None and not _may(connector, _BY_CHANNEL[channel]):
        scope.findings.problem(loc, f"{shown(name)} ({connector.name}) does not send {channel}", _able_apps(scope, _BY_CHANNEL[channel]))


def _able(scope: Scope, name: str, capability: Capability, loc: Loc) -> None:
    connector = _known(scope, name, loc, Connector)
    if connector is not None and not _may(connector, capability):
        scope.findings.problem(loc, f"{shown(name)} ({connector.name}) is no {capability} app", _able_apps(scope, capability))


def _known(scope: Scope, name: str, loc: Loc, kind: type) -> type[Any] | None:
    """The class behind an app, where both are right; an app that is missing is said here, a wrong one was said already."""
    if scope.findings.at(loc):
        return None
    if name not in scope.apps:
        near = get_close_matches(name[:80], list(scope.apps)[:200], 1)
        hint = f"did you mean {near[0]!r}?" if near else _apps(scope, kind) if scope.apps else f"add [apps.{name[:64]}]"
        scope.findings.problem(loc, f"there is no app {shown(name)}", hint)
        return None
    return _connector(scope, name)


def _connector(scope: Scope, name: str) -> type[Any] | None:
    app = scope.apps.get(name)
    return app.connector if app else None


def _may(connector: type[Any], capability: Capability) -> bool:
    """Whether apps of this class can have ``capability``; where the options decide, only ``check`` can tell."""
    decided = connector.offers is Connector.offers
    if capability is Capability.ACTIONS and issubclass(connector, Actor):
        return True
    return not decided or capability in connector.capabilities


def _apps(scope: Scope, kind: type) -> str:
    names = [name for name, app in scope.apps.items() if app.connector and issubclass(app.connector, kind)]
    return did_you_mean("", names) or f"no app of the profile is a {kind.__name__.lower()}"


def _able_apps(scope: Scope, capability: Capability) -> str:
    names = [name for name, app in scope.apps.items() if app.connector and _may(app.connector, capability)]
    return did_you_mean("", names) or f"no app of the profile is able to ({capability})"

"""``[models.X]`` tables and their steps -> ModelSpec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from libax_automate.engine.profile.file import Unreadable, read_bytes
from libax_automate.engine.profile.findings import shown
from libax_automate.engine.profile.keys import ModelKeys, StepKeys, WordingKeys, name_problem
from libax_automate.engine.profile.links import check_model
from libax_automate.engine.profile.positions import Loc
from libax_automate.engine.profile.scope import Scope, names_of, split, types_of
from libax_automate.engine.spec import Defaults, ModelSpec, Schedule, StepSpec, Wording
from libax_automate.model import Step
from libax_automate.options import Options

#: the most a rendered template may be (the sandbox refuses more), so no template file needs more
_LONGEST_TEXT = 512 << 10


def build_models(scope: Scope, tables: Mapping[str, Any], defaults: Defaults) -> dict[str, ModelSpec]:
    """The models of a file, each checked against the apps it names."""
    built = {}
    for name, table in tables.items():
        loc: Loc = ("models", name)
        if problem := name_problem(name):
            scope.findings.problem(loc, f"model {problem[0]}", problem[1], key=True)
        if not isinstance(table, dict):
            scope.findings.problem(
                loc, f"models.{shown(name)[1:-1]} should be a table", f"write [models.{name[:64]}] and its keys below", key=True
            )
        elif spec := _model(scope, name, table, loc, defaults):
            built[name] = spec
    return built


def _model(scope: Scope, name: str, raw: Mapping[str, Any], loc: Loc, defaults: Defaults) -> ModelSpec | None:
    recipe = scope.plugin("model", raw.get("use"), (*loc, "use"))
    own: type[Options] | None = recipe.options_type if recipe else None
    body = {key: value for key, value in raw.items() if key != "steps"}
    table = scope.references.table(body, loc, types_of(ModelKeys, own))
    common, mine = split(table, ModelKeys, own)
    keys = scope.keys(ModelKeys, common, loc, {*(names_of(own) if own else ()), "steps"})
    steps = _steps(scope, raw.get("steps", []), (*loc, "steps"), recipe)
    options = scope.options(recipe, mine, loc, {*names_of(ModelKeys), "steps"}) if recipe else None
    line, column = scope.places.get(loc, (1, 1))
    spec = ModelSpec(
        name=name,
        use=keys.use,
        options=options or Options(),
        source=keys.source,
        schedule=Schedule(
            at=keys.at,
            cron=keys.cron,
            every=keys.every,
            realtime=keys.realtime,
            weekdays=keys.weekdays,
            monthdays=keys.monthdays,
            months=keys.months,
            start=keys.start,
            end=keys.end,
        ),
        enabled=keys.enabled,
        audience=keys.audience,
        where=keys.where,
        channel=keys.channel,
        fallback=keys.fallback,
        via=keys.via,
        webhook=keys.webhook,
        wording=_wording(scope, keys, loc),
        activity=keys.activity,
        late=keys.late,
        late_limit=keys.late_limit,
        expires=keys.expires,
        once=keys.once,
        quiet=keys.quiet or None,
        any_hour=keys.quiet is False,
        send_weekdays=keys.send_weekdays,
        steps=steps,
        message_class=keys.message_class,
        cap=keys.cap or None,
        uncapped=keys.cap is False,
        approve=keys.approve,
        brake=keys.brake,
        consent=keys.consent,
        description=keys.description or "",
        line=line,
        column=column,
    )
    check_model(scope, spec, recipe, defaults, loc=loc, given=set(raw))
    if recipe is not None and options is not None:
        _faults(scope, recipe, options, steps, loc)
    return spec if recipe and options is not None else None


def _faults(scope: Scope, recipe: type[Any], options: Options, steps: tuple[StepSpec, ...], loc: Loc) -> None:
    """What the recipe itself finds wrong with its steps together; steps that are wrong one by one were said already."""
    kind: type[Options] | None = recipe.step_type
    if kind is None or any(scope.findings.at((*loc, "steps", index)) for index in range(len(steps))):
        return
    try:
        made = recipe(options, [Step(each.name, kind.model_validate(dict(each.options))) for each in steps])
    except ValidationError:
        return
    for step, what, hint in made.faults():
        index = next((number for number, each in enumerate(steps) if each.name == step), None)
        place: Loc = loc if index is None else (*loc, "steps", index)
        scope.findings.problem(place, what, hint, key=True)


def _steps(scope: Scope, raw: Any, loc: Loc, recipe: type[Any] | None) -> tuple[StepSpec, ...]:
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        scope.findings.problem(loc, "steps should be a list of tables", f"write [[{'.'.join(map(str, loc))}]] before each", key=True)
        return ()
    steps: dict[str, StepSpec] = {}
    for index, item in enumerate(raw):
        here: Loc = (*loc, index)
        own: type[Options] | None = recipe.step_type if recipe else None
        common, mine = split(scope.references.table(item, here, types_of(StepKeys, own)), StepKeys, None)
        keys = scope.keys(StepKeys, common, here, names_of(own) if own else ())
        name = keys.name or keys.stage
        if not name and scope.findings.at((*here, "stage")):
            name = f"({index})"
        if not name:
            # a number would shift when a step is put in between, and everyone would hear again
            scope.findings.problem(here, "the step has no name", 'add stage = "…": it is part of what makes a message unique', key=True)
            continue
        if name in steps:
            scope.findings.problem(here, f"two steps are called {shown(name)}", "give each its own stage or name", key=True)
        if keys.name and keys.stage:
            mine["stage"] = keys.stage
        if recipe is not None and own is not None:
            scope.step(recipe, own, mine, here, names_of(StepKeys))
        grave = recipe is not None and (keys.stage or name) in recipe.grave
        steps[name] = StepSpec(
            name=name,
            options=mine,
            channel=keys.channel,
            fallback=keys.fallback,
            via=keys.via,
            wording=_wording(scope, keys, here),
            approve=keys.approve if "approve" in item else grave,
            description=keys.description or "",
        )
    return tuple(steps.values())


def _wording(scope: Scope, keys: WordingKeys, loc: Loc) -> Wording:
    return Wording(
        subject=keys.subject,
        text=_from_file(scope, keys.text, keys.text_file, "text", loc),
        html=_from_file(scope, keys.html, keys.html_file, "html", loc),
        template=keys.template,
        vars=keys.vars,
        params=keys.params,
        reply_to=keys.reply_to,
        sender=keys.sender,
        cc=keys.cc,
        bcc=keys.bcc,
        attachments=keys.attachments,
        max_chars=keys.max_chars,
        extra=keys.extra,
    )


def _from_file(scope: Scope, text: str | None, file: str | None, key: str, loc: Loc) -> str | None:
    """The text itself, or the content of the file beside the profile."""
    if file is None:
        return text
    at: Loc = (*loc, f"{key}_file")
    if text is not None:
        scope.findings.problem(at, f"{key} and {key}_file are both given", "keep one", key=True)
        return text
    folder = scope.file.path.parent
    try:
        if not (folder / file).resolve().is_relative_to(folder.resolve()):
            scope.findings.problem(at, f"{shown(file)} lies outside the profile's folder", "move it beside the profile")
            return ""
        content = read_bytes(folder / file, _LONGEST_TEXT)[0].decode("utf-8-sig")
    except Unreadable as error:
        scope.findings.problem(at, f"the file {shown(file)} {error.what}", error.hint)
    except UnicodeDecodeError:
        scope.findings.problem(at, f"the file {shown(file)} is not UTF-8 text", "save it as UTF-8")
    except (OSError, ValueError, RuntimeError):  # a loop of links, a name too long
        scope.findings.problem(at, f"the file {shown(file)} cannot be read", "correct the path")
    else:
        return content
    return ""

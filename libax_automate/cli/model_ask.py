"""The questions of ``automate models new``, in the order of LX-35: name, recipe, period, the recipe's rules, the message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from libax_automate.cli.model_form import SAYS, WAYS, Form, fault, period_faults, written
from libax_automate.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from pydantic.fields import FieldInfo

    from libax_automate.cli.output import Output

#: what is offered beside the recipe's own rules: for whom
_WHOM = ("audience", "where")
_WORDS = {
    "at": "at times of the day",
    "cron": "by a cron line",
    "every": "every so many days or hours",
    "realtime": "when something is new",
}


def complete(out: Output, form: Form, today: date) -> None:
    """Ask for everything that is not given yet; answers land in ``form``. Raises KeyboardInterrupt where the person leaves."""
    while not form.name:
        name = out.ask("name of the model")
        if problem := form.name_fault(name):
            out.say(f"  {problem[0]} → {problem[1]}")
        else:
            form.name = name
    if form.recipe is None:
        form.use(_recipe(out, form))
    assert form.recipe is not None
    table = form.table
    if form.recipe.entity and "source" not in table:
        table["source"] = _source(out, form)
    if not any(key in table for key in WAYS):
        _period(out, table, today, realtime=form.recipe.realtime)
    elif "every" in table and "start" not in table:
        table["start"] = _common(out, "start", "first day", str(today))
    _rules(out, table, form.options(), f"rules of {form.recipe.name}", common=form.recipe.messages)
    if form.recipe.messages and not any(key in table for key in SAYS):
        _message(out, form)


def _recipe(out: Output, form: Form) -> str:
    names = list(form.space.catalogue.names("model"))
    width = max(map(len, names))
    for name in names:
        out.say(f"  {name:<{width}}  {form.space.catalogue.model(name).title}")
    return out.ask("recipe", names)


def _source(out: Output, form: Form) -> str:
    names = form.sources()
    if not names:
        raise UsageError(
            f"no app of {form.profile.name} has records to read", hint=f"add one to {form.profile.path}; see: automate connectors list"
        )
    return out.ask("app that the records come from", names, names[0] if len(names) == 1 else "")


# -- the period ------------------------------------------------------------------------------------------------------------


def _period(out: Output, table: dict[str, Any], today: date, *, realtime: bool) -> None:
    ways = [way for way in WAYS if realtime or way != "realtime"]
    for way in ways:
        out.say(f"  {way:<8}  {_WORDS[way]}")
    way = out.ask("period", ways, "at")
    while True:
        answers = _when(out, way, today)
        faults = period_faults(
            {**answers, **{key: table[key] for key in ("weekdays", "monthdays", "months", "start", "end") if key in table}}
        )
        if not faults:
            break
        for text in faults:
            out.say(f"  {text}")
    for key, value in answers.items():
        table.setdefault(key, value)


def _when(out: Output, way: str, today: date) -> dict[str, Any]:
    """The keys of one way to run; those that limit nothing are left out."""
    if way == "realtime":
        return {"realtime": True}
    found: dict[str, Any] = {}
    if way == "cron":
        found["cron"] = out.ask("five cron fields", default="30 9 * * *")
    elif way == "every":
        found["every"] = out.ask("repetition, such as 14d or 2h", default="7d")
    if way == "at" or (way == "every" and _counts_days(found["every"])):
        found["at"] = _common(out, "at", "time of day", "09:30")
    if way == "at":
        for key, question in (("weekdays", "weekdays"), ("monthdays", "days of the month"), ("months", "months")):
            value = _common(out, key, question, "all")
            if value != "all":
                found[key] = value
    # LX-37, LX-38
    found["start"] = _common(out, "start", "first day", str(today))
    if end := _common(out, "end", "last day (Enter = none)", ""):
        found["end"] = end
    return found


def _counts_days(every: str) -> bool:
    """Whether a repetition takes a time of day; one of hours counts from midnight."""
    return not period_faults({"every": every, "at": "09:30", "start": "2026-01-01"})


# -- rules -----------------------------------------------------------------------------------------------------------------


def _rules(out: Output, table: dict[str, Any], options: Mapping[str, FieldInfo], title: str, *, common: bool) -> None:
    """Required options are asked; the others are listed with default and description, to be picked by name."""
    from libax_automate.engine.profile.keys import ModelKeys

    for key, info in options.items():
        if info.is_required() and key not in table:
            table[key] = _answer(out, key, info, f"{key}, {_lower(info.description)}" if info.description else key)
    offered = {key: info for key, info in options.items() if key not in table}
    if common:
        offered |= {key: ModelKeys.model_fields[key] for key in _WHOM if key not in table}
    if not offered:
        return
    width = max(map(len, offered))
    out.say(f"{title}, each with its default:")
    for key, info in offered.items():
        default = _default(info)
        out.say(f"  {key:<{width}}  {f'({default}) ' if default else ''}{info.description or ''}")
    while True:
        typed = out.ask("rule to set (Enter = no more)")
        if not typed:
            return
        found = [key for key in offered if key == typed] or [key for key in offered if key.startswith(typed.lower())]
        if len(found) != 1:
            out.say(f"  {typed!r} is none of {', '.join(offered)}")
            continue
        value = _answer(out, found[0], offered[found[0]], found[0], optional=True)
        if value == "":
            table.pop(found[0], None)
        else:
            table[found[0]] = value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}, ""):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _common(out: Output, key: str, question: str, default: str) -> Any:
    """An answer for a key that every model takes."""
    from libax_automate.engine.profile.keys import ModelKeys

    return _answer(out, key, ModelKeys.model_fields[key], question, default=default, optional=not default)


def _answer(out: Output, key: str, info: FieldInfo, question: str, *, default: str = "", optional: bool = False) -> Any:
    """An answer that fits ``key``: TOML where it is TOML, several texts with commas between where it takes a list; "" where it may stay away."""
    from libax_automate.engine.profile.added import value_of
    from libax_automate.options import is_secret

    if is_secret(info):
        # nobody types a secret where it is seen and kept
        question += " (a secret: the environment variable that holds it)"
    while True:
        typed = out.ask(question, default=default)
        if not typed and optional:
            return ""
        if not typed:
            continue
        value = {"env": typed} if is_secret(info) else value_of(typed, info.annotation)
        if value == typed and "," in typed and _takes_list(info.annotation):
            value = [part for each in typed.split(",") if (part := each.strip())]
        problem = fault(info, value)
        if problem and not isinstance(value, list | dict) and not fault(info, [value]):
            return [value]
        if not problem:
            return value
        out.say(f"  {key}: {problem}")


def _takes_list(annotation: Any) -> bool:
    """Whether a key of this type takes several values; one in quotes may hold a comma."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _takes_list(get_args(annotation)[0])
    if origin is Union or type(annotation).__name__ == "UnionType":
        return any(map(_takes_list, get_args(annotation)))
    return origin in {tuple, list}


# -- the message -----------------------------------------------------------------------------------------------------------


def _message(out: Output, form: Form) -> None:
    table = form.table
    assert form.recipe is not None
    channels = form.channels()
    channel = str(table.get("channel", ""))
    if not channel and not table.get("via"):
        channel = table["channel"] = out.ask("channel", list(channels), next(iter(channels)))
    app = str(table.get("via", ""))
    if not app and channel in channels:
        apps = channels[channel]
        default = next((name for each, name in form.profile.defaults.apps.items() if str(each) == channel), "")
        app = apps[0]
        if not default and (len(apps) > 1 or channel != "email"):
            app = table["via"] = out.ask(f"app that sends {channel}", apps, apps[0] if len(apps) == 1 else "")
    templates = bool(app) and form.keeps_templates(app)
    out.say(f"placeholders: {_placeholders(form)}")
    if form.recipe.step_type is None:
        _wording(out, table, app if templates else "", subject=channel == "email")
        return
    steps: list[dict[str, Any]] = []
    names = written(form.recipe.step_type)
    while True:
        name = out.ask(f"stage of step {len(steps) + 1}" + (" (Enter = no more)" if steps else ""))
        if not name and steps:
            break
        if not name or any(step["stage"] == name for step in steps):
            continue
        step: dict[str, Any] = {"stage": name}
        _rules(out, step, {key: info for key, info in names.items() if key != "stage"}, f"rules of {name}", common=False)
        _wording(out, step, app if templates else "", subject=channel == "email")
        steps.append(step)
    table["steps"] = steps


def _wording(out: Output, table: dict[str, Any], templates: str, *, subject: bool) -> None:
    """What a message says; ``templates`` is the app whose provider keeps texts, if it does."""
    ask: Callable[[str], str] = out.ask
    if templates and (template := ask(f"template kept at {templates} (Enter = write a text)")):
        table["template"] = template
        if words := [
            part for each in ask("fields for its {{1}}, {{2}} …, with commas (Enter = none)").split(",") if (part := each.strip())
        ]:
            table["vars"] = words
        return
    if subject and "subject" not in table and (line := ask("subject (Enter = a generic one)")):
        table["subject"] = line
    while not (text := out.ask_text("text").strip("\n")).strip():
        out.say("  the message is empty (LX-52) → write what people shall read")
    table["text"] = f"{text}\n" if "\n" in text else text


def _placeholders(form: Form) -> str:
    """Some of the fields that a text may name."""
    assert form.recipe is not None
    own = [*form.recipe.placeholders]
    names = [*own, *(name for name in ("first_name", "name", "email", "city") if name not in own)]
    return ", ".join("{{ " + name + " }}" for name in names[:8])

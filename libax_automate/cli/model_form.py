"""A model that is being put together: what is known of it, what is missing, and whether an answer fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libax_automate.errors import AutomateError, NotFound, UsageError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from libax_automate.engine.spec import Profile
    from libax_automate.engine.workspace import Workspace
    from libax_automate.model import Model
    from libax_automate.options import Options

#: the ways to fire
WAYS = ("at", "cron", "every", "realtime")
#: one of these says what people read, or that somebody else gets the list
SAYS = ("text", "html", "template", "text_file", "html_file", "webhook", "steps")


@dataclass
class Form:
    """A model's table as it grows; ``settings`` are the ``--set`` that are read once the recipe is known."""

    space: Workspace
    profile: Profile
    name: str = ""
    table: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    recipe: type[Model[Any]] | None = None

    def name_fault(self, name: str) -> tuple[str, str] | None:
        """Why a model cannot be called so, and what to do; None where it can."""
        from libax_automate.engine.profile.keys import name_problem

        if problem := name_problem(name):
            return f"model {problem[0]}", problem[1]
        if (spec := self.profile.models.get(name)) is not None:
            there = f"{self.profile.path}:{spec.line}"
            return f"{self.profile.name} has a model {name!r} already", f"choose another name, or change it at {there}"
        return None

    def use(self, name: str) -> None:
        """Settle the recipe, and read what was given for its keys; raises NotFound where no such recipe is installed."""
        from libax_automate.engine.profile.added import value_of
        from libax_automate.engine.profile.keys import ModelKeys
        from libax_automate.engine.profile.scope import types_of
        from libax_automate.errors import PluginError

        try:
            self.recipe = self.space.catalogue.model(name)
        except PluginError as error:
            # asked for by a person, not by a profile: nothing is broken
            raise NotFound(error.message, hint=error.hint) from None
        types = types_of(self.recipe.options_type, ModelKeys)
        self.table = {"use": name, **self.table, **{key: value_of(text, types.get(key)) for key, text in self.settings.items()}}
        self.settings = {}

    def options(self) -> Mapping[str, FieldInfo]:
        """The recipe's own options by the key that a profile writes."""
        return written(self.recipe.options_type) if self.recipe is not None else {}

    def sources(self) -> list[str]:
        """The apps that records can come from."""
        from libax_automate.connector import Source

        return [name for name, app in self.profile.apps.items() if issubclass(self.space.catalogue.connector(app.connector), Source)]

    def missing(self) -> Iterator[tuple[str, str]]:
        """The arguments without which there is no model, each with what it is."""
        if not self.name:
            yield "NAME", "what the model is called"
        if self.recipe is None:
            yield "--use", f"the recipe: {', '.join(self.space.catalogue.names('model'))}"
        elif self.recipe.entity and "source" not in self.table:
            yield "--source", f"the app that the records come from: {', '.join(self.sources()) or 'the profile has none'}"
        if not any(key in self.table for key in WAYS):
            yield "--at", "when it runs: --at, --cron, --every or --realtime"
        elif "every" in self.table and "start" not in self.table:
            yield "--start", "the day from which --every counts"
        if self.recipe is None:
            return
        for key, info in self.options().items():
            if info.is_required() and key not in self.table:
                yield f"--set {key}=…", (info.description or "needed by the recipe").rstrip(".")
        if self.recipe.messages and not any(key in self.table for key in SAYS):
            if self.recipe.step_type is not None:
                yield "--set steps=…", 'the steps, such as [{ stage = "aviso", text = "…" }]'
            else:
                yield "--set text=…", "what people read; or html, template or webhook"

    def complete(self) -> bool:
        """Whether nothing is missing."""
        return next(self.missing(), None) is None

    def refusal(self) -> UsageError:
        """What is missing, in one error that names each argument."""
        lacking = [*self.missing()]
        names = ", ".join(name for name, _ in lacking)
        what = "; ".join(f"{name}: {text}" for name, text in lacking)
        return UsageError(f"{names} {'is' if len(lacking) == 1 else 'are'} missing", hint=f"{what}; see: automate models new --help")

    def channels(self) -> dict[str, list[str]]:
        """The channels that people can be written to by, each with the apps that send by it; the default app comes first."""
        from libax_automate.engine.profile.keys import REACH

        found: dict[str, list[str]] = {}
        for channel in REACH:
            default = self.profile.defaults.apps.get(channel)
            able = [name for name in self.space.apps(self.profile) if self._sends(name, channel)]
            if apps := list(dict.fromkeys([*([default] if default else []), *able])):
                found[str(channel)] = apps
        return found

    def _sends(self, app: str, channel: Any) -> bool:
        try:
            return channel in self.space.channels(self.profile, app)
        except AutomateError:
            return False  # the check of the whole says why

    def keeps_templates(self, app: str) -> bool:
        """Whether an app's provider keeps texts of its own."""
        from libax_automate.connector import Capability

        try:
            return Capability.TEMPLATES in self.space.connector(self.profile, self.space.apps(self.profile)[app]).offers()
        except (AutomateError, KeyError):
            return False


def written(options: type[Options]) -> dict[str, FieldInfo]:
    """The fields of an options class by the key that a profile writes."""
    return {info.alias or name: info for name, info in options.model_fields.items()}


def fault(info: FieldInfo, value: Any) -> str:
    """Why ``value`` does not fit a key, and what to do; "" where it does, as far as the key alone can tell."""
    from pydantic import ValidationError, create_model

    from libax_automate.engine.profile.findings import said
    from libax_automate.engine.profile.secrets import is_reference
    from libax_automate.options import Options

    if is_reference(value):
        return ""
    made: Any = create_model("Answer", __base__=Options, value=(info.rebuild_annotation(), ...))
    try:
        made.model_validate({"value": value})
    except ValidationError as error:
        return said(error.errors(include_url=False, include_input=False))
    return ""


def period_faults(table: Mapping[str, Any]) -> list[str]:
    """What is wrong with the keys of a period together: a cron line that nobody can read, a repetition too short."""
    from pydantic import ValidationError

    from libax_automate.engine import schedule
    from libax_automate.engine.profile.findings import said
    from libax_automate.engine.profile.keys import ModelKeys
    from libax_automate.engine.spec import Schedule

    names = (*WAYS, "weekdays", "monthdays", "months", "start", "end")
    try:
        keys = ModelKeys.model_validate({"use": "", **{name: table[name] for name in names if name in table}})
    except ValidationError as error:
        return [said(error.errors(include_url=False, include_input=False))]
    plan = Schedule(**{name: getattr(keys, name) for name in names})
    if plan.start and plan.end and plan.end < plan.start:
        return ["the last day is before the first"]
    return schedule.validate(plan)

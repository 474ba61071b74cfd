"""What a profile can get wrong that only its plugins, its data and its applications can tell: everything at once, placed in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from libax_automate.connector import CHANNELS, Actor, Capability, Connector, Referencer, Sender, Source, Template
from libax_automate.engine import calendar, schedule
from libax_automate.engine.compose import check_fields
from libax_automate.engine.errand import options_at_fault
from libax_automate.engine.preflight import LOCAL, REMOTE, preflight
from libax_automate.engine.profile.positions import Loc, Positions
from libax_automate.engine.spec import AppSpec, ModelSpec, Profile, Wording
from libax_automate.engine.texts import fact, flight_faults, template_faults
from libax_automate.engine.walltime import local_of
from libax_automate.engine.way import channel_of
from libax_automate.engine.workspace import FREE_PLAN, Workspace
from libax_automate.errors import AutomateError, Problem
from libax_automate.message import Channel
from libax_automate.model import Model

_CAPABILITY = {channel: capability for capability, channel in CHANNELS.items()}
_PLACED = re.compile(r"(?P<path>.*?):(?P<line>\d+):(?P<column>\d+): (?P<what>.*)", re.DOTALL)
_KEY = re.compile(r"(?:steps (?P<step>\S+), )?(?P<key>\w+)(?:\[(?P<number>\d+)\]|\.(?P<name>\S+))?")
#: schedules that meet within so many days are named
_AHEAD = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, placed; a warning where the profile works all the same."""

    problem: Problem
    warning: bool = False


def check_profile(
    space: Workspace, profile: Profile, *, connect: bool = False, texts: list[dict[str, Any]] | None = None, content: str | None = None
) -> list[Finding]:
    """All findings on a loaded profile, in the order of the file.

    Without ``connect`` nothing leaves the machine but what a source needs to say which fields it has, and records are looked at where they
    are files. With it every app proves its credentials, templates kept at a provider are looked up (LX-79, IB-05), and every source's
    records are looked at. ``texts`` gets the longest SMS of each model and step (PR-31). ``content`` is what the profile was loaded from,
    where that is not what its file holds.
    """
    with ExitStack() as stack:
        check = _Check(space, profile, stack, connect=connect, content=content)
        check.run()
    if texts is not None:
        texts += check.texts
    found = list(dict.fromkeys(check.found))
    return sorted(found, key=lambda each: (each.problem.path, each.problem.line, each.problem.column))


class _Check:
    def __init__(self, space: Workspace, profile: Profile, stack: ExitStack, *, connect: bool, content: str | None = None) -> None:
        self.space, self.profile, self.connect = space, profile, connect
        self._content = content
        self.found: list[Finding] = []
        self.texts: list[dict[str, Any]] = []
        self._stack = stack
        self._apps: Mapping[str, AppSpec] = space.apps(profile)
        self._connectors: dict[str, Connector[Any] | None] = {}
        self._templates: dict[tuple[str, Channel | None], list[Template] | None] = {}
        self._positions: Positions | None = None
        self._path = str(profile.path)

    # -- saying it -----------------------------------------------------------------------------------------------------

    def problem(self, loc: Loc, what: str, hint: str = "", *, warning: bool = False) -> None:
        if self._positions is None:
            content = self._content
            self._positions = Positions(self.profile.path.read_text(encoding="utf-8-sig", errors="replace") if content is None else content)
        line, column = self._positions.value(loc)
        text, hinted = self.space.redactor.text(what), self.space.redactor.text(hint)
        self.found.append(Finding(Problem(self._path, line, column, text, hinted), warning))

    def warn(self, loc: Loc, what: str, hint: str = "") -> None:
        self.problem(loc, what, hint, warning=True)

    # -- looking -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        for text in self.profile.warnings:
            match = _PLACED.fullmatch(text)
            if match is None:
                self.warn((), text)
                continue
            what, _, hint = match["what"].partition(" → ")
            self.found.append(Finding(Problem(match["path"], int(match["line"]), int(match["column"]), what, hint), warning=True))
        for app in self.profile.apps.values():
            self._app(app)
        for spec in self.profile.models.values():
            self._model(spec)
        self._twins()
        self._collisions()
        self._send_tasks()

    def _connector(self, name: str) -> Connector[Any] | None:
        """An app's connector, open; None where it cannot be had, which is said once."""
        if name not in self._connectors:
            self._connectors[name] = None
            try:
                made = self.space.connector(self.profile, self._apps[name])
                self._stack.callback(made.close)
                made.open()
                self._connectors[name] = made
            except AutomateError as error:
                self.problem(("apps", name), f"{name}: {error.message}", error.hint)
        return self._connectors[name]

    def _app(self, app: AppSpec) -> None:
        connector = self._connector(app.name)
        if connector is None or not self.connect:
            return
        try:
            connector.check()
        except AutomateError as error:
            self.problem(("apps", app.name), f"{app.name} ({app.connector}): {error.message}", error.hint or self._help(app))
        except Exception as error:
            self.problem(("apps", app.name), f"{app.name} ({app.connector}): its check broke: {type(error).__name__}: {error}")

    @staticmethod
    def _help(app: AppSpec) -> str:
        return f"see: automate connectors show {app.connector}"

    def _model(self, spec: ModelSpec) -> None:
        loc: Loc = ("models", spec.name)
        try:
            recipe = self.space.recipe(spec)
        except AutomateError as error:
            self.problem((*loc, "use"), error.message, error.hint)
            return
        available = self._source(spec, recipe, loc)
        people = self._people(spec) if available is not None and recipe.entity_name() != "contacts" else None
        wrong = check_fields(spec, recipe, self.profile, available, people=people)
        for text in wrong:
            key, _, rest = text.partition(": ")
            what, _, hint = text.partition(" → ")
            if hint == "" and "; did you mean" in what:
                what, _, hint = what.partition("; ")
            self.problem(
                self._loc(spec, loc, key if rest else ""), f"{spec.name}: {what}", hint or f"see: automate models fields {spec.name}"
            )
        self._activity(spec, loc)
        self._references(spec, recipe, loc)
        for place, what, hint, warning in options_at_fault(recipe, self.profile, available, self._connector):
            self.problem((*loc, *place), f"{spec.name}: {what}", hint, warning=warning)
        self._ways(spec, recipe, loc)
        self._files(spec, loc)
        self._time(spec, loc)
        if not wrong:
            self._preflight(spec, loc)

    def _loc(self, spec: ModelSpec, loc: Loc, where: str) -> Loc:
        """The place of a key as :func:`check_fields` names it: ``text``, ``vars[2]``, ``params.name``, ``steps aviso, text``."""
        match = _KEY.fullmatch(where)
        if match is None:
            return loc
        index = next((number for number, step in enumerate(spec.steps) if step.name == match["step"]), None)
        wording = spec.wording if index is None else spec.steps[index].wording
        place: Loc = loc if index is None else (*loc, "steps", index)
        key = match["key"]
        if key in {"text", "html"} and getattr(wording, key) is None:
            key = "template" if wording.template else f"{key}_file"
        if match["number"]:
            return (*place, key, int(match["number"]) - 1)
        return (*place, key, match["name"]) if match["name"] else (*place, key)

    def _source(self, spec: ModelSpec, recipe: Model[Any], loc: Loc) -> frozenset[str] | None:
        """The fields of what the model reads, where its source can tell."""
        if spec.source is None or spec.source not in self._apps:
            return None
        connector = self._connector(spec.source)
        if not isinstance(connector, Source):
            return None
        entity = recipe.entity_name()
        try:
            entities = connector.entities()
            if entity not in entities:
                self.problem(
                    (*loc, "source"), f"{spec.name}: {spec.source!r} has no {entity}", f"it has: {', '.join(entities) or 'nothing'}"
                )
                return None
            return connector.fields(entity)
        except AutomateError as error:
            self.problem(("apps", spec.source), f"{spec.source}: {error.message}", error.hint)
            return None

    def _people(self, spec: ModelSpec) -> frozenset[str] | None:
        """The fields of the people whom a model's records belong to, where its source can tell."""
        connector = self._connector(spec.source) if spec.source is not None and spec.source in self._apps else None
        if not isinstance(connector, Source) or "contacts" not in connector.entities():
            return None
        try:
            return connector.fields("contacts")
        except AutomateError:
            return None  # the app's own check says it

    def _activity(self, spec: ModelSpec, loc: Loc) -> None:
        if not spec.activity or spec.source is None or spec.source not in self._apps:
            return
        connector = self._connector(spec.source)
        if connector is not None and not (isinstance(connector, Actor) and Capability.ACTIONS in connector.offers()):
            self.problem((*loc, "activity"), f"{spec.name}: {spec.source!r} takes no activities (LX-55)", "remove activity = true")

    def _references(self, spec: ModelSpec, recipe: Model[Any], loc: Loc) -> None:
        app = recipe.referencer()
        if app is None:
            return
        able = ", ".join(name for name in self._apps if isinstance(self._connector(name), Referencer)) or "none of the apps"
        if app not in self._apps:
            self.problem((*loc, "references"), f"{spec.name}: no app is named {app!r}", f"{able} can")
        elif (connector := self._connector(app)) is not None and not isinstance(connector, Referencer):
            self.problem((*loc, "references"), f"{spec.name}: {app!r} ({connector.name}) makes no payment references", f"{able} can")

    # -- where it goes ---------------------------------------------------------------------------------------------------

    def _ways(self, spec: ModelSpec, recipe: Model[Any], loc: Loc) -> None:
        """Every app the model sends by can do what is asked of it, and has the template."""
        if not recipe.messages:
            return
        steps: list[tuple[str, Loc, Wording]] = [("", loc, spec.wording)]
        steps += [(step.name, (*loc, "steps", index), step.wording) for index, step in enumerate(spec.steps)]
        for name, place, wording in steps:
            if not name and spec.steps and not (wording.text or wording.html or wording.template or spec.webhook):
                continue
            try:
                channel, app = channel_of(spec, self.profile, step=name, channels_of=self._channels)
            except AutomateError as error:
                self.problem((*place, "channel"), error.message, error.hint)
                continue
            self._way(spec, recipe, place, channel, app=app, wording=wording)

    def _channels(self, app: str) -> frozenset[Channel]:
        connector = self._connector(app) if app in self._apps else None
        return frozenset(CHANNELS[each] for each in connector.offers() if each in CHANNELS) if connector else frozenset()

    def _way(self, spec: ModelSpec, recipe: Model[Any], place: Loc, channel: Channel, *, app: str, wording: Wording) -> None:
        if app not in self._apps:
            return  # said by the loader
        if app == FREE_PLAN and FREE_PLAN not in self.profile.apps:
            self.warn(
                (*place, "channel"), f"{spec.name}: no e-mail app is the default, so this machine's own mail server sends it (LX-15)",
                'add email = "APP" to [defaults]',
            )  # fmt: skip
        connector = self._connector(app)
        if connector is None:
            return
        if _CAPABILITY[channel] not in connector.offers():
            able = ", ".join(name for name in self._apps if channel in self._channels(name)) or "none of the apps"
            key = "via" if spec.via == app else "webhook" if spec.webhook == app else "channel"
            self.problem((*place, key), f"{spec.name}: {app!r} ({connector.name}) does not send {channel}", f"{able} can")
        elif (
            channel is Channel.EMAIL and Capability.ATTACHMENTS not in connector.offers() and (what := self._carried(spec, recipe, wording))
        ):
            key, thing = what
            able = ", ".join(name for name in self._apps if self._carries(name)) or "none of the apps"
            self.problem(
                (*place, key), f"{spec.name}: {app!r} ({connector.name}) carries no files, and {thing} goes with it", f"{able} can"
            )
        elif wording.template and self.connect:
            self._template(spec, place, channel=channel, connector=connector, app=app, wording=wording)
        if channel is Channel.EMAIL and "no-email" in spec.audience:
            self.warn((*place, "audience"), f"{spec.name}: reaches nobody: e-mail for people without e-mail", "use another channel")
        if channel in (Channel.SMS, Channel.WHATSAPP) and "no-mobile" in spec.audience:
            self.warn((*place, "audience"), f"{spec.name}: reaches nobody: {channel} for people without a mobile", "use another channel")

    def _carried(self, spec: ModelSpec, recipe: Model[Any], wording: Wording) -> tuple[str, str] | None:
        """The key that makes a model's e-mails carry a file, and what it is; None where they carry none."""
        if recipe.stationery() is not None:
            return ("via" if spec.via else "use"), "a document"
        return ("attachments", "a file") if wording.attachments or spec.wording.attachments else None

    def _carries(self, app: str) -> bool:
        connector = self._connector(app)
        return connector is not None and {Capability.EMAIL, Capability.ATTACHMENTS} <= connector.offers()

    def _template(self, spec: ModelSpec, place: Loc, *, channel: Channel, connector: Connector[Any], app: str, wording: Wording) -> None:
        if not isinstance(connector, Sender) or Capability.TEMPLATES not in connector.offers():
            return
        if (app, channel) not in self._templates:
            try:
                self._templates[app, channel] = list(connector.templates(channel))
            except AutomateError as error:
                self._templates[app, channel] = None
                self.problem(("apps", app), f"{app}: its templates cannot be listed: {error.message}", error.hint)
        known = self._templates[app, channel]
        for key, what, hint, warning in template_faults(app, wording, known) if known is not None else ():
            self.problem((*place, *_parts(key)), f"{spec.name}: {what}", hint, warning=warning)

    def _preflight(self, spec: ModelSpec, loc: Loc) -> None:
        """What the model would say over the records that are there."""
        source = self._connector(spec.source) if spec.enabled and spec.source is not None and spec.source in self._apps else None
        if not isinstance(source, Source) or not (self.connect or source.local):
            return
        texts = {each.id: each.text for (_, channel), known in self._templates.items() if channel is Channel.SMS for each in known or ()}
        limit = REMOTE if self.connect else LOCAL
        try:
            flight = preflight(self.space, self.profile, spec, source, limit=limit, patient=self.connect, templates=texts)
        except AutomateError as error:
            self.problem(("apps", str(spec.source)), f"{spec.source}: {error.message}", error.hint)
            return
        if flight is None:
            return
        for key, what, hint, warning in flight_faults(flight, thorough=self.connect):
            self.problem(self._loc(spec, loc, key), f"{spec.name}: {what}", hint, warning=warning)
        self.texts += [fact(self.profile.name, spec.name, each) for each in flight.longest]

    def _files(self, spec: ModelSpec, loc: Loc) -> None:
        wordings: list[tuple[Loc, Wording]] = [(loc, spec.wording)]
        wordings += [((*loc, "steps", index), step.wording) for index, step in enumerate(spec.steps)]
        root = self.profile.folder.resolve()
        for place, wording in wordings:
            for name in wording.attachments:
                path = (root / name).resolve()
                if not path.is_relative_to(root):
                    self.problem(
                        (*place, "attachments"),
                        f"{spec.name}: attachment {name!r} lies outside the profile's folder",
                        "move it beside the profile",
                    )
                elif not path.is_file():
                    self.problem((*place, "attachments"), f"{spec.name}: attachment {name!r} does not exist", f"put it into {root}")

    # -- when, and for whom ------------------------------------------------------------------------------------------------

    def _time(self, spec: ModelSpec, loc: Loc) -> None:
        plan = spec.schedule
        if not spec.enabled or not (plan.at or plan.cron or plan.every):
            return
        now = self.space.clock.now()
        if schedule.next_fire(plan, self.profile.timezone, now) is None:
            why = f"it ended on {plan.end}" if plan.end and plan.end <= local_of(now, self.profile.timezone).date() else "no day fits"
            self.warn((*loc, "end") if plan.end else loc, f"{spec.name}: never fires again: {why}", "move end, or set enabled = false")

    def _twins(self) -> None:
        """Who is reached by no model of a recipe: the filters no-mobile and no-email send people to each other (LX-48, LX-49)."""
        families: dict[tuple[str, str | None], list[tuple[ModelSpec, Channel]]] = {}
        for spec in self.profile.models.values():
            if spec.enabled and spec.webhook is None and not spec.steps:
                try:
                    channel, _ = channel_of(spec, self.profile, channels_of=self._channels)
                except AutomateError:
                    continue
                families.setdefault((spec.use, spec.source), []).append((spec, channel))
        for members in families.values():
            by_mail = [spec for spec, channel in members if channel is Channel.EMAIL]
            by_phone = [spec for spec, channel in members if channel in (Channel.SMS, Channel.WHATSAPP)]
            if by_mail and all("no-mobile" in spec.audience for spec in by_mail):
                self._pair(by_mail[0], by_phone, ("no-mobile", "no-email"), "a mobile", "SMS")
            if by_phone and all("no-email" in spec.audience for spec in by_phone) and not by_mail:
                self._pair(by_phone[0], by_mail, ("no-email", "no-mobile"), "an e-mail", "e-mail")

    def _pair(self, spec: ModelSpec, others: list[ModelSpec], words: tuple[str, str], what: str, by: str) -> None:
        loc: Loc = ("models", spec.name, "audience")
        mine, theirs = words
        if not others:
            self.warn(loc, f"{spec.name}: people with {what} are never reached ({mine})", f"add the same model by {by}, or drop {mine!r}")
        elif all(theirs in other.audience for other in others):
            names = ", ".join(other.name for other in others)
            self.warn(
                loc,
                f"{spec.name} and {names}: people with both a mobile and an e-mail are reached by neither",
                f"drop {theirs!r} from {others[0].name}",
            )

    def _collisions(self) -> None:
        """Two models at one time (IC-25): allowed, since the engine runs one after the other; said, since it may not be meant."""
        today = local_of(self.space.clock.now(), self.profile.timezone).date()
        said: set[tuple[str, ...]] = set()
        try:
            for group in calendar.collisions(calendar.events([self.profile], today, today + _AHEAD)):
                names = tuple(sorted({event.model for event in group}))
                if names not in said:
                    said.add(names)
                    first = group[0].local
                    self.warn(
                        ("models", names[0]),
                        f"{' and '.join(names)} fire at the same time, first on {first:%Y-%m-%d %H:%M} (IC-25)",
                        "they run one after the other",
                    )
        except AutomateError:
            return  # the loader has said what is wrong with a schedule

    def _send_tasks(self) -> None:
        """Tasks in pairs, as IXC users write them: allowed however they lie; said where IXC itself would not send."""
        from libax_automate.engine.sendtask import mispaired

        today = local_of(self.space.clock.now(), self.profile.timezone).date()
        try:
            for each in mispaired(self.profile, today, today + _AHEAD):
                key = "at" if self.profile.models[each.model].schedule.at else "cron"
                self.warn(("models", each.model, key), each.what, each.hint)
        except AutomateError:
            return  # the loader has said what is wrong with a schedule


def _parts(key: str) -> Loc:
    head, _, name = key.partition(".")
    return (head, name) if name else (head,)


def findings(
    space: Workspace, *, connect: bool = False, texts: list[dict[str, Any]] | None = None
) -> Iterator[tuple[Profile, list[Finding]]]:
    """Every profile in view with what was found; ``texts`` as in :func:`check_profile`."""
    for profile in space.profiles:
        yield profile, check_profile(space, profile, connect=connect, texts=texts)

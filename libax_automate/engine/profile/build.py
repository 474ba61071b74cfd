"""Files -> profiles: typed, frozen, everything resolved and defaulted; or every problem of every file at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import PydanticCustomError

from libax_automate.engine.profile.apps import build_apps
from libax_automate.engine.profile.file import ProfileFile, parsed, read_profile
from libax_automate.engine.profile.findings import Findings, shown
from libax_automate.engine.profile.keys import AppKeys, DefaultsKeys, ModelKeys, ProfileKeys, StepKeys, name_problem
from libax_automate.engine.profile.links import check_defaults
from libax_automate.engine.profile.locale import country_of, locale_of, zone_of
from libax_automate.engine.profile.models import build_models
from libax_automate.engine.profile.positions import Loc
from libax_automate.engine.profile.scope import Plugins, Scope, types_of
from libax_automate.engine.profile.secrets import References
from libax_automate.engine.profile.tact import tact_of
from libax_automate.engine.spec import Defaults, Profile
from libax_automate.errors import Problem, ProfileError
from libax_automate.message import Channel

_TABLES = ("defaults", "apps", "models")
_LISTS = ("tact",)


def load_profiles(paths: Iterable[Path], plugins: Plugins, environ: Mapping[str, str]) -> tuple[Profile, ...]:
    """The profiles in ``paths``, in that order.

    ``plugins`` finds connector and model classes, ``environ`` answers ``{ env = … }``. Raises ProfileError with every problem of
    every file, each with path, line and column and no secret in it; never anything else, whatever the files hold.
    """
    profiles, error = sound_profiles(paths, plugins, environ)
    if error is not None:
        raise error
    return profiles


def sound_profiles(paths: Iterable[Path], plugins: Plugins, environ: Mapping[str, str]) -> tuple[tuple[Profile, ...], ProfileError | None]:
    """The profiles with nothing wrong, and what is wrong with the others. Of two that share a name neither is sound: they would share a queue."""
    problems: list[Problem] = []
    profiles: list[Profile] = []
    names: dict[str, Path] = {}
    twice: set[str] = set()
    for path in paths:
        file = read_profile(path)
        profile = _profile(file, plugins, environ) if file.parsed else None
        if profile is not None:
            if profile.name in names:
                twice.add(profile.name)
                file.findings.problem(
                    ("name",),
                    f"{names[profile.name]} is called {shown(profile.name)} too",
                    "give each profile its own name",
                    key="name" in file.data,
                )
            names.setdefault(profile.name, path)
        found, warnings = file.findings.placed(str(path), file.text)
        problems += found
        if profile is not None and not found:
            profiles.append(_with_warnings(profile, warnings))
    if not problems:
        return tuple(profiles), None
    return tuple(profile for profile in profiles if profile.name not in twice), _refusal(problems)


def profile_within(path: Path, content: bytes, plugins: Plugins, environ: Mapping[str, str]) -> Profile:
    """The profile that the file at ``path`` would be with ``content`` in it; nothing is written. Raises as :func:`load_profiles` does."""
    file = parsed(path, content, path.stat().st_mode & 0o7777)
    profile = _profile(file, plugins, environ) if file.parsed else None
    problems, warnings = file.findings.placed(str(path), file.text)
    if profile is None or problems:
        raise _refusal(problems)
    return _with_warnings(profile, warnings)


def _refusal(problems: list[Problem]) -> ProfileError:
    count = len(problems)
    return ProfileError(
        f"{count} problem{'s' if count > 1 else ''} in the profile: {problems[0]}",
        hint="correct it, then `automate check`",
        problems=tuple(problems),
    )


def _profile(file: ProfileFile, plugins: Plugins, environ: Mapping[str, str]) -> Profile:
    """The profile in ``file``; a stand-in beside the findings, where it has problems."""
    findings = file.findings
    references = References(file.path.parent, environ, findings)
    scope = Scope(file, plugins, references)
    top = {key: value for key, value in file.data.items() if key not in (*_TABLES, *_LISTS)}
    keys = scope.keys(ProfileKeys, references.table(top, (), types_of(ProfileKeys)), (), (*_TABLES, *_LISTS))
    tables: dict[str, dict[str, Any]] = {name: _table(findings, file.data, name) for name in _TABLES}
    apps = build_apps(scope, tables["apps"])
    defaults = _defaults(scope, tables["defaults"])
    check_defaults(scope, defaults)
    models = build_models(scope, tables["models"], defaults)
    locale: str = _tried(findings, ("locale",), keys.locale, locale_of) or "en_US"
    if keys.timezone is None:
        findings.warn((), "the profile names no timezone: its times are UTC", 'add timezone = "Europe/Lisbon"')
    name = keys.name if keys.name is not None else file.path.stem
    if keys.name is None and (problem := name_problem(name)):
        findings.problem((), f"the file's name {problem[0]}", f"add name = …: {problem[1]}")
    return Profile(
        name=name,
        path=file.path,
        timezone=_tried(findings, ("timezone",), keys.timezone or "UTC", zone_of) or ZoneInfo("UTC"),
        locale=locale,
        country=_tried(findings, ("country",), keys.country, lambda code: country_of(code, locale)) or "",
        notify=keys.notify,
        report=keys.report,
        activation=keys.activation,
        retention=keys.retention or timedelta(days=365),
        defaults=defaults,
        apps=apps,
        models=models,
        tact=tact_of(scope, file.data.get("tact", []), models),
        referenced=frozenset(value for loc, value in references.resolved.items() if _is_option(loc)),
    )


def _with_warnings(profile: Profile, warnings: list[Problem]) -> Profile:
    return replace(profile, warnings=tuple(map(str, warnings))) if warnings else profile


def _table(findings: Findings, data: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if isinstance(table, dict):
        return table
    findings.problem((name,), f"{name} should be a table", f"write [{name}]" if name == "defaults" else f"write [{name}.NAME]", key=True)
    return {}


def _defaults(scope: Scope, raw: Mapping[str, Any]) -> Defaults:
    keys = scope.keys(DefaultsKeys, scope.references.table(raw, ("defaults",), types_of(DefaultsKeys)), ("defaults",))
    apps = {Channel.EMAIL: keys.email, Channel.SMS: keys.sms, Channel.WHATSAPP: keys.whatsapp}
    return Defaults(
        apps={channel: app for channel, app in apps.items() if app is not None},
        quiet=keys.quiet,
        send_weekdays=keys.send_weekdays,
        free_plan_sender=keys.free_plan_sender,
        reply_to=keys.reply_to,
        cap=keys.cap,
        brake=keys.brake,
    )


def _tried(findings: Findings, loc: Loc, value: Any, function: Any) -> Any:
    try:
        return function(value)
    except PydanticCustomError as error:
        context = error.context or {}
        findings.problem(loc, str(context["what"]), str(context["hint"]))
        return None


def _is_option(loc: Loc) -> bool:
    """Whether a reference fed a plugin (and so may be a secret) and not a common key such as ``timezone`` or ``text``."""
    shared = AppKeys if loc[0] == "apps" else StepKeys if len(loc) > 3 and loc[2] == "steps" else ModelKeys
    key = loc[4] if shared is StepKeys else loc[2] if len(loc) > 2 else ""
    return loc[0] in ("apps", "models") and (key in ("extra", "params") or key not in shared.model_fields)

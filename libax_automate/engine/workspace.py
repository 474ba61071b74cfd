"""Everything one command works with: profiles, plugins, the store, the clock, and the secrets to keep out of sight."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from libax_automate.clock import Clock, SystemClock
from libax_automate.connector import Connector, Place
from libax_automate.engine.redact import Redactor, secrets_of
from libax_automate.engine.spec import AppSpec, ModelSpec, Profile
from libax_automate.errors import NotFound, UsageError
from libax_automate.message import Channel
from libax_automate.plugins.catalogue import Catalogue, default_catalogue

if TYPE_CHECKING:
    from libax_automate.engine.store import Store
    from libax_automate.errors import ProfileError
    from libax_automate.model import Model

#: the app that sends e-mail where none is set as default (LX-15)
FREE_PLAN = "free-plan"


def database_path(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Where the state is: ``--db``, else ``$AUTOMATE_DB``, else ``$STATE_DIRECTORY/automate.db`` (systemd), else the user's state folder."""
    if given is not None:
        return given
    if environ.get("AUTOMATE_DB"):
        return Path(environ["AUTOMATE_DB"])
    if environ.get("STATE_DIRECTORY"):
        # systemd separates several with colons
        return Path(environ["STATE_DIRECTORY"].split(":")[0]) / "automate.db"
    from platformdirs import user_state_path

    return user_state_path("automate") / "automate.db"


@dataclass
class Workspace:
    """Opened once per command. ``store`` opens the database on first use."""

    profiles: tuple[Profile, ...]
    db_path: Path
    catalogue: Catalogue = field(default_factory=default_catalogue)
    clock: Clock = field(default_factory=SystemClock)
    redactor: Redactor = field(default_factory=Redactor)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("libax_automate"))
    #: looks for the profile files anew, for who stays: one that is put into the folder later is a change as well
    sources: Callable[[], list[Path]] | None = None
    #: what is wrong with the profiles that are not in view for it
    broken: ProfileError | None = None
    _store: Store | None = None

    @classmethod
    def open(
        cls,
        *,
        profiles: Path | None = None,
        profile: str | None = None,
        db: Path | None = None,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        sound: bool = False,
    ) -> Workspace:
        """Find and load the profiles (all, or the one named ``profile``); raises ProfileError with every finding.

        ``sound``: those with nothing wrong, if there is any, and the findings in ``broken``: one client's mistake stops no other's work.
        """
        from libax_automate.engine.profile import find_profiles, sound_profiles

        env = dict(os.environ) if environ is None else environ
        catalogue = default_catalogue()
        where = cwd or Path.cwd()
        paths = find_profiles(profiles, env, where)
        error = None
        if profile is None:
            loaded, error = sound_profiles(paths, catalogue, env)
            if error is not None and not (sound and loaded):
                raise error
        else:
            loaded = _one(profile, paths, catalogue, env)
        space = cls(loaded, database_path(db, env), catalogue, clock or SystemClock(), broken=error)
        space.sources = lambda: find_profiles(profiles, env, where)
        for each in loaded:
            space.redactor.add(secrets_of(each))
        return space

    @property
    def names(self) -> frozenset[str]:
        """The profiles in view."""
        return frozenset(profile.name for profile in self.profiles)

    def now(self) -> float:
        """The instant in epoch seconds, as the store keeps it."""
        return self.clock.now().timestamp()

    @property
    def store(self) -> Store:
        """The database, made if there is none."""
        if self._store is None:
            from libax_automate.engine.store import Store

            self._store = Store(self.db_path)
        return self._store

    def existing_store(self) -> Store | None:
        """The database if there is one: ``plan`` and the like must not make a file."""
        if self._store is not None or self.db_path.exists():
            return self.store
        return None

    def adopt(self, other: Workspace) -> None:
        """Take over the open database of the workspace that this one replaces."""
        self._store, other._store = other._store, None

    def close(self) -> None:
        """Let go of the database; safe twice."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- finding things by what people type ----------------------------------------------------------------------------

    def profile(self, name: str) -> Profile:
        """A profile by name."""
        for each in self.profiles:
            if each.name == name:
                return each
        raise NotFound(f"no profile is named {name!r}", hint=f"there are: {', '.join(sorted(self.names))}")

    def model(self, reference: str) -> tuple[Profile, ModelSpec]:
        """A model by ``name`` (while unambiguous) or ``profile/name``."""
        profile, name = self._resolve("model", reference, lambda each: each.models)
        return profile, profile.models[name]

    def app(self, reference: str) -> tuple[Profile, AppSpec]:
        """An app by ``name`` or ``profile/name``; the free plan is found as ``free-plan``."""
        profile, name = self._resolve("app", reference, self.apps)
        return profile, self.apps(profile)[name]

    def _resolve(self, noun: str, reference: str, table: Any) -> tuple[Profile, str]:
        import difflib

        wanted, _, name = reference.rpartition("/")
        matches = [each for each in self.profiles if name in table(each) and wanted in ("", each.name)]
        if len(matches) == 1:
            return matches[0], name
        if matches:
            options = ", ".join(f"{each.name}/{name}" for each in matches)
            raise UsageError(f"{noun} {name!r} is in several profiles", hint=f"say which: {options}")
        known = [f"{each.name}/{key}" if len(self.profiles) > 1 else key for each in self.profiles for key in table(each)]
        close = difflib.get_close_matches(reference, known, n=1) or difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
        raise NotFound(f"no {noun} is named {reference!r}", hint=hint)

    def apps(self, profile: Profile) -> Mapping[str, AppSpec]:
        """The profile's apps, and the free plan's where no e-mail app is the default (LX-15)."""
        if Channel.EMAIL in profile.defaults.apps or FREE_PLAN in profile.apps:
            return profile.apps
        return {**profile.apps, FREE_PLAN: free_plan(profile, self.catalogue)}

    # -- plugins at work -----------------------------------------------------------------------------------------------

    def channels(self, profile: Profile, app: str) -> frozenset[Channel]:
        """The channels that an app sends by, as it is configured."""
        from libax_automate.connector import CHANNELS

        return frozenset(CHANNELS[each] for each in self.connector(profile, self.apps(profile)[app]).offers() if each in CHANNELS)

    def recipe(self, spec: ModelSpec) -> Model[Any]:
        """The configured recipe of a model."""
        kind = self.catalogue.model(spec.use)
        if kind.step_type is None:
            return kind(spec.options)
        from libax_automate.model import Step

        return kind(spec.options, [Step(each.name, kind.step_type.model_validate(dict(each.options))) for each in spec.steps])

    def connector(self, profile: Profile, app: AppSpec) -> Connector[Any]:
        """A configured connector, not yet open."""
        place = Place(
            app=app.name,
            profile=profile.name,
            folder=profile.folder,
            timezone=str(profile.timezone),
            locale=profile.locale,
            country=profile.country,
            allow_private=app.allow_private,
            log=logging.getLogger(f"libax_automate.connector.{profile.name}.{app.name}"),
        )
        made = self.catalogue.connector(app.connector)(app.options, place)
        self.redactor.add(made.secrets())
        return made

    @contextlib.contextmanager
    def opened(self, profile: Profile, app: AppSpec) -> Iterator[Connector[Any]]:
        """A connector for the length of a block."""
        connector = self.connector(profile, app)
        try:
            connector.open()
            yield connector
        finally:
            connector.close()


def _one(name: str, paths: Sequence[Path], catalogue: Catalogue, environ: Mapping[str, str]) -> tuple[Profile, ...]:
    """The profile called ``name``, whatever is wrong with others: a mistake in one client's file must not stop another's."""
    from libax_automate.engine.profile import load_profiles
    from libax_automate.errors import ProfileError

    loaded: list[tuple[Path, Profile]] = []
    broken: list[ProfileError] = []
    for path in paths:
        try:
            loaded += [(path, each) for each in load_profiles([path], catalogue, environ)]
        except ProfileError as error:
            broken.append(error)
    found = [path for path, each in loaded if each.name == name]
    if len(found) == 1:
        return tuple(each for _, each in loaded if each.name == name)
    if found:
        return load_profiles(found, catalogue, environ)  # says that two files share a name
    if broken:
        raise broken[0]
    raise NotFound(f"no profile is named {name!r}", hint=f"there are: {', '.join(each.name for _, each in loaded)}")


def free_plan(profile: Profile, catalogue: Catalogue) -> AppSpec:
    """The machine's own mail server (LX-15): localhost:25, ``noreply@<host>`` unless the profile says otherwise."""
    import socket

    sender = profile.defaults.free_plan_sender or f"noreply@{socket.getfqdn()}"
    kind = catalogue.connector("smtp")
    options = kind.options_type.model_validate({"host": "localhost", "port": 25, "security": "none", "sender": sender})
    return AppSpec(name=FREE_PLAN, connector="smtp", options=options, concurrency=1, window=4)

"""What delivery knows of its apps, and the last look at a message before it may leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from libax_automate.engine.hours import Hold, Hours
from libax_automate.engine.spec import AppSpec, ModelSpec, OnRecipientError, Profile
from libax_automate.engine.store.queue import Gate
from libax_automate.engine.store.rows import Claimed
from libax_automate.engine.workspace import FREE_PLAN, Workspace, free_plan


@dataclass(frozen=True, slots=True)
class AppInfo:
    """An app as the queue sees it."""

    profile: str
    name: str
    credential_id: int
    #: refused recipients are skipped, and counted
    skips: bool


class Gatekeeper:
    """Registers the profiles' apps and answers questions about them."""

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._store = space.store
        self._infos: dict[int, AppInfo] = {}
        self._apps: list[tuple[Profile, AppSpec, int]] = []
        self._specs: dict[int, tuple[Profile, ModelSpec]] = {}
        self._system: frozenset[int] = frozenset()
        for profile in space.profiles:
            specs = dict(space.apps(profile))
            if self._store.apps.find(profile.name, FREE_PLAN) is None:
                specs.pop(FREE_PLAN, None)  # nobody has needed it yet
            else:
                specs.setdefault(FREE_PLAN, free_plan(profile, space.catalogue))
            for app in specs.values():
                app_id = self._store.apps.register(profile.name, app.name, app.connector, app.credential)
                self._apps.append((profile, app, app_id))
                skips = app.on_recipient_error is OnRecipientError.SKIP
                self._infos[app_id] = AppInfo(profile.name, app.name, self._store.apps.credential(app_id), skips)

    def apps(self) -> Sequence[tuple[Profile, AppSpec, int]]:
        """All apps of the profiles in view, with their ids."""
        return self._apps

    def app(self, app_id: int) -> AppInfo:
        """An app's info; also of one that no profile names any more."""
        if app_id not in self._infos:
            profile, name, credential_id = self._store.apps.row(app_id)
            self._infos[app_id] = AppInfo(profile, name, credential_id, skips=False)
        return self._infos[app_id]

    def system(self, model_id: int) -> bool:
        """Whether a model is the program's own (notices, reports)."""
        if model_id not in self._system and model_id not in self._specs:
            self._learn()
        return model_id in self._system

    def _learn(self) -> None:
        self._system = self._store.tasks.system_models()
        for row in self._store.tasks.models():
            for profile in self._space.profiles:
                if profile.name == row.profile and row.name in profile.models:
                    self._specs[row.id] = (profile, profile.models[row.name])

    def may_probe(self, app_id: int, now: float, after: float) -> bool:
        """Whether an account was last probed long enough ago; counts this as a probe."""
        return self._store.apps.may_probe(app_id, now, after)

    def gate(self, profile: Profile, now: float) -> Gate:
        """The last look at each row: suppression, quiet hours and sending days may have come since it was planned."""
        self._learn()
        listed = self._store.ledger.suppressions(profile.name)
        instant = datetime.fromtimestamp(now, UTC)
        held: dict[int, Hold | None] = {}

        def look(row: Claimed) -> tuple[str, float, str] | None:
            if listed and row.channel in ("email", "sms", "whatsapp"):
                address = row.to.casefold()
                why = listed.get((row.channel, address)) or listed.get(("*", address))
                if why is not None:
                    return "suppressed", 0.0, f"on the suppression list: {why}"
            if row.model_id in self._system or row.channel in ("webhook", "action"):
                return None
            if row.model_id not in held:
                spec = self._specs.get(row.model_id)
                owner, model = spec or (profile, None)
                quiet = (model.quiet if model else None) or owner.defaults.quiet
                weekdays = (model.send_weekdays if model else None) or owner.defaults.send_weekdays
                held[row.model_id] = Hours(owner.timezone, quiet, weekdays).hold(instant)
            hold = held[row.model_id]
            return ("waiting", hold.until.timestamp(), hold.reason) if hold is not None else None

        return look

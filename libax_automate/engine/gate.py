"""What delivery knows of its apps, and the last look at a message before it may leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        #: models that have been looked up, those of no profile in view included
        self._met: set[int] = set()
        #: each profile's suppression list, and the state of the database in which it was read
        self._lists: dict[str, tuple[tuple[int, int], Mapping[tuple[str, str], str]]] = {}
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
        if model_id not in self._met:
            self._learn()
            self._met.add(model_id)
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

    def _suppressions(self, profile: str) -> Mapping[tuple[str, str], str]:
        # read again only when somebody may have changed it: a list may be long, and this is asked for every few messages
        state = (self._store.db.version(), self._store.ledger.edits)
        if profile not in self._lists or self._lists[profile][0] != state:
            self._lists[profile] = (state, self._store.ledger.suppressions(profile))
        return self._lists[profile][1]

    def gate(self, profile: Profile, now: float) -> Gate:
        """The last look at each row: suppression, quiet hours and sending days may have come since it was planned."""
        listed = self._suppressions(profile.name)
        instant = datetime.fromtimestamp(now, UTC)
        held: dict[int, Hold | None] = {}

        unseen = object()

        def look(row: Claimed) -> tuple[str, float, str] | None:
            if not listed and held.get(row.model_id, unseen) is None:
                return None
            if listed and row.channel in ("email", "sms", "whatsapp"):
                address = row.to.casefold()
                why = listed.get((row.channel, address)) or listed.get(("*", address))
                if why is not None:
                    return "suppressed", 0.0, f"on the suppression list: {why}"
            if row.channel in ("webhook", "action") or self.system(row.model_id):
                return None
            if row.model_id not in held:
                spec = self._specs.get(row.model_id)
                owner, model = spec or (profile, None)
                held[row.model_id] = Hours.of(owner, model).hold(instant)
            hold = held[row.model_id]
            return ("waiting", hold.until.timestamp(), hold.reason) if hold is not None else None

        return look

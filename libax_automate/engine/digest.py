"""The weekly report's numbers, read from the store, and its sending (LX-58)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from libax_automate.engine.herald import post
from libax_automate.engine.language import language
from libax_automate.engine.notice import OpenError
from libax_automate.engine.outbox import Draft
from libax_automate.engine.report import ModelSlot, Report, ReportData, Sendings, build, week_start, weekly_slot
from libax_automate.engine.schedule import next_fire
from libax_automate.engine.spec import Profile
from libax_automate.engine.store import Store
from libax_automate.engine.walltime import local_of, midnight
from libax_automate.engine.workspace import Workspace
from libax_automate.message import Channel

REPORTS = "automate:report"
_FAILED = ("failed", "in_doubt", "rejected")
#: slots that a report names; the rest is counted
_NAMED = 50


def weekly(space: Workspace, profile: Profile, first: date) -> Report:
    """The report of the seven days from ``first``."""
    return build(profile, week_start=first, data=numbers(space, space.store, profile, first), language=language(profile.locale))


def numbers(space: Workspace, store: Store, profile: Profile, first: date) -> ReportData:
    """What the seven days from ``first`` came to."""
    zone, name = profile.timezone, profile.name
    bounds = [midnight(first + timedelta(days=offset), zone).timestamp() for offset in range(8)]
    tasks: dict[str, dict[str, int]] = {}
    for model, state, count, _ in store.history.tasks(name, bounds[0], bounds[7]):
        tasks.setdefault(model, {})[state] = count
    missed = store.history.missed(name, bounds[0], bounds[7])
    errors = tuple(
        OpenError(
            id=f"E{error.id}", app=error.app, kind=error.cls, cause=error.cause, hint=error.hint,
            since=datetime.fromtimestamp(error.opened_at, UTC), message=f"M{error.message_id}" if error.message_id else "", waiting=error.waiting,
        )
        for error in store.errors.listed(profiles=frozenset({name}))
    )  # fmt: skip
    upcoming = sorted(_upcoming(space, profile), key=lambda slot: slot.local)
    return ReportData(
        tasks=tasks,
        messages=tuple(_sendings(store, name, first, bounds)),
        waiting={app.name: app.waiting for app in store.apps.rows(space.now(), profiles=frozenset({name})) if app.waiting},
        errors=errors,
        month_tasks=store.tasks.counter(name, (first + timedelta(days=6)).strftime("%Y-%m")),
        missed=tuple(ModelSlot(model, local_of(datetime.fromtimestamp(at, UTC), zone)) for model, at in missed[-_NAMED:]),
        more_missed=max(0, len(missed) - _NAMED),
        upcoming=tuple(upcoming[:_NAMED]),
    )


def _sendings(store: Store, profile: str, first: date, bounds: list[float]) -> Iterator[Sendings]:
    for offset in range(7):
        day, span = first + timedelta(days=offset), (bounds[offset], bounds[offset + 1])
        apps: dict[str, dict[str, int]] = {}
        for app, state, count in store.history.messages(profile, *span):
            apps.setdefault(app, {})[state] = count
        for app, states in apps.items():
            yield Sendings(day, app, sent=states.get("sent", 0), failed=sum(states.get(state, 0) for state in _FAILED))
        if excluded := store.history.excluded(profile, *span):
            yield Sendings(day, "", excluded=excluded)


def _upcoming(space: Workspace, profile: Profile) -> Iterator[ModelSlot]:
    now = space.clock.now()
    for spec in profile.models.values():
        if spec.enabled and (slot := next_fire(spec.schedule, profile.timezone, now)) is not None:
            yield ModelSlot(spec.name, slot.local)


def post_due(space: Workspace) -> int:
    """Queue the weekly reports whose hour has come; returns how many letters."""
    queued, now = 0, space.clock.now()
    for profile in space.profiles:
        if profile.report is None or not profile.notify:
            continue
        row = space.store.tasks.see_model(
            profile.name, REPORTS, now=now.timestamp(), slots_from=now.timestamp(), fingerprint="", system=True
        ) if (found := space.store.tasks.model(profile.name, REPORTS)) is None else found  # fmt: skip
        slot = weekly_slot(profile.report, profile.timezone, datetime.fromtimestamp(row.slot_bookmark, UTC), now)
        if slot is None:
            continue
        queued += send(space, profile, week_start(slot), done=slot.instant)
    return queued


def send(space: Workspace, profile: Profile, first: date, *, done: datetime | None = None) -> int:
    """Queue the report of the week from ``first`` to all whom the profile notifies; once per week and person."""
    now = space.clock.now()
    report = weekly(space, profile, first)
    payload = {"subject": report.subject, "text": report.text, "html": report.html}
    drafts = [
        Draft(model=REPORTS, person=to, occasion=first.isoformat(), channel=Channel.EMAIL, to=to, payload=payload) for to in profile.notify
    ]
    with space.store.write():
        queued = post(space, profile, drafts, now, model=REPORTS)
        if done is not None:
            row = space.store.tasks.model(profile.name, REPORTS)
            assert row is not None
            space.store.tasks.slots_done(row.id, now.timestamp())
    return queued

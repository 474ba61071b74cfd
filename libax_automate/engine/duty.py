"""Which models are due: first sight, changed schedules, missed slots; every slot gets one task."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from libax_automate.engine.late import due
from libax_automate.engine.spec import Activation, ModelSpec, Profile
from libax_automate.engine.store.rows import ModelRow, TaskState
from libax_automate.engine.walltime import Slot, instant_of, local_of
from libax_automate.engine.workspace import Workspace
from libax_automate.model import Late

#: a real-time model looks this often at most (LX-42 allows 30 minutes)
REALTIME_SECONDS = 60.0

_TICK = timedelta(microseconds=1)


def active_from(profile: Profile, now: datetime) -> datetime:
    """The instant up to which slots do not fire for settings first seen at ``now`` (LX-40)."""
    if profile.activation is Activation.NEXT_DAY:
        tomorrow = local_of(now, profile.timezone).date() + timedelta(days=1)
        return instant_of(datetime.combine(tomorrow, time()), profile.timezone) - _TICK
    # a schedule's grain is the minute: the slot of the minute in which a model is first seen is not before it
    return now.replace(second=0, microsecond=0) - _TICK


def see(space: Workspace, profile: Profile, spec: ModelSpec) -> ModelRow:
    """The model's memory: made at first sight, moved on when its schedule changed."""
    tasks, now = space.store.tasks, space.clock.now()
    fingerprint = spec.schedule.fingerprint()
    row = tasks.model(profile.name, spec.name)
    if row is None:
        start = active_from(profile, now)
        return tasks.see_model(profile.name, spec.name, now=now.timestamp(), slots_from=start.timestamp(), fingerprint=fingerprint)
    if row.fingerprint != fingerprint:
        tasks.reschedule(row.id, slots_from=active_from(profile, now).timestamp(), fingerprint=fingerprint, now=now.timestamp())
        row = tasks.model(profile.name, spec.name)
        assert row is not None
    return row


def enabled(spec: ModelSpec, row: ModelRow) -> bool:
    """The admin's switch, where he used it, over the profile's."""
    return spec.enabled if row.enabled is None else row.enabled


def open_due(space: Workspace, profile: Profile, spec: ModelSpec, row: ModelRow) -> int:
    """Make the tasks of the slots that have come; returns how many. Slots and the model's place in time commit together."""
    if not enabled(spec, row) or spec.schedule.realtime:
        return 0
    now = space.clock.now()
    recipe = space.catalogue.model(spec.use)
    found = due(
        spec.schedule,
        profile.timezone,
        bookmark=datetime.fromtimestamp(row.slot_bookmark, UTC),
        now=now,
        late=spec.late or recipe.late,
        late_limit=spec.late_limit or recipe.late_limit,
    )
    if not (found.runs or found.missed or found.covered):
        return 0
    tasks, stamp, opened = space.store.tasks, now.timestamp(), 0
    with space.store.write():
        for slot in found.missed:
            why = f"nobody ran it in time (late = {str(spec.late or recipe.late)!r})"
            _open(space, row, slot, slot, stamp, state=TaskState.MISSED, reason=why)
        for run in found.runs:
            made = tasks.open_slot(
                row.id, slot=run.slot.key, slot_at=run.slot.instant.timestamp(), first_day=run.first.isoformat(),
                last_day=run.last.isoformat(), now=stamp,
            )  # fmt: skip
            opened += made is not None
        tasks.slots_done(row.id, stamp)
    return opened


def _open(space: Workspace, row: ModelRow, slot: Slot, day: Slot, now: float, *, state: TaskState, reason: str) -> None:
    space.store.tasks.open_slot(
        row.id, slot=slot.key, slot_at=slot.instant.timestamp(), first_day=day.local.date().isoformat(), last_day=day.local.date().isoformat(),
        now=now, state=state, reason=reason,
    )  # fmt: skip


def late_of(space: Workspace, spec: ModelSpec) -> Late:
    """What the model does with missed slots."""
    return spec.late or space.catalogue.model(spec.use).late

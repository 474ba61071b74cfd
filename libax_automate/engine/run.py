"""One pass: due models → tasks → queue → send. What cron calls, what the loop repeats."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from statistics import median

from libax_automate.engine import duty, herald, timeline
from libax_automate.engine.deliver import Delivery
from libax_automate.engine.lock import RunLock
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.plan import Moment, Plan, pages
from libax_automate.engine.retry import TRANSIENT_DELAYS
from libax_automate.engine.spec import ModelSpec, Profile
from libax_automate.engine.store.database import machine_id
from libax_automate.engine.store.rows import AppState, ModelRow, TaskRow, TaskState
from libax_automate.engine.store.spool import Spool
from libax_automate.engine.walltime import Slot, local_of, slot_of
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import AutomateError, PluginError, RateLimited, TemporaryError, Transient

#: people left out that one task remembers by name; the rest are counted
_REMARKS = 10_000
_DAY = 86_400.0
#: a brake needs so many earlier runs to know what is usual, and lets runs of fewer messages pass
_HISTORY, _SMALL = 3, 20


@dataclass
class RunResult:
    """What a pass did."""

    tasks: list[TaskRow] = field(default_factory=list)
    sent: int = 0
    waiting: int = 0
    halted: list[str] = field(default_factory=list)
    #: lines that no earlier pass has printed
    news: list[str] = field(default_factory=list)
    needs_person: bool = False
    fenced: str = ""


def run_pass(
    space: Workspace,
    *,
    model: str | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
    patience: float = 20.0,
) -> RunResult:
    """Do all that is due, once, and return. Raises LockHeld where another run holds the database.

    ``patience`` is how many seconds in all it waits for apps that a provider throttles for a moment.
    """
    space.store  # noqa: B018 - opens (and brings up to date) the file before the lock beside it
    lock = RunLock(space.db_path)
    lock.acquire(space.clock.now())
    try:
        guard(space, lock)
        only = None
        if model is not None:
            profile, spec = space.model(model)
            only = frozenset({(profile.name, spec.name)})
        return one_pass(space, only=only, stop=stop or threading.Event(), progress=progress, patience=patience)
    finally:
        lock.release()


def guard(space: Workspace, lock: RunLock) -> None:
    """Fence a file that was restored or cloned; count this pass in the file, then beside it."""
    db = space.store.db
    runs = int(db.get("runs", "0"))
    here = machine_id()
    if db.get("machine") and db.get("machine") != here:
        space.store.apps.fence("this database was used on another machine before")
    elif lock.older(db.get("instance"), runs):
        space.store.apps.fence("this database is older than the last one that ran here: it was restored from a backup")
    with db.write():
        db.set("runs", str(runs + 1))
        db.set("last_run", str(space.now()))
        if not db.get("machine"):
            db.set("machine", here)
    lock.note(db.get("instance"), max(runs + 1, int(lock.noted.get("runs", 0)) if lock.noted.get("instance") == db.get("instance") else 0))


def one_pass(
    space: Workspace,
    *,
    only: frozenset[tuple[str, str]] | None = None,
    stop: threading.Event,
    progress: Callable[[int, int], None] | None = None,
    patience: float = 0.0,
) -> RunResult:
    """A pass for a caller that holds the lock already. ``only`` names the models to look at, (profile, model); None = all."""
    store = space.store
    touched: set[int] = set()
    if not store.apps.fenced():
        timeline.look(space)
        touched |= {task.id for task in store.tasks.recover(space.now())}
        touched |= run_due(space, only=only, stop=stop)
    delivery = Delivery(space, stop=stop, progress=progress)
    result = RunResult()
    if not store.apps.fenced():
        done = delivery.run(patience=patience)
        result.sent = done.sent
        touched |= done.tasks
        if herald.announce(space) + _reports(space) and not stop.is_set():
            Delivery(space, stop=stop).run()
    _forget(space)
    result.tasks = store.tasks.of(list(touched))
    _take_stock(space, result)
    return result


def _forget(space: Workspace) -> None:
    """Once a day, let go of wording that has been kept long enough."""
    db, now = space.store.db, space.now()
    if now - float(db.get("forgot", "0")) < _DAY:
        return
    for profile in space.profiles:
        while space.store.ledger.forget(profile.name, now - profile.retention.total_seconds()):
            pass
    with db.write():
        db.set("forgot", str(now))


def _reports(space: Workspace) -> int:
    if not any(profile.report and profile.notify for profile in space.profiles):
        return 0
    from libax_automate.engine import digest  # the report's letters need Babel; most passes do not

    return digest.post_due(space)


def _take_stock(space: Workspace, result: RunResult) -> None:
    store, names = space.store, space.names
    many = len(names) > 1
    result.fenced = store.db.get("fenced")
    apps = store.apps.rows(space.now(), profiles=names)
    result.waiting = sum(app.waiting for app in apps)
    result.halted = [f"{app.profile}/{app.name}" if many else app.name for app in apps if app.state is AppState.HALTED]
    printed: list[str] = json.loads(store.db.get("printed", "[]"))
    now: list[str] = []
    for error in store.errors.listed(profiles=names):
        now.append(f"E{error.id}")
        if now[-1] not in printed:
            where = f"{error.profile}/{error.app}" if many else error.app
            result.news.append(
                f"E{error.id} {where}: {error.cause} ({error.waiting} waiting) → automate queue clear --error E{error.id} --retry"
            )
    for task in store.tasks.unresolved(names):
        now.append(f"T{task.id}")
        if now[-1] not in printed:
            where = f"{task.profile}/{task.model}" if many else task.model
            result.news.append(f"T{task.id} {where} {task.slot}: {task.state}: {task.reason} → automate tasks retry T{task.id}")
    for question in store.approvals.listed(profiles=names):
        now.append(f"A{question.id}")
        if now[-1] not in printed:
            where = f"{question.profile}/{question.model}" if many else question.model
            result.news.append(f"A{question.id} {where}: {question.why}; {question.waiting} wait → automate approve A{question.id}")
    if result.fenced:
        now.append("fence")
        if "fence" not in printed:
            result.news.append(f"nothing is sent: {result.fenced} → automate queue resume")
    result.needs_person = bool(now)
    others = [each for each in printed if each not in now and not store.errors.belongs(each, names)]
    if sorted([*now, *others]) != sorted(printed):
        with store.write():
            store.db.set("printed", json.dumps([*now, *others]))


def run_due(space: Workspace, *, only: frozenset[tuple[str, str]] | None, stop: threading.Event) -> set[int]:
    """Open the tasks of what is due and run them, and those that wait for another try; returns the tasks touched."""
    touched: set[int] = set()
    for profile in space.profiles:
        for spec in profile.models.values():
            if only is None or (profile.name, spec.name) in only or spec.schedule.realtime:
                touched |= prepare(space, profile, spec)
    profiles = {profile.name: profile for profile in space.profiles}
    for task in space.store.tasks.ready(space.now()):
        if stop.is_set():
            break
        owner = profiles.get(task.profile)
        if owner is not None and task.model in owner.models:
            touched.add(task.id)
            run_task(space, owner, owner.models[task.model], task)
    return touched


def prepare(space: Workspace, profile: Profile, spec: ModelSpec) -> set[int]:
    """First sight, baseline, due slots of one model; a plugin that does not load is that model's failed task, not the run's end."""
    row = duty.see(space, profile, spec)
    try:
        if row.baseline_at is None and space.catalogue.model(spec.use).bookmarked and not _baseline(space, profile, spec, row):
            return set()
        if spec.schedule.realtime:
            return _realtime(space, profile, spec, row)
        duty.open_due(space, profile, spec, row)
    except PluginError as error:
        return _fail_slot(space, profile, row, error)
    return set()


def _fail_slot(space: Workspace, profile: Profile, row: ModelRow, error: AutomateError) -> set[int]:
    day = local_of(space.clock.now(), profile.timezone).date().isoformat()
    with space.store.write():
        made = space.store.tasks.open_slot(
            row.id, slot=f"{day} (cannot run)", slot_at=space.now(), first_day=day, last_day=day, now=space.now(),
            state=TaskState.FAILED, reason=space.redactor.text(str(error)),
        )  # fmt: skip
    return {made} if made else set()


def _baseline(space: Workspace, profile: Profile, spec: ModelSpec, row: ModelRow) -> bool:
    """The first pass of a model with a bookmark: what is there already is written down as never to be sent."""
    now = space.clock.now()
    local = local_of(now, profile.timezone)
    seen = datetime.fromtimestamp(row.first_seen, UTC)
    moment = Moment(slot=Slot(local, now), first=local.date(), last=local.date(), bookmark=seen, since=seen, baseline=True)
    try:
        drafts = [draft for draft in Plan(space, profile, spec, space.recipe(spec), moment, look_up=False).drafts if draft.baseline]
    except AutomateError as error:
        space.log.warning("model %s: its source cannot be read yet: %s", spec.name, space.redactor.text(str(error)))
        return False
    with space.store.write():
        specs = space.apps(profile)
        apps = {
            name: space.store.apps.register(profile.name, name, specs[name].connector, specs[name].credential)
            for name in {draft.app for draft in drafts}
        }
        space.store.queue.enqueue(drafts, model_id=row.id, task_id=None, apps=apps, now=now.timestamp())
        space.store.tasks.set_baseline(row.id, now.timestamp())
    return True


def _realtime(space: Workspace, profile: Profile, spec: ModelSpec, row: ModelRow) -> set[int]:
    """A real-time model looks at every pass; a look that finds nobody leaves no task behind."""
    now = space.clock.now()
    if not duty.enabled(spec, row) or row.slot_bookmark > now.timestamp():
        return set()
    local = local_of(now, profile.timezone)
    day = local.date()
    if (spec.schedule.start and day < spec.schedule.start) or (spec.schedule.end and day > spec.schedule.end):
        return set()
    moment = Moment(
        slot=Slot(local.replace(microsecond=0), now), first=day, last=day, bookmark=_at(row.bookmark), since=_at(row.first_seen)
    )
    try:
        found = next((d for d in Plan(space, profile, spec, space.recipe(spec), moment).drafts if d.verdict is not Verdict.EXCLUDED), None)
    except AutomateError as error:
        space.log.warning("model %s: its source cannot be read: %s", spec.name, space.redactor.text(str(error)))
        return set()
    if found is None:
        return set()
    with space.store.write():
        made = space.store.tasks.open_slot(
            row.id, slot=local.isoformat(timespec="seconds"), slot_at=now.timestamp(), first_day=day.isoformat(), last_day=day.isoformat(),
            now=now.timestamp(), trigger="realtime",
        )  # fmt: skip
    return {made} if made else set()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def run_model(space: Workspace, profile: Profile, spec: ModelSpec) -> int:
    """Open a task of the model for this very moment, asked for by a person; returns its id. The lock's holder runs it."""
    row = duty.see(space, profile, spec)
    now = space.clock.now()
    local = local_of(now, profile.timezone)
    with space.store.write():
        made = space.store.tasks.open_slot(
            row.id, slot=f"{local.isoformat(timespec='microseconds')} (by hand)", slot_at=now.timestamp(), first_day=local.date().isoformat(),
            last_day=local.date().isoformat(), now=now.timestamp(), trigger="manual",
        )  # fmt: skip
    if made is None:
        raise TemporaryError(f"{spec.name} was started by hand in this very moment", hint="try again")
    return made


def run_task(space: Workspace, profile: Profile, spec: ModelSpec, task: TaskRow) -> None:
    """Plan a task and commit its messages, counts and bookmark together; a failure is recorded, never a crash."""
    tasks = space.store.tasks
    if not tasks.start(task.id, space.now()):
        return
    try:
        _run_task(space, profile, spec, task)
    except (Transient, RateLimited, TemporaryError) as error:
        reason = space.redactor.text(str(error))
        retry_at = space.now() + TRANSIENT_DELAYS[task.tries] if task.tries < len(TRANSIENT_DELAYS) else None
        tasks.fail(task.id, reason, now=space.now(), retry_at=retry_at)
    except AutomateError as error:
        if error.exit_code == 74:
            raise
        tasks.fail(task.id, space.redactor.text(str(error)), now=space.now())
    except Exception as error:
        space.log.exception("T%d", task.id)
        tasks.fail(task.id, space.redactor.text(f"{type(error).__name__}: {error}"), now=space.now())


def _run_task(space: Workspace, profile: Profile, spec: ModelSpec, task: TaskRow) -> None:
    store = space.store
    row = store.tasks.model(profile.name, spec.name)
    assert row is not None
    started = space.clock.now()
    moment = Moment(
        slot=_slot(task, profile),
        first=date.fromisoformat(task.first_day),
        last=date.fromisoformat(task.last_day),
        bookmark=_at(row.bookmark),
        since=_at(row.first_seen),
    )
    plan = Plan(space, profile, spec, space.recipe(spec), moment, look_up=False, create=True)
    remarks: list[tuple[str, str, str, str]] = []
    with store.queue.spool() as spool:
        planned, apps = _spool(plan, remarks, spool.add)
        remarks += [("bad row", "", row_.where, f"{row_.column}: {row_.why}" if row_.column else row_.why) for row_ in plan.bad_rows]
        for roll in plan.rolls:
            # before the commit: a file that cannot be written is a task that failed, and writing it twice changes nothing
            roll.write()
            remarks.append(("file", "", "", str(roll)))
        month = month_of(started.timestamp(), profile)
        spool.print(row.id)
        with store.write():
            now = space.now()
            queued = _enqueue(plan, row, spool, task_id=task.id, apps=apps, now=now)
            store.tasks.finish(
                task.id, now=now, month=month, bookmark=started.timestamp(), planned=planned, excluded=plan.counts["excluded"],
                queued=queued, bad_rows=plan.bad, remarks=remarks,
            )  # fmt: skip


def month_of(now: float, profile: Profile) -> str:
    """The month that a task of this instant counts in (LX-33): ``2026-12``, by the profile's own clock."""
    return local_of(_at(now), profile.timezone).strftime("%Y-%m")


def _enqueue(plan: Plan, row: ModelRow, spool: Spool, *, task_id: int, apps: dict[str, int], now: float) -> int:
    """Into the queue, or before a person's eyes: what is marked as grave, and runs far above their usual size."""
    approvals = plan.space.store.approvals
    factor = plan.spec.brake if plan.spec.brake is not None else plan.profile.defaults.brake
    usual = approvals.usual(row.id) if factor and spool.count >= _SMALL else []
    brake = bool(factor and len(usual) >= _HISTORY and spool.count > factor * median(usual))
    if not brake and not spool.approve:
        return spool.enqueue(model_id=row.id, task_id=task_id, apps=apps, now=now)
    why = (
        f"{spool.count} messages, {spool.count / median(usual):.1f} times the usual {median(usual):g}"
        if brake
        else f"{spool.approve} messages need a person's yes"
    )
    approval = approvals.open(row.id, task_id, why, now)
    queued = spool.enqueue(
        model_id=row.id, task_id=task_id, apps=apps, now=now, approval=(approval, f"waits for approval A{approval}: {why}"), brake=brake
    )
    waiting = approvals.get(approval)
    if waiting is None or not waiting.waiting:
        approvals.withdraw(approval)
    return queued


def _spool(plan: Plan, remarks: list[tuple[str, str, str, str]], add: Callable[[Draft], None]) -> tuple[int, dict[str, int]]:
    space, profile, spec = plan.space, plan.profile, plan.spec
    specs = space.apps(profile)
    apps: dict[str, int] = {}
    excluded = Verdict.EXCLUDED  # looking a member up costs more than the comparison

    def wanted() -> Iterator[Draft]:
        for draft in plan.drafts:
            if draft.verdict is excluded:
                if len(remarks) < _REMARKS:
                    remarks.append(("excluded", draft.person, draft.name, draft.reason))
                continue
            if draft.app not in apps:
                app = specs[draft.app]
                apps[draft.app] = space.store.apps.register(profile.name, app.name, app.connector, app.credential)
            yield draft

    if spec.webhook is None:
        for draft in wanted():
            add(draft)
    else:
        for call, people in pages(wanted(), profile=profile.name, spec=spec, slot=plan.moment.slot):
            add(call)
            for draft in people:
                add(draft)
    return sum(plan.counts.values()), apps


def _slot(task: TaskRow, profile: Profile) -> Slot:
    if task.trigger == "schedule":
        return slot_of(task.slot, profile.timezone)
    instant = _at(task.slot_at)
    return Slot(local_of(instant, profile.timezone).replace(microsecond=0), instant)

"""What admins hear: notices of open errors and failed tasks. Effects like any other, through the same queue, never through the halted app."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from libax_automate.connector import Capability
from libax_automate.engine.outbox import Draft
from libax_automate.engine.spec import AppSpec, Profile
from libax_automate.engine.store.approvals import ApprovalRow
from libax_automate.engine.store.rows import AppState, ErrorRow, TaskRow
from libax_automate.engine.walltime import local_of
from libax_automate.engine.workspace import FREE_PLAN, Workspace, free_plan
from libax_automate.message import Channel

#: the program's own models; a colon cannot stand in a profile's names
NOTICES = "automate:notice"
#: a notice that could not leave for so long is of no use; the next reminder says it anew
_NOTICE_LIFE = timedelta(days=1)


def announce(space: Workspace) -> int:
    """Queue the notices that are due (at once, after 4 h, then daily); returns how many."""
    queued = 0
    now = space.clock.now()
    profiles = {profile.name: profile for profile in space.profiles}
    for error in space.store.errors.due_notices(now.timestamp()):
        if error.profile in profiles:
            queued += _of_error(space, profiles[error.profile], error, now)
    for task in space.store.tasks.due_notices():
        if task.profile in profiles:
            queued += _of_task(space, profiles[task.profile], task, now)
    for question in space.store.approvals.due_notices():
        if question.profile in profiles:
            queued += _of_approval(space, profiles[question.profile], question, now)
    return queued


def _of_approval(space: Workspace, profile: Profile, question: ApprovalRow, now: datetime) -> int:
    from libax_automate.engine.language import language
    from libax_automate.engine.notice import approval_notice

    notice = approval_notice(
        profile,
        approval=f"A{question.id}",
        model=question.model,
        why=question.why,
        waiting=question.waiting,
        language=language(profile.locale),
    )
    payload = {"subject": notice.subject, "text": notice.text, "html": notice.html}
    drafts = [_draft(to, f"A{question.id}", payload, now) for to in profile.notify]
    with space.store.write():
        queued = post(space, profile, drafts, now)
        space.store.approvals.noticed(question.id)
    return queued


def _of_error(space: Workspace, profile: Profile, error: ErrorRow, now: datetime) -> int:
    from libax_automate.engine.language import language
    from libax_automate.engine.notice import OpenError, error_notice, next_reminder

    since = datetime.fromtimestamp(error.opened_at, UTC)
    shown = OpenError(
        id=f"E{error.id}", app=error.app, kind=error.cls, cause=error.cause, hint=error.hint, since=since,
        message=f"M{error.message_id}" if error.message_id else "", waiting=error.waiting,
    )  # fmt: skip
    drafts = []
    if profile.notify:
        notice = error_notice(profile, error=shown, reminder=error.notices, language=language(profile.locale), now=now)
        payload = {"subject": notice.subject, "text": notice.text, "html": notice.html}
        drafts = [_draft(to, f"E{error.id}:{error.notices}", payload, now) for to in profile.notify]
    with space.store.write():
        queued = post(space, profile, drafts, now, avoid=error)
        space.store.errors.noticed(error.id, next_reminder(since, error.notices + 1, last=now).timestamp())
    return queued


def _of_task(space: Workspace, profile: Profile, task: TaskRow, now: datetime) -> int:
    from libax_automate.engine.language import language
    from libax_automate.engine.notice import TaskFailure, task_notice

    slot = local_of(datetime.fromtimestamp(task.slot_at, UTC), profile.timezone)
    shown = TaskFailure(id=f"T{task.id}", model=task.model, state=str(task.state), slot=slot, reason=task.reason, tries=max(task.tries, 1))
    drafts = []
    if profile.notify:
        notice = task_notice(profile, task=shown, language=language(profile.locale))
        payload = {"subject": notice.subject, "text": notice.text, "html": notice.html}
        drafts = [_draft(to, f"T{task.id}:{task.tries}:{task.ended_at}", payload, now) for to in profile.notify]
    with space.store.write():
        queued = post(space, profile, drafts, now)
        space.store.tasks.noticed(task.id)
    return queued


def _draft(to: str, occasion: str, payload: Mapping[str, object], now: datetime) -> Draft:
    return Draft(
        model=NOTICES, person=to, occasion=occasion, channel=Channel.EMAIL, to=to, payload=dict(payload), expires=now + _NOTICE_LIFE
    )  # fmt: skip


def post(
    space: Workspace, profile: Profile, drafts: list[Draft], now: datetime, *, avoid: ErrorRow | None = None, model: str = NOTICES
) -> int:
    """Queue mail of the program's own on an app that can send it now; in the caller's transaction. Returns how many are new."""
    if not drafts:
        return 0
    stamp = now.timestamp()
    app = mailer(space, profile, stamp, avoid)
    app_id = space.store.apps.register(profile.name, app.name, app.connector, app.credential)
    row = space.store.tasks.see_model(profile.name, model, now=stamp, slots_from=stamp, fingerprint="", system=True)
    for draft in drafts:
        draft.app = app.name
    return space.store.queue.enqueue(drafts, model_id=row.id, task_id=None, apps={app.name: app_id}, now=stamp)


def mailer(space: Workspace, profile: Profile, now: float, avoid: ErrorRow | None = None) -> AppSpec:
    """The app for the program's own mail: the default e-mail app, else another that sends e-mail, else the free plan (LX-15); none that halts."""
    default = profile.defaults.apps.get(Channel.EMAIL)
    names = sorted(profile.apps, key=lambda name: name != default)
    for name in names:
        app = profile.apps[name]
        if Capability.EMAIL not in space.catalogue.connector(app.connector).capabilities or Channel.EMAIL not in space.channels(
            profile, name
        ):
            continue
        app_id = space.store.apps.register(profile.name, name, app.connector, app.credential)
        halted = avoid is not None and (app_id == avoid.app_id or space.store.apps.credential(app_id) == avoid.credential_id)
        if not halted and space.store.apps.state(app_id, now)[0] in (AppState.RUNNING, AppState.THROTTLED):
            return app
    return profile.apps.get(FREE_PLAN) or free_plan(profile, space.catalogue)

"""``automate status``: how things stand, on one screen."""

from __future__ import annotations

from typing import Any

from libax_automate.cli.finding import app_rows
from libax_automate.cli.queue import queue_columns, queues
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import age, count, instant, local

app = noun()


@command(app, now=True)
def status(session: Session) -> None:
    """Show apps, what waits, what is halted, the last and the next run."""
    from libax_automate.engine.doctor import last_run, running
    from libax_automate.engine.explain import next_slot
    from libax_automate.engine.store.rows import AppState
    from libax_automate.engine.timeline import Timeline

    space = session.space
    names = space.names
    rows = [row for row in app_rows(session) if row.profile in names]
    store = space.existing_store()
    upcoming = sorted(
        (slot.instant, profile.name, spec.name, slot.key)
        for profile in space.profiles
        for spec in profile.models.values()
        if (slot := next_slot(space, profile, spec)) is not None
    )
    realtime = [spec.name for profile in space.profiles for spec in profile.models.values() if spec.schedule.realtime and spec.enabled]
    errors = store.errors.listed(profiles=names) if store else []
    last = last_run(store)
    holder = running(space.db_path)
    items = [item for item in queues(session) if item["profile"] in names]
    many = len(names) > 1
    answer: dict[str, Any] = {
        "items": items,
        "waiting": sum(row.waiting for row in rows),
        "in_doubt": sum(row.in_doubt for row in rows),
        "errors": len(errors),
        "halted": [f"{row.profile}/{row.name}" if many else row.name for row in rows if row.state is AppState.HALTED],
        "fence": store.db.get("fenced") if store else "",
        "clock": Timeline.of(store).worry(space.now()) if store else "",
        "last_run": instant(last),
        "running": holder,
        "next_run": instant(upcoming[0][0]) if upcoming else None,
        "next": [
            {"at": instant(moment), "profile": profile, "model": model, "slot": slot} for moment, profile, model, slot in upcoming[:10]
        ],
        "realtime": realtime,
        "profiles": sorted(names),
        "database": str(space.db_path),
    }
    out = session.out
    if out.json:
        out.object(answer)
        return
    now = space.clock.now()
    if answer["fence"]:
        out.line(f"nothing is sent: {answer['fence']} → automate queue resume")
    if answer["clock"]:
        out.line(f"{answer['clock']} → automate doctor")
    for error in errors:
        out.line(f"E{error.id} {error.app}: {error.cause} ({error.waiting} waiting) → automate queue clear")
    if items:
        out.table(items, queue_columns(session, items))
    out.line(f"{count(answer['waiting'], 'message')} waiting")
    out.line(f"last run: {local(answer['last_run'], session.zone)}" if last else "last run: never")
    if holder:
        out.line(f"running: {holder}")
    if upcoming:
        moment, where, model, key = upcoming[0]
        out.line(f"next run: {key} {f'{where}/' if many else ''}{model}, in {age((moment - now).total_seconds())}")
    else:
        out.line("next run: none")
    if realtime:
        out.line(f"real time: {', '.join(realtime)}")

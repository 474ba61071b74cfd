"""``automate calendar``: what fires when, what collides (IC-25), and the days on which clocks change."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.volume import Volume, together
from libax_automate.cli.words import instant
from libax_automate.errors import UsageError

app = noun()

#: times of one model on one day that are named; beyond, they are counted
_NAMED = 4


@command(app, now=True)
def calendar(
    session: Session,
    month: Annotated[str | None, typer.Argument(metavar="[MONTH]", help="2026-12; without it the current month.")] = None,
    volume: Annotated[bool, typer.Option("--volume", help="Also how many messages, by app; reads the models' sources.")] = False,
) -> None:
    """Show what fires when in a month, with collisions and clock-change days; with --volume how many messages, and where that is too many."""
    from libax_automate.engine.calendar import clock_changes, collisions, events

    space = session.space
    zones = {profile.timezone.key: profile.timezone for profile in space.profiles}
    first = _month(month) if month else space.clock.now().astimezone(space.profiles[0].timezone).date().replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    store = space.existing_store()
    off = {
        (profile.name, spec.name)
        for profile in space.profiles
        for spec in profile.models.values()
        if store and (row := store.tasks.model(profile.name, spec.name)) is not None and row.enabled is False
    }
    found = [event for event in events(space.profiles, first, last) if (event.profile, event.model) not in off]
    meeting = {(event.profile, event.model, event.instant) for group in collisions(found) for event in group}
    items: list[dict[str, Any]] = [
        {
            "at": instant(event.instant), "slot": event.local.isoformat(timespec="minutes"), "profile": event.profile, "model": event.model,
            "collides": (event.profile, event.model, event.instant) in meeting, "note": event.note,
        }
        for event in found
    ]  # fmt: skip
    changes = [
        {"day": change.day.isoformat(), "at": instant(change.instant), "timezone": name, "text": change.text}
        for name, zone in zones.items()
        for change in clock_changes(zone, first, last)
    ]
    realtime = [spec.name for profile in space.profiles for spec in profile.models.values() if spec.schedule.realtime and spec.enabled]
    out = session.out
    told = Volume(session, off, first, last) if volume else None
    if told is not None:
        for event, item in zip(found, items, strict=True):
            item.update(told.item(event))
    if out.json:
        more = told.json() if told is not None else {}
        out.object({"items": items, "month": f"{first:%Y-%m}", "changes": changes, "realtime": realtime, **more})
        return
    rows = _days(items)
    columns = [Column("day"), Column("model"), Column("times"), Column("expected", right=True), Column("note")]
    if len(space.profiles) > 1:
        columns.insert(1, Column("profile"))
    if rows:
        out.table(rows, columns)
    else:
        out.line(f"nothing fires in {first:%Y-%m}")
    for change in changes:
        out.line(f"{change['day']} ({change['timezone']}): {change['text']}")
    if realtime:
        out.line(f"real time: {', '.join(realtime)}")
    if told is not None:
        told.show()
    elif rows:
        out.say("how many messages, and by which app: add --volume")


def _days(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per day and model."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for item in items:
        day, _, clock = item["slot"].partition("T")
        row = rows.setdefault((day, item["profile"], item["model"]), {"all": [], "notes": {}})
        row["all"].append(clock)
        if "expected" in item:
            row.setdefault("expected", []).append(item)
        if item["collides"]:
            row["notes"]["collides with another model"] = True
        if item["note"]:
            row["notes"][item["note"]] = True
    return [
        {
            "day": date.fromisoformat(day).strftime("%Y-%m-%d %a"), "profile": profile, "model": model,
            "times": _times(row["all"]), "expected": together(row.get("expected", [])),
            "note": "; ".join(row["notes"]),
        }
        for (day, profile, model), row in sorted(rows.items())
    ]  # fmt: skip


def _times(clocks: list[str]) -> str:
    return ", ".join(clocks) if len(clocks) <= _NAMED else f"{clocks[0]} … {clocks[-1]} ({len(clocks)} times)"


def _month(text: str) -> date:
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text)
    if match is None or match[1] == "0000":
        raise UsageError(f"{text!r} is no month", hint="write 2026-12")
    return date(int(match[1]), int(match[2]), 1)

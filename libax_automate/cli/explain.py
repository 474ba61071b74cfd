"""``automate explain``: each filter and its verdict for one person."""

from __future__ import annotations

from typing import Annotated

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.plan import day_of, draft_item
from libax_automate.cli.queue import message_item
from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import instant, local

app = noun()

_VERDICTS = {True: "ok", False: "excluded", None: ""}


@command(app, now=True)
def explain(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model, or PROFILE/MODEL.")],
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Id, e-mail, mobile or name, as the source has it.")],
    on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="As on this day: 2026-12-24.")] = None,
) -> None:
    """Show each filter and its verdict for one person, what was sent before, and the next time."""
    from libax_automate.engine.explain import explain as ask

    space = session.space
    profile, spec = space.model(model)
    found = ask(space, profile, spec, person, on=day_of(on, "--on") if on else None)
    checks = [{"check": check.name, "passes": check.passes, "detail": check.detail} for check in found.checks]
    messages = [message_item(message) for message in found.messages]
    draft = found.draft
    deeds = "" if found.deeds is None else f"writes to nobody; {'; '.join(found.deeds) or 'nothing to do'}"
    out = session.out
    if out.json:
        out.object(
            {
                "profile": profile.name, "model": spec.name, "person": found.person, "name": found.name, "where": found.where,
                "day": found.day.isoformat(), "items": checks, "verdict": str(draft.verdict) if draft else "excluded",
                "reason": draft.reason if draft else deeds or "not found by the model on that day", "message": draft_item(draft) if draft else None,
                "messages": messages, "next": instant(found.next.instant) if found.next else None,
                "next_slot": found.next.key if found.next else None, "next_why": found.next_why,
                "story": found.story,
            }
        )  # fmt: skip
        return
    out.line(f"{found.name or found.person} ({found.person}{', ' + found.where if found.where else ''}) and {spec.name} on {found.day}")
    out.line()
    if checks:
        out.table(checks, [Column("check"), Column("passes", "verdict", show=lambda passes: _VERDICTS[passes]), Column("detail")])
        out.line()
    if draft is None:
        out.line(f"{found.day}: {deeds or 'nothing'}")
    else:
        out.line(f"{found.day}: {draft.verdict}{': ' + draft.reason if draft.reason else ''}")
    if found.next is not None:
        why = f": {found.next_why}" if found.next_why else ""
        out.line(f"next: {found.next.local:%Y-%m-%d %H:%M}{why}")
    else:
        out.line(f"next: none; {found.next_why}")
    if found.story:
        out.line()
        for line in found.story:
            out.line(line)
    if messages:
        out.line()
        steps = [Column("step")] if any(item["step"] for item in messages) else []
        columns = [Column("id"), *steps, Column("occasion"), Column("to"), Column("state")]
        out.table(messages, [*columns, Column("ended", "when", show=lambda text: local(text, session.zone)), Column("reason")])

"""``automate report``: the weekly report, shown or sent (LX-58)."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.session import Session, command, noun
from libax_automate.cli.words import count
from libax_automate.errors import NotFound, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.spec import Profile

app = noun()


@command(app, now=True)
def report(
    session: Session,
    week: Annotated[str | None, typer.Option("--week", metavar="WEEK", help="2026-W47; by default the last full week.")] = None,
    html: Annotated[bool, typer.Option("--html", help="Print the HTML, chart and all.")] = False,
    send: Annotated[bool, typer.Option("--send", help="Queue it for those whom the profile notifies.")] = False,
) -> None:
    """Show a week's report, or queue it for those whom the profile notifies."""
    from libax_automate.engine import digest

    space = session.space
    if space.existing_store() is None:
        raise NotFound("nothing has run yet", hint="the first is: automate run")
    items: list[dict[str, Any]] = []
    for profile in space.profiles:
        first = _week(week) if week else _last(session, profile)
        made = digest.weekly(space, profile, first)
        if send and not profile.notify:
            raise UsageError(f"{profile.name} notifies nobody", hint='add notify = ["you@example.com"] to the profile')
        queued = digest.send(space, profile, first) if send else None
        items.append(
            {
                "profile": profile.name, "week": f"{first:%G-W%V}",
                "first": first.isoformat(), "last": (first + timedelta(days=6)).isoformat(),
                "subject": made.subject, "text": made.text, "html": made.html, "queued": queued,
            }
        )  # fmt: skip
    out = session.out
    if out.json:
        out.object({"items": items})
        return
    for item in items:
        if send:
            done = f"{count(item['queued'], 'letter')} queued for the next: automate run"
            out.line(f"{item['profile']} {item['week']}: {done if item['queued'] else 'was sent already'}")
        elif html:
            out.raw(item["html"])
        else:
            out.line(f"{item['subject']}\n\n{item['text'].rstrip()}")


def _last(session: Session, profile: Profile) -> date:
    """Monday of the last full week."""
    today = session.space.clock.now().astimezone(profile.timezone).date()
    return today - timedelta(days=today.weekday() + 7)


def _week(text: str) -> date:
    """Monday of an ISO 8601 week such as ``2026-W47``."""
    if re.fullmatch(r"\d{4}-?W\d{2}", text, re.IGNORECASE):
        try:
            return date.fromisoformat(text.upper() if "-" in text else f"{text[:4]}-{text[4:].upper()}")
        except ValueError:
            pass
    raise UsageError(f"--week {text!r} is no week", hint="write 2026-W47 (ISO 8601)")

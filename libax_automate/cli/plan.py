"""``automate plan``: person by person, what a model would do, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libax_automate.cli.listing import Listing, Tally
from libax_automate.cli.output import Column
from libax_automate.cli.session import Session, command, noun
from libax_automate.errors import StoreError, UsageError

if TYPE_CHECKING:
    from libax_automate.engine.outbox import Draft
    from libax_automate.engine.page import Page

app = noun()

COLUMNS = (
    Column("person"), Column("name"), Column("channel"), Column("app"), Column("to"), Column("says"), Column("verdict"), Column("reason"),
)  # fmt: skip
#: this much of a message shows which one it is
_WORDS = 48
#: so many exclusions are worth a line of sums
_MANY = 10


def draft_item(draft: Draft) -> dict[str, Any]:
    """A draft, JSON-ready."""
    return {
        "person": draft.person, "name": draft.name, "channel": str(draft.channel or ""), "app": draft.app, "to": draft.to,
        "subject": draft.subject, "text": draft.text, "verdict": str(draft.verdict), "reason": draft.reason,
        "occasion": draft.occasion, "step": draft.step,
    }  # fmt: skip


def first_words(item: dict[str, Any]) -> str:
    """As much of a message as shows which one it is."""
    says = " ".join((item["subject"] or item["text"]).split())
    return says if len(says) <= _WORDS else says[: _WORDS - 1] + "…"


def shown(item: dict[str, Any]) -> dict[str, Any]:
    """An item as a row of the table for people."""
    return {**item, "says": first_words(item) if item["verdict"] != "excluded" else ""}


@command(app, now=True)
def plan(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model, or PROFILE/MODEL.")],
    on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="As on this day: 2026-12-24.")] = None,
    keep: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Keep it for: automate apply FILE.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also as one page to show to somebody.")] = None,
) -> None:
    """Show who gets what, who does not and why; sends nothing."""
    from libax_automate.engine.plan import plan_model

    space = session.space
    profile, spec = space.model(model)
    day = day_of(on, "--on") if on else None
    made = plan_model(space, profile, spec, on=day)
    out, reasons, page = session.out, Tally(), None
    if html is not None:
        from libax_automate.engine.language import language
        from libax_automate.engine.page import Page

        page = Page(language(profile.locale))
    with Listing(out, COLUMNS) as people:
        # one walk, person by person: however many there are, none is kept in memory
        drafts = _watched(made.drafts, people, reasons, page)
        if keep is not None:
            from libax_automate.engine.saved import save

            save(made, drafts, keep, on=day)
            out.say(f"kept in {keep}; to send exactly this: automate apply {keep}")
        else:
            for _ in drafts:
                pass
        if html is not None and page is not None:
            from libax_automate.engine.trial import samples

            steps = [each.name for each in spec.steps if each.name not in page.steps]
            for draft in samples(space, profile, spec, steps):
                page.sample(draft)
            title = f"{profile.name}: {spec.name}"
            about = {each.name: each.description for each in spec.steps}
            write_page(html, page.html(title=title, moment=made.moment.slot.local, description=spec.description, about=about))
            out.say(f"written: {html}")
        for row in made.bad_rows:
            out.warn(f"{row.where}: {row.column}: {row.why}" if row.column else f"{row.where}: {row.why}")
        if (unnamed := made.bad - len(made.bad_rows)) > 0:
            out.warn(f"… and {unnamed} more rows that cannot be read")
        if out.json:
            people.answer(**made.counts, bad_rows=made.bad)
            return
        people.show()
    counts = f"{made.counts['send']} to send, {made.counts['held']} held, {made.counts['excluded']} excluded"
    if made.bad:
        counts += f", {made.bad} rows that cannot be read"
    out.line(counts)
    if reasons.total > _MANY:
        out.line("; ".join(f"{number} x {reason}" for reason, number in reasons.first(5)))


def _watched(drafts: Iterator[Draft], people: Listing, reasons: Tally, page: Page | None) -> Iterator[Draft]:
    """The drafts as they stream by, listed and counted."""
    for draft in drafts:
        item = draft_item(draft)
        people.add(item if people.json else shown(item))
        if item["verdict"] == "excluded":
            reasons.add(draft.reason)
        if page is not None:
            page.add(draft)
        yield draft


def write_page(path: Path, html: str) -> None:
    """Write a page with people's names and addresses on it: for its owner's eyes."""
    try:
        path.touch(mode=0o600)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="give another file") from None


def day_of(text: str, option: str) -> Any:
    """A plain date; raises UsageError otherwise."""
    from datetime import date

    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{option} {text!r} is no date", hint="write 2026-12-24") from None

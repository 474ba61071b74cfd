"""``automate backtest``: what a model would have sent in a past period."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libax_automate.cli.output import Column
from libax_automate.cli.plan import day_of, write_page
from libax_automate.cli.session import Session, command, noun

if TYPE_CHECKING:
    from libax_automate.engine.backtest import Replayed

app = noun()

#: more days than this are shown week by week in a terminal
_DAYS = 35
_BAR = 40
_NAMED = 20


@command(app)
def backtest(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model, or PROFILE/MODEL.")],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also as one page to show to somebody.")] = None,
) -> None:
    """Replay a past period: messages per day, who is written to most, what would have gone to people who had paid."""
    from libax_automate.engine.backtest import backtest as replay

    space = session.space
    profile, spec = space.model(model)
    begin, end = day_of(first, "--from"), day_of(last, "--to")
    found = replay(space, profile, spec, begin, end)
    days = [(begin + timedelta(days=offset), found.days[begin + timedelta(days=offset)]) for offset in range((end - begin).days + 1)]
    if html is not None:
        write_page(html, _page(found, days, f"{profile.name}: {spec.name}", f"{begin} to {end}"))
        session.out.say(f"written: {html}")
    most = [{"person": person, "name": name, "messages": count} for (person, name), count in found.people.most_common(_NAMED)]
    after = [{"day": day.isoformat(), "person": person, "name": name, "step": step} for day, person, name, step in found.after_paid]
    if session.out.json:
        session.out.object(
            {
                "items": [{"day": day.isoformat(), "messages": count} for day, count in days], "model": spec.name, "profile": profile.name,
                "messages": found.messages, "people": len(found.people), "runs": found.runs, "most": most, "steps": dict(found.steps),
                "apps": dict(found.apps), "after_paid": after, "excluded": dict(found.reasons), "bad_rows": found.bad_rows, "notes": found.notes,
            }
        )  # fmt: skip
        return
    out = session.out
    _chart(session, days)
    out.line(f"{found.messages} messages to {len(found.people)} people in {found.runs} runs")
    if len(found.steps) > 1:
        out.line("; ".join(f"{count} x {step}" for step, count in found.steps.most_common()))
    if most and most[0]["messages"] != 1:
        out.line("")
        out.table(most[:5], [Column("person"), Column("name"), Column("messages", right=True)])
    if after:
        out.line("")
        out.line(f"{len(after)} would have gone to people who had paid:")
        out.table(after[:_NAMED], [Column("day"), Column("person"), Column("name"), Column("step")])
    for note in found.notes:
        out.say(note)


def _chart(session: Session, days: list[tuple[date, int]]) -> None:
    bars = days if len(days) <= _DAYS else _weeks(days)
    most = max((count for _, count in bars), default=0) or 1
    word = "day" if bars is days else "week of"
    rows = [{word: day.isoformat(), "messages": count, "": "█" * round(_BAR * count / most)} for day, count in bars]
    session.out.table(rows, [Column(word), Column("messages", right=True), Column("")])


def _weeks(days: list[tuple[date, int]]) -> list[tuple[date, int]]:
    weeks: dict[date, int] = {}
    for day, count in days:
        monday = day - timedelta(days=day.weekday())
        weeks[monday] = weeks.get(monday, 0) + count
    return list(weeks.items())


def _page(found: Replayed, days: list[tuple[date, int]], title: str, subtitle: str) -> str:
    from libax_automate.engine.page import chart, document, table

    sections = [("Messages per day", chart([(day, count) for day, count in days if count] or days[:1]))]
    if found.people:
        rows = [(name or person, str(count)) for (person, name), count in found.people.most_common(_NAMED)]
        sections.append(("Written to most", table(("person", "messages"), rows)))
    if found.after_paid:
        cases = [(str(day), name or person, step) for day, person, name, step in found.after_paid[:200]]
        sections.append(("To people who had paid", table(("day", "person", "step"), cases)))
    if found.reasons:
        sections.append(("Left out", table(("reason", "times"), [(reason, str(count)) for reason, count in found.reasons.most_common(20)])))
    told = f"{found.messages} messages to {len(found.people)} people, {subtitle}. {'; '.join(found.notes)}"
    return document(title=title, subtitle=told, sections=sections)

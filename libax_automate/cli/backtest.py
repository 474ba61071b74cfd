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
    from libax_automate.engine.spec import ModelSpec, Profile

app = noun()

#: more days than this are shown week by week in a terminal
_DAYS = 35
_BAR = 40
_NAMED = 20
#: weeks that are shown one by one, in a terminal and on a page; beyond, months are
_WEEKS_LINES, _WEEKS_PAGE = 60, 30
#: people who had paid that are named on a page
_CASES = 200
#: reasons of each kind that are named in a terminal
_REASONS = 10


@command(app)
def backtest(
    session: Session,
    model: Annotated[list[str], typer.Argument(metavar="MODEL...", help="One or more models of a profile, or PROFILE/MODEL.")],
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day.")],
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also as one page to show to somebody.")] = None,
) -> None:
    """Replay a past period: messages per day, who is written to most, what is held back and why, what would have gone to people who had paid.

    Caps and tact count what the models given here would have said to a person, all together.
    """
    from libax_automate.engine.backtest import backtest as replay

    space = session.space
    profile, specs = _models(session, model)
    names = ", ".join(spec.name for spec in specs)
    begin, end = day_of(first, "--from"), day_of(last, "--to")
    found = replay(space, profile, specs, begin, end)
    days = [(begin + timedelta(days=offset), found.days[begin + timedelta(days=offset)]) for offset in range((end - begin).days + 1)]
    if html is not None:
        write_page(html, _page(found, days, f"{profile.name}: {names}", profile.locale))
        session.out.say(f"written: {html}")
    most = [{"person": person, "name": name, "messages": count} for (person, name), count in found.people.most_common(_NAMED)]
    after = [{"day": day.isoformat(), "person": person, "name": name, "step": step} for day, person, name, step in found.after_paid]
    if session.out.json:
        session.out.object(
            {
                "items": [{"day": day.isoformat(), "messages": count} for day, count in days], "model": names, "profile": profile.name,
                "models": [{"model": spec.name, "messages": found.models[spec.name]} for spec in specs],
                "messages": found.messages, "people": len(found.people), "runs": found.runs, "most": most, "steps": dict(found.steps),
                "apps": dict(found.apps), "after_paid": after, "excluded": dict(found.reasons),
                "held": dict(found.held), "bad_rows": found.bad_rows, "notes": found.notes,
            }
        )  # fmt: skip
        return
    out = session.out
    _chart(session, days)
    out.line(f"{found.messages} messages to {len(found.people)} people in {found.runs} runs")
    if len(specs) > 1:
        out.line("; ".join(f"{found.models[spec.name]} x {spec.name}" for spec in specs))
    if len(found.steps) > 1:
        out.line("; ".join(f"{count} x {step}" for step, count in found.steps.most_common()))
    if most and most[0]["messages"] != 1:
        out.line("")
        out.table(most[:5], [Column("person"), Column("name"), Column("messages", right=True)])
    if after:
        out.line("")
        out.line(f"{len(after)} would have gone to people who had paid:")
        out.table(after[:_NAMED], [Column("day"), Column("person"), Column("name"), Column("step")])
    back = [{"times": number, "what": "left out", "why": why} for why, number in found.reasons.most_common(_REASONS)]
    back += [{"times": number, "what": "later", "why": why} for why, number in found.held.most_common(_REASONS)]
    if back:
        out.line("")
        out.line(f"{found.reasons.total()} left out, {found.held.total()} later")
        out.table(back, [Column("times", right=True), Column("what"), Column("why")])
    for note in found.notes:
        out.say(note)


def _models(session: Session, given: list[str]) -> tuple[Profile, list[ModelSpec]]:
    """The models that are named, each once, of one profile."""
    from libax_automate.errors import UsageError

    found = {(profile.name, spec.name): (profile, spec) for profile, spec in map(session.space.model, given)}
    profiles = {profile.name: profile for profile, _ in found.values()}
    if len(profiles) > 1:
        raise UsageError(
            f"the models are of several profiles: {', '.join(profiles)}", hint="people of one profile are nobody to another: one at a time"
        )
    return next(iter(profiles.values())), [spec for _, spec in found.values()]


def _chart(session: Session, days: list[tuple[date, int]]) -> None:
    unit, bars = _bars(days, _WEEKS_LINES)
    word = "week of" if unit == "week" else unit
    most = max((count for _, count in bars), default=0) or 1
    rows = [
        {word: f"{first:%Y-%m}" if unit == "month" else first.isoformat(), "messages": count, "": "█" * round(_BAR * count / most)}
        for first, count in bars
    ]
    session.out.table(rows, [Column(word), Column("messages", right=True), Column("")])


def _bars(days: list[tuple[date, int]], weeks: int) -> tuple[str, list[tuple[date, int]]]:
    """Day by day, in a longer period week by week, beyond so many ``weeks`` month by month; each bar by its first day."""
    if len(days) <= _DAYS:
        return "day", days
    by_month = len(days) > 7 * weeks
    found: dict[date, int] = {}
    for day, count in days:
        first = day.replace(day=1) if by_month else day - timedelta(days=day.weekday())
        found[first] = found.get(first, 0) + count
    return "month" if by_month else "week", list(found.items())


def _page(found: Replayed, days: list[tuple[date, int]], title: str, locale: str) -> str:
    from libax_automate.engine.language import language
    from libax_automate.engine.page import chart, counts, document, more, sample, sums, table
    from libax_automate.engine.reason import reason

    lang = language(locale)
    say = lang.text
    figures = [
        ("", found.messages, say("page.messages")), ("", len(found.people), say("page.people")),
        ("excluded", found.reasons.total(), say("page.left_out")), ("held", found.held.total(), say("page.later")),
    ]  # fmt: skip
    unit, bars = _bars(days, _WEEKS_PAGE)
    sections = [("", sums(lang, figures)), (say(f"page.by.{unit}"), chart(lang, unit, bars))]
    for kind, counted in (("model", found.models), ("step", found.steps), ("app", found.apps)):
        if len(counted) > 1:
            rows = [(name or say("page.itself"), lang.number(number)) for name, number in counted.most_common()]
            sections.append((say(f"page.by.{kind}"), table(lang, ("", "messages"), rows, kind="few")))
    if found.people:
        rows = [(name or person, lang.number(count)) for (person, name), count in found.people.most_common(_NAMED)]
        sections.append((say("page.most"), table(lang, ("person", "messages"), rows, kind="few")))
    if found.after_paid:
        cases = [(lang.date(day), name or person, step) for day, person, name, step in found.after_paid[:_CASES]]
        rest = more(lang, len(found.after_paid) - _CASES) if len(found.after_paid) > _CASES else ""
        sections.append((say("page.paid"), table(lang, ("day", "person", "step"), cases) + rest))
    if found.reasons:
        sections.append((say("page.why_not"), counts(lang, found.reasons)))
    if found.held:
        sections.append((say("page.why_later"), counts(lang, found.held)))
    sections += [("", sample(lang, draft)) for draft in found.samples.values()]
    span = say("page.span", first=lang.date(days[0][0]), last=lang.date(days[-1][0]))
    told = "; ".join([lang.ntext("page.runs", found.runs), *(reason(locale, note) for note in found.notes)])
    return document(lang, title=title, subtitle=f"{span}. {told}.", sections=sections)

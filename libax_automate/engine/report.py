"""The weekly report of executed tasks (LX-58), as text and as HTML with a chart of messages per day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from libax_automate.engine.language import Language
from libax_automate.engine.letter import Bar, Letter, one_line
from libax_automate.engine.notice import OpenError
from libax_automate.engine.schedule import slots
from libax_automate.engine.spec import Profile, Schedule
from libax_automate.engine.walltime import Slot

WEEK = timedelta(days=7)
#: rows of a list of single things; the rest is counted
_ROWS = 20
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Sendings:
    """Messages of one local day and one app; ``app`` is empty for people who were excluded before an app was chosen."""

    day: date
    app: str
    sent: int = 0
    failed: int = 0
    excluded: int = 0


@dataclass(frozen=True, slots=True)
class ModelSlot:
    """A slot of a model, the profile's naive wall time."""

    model: str
    local: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """What a week came to; days are the profile's local days."""

    #: model -> state of a task (``done``, ``failed`` …) -> how many
    tasks: Mapping[str, Mapping[str, int]]
    messages: tuple[Sendings, ...] = ()
    #: app -> messages that wait now
    waiting: Mapping[str, int]
    errors: tuple[OpenError, ...] = ()
    #: tasks counted in the month of the report's last day (LX-33)
    month_tasks: int = 0
    missed: tuple[ModelSlot, ...] = ()
    #: missed slots beyond those named
    more_missed: int = 0
    upcoming: tuple[ModelSlot, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """An e-mail to be sent; the subject is one line."""

    subject: str
    text: str
    html: str


def weekly_slot(report: tuple[int, time] | None, zone: ZoneInfo, after: datetime, until: datetime) -> Slot | None:
    """The newest slot of the weekly report with ``after < instant <= until``: after weeks without a pass one report is due."""
    if report is None:
        return None
    weekday, at = report
    newest = None
    for slot in slots(Schedule(at=(at,), weekdays=frozenset({weekday})), zone, max(after, until - 2 * WEEK), until):
        newest = slot
    return newest


def week_start(slot: Slot) -> date:
    """The first day of the week that the report of ``slot`` is about: the seven days before its own."""
    return slot.local.date() - WEEK


def build(profile: Profile, *, week_start: date, data: ReportData, language: Language) -> Report:
    """The report of the seven days from ``week_start``; messages of other days are left out."""
    say = language.text
    days = [week_start + timedelta(days=offset) for offset in range(7)]
    data = replace(data, messages=tuple(row for row in data.messages if days[0] <= row.day <= days[-1]))
    totals = Counter[str]()
    for row in data.messages:
        totals.update(sent=row.sent, failed=row.failed, excluded=row.excluded)
    tasks = sum(sum(states.values()) for states in data.tasks.values())

    letter = Letter(say("report.title", profile=profile.name), language.tag, say("letter.foot", profile=profile.name))
    letter.paragraph(say("report.span", first=language.date(days[0]), last=language.date(days[-1])), strong=True)
    letter.paragraph(
        ", ".join(
            [
                language.ntext("report.tasks", tasks),
                language.ntext("report.sent", totals["sent"]),
                language.ntext("report.failed", totals["failed"]),
                language.ntext("report.excluded", totals["excluded"]),
            ]
        )
        + "."
    )
    letter.paragraph(language.ntext("report.errors", len(data.errors)) if data.errors else say("report.quiet"), strong=bool(data.errors))
    if data.errors:
        _errors(letter, profile, data, language)

    letter.heading(say("report.heading.days"))
    if totals.total():
        _days(letter, days, data, language)
    else:
        letter.paragraph(say("report.none") if not tasks else language.ntext("report.sent", 0) + ".")
    if data.tasks:
        _tasks(letter, data, language)
    _apps(letter, data, language)
    if data.missed or data.more_missed:
        letter.heading(say("report.heading.missed"))
        _slots(letter, data.missed, data.more_missed, language)
    if data.upcoming:
        letter.heading(say("report.heading.next"))
        _slots(letter, data.upcoming, 0, language)
    letter.paragraph(language.ntext("report.month", data.month_tasks, month=language.month(days[-1])))
    subject = say(
        "report.subject",
        profile=profile.name,
        first=language.date(days[0]),
        last=language.date(days[-1]),
        sent=language.ntext("report.sent", totals["sent"]),
    )
    return Report(one_line(subject), letter.text(), letter.html())


def _errors(letter: Letter, profile: Profile, data: ReportData, language: Language) -> None:
    say = language.text
    letter.heading(say("report.heading.errors"))
    head = [say(f"report.column.{name}") for name in ("error", "app", "since", "cause", "waiting")]
    rows = [
        (
            error.id,
            error.app,
            language.datetime(error.since, profile.timezone),
            one_line(error.cause, _LONGEST),
            language.number(error.waiting),
        )
        for error in data.errors[:_ROWS]
    ]
    letter.table(head, rows, numbers=1)
    _more(letter, len(data.errors) - _ROWS, language)
    letter.commands([("automate queue clear", say("command.walk"))])


def _days(letter: Letter, days: list[date], data: ReportData, language: Language) -> None:
    sums = {day: [0, 0, 0] for day in days}
    for row in data.messages:
        for index, count in enumerate((row.sent, row.failed, row.excluded)):
            sums[row.day][index] += count
    legend = [language.text(f"report.column.{name}") for name in ("sent", "failed", "excluded")]
    bars = [Bar(language.day(day), tuple(sums[day])) for day in days]
    figures = []
    for sent, failed, excluded in sums.values():
        beside = [language.ntext(f"report.{name}", count) for name, count in (("failed", failed), ("excluded", excluded)) if count]
        figures.append(", ".join((language.number(sent), *beside)))
    letter.bars(legend, bars, figures)


def _tasks(letter: Letter, data: ReportData, language: Language) -> None:
    say, number = language.text, language.number
    letter.heading(say("report.heading.tasks"))
    head = [say(f"report.column.{name}") for name in ("model", "done", "failed", "not_run", "total")]
    rows = []
    for model, states in sorted(data.tasks.items()):
        counts = Counter(states)
        bad = counts["failed"] + counts["crashed"]
        not_run = counts["missed"] + counts["overlapped"] + counts["cancelled"]
        rows.append((model, *map(number, (counts["done"], bad, not_run, counts.total()))))
    letter.table(head, rows, numbers=4)


def _apps(letter: Letter, data: ReportData, language: Language) -> None:
    say, number = language.text, language.number
    sums: dict[str, Counter[str]] = {app: Counter(waiting=count) for app, count in data.waiting.items()}
    for row in data.messages:
        if row.app:
            sums.setdefault(row.app, Counter()).update(sent=row.sent, failed=row.failed, excluded=row.excluded)
    if not sums:
        return
    letter.heading(say("report.heading.apps"))
    head = [say(f"report.column.{name}") for name in ("app", "sent", "failed", "excluded", "waiting")]
    names = ("sent", "failed", "excluded", "waiting")
    letter.table(head, [(app, *(number(counts[name]) for name in names)) for app, counts in sorted(sums.items())], numbers=4)


def _slots(letter: Letter, found: tuple[ModelSlot, ...], more: int, language: Language) -> None:
    say = language.text
    if found:
        rows = [(language.datetime(slot.local), slot.model) for slot in found[:_ROWS]]
        letter.table([say("report.column.when"), say("report.column.model")], rows)
    _more(letter, max(0, len(found) - _ROWS) + more, language)


def _more(letter: Letter, count: int, language: Language) -> None:
    if count > 0:
        letter.paragraph(language.ntext("report.more", count))

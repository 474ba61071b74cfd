"""The weekly report: when it is due, which days it is about, and that text and HTML say the same figures."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libax_automate.engine.language import LANGUAGES, language
from libax_automate.engine.notice import OpenError
from libax_automate.engine.report import ModelSlot, ReportData, Sendings, build, week_start, weekly_slot
from libax_automate.engine.spec import Profile

LISBON = ZoneInfo("Europe/Lisbon")
PROFILE = Profile(name="padaria", path=Path("padaria.toml"), timezone=LISBON, locale="pt_PT", report=(1, time(8)))
MONDAY = date(2026, 12, 14)
DATA = ReportData(
    tasks={"wishes": {"done": 6, "failed": 1}, "billing": {"done": 5, "missed": 2, "crashed": 1}},
    messages=(
        Sendings(MONDAY, "brevo", sent=40, failed=1),
        Sendings(MONDAY, "smspro", sent=3),
        Sendings(MONDAY, "", excluded=12),
        Sendings(MONDAY + timedelta(days=6), "brevo", sent=1200, excluded=5),
    ),
    waiting={"smspro": 37, "brevo": 0},
    errors=(
        OpenError(id="E12", app="smspro", kind="account", cause="402 no <credit>", since=datetime(2026, 12, 18, 9, tzinfo=UTC), waiting=37),
    ),
    month_tasks=71,
    missed=tuple(ModelSlot("billing", datetime(2026, 12, 16, 9) + timedelta(hours=hour)) for hour in range(25)),
    more_missed=3,
    upcoming=(ModelSlot("wishes", datetime(2026, 12, 21, 9, 30)),),
)


class Words(HTMLParser):
    """The words of a page, checking that its tags close in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {name for name, _ in attrs} & {"src", "href"}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += f" {data} "


def test_the_report_gives_tasks_messages_errors_and_what_was_missed() -> None:
    """LX-58, LX-33."""
    report = build(PROFILE, week_start=MONDAY, data=DATA, language=language("en_US"))
    assert report.subject == "[padaria] Report of Dec 14, 2026 to Dec 20, 2026: 1,243 messages sent"
    text = report.text
    assert "15 tasks, 1,243 messages sent, 1 failed, 17 excluded." in text
    assert "1 open error needs you." in text
    assert "71 tasks counted in December 2026 so far." in text
    rows = [line.split() for line in text.splitlines()]
    assert ["wishes", "6", "1", "0", "7"] in rows
    assert ["billing", "5", "1", "2", "8"] in rows
    assert ["brevo", "1,240", "1", "5", "0"] in rows
    assert ["smspro", "3", "0", "0", "37"] in rows
    assert "… and 8 more." in text
    words = " ".join(Words(report.html).words.split())
    for figure in ("1,240", "402 no <credit>", "71 tasks counted", "… and 8 more.", "automate queue clear"):
        assert figure in words


def test_the_chart_shows_each_day_and_no_part_vanishes() -> None:
    report = build(PROFILE, week_start=MONDAY, data=DATA, language=language("pt_PT"))
    lines = report.text.splitlines()
    first = next(line for line in lines if line.startswith("segunda 14/12"))
    last = next(line for line in lines if line.startswith("domingo 20/12"))
    assert "█▒░ 43, 1 falhada, 12 excluídas" in first
    assert last.count("█") == 30
    assert sum(line.startswith(("segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo")) for line in lines) == 7
    assert report.html.count("<td title=") == 5


def test_the_columns_of_the_text_are_aligned() -> None:
    report = build(PROFILE, week_start=MONDAY, data=DATA, language=language("pt_PT"))
    lines = report.text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("Modelo "))
    assert len({len(line) for line in lines[start : start + 4]}) == 1


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_week_in_which_nothing_happened_still_makes_a_report(name: str) -> None:
    report = build(PROFILE, week_start=MONDAY, data=ReportData(tasks={}, waiting={}), language=language(name))
    assert language(name).text("report.quiet") in report.text
    assert language(name).text("report.none") in report.text
    assert Words(report.html).words
    assert f'lang="{language(name).tag}"' in report.html


def test_the_report_is_due_at_its_weekly_slot() -> None:
    after, until = datetime(2026, 12, 20, 12, tzinfo=UTC), datetime(2026, 12, 21, 8, 0, tzinfo=UTC)
    slot = weekly_slot(PROFILE.report, LISBON, after, until)
    assert slot is not None
    assert slot.key == "2026-12-21T08:00"
    assert week_start(slot) == MONDAY
    assert weekly_slot(PROFILE.report, LISBON, after, until - timedelta(minutes=1)) is None
    assert weekly_slot(None, LISBON, after, until) is None


def test_after_months_without_a_pass_one_report_is_due() -> None:
    slot = weekly_slot(PROFILE.report, LISBON, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 23, tzinfo=UTC))
    assert slot is not None
    assert slot.key == "2026-12-21T08:00"


def test_messages_of_other_weeks_are_left_out() -> None:
    """In the totals, in the chart and in the table of apps alike."""
    data = ReportData(
        tasks={}, waiting={}, messages=(Sendings(MONDAY - timedelta(days=1), "brevo", sent=9), Sendings(MONDAY, "brevo", sent=1))
    )
    text = build(PROFILE, week_start=MONDAY, data=data, language=language("en_US")).text
    assert "1 message sent" in text
    assert "brevo     1" in text

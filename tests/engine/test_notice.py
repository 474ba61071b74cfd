"""Notices name what stopped and why, and give commands that can be copied; reminders come after 4 hours and then daily."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libax_automate.engine.language import LANGUAGES, language
from libax_automate.engine.notice import Notice, OpenError, TaskFailure, error_notice, next_reminder, task_notice
from libax_automate.engine.spec import Profile

NOW = datetime(2026, 12, 24, 10, tzinfo=UTC)
PROFILE = Profile(name="padaria", path=Path("padaria.toml"), timezone=ZoneInfo("Europe/Lisbon"), locale="pt_PT")
KINDS = ["account", "configuration", "content", "recipient", "in_doubt", "transient", "rate_limited", "bug", "unheard-of"]


class Balanced(HTMLParser):
    """Refuses HTML whose tags do not close in order, or that would fetch or run anything."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "link", "iframe", "b"}
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def opened(kind: str, **values: object) -> OpenError:
    settings: dict[str, object] = {
        "id": "E12",
        "app": "smspro",
        "cause": "402 no credit",
        "since": NOW - timedelta(hours=1),
        "message": "M1042",
        "waiting": 37,
    }
    return OpenError(kind=kind, **(settings | values))  # type: ignore[arg-type]


def said(error: OpenError, locale: str = "en_US", reminder: int = 0) -> Notice:
    notice = error_notice(PROFILE, error=error, reminder=reminder, language=language(locale), now=NOW)
    Balanced(notice.html)
    return notice


def commands(notice: Notice) -> list[str]:
    return [line.strip().removeprefix("automate ") for line in notice.text.splitlines() if line.startswith("  automate ")]


@pytest.mark.parametrize("locale", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_class_says_what_why_and_what_to_type(kind: str, locale: str) -> None:
    """LX-57, LX-61: in each language."""
    notice = said(opened(kind, hint="top up"), locale)
    for part in ("padaria", "smspro", "E12"):
        assert part in notice.subject
    assert "\n" not in notice.subject
    for part in ("402 no credit", "top up", "M1042", "37"):
        assert part in notice.text
    found = commands(notice)
    assert "errors retry E12" in found
    assert "errors skip E12" in found
    assert "queue clear padaria/smspro" in found
    assert ("errors sent E12" in found) == (kind == "in_doubt")
    words = "".join(Balanced(notice.html).words)
    assert all(f"automate {command}" in words for command in found)


def test_an_account_error_without_a_message_offers_nothing_to_skip() -> None:
    assert commands(said(opened("account", message="", waiting=0))) == ["errors retry E12", "queue show padaria/smspro"]


def test_a_refused_recipient_is_skipped_first() -> None:
    assert commands(said(opened("recipient")))[:2] == ["errors skip E12", "errors retry E12"]


def test_after_days_the_advice_is_to_clear_the_queue_first() -> None:
    """LX-67."""
    old = said(opened("account", since=NOW - timedelta(days=3, hours=2)))
    assert "waited for 3 days" in old.text
    assert commands(old)[0] == "queue clear padaria/smspro --older-than 2d"
    assert commands(old).index("queue clear padaria/smspro") < commands(old).index("errors retry E12")
    assert "waited" not in said(opened("account", since=NOW - timedelta(hours=47))).text
    assert "waited" not in said(opened("account", since=NOW - timedelta(days=3), waiting=0)).text


def test_a_reminder_says_which_and_when_the_next_comes() -> None:
    assert "Reminder" not in said(opened("account")).subject
    assert "in 4 hours" in said(opened("account")).text
    third = said(opened("account"), reminder=3)
    assert "Reminder 3" in third.subject
    assert "in 1 day" in third.text


def test_hostile_causes_stay_words() -> None:
    """A provider's answer goes into a subject's neighbourhood, a text and HTML: it breaks none of them."""
    cause = "550 <script>alert(1)</script>\r\nBcc: all@example.com\x00\x1b[2J" + "x" * 5000
    notice = said(opened("recipient", cause=cause, app="smspro"))
    assert "\r" not in notice.text
    assert "\nBcc:" not in notice.text
    assert "\x1b" not in notice.text
    assert len(notice.text) < 3000


def test_times_are_the_profiles() -> None:
    summer = opened("account", since=datetime(2026, 7, 1, 9, 5, tzinfo=UTC))
    assert "01/07/2026 10:05" in " ".join(said(summer, "pt_PT").text.split())


def test_a_failed_task_says_whether_it_is_tried_again() -> None:
    failed = TaskFailure(
        id="T77",
        model="wishes",
        state="failed",
        slot=datetime(2026, 12, 24, 9, 30),
        reason="customers.csv is not there",
        hint="put it back",
        tries=3,
    )
    notice = task_notice(PROFILE, task=failed, language=language("en_US"))
    Balanced(notice.html)
    assert notice.subject == "[padaria] wishes: task T77 failed"
    assert "tried 3 times" in notice.text
    assert "not be tried again" in notice.text
    assert "customers.csv is not there" in notice.text
    assert commands(notice) == ["check --connect", "tasks retry T77", "tasks show T77"]
    again = TaskFailure(id="T78", model="wishes", state="crashed", slot=failed.slot, reason="killed", next_try=NOW + timedelta(minutes=5))
    notice = task_notice(PROFILE, task=again, language=language("pt_PT"))
    assert "Foi tentada uma vez" in notice.text
    assert "24/12/2026 10:05" in notice.text


@pytest.mark.parametrize("state", ["due", "running", "done", "failed", "crashed", "missed", "overlapped", "cancelled"])
def test_every_state_of_a_task_has_a_word(state: str) -> None:
    assert all(f"state.{state}" in language(name) for name in LANGUAGES)


def test_reminders_come_at_once_after_four_hours_and_then_daily() -> None:
    hours = [(next_reminder(NOW, sent) - NOW) / timedelta(hours=1) for sent in range(5)]
    assert hours == [0, 4, 24, 48, 72]


def test_after_a_pause_reminders_do_not_come_all_at_once() -> None:
    """Nobody ran a pass for ten days: the next reminder counts from the last one that left."""
    late = NOW + timedelta(days=10)
    assert next_reminder(NOW, 1, last=late) == late + timedelta(hours=4)
    assert next_reminder(NOW, 2, last=late) == late + timedelta(days=1)

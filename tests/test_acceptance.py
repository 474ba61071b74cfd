"""A consultant's day through the command line: a profile, a file of customers, messages in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from libax_automate.testing.mailbox import Mailbox
from libax_automate.testing.service import Reply, Service
from tests.conftest import Cli

PEOPLE = """\
id,name,email,mobile,birth_date,status,person_type
1,Ana Silva,ana@example.com,+351910000001,1980-12-24,active,person
2,Rui Costa,rui@example.com,+351910000002,1975-12-25,inactive,person
3,Eva Reis,eva@example.com,,1990-12-24,active,person
4,Loja Norte,loja@example.com,,2001-12-24,active,company
"""
APPS = """\
name = "acme"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[defaults]
email = "out"
sms = "out"

[apps.crm]
connector = "csv"
contacts = "people.csv"

[apps.out]
connector = "folder"
path = "out"
"""
BIRTHDAY = """
[models.birthday]
use = "birthday"
source = "crm"
at = "09:30"
text = "Olá {{ name }}"
"""
MORNING, LATER = "2026-12-24T09:00", "2026-12-24T10:00"


@pytest.fixture
def write(home: Path) -> Callable[[str], Path]:
    """Writes the profile, and the customers beside it."""

    def profile(text: str) -> Path:
        (home / "people.csv").write_text(PEOPLE, encoding="utf-8")
        path = home / "profiles.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return profile


def sent(home: Path) -> list[str]:
    """Who got a file, by the message's own To."""
    mails = [
        re.search(r"^To: .*?<?([\w.]+@[\w.]+)>?$", path.read_text(encoding="utf-8"), re.MULTILINE) for path in (home / "out").glob("*.eml")
    ]
    texts = [json.loads(path.read_text(encoding="utf-8"))["to"] for path in (home / "out").glob("*.json")]
    return sorted([mail[1] for mail in mails if mail] + texts)


@pytest.mark.req("LX-34")
def test_without_a_profile_the_way_to_make_one_is_told(cli: Cli) -> None:
    done = cli("run")
    assert done.code == 78
    assert "automate init" in done.err


@pytest.mark.req("LX-12", "LX-09")
def test_a_model_needs_its_apps_first(write: Callable[[str], Path], cli: Cli) -> None:
    write(APPS.replace("[apps.crm]", "[apps.crn]") + BIRTHDAY)
    done = cli("check")
    assert done.code == 78
    assert re.search(r"profiles\.toml:\d+:\d+: there is no app 'crm'.*did you mean 'crn'", done.err)


@pytest.mark.req("LX-52")
def test_a_model_without_a_message_is_refused(write: Callable[[str], Path], cli: Cli) -> None:
    write(APPS + BIRTHDAY.replace('text = "Olá {{ name }}"', ""))
    done = cli("check")
    assert done.code == 78
    assert "the message is missing" in done.err


@pytest.mark.req("LX-39")
def test_a_repetition_counts_from_its_first_day_and_needs_one(write: Callable[[str], Path], home: Path, cli: Cli) -> None:
    model = BIRTHDAY.replace('at = "09:30"', 'at = "09:30"\nevery = "14d"')
    write(APPS + model)
    done = cli("check")
    assert done.code == 78
    assert "start" in done.err
    write(APPS + model + "start = 2026-12-10\n")  # 14 days before Christmas Eve
    assert cli("run", "--now", "2026-12-09T12:00").code == 0
    assert cli("run", "--now", LATER).code == 0
    assert sent(home) == ["ana@example.com", "eva@example.com", "loja@example.com"]


@pytest.mark.req("LX-37", "LX-38", "LX-36", "LX-03")
@pytest.mark.parametrize(
    ("limits", "reached"),
    [("start = 2026-12-24\nend = 2026-12-24", True), ("start = 2026-12-25", False), ("start = 2026-01-01\nend = 2026-12-23", False)],
)
def test_a_model_has_effect_from_its_first_day_to_its_last(
    write: Callable[[str], Path], home: Path, cli: Cli, limits: str, reached: bool
) -> None:
    write(APPS + BIRTHDAY + limits)
    assert cli("run", "--now", MORNING).code == 0
    assert cli("run", "--now", LATER).code == 0
    assert bool(sent(home)) is reached


@pytest.mark.req("IB-21")
def test_a_day_without_birthdays_is_a_normal_empty_and_silent_run(write: Callable[[str], Path], home: Path, cli: Cli) -> None:
    write(APPS + BIRTHDAY)
    assert cli("run", "--now", "2026-12-20T09:00").code == 0
    done = cli("run", "--now", "2026-12-20T10:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert sent(home) == []
    assert [task["state"] for task in cli("tasks", "list", "--json").json["items"]] == ["done"]


@pytest.mark.req("IB-10", "IB-02", "LX-01")
@pytest.mark.parametrize(("audience", "reached"), [("[]", ["rui@example.com"]), ('["active"]', [])])
def test_inactive_customers_are_written_to_unless_left_out(
    write: Callable[[str], Path], home: Path, cli: Cli, audience: str, reached: list[str]
) -> None:
    write(APPS + BIRTHDAY + f"audience = {audience}\n")
    assert cli("run", "--now", "2026-12-25T09:00").code == 0
    assert cli("run", "--now", "2026-12-25T10:00").code == 0
    assert sent(home) == reached


@pytest.mark.req("IB-14", "IB-16", "IC-24")
@pytest.mark.parametrize(
    ("days", "fires"), [('weekdays = "1-5"', True), ('weekdays = "6-7"', False), ('weekdays = "4"\nmonthdays = "1-7"', False)]
)
def test_all_days_of_the_month_still_keep_to_the_weekdays(
    write: Callable[[str], Path], home: Path, cli: Cli, days: str, fires: bool
) -> None:
    """24 December 2026 is a Thursday."""
    write(APPS + BIRTHDAY + days)
    assert cli("run", "--now", MORNING).code == 0
    assert cli("run", "--now", LATER).code == 0
    assert bool(sent(home)) is fires


@pytest.mark.req("IB-12", "IB-18", "IB-19", "LX-60")
def test_finding_people_fills_the_queue_and_sending_comes_after(write: Callable[[str], Path], home: Path, cli: Cli) -> None:
    write(APPS + BIRTHDAY)
    assert cli("run", "--now", MORNING).code == 0
    assert cli("queue", "pause", "out").code == 0
    assert cli("run", "--now", LATER).code in {0, 3}
    assert [item["waiting"] for item in cli("queue", "list", "--json").json["items"]] == [3]
    assert sent(home) == []
    assert cli("queue", "resume", "out").code == 0
    assert cli("run", "--now", "2026-12-24T10:05").code == 0
    assert sent(home) == ["ana@example.com", "eva@example.com", "loja@example.com"]


@pytest.mark.req("LX-57", "LX-61", "LX-62", "LX-63", "LX-65", "LX-06", "LX-68")
def test_a_number_that_is_refused_stops_the_queue_and_people_hear_of_it(
    write: Callable[[str], Path], cli: Cli, automate_mailbox: Mailbox, automate_service: Service
) -> None:
    write(
        APPS.replace('email = "out"', 'email = "mail"')
        .replace('sms = "out"', 'sms = "gateway"')
        .replace('activation = "immediate"', 'activation = "immediate"\nnotify = ["admin@example.com"]')
        + f"""
[apps.mail]
connector = "smtp"
host = "127.0.0.1"
port = {automate_mailbox.port}
security = "none"
sender = "acme@example.com"

[apps.gateway]
connector = "http"
url = "{automate_service.url}/send"
json = {{ to = "{{{{ message.to }}}}" }}
allow_private = ["127.0.0.0/8"]
concurrency = 1
window = 1

[models.hello]
use = "notice"
source = "crm"
occasion = "hello"
at = "09:30"
channel = "sms"
text = "Olá"
"""
    )
    automate_service.on("/send", [Reply(422, {"error": "no such number"}), Reply(200, {"id": "g"})])
    assert cli("run", "--now", MORNING).code == 0
    assert cli("run", "--now", LATER).code == 3
    assert len(automate_service.requests) == 1  # the rest waits
    error = cli("errors", "list", "--json").json["items"][0]
    assert (error["app"], error["class"], error["waiting"]) == ("gateway", "recipient", 1)
    assert [delivery.recipients for delivery in automate_mailbox.messages] == [("admin@example.com",)]
    assert cli("errors", "skip", error["id"]).code == 0
    assert cli("run", "--now", "2026-12-24T10:05").code == 0
    assert [request.json()["to"] for request in automate_service.requests] == ["+351910000001", "+351910000002"]

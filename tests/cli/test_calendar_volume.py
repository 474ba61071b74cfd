"""``calendar --volume``: how many messages are expected, by which app, on what ground, and where that is more than the app may send."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

PROFILE = """
name = "loja"
timezone = "Europe/Lisbon"
activation = "immediate"

[defaults]
email = "saida"
{defaults}

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"
invoices = "faturas.csv"

[apps.saida]
connector = "folder"
path = "saida"
rate = "{rate}"

[models.parabens]
use = "birthday"
source = "gestao"
at = "10:00"
text = "Parabéns, {{{{ first_name }}}}!"
{more}
"""
WELCOME = '[models.novos]\nuse = "welcome"\nsource = "gestao"\nat = "11:00"\ntext = "Olá, {{ first_name }}!"\n'
LADDER = (
    '[models.cobranca]\nuse = "billing"\nsource = "gestao"\nat = "09:00"\ntext = "{{ customer.first_name }}: {{ total }}"\n'
    '[[models.cobranca.steps]]\nstage = "aviso"\nwhen = "due + 2d"\n[[models.cobranca.steps]]\nstage = "pendencia"\nwhen = "due + 5d"\n'
)


class Firm:
    """Thirty people whose birthday is 24 December, one on the 29th, and what a test adds."""

    def __init__(self, home: Path, cli: Cli) -> None:
        self.home, self.cli = home, cli
        self.people = [f"{i},P{i},1980-12-24,p{i}@example.com,2020-01-01" for i in range(30)]
        self.people.append("30,Eva,1975-12-29,eva@example.com,2020-01-01")

    def write(self, *, rate: str = "10/d", defaults: str = "", more: str = "", invoices: str = "") -> None:
        file = self.home / "profiles.toml"
        file.write_text(PROFILE.format(rate=rate, defaults=defaults, more=more), encoding="utf-8")
        file.chmod(0o600)
        (self.home / "clientes.csv").write_text(
            "id,first_name,birth_date,email,created_at\n" + "".join(f"{row}\n" for row in self.people), encoding="utf-8"
        )
        (self.home / "faturas.csv").write_text("id,customer,amount,balance,currency,issued,due,status\n" + invoices, encoding="utf-8")

    def run(self, at: str) -> None:
        """A pass, for which nobody has to wait: the pace is what the calendar is asked about."""
        file = self.home / "profiles.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub('rate = ".*"', 'rate = "1000/s"', text), encoding="utf-8")
        done = self.cli("run", "--now", at, "--db", "a.db")
        file.write_text(text, encoding="utf-8")
        assert done.code == 0, done.err

    def calendar(self, now: str, month: str = "2026-12") -> Any:
        done = self.cli("calendar", month, "--volume", "--json", "--now", now, "--db", "a.db")
        assert done.code == 0, done.err
        return done.json


@pytest.fixture
def firm(home: Path, cli: Cli) -> Firm:
    return Firm(home, cli)


def fires(found: Any, model: str) -> dict[str, tuple[float | None, str]]:
    """Day -> what is expected and on what ground, where it is not nothing."""
    return {
        item["slot"][:10]: (item["expected"], item["basis"])
        for item in found["items"]
        if item["model"] == model and (item["expected"] or item["expected"] is None)
    }


def test_birthdays_are_counted_on_their_days_and_an_overload_says_by_how_much_and_until_when(firm: Firm) -> None:
    firm.write()
    found = firm.calendar("2026-12-01T08:00")
    assert fires(found, "parabens") == {"2026-12-24": (30, "source"), "2026-12-29": (1, "source")}
    assert [item["apps"] for item in found["items"] if item["expected"] == 30] == [[{"app": "saida", "expected": 30}]]
    assert [(each["day"], each["expected"], each["allowed"], each["left"]) for each in found["volume"]] == [
        ("2026-12-24", 30, 10, 20),
        ("2026-12-25", 0, 10, 10),
        ("2026-12-26", 0, 10, 0),
        ("2026-12-29", 1, 10, 0),
    ]
    assert found["overloads"] == [
        {"profile": "loja", "app": "saida", "day": "2026-12-24", "expected": 30, "allowed": 10, "most": 20, "until": "2026-12-26"}
    ]
    assert (found["volume"][0]["rate"], found["volume"][0]["window"]) == ("10/d", 16)
    out = firm.cli("calendar", "2026-12", "--volume", "--now", "2026-12-01T08:00", "--db", "a.db").out
    assert "2026-12-24: 30 expected, 10 per day allowed by app saida (10/d); the last leave on 2026-12-26" in out


def test_without_the_flag_no_source_is_read_and_nothing_is_claimed(firm: Firm) -> None:
    firm.write()
    (firm.home / "clientes.csv").unlink()
    done = firm.cli("calendar", "2026-12", "--json", "--now", "2026-12-01T08:00", "--db", "a.db")
    assert done.code == 0
    assert "expected" not in done.json["items"][0]
    assert "volume" not in done.json


def test_a_pace_that_suffices_is_no_overload_and_quiet_hours_take_their_share(firm: Firm) -> None:
    firm.write(rate="60/d")
    assert firm.calendar("2026-12-01T08:00")["overloads"] == []
    firm.write(rate="60/d", defaults='quiet = "21:00-13:00"')
    found = firm.calendar("2026-12-01T08:00")
    assert [(each["expected"], each["allowed"]) for each in found["overloads"]] == [(30, 20)]


def test_caps_hold_in_a_forecast_too(firm: Firm) -> None:
    notice = (
        '[models.natal]\nuse = "notice"\nsource = "gestao"\nat = "09:00"\nstart = 2026-12-23\nend = 2026-12-23\ntext = "Feliz Natal!"\n'
    )
    firm.write(more=notice)
    assert fires(firm.calendar("2026-12-01T08:00"), "parabens")["2026-12-24"] == (30, "source")
    firm.write(more=notice, defaults='cap = "1 per 3d"')
    found = firm.calendar("2026-12-01T08:00")
    assert fires(found, "natal") == {"2026-12-23": (31, "source")}
    assert fires(found, "parabens") == {"2026-12-29": (1, "source")}


def test_each_step_of_each_open_invoice_is_expected_on_its_day(firm: Firm) -> None:
    firm.write(
        more=LADDER,
        invoices="1,1,10,10,EUR,2026-11-20,2026-12-03,open\n2,2,10,10,EUR,2026-11-20,2026-12-04,open\n3,3,10,0,EUR,2026-11-20,2026-12-04,paid\n",
    )
    expected = {"2026-12-05": (1, "source"), "2026-12-06": (1, "source"), "2026-12-08": (1, "source"), "2026-12-09": (1, "source")}
    assert fires(firm.calendar("2026-12-01T08:00"), "cobranca") == expected
    # what was said already is not expected again
    firm.run("2026-12-01T08:00")
    firm.run("2026-12-05T09:01")
    assert fires(firm.calendar("2026-12-05T12:00"), "cobranca") == {**expected, "2026-12-05": (1, "sent")}


def test_what_is_yet_to_come_goes_by_the_models_own_history_or_is_unknown(firm: Firm) -> None:
    firm.write(more=WELCOME)
    new = firm.calendar("2026-12-01T08:00")
    assert fires(new, "novos")["2026-12-02"] == (None, "unknown")
    assert "novos: unknown, it has no history yet" in new["notes"]
    firm.run("2026-12-01T08:00")
    for day, number in ((1, 2), (2, 1), (3, 0), (4, 3)):
        firm.people += [f"{day}{i},N{i},,n{day}{i}@example.com,2026-12-0{day}" for i in range(number)]
        firm.write(more=WELCOME)
        firm.run(f"2026-12-0{day}T11:01")
    found = firm.calendar("2026-12-04T12:00")
    assert fires(found, "novos")["2026-12-04"] == (3, "sent")
    assert fires(found, "novos")["2026-12-05"] == (1.5, "history")
    assert "~1.5" in firm.cli("calendar", "2026-12", "--volume", "--now", "2026-12-04T12:00", "--db", "a.db").out


def test_a_model_in_real_time_is_expected_by_the_day(firm: Firm) -> None:
    live = WELCOME.replace('at = "11:00"', "realtime = true")
    firm.write(rate="1/d", more=live)
    firm.run("2026-12-01T08:00")
    firm.people += [f"9{i},N{i},,n{i}@example.com,2026-12-02" for i in range(4)]
    firm.write(rate="1/d", more=live)
    firm.run("2026-12-02T08:00")
    found = firm.calendar("2026-12-05T08:00")
    assert [(each["model"], each["expected"], each["basis"]) for each in found["realtime_volume"]] == [("novos", 1, "history")]
    assert [each["expected"] for each in found["volume"]][:2] == [1, 1]


def test_a_source_that_cannot_be_read_hides_its_own_models_alone(firm: Firm) -> None:
    other = '[apps.velha]\nconnector = "csv"\ncontacts = "velha.csv"\n[models.outros]\nuse = "birthday"\nsource = "velha"\nat = "12:00"\ntext = "Parabéns!"\n'
    (firm.home / "velha.csv").write_text("id,birth_date,email\n", encoding="utf-8")
    firm.write(more=other)
    (firm.home / "velha.csv").unlink()
    found = firm.calendar("2026-12-01T08:00")
    assert fires(found, "parabens")["2026-12-24"] == (30, "source")
    assert fires(found, "outros")["2026-12-24"] == (None, "unknown")
    assert any(note.startswith("outros: its source cannot be read") for note in found["notes"])


def test_the_second_task_of_a_pair_has_nothing_to_say(firm: Firm) -> None:
    firm.write(more='[models.fila]\nuse = "send-queue"\nat = "10:30"\n')
    found = firm.calendar("2026-12-01T08:00")
    assert fires(found, "fila") == {}
    assert found["notes"] == []

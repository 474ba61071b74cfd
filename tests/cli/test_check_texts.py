"""``check`` over real records: values that are empty, texts that cannot be made, and the longest SMS (PR-31)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing.service import Service
from tests.conftest import Cli

PROFILE = """\
name = "loja"
timezone = "Europe/Lisbon"
country = "PT"

[defaults]
sms = "porta"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"
invoices = "faturas.csv"

[apps.porta]
connector = "http"
url = "{url}/send"
json = {{ to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
channels = ["sms"]
allow_private = ["127.0.0.0/8"]

[models.parabens]
use = "birthday"
source = "gestao"
at = "10:00"
{message}
"""
HEAD = "id,first_name,birth_date,mobile,city\n"
NOW = "2026-12-24T09:00"


class Office:
    """A profile whose birthday greetings leave as SMS, and the records that a test gives it."""

    def __init__(self, home: Path, cli: Cli, service: Service) -> None:
        self.home, self.cli, self.service = home, cli, service
        (home / "faturas.csv").write_text("id,customer,amount,balance,currency,due,status\n", encoding="utf-8")

    def write(self, message: str, *rows: str) -> None:
        file = self.home / "profiles.toml"
        file.write_text(PROFILE.format(url=self.service.url, message=message), encoding="utf-8")
        file.chmod(0o600)
        (self.home / "clientes.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")

    def check(self, *more: str) -> Any:
        done = self.cli("check", "--json", "--now", NOW, *more)
        assert done.out, done.err
        return done.json


@pytest.fixture
def office(home: Path, cli: Cli, automate_service: Service) -> Office:
    return Office(home, cli, automate_service)


def person(number: int, *, name: str | None = None, born: str = "1980-12-24", city: str = "Porto") -> str:
    return f"{number},{f'P{number}' if name is None else name},{born},+35191234{number:04d},{city}"


def what(found: Any) -> list[str]:
    return [item["what"] for item in found["items"]]


def test_an_empty_value_says_which_for_how_many_and_for_whom(office: Office) -> None:
    office.write(
        'text = "{{ first_name }} de {{ city }}"', person(1), person(2, city=""), person(3, city=""), person(4, born="1980-05-05", city="")
    )
    found = office.check()
    assert (found["problems"], found["warnings"]) == (0, 1)
    (item,) = found["items"]
    assert (
        item["what"]
        == "parabens: city is empty for 2 of the 3 people it would go to now, such as 2 (clientes.csv:3): no message can be made"
    )
    assert "{{ city or '…' }}" in item["hint"]
    assert (office.home / "profiles.toml").read_text(encoding="utf-8").splitlines()[item["line"] - 1].startswith("text")


def test_each_value_is_counted_by_itself_and_what_stands_for_it_is_enough(office: Office) -> None:
    office.write('text = "{{ first_name }} de {{ city }}"', person(1, name="", city=""), person(2, city=""), person(3))
    assert [each.partition(", such")[0] for each in what(office.check())] == [
        "parabens: city is empty for 2 of the 3 people it would go to now",
        "parabens: first_name is empty for 1 of the 3 people it would go to now",
    ]
    office.write("text = \"{{ first_name or 'Olá' }} de {{ city or 'cá' }}\"", person(1, name="", city=""), person(2, city=""))
    assert what(office.check()) == []


def test_where_nobody_is_due_those_count_who_some_day_are(office: Office) -> None:
    office.write(
        'text = "{{ first_name }} de {{ city }}"',
        person(1, born="1980-05-05", city=""),
        person(2, born="1981-05-05"),
        person(3, born="", city=""),
    )
    (said,) = what(office.check("--connect"))
    assert "city is empty for 1 of the 2 people it would go to some day, such as 1" in said
    assert what(office.check()) == []


def test_people_whom_it_would_not_reach_anyway_lack_nothing(office: Office) -> None:
    office.write(
        'text = "{{ first_name }} de {{ city }}"\nwhere = "first_name != \'P2\'"', person(1), person(2, city=""), "3,P3,1980-12-24,,",
    )  # fmt: skip
    assert what(office.check()) == []


@pytest.mark.req("PR-31")
def test_the_longest_sms_over_real_data_says_its_segments_and_what_forces_ucs2(office: Office) -> None:
    office.write(
        'text = "Feliz dia, {{ first_name }}! ' + "x" * 55 + '"', person(1, name="Ana"), person(2, name="João"), person(3, name="Zé")
    )
    found = office.check()
    assert found["texts"] == [
        {
            "profile": "loja", "model": "parabens", "step": "", "app": "porta", "texts": 6, "person": "2", "characters": 72,
            "encoding": "UCS-2", "units": 72, "segments": 2, "forced_by": "ã",
        }
    ]  # fmt: skip
    assert found["items"] == []
    (item,) = office.check("--connect")["items"]
    assert item["what"] == "parabens: its longest SMS is 72 characters, 2 segments (UCS-2, for the sake of 'ã'), to 2"
    assert item["severity"] == "warning"


@pytest.mark.req("PR-31")
def test_more_than_160_characters_are_named_and_an_sms_that_fits_is_no_finding(office: Office) -> None:
    text = 'text = "{{ first_name }} ' + "x" * 150 + '"'
    office.write(text, person(1, name="Ana"), person(2, name="Bartholomew"))
    (said,) = what(office.check())
    assert said == "parabens: its longest SMS is 162 characters, 2 segments (GSM-7), to 2, more than 160 characters (PR-31)"
    office.write(text, person(1, name="Ana"), person(2, name="Bartholo"))
    found = office.check()
    assert (found["items"], found["texts"][0]["characters"], found["texts"][0]["segments"]) == ([], 159, 1)


@pytest.mark.req("PR-31")
def test_what_is_longer_than_160_characters_with_its_values_filled_in_does_not_leave(office: Office) -> None:
    office.write('max_chars = 160\ntext = "{{ first_name }} ' + "x" * 150 + '"', person(1, name="Ana"), person(2, name="Bartholomew"))
    (said,) = what(office.check())
    assert said.startswith(
        "parabens: too long for 1 of the 2 people it would go to now, such as 2 (text is 162 characters, max_chars is 160)"
    )
    plan = office.cli("plan", "parabens", "--json", "--now", NOW).json
    assert [(item["person"], item["verdict"]) for item in plan["items"]] == [("1", "send"), ("2", "excluded")]


def test_the_length_is_that_of_people_whose_day_is_another_too(office: Office) -> None:
    office.write('text = "{{ first_name }}"', person(1, name="Ana"), person(2, name="x" * 161, born="1980-05-05"))
    assert office.check()["texts"][0]["person"] == "2"


def test_every_step_of_a_ladder_is_measured_in_the_words_of_each_invoice(office: Office) -> None:
    office.write(
        'text = "Parabéns"\n[models.cobranca]\nuse = "billing"\nsource = "gestao"\nat = "11:00"\n'
        '[[models.cobranca.steps]]\nstage = "aviso"\nwhen = "due + 2d"\ntext = "{{ customer.first_name }}: {{ invoice.number }} {{ total }}"\n'
        '[[models.cobranca.steps]]\nstage = "pendencia"\nwhen = "due + 5d"\ntext = "' + "ç" * 71 + '"\n',
        person(1, name="Ana"),
    )
    (office.home / "faturas.csv").write_text(
        "id,number,customer,amount,balance,currency,due,status\n1,F1,1,10,10,EUR,2026-12-01,open\n2,,1,10,10,EUR,2026-12-01,open\n",
        encoding="utf-8",
    )
    found = office.check("--connect")
    assert {(each["step"], each["segments"]) for each in found["texts"] if each["model"] == "cobranca"} == {("aviso", 1), ("pendencia", 2)}
    file = (office.home / "profiles.toml").read_text(encoding="utf-8").splitlines()
    lines = {item["what"]: file[item["line"] - 1] for item in found["items"]}
    assert any("its longest SMS is 71 characters, 2 segments" in said and line.startswith('text = "ç') for said, line in lines.items())
    assert any("invoice.number is empty for 1 of the" in said and "{{ invoice.number }}" in line for said, line in lines.items())


def test_a_text_that_fails_on_a_record_is_a_problem_that_names_it(office: Office) -> None:
    office.write('text = "{{ 10 // (age - 46) }} {{ first_name }}"', person(1))
    done = office.cli("check", "--now", NOW)
    assert done.code == 78
    assert "the message to 1 cannot be made" in done.err
    assert "profiles.toml:" in done.err


def test_connecting_says_the_length_in_the_terminal_too(office: Office) -> None:
    office.write('text = "{{ first_name }}"', person(1, name="Ana"))
    done = office.cli("check", "--connect", "--now", NOW)
    assert (done.code, done.err) == (0, "")
    assert "parabens: longest of 2 SMS: 3 characters, 1 segment (GSM-7), to 1" in done.out
    assert "longest" not in office.cli("check", "--now", NOW).out


def test_a_look_at_many_records_is_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libax_automate.engine.check.LOCAL", 100)
    office.write('text = "{{ first_name }}"', *(person(number, name=f"{'x' * (number // 10)}y") for number in range(1, 1000)))
    found = office.check()
    assert (found["texts"][0]["texts"], found["texts"][0]["characters"]) == (100, 11)

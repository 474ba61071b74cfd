"""The segmentation model, through the command line and a real connector: only who enters or leaves a group is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.testing.service import Reply, Service
from tests.conftest import Cli

PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[apps.listas]
connector = "brevo"
api_key = "not-a-key"
sender = "padaria@example.com"
base_url = "URL"
allow_private = ["127.0.0.1/32"]

[models.grupos]
use = "segmentation"
source = "gestao"
at = "06:00"
app = "listas"
groups = { porto = "city == 'Porto'", vip = "city == 'Porto' and language == 'pt'" }
fields = { porto = { list = 7 }, vip = { list = 8 } }
"""
HEAD = "id,first_name,email,city,language\n"
ANA, RUI, EVA = "1,Ana,ana@example.com,Porto,pt\n", "2,Rui,rui@example.com,Lisboa,pt\n", "3,Eva,eva@example.com,Porto,en\n"


class Office:
    """A bakery with a mailing service beside it, which writes down what it is asked."""

    def __init__(self, home: Path, cli: Cli, service: Service) -> None:
        self.home, self.cli, self.service = home, cli, service
        self.profile()
        self.people(ANA, RUI, EVA)

    def profile(self, old: str = "", new: str = "") -> None:
        text = PROFILE.replace("URL", self.service.url)
        (self.home / "profiles.toml").write_text(text.replace(old, new) if old else text, encoding="utf-8")

    def people(self, *rows: str) -> None:
        (self.home / "clientes.csv").write_text(HEAD + "".join(rows), encoding="utf-8")

    def run(self, day: int) -> list[tuple[str, str]]:
        """What a run of that day asks of the service: (path, body's list)."""
        before = len(self.service.requests)
        done = self.cli("run", "--json", "--now", f"2026-11-{day}T06:01", "--db", "a.db")
        assert done.code == 0, done
        asked = []
        for request in self.service.requests[before:]:
            body = request.json()
            who = body.get("email") or request.path.rpartition("/contacts/")[2].partition("?")[0].replace("%40", "@")
            asked.append((who, f"+{body['listIds'][0]}" if "listIds" in body else f"-{body['unlinkListIds'][0]}"))
        return sorted(asked)


@pytest.fixture
def office(home: Path, cli: Cli) -> Iterator[Office]:
    pytest.importorskip("libax_connector_brevo")
    with Service(default=Reply(201, b'{"id": 1}')) as service:
        made = Office(home, cli, service)
        cli("run", "--json", "--now", "2026-11-19T08:00", "--db", "a.db")
        yield made


@pytest.mark.req("LX-26")
def test_several_criteria_put_customers_into_several_groups(office: Office) -> None:
    assert office.run(20) == [("ana@example.com", "+7"), ("ana@example.com", "+8"), ("eva@example.com", "+7")]
    assert office.run(21) == []


@pytest.mark.req("LX-26")
def test_only_the_difference_is_done_and_who_comes_back_enters_anew(office: Office) -> None:
    office.run(20)
    office.people(ANA.replace("Porto", "Braga"), RUI.replace("Lisboa", "Porto"), EVA)
    assert office.run(21) == [("ana@example.com", "-7"), ("ana@example.com", "-8"), ("rui@example.com", "+7"), ("rui@example.com", "+8")]
    assert office.run(22) == []
    office.people(ANA, RUI, EVA)
    assert office.run(23) == [("ana@example.com", "+7"), ("ana@example.com", "+8"), ("rui@example.com", "-7"), ("rui@example.com", "-8")]
    assert office.run(24) == []


@pytest.mark.req("LX-26")
def test_a_field_of_the_app_says_the_group_and_the_one_that_is_left_does_not_write_over_the_new(office: Office) -> None:
    office.profile(
        "fields = { porto = { list = 7 }, vip = { list = 8 } }",
        'enter = "contact-update"\nleave = "contact-update"\nfields = { porto = { GRUPO = "porto" }, vip = { GRUPO = "vip" } }\n'
        'leave_fields = { porto = { GRUPO = "" }, vip = { GRUPO = "" } }',
    )
    path = office.home / "profiles.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("city == 'Porto'\", vip", "city == 'Braga'\", vip").replace("[apps.listas]", "[apps.listas]\nconcurrency = 1"),
        encoding="utf-8",
    )
    office.people(ANA)
    assert office.cli("check", "--db", "a.db").code == 0
    assert office.cli("run", "--now", "2026-11-20T06:01", "--db", "a.db").code == 0
    office.people(ANA.replace("Porto", "Braga"))
    assert office.cli("run", "--now", "2026-11-21T06:01", "--db", "a.db").code == 0
    office.people(ANA.replace("Porto", "Faro"))
    assert office.cli("run", "--now", "2026-11-22T06:01", "--db", "a.db").code == 0
    assert [request.json()["attributes"]["GRUPO"] for request in office.service.requests] == ["vip", "", "porto", ""]


def test_an_app_that_cannot_take_anybody_out_is_told_of_those_who_enter_once(office: Office) -> None:
    office.profile("fields = {", "leave = false\nfields = {")
    assert len(office.run(20)) == 3
    office.people(ANA.replace("Porto", "Braga"), RUI, EVA)
    assert office.run(21) == []
    office.people(ANA, RUI, EVA)
    assert office.run(22) == []


def test_another_address_takes_the_place_of_the_old_one(office: Office) -> None:
    office.run(20)
    office.people(ANA, RUI, EVA.replace("eva@", "eva.new@"))
    assert office.run(21) == [("eva.new@example.com", "+7"), ("eva@example.com", "-7")]
    office.people(RUI)
    assert office.run(22) == [("ana@example.com", "-7"), ("ana@example.com", "-8"), ("eva.new@example.com", "-7")]


def test_an_empty_source_is_not_believed(office: Office) -> None:
    office.run(20)
    office.people()
    assert office.run(21) == []
    office.people(ANA, RUI, EVA)
    assert office.run(22) == []


def test_an_empty_field_puts_nobody_anywhere(office: Office) -> None:
    office.profile("city == 'Porto' and language", "language < 'q' and language")
    office.people(ANA.replace(",pt\n", ",\n"))
    assert office.run(20) == [("ana@example.com", "+7")]


def test_a_plan_names_who_would_enter(office: Office) -> None:
    done = office.cli("plan", "grupos", "--json", "--now", "2026-11-20T06:00", "--db", "a.db")
    assert done.code == 0, done.err
    assert sorted(item["reason"] for item in done.json["items"]) == ["enters porto", "enters porto", "enters vip"]
    assert office.service.requests == []


def test_explain_tells_what_will_be_done_and_what_was(office: Office) -> None:
    when = ("--db", "a.db", "--now")
    assert "writes to nobody; enters porto; enters vip" in office.cli("explain", "grupos", "1", *when, "2026-11-20T05:00").out
    office.run(20)
    office.people(ANA.replace("Porto", "Braga"))
    told = office.cli("explain", "grupos", "1", *when, "2026-11-21T05:00").out
    assert "writes to nobody; leaves porto; leaves vip" in told
    assert "porto: not in, by city == 'Porto'; enter sent on 2026-11-20 (M1)" in told


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("city == 'Porto'\", vip", 'city ==", vip', "porto"),
        ("vip = { list", "gold = { list", "no group"),
        ('app = "listas"', 'app = "lists"', "no app is named"),
        ("and language ==", "and tongue ==", "groups, vip: unknown field 'tongue'"),
    ],
)
def test_what_cannot_be_is_said(office: Office, old: str, new: str, word: str) -> None:
    office.profile(old, new)
    done = office.cli("plan", "grupos", "--now", "2026-11-20T06:00", "--db", "a.db")
    assert done.code == (1 if "tongue" in new else 78)
    assert word in done.err

"""Groups in a CSV: the difference alone changes it, nobody else may read it, and nothing else is written over."""

from __future__ import annotations

import csv
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli, RunProcess

PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
activation = "immediate"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[models.grupos]
use = "segmentation"
source = "gestao"
at = "06:00"
file = "grupos.csv"
groups = { porto = "city == 'Porto'", vip = "city == 'Porto' and language == 'pt'" }
"""
HEAD = "id,first_name,email,mobile,city,language\n"
ANA, RUI = "9,Ana,ana@example.com,,Porto,pt\n", "10,Rui,rui@example.com,,Lisboa,pt\n"
EVA = "11,Eva,,,Porto,en\n"


class Office:
    """A bakery that keeps its groups in a file."""

    def __init__(self, home: Path, cli: Cli) -> None:
        self.home, self.cli = home, cli
        self.file = home / "grupos.csv"
        self.profile()
        self.people(ANA, RUI, EVA)

    def profile(self, old: str = "", new: str = "") -> None:
        assert old in PROFILE
        (self.home / "profiles.toml").write_text(PROFILE.replace(old, new) if old else PROFILE, encoding="utf-8")

    def people(self, *rows: str) -> None:
        (self.home / "clientes.csv").write_text(HEAD + "".join(rows), encoding="utf-8")

    def run(self, day: int) -> dict[str, Any]:
        done = self.cli("run", "--json", "--now", f"2026-11-{day}T06:01", "--db", "a.db")
        assert done.code in (0, 3), done
        found: dict[str, Any] = done.json
        return found

    def lines(self) -> list[tuple[str, ...]]:
        with self.file.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["id", "name", "email", "mobile", "group", "since"]
        return [(row[0], row[4], row[5]) for row in rows[1:]]


@pytest.fixture
def office(home: Path, cli: Cli) -> Office:
    made = Office(home, cli)
    cli("run", "--json", "--now", "2026-11-19T08:00", "--db", "a.db")
    return made


@pytest.mark.req("LX-26")
def test_the_groups_are_kept_in_a_file_with_the_day_on_which_each_one_entered(office: Office) -> None:
    office.run(20)
    assert office.lines() == [("9", "porto", "2026-11-20"), ("11", "porto", "2026-11-20"), ("9", "vip", "2026-11-20")]
    office.people(ANA.replace("Porto", "Braga"), RUI.replace("Lisboa", "Porto"), EVA)
    task = office.run(21)["items"][0]
    assert office.lines() == [("10", "porto", "2026-11-21"), ("11", "porto", "2026-11-20"), ("10", "vip", "2026-11-21")]
    shown = office.cli("tasks", "show", task["id"], "--db", "a.db", "--json").json
    assert [remark["what"] for remark in shown["remarks"]] == ["grupos.csv: 2 enter, 2 leave, 3 lines"]


@pytest.mark.req("LX-26")
def test_where_nothing_changed_the_file_is_not_touched(office: Office) -> None:
    office.run(20)
    before = office.file.stat()
    content = office.file.read_bytes()
    office.people(EVA, RUI, ANA)
    office.run(21)
    after = office.file.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert office.file.read_bytes() == content


def test_the_file_is_its_owners_alone_and_nothing_is_left_beside_it(office: Office) -> None:
    office.run(20)
    assert stat.S_IMODE(office.file.stat().st_mode) == 0o600
    assert sorted(path.name for path in office.home.iterdir() if path.name.endswith(".part")) == []


def test_a_name_that_is_a_formula_is_defused_and_remembered(office: Office) -> None:
    office.people("=1+1,=HYPERLINK(1),ana@example.com,910000001,Porto,en\n", '12,"+351+cmd|x",,,Porto,en\n')
    office.run(20)
    lines = office.file.read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["12,'+351+cmd|x,,,porto,2026-11-20", "'=1+1,'=HYPERLINK(1),ana@example.com,+351910000001,porto,2026-11-20"]
    before = office.file.read_bytes()
    office.run(21)
    assert office.file.read_bytes() == before


def test_an_empty_source_leaves_the_file_as_it_is_and_a_group_may_become_empty(office: Office) -> None:
    office.run(20)
    before = office.file.read_bytes()
    office.people()
    office.run(21)
    assert office.file.read_bytes() == before
    office.people(RUI)
    office.run(22)
    assert office.lines() == []


def test_a_spreadsheet_may_save_the_file_again(office: Office) -> None:
    office.run(20)
    rows = office.file.read_text(encoding="utf-8").replace(",", ";").replace("2026-11-20", "20/11/2026").replace("Ana", "Aná")
    office.file.write_bytes(rows.encode("cp1252"))
    office.run(21)
    assert office.lines() == [("9", "porto", "2026-11-20"), ("11", "porto", "2026-11-20"), ("9", "vip", "2026-11-20")]


def test_a_plan_shows_who_would_enter_and_leave_and_writes_nothing(office: Office) -> None:
    office.run(20)
    before = office.file.read_bytes()
    office.people(RUI.replace("Lisboa", "Porto"), EVA)
    done = office.cli("plan", "grupos", "--json", "--now", "2026-11-21T06:00", "--db", "a.db")
    assert sorted((item["person"], item["reason"]) for item in done.json["items"]) == [
        ("10", "enters porto"),
        ("10", "enters vip"),
        ("9", "leaves porto"),
        ("9", "leaves vip"),
    ]
    assert office.file.read_bytes() == before


def test_a_plan_that_was_kept_is_applied_to_the_file_once_it_still_fits(office: Office) -> None:
    when = ("--now", "2026-11-20T06:00", "--db", "a.db")
    assert office.cli("plan", "grupos", "--save", "plan.json", *when).code == 0
    office.people(ANA, RUI)
    refused = office.cli("apply", "plan.json", *when)
    assert refused.code != 0
    assert "is gone" in refused.err
    assert not office.file.exists()
    office.people(ANA, RUI, EVA)
    assert office.cli("apply", "plan.json", *when).code == 0
    assert len(office.lines()) == 3


def test_explain_says_which_groups_a_person_is_in(office: Office) -> None:
    done = office.cli("explain", "grupos", "11", "--now", "2026-11-20T06:00", "--db", "a.db")
    assert "porto: in, by city == 'Porto'" in done.out
    assert "vip: not in, by" in done.out
    assert "since" not in done.out
    office.run(20)
    done = office.cli("explain", "grupos", "11", "--now", "2026-11-21T05:00", "--db", "a.db")
    assert "writes to nobody; nothing to do" in done.out
    assert "next: 2026-11-21 06:00" in done.out
    assert "grupos.csv: in porto since 2026-11-20" in done.out


def test_another_file_of_that_name_is_not_written_over(office: Office) -> None:
    office.profile('"grupos.csv"', '"clientes.csv"')
    checked = office.cli("check", "--db", "a.db")
    assert checked.code == 78
    assert "profiles.toml:15" in checked.err + checked.out
    assert "clientes.csv is there already and is no file of groups" in checked.err + checked.out
    before = (office.home / "clientes.csv").read_bytes()
    office.run(20)
    assert (office.home / "clientes.csv").read_bytes() == before
    assert "is no file of groups" in office.cli("tasks", "list", "--db", "a.db", "--json").json["items"][0]["reason"]


@pytest.mark.parametrize("name", ["../grupos.csv", "/tmp/grupos.csv", "sub/../../grupos.csv"])
def test_the_file_stays_in_the_profiles_folder(office: Office, name: str) -> None:
    office.profile('"grupos.csv"', f'"{name}"')
    done = office.cli("check", "--db", "a.db")
    assert done.code == 78
    assert "lies outside the profile's folder" in done.err + done.out


def test_a_link_does_not_lead_out_of_the_folder(office: Office) -> None:
    outside = office.home.parent / "elsewhere.csv"
    office.file.symlink_to(outside)
    office.run(20)
    assert not outside.exists()
    assert "lies outside" in office.cli("tasks", "list", "--db", "a.db", "--json").json["items"][0]["reason"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_takes_no_file_is_a_task_that_failed(office: Office) -> None:
    office.profile('"grupos.csv"', '"sub/grupos.csv"')
    (office.home / "sub").mkdir(mode=0o500)
    office.run(20)
    row = office.cli("tasks", "list", "--db", "a.db", "--json").json["items"][0]
    assert row["state"] == "failed"
    assert "sub/grupos.csv cannot be written" in row["reason"]


def test_the_folder_of_the_file_is_made(office: Office) -> None:
    office.profile('"grupos.csv"', '"campanhas/grupos.csv"')
    office.run(20)
    assert (office.home / "campanhas" / "grupos.csv").is_file()


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("language == 'pt'", "langauge == 'pt'", 16, ("groups, vip: unknown field 'langauge'", "did you mean 'language'")),
        ("language == 'pt'", "region == 'Norte'", 16, ("groups, vip: no record has 'region', so it is always empty",)),
        ("file =", 'app = "gestao"\nfile =', 15, ("'gestao' (csv) does nothing but send or read",)),
        ("file =", 'app = "gestoa"\nfile =', 15, ("no app is named 'gestoa'", "did you mean 'gestao'")),
        ('file = "grupos.csv"\n', "", 11, ("nobody keeps the groups",)),
    ],
)
def test_check_says_what_cannot_be_and_where(office: Office, old: str, new: str, line: int, words: tuple[str, ...]) -> None:
    office.profile(old, new)
    done = office.cli("check", "--db", "a.db")
    said = done.out + done.err
    for word in words:
        assert word in said
    assert "both given" not in said
    assert f"profiles.toml:{line}" in said
    assert done.code == (0 if "always empty" in words[0] else 78)


def test_check_knows_the_actions_of_an_app(office: Office, run_process: RunProcess) -> None:
    pytest.importorskip("libax_connector_brevo")
    brevo = '[apps.listas]\nconnector = "brevo"\napi_key = "not-a-key"\nsender = "a@example.com"\n\n[models.grupos]'
    text = PROFILE.replace("[models.grupos]", brevo).replace("file =", 'app = "listas"\nenter = "list-ad"\nfile =')
    (office.home / "profiles.toml").write_text(text, encoding="utf-8")
    done = office.cli("check", "--db", "a.db")
    assert done.code == 78
    assert "'listas' (brevo) has no action 'list-ad'" in done.out + done.err
    assert "did you mean 'list-add'" in done.out + done.err


def test_an_app_and_a_file_are_kept_together(office: Office) -> None:
    """The file has everybody, the app those whom it can know."""
    pytest.importorskip("libax_connector_brevo")
    brevo = '[apps.listas]\nconnector = "brevo"\napi_key = "not-a-key"\nsender = "a@example.com"\n\n[models.grupos]'
    text = PROFILE.replace("[models.grupos]", brevo).replace(
        "file =", 'app = "listas"\nfields = { porto = { list = 7 }, vip = { list = 8 } }\nfile ='
    )
    (office.home / "profiles.toml").write_text(text, encoding="utf-8")
    done = office.cli("plan", "grupos", "--json", "--now", "2026-11-20T06:00", "--db", "a.db")
    assert sorted((item["app"], item["person"], item["reason"]) for item in done.json["items"]) == [
        ("grupos.csv", "11", "enters porto"),
        ("grupos.csv", "9", "enters porto"),
        ("grupos.csv", "9", "enters vip"),
        ("listas", "9", "enters porto"),
        ("listas", "9", "enters vip"),
    ]

"""A past period replayed: counts by day, the dates that records tell, nothing kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_guards import Shop
from tests.conftest import Cli

PEOPLE = "1,Ana,1980-03-10,ana@example.com,Porto,\n2,Rui,1990-03-10,rui@example.com,Lisboa,\n3,Eva,1970-03-12,,Porto,\n"


@pytest.fixture
def shop(cli: Cli, home: Path) -> Shop:
    made = Shop(cli, home)
    made.write(rows=PEOPLE)
    return made


def test_a_year_of_birthdays_falls_on_their_days(shop: Shop, cli: Cli) -> None:
    done = cli("backtest", "parabens", "--from", "2025-01-01", "--to", "2025-12-31", "--json", "--db", "a.db")
    assert done.code == 0, done.err
    found = done.json
    assert {item["day"]: item["messages"] for item in found["items"] if item["messages"]} == {"2025-03-10": 2}
    assert (found["messages"], found["people"], found["runs"]) == (2, 2, 365)
    assert found["excluded"] == {"no e-mail": 1}


def test_what_has_really_been_sent_does_not_hide_what_would_have_been(shop: Shop, cli: Cli) -> None:
    shop.run("2026-03-09T08:00")
    assert shop.run("2026-03-10T10:01")["sent"] == 3
    done = cli("backtest", "parabens", "--from", "2026-03-10", "--to", "2026-03-10", "--json", "--db", "a.db")
    assert done.json["messages"] == 2


def test_nothing_is_kept_and_nothing_leaves(shop: Shop, cli: Cli) -> None:
    cli("backtest", "parabens", "--from", "2025-03-01", "--to", "2025-03-31", "--db", "a.db")
    assert not Path("a.db").exists()
    assert shop.mails() == []


def test_people_are_not_welcomed_before_they_came(cli: Cli, home: Path) -> None:
    (home / "profiles.toml").write_text(
        'name = "x"\ntimezone = "Europe/Lisbon"\n[defaults]\nemail = "o"\n[apps.s]\nconnector = "csv"\ncontacts = "c.csv"\n'
        '[apps.o]\nconnector = "folder"\npath = "o"\n[models.w]\nuse = "welcome"\nsource = "s"\nat = "09:30"\ntext = "Olá {{ first_name }}"\n',
        encoding="utf-8",
    )
    (home / "c.csv").write_text(
        "id,first_name,email,created_at\n1,Ana,ana@example.com,2025-05-03\n2,Rui,rui@example.com,2025-05-03T12:00\n3,Eva,e@example.com,2024-01-01\n",
        encoding="utf-8",
    )
    done = cli("backtest", "w", "--from", "2025-05-01", "--to", "2025-05-31", "--json")
    assert {item["day"]: item["messages"] for item in done.json["items"] if item["messages"]} == {"2025-05-03": 1, "2025-05-04": 1}


def test_a_page_and_a_chart_show_it(shop: Shop, cli: Cli) -> None:
    done = cli("backtest", "parabens", "--from", "2025-03-01", "--to", "2025-03-31", "--html", "b.html", "--db", "a.db")
    assert "█" in done.out
    assert "2 messages to 2 people in 31 runs" in done.out
    page = Path("b.html").read_text(encoding="utf-8")
    assert "2025-03-10" in page
    assert Path("b.html").stat().st_mode & 0o077 == 0


def test_a_period_without_a_run_says_so(shop: Shop, cli: Cli) -> None:
    done = cli("backtest", "parabens", "--from", "2025-03-02", "--to", "2025-03-01")
    assert (done.code, "before it begins" in done.err) == (2, True)
    assert cli("backtest", "parabens", "--from", "soon", "--to", "2025-03-01").code == 2

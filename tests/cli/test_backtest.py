"""A past period replayed: counts by day, the dates that records tell, nothing kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_guards import Shop
from tests.conftest import Cli
from tests.engine.test_page import Closed

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
    assert "10/03/2025" in page
    assert Path("b.html").stat().st_mode & 0o077 == 0


# -- guard rails in the period -------------------------------------------------------------------------------------------

MARCH = ("--from", "2025-03-01", "--to", "2025-03-31", "--json", "--db", "a.db")
TRIO = "1,Ana,1980-03-10,ana@example.com,Porto,\n2,Rui,1990-03-10,rui@example.com,Lisboa,\n3,Eva,1970-03-12,eva@example.com,Porto,não\n"


def _sent(found: Any) -> dict[str, int]:
    return {item["day"]: item["messages"] for item in found["items"] if item["messages"]}


def _guarded(found: Any) -> dict[str, int]:
    """Who is left out by a guard rail, not by the model's own condition."""
    return {why: number for why, number in found["excluded"].items() if not why.startswith("where: ")}


def _mondays(shop: Shop, **more: str) -> None:
    """A notice to Ana and Eva at nine on Mondays, the 3rd to the 31st of March; wishes at ten to Ana and Rui on the 10th, Eva on the 12th."""
    shop.write(rows=TRIO, notice='weekdays = "mon"\nrepeat = true', **more)


def test_what_one_model_says_counts_towards_the_cap_of_the_others_that_are_given(shop: Shop, cli: Cli) -> None:
    _mondays(shop, defaults='cap = "1 per 3d"')
    alone = cli("backtest", "parabens", *MARCH).json
    assert (_sent(alone), _guarded(alone)) == ({"2025-03-10": 2, "2025-03-12": 1}, {})
    both = cli("backtest", "parabens", "aviso", *MARCH).json
    assert _sent(both) == {"2025-03-03": 2, "2025-03-10": 3, "2025-03-17": 2, "2025-03-24": 2, "2025-03-31": 2}
    assert _guarded(both) == {"capped: 1 per 3d; expires before it may be said": 2}
    assert both["models"] == [{"model": "parabens", "messages": 1}, {"model": "aviso", "messages": 10}]
    # the order in which they are named is not the order in which they fire
    assert cli("backtest", "aviso", "parabens", *MARCH).json["excluded"] == both["excluded"]


def test_a_cap_by_class_counts_its_class_alone(shop: Shop, cli: Cli) -> None:
    _mondays(shop, defaults='cap = { courtesy = "1 per 3d" }')
    assert cli("backtest", "parabens", "aviso", *MARCH).json["messages"] == 13


def test_what_waits_for_a_cap_leaves_when_it_frees_and_counts_from_then(shop: Shop, cli: Cli) -> None:
    _mondays(shop, defaults='cap = "1 per 8d"')
    found = cli("backtest", "aviso", *MARCH).json
    assert _sent(found) == {"2025-03-03": 2, "2025-03-11": 2, "2025-03-19": 2, "2025-03-27": 2}
    assert (found["held"], _guarded(found)) == ({"capped: 1 per 8d": 8}, {})


def test_tact_between_models_and_on_a_day_holds_in_the_period(shop: Shop, cli: Cli) -> None:
    near = '[[tact]]\nhold = "parabens"\nnear = "aviso"\nwithin = "2d"\n'
    _mondays(shop, more=near + '[[tact]]\nhold = "aviso"\non = "birth_date"\n')
    found = cli("backtest", "parabens", "aviso", *MARCH).json
    # the notice of the 10th waits for Ana until the 11th, and so there is nothing that her wishes come too near to but its waiting
    assert found["held"] == {"tact: birth_date is today": 1}
    assert _guarded(found) == {"tact: aviso": 1}
    assert _sent(found)["2025-03-10"] == 2
    assert _sent(found)["2025-03-11"] == 1


def test_the_suppression_list_and_the_consent_gate_hold_in_the_period(shop: Shop, cli: Cli) -> None:
    shop.write(rows=TRIO, birthday="consent = true")
    asked = cli("backtest", "parabens", *MARCH).json
    assert asked["excluded"] == {"has not agreed: no consent on record": 2, "has not agreed: consent is 'não'": 1}
    for person in ("1", "2"):
        assert cli("consent", "record", person, "yes", "--db", "a.db").code == 0
    assert cli("suppress", "add", "rui@example.com", "--db", "a.db").code == 0
    found = cli("backtest", "parabens", *MARCH).json
    assert _sent(found) == {"2025-03-10": 1}
    assert sorted(found["excluded"].values()) == [1, 1]
    assert any("today's" in note and "suppression" in note for note in found["notes"])


def test_a_night_holds_and_what_is_settled_by_morning_is_not_said(cli: Cli, home: Path) -> None:
    (home / "profiles.toml").write_text(
        'name = "x"\ntimezone = "Europe/Lisbon"\n[defaults]\nemail = "o"\nquiet = "21:00-09:00"\n[apps.s]\nconnector = "csv"\n'
        'contacts = "c.csv"\ninvoices = "i.csv"\n[apps.o]\nconnector = "folder"\npath = "o"\n[models.l]\nuse = "billing"\nsource = "s"\n'
        'at = "22:00"\ntext = "{{ customer.first_name }}: {{ total }}"\n[[models.l.steps]]\nstage = "aviso"\nwhen = "due + 1d"\n',
        encoding="utf-8",
    )
    (home / "c.csv").write_text(
        "id,first_name,email\n1,Ana,ana@example.com\n2,Rui,rui@example.com\n3,Eva,eva@example.com\n", encoding="utf-8"
    )
    (home / "i.csv").write_text(
        "id,customer,amount,balance,currency,issued,due,status,paid_at,changed_at\n"
        "1,1,10,0,EUR,2025-02-01,2025-03-04,paid,2025-03-06T07:00,\n2,2,10,0,EUR,2025-02-01,2025-03-04,paid,2025-03-09,\n"
        "3,3,10,10,EUR,2025-02-01,2025-03-04,cancelled,,2025-03-07\n",
        encoding="utf-8",
    )
    found = cli("backtest", "l", *MARCH).json
    assert _sent(found) == {"2025-03-06": 2}
    assert found["excluded"] == {"settled while it waited": 1}
    assert found["held"] == {"quiet hours": 2}
    assert found["after_paid"] == []


def test_why_people_are_held_back_is_told_in_the_terminal_and_on_the_page(shop: Shop, cli: Cli) -> None:
    _mondays(shop, defaults='cap = "1 per 3d"')
    done = cli("backtest", "parabens", "aviso", *MARCH[:4], "--html", "b.html", "--db", "a.db")
    assert "7 left out, 0 later" in done.out
    assert "capped: 1 per 3d; expires before it may be said" in done.out
    assert "limite atingido: 1 em 3 dias; expira antes de poder sair" in Path("b.html").read_text(encoding="utf-8")


def test_the_page_shows_figures_bars_and_a_message_of_each_model(shop: Shop, cli: Cli) -> None:
    _mondays(shop)
    for last, word, bars in (("2025-03-31", "dia", 31), ("2025-06-30", "semana de", 19), ("2025-12-31", "mês", 10)):
        done = cli("backtest", "parabens", "aviso", "--from", "2025-03-01", "--to", last, "--html", "b.html", "--db", "a.db")
        assert done.code == 0, done.err
        page = Path("b.html").read_text(encoding="utf-8")
        Closed(page)
        chart = page[page.index(f"<th>{word}</th>") :].partition("</table>")[0]
        assert chart.count("<tr>") == bars
        assert "Parabéns, Ana!" in page
        assert "Um aviso, Ana." in page
    assert "<b>91</b>mensagens" in page


def test_models_of_two_profiles_are_not_replayed_together(shop: Shop, cli: Cli) -> None:
    folder = shop.home / "profiles"
    folder.mkdir()
    text = (shop.home / "profiles.toml").read_text(encoding="utf-8").replace('"clientes.csv"', '"../clientes.csv"')
    for name in ("loja", "outra"):
        (folder / f"{name}.toml").write_text(text.replace('"loja"', f'"{name}"'), encoding="utf-8")
    done = cli("backtest", "loja/parabens", "outra/parabens", *MARCH, "--profiles", str(folder))
    assert done.code == 2
    assert "several profiles" in done.err


def test_a_period_without_a_run_says_so(shop: Shop, cli: Cli) -> None:
    done = cli("backtest", "parabens", "--from", "2025-03-02", "--to", "2025-03-01")
    assert (done.code, "before it begins" in done.err) == (2, True)
    assert cli("backtest", "parabens", "--from", "soon", "--to", "2025-03-01").code == 2

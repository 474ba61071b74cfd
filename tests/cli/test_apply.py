"""A plan kept, compared and applied; and its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.test_guards import ANA, EVA, RUI, Shop
from tests.conftest import Cli


@pytest.fixture
def shop(cli: Cli, home: Path) -> Shop:
    made = Shop(cli, home)
    made.write()
    return made


def saved(cli: Cli, *more: str) -> None:
    done = cli("plan", "parabens", "--on", "2026-12-24", "--save", "plan.json", "--now", "2026-12-24T10:00", "--db", "a.db", *more)
    assert done.code == 0, done.err


def apply(cli: Cli, at: str = "2026-12-24T10:05") -> tuple[int, int, str]:
    done = cli("apply", "plan.json", "--json", "--now", at, "--db", "a.db")
    return done.code, done.json["sent"] if done.code == 0 else 0, done.err


def test_a_plan_is_applied_once_and_exactly(shop: Shop, cli: Cli) -> None:
    saved(cli)
    assert apply(cli)[:2] == (0, 3)
    assert apply(cli)[:2] == (0, 0)
    assert shop.run("2026-12-24T10:06")["sent"] == 0
    assert len(shop.mails()) == 3


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (ANA + RUI, "Eva is gone"),
        (ANA + RUI + EVA + "4,Ivo,1999-12-24,ivo@example.com,Faro,\n", "Ivo is new"),
        (ANA.replace("ana@", "anita@") + RUI + EVA, "Ana: another to (ana@example.com → anita@example.com)"),
        (ANA.replace("Ana", "Anita") + RUI + EVA, "Anita: another text"),
        (ANA.replace("ana@example.com", "") + RUI + EVA, "Ana was send and is now excluded: no e-mail"),
    ],
)
def test_what_has_drifted_is_named_and_nothing_leaves(shop: Shop, cli: Cli, rows: str, says: str) -> None:
    saved(cli)
    shop.write(rows=rows)
    code, _, err = apply(cli)
    assert code == 1
    assert says in json.loads(err.strip().splitlines()[-1])["error"]["message"]
    assert shop.mails() == []


def test_a_plan_for_another_day_leaves_on_that_day(shop: Shop, cli: Cli) -> None:
    saved(cli)
    assert apply(cli, "2026-12-20T12:00")[:2] == (0, 0)
    assert shop.run("2026-12-23T12:00")["sent"] == 0
    assert shop.run("2026-12-24T10:01")["sent"] == 3 + 2  # and the other model's two


def test_a_file_that_is_no_plan_is_refused(shop: Shop, cli: Cli) -> None:
    for content in ("", "[]", '{"version": 9}', "{}"):
        Path("plan.json").write_text(content, encoding="utf-8")
        code, _, err = apply(cli)
        assert code == 65
        assert "plan.json" in err
    assert cli("apply", "nowhere.json", "--db", "a.db").code == 65


def test_a_plan_file_and_a_page_are_for_their_owners_eyes(shop: Shop, cli: Cli) -> None:
    saved(cli, "--html", "plan.html")
    for name in ("plan.json", "plan.html"):
        assert Path(name).stat().st_mode & 0o077 == 0


def test_the_page_stands_alone_and_shows_counts_reasons_and_a_sample(shop: Shop, cli: Cli) -> None:
    shop.write(rows=ANA + RUI.replace("rui@example.com", "") + "5,<b>Zé</b>,1990-12-24,ze@example.com,Faro,\n")
    saved(cli, "--html", "plan.html")
    page = Path("plan.html").read_text(encoding="utf-8")
    assert "<b>2</b>a enviar" in page
    assert "sem e-mail" in page
    assert "Parabéns, Ana!" in page
    assert "<b>Zé</b>" not in page
    assert "&lt;b&gt;Zé&lt;/b&gt;" in page
    assert re.findall(r"(?:src|href)=\"?(?!doc)[^\s>]*", page) == []
    assert "http" not in page.replace("http-equiv", "")

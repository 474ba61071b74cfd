"""Hours of quiet, through the command line: a model may stand outside those of [defaults]."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_guards import Shop
from tests.conftest import Cli

NIGHT = "2026-12-24T23:00"


@pytest.fixture
def shop(cli: Cli, home: Path) -> Shop:
    return Shop(cli, home)


def _notice_at_night(shop: Shop, quiet: str) -> None:
    shop.write(defaults='quiet = "21:00-09:00"', notice=quiet)
    file = shop.home / "profiles.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('at = "09:00"', 'at = "22:30"'), encoding="utf-8")


@pytest.mark.parametrize("written", ["false", '"none"'])
def test_a_model_writes_at_any_hour_where_it_says_so(shop: Shop, written: str) -> None:
    _notice_at_night(shop, f"quiet = {written}")
    assert shop.cli("check").code == 0
    assert shop.plan("aviso", NIGHT)["Ana"][0] == "send"
    shop.run("2026-12-24T22:00")
    assert shop.run("2026-12-24T22:31")["sent"] == 2
    assert "quiet" not in shop.cli("explain", "aviso", "1", "--now", NIGHT, "--db", "a.db").out


def test_without_a_word_the_hours_of_defaults_hold(shop: Shop) -> None:
    _notice_at_night(shop, "")
    assert shop.plan("aviso", NIGHT)["Ana"] == ("held", "quiet hours until 09:00")
    shop.run("2026-12-24T22:00")
    assert shop.run("2026-12-24T22:31")["sent"] == 0


@pytest.mark.parametrize("written", ["true", "9", '"never"'])
def test_other_words_are_named_with_their_place(shop: Shop, written: str) -> None:
    shop.write(notice=f"quiet = {written}")
    done = shop.cli("check")
    assert done.code == 78
    assert "profiles.toml:" in done.err
    assert "quiet" in done.err
    assert "21:00-09:00" in done.err


def test_an_editor_may_complete_it(cli: Cli) -> None:
    schema = cli("schema").json
    ways = schema["$defs"]["use-notice"]["properties"]["quiet"]["anyOf"]
    assert any({"const": False} in way.get("anyOf", ()) for way in ways)

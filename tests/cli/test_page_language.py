"""Pages that are shown to a client speak the profile's language; the command line and its JSON speak English, whatever the profile says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.test_guards import Shop
from tests.conftest import Cli
from tests.engine.test_page import Closed

#: Ana wrote on the 23rd already, Rui has no address, Eva said no, Zé is on the list, Ivo is free, the last one's address is none
ROWS = (
    "1,Ana,1980-12-24,ana@example.com,Porto,sim\n2,Rui,1990-12-24,,Lisboa,sim\n3,Eva,1970-12-24,eva@example.com,Porto,não\n"
    "4,Zé,1971-12-24,ze@example.com,Faro,sim\n5,Ivo,1972-12-24,ivo@example.com,Faro,sim\n6,Rita,1973-12-24,rita,Faro,sim\n"
)


class Told(NamedTuple):
    """What a page says in one language."""

    locale: str
    lang: str
    moment: str
    figures: tuple[str, ...]
    headings: tuple[str, ...]
    columns: tuple[str, ...]
    reasons: dict[str, str]
    backtest: tuple[str, ...]


PORTUGAL = Told(
    "pt_PT", "pt-PT", "24/12/2026 10:00",
    ("<b>1</b>a enviar", "<b>0</b>em espera", "<b>5</b>excluídos"),
    ("Quem não recebe, e porquê", "A mensagem por e-mail, como Ivo receberia", "Quem"),
    ("nome", "endereço", "canal", "decisão", "motivo"),
    {
        "Ana": "por tato: aviso em 23/12/2026", "Rui": "sem e-mail", "Eva": "não consentiu: o consentimento é 'não'",
        "Zé": "está na lista de supressão", "Ivo": "faz 54 anos em 24/12/2026",
        "Rita": "valor inválido em e-mail: 'rita' não é um endereço de e-mail: falta o sinal @ (clientes.csv:7)",
    },
    ("De 01/12/2026 a 31/12/2026. 62 execuções; ", "Mensagens por dia", "<th>dia</th>", ">24/12/2026</td>", "Por modelo", "Quem mais recebe",
     "de fora", "os registos sem data própria contam" , "limite atingido: 1 em 7 dias; expira antes de poder sair"),
)  # fmt: skip
BRAZIL = Told(
    "pt_BR", "pt-BR", "24 de dez. de 2026 10:00",
    ("<b>1</b>a enviar", "<b>0</b>em espera", "<b>5</b>excluídos"),
    ("Quem não recebe, e por quê", "A mensagem por e-mail, como Ivo receberia", "Quem"),
    ("nome", "endereço", "canal", "decisão", "motivo"),
    PORTUGAL.reasons | {"Ana": "por tato: aviso em 23 de dez. de 2026", "Ivo": "faz 54 anos em 24 de dez. de 2026"},
    ("De 1 de dez. de 2026 a 31 de dez. de 2026. 62 execuções; ", "Mensagens por dia", "<th>dia</th>", ">24/12/2026</td>", "Por modelo",
     "Quem mais recebe", "de fora", "os registros sem data própria contam", "limite atingido: 1 em 7 dias; expira antes de poder sair"),
)  # fmt: skip
ENGLISH = Told(
    "en_GB", "en", "24 Dec 2026 10:00",
    ("<b>1</b>to send", "<b>0</b>held", "<b>5</b>excluded"),
    ("Why some hear nothing", "The message by email, as Ivo would get it", "Who"),
    ("name", "address", "channel", "verdict", "reason"),
    {
        "Ana": "tact: aviso on 23 Dec 2026", "Rui": "no e-mail", "Eva": "has not agreed: consent is 'não'", "Zé": "on the suppression list",
        "Ivo": "turns 54 on 24 Dec 2026",
        "Rita": "e-mail not valid: 'rita' is not an e-mail address: An email address must have an @-sign (clientes.csv:7)",
    },
    ("1 Dec 2026 to 31 Dec 2026. 62 runs; ", "Messages by day", "<th>day</th>", ">24/12/2026</td>", "By model", "Written to most", "left out",
     "records without a date of their own count", "capped: 1 per 7 days; expires before it may be said"),
)  # fmt: skip


@pytest.fixture
def shop(cli: Cli, home: Path) -> Shop:
    return Shop(cli, home)


def speak(shop: Shop, locale: str) -> None:
    file = shop.home / "profiles.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('locale = "pt_PT"', f'locale = "{locale}"'), encoding="utf-8")


def read(name: str) -> str:
    html = Path(name).read_text(encoding="utf-8")
    Closed(html)
    return html.replace("&#x27;", "'")


def cells(html: str) -> list[list[str]]:
    return [re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


@pytest.mark.parametrize("told", [PORTUGAL, BRAZIL, ENGLISH], ids=lambda told: told.locale)
def test_the_page_of_a_plan_is_in_the_profiles_language(shop: Shop, cli: Cli, told: Told) -> None:
    tact = '[[tact]]\nhold = "parabens"\nnear = "aviso"\nwithin = "2d"\nthen = "skip"\n'
    shop.write(rows=ROWS, birthday="consent = true", notice="repeat = true", more=tact)
    speak(shop, told.locale)
    text = (shop.home / "profiles.toml").read_text(encoding="utf-8").replace("city == 'Porto'", "first_name == 'Ana'")
    (shop.home / "profiles.toml").write_text(text, encoding="utf-8")
    shop.run("2026-12-23T08:00")
    assert shop.run("2026-12-23T09:01")["sent"] == 1
    assert cli("suppress", "add", "ze@example.com", "--db", "a.db").code == 0
    done = cli("plan", "parabens", "--now", "2026-12-24T10:00", "--html", "p.html", "--db", "a.db")
    assert done.code == 0, done.err
    html = read("p.html")
    assert f'<html lang="{told.lang}">' in html
    assert f'<p class="sub">{told.moment}</p>' in html
    for words in told.figures:
        assert words in html
    assert tuple(re.findall(r"<h2>(.*?)</h2>", html)) == told.headings
    heads, *rows = cells(html[html.rindex("<table") :])
    assert tuple(heads) == told.columns
    assert {row[0]: row[4] for row in rows} == told.reasons
    # what is typed and what is read by a program stays as it was
    assert "1 to send, 0 held, 5 excluded" in done.out
    plan = shop.plan("parabens", "2026-12-24T10:00")
    assert plan["Ana"] == ("excluded", "tact: aviso on 2026-12-23")
    assert plan["Zé"] == ("excluded", "on the suppression list")


@pytest.mark.parametrize("told", [PORTUGAL, BRAZIL, ENGLISH], ids=lambda told: told.locale)
def test_the_page_of_a_backtest_is_in_the_profiles_language(shop: Shop, cli: Cli, told: Told) -> None:
    shop.write(rows=ROWS.replace("rita,", "rita@example.com,"), defaults='cap = "1 per 7d"', notice="repeat = true")
    speak(shop, told.locale)
    given = ("backtest", "parabens", "aviso", "--from", "2026-12-01", "--to", "2026-12-31", "--db", "a.db")
    done = cli(*given, "--html", "b.html")
    assert done.code == 0, done.err
    html = read("b.html")
    assert f'<html lang="{told.lang}">' in html
    for words in told.backtest:
        assert words in html, words
    assert "capped: 1 per 7d; expires before it may be said" in done.out
    assert "capped: 1 per 7d; expires before it may be said" in cli(*given, "--json").json["excluded"]


@pytest.mark.parametrize(
    ("locale", "reason"),
    [
        ("pt_PT", "horas de silêncio, espera até às 11:00"), ("pt_BR", "horário de silêncio, espera até 11:00"),
        ("en_GB", "quiet hours until 11:00"),
    ],
)  # fmt: skip
def test_who_hears_later_is_told_until_when(shop: Shop, cli: Cli, locale: str, reason: str) -> None:
    shop.write(defaults='quiet = "09:30-11:00"')
    speak(shop, locale)
    assert cli("plan", "parabens", "--on", "2026-12-24", "--html", "p.html").code == 0
    assert next(row for row in cells(read("p.html")) if reason in row) == ["3", reason]
    assert shop.plan("parabens", "2026-12-24T10:00")["Ana"] == ("held", "quiet hours until 11:00")


def test_large_numbers_are_written_as_the_locale_writes_them(shop: Shop, cli: Cli) -> None:
    shop.write(rows="".join(f"{number},Ana{number},1980-12-24,a{number}@example.com,Faro,\n" for number in range(1234)))
    for locale, sent, more in (
        ("pt_PT", "1 234", "… e mais 734."),
        ("pt_BR", "1.234", "… e mais 734."),
        ("en_GB", "1,234", "… and 734 more."),
    ):
        speak(shop, locale)
        assert cli("plan", "parabens", "--on", "2026-12-24", "--html", "p.html").code == 0
        html = re.sub(r"[\u00a0\u202f]", " ", read("p.html"))
        assert f"<b>{sent}</b>" in html
        assert more in html
        file = shop.home / "profiles.toml"
        file.write_text(file.read_text(encoding="utf-8").replace(f'locale = "{locale}"', 'locale = "pt_PT"'), encoding="utf-8")

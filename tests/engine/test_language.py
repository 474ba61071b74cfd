"""Catalogues are complete and agree on their placeholders; texts, dates and amounts follow the profile's locale."""

from __future__ import annotations

import datetime as dt
import re
import string
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libax_automate.engine.language import LANGUAGES, catalogue, chain, language
from libax_automate.engine.reason import PARTS

PACKAGE = Path(str(files("libax_automate")))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_text_exists_in_every_language_with_the_same_placeholders(name: str) -> None:
    english, other = catalogue("en"), catalogue(name)
    assert set(other) == set(english)
    for key, texts in other.items():
        assert all(text.strip() for text in texts), key
        assert len(texts) == len(english[key]), key
        # a singular may leave its number out ("once")
        assert placeholders(texts[-1]) == placeholders(english[key][-1]), key
        assert placeholders(texts[0]) <= placeholders(texts[-1]), key
        assert all(re.fullmatch(r"[a-z_]*", word) for text in texts for word in placeholders(text)), key


def test_every_text_is_used_and_every_used_text_exists() -> None:
    """Ids made of a prefix and a word (``kind.account``) are told by the prefix."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    named = set(re.findall(r'(?<!\w)n?text\(\s*"([a-z_.]+)"', source))
    assert named <= set(catalogue("en")), "a text is used that no catalogue has"
    prefixes = (
        "subject.", "kind.", "todo.", "state.", "command.", "report.column.", "report.heading.", "verdict.", "channel.", "column.", "page.by.",
        # found by their words: tests/engine/test_reason.py
        "reason.", *PARTS.values(),
    )  # fmt: skip
    unused = {key for key in catalogue("en") if f'"{key}"' not in source and not key.startswith(prefixes)}
    assert not unused


def test_a_language_falls_back_to_its_neighbour_and_then_to_english() -> None:
    assert chain("pt_PT") == ("pt_PT", "en")
    assert chain("pt_BR") == ("pt_BR", "pt_PT", "en")
    assert chain("pt_AO") == ("pt_PT", "en")
    assert chain("en_GB") == chain("fr_FR") == ("en",)
    assert language("pt_AO").text("subject.birthday") == "Feliz aniversário!"
    assert language("fr_FR").text("subject.birthday") == "Happy birthday!"
    assert language("pt_PT").tag == "pt-PT"
    assert language("en_US").tag == "en"


def test_a_recipes_own_words_serve_as_a_generic_subject() -> None:
    """LX-51: the subject of a recipe that no catalogue knows."""
    assert language("pt_PT").subject("subject.welcome") == "Boas-vindas!"
    assert language("pt_PT").subject("A sua apólice") == "A sua apólice"
    assert "subject.welcome" in language("pt_PT")
    assert "A sua apólice" not in language("pt_PT")


def test_plurals_follow_the_language_of_the_text() -> None:
    assert language("pt_PT").ntext("report.sent", 1) == "1 mensagem enviada"
    assert language("pt_PT").ntext("report.sent", 0) == "0 mensagens enviadas"
    assert language("en_US").ntext("report.sent", 12345) == "12,345 messages sent"
    assert language("fr_FR").ntext("report.sent", 0) == "0 messages sent"


def plain(text: str) -> str:
    """No-break spaces as spaces: which of them a locale uses is Babel's business."""
    return re.sub(r"\s", " ", text)


def test_dates_and_amounts_follow_the_locale() -> None:
    moment = dt.datetime(2026, 12, 24, 9, 5, tzinfo=dt.UTC)
    bahia = ZoneInfo("America/Bahia")
    portuguese, american = language("pt_PT"), language("en_US")
    assert portuguese.date(moment.date()) == "24/12/2026"
    assert portuguese.datetime(moment, bahia) == "24/12/2026 06:05"
    assert portuguese.datetime(dt.datetime(2026, 12, 24, 9, 30)) == "24/12/2026 09:30"
    assert plain(portuguese.money(Decimal("1234.5"), "EUR")) == "1 234,50 €"
    assert plain(language("pt_BR").money(Decimal("1234.5"), "BRL")) == "R$ 1.234,50"
    assert american.money(Decimal("1234.5"), "USD") == "$1,234.50"
    assert plain(portuguese.number(Decimal("12345.6"))) == "12 345,6"
    assert portuguese.month(moment.date()) == "dezembro de 2026"
    assert portuguese.day(moment.date()) == "quinta 24/12"
    assert portuguese.span(dt.timedelta(hours=4)) == "4 horas"
    assert american.span(dt.timedelta(days=1)) == "1 day"
    assert plain(american.datetime(moment, ZoneInfo("UTC"))) == "Dec 24, 2026 9:05 AM"


def test_an_unknown_locale_is_written_in_american_english() -> None:
    assert language("xx").number(1234) == "1,234"


def test_a_text_that_no_catalogue_has_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        language("en_US").text("no.such.text")

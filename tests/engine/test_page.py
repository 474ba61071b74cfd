"""Pages for people without a terminal: everything escaped, nothing from outside, a sample of what each step says."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime

from libax_automate.engine.language import language
from libax_automate.engine.outbox import Draft, Verdict
from libax_automate.engine.page import Page, chart, counts, document, sample, sums, table
from libax_automate.engine.paper import LATER as NUMBER_LATER
from libax_automate.engine.reference import LATER as REFERENCE_LATER
from libax_automate.message import Channel
from tests.engine.test_notice import Balanced


class Closed(Balanced):
    """As a letter, but a page may set words in bold and show a template's HTML in a frame."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "link"}
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}
        if tag not in self.VOID:
            self.open.append(tag)


EN = language("en_US")
AT = datetime(2026, 12, 24, 9, 30)
EVIL = '<script>alert("1")</script>&"'


def draft(**more: object) -> Draft:
    return Draft(model="m", person="1", occasion="o", **{"name": "Ana", "channel": Channel.EMAIL, "to": "ana@example.com", **more})  # type: ignore[arg-type]


def page(*drafts: Draft, further: Draft | None = None, locale: str = "en_US", **more: object) -> str:
    made = Page(language(locale))
    for each in drafts:
        made.add(each)
    if further is not None:
        made.sample(further)
    html = made.html(title="t", moment=AT, **more)  # type: ignore[arg-type]
    Closed(html)
    return html


def test_a_hostile_value_is_words_wherever_it_stands() -> None:
    html = page(
        draft(name=EVIL, to=EVIL, payload={"subject": EVIL, "text": EVIL, "html": EVIL}, step=EVIL),
        draft(verdict=Verdict.EXCLUDED, reason=EVIL),
        draft(verdict=Verdict.HELD, reason=EVIL, payload={"template": EVIL, "params": {EVIL: EVIL}}),
        draft(channel=Channel.WHATSAPP, payload={"template": EVIL, "vars": [EVIL]}),
        about={EVIL: EVIL},
        description=EVIL,
    )
    inside = chart(EN, "day", [(AT.date(), 1)]) + table(EN, ("name",), [(EVIL,)]) + counts(EN, Counter({EVIL: 1}))
    html += document(EN, title=EVIL, subtitle=EVIL, sections=[(EVIL, inside)])
    assert "<script" not in html
    assert 'alert("1")' not in html


def test_a_page_stands_alone_in_one_language_for_a_telephone_and_for_paper() -> None:
    html = page(draft(payload={"text": "Olá"}))
    assert '<html lang="en">' in html
    assert 'name="viewport"' in html
    assert "@media print" in html
    assert "max-width:40rem" in html
    assert "<thead>" in html
    assert re.findall(r"(?:src|href)=", html) == []
    assert "default-src 'none'" in html


def test_who_hears_later_has_a_reason_too() -> None:
    html = page(
        draft(verdict=Verdict.HELD, reason="quiet hours until 09:00", payload={"text": "x"}),
        draft(verdict=Verdict.EXCLUDED, reason="no e-mail"),
    )
    assert (
        html.index("Why some hear nothing")
        < html.index("no e-mail")
        < html.index("Why some hear later")
        < html.index("quiet hours until 9:00\u202fAM")
    )
    assert "<b>1</b>held" in html


def test_a_provider_s_template_is_shown_with_its_values_in_order() -> None:
    html = sample(EN, draft(channel=Channel.WHATSAPP, step="aviso", payload={"template": "aviso_1", "vars": ["Ana", "10,00 €"]}))
    assert "<h2>aviso by WhatsApp, as Ana would get it</h2>" in html
    assert "template aviso_1, filled with:" in html
    assert "<li>Ana</li><li>10,00 €</li>" in html


def test_an_sms_says_how_many_it_is() -> None:
    assert "71 characters, 2 SMS (UCS-2)" in sample(EN, draft(channel=Channel.SMS, payload={"text": "ã" * 71}))
    assert "160 characters, 1 SMS (GSM-7)" in sample(EN, draft(channel=Channel.SMS, payload={"text": "a" * 160}))


def test_a_template_s_html_shows_and_does_nothing() -> None:
    html = sample(EN, draft(payload={"html": "<p>Olá</p><script>1</script>", "text": "Olá"}))
    assert '<iframe sandbox="" ' in html
    assert "<script" not in html


def test_an_action_has_no_words_to_show() -> None:
    assert sample(EN, draft(channel=Channel.ACTION)) == ""
    assert "as Ana would get it" not in page(draft(channel=Channel.ACTION))


def test_large_numbers_can_be_read_and_the_rest_of_a_long_list_is_counted() -> None:
    html = page(*(draft(payload={"text": "x"}) for _ in range(1600)))
    assert "<b>1,600</b>to send" in html
    assert "… and 1,100 more." in html
    assert "<b>12,345</b>messages" in sums(EN, [("", 12345, "messages")])


def test_reasons_beyond_the_most_frequent_are_counted_together() -> None:
    html = counts(EN, Counter({f"reason {number}": 100 - number for number in range(25)}))
    assert html.count("<tr>") == 20
    assert "… and 390 for other reasons." in html


def test_what_only_a_real_run_knows_is_said_in_the_page_s_language() -> None:
    text = f"Nota {NUMBER_LATER}, referência {REFERENCE_LATER}"
    for payload in (
        {"subject": text, "text": text},
        {"html": text},
        {"template": "t", "vars": [text]},
        {"template": "t", "params": {"a": text}},
    ):
        html = sample(language("pt_PT"), draft(payload=payload))
        assert "Nota (número ao enviar), referência (criada ao enviar)" in html
        assert "at run" not in html

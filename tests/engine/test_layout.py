"""Layouts and the press: every mistake names its line, values stay values, the same layout makes the same bytes."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader

from libax_automate.engine import layout as layouts
from libax_automate.engine.pdf import print_pdf
from libax_automate.errors import AutomateError, TemplateError
from libax_automate.plugins.partner_notes_layout import LAYOUTS
from libax_automate.record import Money
from libax_automate.template import Sandbox
from tests.harness.broker import squeezed, text_of

DAY = date(2026, 12, 1)
LINE = {
    "id": "1", "date": date(2026, 11, 15), "document": "FT 2026/118", "customer": "Padaria Conceição", "base": Money.of("1000.00", "EUR"),
    "rate": Decimal(5), "amount": Money.of("50.00", "EUR"),
}  # fmt: skip
CONTEXT = {
    "number": "NP 2026/1", "issued": DAY, "period_start": date(2026, 11, 1), "period_end": date(2026, 11, 30), "lines": [LINE],
    "subtotal": Money.of("50.00", "EUR"), "vat": Money.of("11.50", "EUR"), "vat_rate": Decimal(23), "withheld": Money.of("12.50", "EUR"),
    "withholding_rate": Decimal(25), "total": Money.of("49.00", "EUR"), "issuer": ("Mediação Exemplo, Lda.", "NIPC 555000009"),
    "partner": {"name": "João Araújo & Irmãos", "tax_id": "555000001", "iban": "PT50 0000"},
}  # fmt: skip
PAGE = "<h1>{}</h1>"


def printed(html: str, **files: bytes) -> bytes:
    return print_pdf(layouts.read(html), day=DAY, files={name.replace("_", "."): content for name, content in files.items()})


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        (
            "pt_PT",
            ("Nota de pagamento", "NIF: 555000001", "Retenção na fonte (25 %) -12,50 €", "Valor a pagar 49,00 €", "IVA (23 %) 11,50 €"),
        ),
        ("pt_BR", ("Nota de pagamento", "CPF/CNPJ: 555000001", "Imposto retido (25 %) -€ 12,50", "Valor a pagar € 49,00")),
        ("en", ("Payment note", "Tax no.: 555000001", "Tax withheld (25 %) -€12.50", "To be paid €49.00", "VAT (23 %) €11.50")),
    ],
)
@pytest.mark.req("LX-30")
def test_the_built_in_note_says_everything_in_each_language(locale: str, words: tuple[str, ...]) -> None:
    source = LAYOUTS[locale]
    layouts.faults(source)
    text = squeezed([text_of(printed(Sandbox(locale).template(source, html=True).render(CONTEXT)))])
    for word in (*words, "NP 2026/1", "João Araújo & Irmãos", "Padaria Conceição", "FT 2026/118", "Mediação Exemplo, Lda.", "1/1"):
        assert word in text, text


def test_a_note_without_taxes_has_no_lines_for_them() -> None:
    nothing = {name: Money.of("0.00", "EUR") for name in ("vat", "withheld")}
    html = Sandbox("pt_PT").template(LAYOUTS["pt_PT"], html=True).render({**CONTEXT, **nothing, "issuer": ()})
    text = text_of(printed(html))
    assert "IVA" not in text
    assert "Retenção" not in text


def test_the_same_layout_makes_the_same_bytes_in_another_process_too() -> None:
    html = Sandbox("pt_PT").template(LAYOUTS["pt_PT"], html=True).render(CONTEXT)
    script = (
        "import sys; from datetime import date; from libax_automate.engine import layout; from libax_automate.engine.pdf import print_pdf; "
        "sys.stdout.buffer.write(print_pdf(layout.read(sys.stdin.read()), day=date(2026, 12, 1), files={}))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", script], input=html.encode(), capture_output=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONIOENCODING": "utf-8"},
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/Sao_Paulo"))
    ]  # fmt: skip
    assert {*made, printed(html)} == {made[0]}
    about = PdfReader(io.BytesIO(made[0])).metadata
    assert about is not None
    assert (str(about["/CreationDate"]), about.title) == ("D:20261201120000Z", "Nota de pagamento NP 2026/1")


def test_many_lines_go_over_pages_with_their_heading_and_a_foot() -> None:
    rows = "".join(f"<tr><td>FT {n}</td><td align='right'>{n},00 €</td></tr>" for n in range(200))
    pdf = printed(f"<table><tr><th>Documento</th><th>Valor</th></tr>{rows}</table><footer><p>Folha <page/> de <pages/></p></footer>")
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        assert page.count("Documento") == 1
        assert f"Folha {number} de {len(pages)}" in page
    assert [n for n in range(200) if f"FT {n}\n" not in "".join(pages)] == []


def test_values_stay_values_whatever_they_hold() -> None:
    nasty = "<b>x</b> & <para> {{ y }} <font size='90'> </td></tr></table> &nbsp; <img src='/etc/passwd'/>"
    html = Sandbox("pt_PT").template("<table><tr><td>{{ name }}</td></tr></table><p>{{ name }}</p>", html=True).render({"name": nasty})
    found = layouts.read(html)
    assert found.files() == []
    assert squeezed([text_of(print_pdf(found, day=DAY, files={}))]).count(squeezed([nasty])) == 2


@given(st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), max_size=60))
def test_any_letter_of_the_built_in_fonts_is_printed(name: str) -> None:
    html = Sandbox("pt_PT").template("<p>x{{ name }}</p>", html=True).render({"name": f"{name}x"})
    found = layouts.read(html)
    if not found.unprintable():
        assert print_pdf(found, day=DAY, files={}).startswith(b"%PDF")


@pytest.mark.parametrize(
    ("html", "where", "says"),
    [
        ("<p>a</p>\n<marquee>b</marquee>", 2, "<marquee> is not known"),
        ("<p>a</p>\n<p>b", 2, "<p> is not closed"),
        ("<p>a</p>\n\n</p>", 3, "closes what is not open"),
        ("<p>a <b>b</p></b>", 1, "<b> of line 1 is still open"),
        ("loose", 1, "text outside a paragraph"),
        ("<p>a</p>\n<td>b</td>", 2, "outside a row"),
        ("<tr></tr>", 1, "outside a table"),
        ("<p align='middle'>a</p>", 1, "align is 'middle'"),
        ("<p style='x'>a</p>", 1, "takes no style"),
        ("<meta name='papper' content='A4'><p>a</p>", 1, "did you mean 'page'"),
        ("<meta name='page' content='A3'><p>a</p>", 1, "page is 'A3'"),
        ("<meta name='margin' content='20'><p>a</p>", 1, "margin is '20'"),
        ("<meta name='size' content='99'><p>a</p>", 1, "size is '99'"),
        ("<meta name='colour' content='red'><p>a</p>", 1, "colour is 'red'"),
        ("<table><tr><td width='wide'>a</td></tr></table>", 1, "'wide' is no width"),
        ("<table><tr><td colspan='x'>a</td></tr></table>", 1, "colspan is 'x'"),
        ("<table class='fancy'><tr><td>a</td></tr></table>", 1, "class is 'fancy'"),
        ("<table><tr><td><table></table></td></tr></table>", 1, "inside another"),
        ("<img width='10mm'>", 1, "names no file"),
        ("<p><page/></p>", 1, "stands in the footer alone"),
        ("<p>a<hr></p>", 1, "<hr> inside"),
        ("<script>x</script><p>a</p>", 1, "<script> is not known"),
        ("<head></head>", 1, "nothing would be printed"),
        ("{% for a in b %}\n<tr>{{ a }}</tr>\n{% endfor %}", 2, "outside a table"),
    ],
)
def test_a_mistake_in_a_layout_names_its_line(html: str, where: int, says: str) -> None:
    with pytest.raises(TemplateError) as wrong:
        layouts.faults(html)
    assert str(wrong.value).startswith(f"line {where}: ")
    assert says in str(wrong.value)
    assert wrong.value.hint or "closes" in str(wrong.value) or "is not known" in str(wrong.value)


@given(st.text(alphabet="<>/ab pth1dr='\"=\n&{}%-", max_size=80))
def test_no_text_breaks_the_reader_of_layouts(html: str) -> None:
    with contextlib.suppress(AutomateError):
        found = layouts.read(html)
        print_pdf(found, day=DAY, files=dict.fromkeys(found.files(), b""))


def test_letters_that_the_font_has_not_are_named_not_printed_as_blots() -> None:
    found = layouts.read("<p>Łukasz Дом</p>")
    assert found.unprintable() == "'Ł' (U+0141), 'Д' (U+0414), 'м' (U+043C), 'о' (U+043E)"
    with pytest.raises(TemplateError, match="U\\+0141") as wrong:
        print_pdf(found, day=DAY, files={})
    assert "font" in wrong.value.hint


def test_a_font_of_ones_own_prints_them() -> None:
    file = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not file.exists():
        pytest.skip("no DejaVu on this machine")
    font = file.read_bytes()
    html = "<meta name='font' content='own.ttf'><p>Łukasz Дом <b>ção €</b></p>"
    pdf = printed(html, own_ttf=font)
    assert pdf == printed(html, own_ttf=font)
    assert squeezed([text_of(pdf)]) == "Łukasz Дом ção €"
    with pytest.raises(TemplateError, match="4E2D"):
        printed(html.replace("Дом", "中"), own_ttf=font)
    with pytest.raises(TemplateError, match="font"):
        printed(html, own_ttf=b"no font")


def test_a_picture_is_printed_and_a_broken_one_is_named() -> None:
    made = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 30, 30)).save(made, "PNG")
    pdf = printed("<img src='logo.png' width='30mm' align='right'><p>a</p>", logo_png=made.getvalue())
    assert len(list(PdfReader(io.BytesIO(pdf)).pages[0].images)) == 1
    with pytest.raises(TemplateError, match="logo"):
        printed("<img src='logo.png'><p>a</p>", logo_png=b"no picture")

"""What a partner's payment note looks like where the profile brings no layout of its own: one page, three languages."""

from __future__ import annotations

from collections.abc import Mapping

_PAGE = """\
<!doctype html>
<html lang="[lang]">
<head>
<meta charset="utf-8">
<title>[note] {{ number }}</title>
<meta name="page" content="A4">
<meta name="margin" content="20mm">
<meta name="font" content="helvetica">
<meta name="size" content="10pt">
<meta name="colour" content="#1f3a5f">
</head>
<body>
<table class="plain">
<tr>
<td width="55%">{% for each in issuer %}{% if loop.first %}<b>{{ each }}</b>{% else %}<br>{{ each }}{% endif %}{% endfor %}</td>
<td align="right"><b>[note]</b><br><big><b>{{ number }}</b></big><br>[issued]: {{ issued }}<br>[period]: {{ period_start }} - {{ period_end }}</td>
</tr>
</table>
<hr>
<h3>[to]</h3>
<p>{{ partner.name }}\
{% if partner.tax_id %}<br>[tax_id]: {{ partner.tax_id }}{% endif %}\
{% if partner.iban %}<br>IBAN: {{ partner.iban }}{% endif %}</p>
<table>
<tr>
<th width="22mm">[date]</th>
<th>[document]</th>
<th align="right" width="30mm">[base]</th>
<th align="right" width="18mm">[rate]</th>
<th align="right" width="30mm">[amount]</th>
</tr>
{% for line in lines %}<tr><td>{{ line.date }}</td>\
<td>{% if line.document %}{{ line.document }}{% else %}{{ line.id }}{% endif %}\
{% if line.customer %}<br><small>{{ line.customer }}</small>{% endif %}</td>\
<td align="right">{% if line.base %}{{ line.base }}{% endif %}</td>\
<td align="right">{% if line.rate %}{{ line.rate }}&nbsp;%{% endif %}</td>\
<td align="right">{{ line.amount }}</td></tr>
{% endfor %}</table>
<table class="plain">
<tr><td width="50%"></td><td>[subtotal]</td><td align="right" width="30mm">{{ subtotal }}</td></tr>
{% if vat %}<tr><td></td><td>[vat] ({{ vat_rate }}&nbsp;%)</td><td align="right">{{ vat }}</td></tr>
{% endif %}{% if withheld %}<tr><td></td><td>[withholding] ({{ withholding_rate }}&nbsp;%)</td><td align="right">-{{ withheld }}</td></tr>
{% endif %}<tr><td></td><td><b>[total]</b></td><td align="right"><b>{{ total }}</b></td></tr>
</table>
<footer><p align="center"><small>[note] {{ number }} · <page>/<pages></small></p></footer>
</body>
</html>
"""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "lang": "en", "note": "Payment note", "issued": "Issued", "period": "Period", "to": "Partner", "tax_id": "Tax no.", "date": "Date",
        "document": "Document", "base": "Base", "rate": "Rate", "amount": "Commission", "subtotal": "Subtotal", "vat": "VAT",
        "withholding": "Tax withheld", "total": "To be paid",
    },
    "pt_PT": {
        "lang": "pt-PT", "note": "Nota de pagamento", "issued": "Data de emissão", "period": "Período", "to": "Parceiro", "tax_id": "NIF",
        "date": "Data", "document": "Documento", "base": "Base", "rate": "Taxa", "amount": "Comissão", "subtotal": "Subtotal", "vat": "IVA",
        "withholding": "Retenção na fonte", "total": "Valor a pagar",
    },
    "pt_BR": {
        "lang": "pt-BR", "note": "Nota de pagamento", "issued": "Data de emissão", "period": "Período", "to": "Parceiro", "tax_id": "CPF/CNPJ",
        "date": "Data", "document": "Documento", "base": "Base", "rate": "Alíquota", "amount": "Comissão", "subtotal": "Subtotal",
        "vat": "Imposto", "withholding": "Imposto retido", "total": "Valor a pagar",
    },
}  # fmt: skip


def _in(words: Mapping[str, str]) -> str:
    page = _PAGE
    for name, word in words.items():
        page = page.replace(f"[{name}]", word)
    return page


#: language -> layout
LAYOUTS: Mapping[str, str] = {language: _in(words) for language, words in _WORDS.items()}

"""Placeholders as people and older systems write them (``(#FirstName#)``, ``#cliente_razao#``): one catalogue behind all."""

from __future__ import annotations

import re
from collections.abc import Mapping

from libax_automate._words import HEADINGS, snake
from libax_automate.record import ENTITIES

_CUSTOMER = "customer"

#: Names that other systems use in their placeholders → our field. Every other name is read as a heading of ``contacts``
#: would be, and else becomes snake_case: ``#BirthDate#`` → ``birth_date``, ``#Telemóvel#`` → ``mobile``.
ALIASES: Mapping[str, str] = {
    # Libax (LX-54)
    "FullName": "name",
    "CompanyName": "company",
    "EmailAddress": "email",
    "MobilePhone": "mobile",
    "PhoneNumber": "phone",
    "Birthday": "birth_date",
    "DateOfBirth": "birth_date",
    "VatNumber": "tax_id",
    "Number": "number",
    "InvoiceNumber": "invoice.number",
    "InvoiceAmount": "invoice.amount",
    "InvoiceBalance": "invoice.balance",
    "InvoiceDue": "invoice.due",
    "InvoiceDate": "invoice.issued",
    "DueDate": "invoice.due",
    # IXC (IB-20, IC-09): table_column
    "cliente_id": f"{_CUSTOMER}.id",
    "cliente_razao": f"{_CUSTOMER}.name",
    "cliente_nome": f"{_CUSTOMER}.name",
    "cliente_fantasia": f"{_CUSTOMER}.name",
    "cliente_data_nascimento": f"{_CUSTOMER}.birth_date",
    "cliente_email": f"{_CUSTOMER}.email",
    "cliente_telefone_celular": f"{_CUSTOMER}.mobile",
    "cliente_whatsapp": f"{_CUSTOMER}.mobile",
    "cliente_fone": f"{_CUSTOMER}.phone",
    "cliente_cidade": f"{_CUSTOMER}.city",
    "cliente_cnpj_cpf": f"{_CUSTOMER}.tax_id",
    "areceber_id": "invoice.id",
    "areceber_documento": "invoice.number",
    "areceber_numero": "invoice.number",
    "areceber_valor": "invoice.amount",
    "areceber_valor_aberto": "invoice.balance",
    "areceber_data_emissao": "invoice.issued",
    "areceber_data_vencimento": "invoice.due",
    "areceber_link_boleto": "invoice.slip_url",
    "areceber_gateway_link": "invoice.slip_url",
}

_FOLDED = {snake(name): field for name, field in ALIASES.items()}
_EXTRA = frozenset({"age", "number", "today"})
_COLOUR = re.compile(r"[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8}", re.ASCII)
_SPELLED = re.compile(r"\(#\s*([^\W\d][\w.]*)\s*#\)|#([^\W\d][\w.]*)#")
#: opening mark of Jinja code → its end
_ENDS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_LIST = re.compile(r"\s*\(?#[^\W\d][\w.]*#\)?(?:\s*,\s*\(?#[^\W\d][\w.]*#\)?)+\s*")


def known(name: str) -> bool:
    """Whether ``name`` means a canonical field in some spelling, so that it need not be looked for among a source's own columns."""
    folded = snake(name)
    return folded in _FOLDED or folded in ENTITIES["contacts"] or folded in _EXTRA or folded in HEADINGS["contacts"]


def field_of(name: str) -> str:
    """The field (dotted, where it is reached by name) that a placeholder's name means; an unknown name comes back in snake_case.

    ``FirstName`` → ``first_name``, ``cliente_razao`` → ``customer.name``, ``Código Postal`` → ``codigo_postal``.
    """
    if "." in name:
        return ".".join(snake(part) or part for part in name.split("."))
    folded = snake(name)
    if folded in _FOLDED:
        return _FOLDED[folded]
    if folded in ENTITIES["contacts"] or folded in _EXTRA:
        return folded
    return HEADINGS["contacts"].get(folded, folded or name)


def listed(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list of placeholders (``#cliente_razao#,#areceber_valor#``, IC-09); anything else is one part."""
    return tuple(part.strip() for part in text.split(",")) if _LIST.fullmatch(text) else (text,)


def pieces(source: str) -> list[tuple[bool, str]]:
    """``source`` cut into Jinja code (True) and the text around it (False); an opening mark without its end is text."""
    found: list[tuple[bool, str]] = []
    start = at = 0
    while (at := source.find("{", at)) >= 0:
        end = _ENDS.get(source[at : at + 2])
        if end is None:
            at += 1
            continue
        close = source.find(end, at + 2)
        if close < 0:
            break  # Jinja will say that it is not closed
        if at > start:
            found.append((False, source[start:at]))
        found.append((True, source[at : close + 2]))
        start = at = close + 2
    if start < len(source):
        found.append((False, source[start:]))
    return found


def rewrite(source: str) -> str:
    """``source`` with the other spellings turned into ``{{ field }}``.

    Left alone, besides Jinja code: colours (``#fff#``), fragments (``/page#top#``), hashtags that run on (``#natal#promo``),
    headings of Markdown (``# Title #``), and whatever else is not one bare name between two marks.
    """
    if "#" not in source:
        return source
    return "".join(text if code else _SPELLED.sub(_jinja, text) for code, text in pieces(source))


def _jinja(found: re.Match[str]) -> str:
    name = found[1]
    if name is None:
        name = found[2]
        text = found.string
        before = text[found.start() - 1 : found.start()]
        after = text[found.end() : found.end() + 1]
        runs_on = bool(before) and (before.isalnum() or before in "_/&?=.%-")
        if _COLOUR.fullmatch(name):
            return found[0]
        if not known(name) and (runs_on or ((after.isalnum() or after == "_") and name.islower() and "_" not in name)):
            return found[0]
        if known(name) and runs_on and name.islower() and "_" not in name:
            return found[0]
    return "{{ " + field_of(name) + " }}"

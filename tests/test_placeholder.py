"""Placeholders in the spellings of other systems."""

from __future__ import annotations

import pytest

from libax_automate.placeholder import ALIASES, field_of, listed, pieces, rewrite


@pytest.mark.req("LX-54")
@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("(#FirstName#)", "first_name"),
        ("#FirstName#", "first_name"),
        ("( #FirstName# )", None),
        ("(# FirstName #)", "first_name"),
        ("(#Age#)", "age"),
        ("#firstname#", "first_name"),
        ("#Name#", "name"),
        ("#LastName#", "last_name"),
        ("#Email#", "email"),
        ("#Mobile#", "mobile"),
        ("#BirthDate#", "birth_date"),
        ("#City#", "city"),
        ("#Telemóvel#", "mobile"),
        ("#Código_Postal#", "codigo_postal"),
        ("#PolicyNumber#", "policy_number"),
        ("#customer.name#", "customer.name"),
        ("#Invoice.DueDate#", "invoice.due_date"),
    ],
)
def test_libax_spellings_are_fields(written: str, field: str | None) -> None:
    expected = "( {{ first_name }} )" if field is None else "{{ " + field + " }}"
    assert rewrite(f"Olá {written}!") == f"Olá {expected}!"


@pytest.mark.req("IC-09")
def test_ixc_spellings_are_fields_reached_by_name() -> None:
    assert field_of("cliente_razao") == "customer.name"
    assert field_of("areceber_valor") == "invoice.amount"
    assert field_of("areceber_data_vencimento") == "invoice.due"
    assert field_of("cliente_data_nascimento") == "customer.birth_date"
    assert rewrite("#cliente_razao#,#areceber_valor#") == "{{ customer.name }},{{ invoice.amount }}"


@pytest.mark.req("IC-09")
def test_a_list_of_variables_is_cut_at_its_commas() -> None:
    assert listed("#cliente_razao#,#areceber_valor#, #areceber_data_vencimento#") == (
        "#cliente_razao#", "#areceber_valor#", "#areceber_data_vencimento#",
    )  # fmt: skip
    assert listed("Olá, {{ first_name }}") == ("Olá, {{ first_name }}",)
    assert listed("#cliente_razao#") == ("#cliente_razao#",)


@pytest.mark.parametrize(
    "text",
    [
        "color:#fff; background:#00ff00",
        "#fff#",
        "#a1b2c3#",
        "https://example.com/page#top#x",
        "https://example.com/#city#",
        "veja #natal#promo#2026",
        "# Título #",
        "## Título ##",
        "C# e F#",
        "&#233;&#x1F382;",
        "n.º # 5 #",
        "{{ '#Name#' }}",
        "{# um #comentário# #}",
        "{% if x == '#a#' %}{% endif %}",
        "#",
        "##",
    ],
)
def test_what_is_no_placeholder_stays_as_it_is(text: str) -> None:
    assert rewrite(text) == text


def test_neighbouring_placeholders_are_all_found() -> None:
    assert rewrite("#FirstName##LastName#") == "{{ first_name }}{{ last_name }}"
    assert rewrite("<p>#FirstName#</p>") == "<p>{{ first_name }}</p>"
    assert rewrite("?id=#cliente_id#") == "?id={{ customer.id }}"


def test_a_lone_unknown_name_is_a_field_so_that_check_can_refuse_it() -> None:
    assert rewrite("Plano #plano#.") == "Plano {{ plano }}."


def test_every_alias_names_a_field_that_exists() -> None:
    from libax_automate.record import ENTITIES

    for name, field in ALIASES.items():
        head, _, rest = field.partition(".")
        entity = {"customer": "contacts", "invoice": "invoices"}.get(head, "contacts")
        assert (rest or head) in {*ENTITIES[entity], "number"}, name


def test_code_and_text_are_told_apart() -> None:
    assert pieces("a {{ b }} c {% d %}{# e #}f {{ g") == [
        (False, "a "), (True, "{{ b }}"), (False, " c "), (True, "{% d %}"), (True, "{# e #}"), (False, "f {{ g"),
    ]  # fmt: skip

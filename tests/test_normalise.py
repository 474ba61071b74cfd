"""Values as sources write them become canonical values, or a reason that a person can read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate.normalise import (
    Canonical,
    amount_of,
    canonical,
    date_of,
    email_of,
    heading_of,
    instant_of,
    list_of,
    mobile_of,
)
from libax_automate.record import Money, Record

CHRISTMAS = date(1980, 12, 24)


@pytest.mark.parametrize(
    "text",
    ["1980-12-24", "24/12/1980", "24-12-1980", "24.12.1980", " 24/12/1980 ", "1980/12/24", "1980-12-24T10:00:00Z", "24/12/1980 00:00:00"],
)
def test_dates_are_read_in_iso_and_with_the_day_first(text: str) -> None:
    assert date_of(text) == CHRISTMAS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("24/12/80", "year of two digits"),
        ("31/02/1980", "month 2 of 1980 has no day 31"),
        ("29/02/2026", "month 2 of 2026 has no day 29"),
        ("12/24/1980", "the day comes first"),
        ("0000-00-00", "there is no month 0"),
        ("ontem", "is not a date"),
        ("1980-12-24 e tal", "follows it"),
        ("٢٤/١٢/١٩٨٠", "is not a date"),
    ],
)
def test_what_is_no_date_is_refused_with_the_value_and_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        date_of(text)
    assert text in str(caught.value)


@given(st.dates(min_value=date(1000, 1, 1)), st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y"]))
def test_every_date_survives_every_way_of_writing_it(day: date, form: str) -> None:
    assert date_of(day.strftime(form)) == day


def test_an_instant_without_a_zone_is_local_and_a_day_alone_stays_a_date() -> None:
    lisbon = ZoneInfo("Europe/Lisbon")
    assert instant_of("2026-07-01 16:05", "Europe/Lisbon") == datetime(2026, 7, 1, 15, 5, tzinfo=UTC)
    assert instant_of("01/07/2026 16:05:30", lisbon) == datetime(2026, 7, 1, 15, 5, 30, tzinfo=UTC)
    assert instant_of("2026-07-01T16:05:00Z", lisbon) == datetime(2026, 7, 1, 16, 5, tzinfo=UTC)
    assert instant_of("2026-07-01T16:05:00.123456789+03:00", lisbon) == datetime(2026, 7, 1, 13, 5, 0, 123456, tzinfo=UTC)
    assert instant_of("2026-07-01", lisbon) == date(2026, 7, 1)
    assert not isinstance(instant_of("2026-07-01", lisbon), datetime)
    with pytest.raises(ValueError, match="no clock shows '25:61'"):
        instant_of("2026-07-01 25:61", lisbon)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1234.5", "1234.5"),
        ("R$ 123,00", "123"),
        ("€ 12", "12"),
        ("1 234,50 €", "1234.5"),
        ("1\u202f234,50\u00a0EUR", "1234.5"),
        ("12,5", "12.5"),
        ("-12,00", "-12"),
        ("(12,00)", "-12"),
        ("12-", "-12"),
        ("\u221212", "-12"),
        ("1.234.567", "1234567"),
        ("1.234.567,8", "1234567.8"),
        ("1'234.50", "1234.5"),
        ("1E+3", "1000"),
        # the documented rule for one sign with three digits behind it
        ("1.234", "1234"),
        ("1,234", "1234"),
        ("0.500", "0.5"),
        ("1234.567", "1234.567"),
    ],
)
def test_amounts_are_read_the_portuguese_and_the_english_way(text: str, amount: str) -> None:
    assert amount_of(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["abc", "1.23.4", "1,23,456.00", "NaN", "inf", ".", "12 13 x", "--1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        amount_of(text)


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_amounts_survive_portuguese_thousands_and_decimals(amount: Decimal) -> None:
    english = f"{amount:,.2f}"
    assert amount_of(english) == amount
    assert amount_of(english.translate(str.maketrans(",.", ".,"))) == amount


def test_emails_are_checked_by_form_and_their_domain_is_lower_case() -> None:
    assert email_of(" Ana.Silva+x@Example.COM ") == "Ana.Silva+x@example.com"
    assert email_of("jose\u0301@example.com") == "josé@example.com"  # NFC
    assert email_of("ana@bücher.example.com") == "ana@xn--bcher-kva.example.com"
    assert email_of("o'neil@example.com") == "o'neil@example.com"
    for wrong in (
        "ana",
        "ana@",
        "a@b",
        "a..b@example.com",
        ".a@example.com",
        "a b@example.com",
        "a@-x.example.com",
        "a@x.invalid",
        "a@b.com, c@d.com",
    ):
        with pytest.raises(ValueError, match="is not an e-mail address"):
            email_of(wrong)


@given(st.from_regex(r"[A-Za-z0-9._+-]{1,12}@[a-z0-9.-]{1,16}\.[a-z]{2,5}", fullmatch=True))
def test_the_cheap_path_for_emails_agrees_with_the_careful_one(text: str) -> None:
    from email_validator import EmailNotValidError, validate_email

    try:
        careful = validate_email(text, check_deliverability=False, test_environment=True).ascii_email
    except EmailNotValidError:
        careful = None
    try:
        ours = email_of(text)
    except ValueError:
        ours = None
    assert ours == careful


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("912 345 678", "PT", "+351912345678"),
        ("+351 912-345-678", "", "+351912345678"),
        ("00351912345678", "BR", "+351912345678"),
        ("912345678.0", "PT", "+351912345678"),
        ("(11) 98765-4321", "BR", "+5511987654321"),
        ("612345678", "ES", "+34612345678"),
        ("+1 202 555 0123", "PT", "+12025550123"),
        ("351912345678", "PT", "+351912345678"),
    ],
)
def test_mobiles_become_e164(text: str, country: str, number: str) -> None:
    assert mobile_of(text, country) == number


@pytest.mark.parametrize(
    ("text", "country", "why"),
    [
        ("222 345 678", "PT", "can get no text message"),
        ("912345678", "", "names no country"),
        ("9.12346E+08", "PT", "rounded"),
        ("12", "PT", "not a telephone number"),
        ("não tem", "PT", "not a telephone number"),
        ("912345678 / 961234567", "PT", "not a telephone number"),
    ],
)
def test_what_gets_no_text_message_is_refused_with_a_reason(text: str, country: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        mobile_of(text, country)


@given(st.sampled_from(["PT", "BR", "ES"]), st.integers(min_value=10**8, max_value=10**11 - 1))
def test_the_cheap_path_for_mobiles_agrees_with_phonenumbers(country: str, digits: int) -> None:
    try:
        number = phonenumbers.parse(str(digits), country)
        mobile = phonenumbers.number_type(number) in {1, 2}
        careful = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if mobile else None
    except phonenumbers.NumberParseException:
        careful = None
    try:
        ours = mobile_of(str(digits), country)
    except ValueError:
        ours = None
    if careful or ours is None:
        assert ours == careful


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Nome", "name"),
        ("E-mail", "email"),
        ("Telemóvel", "mobile"),
        ("DATA DE NASCIMENTO", "birth_date"),
        ("birthDate", "birth_date"),
        ("Nº Contribuinte", "tax_id"),
        ("Localidade", "city"),
        ("Código Postal", "codigo_postal"),
        ("2ª Morada", "_2a_morada"),
    ],
)
def test_headings_in_portuguese_and_english_are_known(heading: str, field: str) -> None:
    assert heading_of("contacts", heading) == field


def test_a_row_becomes_a_record_and_what_cannot_be_read_is_named() -> None:
    row = {
        "id": 7,
        "name": "Ana Maria Silva",
        "birth_date": "24/12/80",
        "email": "ana",
        "status": "Ativo",
        "person_type": "Pessoa Física",
        "tags": "vip; porto,",
        "Código Postal": " 4000-001 ",
        "mobile": " ",
    }
    record = canonical("contacts", row, country="PT", timezone="Europe/Lisbon", where="clientes.csv:2")
    assert record == {
        "id": "7", "name": "Ana Maria Silva", "first_name": "Ana", "last_name": "Silva", "birth_date": None, "email": None, "status": "active",
        "person_type": "person", "tags": ("vip", "porto"), "codigo_postal": "4000-001", "mobile": None,
    }  # fmt: skip
    assert set(record.problems) == {"birth_date", "email"}
    assert "'24/12/80'" in record.problems["birth_date"]
    assert record.raw is row
    assert record.where == "clientes.csv:2"


def test_names_are_derived_both_ways_but_not_for_companies() -> None:
    def names(**values: str) -> Record:
        return canonical("contacts", values)

    assert names(first_name="Ana", last_name="Silva")["name"] == "Ana Silva"
    assert names(name="Silva, Ana Maria")["first_name"] == "Ana"
    assert names(name="Madonna").get("last_name") is None
    assert "first_name" not in names(name="Padaria Central Lda", person_type="empresa")


def test_amounts_carry_the_currency_of_their_row() -> None:
    record = canonical("invoices", {"id": "1", "amount": "1.234,50", "currency": "eur", "status": "Em aberto"})
    assert isinstance(record["amount"], Money)
    assert (record["amount"], record["amount"].currency, record["status"]) == (Decimal("1234.50"), "EUR", "open")
    assert record["balance"] == record["amount"]
    assert canonical("invoices", {"amount": "R$ 5"})["amount"].currency == "BRL"


def test_unknown_words_are_problems_that_list_the_known_ones() -> None:
    record = canonical("contacts", {"status": "talvez"})
    assert record["status"] is None
    assert record.problems["status"] == "'talvez' is not one of active, inactive"


def test_values_that_are_not_text_are_read_too() -> None:
    record = canonical("contacts", {"id": 1.5, "birth_date": CHRISTMAS, "tags": ["a", "b"], "status": True, "loja": {"a": 1}})
    assert record == {"id": "1.5", "birth_date": CHRISTMAS, "tags": ("a", "b"), "status": "active", "loja": {"a": 1}}
    assert list_of(("x", " ")) == ("x",)


@given(
    st.dictionaries(
        st.text(max_size=12), st.one_of(st.none(), st.text(max_size=30), st.integers(), st.floats(), st.binary(max_size=4)), max_size=6
    )
)
def test_no_row_whatever_it_holds_raises(row: dict[str, object]) -> None:
    fields = ("birth_date", "email", "mobile", "status", "created_at")
    turn = Canonical("contacts", country="PT", timezone="Europe/Lisbon")
    turn(row)
    for field in fields:
        turn({field: next(iter(row.values()), "")})


def test_a_number_that_is_no_text_is_never_ambiguous() -> None:
    """1.234 as text groups thousands; out of JSON or SQL it is a number with three decimals."""
    assert (amount_of(1.234), amount_of(1234.5), amount_of("1.234")) == (Decimal("1.234"), Decimal("1234.5"), Decimal(1234))

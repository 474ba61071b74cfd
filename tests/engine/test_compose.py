"""The message step: what becomes of a candidate, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libax_automate.engine.compose import Composer, catalogue_of, check_fields, fields_used
from libax_automate.engine.hours import Hours
from libax_automate.engine.outbox import Draft, Verdict, dump
from libax_automate.engine.plaintext import text_source
from libax_automate.engine.spec import Defaults, ModelSpec, Profile, Quiet, StepSpec, Wording
from libax_automate.engine.walltime import Slot
from libax_automate.engine.way import channel_of
from libax_automate.errors import ProfileError, TemplateError
from libax_automate.message import Channel
from libax_automate.model import Candidate
from libax_automate.plugins.birthday import Birthday, BirthdayOptions
from libax_automate.plugins.notice import Notice, NoticeOptions
from libax_automate.record import Money, Record
from libax_automate.template import Sandbox

LISBON = ZoneInfo("Europe/Lisbon")
NOW = datetime(2026, 12, 24, 9, 30, tzinfo=UTC)
BIRTHDAY = Birthday(BirthdayOptions())
GREETING = Wording(subject="Feliz aniversário, {{ first_name }}!", text="Olá (#FirstName#), feliz aniversário ao completar (#Age#) anos.")


def profile(**more: Any) -> Profile:
    defaults = more.pop("defaults", Defaults(apps={Channel.EMAIL: "brevo", Channel.SMS: "smspro"}, reply_to="geral@example.com"))
    return Profile(name="padaria", path=Path("padaria.toml"), timezone=LISBON, locale="pt_PT", defaults=defaults, **more)


def model(**more: Any) -> ModelSpec:
    return ModelSpec(
        **{"name": "aniversario", "use": "birthday", "options": BIRTHDAY.options, "source": "gestao", "wording": GREETING, **more}
    )


def person(problems: Mapping[str, str] | None = None, **fields: Any) -> Record:
    ana = {
        "id": "7", "name": "Ana Silva", "first_name": "Ana", "email": "ana@example.com", "mobile": "+351912345678",
        "birth_date": date(1980, 12, 24), "status": "active", "person_type": "person", "city": "Porto",
    }  # fmt: skip
    return Record("contacts", {**ana, **fields}, problems=problems, where="clientes.csv:12")


def candidate(record: Record | None = None, **more: Any) -> Candidate:
    return Candidate(**{"record": record or person(), "occasion": "2026-12-24", "extra": {"age": 46}, "why": "turns 46", **more})


def composed(
    who: Candidate | None = None, *, spec: ModelSpec | None = None, of: Profile | None = None, now: datetime = NOW, recipe: Any = BIRTHDAY,
    slot: datetime | None = None, **hooks: Any,
) -> Draft:  # fmt: skip
    composer = Composer(of or profile(), spec or model(), recipe, **hooks)
    instant = slot or now
    return composer.compose(who or candidate(), now=now, slot=Slot(instant.astimezone(LISBON).replace(tzinfo=None), instant))


def reason(draft: Draft) -> str:
    assert draft.verdict is Verdict.EXCLUDED
    return draft.reason


# -- what is sent ------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-54")
def test_a_candidate_becomes_a_message() -> None:
    draft = composed()
    assert (draft.verdict, draft.reason, draft.model, draft.person, draft.occasion) == (
        Verdict.SEND,
        "turns 46",
        "aniversario",
        "7",
        "2026-12-24",
    )
    assert (draft.app, draft.channel, draft.to, draft.name) == ("brevo", Channel.EMAIL, "ana@example.com", "Ana Silva")
    assert draft.payload == {
        "subject": "Feliz aniversário, Ana!",
        "text": "Olá Ana, feliz aniversário ao completar 46 anos.",
        "reply_to": "geral@example.com",
        "name": "Ana Silva",
    }
    assert draft.expires == datetime(2026, 12, 25, tzinfo=UTC), "a birthday's message is void when its day ends"


@pytest.mark.req("LX-51")
@pytest.mark.parametrize("subject", [None, "", "  "])
def test_an_empty_subject_becomes_a_generic_one(subject: str | None) -> None:
    spec = model(wording=Wording(subject=subject, text="Olá"))
    assert composed(spec=spec, subject=lambda key: f"[{key}] {{{{ first_name }}}}").subject == "[subject.birthday] Ana"
    from libax_automate.engine.language import Language

    assert composed(spec=spec).subject == Language("pt_PT").text("subject.birthday")


@pytest.mark.req("LX-50")
def test_reply_to_is_the_models_else_the_profiles() -> None:
    assert composed(spec=model(wording=Wording(text="Olá", reply_to="ana@example.com"))).payload["reply_to"] == "ana@example.com"
    assert composed(spec=model(wording=Wording(text="Olá"))).payload["reply_to"] == "geral@example.com"


@pytest.mark.req("LX-47")
def test_a_text_message_goes_to_the_mobile_without_a_subject() -> None:
    draft = composed(spec=model(channel=Channel.SMS, wording=Wording(subject="x", text="Olá #FirstName#!\n", max_chars=9)))
    assert (draft.app, draft.channel, draft.to) == ("smspro", Channel.SMS, "+351912345678")
    assert draft.payload == {"text": "Olá Ana!", "name": "Ana Silva"}


@pytest.mark.req("LX-74")
def test_a_providers_template_gets_named_and_ordered_values() -> None:
    wording = Wording(
        template="12", vars=("first_name", "{{ age + 1 }}", "(#City#)"), params={"nome": "FirstName", "x": "#cliente_razao#!"}
    )
    draft = composed(spec=model(wording=wording))
    assert draft.payload["template"] == "12"
    assert draft.payload["vars"] == ["Ana", "47", "Porto"]
    assert draft.payload["params"] == {"nome": "Ana", "x": "Ana Silva!"}
    assert "subject" not in draft.payload, "the provider's template has its own"
    assert draft.text == "[12] Ana, 47, Porto"


@pytest.mark.req("IC-09")
def test_ixcs_list_of_variables_is_filled_in_order_over_an_invoice() -> None:
    invoice = Record(
        "invoices", {"id": "F1", "customer": "7", "number": "FT 1", "amount": Money.of("123", "BRL"), "due": date(2023, 7, 19)}
    )
    spec = model(
        use="notice", channel=Channel.WHATSAPP, via="opa",
        wording=Wording(template="aviso", vars=("#cliente_razao#,#areceber_valor#,#areceber_data_vencimento#",), extra={"language": "pt_BR", "x": 1}),
    )  # fmt: skip
    who = candidate(invoice, recipient=person(name="João da Silva"), occasion="F1 once")
    brazil = Profile(name="ixc", path=Path("ixc.toml"), timezone=ZoneInfo("America/Sao_Paulo"), locale="pt_BR")
    draft = composed(who, spec=spec, of=brazil, recipe=Notice(NoticeOptions(entity="invoices")))
    assert draft.payload["vars"] == ["João da Silva", "R$\u00a0123,00", "19/07/2023"]
    assert (draft.payload["language"], draft.payload["extra"], draft.app, draft.to) == ("pt_BR", {"x": 1}, "opa", "+351912345678")


def test_fields_are_reached_bare_and_by_name_over_another_entity() -> None:
    invoice = Record("invoices", {"id": "F1", "customer": person(), "number": "FT 1", "status": "open"})
    text = "{{ number }} {{ invoice.number }} {{ customer.first_name }} {{ contact.city }} {{ first_name }} {{ status }} {{ today }}"
    spec = model(use="notice", wording=Wording(text=text))
    draft = composed(Candidate(record=invoice, occasion="x"), spec=spec, recipe=Notice(NoticeOptions(entity="invoices")))
    assert draft.payload["text"] == "FT 1 FT 1 Ana Porto Ana open 24/12/2026"
    assert (draft.person, draft.to) == ("7", "ana@example.com")


def test_html_alone_gets_a_text_part() -> None:
    html = (
        "<head><style>p {}</style></head><h1>Olá #FirstName#</h1><p>Veja <a href='https://example.com/?n={{ age }}'>aqui</a> &amp; já.</p>"
    )
    draft = composed(candidate(person(first_name="<Ana>")), spec=model(wording=Wording(html=html)))
    assert "<h1>Olá &lt;Ana&gt;</h1>" in draft.payload["html"]
    assert draft.payload["text"] == "Olá <Ana>\n\nVeja aqui (https://example.com/?n=46) & já.\n"


def test_the_text_of_html_keeps_code_and_cannot_make_new_code() -> None:
    source = text_source(
        "<ul>{% for t in tags if 1 < 2 %}<li>{{ t }}</li>{% endfor %}</ul>&#123;&#123; x }}<br><img alt='logo'><script>bad()</script>"
    )
    assert Sandbox().template(source).render({"tags": ["a", "b"]}).split() == ["-", "a", "-", "b", "{", "{", "x", "}}", "logo"]


def test_copies_attachments_and_sender_ride_along() -> None:
    wording = Wording(text="Olá", cc=("c@example.com",), bcc=("b@example.com",), attachments=("boleto.pdf",), sender="x@example.com")
    payload = composed(spec=model(wording=wording)).payload
    assert payload["cc"] == ["c@example.com"]
    assert (payload["bcc"], payload["attachments"], payload["sender"]) == (["b@example.com"], ["boleto.pdf"], "x@example.com")


@pytest.mark.req("LX-19")
def test_a_webhook_gets_the_record_instead_of_a_message() -> None:
    draft = composed(candidate(person(email=None, mobile=None, tags=("vip",))), spec=model(webhook="agencia", wording=Wording()))
    assert (draft.verdict, draft.channel, draft.app) == (Verdict.SEND, Channel.WEBHOOK, "agencia")
    record = draft.payload["record"]
    assert (record["name"], record["age"]) == ("Ana Silva", 46)
    assert '"birth_date":"1980-12-24"' in dump(draft.payload)


def test_a_webhooks_invoice_carries_its_customer() -> None:
    invoice = Record("invoices", {"id": "F1", "customer": "7", "amount": Money.of("1.50", "EUR")})
    who = Candidate(record=invoice, recipient=person(), occasion="x")
    draft = composed(who, spec=model(webhook="agencia", wording=Wording()), recipe=Notice(NoticeOptions(entity="invoices")))
    assert draft.payload["record"]["customer"]["email"] == "ana@example.com"
    assert '"amount":"1.50"' in dump(draft.payload)


@pytest.mark.req("LX-55")
def test_the_activity_names_the_source_and_the_person() -> None:
    assert composed(spec=model(activity=True)).activity == ("gestao", "7")
    assert composed().activity is None


def test_conditions_to_ask_again_are_kept() -> None:
    still = {"status": frozenset({"active"})}
    assert composed(candidate(still=still)).still == ("gestao", "contacts", "7", still)


def test_steps_have_their_own_channel_app_and_wording() -> None:
    steps = (
        StepSpec(name="aviso", options={}, wording=Wording(text="Aviso", subject="Um")),
        StepSpec(name="sms", options={}, channel=Channel.SMS, wording=Wording(text="Breve")),
        StepSpec(name="mesmo", options={}),
    )
    spec = model(steps=steps, wording=Wording(text="Modelo", subject="Dois", reply_to="r@example.com"))
    one, two, three = (composed(candidate(step=name), spec=spec) for name in ("aviso", "sms", "mesmo"))
    assert (one.subject, one.payload["text"], one.payload["reply_to"]) == ("Um", "Aviso", "r@example.com")
    assert (two.channel, two.app, two.payload["text"]) == (Channel.SMS, "smspro", "Breve")
    assert (three.subject, three.payload["text"]) == ("Dois", "Modelo")
    with pytest.raises(ProfileError, match="nope"):
        composed(candidate(step="nope"), spec=spec)


def test_whom_the_channel_does_not_reach_hears_by_the_next_that_does() -> None:
    spec = model(channel=Channel.SMS, fallback=(Channel.EMAIL,), wording=Wording(text="Olá", subject="Um"))
    assert composed(spec=spec).channel is Channel.SMS
    without = composed(candidate(person(mobile=None)), spec=spec)
    assert (without.channel, without.app, without.to, without.subject) == (Channel.EMAIL, "brevo", "ana@example.com", "Um")
    wrong = person(mobile=None, problems={"mobile": "is no number"})
    assert composed(candidate(wrong), spec=spec).channel is Channel.EMAIL
    unwanted = composed(spec=spec, suppressed=lambda channel, _: "opted out" if channel is Channel.SMS else None)
    assert unwanted.channel is Channel.EMAIL
    assert reason(composed(candidate(person(mobile=None, email=None)), spec=spec)) == "no mobile"


def test_beside_a_template_the_text_is_what_the_fallbacks_say() -> None:
    wording = Wording(template="aviso", vars=("first_name",), text="Olá {{ first_name }}", extra={"department": "x"})
    step = StepSpec(name="aviso", options={}, channel=Channel.SMS, fallback=(Channel.EMAIL,), wording=wording)
    spec = model(steps=(step,), wording=Wording(subject="Do modelo"))
    first = composed(candidate(step="aviso"), spec=spec)
    assert (first.payload["template"], first.payload["vars"], "text" in first.payload) == ("aviso", ["Ana"], False)
    other = composed(candidate(person(mobile=None), step="aviso"), spec=spec)
    assert (other.payload["text"], other.subject) == ("Olá Ana", "Do modelo")
    assert not other.payload.keys() & {"template", "vars", "extra"}


def test_a_fallback_without_a_text_or_an_app_is_the_models_fault() -> None:
    silent = model(channel=Channel.SMS, fallback=(Channel.EMAIL,), wording=Wording(template="aviso"))
    with pytest.raises(ProfileError, match="email has no text"):
        composed(spec=silent)
    with pytest.raises(ProfileError, match="no app sends whatsapp"):
        composed(spec=model(channel=Channel.SMS, fallback=(Channel.WHATSAPP,)))


def test_the_further_records_of_a_message_are_kept_with_its_conditions() -> None:
    who = candidate(still={"status": frozenset({"active"})}, also=("8", "9"))
    assert composed(who).also == ("8", "9")


def test_a_ladder_whose_steps_all_speak_needs_no_wording_of_its_own() -> None:
    spec = model(steps=(StepSpec(name="aviso", options={}, wording=Wording(text="Aviso")),), wording=Wording())
    assert composed(candidate(step="aviso"), spec=spec).payload["text"] == "Aviso"
    with pytest.raises(ProfileError, match="no message"):
        composed(spec=spec)


# -- who is left out, and why ------------------------------------------------------------------------------------------------------


def test_a_baseline_candidate_is_recorded_and_never_sent() -> None:
    draft = composed(candidate(baseline=True))
    assert (draft.verdict, draft.baseline, draft.payload) == (Verdict.EXCLUDED, True, {})


@pytest.mark.parametrize(
    ("who", "spec", "why"),
    [
        (candidate(excluded="birth_date is not in the past"), {}, "birth_date is not in the past"),
        (candidate(person({"email": "'ana@@x' is not an e-mail address"}, email=None)), {},
         "e-mail not valid: 'ana@@x' is not an e-mail address (clientes.csv:12)"),
        (candidate(person(email=None)), {}, "no e-mail"),
        (candidate(person(email="")), {}, "no e-mail"),
        (candidate(person(mobile=None)), {"channel": Channel.SMS}, "no mobile"),
        (candidate(person(email="ana@example.com\nBcc: x@example.com")), {},
         "e-mail not valid: 'ana@example.com\\nBcc: x@example.com' (clientes.csv:12)"),
        (candidate(person(mobile="912345678")), {"channel": Channel.SMS}, "mobile not valid: '912345678' (clientes.csv:12)"),
        (candidate(person(status="inactive")), {"audience": ("active",)}, "inactive"),
        (candidate(person(person_type="company")), {"audience": ("active", "person")}, "a company"),
        (candidate(), {"audience": ("no-mobile",)}, "has a mobile"),
        (candidate(), {"where": "city == 'Lisboa'"}, "where: city == 'Lisboa' is not true"),
        (candidate(extra={"age": None}), {"where": "age >= 18"}, "where: age is empty"),
        (candidate(), {"where": "plano == 'A'"}, "where: has no field 'plano' (clientes.csv:12)"),
        (candidate(), {"where": "city * 3 > 2"}, "where: 'Porto' is not a number"),
        (candidate(person(first_name=None)), {}, "first_name is empty"),
        (candidate(person({"birth_date": "'x' is not a date"}, birth_date=None)), {"wording": Wording(text="{{ birth_date }}")},
         "birth_date not valid: 'x' is not a date (clientes.csv:12)"),
        (candidate(), {"wording": Wording(text="{{ plano }}")}, "has no field 'plano' (clientes.csv:12)"),
        (candidate(person(first_name="Ana\nSilva")), {}, "subject holds a line break"),
        (candidate(), {"wording": Wording(text="x" * 175, max_chars=160)}, "text is 175 characters, max_chars is 160"),
        (candidate(Record("contacts", {"id": "", "name": "?"})), {}, "has neither id, e-mail nor mobile"),
        (candidate(expires=datetime(2026, 12, 24, 9, tzinfo=UTC)), {}, "expired at 2026-12-24 09:00"),
    ],
)  # fmt: skip
def test_each_exclusion_says_why_in_plain_words(who: Candidate, spec: dict[str, Any], why: str) -> None:
    assert reason(composed(who, spec=model(**spec))) == why


def test_the_first_check_that_fails_gives_the_reason() -> None:
    record = person({"email": "bad"}, email=None, status="inactive", city=None)
    spec = model(audience=("active",), where="city == 'Porto'")
    assert reason(composed(candidate(record, excluded="own"), spec=spec)) == "own"
    assert reason(composed(candidate(record), spec=spec)) == "e-mail not valid: bad (clientes.csv:12)"
    assert reason(composed(candidate(person(email=None, status="inactive", city=None)), spec=spec)) == "inactive"
    assert reason(composed(candidate(person(email=None, city=None)), spec=spec)).startswith("where:")
    assert reason(composed(candidate(person(email=None)), spec=spec)) == "no e-mail"


def test_the_suppression_list_and_the_ledger_are_asked() -> None:
    asked: list[Any] = []

    def suppressed(channel: Channel, address: str) -> str | None:
        asked.append((channel, address))
        return "opted out" if address == "rui@example.com" else None

    def known(step: str, who: str, occasion: str) -> str | None:
        asked.append((step, who, occasion))
        return "already sent on 2026-12-24 (M1)" if who == "8" else None

    assert reason(composed(candidate(person(email="rui@example.com")), suppressed=suppressed)) == "opted out"
    draft = composed(candidate(person(id="8")), suppressed=suppressed, known=known)
    assert (reason(draft), draft.known) == ("already sent on 2026-12-24 (M1)", True)
    assert composed(suppressed=suppressed, known=known).verdict is Verdict.SEND
    assert asked[1:3] == [(Channel.EMAIL, "ana@example.com"), ("", "8", "2026-12-24")]


def test_once_makes_the_person_the_occasion() -> None:
    assert composed(spec=model(once=True)).occasion == "once"


def test_a_person_without_an_id_is_known_by_address() -> None:
    assert composed(candidate(person(id=""))).person == "ana@example.com"


def test_control_characters_never_reach_a_name() -> None:
    assert composed(candidate(person(name="Ana\r\nBcc: x"))).name == "Ana Bcc: x"


def test_an_unknown_field_is_the_models_fault_where_the_sources_fields_are_known() -> None:
    available = frozenset({"id", "name", "first_name", "email"})
    for more in ({"wording": Wording(text="{{ plano }}")}, {"where": "plano == 1"}):
        with pytest.raises(TemplateError, match="plano"):
            composed(spec=model(**more), available=available)
    assert reason(composed(spec=model(wording=Wording(text="{{ plano }}")), available=available | {"plano"})) == "plano is empty"


def test_a_template_that_fails_is_the_models_fault() -> None:
    with pytest.raises(TemplateError, match="division by zero"):
        composed(spec=model(wording=Wording(text="{{ 1 / 0 }}")))


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"wording": Wording(text="{{ x", subject="a")}, "text: "),
        ({"wording": Wording(text="x", subject="{% a %}")}, "subject: "),
        ({"wording": Wording(html="{{ a|nope }}", text="x")}, "html: "),
        ({"wording": Wording(template="1", vars=("a", "{{ }}"))}, r"vars\[2\]: "),
        ({"wording": Wording(template="1", params={"nome": "{{"})}, "params.nome: "),
        ({"where": "city =="}, "where: "),
        ({"steps": (StepSpec(name="um", options={}, wording=Wording(text="{{")),)}, "steps um, text: "),
    ],
)
def test_what_does_not_compile_names_its_key(more: dict[str, Any], key: str) -> None:
    with pytest.raises(TemplateError, match=f"^{key}"):
        Composer(profile(), model(**more), BIRTHDAY)


# -- channel and app ---------------------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-13")
@pytest.mark.parametrize(
    ("more", "apps", "found"),
    [
        ({"channel": Channel.EMAIL}, {Channel.EMAIL: "brevo"}, (Channel.EMAIL, "brevo")),
        ({"channel": Channel.SMS}, {Channel.SMS: "smspro"}, (Channel.SMS, "smspro")),
        ({"channel": Channel.SMS, "via": "other"}, {Channel.SMS: "smspro"}, (Channel.SMS, "other")),
        ({}, {Channel.SMS: "smspro"}, (Channel.EMAIL, "free-plan")),
        ({"wording": Wording(text="x")}, {Channel.SMS: "smspro"}, (Channel.SMS, "smspro")),
        ({"wording": Wording(text="x")}, {Channel.SMS: "smspro", Channel.EMAIL: "brevo"}, (Channel.EMAIL, "brevo")),
        ({"via": "smspro", "wording": Wording(text="x")}, {Channel.SMS: "smspro", Channel.EMAIL: "brevo"}, (Channel.SMS, "smspro")),
        ({"webhook": "agencia"}, {}, (Channel.WEBHOOK, "agencia")),
    ],
)
def test_the_channel_and_its_default_app(more: dict[str, Any], apps: dict[Channel, str], found: tuple[Channel, str]) -> None:
    assert channel_of(model(**more), profile(defaults=Defaults(apps=apps))) == found


@pytest.mark.req("LX-15")
def test_email_without_a_default_goes_over_the_free_plan() -> None:
    assert composed(of=profile(defaults=Defaults())).app == "free-plan"


def test_the_channel_of_an_app_is_what_it_sends() -> None:
    offered = {
        "gateway": frozenset({Channel.SMS}),
        "all": frozenset({Channel.SMS, Channel.WHATSAPP}),
        "mail": frozenset({Channel.EMAIL, Channel.SMS}),
    }
    plain = Wording(text="x")
    assert channel_of(model(via="gateway", wording=plain), profile(), channels_of=offered.__getitem__) == (Channel.SMS, "gateway")
    assert channel_of(model(via="mail"), profile(), channels_of=offered.__getitem__) == (Channel.EMAIL, "mail")
    with pytest.raises(ProfileError, match="sms and whatsapp"):
        channel_of(model(via="all", wording=plain), profile(), channels_of=offered.__getitem__)


def test_a_channel_without_an_app_is_an_error() -> None:
    with pytest.raises(ProfileError, match="no app sends whatsapp"):
        composed(spec=model(channel=Channel.WHATSAPP))


# -- when --------------------------------------------------------------------------------------------------------------------------

NIGHT = Quiet(time(21), time(9))


def test_quiet_hours_hold_and_never_drop() -> None:
    late = datetime(2026, 12, 24, 22, 15, tzinfo=UTC)
    draft = composed(spec=model(quiet=NIGHT, expires="2d"), now=late)
    assert (draft.verdict, draft.reason, draft.not_before) == (
        Verdict.HELD,
        "quiet hours until 09:00",
        datetime(2026, 12, 25, 9, tzinfo=UTC),
    )
    assert draft.payload["text"]
    assert composed(spec=model(expires="2d"), of=profile(defaults=Defaults(quiet=NIGHT)), now=late).verdict is Verdict.HELD


def test_a_message_that_is_void_before_it_may_leave_is_left_out() -> None:
    late = datetime(2026, 12, 24, 22, 15, tzinfo=UTC)
    assert reason(composed(spec=model(quiet=NIGHT), now=late)) == "expires before quiet hours end"
    sunday_only = model(send_weekdays=frozenset({7}))
    assert reason(composed(spec=sunday_only)) == "expires before the next sending day"


def test_a_webhook_knows_no_quiet_hours() -> None:
    late = datetime(2026, 12, 24, 22, 15, tzinfo=UTC)
    assert composed(spec=model(webhook="agencia", quiet=NIGHT), now=late).verdict is Verdict.SEND


@pytest.mark.parametrize(
    ("expires", "slot", "end"),
    [
        ("day", datetime(2026, 7, 1, 8, tzinfo=UTC), datetime(2026, 7, 1, 23, tzinfo=UTC)),
        ("1d", datetime(2026, 10, 24, 8, tzinfo=UTC), datetime(2026, 10, 25, 9, tzinfo=UTC)),  # clocks go back: a day keeps its hour
        ("2h", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 2, 30, tzinfo=UTC)),
        ("1w", datetime(2026, 7, 1, 8, tzinfo=UTC), datetime(2026, 7, 8, 8, tzinfo=UTC)),
    ],
)
def test_expiry_counts_from_the_slot_on_the_local_clock(expires: str, slot: datetime, end: datetime) -> None:
    assert composed(spec=model(expires=expires), now=slot).expires == end


def test_a_recipe_without_expiry_never_expires_and_a_broken_one_is_refused() -> None:
    assert composed(spec=model(wording=Wording(text="x")), recipe=Notice(NoticeOptions())).expires is None
    with pytest.raises(ProfileError, match="expires"):
        composed(spec=model(expires="soon"))


@pytest.mark.parametrize(
    ("now", "until", "why"),
    [
        ((2026, 7, 1, 12, 0), None, ""),
        ((2026, 7, 1, 20, 0), (2026, 7, 2, 8, 0), "quiet hours until 09:00"),  # 21:00 in Lisbon
        ((2026, 7, 1, 19, 59), None, ""),
        ((2026, 7, 1, 7, 59), (2026, 7, 1, 8, 0), "quiet hours until 09:00"),
        ((2026, 7, 1, 8, 0), None, ""),
        ((2026, 3, 28, 23, 0), (2026, 3, 29, 8, 0), "quiet hours until 09:00"),  # the night that loses an hour
        ((2026, 10, 24, 23, 0), (2026, 10, 25, 9, 0), "quiet hours until 09:00"),  # the night that has one more
    ],
)
def test_quiet_hours_over_midnight_on_the_local_clock(now: tuple[int, ...], until: tuple[int, ...] | None, why: str) -> None:
    hold = Hours(LISBON, NIGHT).hold(datetime(*now, tzinfo=UTC))  # type: ignore[misc, arg-type]
    if until is None:
        assert hold is None
    else:
        assert hold is not None
        assert (hold.until, hold.reason) == (datetime(*until, tzinfo=UTC), why)  # type: ignore[misc, arg-type]


def test_quiet_hours_that_end_in_a_missing_or_doubled_hour_end_once_and_later_than_now() -> None:
    missing = Hours(LISBON, Quiet(time(0), time(1, 30))).hold(datetime(2026, 3, 29, 0, 15, tzinfo=UTC))
    assert missing is not None
    assert missing.until == datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "01:30 does not exist: the first moment after it"
    doubled = Hours(LISBON, Quiet(time(0), time(1, 30)))
    first = doubled.hold(datetime(2026, 10, 25, 0, 15, tzinfo=UTC))
    second = doubled.hold(datetime(2026, 10, 25, 1, 15, tzinfo=UTC))
    assert first is not None
    assert second is not None
    assert first.until == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert second.until == datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "the second 01:30"


def test_sending_weekdays_hold_until_the_next_one_that_is_not_quiet() -> None:
    saturday = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    work = frozenset({1, 2, 3, 4, 5})
    hold = Hours(LISBON, NIGHT, work).hold(saturday)
    assert hold is not None
    assert (hold.until, hold.reason) == (datetime(2026, 11, 23, 9, tzinfo=UTC), "no sending on Saturday, waits until Mon 23 Nov 09:00")
    friday_night = Hours(LISBON, NIGHT, work).hold(datetime(2026, 11, 20, 22, 0, tzinfo=UTC))
    assert friday_night is not None
    assert friday_night.until == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert Hours(LISBON, None, frozenset()).hold(saturday) is None


# -- the catalogue of fields -------------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-53")
def test_the_catalogue_lists_every_placeholder_with_a_sample() -> None:
    found = dict(catalogue_of(BIRTHDAY, frozenset({"id", "first_name", "plano"})))
    assert found["age"] == "46"
    assert found["first_name"] == "Ana"
    assert "plano" in found
    over_invoices = dict(catalogue_of(Notice(NoticeOptions(entity="invoices")), None))
    assert over_invoices["invoice.number"] == "FT 2026/118"
    assert over_invoices["customer.first_name"] == "Ana"


def test_every_listed_placeholder_is_one_that_check_takes() -> None:
    for recipe in (BIRTHDAY, Notice(NoticeOptions(entity="invoices")), Notice(NoticeOptions(entity="deals"))):
        fields = frozenset({"id", "plano"})
        text = " ".join("{{ " + name + " }}" for name, _ in catalogue_of(recipe, fields))
        assert check_fields(model(wording=Wording(text=text)), recipe, profile(), None) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"wording": Wording(text="{{ fist_name }}", subject="x")}, "text: unknown field 'fist_name'; did you mean 'first_name'?"),
        ({"wording": Wording(text="#FistName#", subject="x")}, "text: unknown field 'fist_name'; did you mean 'first_name'?"),
        ({"wording": Wording(text="{{ customer.nam }}", subject="x")}, "text: unknown field 'customer.nam'; did you mean 'customer.name'?"),
        ({"where": "citty == 'Porto'"}, "where: unknown field 'citty'; did you mean 'city'?"),
        ({"wording": Wording(template="1", vars=("name", "zzzzzz"))}, "vars[2]: unknown field 'zzzzzz'"),
        ({"wording": Wording(text="{{ first_name.foo }}", subject="x")}, "text: unknown field 'first_name.foo': first_name has no 'foo'"),
    ],
)
def test_check_names_the_key_and_guesses_the_field(more: dict[str, Any], problem: str) -> None:
    available = frozenset({"id", "name", "first_name", "email", "birth_date", "plano"})
    assert check_fields(model(**more), BIRTHDAY, profile(), available) == [problem]


def test_check_takes_what_is_right_and_misses_what_a_recipe_lives_by() -> None:
    text = (
        "{{ first_name }} {{ age }} {{ plano }} {{ birth_date.year }} {{ contact.plano }} {{ customer.name }} {{ today }} {{ city or '' }}"
    )
    spec = model(wording=Wording(text=text, subject="x"))
    assert check_fields(spec, BIRTHDAY, profile(), frozenset({"birth_date", "plano"})) == []
    assert check_fields(spec, BIRTHDAY, profile(), frozenset({"plano"})) == [
        "source: birthday needs the field 'birth_date', and no record has it"
    ]
    assert check_fields(model(wording=Wording(text="{{")), BIRTHDAY, profile(), None)[0].startswith("text: ")


def test_deals_reach_their_contact_through_their_own_name() -> None:
    recipe = Notice(NoticeOptions(entity="deals"))
    spec = model(wording=Wording(text="{{ deal.contact.first_name }} {{ title }} {{ deal.owner.email }}", subject="x"))
    assert check_fields(spec, recipe, profile(), None) == []
    assert fields_used(spec, recipe, profile()) == {"deal.contact.first_name", "title", "deal.owner.email"}
    wrong = model(wording=Wording(text="{{ deal.contact.first_nam }}", subject="x"))
    assert check_fields(wrong, recipe, profile(), frozenset({"id"})) == []

"""Every reason that the program can give has a form in every language: what it can say is read out of its code, so that none is forgotten."""

from __future__ import annotations

import ast
import re
import string
import time
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import product
from pathlib import Path

import pytest

from libax_automate.engine.audience import WORDS
from libax_automate.engine.language import LANGUAGES, catalogue
from libax_automate.engine.reason import reason
from libax_automate.engine.replay import folded
from libax_automate.engine.store.rows import MessageState
from libax_automate.message import Channel
from libax_automate.model import MessageClass
from libax_automate.normalise import amount_of, date_of, email_of, instant_of, mobile_of
from libax_automate.plugins.billing_when import When

PACKAGE = Path(str(files("libax_automate")))
HOLE = "\0"

# -- what the code can say -------------------------------------------------------------------------------------------------

#: how a module says why somebody hears, hears later, or does not
GIVES = re.compile(
    r"\b(?:Candidate|Effect|Ruling|Hold|NotSayable|Unreadable|_excluded)\(|\breason=|\bexcluded=|\.(?:left_out|later)\[|\.notes\.append"
)
#: modules that give reasons to those
FURTHER = frozenset(
    {"people.py", "normalise.py", "engine/audience.py", "engine/reference.py", "engine/press.py", "engine/archive.py"}
)  # fmt: skip
#: modules that hand on what others gave, speak to somebody at a terminal, or say what becomes of messages once they are in the queue
SILENT = frozenset(
    {
        "reading.py", "model.py", "plugins/catalogue.py", "plugins/smtp.py", "plugins/billing_options.py", "plugins/csv_dialect.py",
        "plugins/csv_rows.py", "plugins/partner_notes_layout.py", "engine/check.py", "engine/deliver.py", "engine/digest.py", "engine/doctor.py",
        "engine/duty.py", "engine/herald.py", "engine/report.py",
        "engine/explain.py", "engine/forecast.py", "engine/gate.py", "engine/lane.py", "engine/loop.py", "engine/notice.py", "engine/outbox.py",
        "engine/page.py", "engine/preflight.py", "engine/run.py", "engine/saved.py", "engine/texts.py", "engine/trial.py",
    }
)  # fmt: skip
#: errors are for whoever runs the program, descriptions for whoever writes a profile
OTHER_CALLS = re.compile(r"Field|\w*Error|NotFound|compile")
#: what is told at a terminal, and what is shown in place of a value
OTHER_FUNCTIONS = frozenset({"story", "faults", "sample", "__str__"})
#: errors that are reasons: what is wrong with the values of one person
REASONS = frozenset({"NotSayable", "Unreadable"})
VALUES = frozenset({"normalise.py", "plugins/csv_table.py"})
#: what else these modules say, and why it stands on no page
OTHER = {
    f"steps {HOLE}, ": "the place of a fault in a profile",
    f"steps {HOLE}, {HOLE}": "the place of a fault in a profile",
    f"source: {HOLE} needs the field {HOLE}, and no record has it": "a fault in a profile",
    f"{HOLE}, waits until {HOLE} {HOLE} {HOLE} {HOLE}": "put together of two; below with words",
    "(created at run)": "stands in messages, not in reasons",
    "waits since": "of a story, for explain",
    "not sent": "of a story, for explain",
    "held back": "of a story, for explain",
    f"invoice {HOLE}": "a key",
    f"commission {HOLE}": "an occasion",
    f"enter {HOLE}": "a step",
    f"leave {HOLE}": "a step",
    f"{HOLE} cannot be written": "an error of the task",
    f"{HOLE} cannot be read": "an error of the task",
    "has no id": "a row that cannot be read",
    "has no id: no e-mail, no mobile, no name": "a row that cannot be read",
}


#: of these, each word of an audience leaves one out
RECORDS = (
    {"status": "inactive", "person_type": "company", "mobile": "+351912345678", "email": "ana@example.com"},
    {"status": "active", "person_type": "person"},
)


class Sayings(ast.NodeVisitor):
    """The texts of a module that somebody could read: constants and f-strings of several words, with HOLE for each value in them."""

    def __init__(self, *, values: bool) -> None:
        self.found: list[tuple[int, str]] = []
        #: what is given as a reason as it stands, be it one word
        self.given: list[tuple[int, str]] = []
        self._values = values

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring is no saying
            self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Says nothing to people."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for each in node.body if node.name not in OTHER_FUNCTIONS else ():
            self.visit(each)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for each in node.body:
            if not isinstance(each, ast.Assign | ast.AnnAssign):  # titles, placeholders, options
                self.visit(each)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = [each.value for each in node.keywords if each.arg in ("excluded", "why", "reason")]
        given += node.args if name in ("_excluded", "Ruling", "Hold", *REASONS) else ()
        self.given += [(each.lineno, each.value) for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if name in REASONS or (name == "ValueError" and self._values) or not OTHER_CALLS.fullmatch(name):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.found.append((node.lineno, node.value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.found += [(node.lineno, text) for text in forms(node)]

    def visit_BinOp(self, node: ast.BinOp) -> None:
        made = forms(node)
        if made == [HOLE]:
            self.generic_visit(node)
        self.found += [(node.lineno, text) for text in made]


def forms(node: ast.expr) -> list[str]:
    """What an expression can come to, as far as the code tells: both sides of a condition, all parts of an f-string."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*(forms(each) for each in node.values))]
    if isinstance(node, ast.FormattedValue):
        return forms(node.value) if isinstance(node.value, ast.IfExp | ast.JoinedStr) else [HOLE]
    if isinstance(node, ast.IfExp):
        return forms(node.body) + forms(node.orelse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return ["".join(parts) for parts in product(forms(node.left), forms(node.right))]
    return [HOLE]


def speakers() -> Iterator[tuple[str, str]]:
    """Modules that say why, by name and source; what a model's module imports of its neighbours speaks for it."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    found = {name for name, source in sources.items() if name in FURTHER or GIVES.search(source)}
    for name in [name for name in found if name.startswith("plugins/")]:
        found |= {
            f"plugins/{other}.py" for other in re.findall(r"^from libax_automate\.plugins\.(\w+) import", sources[name], re.MULTILINE)
        }
    apart = ("cli/", "testing/", "engine/store/", "engine/profile/", "plugins/skeleton/")
    yield from ((name, sources[name]) for name in sorted(found - SILENT) if not name.startswith(apart))


@cache
def sayings() -> tuple[tuple[str, str], ...]:
    """(place, text); a text of one word is most often a key or a mark, and what has no word at all says nothing."""
    found = []
    for name, source in speakers():
        seen = Sayings(values=name in VALUES)
        seen.visit(ast.parse(source))
        texts = [each for each in seen.found if " " in each[1].strip() and re.search(r"[a-z]{2}", each[1])]
        found += [(f"{name}:{line}", text) for line, text in (*texts, *seen.given) if text]
    found += [("audience", answer) for word in WORDS.values() for record in RECORDS if (answer := word(record))]
    return tuple(found)


# -- what the catalogue knows ----------------------------------------------------------------------------------------------


def pieces(text: str) -> list[tuple[str, str | None]]:
    return [(words, hole) for words, hole, _, _ in string.Formatter().parse(text)]


@cache
def known() -> dict[str, re.Pattern[str]]:
    """The catalogue's reasons as they could stand in code: a placeholder is a value, or a word that is always the same there."""
    hole = rf"(?:[^\s{HOLE}]*{HOLE}\S*(?: {HOLE})*|\w+)"
    return {
        name: re.compile(
            "".join(re.escape(words) + (hole + ("d?" if name == "span" else "") if name else "") for words, name in pieces(texts[0]))
        )
        for name, texts in catalogue("en").items()
        if name.startswith(("reason.", "why."))
    }


def test_every_reason_that_the_code_can_give_is_in_the_catalogue() -> None:
    forgotten = [
        f"{where}: {text.replace(HOLE, '{}')!r}"
        for where, text in sayings()
        if text not in OTHER and not any(shape.fullmatch(text) for shape in known().values()) and not begins(text)
    ]
    assert not forgotten, "add each to libax_automate/locale in all languages, as reason.NAME or why.NAME; if it is none, to OTHER with why"


def begins(text: str) -> bool:
    """Whether a text is the beginning of reasons that go on with a value."""
    return any(texts[0].startswith(f"{text} {{") for name, texts in catalogue("en").items() if name.startswith("reason."))


def test_what_is_listed_as_no_reason_is_still_said() -> None:
    said = {text for _, text in sayings()}
    assert set(OTHER) <= said
    assert {name for name, _ in speakers()} >= {
        "engine/compose.py",
        "engine/guards.py",
        "engine/roll.py",
        "plugins/billing_ladder.py",
        "people.py",
    }


def test_the_catalogue_knows_no_reason_that_nobody_gives() -> None:
    said = {text for _, text in sayings()}
    # .any is a reason without what differs from person to person, .email. another library's words, these the parts of what is put together
    others = re.compile(
        r".*\.any|why\.email\..*|reason\.(?:told.*|weekday|partner\.source|enters|leaves|listed|suppressed|quiet.*)|why\.(?:date\.plain|number|zero|empty|field)"
    )
    unused = [name for name, shape in known().items() if not others.fullmatch(name) and not any(shape.fullmatch(text) for text in said)]
    assert not unused


WHY_SOMEBODY_HEARS = frozenset({"reason.birthday", "reason.registered"})
#: something for each placeholder
SAMPLES = {
    "day": "2026-11-02", "first": "2026-10-01", "time": "09:30", "count": "3", "most": "160", "of": "31", "year": "2026", "amount": "12.50",
    "least": "1200", "owed": "12.00", "sum": "1147.00 EUR", "span": "5d", "message": "M12", "value": "'x y'", "weekday": "Sunday",
    "start": "Mon 9 Nov 09:00", "period": "2026-10", "model": "modelo-1", "step": "etapa 1", "field": "birth_date", "cap": "2 per 7d",
    "when": "due - 3d", "kind": "courtesy", "state": "sent", "noun": "mobile", "why": "'x' is not a telephone number", "reason": "no mobile",
    "number": "FT 1", "numbers": "FT 1, FT 2", "id": "17", "words": "Zé + 1", "group": "vip", "stage": "peritagem", "shown": "'25:00'",
}  # fmt: skip


@pytest.mark.parametrize("locale", ["pt_PT", "pt_BR", "en_US"])
def test_every_reason_is_found_again_by_its_words_and_told_in_the_language(locale: str) -> None:
    own = catalogue(locale if locale in LANGUAGES else "en")
    for name, (english, *_) in catalogue("en").items():
        if not name.startswith("reason."):
            continue
        text = english.format_map(SAMPLES)
        told = reason(locale, text)
        assert re.fullmatch("".join(re.escape(words) + (".+" if hole else "") for words, hole in pieces(own[name][0])), told), (name, told)
        if locale != "en_US":
            assert told != text, name
            # backtest leaves out what differs from person to person, where somebody does not hear or hears later
            assert name in WHY_SOMEBODY_HEARS or reason(locale, folded(text)) != folded(text), name
        assert reason(locale, f"{text} (clientes.csv:12)") == f"{told} (clientes.csv:12)"


@pytest.mark.parametrize(
    ("english", "portugal", "brazil", "american"),
    [
        ("no mobile", "sem telemóvel", "sem celular", "no mobile"),
        (
            "capped: 2 per 7d (courtesy), 3 already; expires before it may be said",
            "limite atingido: 2 em 7 dias (cortesia), já recebeu 3; expira antes de poder sair",
            "limite atingido: 2 em 7 dias (cortesia), já recebeu 3; expira antes de poder sair",
            "capped: 2 per 7 days (courtesy), 3 already; expires before it may be said",
        ),
        (
            "tact: aviso (etapa 2) on 2026-11-02",
            "por tato: aviso (etapa 2) em 02/11/2026",
            "por tato: aviso (etapa 2) em 2 de nov. de 2026",
            "tact: aviso (etapa 2) on Nov 2, 2026",
        ),
        (
            "quiet hours until 09:00", "horas de silêncio, espera até às 09:00", "horário de silêncio, espera até 09:00", "quiet hours until 9:00 AM",
        ),
        (
            "no sending on Sunday, waits until Mon 9 Nov 09:00",
            "dia sem envios (domingo), espera até segunda 09/11 09:00",
            "dia sem envios (domingo), espera até segunda 09/11 09:00",
            "no sending on Sunday, waits until Mon 11/9 9:00 AM",
        ),
        (
            "note for 2026-10: 3 commissions, 1147.00 EUR",
            "nota de pagamento, outubro de 2026: 3 comissões, 1 147,00 €",
            "nota de pagamento, outubro de 2026: 3 comissões, € 1.147,00",
            "note for October 2026: 3 commissions, €1,147.00",
        ),
        (
            "note for 2026-Q4: 1 commission, 12.00",
            "nota de pagamento, 4.º trimestre de 2026: 1 comissão, 12,00",
            "nota de pagamento, 4º trimestre de 2026: 1 comissão, 12,00",
            "note for 4th quarter 2026: 1 commission, 12.00",
        ),
        (
            "note for 2026-W48: 2 commissions, 12.00",
            "nota de pagamento, semana 48 de 2026: 2 comissões, 12,00",
            "nota de pagamento, semana 48 de 2026: 2 comissões, 12,00",
            "note for week 48 of 2026: 2 commissions, 12.00",
        ),
        (
            "mobile not valid: '912' is not a telephone number of PT (clientes 12)",
            "valor inválido em telemóvel: '912' não é um número de telefone de PT (clientes 12)",
            "valor inválido em celular: '912' não é um número de telefone de PT (clientes 12)",
            "mobile not valid: '912' is not a telephone number of PT (clientes 12)",
        ),
        ("customer.first_name is empty", "sem primeiro nome", "sem primeiro nome", "customer.first_name is empty"),
        ("warranty_end is 2026-12-01", "warranty_end: 01/12/2026", "warranty_end: 1 de dez. de 2026", "warranty_end is Dec 1, 2026"),
        ("told on 2026-11-02 (M3)", "avisado em 02/11/2026 (M3)", "avisado em 2 de nov. de 2026 (M3)", "told on Nov 2, 2026 (M3)"),
        ("enters vip", "entra em vip", "entra em vip", "enters vip"),
        # a person's own words, and those of somebody else's model, are theirs
        ("asked by phone on Monday", "asked by phone on Monday", "asked by phone on Monday", "asked by phone on Monday"),
        ("no order yet", "no order yet", "no order yet", "no order yet"),
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_reasons_as_people_read_them(english: str, portugal: str, brazil: str, american: str) -> None:
    # which of the no-break spaces a locale uses is Babel's business
    told = [re.sub(r"\s", " ", reason(locale, english)) for locale in ("pt_PT", "pt_BR", "en_US")]
    assert told == [portugal, brazil, american]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((email_of, text) for text in (
            "ana", "@example.com", "ana@", "ana@example", "a na@example.com", "ana@exa mple.com", "a..na@example.com", ".ana@example.com",
            "ana.@example.com", "ana@.example.com", "ana@example.com.", "ana@example.local", "Ana <ana@example.com>", "a" * 260 + "@example.com",
            "ana@" + "a" * 70 + ".com", "ana@" + ".".join(["a" * 60] * 5) + ".com",
        )),
        *((date_of, text) for text in ("soon", "31/02/1980", "12/24/1980", "1980-13-01", "24/12/80", "24/12/1980 x", "0000-01-01")),
        *((lambda text: instant_of(text, "UTC"), text) for text in ("2026-11-20T25:00", "2026-11-20 soon")),
        *((amount_of, text) for text in ("much", "1.23.4,5", "-12-", "nan")),
        *((lambda text: mobile_of(text, "PT"), text) for text in ("12", "222345678", "9.12E+08", "+99912345")),
        (mobile_of, "912345678"),
    ],
)  # fmt: skip
def test_why_a_value_cannot_be_read_is_told_in_portuguese(read: object, value: str) -> None:
    with pytest.raises(ValueError, match=r".") as found:
        read(value)  # type: ignore[operator]
    english = f"birth_date not valid: {found.value} (clientes.csv:12)"
    told = reason("pt_PT", english)
    assert told.startswith("valor inválido em data de nascimento: "), told
    assert told.endswith(" (clientes.csv:12)")
    left = re.sub(r"'[^']*'", "", told)
    assert not re.search(r"\b(?:is|not|the|must|there|has|have|an|of|address|too|contains)\b", left), told


@pytest.mark.parametrize(
    "text", ["registered on 2026-02-31", "quiet hours until 25:99", "told on 2026-13-01 (M1)", "note for 2026-00: 2 commissions, 1.0 EUR"]
)
def test_what_only_looks_like_a_date_stays_as_it_is(text: str) -> None:
    figures = re.findall(r"\d[\d:-]+", text)
    assert all(each in reason("pt_PT", text) or each == "1.0" for each in figures[:1])


@pytest.mark.parametrize(
    "text", [" of " * 250, "(" * 999, " (a:1)" * 160, "where: " * 140, "capped: " + "1 per " * 160, "'" * 998 + "x", "x" * 100_000]
)
def test_somebody_s_strange_words_are_looked_up_in_no_time(text: str) -> None:
    started = time.process_time()
    reason("pt_PT", text)
    assert time.process_time() - started < 0.5


def test_words_of_the_program_s_own_lists_are_all_known() -> None:
    for state in MessageState:
        assert "já tem uma mensagem " in reason("pt_PT", f"already {state} on 2026-11-02 (M3)")
    for kind in MessageClass:
        assert str(kind) not in reason("pt_PT", f"capped: 2 per 7d ({kind}), 3 already")
    for when in (
        When("due"),
        When("due", 2),
        When("due", -3),
        When("previous"),
        When("previous", 5),
        *(When("event", event=each) for each in EVENTS),
    ):
        told = reason("pt_PT", f"aviso of FT 1: {when}, 2026-11-20")
        assert str(when) not in told, told
    assert {f"channel.{each}" for each in Channel} <= set(catalogue("pt_PT"))


EVENTS = ("paid", "cancelled", "renegotiated")

"""``automate models new`` (LX-35): asked on a terminal, told by arguments without one, written whole after a check or not at all."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

import libax_automate as ax
from libax_automate.cli.model_ask import complete
from libax_automate.cli.model_form import Form
from libax_automate.cli.output import Output
from libax_automate.engine.workspace import Workspace
from tests.cli.business import DAY, Business
from tests.cli.test_queue import at_terminal
from tests.conftest import Cli

NATAL = ("models", "new", "natal", "--use", "birthday", "--source", "people", "--at", "11:30", "--set", "channel=email")
TEXT = ("--set", "text=Olá {{ first_name }}")
#: records with stages and with debts, for recipes that read them
MORE = """
[apps.claims]
connector = "csv"
claims = "claims.csv"
contacts = "people.csv"

[apps.bills]
connector = "csv"
invoices = "bills.csv"
contacts = "people.csv"
"""


def table(business: Business, name: str = "natal") -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(business.profile.read_text(encoding="utf-8"))["models"][name]
    return found


def held(done: Any, business: Business, before: bytes, code: int) -> None:
    """The command refused, in words, and wrote nothing."""
    assert done.code == code, done
    assert done.out == ""
    assert business.profile.read_bytes() == before
    assert not [path for path in business.folder.iterdir() if path.name.endswith(".part")]


@pytest.fixture
def before(business: Business) -> bytes:
    """The profile as it was: with a comment at its end, and no line's end behind it."""
    content = business.profile.read_bytes() + b"# the last word"
    business.profile.write_bytes(content)
    return content


@pytest.fixture
def more(business: Business) -> Business:
    """The business with claims and invoices."""
    (business.folder / "claims.csv").write_text("id;contact;stage;stage_changed_at\n7;1;peritagem;20/12/2026\n", encoding="utf-8")
    (business.folder / "bills.csv").write_text(
        "id;number;customer;amount;balance;due;status\n1;F1;1;10;10;01/12/2026;open\n", encoding="utf-8"
    )
    with business.profile.open("a", encoding="utf-8") as file:
        file.write(MORE)
    return business


# by arguments


@pytest.mark.req("LX-35")
def test_a_model_is_added_by_arguments_and_can_be_planned_at_once(business: Business, before: bytes, cli: Cli) -> None:
    done = cli(*NATAL, *TEXT, "--weekdays", "seg-sex", "--start", "2026-12-01", "--set", "days_before=2", "--set", 'audience=["active"]')
    assert (done.code, done.err) == (0, "next: automate plan natal\n")
    content = business.profile.read_bytes()
    assert content.startswith(before + b"\n\n[models.natal]\n")
    line = before.count(b"\n") + 3
    assert done.out == f"{business.profile}:{line}: natal is added\n"
    assert [each.partition("=")[0].strip() for each in content[len(before) :].decode().splitlines()[4:]] == [
        "source", "at", "weekdays", "start", "audience", "days_before", "channel", "text",
    ]  # fmt: skip
    assert (table(business)["days_before"], table(business)["audience"]) == (2, ["active"])
    assert cli("check").code == 0
    plan = cli("plan", "natal", "--on", "2026-12-22", "--json").json
    assert "Olá Ana" in {item["text"] for item in plan["items"]}


@pytest.mark.req("LX-35", "LX-36")
@pytest.mark.parametrize(
    ("period", "keys"),
    [
        (("--at", "09:00", "--at", "15:00"), {"at": ["09:00", "15:00"]}),
        (("--cron", "30 9 * * 1"), {"cron": "30 9 * * 1"}),
        (("--every", "14d", "--start", "2026-12-07"), {"every": "14d"}),
        (("--realtime",), {"realtime": True}),
        (("--at", "09:00", "--monthdays", "1-7", "--months", "jan-jun", "--end", "2027-12-31"), {"monthdays": "1-7", "months": "jan-jun"}),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_every_period_can_be_said(business: Business, cli: Cli, period: tuple[str, ...], keys: dict[str, Any]) -> None:
    done = cli("models", "new", "ola", "--use", "welcome", "--source", "people", *period, *TEXT, "--set", "channel=email")
    # welcome needs to know since when somebody is a customer, and the file does not say: the check of the whole tells
    assert done.code == 78
    assert "created_at" in done.err
    done = cli("models", "new", "ola", "--use", "welcome", "--source", "people", *period, *TEXT, "--set", "field=birth_date")
    assert done.code == 0, done.err
    assert keys.items() <= table(business, "ola").items()


def test_what_is_missing_is_named_by_its_argument(more: Business, cli: Cli) -> None:
    before = more.profile.read_bytes()
    done = cli("models", "new", "--use", "claim-stage", "--json")
    held(done, more, before, 2)
    assert done.error["message"] == "NAME, --source, --at, --set stages=…, --set text=… are missing"
    assert "The stages at which a message leaves" in done.error["hint"]
    assert "people, claims, bills" in done.error["hint"]
    done = cli("models", "new", "x")
    held(done, more, before, 2)
    assert done.err.startswith("--use, --at are missing → --use: the recipe: billing, birthday, ")
    assert cli("models", "new", "x", "--use", "birthday", "--source", "people", "--every", "2d", *TEXT).err.startswith("--start is missing")
    assert cli("models", "new", "x", "--use", "billing", "--source", "bills", "--at", "9:00").err.startswith("--set steps=… is missing")
    groups = ("models", "new", "x", "--use", "segmentation", "--source", "people", "--at", "9:00")
    assert cli(*groups).err.startswith("--set groups=… is missing")
    assert cli(*groups, "--set", """groups={ all = "name != ''" }""", "--set", "file=groups.csv").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((*NATAL, "--set", "text=Olá {{ first_nam }}"), 78, ":11: natal: text: unknown field 'first_nam' → did you mean 'first_name'?"),
        ((*NATAL, *TEXT, "--set", "chanel=email"), 78, "unknown key 'chanel' (for birthday) → did you mean 'channel'?"),
        ((*NATAL, *TEXT, "--set", "days_before=99"), 78, "days_before: should be less than or equal to 60"),
        ((*NATAL, *TEXT, "--start", "tomorrow"), 78, "start: should be a date"),
        ((*NATAL, *TEXT, "--cron", "* * * * *"), 78, "at and cron are both given"),
        ((*NATAL, *TEXT, "--set", "text=twice"), 2, "text is given twice"),
        ((*NATAL, *TEXT, "--set", "at=10:00"), 2, "at is given twice"),
        ((*NATAL, *TEXT, "--set", "nothing"), 2, "--set 'nothing' names no key and value"),
        ((*NATAL, "--set", "text="), 78, "the message is empty (LX-52)"),
        (("models", "new", "birthday", *NATAL[3:], *TEXT), 2, "padaria has a model 'birthday' already"),
        (("models", "new", "Natal!", *NATAL[3:], *TEXT), 2, "model 'Natal!' is no name"),
        (("models", "new", "natal", "--use", "birthdy"), 5, "birthday"),
        (("models", "new", "natal", *NATAL[3:5], "--source", "peopel", "--at", "9:00", *TEXT), 78, "did you mean 'people'?"),
        (("models", "new", "sul/natal", *NATAL[3:], *TEXT), 5, "no profile is named 'sul'"),
        (("models", "new", "sul/natal", *NATAL[3:], *TEXT, "--profile", "padaria"), 2, "is not in --profile padaria"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_mistake_is_shown_and_nothing_is_written(
    business: Business, before: bytes, cli: Cli, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = cli(*arguments)
    held(done, business, before, code)
    assert said in done.err
    if code == 78:
        assert done.err.splitlines()[-1].startswith(f"{business.profile}:")
        assert cli(*arguments, "--json").error["problems"]


def test_a_file_that_is_wrong_already_gets_no_model(business: Business, before: bytes, cli: Cli) -> None:
    """What stands elsewhere in the file counts too: what is written passes ``check``."""
    wrong = before.replace(b"{{ age }}", b"{{ agee }}")
    business.profile.write_bytes(wrong)
    done = cli(*NATAL, *TEXT)
    held(done, business, wrong, 78)
    assert "unknown field 'agee'" in done.err
    business.profile.write_bytes(before.replace(b'"people.csv"', b"7"))
    assert cli(*NATAL, *TEXT).code == 78
    assert b"natal" not in business.profile.read_bytes()


def test_models_that_stand_in_one_inline_table_cannot_be_added_to(business: Business, cli: Cli) -> None:
    text = business.profile.read_text(encoding="utf-8")
    text = (
        'models = { x = { use = "birthday", source = "people", at = "9:00", text = "x", channel = "email" } }\n'
        + text[: text.index("[models")]
    )
    business.profile.write_text(text, encoding="utf-8")
    done = cli(*NATAL, *TEXT)
    held(done, business, text.encode(), 78)
    assert "not TOML" in done.err


def test_a_dry_run_shows_the_table_and_writes_nothing(business: Business, before: bytes, cli: Cli) -> None:
    done = cli(*NATAL, *TEXT, "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert business.profile.read_bytes() == before
    assert tomllib.loads(done.out)["models"]["natal"] == {
        "use": "birthday", "source": "people", "at": "11:30", "channel": "email", "text": "Olá {{ first_name }}",
    }  # fmt: skip
    answer = cli(*NATAL, *TEXT, "--dry-run", "--json").json
    assert (answer["written"], answer["table"], answer["line"]) == (False, done.out, before.count(b"\n") + 3)


def test_the_answer_for_programs(business: Business, before: bytes, cli: Cli) -> None:
    answer = cli(*NATAL[:-4], "--at", "09:30", *NATAL[-2:], *TEXT, "--json").json
    assert (answer["model"], answer["profile"], answer["use"], answer["written"]) == ("natal", "padaria", "birthday", True)
    assert any("birthday and natal fire at the same time" in text for text in answer["warnings"])
    assert business.profile.read_text(encoding="utf-8").endswith(answer["table"])
    assert cli(*NATAL, *TEXT, "--json").error["kind"] == "usage"


def test_a_read_only_file_stays_as_it_is(business: Business, before: bytes, cli: Cli) -> None:
    business.profile.chmod(0o400)
    done = cli(*NATAL, *TEXT)
    held(done, business, before, 74)
    assert "is read-only → chmod u+w" in done.err


def test_a_secret_that_was_typed_is_not_shown_again(business: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXT_OF_OURS", "s3cret-never-shown")
    done = cli(*NATAL, "--set", 'text={ env = "TEXT_OF_OURS" }', "-vv")
    assert done.code == 0, done.err
    assert table(business)["text"] == {"env": "TEXT_OF_OURS"}
    assert "s3cret" not in done.out + done.err + business.profile.read_text(encoding="utf-8")


# several profiles


@pytest.fixture
def two(business: Business) -> Callable[[], tuple[str, str]]:
    folder = business.folder / "profiles"
    folder.mkdir()
    text = business.profile.read_text(encoding="utf-8").replace('"people.csv"', '"../people.csv"')
    business.profile.unlink()
    for name in ("norte", "sul"):
        (folder / f"{name}.toml").write_text(text.replace('name = "padaria"', f'name = "{name}"'), encoding="utf-8")
        (folder / f"{name}.toml").chmod(0o600)
    return lambda: ((folder / "norte.toml").read_text(encoding="utf-8"), (folder / "sul.toml").read_text(encoding="utf-8"))


def test_of_several_profiles_one_is_named(two: Callable[[], tuple[str, str]], cli: Cli) -> None:
    norte, sul = two()
    done = cli(*NATAL, *TEXT)
    assert done.code == 2
    assert "norte/natal, sul/natal" in done.err
    done = cli("models", "new", "sul/natal", *NATAL[3:], *TEXT)
    assert (done.code, done.err) == (0, "next: automate plan sul/natal\n")
    assert cli("plan", "sul/natal", "--on", DAY).code == 0
    assert cli(*NATAL, *TEXT, "--profile", "norte").code == 0
    assert [text.count("[models.natal]") for text in two()] == [1, 1]
    assert two()[0].startswith(norte)
    assert two()[1].startswith(sul)


def test_a_mistake_in_one_clients_profile_keeps_no_model_from_another(
    business: Business, two: Callable[[], tuple[str, str]], cli: Cli
) -> None:
    (business.folder / "profiles" / "norte.toml").write_text("name = 7\n", encoding="utf-8")
    assert cli("models", "new", "sul/natal", *NATAL[3:], *TEXT).code == 0
    assert cli("models", "new", "norte/natal", *NATAL[3:], *TEXT).code == 78


# on a terminal


@pytest.mark.req("LX-35")
def test_a_person_is_asked_name_period_rules_and_message(business: Business, before: bytes, cli: Cli) -> None:
    typed = ["Natal!", "birthday", "festa", "birthday", "people", "at", "25:00", "10:45", "seg-sex", "all", "", "2026-12-01", "2027-12-31"]
    typed += [
        "bogus",
        "days",
        "99",
        "3",
        "audience",
        "active, person",
        "",
        "email",
        "Viva!",
        "Olá {{ first_name }},",
        "",
        "até já",
        ".",
        "yes",
    ]
    code, screen = at_terminal("\n".join(typed) + "\n", "models", "new")
    assert code == 0, screen
    places = [
        screen.index(word)
        for word in (
            "name of the model",
            "recipe [",
            "time of day (09:30)",
            "rules of birthday",
            "channel [",
            "a line with a dot",
            "add this",
        )
    ]
    assert places == sorted(places)
    for said in (
        "'Natal!' is no name",
        "padaria has a model 'birthday' already",
        'such as "09:30"',
        "'bogus' is none of",
        "less than or equal to 60",
    ):
        assert said in screen
    assert "(0) Days before the birthday" in screen
    assert "realtime" not in screen  # LX-41: the recipe does not offer it
    assert business.profile.read_bytes().startswith(before)
    assert table(business, "festa") == {
        "use": "birthday", "source": "people", "at": "10:45", "weekdays": "seg-sex", "start": date(2026, 12, 1),
        "end": date(2027, 12, 31), "audience": ["active", "person"], "days_before": 3, "channel": "email",
        "subject": "Viva!", "text": "Olá {{ first_name }},\n\naté já\n",
    }  # fmt: skip
    assert "next: automate plan festa" in screen
    assert cli("check").code == 0


@pytest.mark.req("LX-35", "LX-36")
def test_the_rules_differ_by_model(more: Business, cli: Cli) -> None:
    typed = ["claim-stage", "claims", "realtime", "peritagem, pago", "", "sms", "O sinistro está em {{ stage }}", ".", "yes"]
    code, screen = at_terminal("\n".join(typed) + "\n", "models", "new", "sinistro")
    assert code == 0, screen
    assert "stages, the stages at which a message leaves" in screen
    assert table(more, "sinistro") == {
        "use": "claim-stage", "source": "claims", "realtime": True, "stages": ["peritagem", "pago"], "channel": "sms",
        "text": "O sinistro está em {{ stage }}",
    }  # fmt: skip


@pytest.mark.req("LX-35")
def test_a_ladder_is_asked_step_by_step(more: Business, cli: Cli) -> None:
    typed = ["cobranca", "billing", "bills", "every", "2d", "", "2026-12-01", "", "", "email"]
    typed += ["aviso", "when", "due + 3d", "", "Aviso", "Pague {{ number }}", ".", "pendencia", "", "", "Outra vez", ".", "", ""]
    code, screen = at_terminal("\n".join(typed) + "\n", "models", "new")
    assert code == 0, screen
    found = table(more, "cobranca")
    assert (found["every"], found["at"]) == ("2d", "09:30")
    assert found["steps"] == [
        {"stage": "aviso", "when": "due + 3d", "subject": "Aviso", "text": "Pague {{ number }}"},
        {"stage": "pendencia", "text": "Outra vez"},
    ]


def test_an_app_is_named_though_another_begins_like_it(business: Business) -> None:
    with business.profile.open("a", encoding="utf-8") as file:
        file.write('\n[apps.people2]\nconnector = "csv"\ncontacts = "people.csv"\n')
    code, screen = at_terminal("people\n\n\n\nHello\n.\nyes\n", "models", "new", "natal", "--use", "birthday", "--at", "11:30")
    assert code == 0, screen
    assert table(business)["source"] == "people"


def test_a_person_is_asked_for_the_profile(business: Business, two: Callable[[], tuple[str, str]]) -> None:
    code, screen = at_terminal("sul\n", *NATAL, *TEXT)
    assert code == 0, screen
    assert [text.count("[models.natal]") for text in two()] == [0, 1]
    assert "next: automate plan sul/natal" in screen


class Locked(ax.Options):
    """Rules with a secret among them."""

    token: ax.Secret = Field(description="The key.")
    lines: tuple[str, ...] = Field((), description="Some lines.")


class Silent(ax.Model[Locked]):
    """A recipe that writes to nobody."""

    name = "silent"
    messages = False

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate]:
        """Nobody."""
        return iter(())


def test_a_secret_is_asked_for_by_the_name_of_its_variable(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('\nKEY\nlines\none, two\nl\n"a, b"\n\n'))
    with Workspace.open(cwd=business.folder) as space:
        form = Form(space, space.profiles[0], "x", {"use": "silent", "source": "people", "at": "9:00"}, recipe=Silent)
        complete(Output(), form, date(2026, 12, 1))
    assert form.table == {"use": "silent", "source": "people", "at": "9:00", "token": {"env": "KEY"}, "lines": ["a, b"]}
    assert form.complete()


def test_what_was_given_is_not_asked(business: Business, before: bytes) -> None:
    code, screen = at_terminal("", *NATAL, *TEXT)
    assert (code, "natal is added" in screen) == (0, True), screen
    assert "[" not in screen.replace("[models", "")
    code, screen = at_terminal("\n\n\n.\n\nHello\n.\nyes\n", "models", "new", "mais", *NATAL[3:])
    assert code == 0, screen
    assert table(business, "mais")["text"] == "Hello"
    assert "recipe [" not in screen
    assert "period [" not in screen


def test_whoever_leaves_or_says_no_has_changed_nothing(business: Business, before: bytes, home: Path) -> None:
    code, screen = at_terminal("\n\nHello\n.\nno\n", *NATAL)
    assert code == 0, screen
    assert "nothing is written" in screen
    assert at_terminal("natal\nbirth\n\x04", "models", "new")[0] == 130
    # what was typed is shown when the check of the whole refuses it
    code, screen = at_terminal("\n\nHello {{ nam }}\n.\n", *NATAL)
    assert code == 78
    assert "Hello {{ nam }}" in screen.partition("nothing is written")[0].rpartition("[models.natal]")[2]
    assert business.profile.read_bytes() == before

"""What holds for every command: help, JSON, exit codes, pipes, narrow and poor terminals, and no traceback."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from libax_automate.cli.root import NOUNS
from tests.cli.business import DAY, NO_BALANCE, NOW, PROFILE, Business
from tests.conftest import Cli, RunProcess


def paths() -> list[tuple[str, ...]]:
    """Every command there is: ("run",), ("queue", "list") …"""
    found: list[tuple[str, ...]] = []
    for noun, (module, _) in NOUNS.items():
        command: Any = get_command(importlib.import_module(f"libax_automate.cli.{module}").app)
        found += [(noun, verb) for verb in command.commands] if isinstance(command, TyperGroup) else [(noun,)]
    return found


ALL = paths()

#: arguments with which each command has something to say after a pass with an empty account; None = tested for itself
ARGUMENTS: dict[tuple[str, ...], tuple[str, ...] | None] = {
    ("demo",): ("demo-folder",),
    ("init",): ("init-folder",),
    ("plan",): ("birthday", "--on", DAY),
    ("run",): ("--now", f"{DAY}T10:30"),
    ("tasks", "show"): ("T1",),
    ("tasks", "retry"): ("T1",),
    ("tasks", "cancel"): ("T1",),
    ("queue", "show"): ("sms",),
    ("queue", "pause"): ("sms",),
    ("queue", "resume"): ("sms",),
    ("queue", "clear"): ("sms", "--yes"),
    ("queue", "restore"): ("B1",),
    ("errors", "show"): ("E1",),
    ("errors", "retry"): ("E1",),
    ("errors", "skip"): ("E1",),
    ("errors", "sent"): ("E1",),
    ("apps", "test"): ("mail",),
    ("apps", "templates"): None,
    ("models", "new"): ("natal", "--use", "birthday", "--source", "people", "--at", "11:30", "--set", "text=Hello {{ name }}", "--dry-run"),
    ("models", "fields"): ("birthday",),
    ("models", "enable"): ("birthday",),
    ("models", "disable"): ("birthday",),
    ("models", "run"): ("birthday", "--now", f"{DAY}T10:40"),
    ("connectors", "show"): ("csv",),
    ("models", "test"): ("birthday", "--to", "me@example.com", "--as", "1"),
    ("apply",): ("plan.json",),
    ("calendar",): ("2026-12", "--volume"),
    ("backtest",): ("birthday", "--from", DAY, "--to", DAY),
    ("documents", "show"): None,
    ("documents", "regenerate"): None,
    ("documents", "void"): None,
    ("consent", "record"): ("1", "yes"),
    ("consent", "export"): ("answers.csv",),
    ("consent", "import"): ("said.csv",),
    ("explain",): ("birthday", "1"),
    ("suppress", "add"): ("x@example.com",),
    ("suppress", "remove"): ("x@example.com",),
    ("suppress", "import"): ("stop.txt",),
    ("plugins", "new"): ("model", "quiet-customers"),
    ("db", "backup"): ("second.db",),
    ("db", "restore"): ("copy.db", "--yes"),
}
#: the exit codes of the reference
CODES = {0, 1, 2, 3, 5, 11, 65, 70, 74, 75, 78, 130, 143}


def test_every_command_of_the_reference_is_there() -> None:
    reference = """
        demo | init | check | plan | run | status | tasks list show retry cancel counter | queue list show clear pause resume restore
        | errors list show retry skip sent | apps list test templates | models list new enable disable run fields | connectors list show
        | calendar | explain | report | plugins list new | schema | doctor | db info check backup restore migrate vacuum
        | suppress list add remove import | approve | apply | backtest | models test | consent record list export import
        | documents list show regenerate void
    """
    wanted: set[tuple[str, ...]] = set()
    for line in reference.split("|"):
        noun, *verbs = line.split()
        wanted |= {(noun, verb) for verb in verbs} or {(noun,)}
    assert wanted == set(ALL)


@pytest.mark.parametrize("path", [(), *((noun,) for noun in NOUNS), *ALL], ids=" ".join)
def test_every_command_has_help_that_fits_forty_columns(
    home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    done = cli(*path, "--help")
    assert done.code == 0
    assert done.out.startswith("Usage: automate")
    # click needs some room; what it never does is run off the page
    assert max(map(len, done.out.splitlines())) <= 60
    body = done.out.split("\n\n")[1].strip()
    assert body


def test_a_nouns_line_of_help_names_its_verbs() -> None:
    for noun, (_, text) in NOUNS.items():
        verbs = [path[1] for path in ALL if path[0] == noun and len(path) > 1]
        assert all(verb in text for verb in verbs) or noun in {"connectors", "plugins"}, noun


def test_every_command_takes_the_shared_options(home: Path, cli: Cli) -> None:
    for path in ALL:
        out = cli(*path, "--help").out
        assert all(option in out for option in ("--profiles", "--profile", "--db", "--json", "--verbose")), path


@pytest.fixture
def stuck(shop: Business, cli: Cli) -> Business:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    cli("queue", "clear", "sms", "--yes")
    cli("db", "backup", "copy.db")
    (shop.folder / "stop.txt").write_text("y@example.com\n", encoding="utf-8")
    (shop.folder / "said.csv").write_text("person,answer\n1,yes\n", encoding="utf-8")
    cli("plan", "birthday", "--on", DAY, "--save", "plan.json")
    return shop


def test_every_command_answers_json_and_the_same_without(stuck: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LANG", "C")
    for path in ALL:
        arguments = ARGUMENTS.get(path, ())
        if arguments is None:
            continue
        done = cli(*path, *arguments, "--json")
        assert done.code in CODES - {1, 70}, (path, done)
        answer = done.json
        assert isinstance(answer, dict), path
        if path[-1] == "list" or path in {("plan",), ("run",), ("check",), ("doctor",), ("calendar",), ("status",)}:
            assert isinstance(answer["items"], list), path
        if path in {("demo",), ("init",), ("plugins", "new"), ("db", "backup"), ("models", "test")}:
            continue  # they write, and would find their own files
        plain = cli(*path, *arguments)
        assert plain.code in CODES - {1, 70}, (path, plain)
        assert "Traceback" not in plain.out + plain.err
        if path[-1] == "list":
            assert max(map(len, plain.out.splitlines()), default=0) <= 40 or path[0] == "plugins", (path, plain.out)


def test_shared_options_stand_before_the_noun_or_after_the_verb(shop: Business, cli: Cli) -> None:
    after = cli("queue", "list", "--json")
    assert cli("--json", "queue", "list") == after
    assert cli("--db", os.environ["AUTOMATE_DB"], "queue", "list", "--json") == after
    assert cli("queue", "list", "--json", "--profile", "padaria", "--profiles", shop.profile) == after
    assert cli("errors", "list", "--db", "elsewhere.db", "--json").json == {"items": []}


def test_a_profile_that_is_not_there(shop: Business, cli: Cli) -> None:
    done = cli("plan", "birthday", "--profile", "other", "--json")
    assert (done.code, done.error["hint"]) == (5, "there are: padaria")


def test_names_are_qualified_where_profiles_share_them(business: Business, cli: Cli) -> None:
    folder = business.folder / "profiles"
    folder.mkdir()
    text = business.profile.read_text(encoding="utf-8").replace('"people.csv"', '"../people.csv"')
    for name in ("norte", "sul"):
        (folder / f"{name}.toml").write_text(text.replace('name = "padaria"', f'name = "{name}"'), encoding="utf-8")
        (folder / f"{name}.toml").chmod(0o600)
    two = ("--profiles", str(folder))
    ambiguous = cli("plan", "birthday", *two, "--json")
    assert ambiguous.code == 2
    assert "norte/birthday" in ambiguous.error["hint"]
    assert cli("plan", "sul/birthday", "--on", DAY, *two, "--json").json["send"] == 2
    assert cli("plan", "birthday", "--profile", "norte", "--on", DAY, *two).code == 0
    assert {item["profile"] for item in cli("queue", "list", *two, "--json").json["items"]} == {"norte", "sul"}
    assert cli("suppress", "add", "x@example.com", *two).code == 2


def test_a_mistake_in_one_clients_profile_does_not_stop_another(business: Business, cli: Cli) -> None:
    folder = business.folder / "profiles"
    folder.mkdir()
    text = business.profile.read_text(encoding="utf-8").replace('"people.csv"', '"../people.csv"')
    for name, content in (("norte", text.replace('name = "padaria"', 'name = "norte"')), ("sul", "name = 7\n")):
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
        (folder / f"{name}.toml").chmod(0o600)
    assert cli("plan", "birthday", "--on", DAY, "--profiles", folder).code == 78
    assert cli("plan", "birthday", "--on", DAY, "--profiles", folder, "--profile", "norte").code == 0
    assert cli("plan", "birthday", "--on", DAY, "--profiles", folder, "--profile", "sul").code == 78


# what goes wrong


def test_a_command_line_that_makes_no_sense_is_2_in_words_and_in_json(home: Path, cli: Cli) -> None:
    for arguments in (("bogus",), ("queue", "bogus"), ("plan",), ("plan", "x", "--bogus"), ("tasks", "list", "--limit", "many")):
        done = cli(*arguments)
        assert done.code == 2
        assert done.out == ""
        assert "→" in done.err
        wrong = cli(*arguments, "--json")
        assert wrong.code == 2
        assert wrong.error["kind"] == "usage"
        assert wrong.error["hint"].startswith("see: automate")
    assert "Did you mean 'queue'?" in cli("queu").err


def test_alone_it_shows_its_help(home: Path, cli: Cli) -> None:
    done = cli()
    assert done.code == 2
    assert "Commands:" in done.out + done.err


def test_the_version(home: Path, cli: Cli) -> None:
    import libax_automate

    assert cli("--version").out == f"automate {libax_automate.__version__}\n"


def test_a_fault_of_the_program_is_70_with_a_report_and_no_secret(shop: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cret-never-shown")
    shop.write(PROFILE.replace('channels = ["sms"]', 'channels = ["sms"]\nheaders = {{ Authorization = {{ env = "KEY" }} }}'))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("it broke near s3cret-never-shown")

    monkeypatch.setattr("libax_automate.engine.plan.plan_model", broken)
    done = cli("plan", "birthday", "--json")
    assert (done.code, done.error["kind"]) == (70, "bug")
    assert "Traceback" not in done.err
    path = Path(done.error["message"].rpartition("the report is ")[2])
    assert path.parent == shop.folder / "state"
    assert path.stat().st_mode & 0o777 == 0o600
    report = path.read_text(encoding="utf-8")
    assert "RuntimeError" in report
    assert "s3cret" not in report + done.err
    loud = cli("plan", "birthday", "-vv")
    assert "Traceback" in loud.err
    assert "s3cret" not in loud.err


def test_a_reader_that_leaves_early_is_no_error(business: Business) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "libax_automate", "schema"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_letters_gets_something(business: Business, run_process: RunProcess) -> None:
    business.write(PROFILE.replace("Happy birthday", "Feliz aniversário"))
    done = run_process("plan", "birthday", "--on", DAY, PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "anivers" in done.out
    answer = run_process("plan", "birthday", "--on", DAY, "--json", PYTHONIOENCODING="ascii")
    assert answer.json["items"][0]["subject"] == "Feliz aniversário, Ana!"


def test_narrow_output_is_stacked(stuck: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = cli("queue", "list").out.splitlines()
    assert "app: sms" in lines
    assert "state: halted" in lines
    assert max(map(len, lines)) <= 40


# what start-up costs


def modules(*arguments: str) -> set[str]:
    """The top-level modules loaded at the end of a command."""
    program = (
        "import sys, io, contextlib; from libax_automate.cli.root import run\n"
        f"with contextlib.redirect_stdout(io.StringIO()): run({list(arguments)!r})\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} | {n for n in sys.modules if n.startswith('libax_automate.')}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(ast.literal_eval(done.stdout))


def test_help_imports_nothing_that_it_does_not_need(home: Path) -> None:
    loaded = modules("--help")
    heavy = {
        "httpx",
        "pyreqwest",
        "sqlite_utils",
        "sqlite3",
        "jinja2",
        "babel",
        "pydantic",
        "rich",
        "phonenumbers",
        "croniter",
        "tree_sitter",
    }
    assert loaded & heavy == set()
    assert not any(name.startswith(("libax_automate.engine", "libax_automate.plugins")) for name in loaded)


def test_a_look_at_the_queue_imports_neither_http_nor_templates(shop: Business) -> None:
    assert (
        modules("queue", "list") & {"httpx", "pyreqwest", "sqlite_utils", "jinja2", "babel", "rich", "phonenumbers", "email_validator"}
        == set()
    )


def test_help_comes_at_once(home: Path) -> None:
    """Under 300 ms of computing (U1); measured as the best of three, on whatever machine this is."""
    best = 9.0
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "libax_automate", "queue", "--help"], capture_output=True, check=True, timeout=60)
        after = os.times()
        best = min(best, after.children_user + after.children_system - before.children_user - before.children_system)
    assert best < 0.3


def test_json_is_one_object_on_one_line_where_nobody_looks(shop: Business, cli: Cli) -> None:
    out = cli("queue", "list", "--json").out
    assert out.count("\n") == 1
    json.loads(out)


def test_completion_is_offered(home: Path, run_process: RunProcess) -> None:
    done = run_process("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete" in done.out
    offered = run_process(_AUTOMATE_COMPLETE="complete_bash", COMP_WORDS="automate que", COMP_CWORD="1")
    assert offered.out.split() == ["queue"]

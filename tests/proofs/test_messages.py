"""U2: every error says what is wrong and why, and what to do; every command that a message names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import libax_automate
from libax_automate import errors
from libax_automate.cli.root import NOUNS, app
from libax_automate.testing.service import Service
from tests.cli.business import EARLY, NO_BALANCE, NOW, PROFILE, Business
from tests.conftest import Cli, Finished
from tests.figures import Figure

PACKAGE = Path(libax_automate.__file__).parent
CLASSES = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, errors.AutomateError)}


def commands() -> Mapping[str, frozenset[str]]:
    """Every noun with its verbs; a noun that is itself a command has none."""
    root: Any = get_command(app)
    found = {}
    for noun in NOUNS:
        command = root.get_command(None, noun)
        found[noun] = frozenset(getattr(command, "commands", {}))
    return found


@dataclass(frozen=True)
class Site:
    """A place where an error is made."""

    where: str
    cls: str
    message: str
    #: None where the place gives none and the class's usual one is shown
    hint: str | None


def words(node: ast.AST) -> str:
    """The literal words of an expression; a computed part is an ellipsis."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(words(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return words(left) + words(right)
        case ast.BoolOp(values=parts):
            return " | ".join(words(part) for part in parts)
        case ast.IfExp(body=one, orelse=other):
            return f"{words(one)} | {words(other)}"
    return "…"


def sites() -> Iterator[Site]:
    """All places of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in CLASSES:
                continue
            hints = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
            message = words(node.args[0]) if node.args else "…"
            where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
            yield Site(where, name, message, words(hints[0]) if hints else None)


def strange(text: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """The commands that a text names and that do not exist."""
    found = []
    for noun, verb in re.findall(r"(?:^|[`:|(,→] ?|then |or |and )automate ([a-z]+)(?: ([a-z]+))?", text):
        if noun not in known or (verb and known[noun] and verb not in known[noun]):
            found.append(f"automate {noun} {verb}".strip())
    return found


def test_every_place_that_makes_an_error_says_what_and_what_to_do(figure: Figure) -> None:
    found, known = [*sites()], commands()
    bare = [site for site in found if not site.message.strip()]
    empty = [site for site in found if site.hint is not None and not site.hint.strip()]
    wrong = [(site.where, name) for site in found for name in strange(f"{site.message} | {site.hint or ''}", known)]
    wrong += [(name, each) for name, cls in CLASSES.items() for each in strange(cls.usual_hint, known)]
    own = sum(site.hint is not None for site in found)
    figure(
        f"U2 {len(found)} places: {own} with a hint of their own, {len(found) - own} with their class's, {len(bare) + len(empty)} without, {len(wrong)} commands that do not exist"
    )
    assert len(found) > 200
    assert (bare, empty, wrong) == ([], [], [])


def test_every_class_says_what_is_usual() -> None:
    for name, cls in CLASSES.items():
        assert cls.usual_hint, name
        assert "automate " in cls.usual_hint or name in {"LockHeld", "TemporaryError"}, name
    assert errors.Transient("it is away").advice == errors.Transient.usual_hint
    assert errors.Transient("it is away", hint="look").advice == "look"


def test_every_command_named_anywhere_in_the_program_exists(figure: Figure) -> None:
    known, named, wrong = commands(), 0, []
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.po")]):
        text = path.read_text(encoding="utf-8")
        for noun, verb in re.findall(r"[`→:\"(] ?automate ([a-z]+)(?: ([a-z]+))?", text):
            if noun not in known:
                # a word after the program's name in a sentence is no command
                continue
            named += 1
            if verb and known[noun] and verb not in known[noun] and verb not in {"and", "or", "then", "to", "again"}:
                wrong.append(f"{path.name}: automate {noun} {verb}")
    figure(f"U2 {named} commands named in texts, {len(wrong)} do not exist")
    assert named > 50
    assert wrong == []


@pytest.fixture
def shop(home: Path, automate_service: Service, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Business:
    """A small business after its first pass."""
    monkeypatch.setenv("AUTOMATE_DB", str(home / "state" / "automate.db"))
    business = Business(home, automate_service).write()
    assert cli("run", "--now", EARLY).code == 0
    return business


#: what an error line looks like: what is wrong, then what to do
LINE = re.compile(r"^(?P<what>.+?) → (?P<todo>.+)$")

#: command lines that go wrong, and how they end
WRONG = {
    "nonsense": 2, "run --nonsense": 2, "run --now yesterday": 2, "run --model nobody": 5, "run --loop --model birthday": 2, "plan": 2, "plan nobody": 5,
    "plan birthday --on 2026-13-45": 2, "explain birthday 99": 5, "explain nobody 1": 5, "tasks show T999": 5, "tasks show X1": 2, "tasks retry T999": 5,
    "tasks cancel T999": 5, "queue show nobody": 5, "queue show M999": 5, "queue pause nobody": 5, "queue resume nobody": 5, "queue restore B999": 5,
    "queue restore nonsense": 2, "queue clear nobody": 5, "queue clear --error E999 --retry --yes": 5, "errors show E999": 5, "errors retry E999": 5, "errors skip E999": 5,
    "errors sent E999": 5, "errors show M1": 2, "apps test nobody": 5, "apps templates nobody": 5, "models enable nobody": 5, "models disable nobody": 5, "models run nobody": 5,
    "models fields nobody": 5, "connectors show nobody": 5, "calendar 2026-13": 2, "calendar nonsense": 2, "report --week nonsense": 2, "suppress import missing.txt": None,
    "suppress add": 2, "plugins new": 2, "plugins new nonsense x": None, "db backup": 2, "db restore missing.db": 5, "db vacuum --older-than nonsense": 2,
    "check --profiles missing.toml": 78, "check --profile nobody": 5, "run --db /dev/null/x": 74, "status --profiles people.csv": 78, "init profiles.toml": None,
}  # fmt: skip


def one_of_ours(done: Finished, known: Mapping[str, frozenset[str]], what: str) -> list[str]:
    """What is wrong with how a command ended badly."""
    wrong = []
    if "Traceback" in done.err or "fault of the program" in done.err:
        wrong.append(f"{what}: a crash: {done.err[-200:]}")
    if done.out:
        wrong.append(f"{what}: an answer on stdout")
    for line in done.err.strip().splitlines():
        match = LINE.match(line)
        if match is None:
            wrong.append(f"{what}: no 'what → what to do': {line}")
        else:
            wrong += [f"{what}: {name} does not exist" for name in strange(line, known)]
    return wrong or ([f"{what}: silence"] if not done.err.strip() else [])


def test_every_provoked_error_says_what_and_what_to_do(shop: Business, cli: Cli, figure: Figure) -> None:
    known, wrong, cases = commands(), list[str](), 0
    for line, code in WRONG.items():
        arguments = line.split()
        done = cli(*arguments)
        cases += 1
        wrong += one_of_ours(done, known, line)
        if done.code == 0 or (code is not None and done.code != code):
            wrong.append(f"{line}: exit {done.code}, not {code}")
        told = cli(*arguments, "--json")
        error = told.error
        cases += 1
        if told.out or error["code"] != done.code or not error["message"] or not error["hint"] or not error["kind"]:
            wrong.append(f"{line} --json: {told}")
    figure(f"U2 {cases} provoked errors, {len(wrong)} without what, why or what to do")
    assert wrong == []


def test_every_finding_in_a_profile_has_a_place_and_something_to_do(shop: Business, cli: Cli, figure: Figure) -> None:
    text = PROFILE.format(url=shop.gateway.url)
    wrong, cases, known = list[str](), 0, commands()
    faults = [
        (line, f"{line.split('=')[0]}= {value}")
        for line in text.splitlines()
        if " = " in line
        for value in ("3.5", '"???"', "[]", "{}", "")
    ]
    faults += [(line, f"x{line}") for line in text.splitlines() if " = " in line] + [
        (line, "[[[") for line in text.splitlines() if line.startswith("[")
    ]
    place = re.compile(rf"^{re.escape(str(shop.profile))}:\d+:\d+: ")
    for before, after in faults:
        shop.profile.write_text(text.replace(before, after, 1), encoding="utf-8")
        done = cli("check")
        if done.code == 0 or done.code == 3:
            continue
        cases += 1
        if done.code != 78:
            wrong.append(f"{after}: exit {done.code}")
        for line in done.err.strip().splitlines():
            if not place.match(line):
                wrong.append(f"{after}: no place: {line}")
            elif LINE.match(line) is None:
                wrong.append(f"{after}: nothing to do: {line}")
            wrong += strange(line, known)
    figure(f"U2 {cases} broken profiles: {len(wrong)} findings without file:line:col or what to do")
    assert cases > 100
    assert wrong == []


def test_every_open_error_carries_what_to_do(shop: Business, cli: Cli) -> None:
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    (error,) = cli("errors", "list", "--json").json["items"]
    assert error["hint"]
    assert strange(error["hint"], commands()) == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_no_error_ends_a_command_without_a_way_on(name: str, shop: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    error = (
        errors.UnknownField("x")
        if name == "UnknownField"
        else errors.EmptyValue("x")
        if name == "EmptyValue"
        else CLASSES[name]("it went wrong")
    )
    monkeypatch.setattr("libax_automate.engine.run.run_pass", lambda *_, **__: (_ for _ in ()).throw(error))
    done = cli("run")
    assert done.code == CLASSES[name].exit_code
    assert one_of_ours(done, commands(), name) == []

"""U1: what programs rely on: every command answers JSON that fits its stored schema, with an exit code of the table, without a terminal.

The schemas are ``tests/schemas/NOUN[-VERB].json``. They may grow by optional keys; ``SCHEMAS=write`` writes those that are missing from what
the commands answer, to be looked at before they are committed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from libax_automate.testing.service import Service
from tests.cli.business import DAY, EARLY, NO_BALANCE, NOW, Business
from tests.cli.test_surface import ALL, ARGUMENTS, CODES
from tests.conftest import Cli, RunProcess
from tests.figures import Figure

SCHEMAS = Path(__file__).parent.parent / "schemas"
WRITE = os.environ.get("SCHEMAS") == "write"
#: answers whose keys are not ours: the schema of profiles is tested as a schema
OWN = {("schema",)}
SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def schema_of(answer: Any) -> dict[str, Any]:
    """A schema for an answer: its keys are promised, more may come; any single value may be missing (null)."""
    if isinstance(answer, dict):
        keys = sorted(answer)
        return {"type": "object", "required": keys, "properties": {key: schema_of(answer[key]) for key in keys}}
    if isinstance(answer, list):
        kinds = [schema_of(each) for each in answer]
        shared = [kind for kind in kinds if kind.get("type") == "object"]
        if shared and len(shared) == len(kinds):
            # rows may differ: what all have is promised
            required = sorted(set.intersection(*(set(kind["required"]) for kind in shared)))
            merged = {key: kind["properties"][key] for kind in reversed(shared) for key in kind["properties"]}
            return {"type": "array", "items": {"type": "object", "required": required, "properties": merged}}
        return {"type": "array"}
    if answer is None:
        return {"type": ["string", "number", "boolean", "null"]}
    kind = SCALARS[type(answer)]
    return {"type": ["number" if kind == "integer" else kind, "null"]}


@pytest.fixture
def stuck(home: Path, automate_service: Service, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Business:
    """A business whose gateway's account is empty, with a batch to restore and a backup."""
    monkeypatch.setenv("AUTOMATE_DB", str(home / "state" / "automate.db"))
    shop = Business(home, automate_service).write()
    assert cli("run", "--now", EARLY).code == 0
    shop.answers(NO_BALANCE)
    cli("run", "--now", NOW)
    cli("queue", "clear", "sms", "--yes")
    cli("db", "backup", "copy.db")
    (shop.folder / "stop.txt").write_text("y@example.com\n", encoding="utf-8")
    (shop.folder / "said.csv").write_text("person,answer\n1,yes\n", encoding="utf-8")
    cli("plan", "birthday", "--on", DAY, "--save", "plan.json")
    return shop


def test_every_answer_fits_its_stored_schema(stuck: Business, cli: Cli, figure: Figure) -> None:
    wrong, missing, untried, fits = list[str](), list[str](), list[str](), 0
    for path in ALL:
        arguments = ARGUMENTS.get(path, ())
        if arguments is None:
            continue
        done = cli(*path, *arguments, "--json")
        name = "-".join(path)
        file = SCHEMAS / f"{name}.json"
        if done.code == 2 and path not in ARGUMENTS and not file.exists():
            untried.append(name)  # needs arguments that nobody has named yet
            continue
        if done.code not in CODES - {1, 70}:
            wrong.append(f"{name}: exit {done.code} {done.err[:200]}")
            continue
        answer = done.json
        if path in OWN:
            Draft202012Validator.check_schema(answer)
            fits += 1
            continue
        if not file.exists() and WRITE:
            SCHEMAS.mkdir(exist_ok=True)
            file.write_text(json.dumps(schema_of(answer), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        if not file.exists():
            missing.append(name)
            continue
        problems = [
            f"{name}: {'.'.join(map(str, each.path))}: {each.message}"
            for each in Draft202012Validator(json.loads(file.read_text(encoding="utf-8"))).iter_errors(answer)
        ]
        wrong += problems
        fits += not problems
    figure(
        f"U1 {fits} of {len(ALL)} commands fit their schema; {len(wrong)} do not, {len(missing)} have none, {len(untried)} without sample arguments: {', '.join(missing + untried)}"
    )
    assert wrong == []
    assert missing == [], "look at what SCHEMAS=write writes, then commit it"


def test_every_stored_schema_belongs_to_a_command_and_can_fail() -> None:
    names = {"-".join(path) for path in ALL}
    for file in SCHEMAS.glob("*.json"):
        assert file.stem in names, f"{file.name}: no such command any more; its JSON was promised"
        schema = json.loads(file.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert list(Draft202012Validator(schema).iter_errors([])), file.name
        if schema["required"]:
            assert list(Draft202012Validator(schema).iter_errors({})), file.name


def test_no_colour_and_no_control_characters_where_nobody_looks(
    stuck: Business, cli: Cli, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    for name, value in (("NO_COLOR", "1"), ("COLUMNS", "40"), ("LANG", "C"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    wrong, seen = list[str](), 0
    for path in ALL:
        arguments = ARGUMENTS.get(path, ())
        if arguments is None or path in {("demo",), ("init",), ("plugins", "new"), ("db", "backup")}:
            continue
        done = cli(*path, *arguments)
        seen += 1
        if done.code not in CODES - {1, 70}:
            wrong.append(f"{path}: exit {done.code}")
        if "\x1b" in done.out + done.err:
            wrong.append(f"{path}: colours")
    figure(f"U1 {seen} commands without a terminal, NO_COLOR, LANG=C, 40 columns: {len(wrong)} wrong")
    assert wrong == []


@pytest.mark.parametrize(
    "command",
    [("queue", "list"), ("errors", "list", "--json"), ("status",), ("check",), ("plan", "birthday", "--on", "2026-12-24")],
    ids=" ".join,
)
def test_in_a_process_of_its_own_without_a_locale(stuck: Business, run_process: RunProcess, command: tuple[str, ...]) -> None:
    done = run_process(*command, LANG="C", LC_ALL="C", NO_COLOR="1", COLUMNS="40", PYTHONUTF8="0")
    assert done.code in CODES - {1, 70}, done
    assert "Traceback" not in done.err
    assert "\x1b" not in done.out + done.err

"""The JSON Schema that editors get: it accepts what loading accepts, and refuses the common faults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from libax_automate.engine.profile import profile_schema
from libax_automate.plugins.catalogue import Catalogue
from tests.engine.profile_plugins import GOOD, Plugins
from tests.engine.test_profile_load import FULL


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return profile_schema(Plugins())


def _as_editors_see_it(value: Any) -> Any:
    """TOML's dates and times are strings to a JSON Schema."""
    if isinstance(value, Mapping):
        return {key: _as_editors_see_it(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_editors_see_it(item) for item in value]
    return value.isoformat() if isinstance(value, (date, time)) else value


def _accepted(schema: dict[str, Any], text: str) -> bool:
    data = _as_editors_see_it(tomllib.loads(text))
    verdicts = {validator(schema).is_valid(data) for validator in (jsonschema.Draft202012Validator, jsonschema.Draft7Validator)}
    assert len(verdicts) == 1, "the two drafts disagree"
    return bool(verdicts.pop())


def test_it_is_a_valid_schema_in_both_drafts(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("text", [GOOD, FULL, ""], ids=["good", "full", "empty"])
def test_it_accepts_what_loads(schema: dict[str, Any], text: str) -> None:
    assert _accepted(schema, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "padaria"', 'nome = "padaria"'),
        ('name = "padaria"', 'name = "Padaria"'),
        ('connector = "rows"', 'connector = "row"'),
        ('connector = "rows"', ""),
        ('contacts = "clientes.csv"', 'contact = "clientes.csv"'),
        ('contacts = "clientes.csv"', ""),
        ('{ env = "KEY" }', '{ envv = "KEY" }'),
        ('{ env = "KEY" }', '{ env = "KEY", file = "x" }'),
        ('{ env = "KEY" }', '"k"\nport = "x"'),
        ('use = "birthday"', 'use = "birth"'),
        ('use = "birthday"', 'use = "birthday"\nwekdays = "1-5"'),
        ('at = "09:30"', 'at = "09:30"\nchannel = "mail"'),
        ('at = "09:30"', 'at = "09:30"\naudience = ["actve"]'),
        ('at = "09:30"', 'at = "09:30"\nlate = "never"'),
        ('at = "09:30"', "at = 9"),
        ('at = "09:30"', 'at = "09:30"\nsteps = [{ text = "x" }]'),
    ],
)  # fmt: skip
def test_it_refuses_common_faults(schema: dict[str, Any], old: str, new: str) -> None:
    assert old in GOOD
    assert not _accepted(schema, GOOD.replace(old, new))


def test_options_and_keys_carry_their_descriptions(schema: dict[str, Any]) -> None:
    gate = schema["$defs"]["connector-gate"]
    assert gate["title"] == "A gateway"
    assert gate["properties"]["api_key"]["description"] == "The account's key."
    assert gate["properties"]["rate"]["description"].startswith("Pace")
    assert gate["required"] == ["api_key", "connector"]


def test_each_key_of_the_profile_is_described(schema: dict[str, Any]) -> None:
    models = schema["$defs"]["use-welcome"]["properties"]
    for table in (schema["properties"], schema["properties"]["defaults"]["properties"], models, schema["$defs"]["step"]["properties"]):
        assert [key for key, value in table.items() if "description" not in value] == []


def test_the_installed_plugins_make_a_valid_schema() -> None:
    schema = profile_schema(Catalogue())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert _accepted(schema, '[apps.x]\nconnector = "csv"\ncontacts = "a.csv"\ninvoices = "b.csv"')
    assert not _accepted(schema, '[apps.x]\nconnector = "folder"\npth = "a"')


@pytest.mark.parametrize("name", ["profiles.example.toml", "examples/padaria/profiles.toml"])
def test_the_published_examples_fit_the_schema(name: str) -> None:
    assert _accepted(profile_schema(Catalogue()), (Path(__file__).parents[2] / name).read_text("utf-8"))

"""What ``check --connect`` finds out about templates kept at a provider (LX-74, LX-79, IB-06)."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from libax_automate.engine.check import Finding, check_profile
from libax_automate.engine.profile import load_profiles
from libax_automate.engine.workspace import Workspace
from libax_automate.plugins.catalogue import Catalogue
from tests.cli.business import CUSTOMERS

PROFILE = """\
name = "padaria"
timezone = "Europe/Lisbon"

[defaults]
email = "gallery"

[apps.people]
connector = "csv"
contacts = "people.csv"

[apps.gallery]
connector = "gallery"

[models.birthday]
use = "birthday"
source = "people"
at = "09:30"
template = "{template}"
vars = {vars}
audience = ["person"]
{more}
"""


def findings(
    folder: Path,
    template: str,
    variables: str = '["first_name", "age"]',
    *,
    connect: bool = True,
    customers: str = CUSTOMERS,
    more: str = "",
) -> list[Finding]:
    """What check says of a model that uses ``template``."""
    path = folder / "profiles.toml"
    path.write_text(PROFILE.format(template=template, vars=variables, more=more), encoding="utf-8")
    path.chmod(0o600)
    (folder / "people.csv").write_text(customers, encoding="utf-8")
    points = [*entry_points(group="libax_automate"), EntryPoint("gallery", "tests.cli.gallery", "libax_automate")]
    catalogue = Catalogue(points, environ={})
    profiles = load_profiles([path], catalogue, {})
    with Workspace(profiles, folder / "automate.db", catalogue) as space:
        return check_profile(space, profiles[0], connect=connect)


def test_a_template_that_fits_is_fine(tmp_path: Path) -> None:
    assert findings(tmp_path, "12") == []


def test_a_template_is_named_by_its_id_for_that_is_what_is_sent(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "birthday")
    assert found.problem.hint == 'write its id: template = "12"'


@pytest.mark.parametrize(
    ("template", "variables", "line", "what"),
    [
        ("brithday", "[]", 18, "has no template 'brithday'"),
        ("13", "[]", 18, "is not active"),
        ("12", '["first_name"]', 19, "wants 2 values (first_name, age), not 1"),
        ("14", '["first_nam"]', 19, "unknown field 'first_nam'"),
        ("12", '["age", "first_name"]', 19, "takes its values in another order: first_name, age"),
    ],
)
def test_a_template_that_does_not_is_named_with_its_place(tmp_path: Path, template: str, variables: str, line: int, what: str) -> None:
    found = findings(tmp_path, template, variables)
    assert len(found) == 1
    assert not found[0].warning
    assert what in found[0].problem.what
    assert found[0].problem.line == line


def test_a_misspelt_template_has_a_guess(tmp_path: Path) -> None:
    assert findings(tmp_path, "brithday", "[]")[0].problem.hint == "did you mean 'birthday'? write its id: template = \"12\""


def test_without_connect_nobody_is_asked(tmp_path: Path) -> None:
    assert findings(tmp_path, "brithday", "[]", connect=False) == []


@pytest.mark.req("IC-09")
def test_values_in_another_order_come_with_the_right_one(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "12", '["#age#,#first_name#"]')
    assert found.problem.hint == 'vars = ["#first_name#", "#age#"]'


def test_names_that_mean_nothing_to_the_template_are_not_judged_by_their_order(tmp_path: Path) -> None:
    assert findings(tmp_path, "12", '["first_name", "birth_date"]') == []


def test_named_values_are_held_against_the_templates_names(tmp_path: Path) -> None:
    found = findings(tmp_path, "12", "[]", more='params = { firstname = "{{ first_name }}", age = "{{ age }}", years = "{{ age }}" }')
    assert [(each.warning, each.problem.line) for each in found] == [(False, 21), (True, 21), (True, 21)]
    assert "wants a value for 'first_name', and params has none" in found[0].problem.what
    assert found[0].problem.hint == "'firstname' should be 'first_name'"
    assert "has no variable 'years'" in found[2].problem.what


@pytest.mark.req("PR-31")
def test_an_sms_template_is_measured_with_its_values_in_the_providers_text(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "15", more='channel = "sms"\nvia = "gallery"')
    assert found.warning
    assert "its longest SMS is 169 characters, 2 segments (GSM-7), to 2, more than 160" in found.problem.what
    assert found.problem.line == 18


def test_values_whose_variables_are_numbered_are_counted_and_not_named(tmp_path: Path) -> None:
    found = [each for each in findings(tmp_path, "15", '["first_name"]', more='channel = "sms"\nvia = "gallery"') if not each.warning]
    assert ["wants 2 values (1, 2), not 1" in each.problem.what for each in found] == [True]

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
"""


def findings(folder: Path, template: str, variables: str = '["first_name", "age"]', *, connect: bool = True) -> list[Finding]:
    """What check says of a model that uses ``template``."""
    path = folder / "profiles.toml"
    path.write_text(PROFILE.format(template=template, vars=variables), encoding="utf-8")
    path.chmod(0o600)
    (folder / "people.csv").write_text(CUSTOMERS, encoding="utf-8")
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

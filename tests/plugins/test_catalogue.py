"""The catalogue lists every plugin, loads one by one, and no plugin can take another down."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest

from libax_automate.errors import PluginError
from libax_automate.plugins.catalogue import Catalogue

GOOD = """
from libax_automate import Sender, Options, Receipt, Email, hookimpl

class Good(Sender[Options, Email]):
    name = "{name}"

    def send(self, message):
        return Receipt()

@hookimpl
def automate_connectors():
    return [Good]
"""

MODEL = """
from libax_automate import Model, Options, hookimpl

class Quiet(Model[Options]):
    name = "{name}"

    def plan(self, run):
        return iter(())

@hookimpl
def automate_models():
    return [Quiet]
"""

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of installed packages that Python imports from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def install(site: Path, request: pytest.FixtureRequest) -> Install:
    """Install a one-module distribution with one entry point, as pip would leave it on disk."""

    def _install(name: str, source: str, *, package: str = "", module: str = "", version: str = "1.2") -> None:
        package = package or f"libax-connector-{name}"
        module = module or f"{package.replace('-', '_')}_{abs(hash(request.node.nodeid))}"
        (site / f"{module}.py").write_text(source.replace("{name}", name), encoding="utf-8")
        info = site / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[libax_automate]\n{name} = {module}\n", encoding="utf-8")

    return _install


def catalogue(site: Path, **environ: str) -> Catalogue:
    points = [point for found in distributions(path=[str(site)]) for point in found.entry_points if point.group == "libax_automate"]
    return Catalogue(points, environ=environ)


def test_a_connector_and_a_model_are_found_by_name(site: Path, install: Install) -> None:
    install("postbox", GOOD)
    install("quiet", MODEL, package="libax-model-quiet")
    installed = catalogue(site)
    assert installed.connector("postbox").name == "postbox"
    assert installed.model("quiet").name == "quiet"
    assert installed.names("connector") == ("postbox",)
    assert installed.names("model") == ("quiet",)
    assert [(e.name, e.kind, e.distribution, e.version) for e in installed.entries()] == [
        ("postbox", "connector", "libax-connector-postbox", "1.2"),
        ("quiet", "model", "libax-model-quiet", "1.2"),
    ]


def test_an_unknown_name_says_what_was_meant_and_what_is_installed(site: Path, install: Install) -> None:
    install("postbox", GOOD)
    install("quiet", MODEL, package="libax-model-quiet")
    with pytest.raises(PluginError, match=r"no connector 'postbx' is installed. Did you mean 'postbox'\? Installed: postbox →"):
        catalogue(site).connector("postbx")
    with pytest.raises(PluginError, match="pip install libax-connector-brevo"):
        catalogue(site).connector("brevo")
    with pytest.raises(PluginError, match="automate models list"):
        catalogue(site).model("brevo")
    with pytest.raises(PluginError, match="'quiet' is a model, not a connector"):
        catalogue(site).connector("quiet")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import surely_not_installed_anywhere\n", "ModuleNotFoundError: No module named 'surely_not_installed_anywhere'"),
        ("import sys\nsys.exit('no licence')\n", "SystemExit: no licence"),
        ("class Own(BaseException): pass\nraise Own('odd')\n", "Own: odd"),
        ("raise RuntimeError('cannot reach https://ana:hunter2hunter2@example.com/x')\n", r"https://\*\*\*@example.com"),
        ("x = 1\n", "implements neither automate_connectors nor automate_models"),
        (GOOD.replace("automate_connectors", "automate_conectors"), "automate_conectors"),
        (GOOD.replace('"{name}"', '"other"'), "listed as 'bad' but offers 'other'"),
        (GOOD.replace("return [Good]", "return [Good"), "SyntaxError"),
        (GOOD.replace("return [Good]", "return None"), "TypeError"),
        (GOOD.replace("return [Good]", "return 1 / 0"), "ZeroDivisionError"),
        (GOOD.replace("return [Good]", "return ['Good']"), "class name and entry point must agree"),
        (GOOD.replace("def send(", "def post("), "Good does not define send"),
        (MODEL.replace("def plan(", "def plans("), "Quiet does not define plan"),
        (GOOD.replace("automate_connectors", "automate_models"), "is no Model class"),
        (GOOD.replace("automate_connectors()", "automate_connectors(app)"), "PluginValidationError"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_harms_no_other(site: Path, install: Install, source: str, reason: str) -> None:
    install("bad", source)
    install("postbox", GOOD)
    installed = catalogue(site)
    bad, good = installed.entries()
    assert (bad.kind, bad.cls) == ("broken", None)
    assert good.kind == "connector"
    with pytest.raises(PluginError, match=reason) as caught:
        installed.connector("bad")
    assert "libax-connector-bad 1.2" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in bad.error
    assert installed.connector("postbox").name == "postbox"


def test_the_reason_shows_no_secret_of_the_environment(site: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "k-123456789")
    install("bad", "import os\nraise RuntimeError('refused ' + os.environ['SHOP_API_KEY'])\n")
    assert catalogue(site).entries()[0].error == "RuntimeError: refused ***"


def test_using_one_plugin_imports_no_other(site: Path, install: Install) -> None:
    install("postbox", GOOD)
    install("bad", "raise SystemError('imported')\n", module="never_imported_here")
    catalogue(site).connector("postbox")
    assert "never_imported_here" not in sys.modules
    assert catalogue(site).names() == ("bad", "postbox")
    assert "never_imported_here" not in sys.modules


def test_two_packages_with_one_name_are_both_named_and_neither_is_used(site: Path, install: Install) -> None:
    install("postbox", GOOD)
    install("postbox", GOOD, package="their-postbox", version="9.0")
    installed = catalogue(site)
    with pytest.raises(PluginError) as caught:
        installed.connector("postbox")
    assert "libax-connector-postbox 1.2" in caught.value.message
    assert "their-postbox 9.0" in caught.value.message
    assert [entry.kind for entry in installed.entries()] == ["broken", "broken"]


def test_a_plugin_can_be_blocked_by_name(site: Path, install: Install) -> None:
    install("postbox", "raise RuntimeError('imported')\n")
    installed = catalogue(site, AUTOMATE_DISABLE_PLUGINS="other, postbox")
    assert installed.entries()[0].error == "disabled by AUTOMATE_DISABLE_PLUGINS"
    with pytest.raises(PluginError, match="take 'postbox' out of AUTOMATE_DISABLE_PLUGINS"):
        installed.connector("postbox")


def test_what_a_plugin_prints_at_import_stays_off_stdout(site: Path, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("postbox", "print('hello')\n" + GOOD)
    catalogue(site).connector("postbox")
    assert capsys.readouterr().out == ""


def test_a_plugin_may_be_an_object_in_a_module_and_one_module_may_serve_many_names(site: Path, install: Install) -> None:
    both = GOOD + GOOD.replace("class Good", "class Other").replace("{name}", "parcel").replace("[Good]", "[Other, Good]")
    install("postbox", both, module="both_in_one_module")
    install("parcel", "from both_in_one_module import *\nfrom both_in_one_module import automate_connectors\n")
    installed = catalogue(site)
    assert {installed.connector(name).name for name in ("postbox", "parcel")} == {"postbox", "parcel"}


def test_the_installed_csv_source_loads_without_the_mail_connector() -> None:
    """Start-up is a feature: one connector costs one connector."""
    code = (
        "import sys; from libax_automate.plugins.catalogue import default_catalogue as c\n"
        "assert c() is c(); assert c().connector('csv').name == 'csv'\n"
        "assert not {'libax_automate.plugins.smtp', 'httpx', 'jinja2', 'sqlite_utils'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_loaded_to_list_names() -> None:
    code = (
        "import sys; from libax_automate.plugins.catalogue import Catalogue\n"
        "assert 'csv' in Catalogue().names(); assert not {'pydantic', 'pluggy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

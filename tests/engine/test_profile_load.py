"""Profiles without fault: what is written arrives typed, resolved and defaulted."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path
from typing import cast

import pytest

from libax_automate.engine.profile import load_profiles
from libax_automate.engine.spec import Activation, InDoubt, OnRecipientError, Quiet, Rate
from libax_automate.errors import ProfileError
from libax_automate.message import Channel
from libax_automate.model import Late
from tests.engine.profile_plugins import GOOD, SECRET, GateOptions, Loading, Plugins

FULL = """\
name = "padaria-central"
timezone = "Europe/Lisbon"
locale = "pt-PT"
notify = "admin@example.com"
report = "seg 08:00"
activation = "immediate"

[defaults]
email = "gate"
sms = "gate"
quiet = "21:00-09:00"
send_weekdays = "1-5"
free_plan_sender = "noreply@example.com"
reply_to = "geral@example.com"

[apps.gestao]
connector = "rows"
contacts = "clientes.csv"
fields = { file = "Ficheiro" }

[apps.gate]
connector = "gate"
api_key = { env = "KEY" }
headers = { Authorization = { env = "KEY" }, env = "prod" }
rate = "100/min"
concurrency = 2
in_doubt = "assume-sent"
on_recipient_error = "skip"
allow_private = ["10.1.2.3/32", "10.2.0.0/16", "192.168.1.1", "fd00::/8"]

[apps.gancho]
connector = "hook"
url = "https://example.com/hook"

[models.aniversario]
use = "birthday"
days = 1
source = "gestao"
at = ["15:00", "09:30", 09:30:00]
weekdays = "seg-sex"
monthdays = "1-15"
months = "jan-jun"
start = 2026-12-01
end = "2027-12-31"
audience = ["active", "person", "no-mobile", "all"]
where = "city == 'Porto'"
channel = "email"
template = 12
vars = "first_name"
params = { AGE = "{{ age }}", N = 3 }
reply_to = "geral@example.com"
cc = ["a@example.com"]
max_chars = 160
activity = false
late = "all"
late_limit = "2d"
expires = "1d"
once = true
quiet = "12:00-14:00"
send_weekdays = "all"

[models.novos]
use = "welcome"
source = "gestao"
realtime = true
webhook = "gancho"
enabled = false

[models.cobranca]
use = "birthday"
source = "gestao"
every = "14d"
start = 2026-12-01
[[models.cobranca.steps]]
stage = "aviso"
when = "due + 2d"
text = "Olá"
[[models.cobranca.steps]]
name = "corte"
stage = "suspensão"
channel = "sms"
template = "corte"
"""


@pytest.fixture
def load(tmp_path: Path) -> Loading:
    return Loading(tmp_path)


def test_every_key_arrives(load: Loading) -> None:
    profile = load(FULL)
    assert (profile.name, str(profile.timezone), profile.locale, profile.country) == ("padaria-central", "Europe/Lisbon", "pt_PT", "PT")
    assert profile.notify == ("admin@example.com",)
    assert profile.report == (1, time(8))
    assert profile.activation is Activation.IMMEDIATE
    assert profile.folder == load.folder
    assert profile.warnings == ()
    defaults = profile.defaults
    assert defaults.apps == {Channel.EMAIL: "gate", Channel.SMS: "gate"}
    assert (defaults.quiet, defaults.send_weekdays) == (Quiet(time(21), time(9)), frozenset({1, 2, 3, 4, 5}))
    assert (defaults.free_plan_sender, defaults.reply_to) == ("noreply@example.com", "geral@example.com")

    gate = profile.apps["gate"]
    options = cast("GateOptions", gate.options)
    assert options.api_key.get_secret_value() == SECRET
    assert options.headers == {"Authorization": SECRET, "env": "prod"}
    assert (gate.rate, gate.concurrency, gate.window) == (Rate(100, 60), 2, 8)
    assert (gate.in_doubt, gate.on_recipient_error) == (InDoubt.ASSUME_SENT, OnRecipientError.SKIP)
    assert gate.allow_private == ("10.1.2.3/32", "10.2.0.0/16", "192.168.1.1/32", "fd00::/8")
    assert (gate.line, gate.column) == (21, 1)
    assert profile.apps["gestao"].options.model_dump()["fields"] == {"file": "Ficheiro"}

    model = profile.models["aniversario"]
    assert model.options.model_dump() == {"days": 1}
    schedule = model.schedule
    assert schedule.at == (time(9, 30), time(15))
    assert (schedule.weekdays, schedule.monthdays, schedule.months) == (
        frozenset(range(1, 6)),
        frozenset(range(1, 16)),
        frozenset(range(1, 7)),
    )
    assert (schedule.start, schedule.end) == (date(2026, 12, 1), date(2027, 12, 31))
    assert model.audience == ("active", "person", "no-mobile")
    assert (model.where, model.channel, model.once) == ("city == 'Porto'", Channel.EMAIL, True)
    assert (model.late, model.late_limit, model.expires) == (Late.ALL, timedelta(2), "1d")
    assert (model.quiet, model.send_weekdays) == (Quiet(time(12), time(14)), frozenset(range(1, 8)))
    wording = model.wording
    assert (wording.template, wording.vars, wording.params) == ("12", ("first_name",), {"AGE": "{{ age }}", "N": "3"})
    assert (wording.cc, wording.max_chars, wording.reply_to) == (("a@example.com",), 160, "geral@example.com")
    assert (model.line, model.column) == (35, 1)

    assert (profile.models["novos"].webhook, profile.models["novos"].schedule.realtime, profile.models["novos"].enabled) == (
        "gancho",
        True,
        False,
    )
    first, second = profile.models["cobranca"].steps
    assert (first.name, first.options, first.wording.text) == ("aviso", {"when": "due + 2d"}, "Olá")
    assert (second.name, second.options, second.channel, second.wording.template) == ("corte", {"stage": "suspensão"}, Channel.SMS, "corte")


def test_what_is_left_out_comes_from_the_connector_and_the_file_name(load: Loading) -> None:
    profile = load(GOOD.replace('name = "padaria"\n', ""), name="loja-7.toml")
    assert profile.name == "loja-7"
    assert profile.activation is Activation.NEXT_DAY
    gate = profile.apps["gate"]
    assert (gate.rate, gate.concurrency, gate.window) == (Rate(10, 1), 3, 12)
    assert load('timezone = "UTC"\n[apps.w]\nconnector = "hook"\nurl = "https://example.com"').apps["w"].window == 1


def test_loading_a_faultless_profile_needs_neither_tree_sitter_nor_babel_nor_croniter(tmp_path: Path) -> None:
    import subprocess
    import sys

    Loading(tmp_path).write(GOOD)
    script = (
        "import sys; from pathlib import Path; from libax_automate.engine.profile import load_profiles\n"
        "from tests.engine.profile_plugins import Plugins\n"
        f"load_profiles([Path({str(tmp_path / 'profiles.toml')!r})], Plugins(), {{'KEY': 'x' * 9}})\n"
        "print([name for name in ('tree_sitter', 'babel', 'croniter', 'httpx', 'jinja2', 'jsonschema') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_texts_may_come_from_files_beside_the_profile(load: Loading) -> None:
    (load.folder / "ola.txt").write_text("Olá {{ first_name }}\n")
    assert (
        load(GOOD.replace('text = "Olá (#FirstName#)"', 'text_file = "ola.txt"')).models["aniversario"].wording.text
        == "Olá {{ first_name }}\n"
    )
    for bad, why in (
        ('text_file = "none.txt"', "does not exist"),
        ('text_file = "../x.txt"', "outside"),
        ('text_file = "."', "not a regular"),
        ('text = "x"\ntext_file = "ola.txt"', "both given"),
    ):
        assert why in load.problem(GOOD.replace('text = "Olá (#FirstName#)"', bad))


def test_apps_share_a_credential_if_connector_secret_and_account_are_the_same(load: Loading) -> None:
    def gate(name: str, more: str = "", key: str = '{ env = "KEY" }') -> str:
        return f'[apps.{name}]\nconnector = "gate"\napi_key = {key}\n{more}\n'

    apps = load(
        GOOD + gate("same", 'sender = "other@example.com"') + gate("literal", key=f'"{SECRET}"')
        + gate("host", 'base_url = "https://eu.example.com"') + gate("key", key='"another-key-0043"')
    ).apps  # fmt: skip
    assert apps["gestao"].credential == ""
    assert apps["gate"].credential == apps["same"].credential == apps["literal"].credential
    assert len({apps[name].credential for name in ("gate", "host", "key")}) == 3
    assert SECRET not in apps["gate"].credential
    assert SECRET not in repr(apps)
    assert apps["gate"].credential not in repr(apps)


def test_several_files_are_several_profiles_with_names_of_their_own(load: Loading) -> None:
    one = load.write(GOOD, "one.toml")
    two = load.write(GOOD.replace("padaria", "talho"), "two.toml")
    assert [profile.name for profile in load_profiles([one, two], Plugins(), load.environ)] == ["padaria", "talho"]
    load.write("# mine\n" + GOOD, "two.toml")
    with pytest.raises(ProfileError) as caught:
        load_profiles([one, two], Plugins(), load.environ)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line, problem.column) == (str(two), 2, 1)
    assert "one.toml" in problem.what


def test_oddities_are_warnings_with_a_place(load: Loading) -> None:
    text = GOOD.replace('at = "09:30"\n', "").replace('timezone = "Europe/Lisbon"\n', "")
    warnings = load(text).warnings
    assert [warning.removeprefix(f"{load.folder / 'profiles.toml'}:").split(" ")[0] for warning in warnings] == ["1:1:", "15:1:"]
    assert "UTC" in warnings[0]
    assert "automate models run aniversario" in warnings[1]
    (warning,) = load(GOOD.replace('at = "09:30"', 'cron = "0 9 1 * 1"')).warnings
    assert " OR " in warning
    assert ":19:8:" in warning


def test_a_byte_order_mark_and_windows_line_ends_are_fine(load: Loading) -> None:
    assert load(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()).name == "padaria"

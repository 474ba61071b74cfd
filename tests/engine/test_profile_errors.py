"""Profiles with faults: all of them at once, each with its line and column and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libax_automate.engine.profile import load_profiles
from libax_automate.errors import ProfileError
from tests.engine.profile_plugins import GOOD, SECRET, Loading, Plugins


@pytest.fixture
def load(tmp_path: Path) -> Loading:
    return Loading(tmp_path)


#: what to put in place of what, and how the finding then begins and what it says
CHANGES = [
    ('name = "padaria"', 'name = "Padaria Central"', "1:8: ", "'padaria-central'"),
    ('name = "padaria"', "name = 7", "1:8: ", "should be a text"),
    ('name = "padaria"', 'nome = "padaria"', "1:1: unknown key 'nome'", "did you mean 'name'?"),
    ("Europe/Lisbon", "Lisbon", "2:12: ", "did you mean 'Europe/Lisbon'?"),
    ("Europe/Lisbon", "Europe/Lisbn", "2:12: ", "did you mean 'Europe/Lisbon'?"),
    ("Europe/Lisbon", "Europe", "2:12: ", "no time zone"),
    ("Europe/Lisbon", "../../etc/passwd", "2:12: ", "no time zone"),
    ("pt_PT", "pt_XX", "3:10: ", "did you mean pt_BR or pt_PT?"),
    ("pt_PT", "portuguese", "3:10: ", "no locale"),
    ('locale = "pt_PT"', 'country = "Portugal"', "3:11: ", "did you mean 'PT'?"),
    ('locale = "pt_PT"', 'notify = ["admin"]', "3:10: ", "e-mail address"),
    ('locale = "pt_PT"', 'report = "someday"', "3:10: ", "did you mean 'sunday'?"),
    ('locale = "pt_PT"', 'activation = "nextday"', "3:14: ", "did you mean 'next-day'?"),
    ('email = "gate"', 'e_mail = "gate"', "6:1: unknown key 'e_mail'", "did you mean 'email'?"),
    ('email = "gate"', 'email = "gat"', "6:9: there is no app 'gat'", "did you mean 'gate'?"),
    ('email = "gate"', 'email = "gestao"', "6:9: 'gestao' (rows) sends nothing", "known: gate"),
    ('email = "gate"', 'whatsapp = "gate"', "6:12: 'gate' (gate) does not send whatsapp", ""),
    ('email = "gate"', 'quiet = "21-9"', "6:9: quiet: ", '"HH:MM"'),
    ("[apps.gestao]", "[app.gestao]", "8:1: unknown key 'app'", "did you mean 'apps'?"),
    ('connector = "rows"', 'connector = "row"', "9:13: no connector 'row' is installed", "installed: gate"),
    ('connector = "rows"', "", "8:1: 'connector' is missing", "add connector = …"),
    ('contacts = "clientes.csv"', 'contact = "clientes.csv"', "10:1: unknown key 'contact' (for rows)", "did you mean 'contacts'?"),
    ('contacts = "clientes.csv"', 'contacts = "c"\nfields = { a = 3 }', "11:16: fields.a: should be a valid string", ""),
    ('connector = "gate"', 'connector = "gate"\nrat = "1/s"', "14:1: unknown key 'rat' (for gate)", "did you mean 'rate'?"),
    ('connector = "gate"', 'connector = "gate"\nrate = "1"', "14:8: rate: '1' is no pace", "10/s"),
    ('connector = "gate"', 'connector = "gate"\nrate = 10', "14:8: rate: ", "10/s"),
    ('connector = "gate"', 'connector = "gate"\nconcurrency = 0', "14:15: concurrency: should be greater than or equal to 1", ""),
    ('connector = "gate"', 'connector = "gate"\nin_doubt = "send"', "14:12: in_doubt: 'send' is none of hold", ""),
    ('connector = "gate"', 'connector = "gate"\nport = "x"', "14:8: port: should be a valid integer", ""),
    ('connector = "gate"', 'connector = "gate"\nallow_private = ["0.0.0.0/0"]', "14:17: ", "beyond private addresses"),
    ('connector = "gate"', 'connector = "gate"\nallow_private = ["10.0.0.0/7"]', "14:17: ", "beyond private addresses"),
    ('connector = "gate"', 'connector = "gate"\nallow_private = ["::/0"]', "14:17: ", "beyond private addresses"),
    ('connector = "gate"', 'connector = "gate"\nallow_private = ["169.254.169.254"]', "14:17: ", "beyond private addresses"),
    ('connector = "gate"', 'connector = "gate"\nallow_private = ["::ffff:10.0.0.1/128"]', "14:17: ", "beyond private addresses"),
    ('connector = "gate"', 'connector = "gate"\nallow_private = ["10.1.2.3/8"]', "14:17: ", '"10.0.0.0/8", or "10.1.2.3/32"'),
    ('connector = "gate"', 'connector = "gate"\nallow_private = "10.0.0.0/8"', "14:17: ", "list of address ranges"),
    ("[models.aniversario]", "[models.Aniversario]", "16:1: model 'Aniversario' is no name", "'aniversario'"),
    ('use = "birthday"', 'use = "birthdays"', "17:7: no model 'birthdays' is installed", "birthday"),
    ('use = "birthday"', 'use = "birthday"\ndays = "one"', "18:8: days: should be a valid integer", ""),
    ('use = "birthday"', 'use = "birthday"\nday = 1', "18:1: unknown key 'day' (for birthday)", "did you mean 'days'?"),
    ('use = "birthday"', 'use = "birthday"\nwekdays = "1-5"', "18:1: unknown key 'wekdays' (for birthday)", "did you mean 'weekdays'?"),
    ('source = "gestao"', 'source = "gestão"', "18:10: there is no app 'gestão'", "did you mean 'gestao'?"),
    ('source = "gestao"', 'source = "gate"', "18:10: 'gate' (gate) has no records", "known: gestao"),
    ('source = "gestao"', "", "16:1: source is missing", "known: gestao"),
    ('at = "09:30"', 'at = "9:30 am"', "19:6: at: ", '"HH:MM"'),
    ('at = "09:30"', 'at = "09:30"\nweekdays = "seg-sez"', "20:12: weekdays: 'sez' is no weekday", ""),
    ('at = "09:30"', 'at = "09:30"\ncron = "0 9 * * *"', "20:1: at and cron are both given", ""),
    ('at = "09:30"', 'cron = "0 0 31 2 *"', "19:8: ", ""),
    ('at = "09:30"', 'cron = "61 * * * *"', "19:8: ", ""),
    ('at = "09:30"', "realtime = true", "19:12: birthday cannot run in real time (LX-41)", ""),
    ('at = "09:30"', 'every = "14d"', "19:1: every counts from start", "add start ="),
    ('at = "09:30"', 'every = "often"\nstart = 2026-12-01', "19:9: ", "span"),
    ('at = "09:30"', 'at = "09:30"\nstart = 2026-12-02\nend = 2026-12-01', "21:7: end 2026-12-01 is before start 2026-12-02", ""),
    ('at = "09:30"', 'at = "09:30"\nstart = 2026-12-02T10:00:00', "20:9: start: should be a date without a time", ""),
    ('at = "09:30"', 'at = "09:30"\nstart = 20261202', "20:9: start: should be a date", ""),
    ('at = "09:30"', 'at = "09:30"\naudience = ["actve"]', "20:12: audience: 'actve' is no audience", "did you mean 'active'?"),
    ('at = "09:30"', 'at = "09:30"\naudience = ["active", "inactive"]', "20:12: ", "leave nobody"),
    ('at = "09:30"', 'at = "09:30"\nchannel = "mail"', "20:11: channel: 'mail' is none of email", "did you mean 'email'?"),
    ('at = "09:30"', 'at = "09:30"\nchannel = "sms"', "20:11: no app sends sms", "[defaults]"),
    ('at = "09:30"', 'at = "09:30"\nvia = "brevo"', "20:7: there is no app 'brevo'", "known: gate"),
    ('at = "09:30"', 'at = "09:30"\nwebhook = "gate"', "20:11: 'gate' (gate) is no webhook app", ""),
    ('at = "09:30"', 'at = "09:30"\nlate = "never"', "20:8: late: 'never' is none of skip, once, all", ""),
    ('at = "09:30"', 'at = "09:30"\nexpires = "soon"', "20:11: expires: 'soon' is no span of time", ""),
    ('at = "09:30"', 'at = "09:30"\nactivity = true', "20:12: 'gestao' takes no activities (LX-55)", ""),
    ('at = "09:30"', 'at = "09:30"\nenabled = "maybe"', "20:11: enabled: should be a valid boolean", ""),
    ('at = "09:30"', 'at = "09:30"\nsteps = 3', "20:1: steps should be a list of tables", "[[models.aniversario.steps]]"),
    ('at = "09:30"', 'at = "09:30"\nsteps = [{}]', "20:10: the step has no name", "stage"),
    ('at = "09:30"', 'at = "09:30"\nsteps = [{name="a"},{name="a"}]', "20:21: two steps are called 'a'", ""),
    ('at = "09:30"', 'at = "09:30"\nsteps = [{name="a", via="x"}]', "20:25: there is no app 'x'", ""),
    ('text = "Olá (#FirstName#)"', "", "16:1: the message is missing (LX-52)", "text = …"),
    ('text = "Olá (#FirstName#)"', 'text = ""', "20:8: the message is empty (LX-52)", ""),
    ('text = "Olá (#FirstName#)"', "text = []", "20:8: text: should be a valid string", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "start", "says"), CHANGES, ids=[f"{change[1][-40:]}" for change in CHANGES])
def test_one_fault_is_one_finding_at_its_place(load: Loading, old: str, new: str, start: str, says: str) -> None:
    assert old in GOOD
    # what depends on the broken part may be said as well; the fault itself is said at its place
    found = [str(problem).removeprefix(f"{load.folder / 'profiles.toml'}:") for problem in load.problems(GOOD.replace(old, new, 1))]
    assert [line for line in found if line.startswith(start) and says in line], "\n".join(found)


def test_a_fault_of_one_app_is_not_blamed_on_the_models_that_use_it(load: Loading) -> None:
    assert load.problem(GOOD.replace('connector = "rows"', 'connector = "row"')).startswith("9:13: no connector")
    assert load.problem(GOOD.replace('contacts = "clientes.csv"', "contacts = 3")).startswith("10:12: contacts:")
    assert load.problem(GOOD.replace('env = "KEY"', 'env = "NONE"')).startswith("14:11: the environment has no variable 'NONE'")


def test_all_faults_of_all_files_come_at_once_in_order(load: Loading) -> None:
    one = (
        GOOD.replace("padaria", "Padaria")
        .replace("Europe/Lisbon", "Lisbon")
        .replace('"rows"', '"row"')
        .replace("09:30", "0930")
        .replace('"gestao"', '"q"')
    )
    paths = [load.write(one, "one.toml"), load.write("= 3", "two.toml"), load.folder / "three.toml"]
    with pytest.raises(ProfileError) as caught:
        load_profiles(paths, Plugins(), load.environ)
    places = [(Path(problem.path).name, problem.line) for problem in caught.value.problems]
    assert places == [
        ("one.toml", 1),
        ("one.toml", 2),
        ("one.toml", 9),
        ("one.toml", 18),
        ("one.toml", 19),
        ("two.toml", 1),
        ("three.toml", 1),
    ]
    assert len(str(caught.value).splitlines()) == 7
    assert "7 problems" in caught.value.message


def test_places_count_characters_and_follow_dotted_quoted_and_inline_keys(load: Loading) -> None:
    text = """\
        timezone = "UTC"
        "nõtify" = { x = [ 1, 2 ] } # é
        apps.r = { connector = "rows", contacts = "ç", conection = 1 }
        models."b".use = "birthday"
        models.b.source = "r"
        models.b.at = "x"
        models.b.text = "é"

        [apps.'s']
        connector = "rows" # a comment
        contacts = 5  # another
        [apps.s.fields]
        a = [ "é", { b = 1 } ]
        """
    assert [(problem.line, problem.column) for problem in load.problems(text)] == [(2, 1), (3, 48), (6, 15), (11, 12), (13, 5)]


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (b"name = padaria", "1:8", "quotes"),
        (b'name = "a"\nname = "b"', "2:11", "overwrite"),
        (b'name = "a', "1:10", "ends here"),
        (b'a = 1\nb = "\xe3o"', "2:6", "UTF-8"),
        ("# é\n# \u00e7 ".encode() + b"\xff", "2:5", "UTF-8"),
        (b"a = 1\nb = \0", "2:5", "not TOML"),
        (b'name = "a\\u0000b"', "1:8", "NUL"),
        (b"a = " + b"9" * 5000, "1:5", "digits"),
        (b"a = 0x" + b"f" * 5000, "1:5", "too large"),
        (b"a = nan", "1:5", "finite"),
        (b"a = [-inf]", "1:6", "finite"),
        (b"a = " + b"[" * 5000, "1:1", "deep"),
        (b"a = " + b"[" * 100 + b"]" * 100, "1:1", "deep"),
        (b".".join([b"a"] * 3000) + b" = 1", "1:1", "deep"),
        (b"a.b = 1\n" * 2, "2:8", "overwrite"),
        (b"\xff\xfe" + "name = 'a'".encode("utf-16-le"), "1:1", "UTF-8"),
        (b"#" * ((1 << 20) + 1), "1:1", "larger"),
    ],
)  # fmt: skip
def test_what_is_no_toml_is_one_finding_at_its_place(load: Loading, text: bytes, place: str, says: str) -> None:
    found = load.problem(text)
    assert found.startswith(f"{place}: ")
    assert says in found


def test_an_empty_file_is_a_profile_that_does_nothing(load: Loading) -> None:
    profile = load("")
    assert (profile.name, profile.apps, profile.models) == ("profiles", {}, {})
    assert "UTC" in profile.warnings[0]


def test_a_file_that_is_no_file_is_a_finding(load: Loading) -> None:
    import os

    os.mkfifo(load.folder / "pipe.toml")
    for name, why in (("pipe.toml", "regular"), (".", "regular"), ("none.toml", "exist"), ("a\0b", "path")):
        with pytest.raises(ProfileError) as caught:
            load_profiles([load.folder / name], Plugins(), {})
        assert why in str(caught.value)


def test_a_file_that_others_can_write_is_refused(load: Loading) -> None:
    (problem,) = load.problems(GOOD, mode=0o664)
    assert re.search(r"mode 0664.*chmod go-w profiles.toml", str(problem))
    assert load(GOOD, mode=0o644).warnings == ()


def test_a_plugin_whose_own_check_breaks_is_named_and_not_fatal(load: Loading) -> None:
    found = load.problem(f'timezone = "UTC"\n[apps.x]\nconnector = "fragile"\nwhat = "{SECRET}"\n')
    assert found.startswith("2:1: fragile cannot check its options: KeyError")
    assert SECRET not in found


def test_a_recipe_without_messages_needs_no_text_and_a_webhook_model_neither(load: Loading) -> None:
    hook = '[apps.hook]\nconnector = "hook"\nurl = "https://example.com"\n'
    load(GOOD.replace('"birthday"', '"groups"').replace('text = "Olá (#FirstName#)"', ""))
    load(GOOD.replace('text = "Olá (#FirstName#)"', 'webhook = "hook"') + hook)


def test_thousands_of_faults_are_cut_short_and_counted(load: Loading) -> None:
    problems = load.problems('timezone = "UTC"\n' + "".join(f"k{number} = 1\n" for number in range(3000)))
    assert len(problems) == 501
    assert problems[-1].what == "and 2500 more"
    warnings = load('[apps.gestao]\nconnector = "rows"\ncontacts = "c"\n' + "".join(
        f'[models.m{number}]\nuse = "groups"\nsource = "gestao"\n' for number in range(600)
    )).warnings  # fmt: skip
    assert len(warnings) == 501

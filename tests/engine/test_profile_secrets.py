"""Secrets by reference: resolved, kept shut, and in no finding, warning or repr."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libax_automate.engine.redact import secrets_of
from libax_automate.errors import ProfileError
from libax_automate.testing.service import Reply, Service
from tests.engine.profile_plugins import GOOD, SECRET, Loading
from tests.harness.world import World

KEY = '{ env = "KEY" }'


@pytest.fixture
def load(tmp_path: Path) -> Loading:
    return Loading(tmp_path)


def _opened(load: Loading, reference: str) -> str:
    options = load(GOOD.replace(KEY, reference)).apps["gate"].options
    return str(options.api_key.get_secret_value())  # type: ignore[attr-defined]  # GateOptions


def _secret_file(path: Path, content: str | bytes = f"{SECRET}\n", mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def test_each_kind_of_reference_leads_to_the_value(load: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _opened(load, KEY) == SECRET
    _secret_file(load.folder / "key.secret")
    assert _opened(load, '{ file = "key.secret" }') == SECRET
    assert _opened(load, f'{{ file = "{load.folder}/key.secret" }}') == SECRET
    _secret_file(load.folder / "run" / "api", f"{SECRET}\n\n")
    load.environ["CREDENTIALS_DIRECTORY"] = str(load.folder / "run")
    assert _opened(load, '{ credential = "api" }') == SECRET + "\n"  # one line end goes, no more


def test_a_reference_may_stand_for_any_value(load: Loading) -> None:
    load.environ |= {"ZONE": "America/Sao_Paulo", "PORT": "8443", "AT": "10:15", "RATE": "5/s", "ON": "false"}
    profile = load(
        GOOD.replace('"Europe/Lisbon"', '{ env = "ZONE" }')
        .replace('"09:30"', '{ env = "AT" }\nenabled = { env = "ON" }')
        .replace(KEY, KEY + '\nport = { env = "PORT" }\nrate = { env = "RATE" }\ntokens = [{ env = "KEY" }]')
    )
    assert str(profile.timezone) == "America/Sao_Paulo"
    assert profile.models["aniversario"].schedule.at[0].minute == 15
    assert profile.models["aniversario"].enabled is False
    assert profile.apps["gate"].rate is not None
    assert profile.apps["gate"].options.model_dump()["port"] == 8443


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ('{ env = "NONE" }', "the environment has no variable 'NONE'"),
        ('{ env = "EMPTY" }', "is empty"),
        ('{ env = "" }', "the environment has no variable"),
        ('{ file = "none" }', "the file 'none' does not exist"),
        ('{ file = "." }', "is not a regular file"),
        ('{ file = "a\\u0001b" }', "does not exist"),
        ('{ file = "empty" }', "is empty"),
        ('{ file = "latin" }', "is not UTF-8"),
        ('{ file = "large" }', "is larger"),
        ('{ file = "open" }', "group or others can write"),
        ('{ credential = "x" }', "$CREDENTIALS_DIRECTORY is not set"),
        ('{ keyring = "service" }', "is no keyring entry"),
        ('{ envv = "KEY" }', "should be a valid string"),
        ('{ env = "KEY", file = "x" }', "should be a valid string"),
        ("12345678", "should be a valid string"),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_is_one_finding_at_its_place(load: Loading, reference: str, says: str) -> None:
    load.environ["EMPTY"] = ""
    for name, content, mode in (
        ("empty", b"\n", 0o600),
        ("latin", b"\xe7\xe3o", 0o600),
        ("large", b"x" * 70_000, 0o600),
        ("open", b"abcdefgh", 0o660),
    ):
        _secret_file(load.folder / name, content, mode)
    found = load.problem(GOOD.replace(KEY, reference))
    assert found.startswith("14:11: ")
    assert says in found
    assert "12345678" not in found


@pytest.mark.parametrize("name", ["../api", "/etc/passwd", "..", "."])
def test_a_credential_never_leaves_its_folder(load: Loading, name: str) -> None:
    load.environ["CREDENTIALS_DIRECTORY"] = str(load.folder)
    assert "is no credential name" in load.problem(GOOD.replace(KEY, f'{{ credential = "{name}" }}'))


def test_the_keyring_is_asked_by_service_and_user(load: Loading) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            if service == "locked":
                raise RuntimeError(SECRET)
            return SECRET if (service, username) == ("example.com/api", "ana") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise RuntimeError

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())  # type: ignore[no-untyped-call]  # keyring's own __init__
    try:
        assert _opened(load, '{ keyring = "example.com/api/ana" }') == SECRET
        assert "has no entry" in load.problem(GOOD.replace(KEY, '{ keyring = "example.com/bob" }'))
        found = load.problem(GOOD.replace(KEY, '{ keyring = "locked/ana" }'))
        assert "cannot be asked (RuntimeError)" in found
        assert SECRET not in found
    finally:
        keyring.set_keyring(before)


def test_without_the_keyring_package_the_finding_names_the_extra(load: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'libax_automate[keyring]'" in load.problem(GOOD.replace(KEY, '{ keyring = "a/b" }'))


def test_a_secret_written_into_a_file_that_others_can_read_is_warned_of(load: Loading) -> None:
    literal = GOOD.replace(KEY, f'"{SECRET}"\ntokens = ["{SECRET}", {KEY}]')
    assert load(literal).warnings == ()
    one, two = load(literal, mode=0o640).warnings
    assert ":14:11: api_key is a secret" in one
    assert ":15:11: tokens is a secret" in two
    assert "chmod 600 profiles.toml" in one
    assert SECRET not in one + two
    assert load(GOOD, mode=0o644).warnings == ()


def test_a_secret_file_that_everybody_can_read_is_warned_of(load: Loading) -> None:
    _secret_file(load.folder / "key.secret", mode=0o644)
    (warning,) = load(GOOD.replace(KEY, '{ file = "key.secret" }')).warnings
    assert "everybody on this machine can read 'key.secret' (mode 0644)" in warning
    assert "chmod 600 key.secret" in warning


@pytest.mark.parametrize("secret", ["abcde", "ab", "x"])
@pytest.mark.parametrize("literal", [True, False])
def test_no_finding_holds_a_secret_even_where_a_plugins_own_check_quotes_it(load: Loading, secret: str, literal: bool) -> None:
    load.environ["KEY"] = secret
    found = load.problem(GOOD.replace(KEY, f'"{secret}"' if literal else KEY))
    assert ": api_key: *** is too short → write another value" in found


def test_secrets_of_a_profile_are_its_secret_options_and_what_came_by_reference(load: Loading) -> None:
    load.environ |= {"TOKEN": "token-in-a-header", "ZONE": "UTC", "HOOK": "https://example.com/hook/T0KEN"}
    profile = load(
        GOOD.replace('"Europe/Lisbon"', '{ env = "ZONE" }')
        .replace(KEY, KEY + '\nheaders = { Authorization = { env = "TOKEN" } }\ntokens = ["one-more"]')
        .replace('at = "09:30"', 'at = "09:30"\nextra = { pin = { env = "TOKEN" } }\nsteps = [{ name = "a", code = { env = "HOOK" } }]')
    )
    assert secrets_of(profile) == {SECRET, "token-in-a-header", "one-more", "https://example.com/hook/T0KEN"}
    assert SECRET not in repr(profile.apps["gate"].options.model_dump(exclude={"headers"}))


def test_a_syntax_error_does_not_quote_its_line(load: Loading) -> None:
    for broken in (f"api_key = {SECRET}", f'api_key = "{SECRET}', f'x = "{SECRET}" "{SECRET}"', f"{SECRET} = ["):
        with pytest.raises(ProfileError) as caught:
            load(broken)
        assert SECRET not in str(caught.value)
        assert SECRET not in caught.value.message


@pytest.mark.parametrize("value", ["k-{{ message.to }}", "k-{% if %}-{{", "{{ message.nope }}", "(#FirstName#)-0123"])
def test_a_secret_that_looks_like_a_template_goes_out_as_it_is(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the profile's author wrote is compiled; beside it his own templates go on working."""
    monkeypatch.setenv("GATEWAY_KEY", value)
    reference = '{ env = "GATEWAY_KEY" }'
    with Service(default=Reply(200, {"id": "g1"})) as gateway:
        sms = f'headers = {{ X-Api-Key = {reference}, X-To = "{{{{ message.to }}}}" }}\nquery = {{ token = {reference}, n = "{{{{ message.id }}}}" }}'
        world = World(tmp_path, gateway.url, count=1, sms=sms)
        world.change('json = { id = "{{ message.id }}",', f'json = {{ key = {reference}, id = "{{{{ message.id }}}}",')
        world.run()
        assert world.states() == {"sent": 1}
        (request,) = gateway.requests
        assert (request.headers["x-api-key"], request.json()["key"], request.query["token"]) == (value, value, [value])
        assert (request.headers["x-to"], request.json()["to"], request.query["n"]) == ("+351910000001", "+351910000001", ["M1"])
        with world.space() as space:
            assert value not in space.redactor.text(f"said {value}")

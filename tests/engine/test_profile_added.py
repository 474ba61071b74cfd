"""A model added to a profile's file: any value survives it, every byte of the rest stays, and a write that fails leaves the old file."""

from __future__ import annotations

import datetime as dt
import math
import os
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libax_automate.engine.profile.added import content_of, grown, model_text, takes_text, value_of, write_grown
from libax_automate.engine.profile.build import load_profiles, profile_within
from libax_automate.engine.profile.keys import ModelKeys
from libax_automate.engine.profile.secrets import KINDS
from libax_automate.engine.spec import Profile
from libax_automate.errors import StoreError, TemporaryError, UsageError
from libax_automate.plugins.catalogue import Catalogue

PROFILE = """\
# the baker's
name     = "padaria"   # not the first
timezone = "Europe/Lisbon"

[apps.people]
connector = "csv"
contacts = "people.csv"

[apps.out]
connector = "folder"
path = "out"
"""
TABLE = {"use": "birthday", "source": "people", "at": "09:30", "via": "out", "channel": "email", "text": "Olá {{ name }}"}

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
SCALARS = (
    TEXT
    | st.text(alphabet="\"'\\\n\r\t #=[]{}a", max_size=12)
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
)
# { env = "X" } is no table but a reference
KEYS = TEXT.filter(lambda key: key not in KINDS)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


def written(folder: Path, text: str | bytes = PROFILE) -> Profile:
    path = folder / "profiles.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    (profile,) = load_profiles([path], Catalogue(), {})
    return profile


def same(one: Any, other: Any) -> bool:
    """Equality that tells True from 1, and 1 from 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


# what is written is what was meant


@example(table={"text": "a\r\nb\n", "html": '\n"""\\\n', "extra": [{"a": "\r\n"}]}, crlf=True)
@given(table=st.dictionaries(TEXT, VALUES, max_size=4), crlf=st.booleans())
def test_any_value_survives_the_way_through_the_file(table: dict[str, Any], crlf: bool) -> None:
    before = PROFILE.replace("\n", "\r\n").encode() if crlf else PROFILE.encode()
    after, line = grown(before, model_text("natal", table))
    assert after.startswith(before)
    assert same(tomllib.loads(after.decode())["models"]["natal"], table)
    assert after.splitlines()[line - 1] == b"[models.natal]"


@given(extra=st.dictionaries(st.text("abcxyz ", min_size=1), VALUES, max_size=3), text=TEXT.filter(str.strip))
def test_any_option_value_reaches_the_model_that_is_loaded(extra: dict[str, Any], text: str) -> None:
    """Through the loader too: ``extra`` takes any value, ``text`` any text."""
    path = Path(__file__)  # only its mode is looked at
    table = {**TABLE, "text": text, "extra": extra}
    content, _ = grown(PROFILE.encode(), model_text("natal", table))
    profile = profile_within(path, content, Catalogue(), {})
    wording = profile.models["natal"].wording
    assert wording.text == text
    assert same(dict(wording.extra), extra)


def test_steps_are_tables_of_their_own() -> None:
    steps = [{"stage": "aviso", "text": "um\ndois\n"}, {"stage": "baixa", "params": {"a b": "c"}}]
    text = model_text("cobranca", {"steps": steps, "use": "billing"})
    assert text.count("[[models.cobranca.steps]]") == 2
    assert tomllib.loads(text)["models"]["cobranca"] == {"use": "billing", "steps": steps}


def test_what_is_no_text_or_no_toml_is_refused_in_words() -> None:
    for value in ("\ud800", object(), None):
        with pytest.raises(UsageError) as caught:
            model_text("natal", {"text": value})
        assert caught.value.hint


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("email", "channel", "email"),
        ("true", "activity", True),
        ("[1, 2]", "weekdays", [1, 2]),
        ('["active", "person"]', "audience", ["active", "person"]),
        ("2026-12-01", "start", dt.date(2026, 12, 1)),
        ("2026-12-01", "text", "2026-12-01"),
        ("12", "text", "12"),
        ("12", "max_chars", 12),
        ("12", "subject", "12"),
        ('"12"', "text", "12"),
        ('{ env = "TEXT" }', "text", {"env": "TEXT"}),
        ("{ a = 1 }", "text", "{ a = 1 }"),
        ("", "text", ""),
        ("Olá {{ name or 'x' }}", "text", "Olá {{ name or 'x' }}"),
        ("1\nuse = 'x'", "max_chars", "1\nuse = 'x'"),
        ("[" * 5000, "extra", "[" * 5000),
    ],
)
def test_a_typed_value_is_toml_where_it_is_and_else_a_text(typed: str, key: str, value: Any) -> None:
    assert same(value_of(typed, ModelKeys.model_fields[key].annotation), value)


def test_only_plain_texts_take_no_number() -> None:
    assert {key for key in ("text", "subject", "where", "via", "template") if takes_text(ModelKeys.model_fields[key].annotation)} == {
        "text", "subject", "where", "via", "template",
    }  # fmt: skip
    assert not any(takes_text(ModelKeys.model_fields[key].annotation) for key in ("vars", "params", "at", "start", "once", "extra"))


# the file keeps what it holds


@pytest.mark.parametrize(
    "before",
    [
        PROFILE.encode(),
        PROFILE.removesuffix("\n").encode(),
        PROFILE.replace("\n", "\r\n").encode(),
        PROFILE.replace("\n", "\r\n").removesuffix("\r\n").encode(),
        b"\xef\xbb\xbf" + PROFILE.encode(),
        (PROFILE + "\n\n# caf\u00e9: the end, with a comment and no line's end").encode(),
        (PROFILE + '[defaults]\nreply_to = """\r\n"""').encode(),
    ],
    ids=["lf", "lf-open", "crlf", "crlf-open", "bom", "comment-open", "mixed"],
)
def test_every_byte_that_was_there_stays(tmp_path: Path, before: bytes) -> None:
    profile = written(tmp_path, before)
    after, line = grown(before, model_text("natal", {**TABLE, "text": "um\ndois\n"}))
    write_grown(profile, before, after)
    content = profile.path.read_bytes()
    assert content.startswith(before)
    added = content[len(before) :]
    assert (b"\r\n" in added) == (before.count(b"\r\n") > 5)
    assert added.count(b"\n") == added.count(b"\r\n") or b"\r\n" not in added
    (loaded,) = load_profiles([profile.path], Catalogue(), {})
    assert loaded.models["natal"].wording.text == "um\ndois\n"
    assert loaded.models["natal"].line == line


def test_an_empty_file_begins_with_the_table() -> None:
    assert grown(b"", "[models.x]\n") == (b"[models.x]\n", 1)
    assert grown(b"\xef\xbb\xbf", "[models.x]\n") == (b"\xef\xbb\xbf[models.x]\n", 1)


def test_mode_owner_and_link_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    profile = written(tmp_path / "there")
    profile.path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(profile.path, 12345, 23456)
    before, status = content_of(profile.path), profile.path.stat()
    (tmp_path / "profiles.toml").symlink_to(profile.path)
    (linked,) = load_profiles([tmp_path / "profiles.toml"], Catalogue(), {})
    write_grown(linked, before, before + b"# more\n")
    after = profile.path.stat()
    assert linked.path.is_symlink()
    assert profile.path.read_bytes() == before + b"# more\n"
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, status.st_uid, status.st_gid)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["profiles.toml"]


# or nothing is written


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    profile = written(tmp_path)
    before = content_of(profile.path)
    profile.path.write_text(PROFILE + "# by another hand\n", encoding="utf-8")
    with pytest.raises(TemporaryError, match="has changed meanwhile"):
        write_grown(profile, before, before + b"# more\n")
    assert profile.path.read_text(encoding="utf-8") == PROFILE + "# by another hand\n"
    profile.path.unlink()
    with pytest.raises(StoreError):
        write_grown(profile, before, before)
    assert [*tmp_path.iterdir()] == []


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    profile = written(tmp_path)
    profile.path.chmod(0o400)
    with pytest.raises(StoreError, match="read-only") as caught:
        write_grown(profile, PROFILE.encode(), b"other")
    assert "chmod u+w" in caught.value.hint
    assert profile.path.read_text(encoding="utf-8") == PROFILE


#: a process that adds to a file, and what happens to it at a call into the system
PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
from libax_automate.engine.profile.added import write_grown
from libax_automate.engine.profile.build import load_profiles
from libax_automate.errors import StoreError
from libax_automate.plugins.catalogue import Catalogue
path, how = Path(sys.argv[1]), sys.argv[2]
(profile,) = load_profiles([path], Catalogue(), {})
before = path.read_bytes()
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
else:
    setattr(os, how, die)
try:
    write_grown(profile, before, before + b"# more\\n" * 10000)
except StoreError as error:
    print(error)
    sys.exit(74)
"""


@pytest.mark.parametrize("how", ["fchmod", "fsync", "replace", "full"])
def test_a_kill_or_a_full_disk_leaves_the_old_file(tmp_path: Path, how: str) -> None:
    profile = written(tmp_path)
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(profile.path), how], capture_output=True, text=True, timeout=60, check=False)
    if how == "full":
        assert done.returncode == 74, done.stderr
        assert "cannot be written" in done.stdout
        assert [path.name for path in tmp_path.iterdir()] == ["profiles.toml"]
    else:
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert profile.path.read_text(encoding="utf-8") == PROFILE


ADDER = """
import sys
from pathlib import Path
from libax_automate.engine.profile.added import content_of, grown, model_text, write_grown
from libax_automate.engine.profile.build import load_profiles
from libax_automate.errors import TemporaryError
from libax_automate.plugins.catalogue import Catalogue
path, mine = Path(sys.argv[1]), sys.argv[2]
(profile,) = load_profiles([path], Catalogue(), {})
added = 0
while added < 20:
    before = content_of(path)
    try:
        write_grown(profile, before, before + f"# {mine} {added}\\n".encode())
    except TemporaryError:
        continue
    added += 1
"""


def test_two_who_add_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    profile = written(tmp_path)
    both = [subprocess.Popen([sys.executable, "-c", ADDER, str(profile.path), name]) for name in ("one", "two")]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    lines = profile.path.read_text(encoding="utf-8").removeprefix(PROFILE).splitlines()
    assert sorted(lines) == sorted(f"# {name} {number}" for name in ("one", "two") for number in range(20))

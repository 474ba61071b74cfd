"""Whatever bytes a profile file holds, loading answers a profile or findings, and nothing else ever comes out."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libax_automate.engine.profile import load_profiles
from libax_automate.engine.spec import Profile
from libax_automate.errors import ProfileError
from tests.engine.profile_plugins import SECRET, Loading, Plugins
from tests.engine.test_profile_load import FULL

#: values of every type that stand where another type is expected
ODD: tuple[Callable[[random.Random], str], ...] = (
    lambda chance: "nan",
    lambda chance: "-inf",
    lambda chance: "0x" + "f" * chance.choice((10, 20, 4000)),
    lambda chance: "9" * chance.choice((18, 19, 4400)),
    lambda chance: "-1",
    lambda chance: "true",
    lambda chance: "1e400",
    lambda chance: "07:32:00.999999",
    lambda chance: "2026-13-45",
    lambda chance: "0001-01-01T00:00:00+23:59",
    lambda chance: "[" * chance.choice((1, 50, 3000)),
    lambda chance: "[[[]], {}, [{}], 1, 'x', 1979-05-27]",
    lambda chance: "{}",
    lambda chance: "{ env = 3 }",
    lambda chance: "{ file = '/dev/zero' }",
    lambda chance: "{ file = '/' }",
    lambda chance: "{ keyring = '/' }",
    lambda chance: "{ credential = '../..' }",
    lambda chance: "{ a.b.c.d.e.f.g = { h = [] } }",
    lambda chance: '"\\u0000\\u001b[31m\\u202e"',
    lambda chance: '"' + "A" * chance.choice((70, 5000)) + '"',
    lambda chance: '""',
    lambda chance: "'''\n\n'''",
    lambda chance: '"{{ 7 * 7 }} %s {what} {0}"',
)


def _mutated(chance: random.Random) -> bytes:
    """FULL with a few faults of a random kind."""
    lines = FULL.split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        match chance.randrange(7):
            case 0:
                lines[at] = f"{key}= {chance.choice(ODD)(chance)}" if equals else lines[at]
            case 1:
                del lines[at]
                lines = lines or [""]
            case 2:
                lines.insert(chance.randrange(len(lines)), lines[at])
            case 3:
                lines[at] = "".join(chance.sample(lines[at], len(lines[at])))
            case 4:
                lines[at] = lines[at].replace(
                    chance.choice("abeo.=[]\"' ") or "x", chance.choice(["", "é", "\t", "\r", ".", "[", '"', "\u2028"]), 1
                )
            case 5:
                lines[at] = f"{chance.choice(['', 'x.', 'models.', 'apps.gate.'])}{lines[at]}"
            case 6:
                lines[at] = f"{chance.choice(list(key) or ['a'])}{key} = {chance.choice(ODD)(chance)}"
    content = bytearray("\n".join(lines).encode())
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


def _loaded(folder: Path, content: bytes) -> Profile | ProfileError:
    load = Loading(folder)
    path = load.write(content)
    try:
        (profile,) = load_profiles([path], Plugins(), load.environ)
    except ProfileError as error:
        refused = error
    else:
        assert SECRET not in str(profile.warnings)
        return profile
    assert refused.problems
    for problem in refused.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert SECRET not in str(problem)
        assert problem.what.isprintable()
        assert len(problem.what) <= 400
    return refused


@pytest.mark.parametrize("seed", range(10))
def test_mutated_profiles_load_or_are_refused_with_places(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    outcomes = [_loaded(tmp_path, _mutated(chance)) for _ in range(60)]
    assert any(isinstance(outcome, ProfileError) for outcome in outcomes)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(content=st.binary(max_size=300))
def test_any_bytes_load_or_are_refused(tmp_path: Path, content: bytes) -> None:
    _loaded(tmp_path, content)


_SCALARS = st.one_of(
    st.text(max_size=12),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none()),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["env", "file", "a", "name", ""]), inner, max_size=2)
    ),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ["use", "source", "at", "cron", "every", "weekdays", "start", "end", "audience", "channel", "via", "webhook", "text", "vars", "params", "extra", "late",
     "late_limit", "expires", "quiet", "send_weekdays", "steps", "connector", "api_key", "headers", "tokens", "port", "rate", "window", "allow_private", "name"]
)  # fmt: skip
_TABLES = st.dictionaries(_KEYS, _VALUES, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(
    app=_TABLES,
    model=_TABLES,
    top=st.dictionaries(
        st.sampled_from(["name", "timezone", "locale", "country", "notify", "report", "activation", "defaults", "apps", "models"]),
        _VALUES,
        max_size=2,
    ),
)
def test_any_value_of_any_type_in_any_key_loads_or_is_refused(
    tmp_path: Path, app: dict[str, Any], model: dict[str, Any], top: dict[str, Any]
) -> None:
    data = {
        "apps": {"gate": {"connector": "gate", **app}, "rows": {"connector": "rows", **app}},
        "models": {"m": {"use": "birthday", **model}},
        **top,
    }
    try:
        content = tomli_w.dumps(data).encode()
    except UnicodeEncodeError:
        return
    _loaded(tmp_path, content)

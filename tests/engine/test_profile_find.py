"""Where profiles are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from libax_automate.engine.profile import find_profiles
from libax_automate.errors import ProfileError


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_the_first_place_that_has_profiles_decides(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    user = _made(tmp_path / "config" / "automate" / "profiles" / "z.toml")
    assert find_profiles(None, environ, tmp_path) == [user]
    user_file = _made(tmp_path / "config" / "automate" / "profiles.toml")
    assert find_profiles(None, environ, tmp_path) == [user_file]
    folder = [_made(tmp_path / "profiles" / name) for name in ("a.toml", "b.toml")]
    assert find_profiles(None, environ, tmp_path) == folder
    here = _made(tmp_path / "profiles.toml")
    assert find_profiles(None, environ, tmp_path) == [here]
    named = _made(tmp_path / "elsewhere" / "x.toml")
    environ["AUTOMATE_PROFILES"] = "elsewhere"
    assert find_profiles(None, environ, tmp_path) == [named]
    assert find_profiles(Path("profiles"), environ, tmp_path) == folder


def test_a_folder_means_its_toml_files_and_no_others(tmp_path: Path) -> None:
    wanted = _made(tmp_path / "a.toml")
    for other in ("pyproject.toml", ".hidden.toml", "notes.txt", "sub/deep.toml"):
        _made(tmp_path / other)
    (tmp_path / "folder.toml").mkdir()
    assert find_profiles(tmp_path, {}, tmp_path) == [wanted]


@pytest.mark.parametrize("missing", ["nowhere.toml", "empty", "a\0b", "x" * 5000])
def test_a_named_place_without_profiles_is_an_error_that_says_what_to_do(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProfileError) as caught:
        find_profiles(Path(missing), {}, tmp_path)
    assert caught.value.exit_code == 78
    assert caught.value.hint


def test_no_profile_at_all_names_the_places_and_init(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        find_profiles(None, {"XDG_CONFIG_HOME": str(tmp_path / "none")}, tmp_path)
    assert str(tmp_path / "profiles.toml") in caught.value.message
    assert "automate init" in caught.value.hint

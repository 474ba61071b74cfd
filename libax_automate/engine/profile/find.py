"""Where profiles are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from libax_automate.errors import ProfileError

#: profiles of a machine-wide installation
SYSTEM = Path("/etc/automate/profiles")
#: TOML files that live beside profiles and are none
_OTHERS = frozenset({"pyproject.toml", "ruff.toml", "taplo.toml"})


def find_profiles(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> list[Path]:
    """The profile files to load, sorted by name: the first place that has any decides.

    ``explicit`` (``--profiles``), else ``$AUTOMATE_PROFILES`` — a file, or a folder of ``*.toml`` —, else ``profiles.toml`` or
    ``profiles/`` in ``cwd``, else in the user's config folder, else ``/etc/automate/profiles/``. Raises ProfileError where
    there is none, or where the place that was named cannot be read.
    """
    named = environ.get("AUTOMATE_PROFILES", "")
    if explicit is not None:
        return _named(cwd / explicit.expanduser(), "--profiles")
    if named:
        return _named(cwd / Path(named).expanduser(), "$AUTOMATE_PROFILES")
    places = [cwd / "profiles.toml", cwd / "profiles", *_user(environ), SYSTEM]
    for place in places:
        if found := _files(place):
            return found
    raise ProfileError(
        "no profile found (looked for " + ", ".join(map(str, places)) + ")",
        hint="`automate init` writes one here; --profiles PATH names one elsewhere",
    )


def _named(place: Path, by: str) -> list[Path]:
    try:
        if not place.exists():
            raise ProfileError(f"{by} names {place}, which does not exist", hint="`automate init` writes a profile; or correct the path")
        found = _files(place)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        raise ProfileError(f"{by} names a path that cannot be read: {str(place)!r}", hint="correct the path or its permissions") from None
    if not found:
        raise ProfileError(f"{by} names {place}, which holds no *.toml file", hint="`automate init` writes a profile")
    return found


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        files = (file for file in place.glob("*.toml") if not file.name.startswith(".") and file.name not in _OTHERS)
        return sorted(file for file in files if not file.is_dir())
    return [place] if place.exists() else []


def _user(environ: Mapping[str, str]) -> list[Path]:
    if home := environ.get("XDG_CONFIG_HOME"):
        folder = Path(home) / "automate"
    else:
        import platformdirs

        folder = platformdirs.user_config_path("automate")
    return [folder / "profiles.toml", folder / "profiles"]

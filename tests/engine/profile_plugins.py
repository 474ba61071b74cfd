"""Small plugins and a catalogue that profile tests load with: what they promise is all that loading looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.engine.profile import load_profiles
from libax_automate.engine.spec import Profile
from libax_automate.errors import PluginError, Problem, ProfileError

SECRET = "s3cret-key-0042"


class GateOptions(ax.Options):
    api_key: ax.Secret = Field(description="The account's key.")
    sender: str = "noreply@example.com"
    base_url: str = "https://api.example.com"
    headers: dict[str, str] = Field(default_factory=dict)
    port: int = 443
    tokens: tuple[ax.Secret, ...] = ()

    @field_validator("api_key")
    @classmethod
    def _long_enough(cls, value: ax.Secret) -> ax.Secret:
        if len(value.get_secret_value()) < 6:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value


class Gate(ax.Sender[GateOptions, ax.Message]):
    name = "gate"
    title = "A gateway"
    capabilities = frozenset({ax.Capability.EMAIL, ax.Capability.SMS})
    default_rate = "10/s"
    default_concurrency = 3

    def send(self, message: ax.Message) -> ax.Receipt:
        return ax.Receipt()


class HookOptions(ax.Options):
    url: str


class Hook(ax.Sender[HookOptions, ax.Call]):
    name = "hook"
    capabilities = frozenset({ax.Capability.WEBHOOK})
    default_window = 1

    def send(self, message: ax.Call) -> ax.Receipt:
        return ax.Receipt()


class RowsOptions(ax.Options):
    contacts: str
    fields: dict[str, str] = Field(default_factory=dict)


class Rows(ax.Source[RowsOptions]):
    name = "rows"
    capabilities = frozenset({ax.Capability.SOURCE})

    def entities(self) -> Sequence[str]:
        return ("contacts",)

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        return iter(())


class FragileOptions(ax.Options):
    what: str

    @field_validator("what")
    @classmethod
    def _break(cls, value: str) -> str:
        raise KeyError(value)


class Fragile(ax.Source[FragileOptions]):
    name = "fragile"

    def entities(self) -> Sequence[str]:
        return ()

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        return iter(())


class BirthdayOptions(ax.Options):
    days: int = 0


class Birthday(ax.Model[BirthdayOptions]):
    name = "birthday"
    title = "Birthdays"

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate | ax.Effect]:
        return iter(())


class Welcome(ax.Model[ax.Options]):
    name = "welcome"
    realtime = True

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate | ax.Effect]:
        return iter(())


class Groups(ax.Model[ax.Options]):
    name = "groups"
    messages = False

    def plan(self, run: ax.Run) -> Iterator[ax.Candidate | ax.Effect]:
        return iter(())


class Plugins:
    """A catalogue of the classes above."""

    connectors: Mapping[str, type[Any]] = {cls.name: cls for cls in (Gate, Hook, Rows, Fragile)}
    models: Mapping[str, type[Any]] = {cls.name: cls for cls in (Birthday, Welcome, Groups)}

    def connector(self, name: str) -> type[Any]:
        return self._found(self.connectors, name, "connector")

    def model(self, name: str) -> type[Any]:
        return self._found(self.models, name, "model")

    def names(self, kind: str) -> list[str]:
        return sorted(self.connectors if kind == "connector" else self.models)

    def _found(self, classes: Mapping[str, type[Any]], name: str, kind: str) -> type[Any]:
        if name not in classes:
            raise PluginError(f"no {kind} {name[:40]!r} is installed", hint="installed: " + ", ".join(classes))
        return classes[name]


#: a profile without fault, to be changed in one place
GOOD = dedent(
    """\
    name = "padaria"
    timezone = "Europe/Lisbon"
    locale = "pt_PT"

    [defaults]
    email = "gate"

    [apps.gestao]
    connector = "rows"
    contacts = "clientes.csv"

    [apps.gate]
    connector = "gate"
    api_key = { env = "KEY" }

    [models.aniversario]
    use = "birthday"
    source = "gestao"
    at = "09:30"
    text = "Olá (#FirstName#)"
    """
)


class Loading:
    """Loads texts as profiles of a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"KEY": SECRET}

    def write(self, text: str | bytes, name: str = "profiles.toml", mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        path.chmod(mode)
        return path

    def __call__(self, text: str | bytes, name: str = "profiles.toml", mode: int = 0o600) -> Profile:
        (profile,) = load_profiles([self.write(text, name, mode)], Plugins(), self.environ)
        return profile

    def problems(self, text: str | bytes, mode: int = 0o600) -> list[Problem]:
        """What is wrong with ``text``; fails if nothing is."""
        with pytest.raises(ProfileError) as caught:
            self(text, mode=mode)
        assert caught.value.problems
        assert caught.value.exit_code == 78
        return list(caught.value.problems)

    def problem(self, text: str | bytes) -> str:
        """The one thing wrong with ``text``, as ``LINE:COL: what → hint``."""
        (problem,) = self.problems(text)
        return str(problem).removeprefix(f"{self.folder / 'profiles.toml'}:")

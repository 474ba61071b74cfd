"""What the builders of one profile file share, and how a table meets its typed keys and its plugin's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from libax_automate.engine.profile.file import ProfileFile
from libax_automate.engine.profile.findings import Findings, walk
from libax_automate.engine.profile.positions import Loc, headers
from libax_automate.engine.profile.secrets import References
from libax_automate.engine.redact import secret_leaves
from libax_automate.engine.spec import AppSpec
from libax_automate.errors import AutomateError
from libax_automate.options import Options

KeysT = TypeVar("KeysT", bound=BaseModel)


class Plugins(Protocol):
    """Where connector and model classes come from: :class:`libax_automate.plugins.catalogue.Catalogue`.

    Both raise PluginError where there is no such plugin, or it is broken.
    """

    def connector(self, name: str) -> type[Any]:
        """The connector class called ``name``."""

    def model(self, name: str) -> type[Any]:
        """The model class called ``name``."""


@dataclass(slots=True)
class App:
    """An app of the file as far as it is known: ``spec`` or ``connector`` is None where that part is wrong."""

    spec: AppSpec | None = None
    connector: type[Any] | None = None


@dataclass(slots=True)
class Scope:
    """One profile file being built."""

    file: ProfileFile
    plugins: Plugins
    references: References
    apps: dict[str, App] = field(default_factory=dict)
    places: Mapping[Loc, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = headers(self.file.text)

    @property
    def findings(self) -> Findings:
        """Where problems go."""
        return self.file.findings

    def plugin(self, kind: str, name: Any, loc: Loc) -> type[Any] | None:
        """The class that ``connector =`` or ``use =`` names; None, and a problem, where there is none."""
        if not isinstance(name, str):
            return None
        try:
            found: type[Any] = (self.plugins.connector if kind == "connector" else self.plugins.model)(name)
        except AutomateError as error:
            self.findings.problem(loc, error.message, error.hint)
            return None
        return found

    def keys(self, cls: type[KeysT], table: Mapping[str, Any], loc: Loc, more: Iterable[str] = ()) -> KeysT:
        """``table`` as ``cls``. What does not fit becomes problems and is left out, so that the rest can still be checked.

        ``more`` are further keys that the table may have.
        """
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            errors = _errors(error)
        self.findings.rejected(errors, loc, table, {*names_of(cls), *more})
        bad = {entry["loc"][0] for entry in errors if entry["loc"]}
        required = {name: "" for name, info in cls.model_fields.items() if info.is_required() and name in bad}
        return cls.model_validate({**{key: value for key, value in table.items() if key not in bad}, **required})

    def options(self, plugin: type[Any], table: Mapping[str, Any], loc: Loc, shared: Iterable[str]) -> Options | None:
        """The plugin's own options; None, and problems, where they do not fit or the plugin's check of them breaks."""
        cls: type[Options] = plugin.options_type
        # before validating: a plugin's own validator may quote what it was given
        self.findings.secrets.update(
            text
            for name, info in cls.model_fields.items()
            if _holds_secret(info.annotation)
            for _, text in walk(table.get(info.alias or name))
            if isinstance(text, str)
        )
        try:
            options = cls.model_validate(table)
        except ValidationError as error:
            self.findings.rejected(_errors(error), loc, table, {*names_of(cls), *shared}, said=f" (for {plugin.name})")
        except AutomateError as error:
            self.findings.problem(loc, error.message, error.hint)
        except Exception as error:  # plugins are trusted, not infallible
            self.findings.problem(
                loc, f"{plugin.name} cannot check its options: {type(error).__name__}", "a fault of that plugin; report it to its authors"
            )
        else:
            self._literals(options, table, loc)
            return options
        return None

    def step(self, recipe: type[Any], kind: type[Options], table: Mapping[str, Any], loc: Loc, shared: Iterable[str]) -> None:
        """Say what is wrong with a step's own keys."""
        try:
            kind.model_validate(table)
        except ValidationError as error:
            self.findings.rejected(_errors(error), loc, table, {*names_of(kind), *shared}, said=f" (for a step of {recipe.name})")

    def _literals(self, options: Options, table: Mapping[str, Any], loc: Loc) -> None:
        """Warn of secrets written into a file that others can read."""
        for path, secret in secret_leaves(options):
            value = secret.get_secret_value()
            if path[0] not in table or self.references.came((*loc, *path)):
                continue
            if not self.file.private and value:
                self.findings.warn(
                    (*loc, *path),
                    f"{path[0]} is a secret, and others can read this file",
                    f'chmod 600 {self.file.path.name}, or write {path[0]} = {{ env = "NAME" }}',
                )


def names_of(cls: type[BaseModel]) -> set[str]:
    """The keys of a table as they are written."""
    return {info.alias or name for name, info in cls.model_fields.items()}


def types_of(*classes: type[BaseModel] | None) -> dict[str, Any]:
    """The type of each key."""
    return {info.alias or name: info.annotation for cls in classes if cls is not None for name, info in cls.model_fields.items()}


def split(table: Mapping[str, Any], shared: type[BaseModel], own: type[BaseModel] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shared keys of a table, and the plugin's; a key that both declare goes to both."""
    common, mine = names_of(shared), names_of(own) if own else set()
    return (
        {key: value for key, value in table.items() if key in common},
        {key: value for key, value in table.items() if key not in common or key in mine},
    )


def _holds_secret(annotation: Any) -> bool:
    """Whether a Secret is anywhere in an option's type, nested tables included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_secret(info.annotation) for info in annotation.model_fields.values())
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def _errors(error: ValidationError) -> list[Any]:
    return error.errors(include_url=False, include_input=False)

"""The documents say what the program does: no key, command, option or exit code is missing, and none is invented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from libax_automate import errors
from libax_automate.engine.profile import keys
from libax_automate.engine.profile.scope import names_of
from libax_automate.errors import AutomateError
from libax_automate.plugins.catalogue import default_catalogue

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
TABLES: dict[str, type[keys.Keys]] = {
    "Top of the file": keys.ProfileKeys,
    "`[defaults]`": keys.DefaultsKeys,
    "`[apps.NAME]`": keys.AppKeys,
    "`[models.NAME]`": keys.ModelKeys,
    "`[[tact]]`": keys.TactKeys,
}

_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_KEY = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sections(text: str, marks: str = "##") -> dict[str, str]:
    """Heading -> what stands below it, up to the next heading of the same or a higher level."""
    parts = re.split(rf"^{marks} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# the profile


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_of_a_profile_is_explained_and_no_other(heading: str) -> None:
    documented = _KEY.findall(sections(page("docs/profile.md"))[heading])
    assert sorted(documented) == sorted(names_of(TABLES[heading]))


def test_the_keys_of_a_step_are_those_of_the_message_and_its_name() -> None:
    own = set(_KEY.findall(sections(page("docs/profile.md"))["`[[models.NAME.steps]]`"]))
    assert own == names_of(keys.StepKeys) - names_of(keys.WordingKeys)


def test_every_audience_word_is_named() -> None:
    row = next(line for line in page("docs/profile.md").splitlines() if line.startswith("| `audience` |"))
    assert [word for word in keys.AUDIENCE if f"`{word}`" not in row] == []


# the plugins


def built_in() -> Iterator[tuple[str, str, type[Any]]]:
    """Kind, name and options of every plugin that comes with the program."""
    catalogue = default_catalogue()
    for entry in catalogue.entries():
        if entry.module.startswith("libax_automate."):
            assert not entry.error, entry
            load = catalogue.connector if entry.kind == "connector" else catalogue.model
            yield str(entry.kind), entry.name, load(entry.name).options_type


def test_every_option_of_a_built_in_plugin_is_explained_and_no_other() -> None:
    pages = sections(page("docs/plugins.md"))
    for kind, name, options in built_in():
        chapter = sections(pages[f"{kind.capitalize()}s"], "###")
        written = [field.alias or key for key, field in options.model_fields.items()]
        assert sorted(_KEY.findall(chapter[f"`{name}`"])) == sorted(written), f"{kind} {name}"


def test_no_plugin_is_explained_that_does_not_come_along() -> None:
    pages = sections(page("docs/plugins.md"))
    documented = {(kind, name.strip("`")) for kind in ("connector", "model") for name in sections(pages[f"{kind.capitalize()}s"], "###")}
    assert documented == {(kind, name) for kind, name, _ in built_in()}


# the commands


@cache
def commands() -> dict[str, Any]:
    """``queue list`` -> the command; groups under their own name."""
    from typer.main import get_command

    from libax_automate.cli.root import NOUNS, app

    root: Any = get_command(app)
    found = {}
    for noun in NOUNS:
        command = root.get_command(None, noun)
        found[noun] = command
        for verb, inner in getattr(command, "commands", {}).items():
            found[f"{noun} {verb}"] = inner
    return found


def mentions() -> Iterator[tuple[str, str]]:
    """Where, and what: every ``automate NOUN [VERB]`` that stands as code in a document."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        code = [*_FENCE.findall(text), *_CODE.findall(_FENCE.sub("", text))]
        for part in code:
            for match in re.finditer(r"(?:^|[\s/;&|])automate +([a-z][a-z-]*)(?: +([a-z][a-z-]*))?", part, re.MULTILINE):
                yield path.relative_to(ROOT).as_posix(), " ".join(filter(None, match.groups()))


def test_no_document_names_a_command_that_does_not_exist() -> None:
    strangers = []
    for where, words in mentions():
        noun, _, verb = words.partition(" ")
        group = getattr(commands().get(noun), "commands", {})
        # the word after a command without verbs is its argument
        if noun not in commands() or (group and verb and verb not in group and not takes_arguments(commands()[noun])):
            strangers.append(f"{where}: automate {words}")
    assert strangers == []


def takes_arguments(command: Any) -> bool:
    return any(parameter.param_type_name == "argument" for parameter in command.params)


def test_every_command_is_explained() -> None:
    text = page("docs/commands.md")
    assert [name for name, command in commands().items() if not getattr(command, "hidden", False) and f"automate {name}" not in text] == []


def test_every_option_of_a_command_is_explained() -> None:
    text = page("docs/commands.md")
    missing = []
    for name, command in commands().items():
        for parameter in command.params:
            long = [option for option in [*parameter.opts, *parameter.secondary_opts] if option.startswith("--")]
            if long and not parameter.hidden and not any(f"{option}" in text for option in long):
                missing.append(f"automate {name} {long[0]}")
    assert missing == []


# exit codes


def tree(root: type[AutomateError]) -> Iterator[type[AutomateError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_every_exit_code_is_explained() -> None:
    table = sections(page("docs/commands.md"))["Exit codes"]
    documented = {int(code) for row in re.findall(r"^\| ([\d, /]+) \|", table, re.MULTILINE) for code in re.findall(r"\d+", row)}
    raised = {error.exit_code for error in tree(AutomateError)}
    assert documented == raised | {0, 3, 130, 143}


def test_every_class_of_error_is_explained() -> None:
    text = page("docs/errors.md")
    classes = {error.kind for error in tree(errors.ConnectorError)} - {errors.ConnectorError.kind}
    assert [kind for kind in sorted(classes) if f"| `{kind}` |" not in text] == []


# the documents themselves


@pytest.mark.parametrize("heading", ["Quick start", "Tests"])
def test_the_readme_gives_one_command_line_each(heading: str) -> None:
    block = _FENCE.search(sections(page("README.md"))[heading])
    assert block
    assert len(block[1].strip().splitlines()) == 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    broken = []
    for target in _LINK.findall(_FENCE.sub("", text)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        other = (path.parent / file) if file else path
        if not other.exists() or (anchor and anchor not in anchors(other.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def anchors(text: str) -> set[str]:
    """The anchors that a Markdown page's headings get."""
    headings = re.findall(r"^#{1,6} (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_found_from_the_index() -> None:
    index = page("docs/index.md")
    assert [path.name for path in ROOT.glob("docs/*.md") if path.name != "index.md" and f"({path.name})" not in index] == []

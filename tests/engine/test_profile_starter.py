"""What ``init`` writes works at once."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from libax_automate.connector import Place
from libax_automate.engine.profile import find_profiles, load_profiles, write_starter
from libax_automate.errors import UsageError
from libax_automate.plugins.catalogue import Catalogue
from libax_automate.record import BadRow, Query, Record


@pytest.mark.parametrize(
    ("language", "locale", "zone", "model"),
    [
        ("pt", "pt_PT", "Europe/Lisbon", "aniversario"),
        ("pt_BR.UTF-8", "pt_BR", "America/Sao_Paulo", "aniversario"),
        ("en", "en_US", "Europe/London", "birthday"),
    ],
)
def test_the_profile_loads_without_a_warning(tmp_path: Path, language: str, locale: str, zone: str, model: str) -> None:
    folder = tmp_path / "acme"
    written = write_starter(folder, name="acme", language=language)
    assert all(path.exists() for path in written)
    (profile,) = load_profiles(find_profiles(None, {}, folder), Catalogue(), {})
    assert (profile.name, profile.locale, str(profile.timezone)) == ("acme", locale, zone)
    assert profile.warnings == ()
    assert profile.models[model].use == "birthday"
    assert {app.connector for app in profile.apps.values()} == {"csv", "folder"}


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_sample_has_someone_for_each_reason(tmp_path: Path, language: str) -> None:
    written = write_starter(tmp_path, name="acme", language=language)
    app = next(table for table in tomllib.loads(written[0].read_text("utf-8"))["apps"].values() if table.pop("connector") == "csv")
    cls: Any = Catalogue().connector("csv")
    source = cls(cls.options_type.model_validate(app), Place(folder=tmp_path, timezone="Europe/Lisbon", country="PT"))
    source.open()
    try:
        rows = list(source.fetch("contacts", Query()))
    finally:
        source.close()
    people = [row for row in rows if isinstance(row, Record)]
    assert len(rows) == 10
    assert any(isinstance(row, BadRow) for row in rows)
    born = [row for row in people if row["birth_date"] and (row["birth_date"].month, row["birth_date"].day) == (12, 24)]
    reached = [row for row in born if row["status"] == "active" and row["person_type"] == "person" and row["email"]]
    assert {row["first_name"] for row in reached} == {"Ana", "Carla", "Inês"}
    assert any(row["person_type"] == "company" for row in born)
    assert any(row["status"] == "inactive" for row in born)
    assert any(not row["email"] for row in born)
    assert any(row.problems for row in people)
    assert all(row["created_at"] for row in people)


def test_personal_data_and_the_profile_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        profile, customers, ignore = write_starter(tmp_path, name="acme", language="pt")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (profile, customers)] == [0o600, 0o600]
    assert "outbox/" in ignore.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "clientes.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"clientes\.csv exists already"):
        write_starter(tmp_path, name="acme", language="pt")
    assert [path.name for path in tmp_path.iterdir()] == ["clientes.csv"]


def test_a_bad_name_or_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, name in ((tmp_path, "Acme Lda"), (tmp_path / "file", "acme"), (tmp_path / "a\0b", "acme")):
        with pytest.raises(UsageError) as caught:
            write_starter(folder, name=name, language="pt")
        assert caught.value.hint


@pytest.mark.parametrize("language", ["pt", "en"])
def test_what_is_commented_out_works_when_it_is_not(tmp_path: Path, language: str) -> None:
    profile = write_starter(tmp_path, name="acme", language=language)[0]
    # a comment that holds a key or a header, and no prose
    text = re.sub(r"^# (\[[a-z.]+\]$|[a-z_]+ +=)", r"\1", profile.read_text("utf-8"), flags=re.MULTILINE)
    profile.write_text(text, "utf-8")
    (loaded,) = load_profiles([profile], Catalogue(), {"SMTP_PASSWORD": "s3cret-key-0042"})
    assert "smtp" in {app.connector for app in loaded.apps.values()}
    assert loaded.report is not None
    assert loaded.defaults.quiet is not None
    assert all(model.where for model in loaded.models.values() if model.use == "birthday")

"""R13: which journal a build of SQLite is trusted with: WAL only where the WAL-reset race is fixed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from libax_automate.engine.store import Store
from libax_automate.engine.store.database import journal_mode
from tests.figures import Figure

TABLE = {
    (3, 7, 0): "TRUNCATE",
    (3, 40, 1): "TRUNCATE",
    (3, 43, 9): "TRUNCATE",
    (3, 44, 0): "TRUNCATE",
    (3, 44, 5): "TRUNCATE",
    (3, 44, 6): "WAL",
    (3, 44, 7): "WAL",
    (3, 45, 0): "TRUNCATE",
    (3, 49, 9): "TRUNCATE",
    (3, 50, 0): "TRUNCATE",
    (3, 50, 6): "TRUNCATE",
    (3, 50, 7): "WAL",
    (3, 50, 8): "WAL",
    (3, 51, 0): "TRUNCATE",
    (3, 51, 2): "TRUNCATE",
    (3, 51, 3): "WAL",
    (3, 51, 4): "WAL",
    (3, 52, 0): "WAL",
    (4, 0, 0): "WAL",
}


def test_the_journal_follows_the_table(figure: Figure) -> None:
    wrong = {version: journal_mode(version) for version, mode in TABLE.items() if journal_mode(version) != mode}
    figure(f"R13: {len(TABLE)} versions, {len(wrong)} wrong")
    assert wrong == {}


@pytest.mark.parametrize("before", [None, (3, 51, 3), (3, 40, 1)])
@pytest.mark.parametrize("version", [(3, 40, 1), (3, 44, 6), (3, 50, 7), (3, 51, 2), (3, 51, 3)])
def test_a_database_is_opened_in_its_builds_mode_whatever_it_was_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], before: tuple[int, int, int] | None
) -> None:
    path = tmp_path / "automate.db"
    if before is not None:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", before)
        Store(path).close()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    with Store(path) as store:
        assert str(store.db.value("PRAGMA journal_mode")).upper() == TABLE[version]
        assert store.db.value("PRAGMA synchronous") == 2
        assert store.db.value("PRAGMA busy_timeout") >= 10_000
        assert store.db.value("PRAGMA foreign_keys") == 1
        with store.write():
            store.db.set("proof", "written")
    with Store(path) as store:
        assert store.db.get("proof") == "written"
        assert store.db.problems() == []
    assert path.stat().st_mode & 0o777 == 0o600

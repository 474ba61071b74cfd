"""The least that a durable queue can do, written out: what ours is measured against."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rig import TEXT
from libax_automate.engine.store.database import journal_mode

# what the promises need and no more: a key that keeps a message from existing twice, the open ones by age, an attempt for each call
_SCHEMA = """
CREATE TABLE messages (
  id INTEGER PRIMARY KEY, model INTEGER NOT NULL, person TEXT NOT NULL, occasion TEXT NOT NULL, recipient TEXT NOT NULL,
  payload TEXT NOT NULL, state TEXT NOT NULL, not_before REAL NOT NULL, ended_at REAL, provider_id TEXT, UNIQUE (model, person, occasion)
);
CREATE INDEX waiting ON messages(not_before, id) WHERE state = 'waiting';
CREATE TABLE attempts (message_id INTEGER PRIMARY KEY, key TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL);
"""


def database(path: Path) -> sqlite3.Connection:
    """Our own settings: the same journal, FULL."""
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    conn.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    conn.execute("PRAGMA synchronous = FULL")
    for statement in _SCHEMA.split(";\n"):
        conn.execute(statement)
    return conn


def enqueue(conn: sqlite3.Connection, count: int) -> float:
    """Seconds to insert ``count`` messages in one transaction."""
    start = time.perf_counter()
    conn.execute("BEGIN IMMEDIATE")
    conn.executemany(
        "INSERT OR IGNORE INTO messages(model, person, occasion, recipient, payload, state, not_before) VALUES (1, ?, ?, ?, ?, 'waiting', 0)",
        ((str(number), "2026-12-24", f"+35191{number:07d}", f'{{"text":"{TEXT}"}}') for number in range(count)),
    )
    conn.execute("COMMIT")
    return time.perf_counter() - start


def drain(conn: sqlite3.Connection, group: int, send: Callable[[Sequence[tuple[int, str, str]]], None] | None = None) -> float:
    """Seconds to claim, commit, send and settle all, in groups: as many transactions as ours, no call inside one."""
    start = time.perf_counter()
    taken: list[tuple[int, str, str]] = []
    while True:
        now = time.time()
        conn.execute("BEGIN IMMEDIATE")
        if taken:
            conn.executemany("UPDATE attempts SET ended_at = ? WHERE message_id = ?", [(now, row[0]) for row in taken])
            conn.executemany(
                "UPDATE messages SET state = 'sent', ended_at = ?, provider_id = ? WHERE id = ?",
                [(now, f"p{row[0]}", row[0]) for row in taken],
            )
        taken = conn.execute(
            "SELECT id, recipient, payload FROM messages WHERE state = 'waiting' AND not_before <= ? ORDER BY not_before, id LIMIT ?",
            (now, group),
        ).fetchall()
        conn.executemany("UPDATE messages SET state = 'sending' WHERE id = ?", [(row[0],) for row in taken])
        conn.executemany(
            "INSERT INTO attempts(message_id, key, started_at) VALUES (?, ?, ?)", [(row[0], f"k{row[0]}", now) for row in taken]
        )
        conn.execute("COMMIT")
        if not taken:
            return time.perf_counter() - start
        if send is not None:
            send(taken)

"""Calls that list people for another program (LX-19): who was in a call that never left was not told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

#: rows of people who are in a list begin their reason so; the end names the page: "in the list for APP (SLOT), page 2"
LISTED = "in the list for "
#: attempts with these outcomes may have arrived
_PERHAPS = "('same_key', 'in_doubt', 'bug')"

_CALLS = f"""
SELECT m.id, m.model_id, m.task_id, m.person FROM messages m
WHERE m.id IN (SELECT value FROM json_each(?)) AND m.step = 'list' AND m.channel = 'webhook'
  AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.message_id = m.id AND a.outcome IN {_PERHAPS})
ORDER BY m.id
"""
_BACK = """
UPDATE messages SET state = 'skipped', occasion = substr(occasion, 1, length(occasion) - length(?)), reason = substr(reason, length(?) + 1)
WHERE id = ?
"""
_AGAIN = """
SELECT 1 FROM messages p JOIN messages o ON o.model_id = p.model_id AND o.step = p.step AND o.person = p.person
  AND o.occasion = substr(p.occasion, 1, length(p.occasion) - length(?)) WHERE p.id IN (SELECT value FROM json_each(?)) LIMIT 1
"""


def reason(app: str, slot: str, page: int) -> str:
    """Why a person of a list has a row."""
    return f"{LISTED}{app} ({slot}), page {page}"


def release(conn: sqlite3.Connection, batch: int, ids: Sequence[int], now: float) -> None:
    """The people of those calls among ``ids`` that never left may be listed again; part of ``batch``."""
    people = _free(conn, ids, now, f" (B{batch})", _released(batch))
    conn.executemany("INSERT INTO batch_items(batch_id, message_id, before) VALUES (?, ?, 'skipped')", [(batch, i) for i in people])


def expire(conn: sqlite3.Connection, id_: int, now: float) -> None:
    """A call has expired before it could leave: its people may be listed again."""
    _free(conn, [id_], now, f" (M{id_})", f"released (M{id_} expired): ")


def _free(conn: sqlite3.Connection, ids: Sequence[int], now: float, mark: str, released: str) -> list[int]:
    freed = []
    for _, model_id, task_id, person in conn.execute(_CALLS, (json.dumps(ids),)).fetchall():
        freed += _people(conn, model_id, task_id, person, state="skipped", begins=LISTED)
    # their keys are free; the rows stay, and say what has become of them
    conn.executemany(
        "UPDATE messages SET state = 'cancelled', occasion = occasion || ?, reason = ? || reason, ended_at = ? WHERE id = ?",
        [(mark, released, now, i) for i in freed],
    )
    return freed


def take_back(conn: sqlite3.Connection, batch: int, ids: Sequence[int]) -> list[int]:
    """Undo ``release``; returns those of ``ids`` that may wait again: a call whose people were listed anew meanwhile stays where it is."""
    mark, released = f" (B{batch})", _released(batch)
    kept = list(ids)
    for id_, model_id, task_id, person in conn.execute(_CALLS, (json.dumps(kept),)).fetchall():
        people = _people(conn, model_id, task_id, person, state="cancelled", begins=released)
        if conn.execute(_AGAIN, (mark, json.dumps(people))).fetchone():
            kept.remove(id_)
        else:
            conn.executemany(_BACK, [(mark, released, i) for i in people])
    return kept


def _released(batch: int) -> str:
    return f"released (B{batch}): "


def _people(conn: sqlite3.Connection, model_id: int, task_id: int | None, call: str, *, state: str, begins: str) -> list[int]:
    sql = "SELECT id, reason FROM messages WHERE model_id = ? AND task_id IS ? AND state = ? AND substr(reason, 1, ?) = ?"
    rows = conn.execute(sql, (model_id, task_id, state, len(begins), begins)).fetchall()
    page = f", page {call.rpartition(':')[2]}"
    # before pages were named, a task's only list is known all the same
    only = conn.execute(
        "SELECT count(*) FROM messages WHERE model_id = ? AND task_id IS ? AND step = 'list'", (model_id, task_id)
    ).fetchone()
    return [int(id_) for id_, why in rows if why.endswith(page) or (only[0] == 1 and ", page " not in why)]

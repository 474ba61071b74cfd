"""A task's messages on their way into the queue: gathered first, inserted in one transaction."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from libax_automate.engine.outbox import Draft, dump
from libax_automate.engine.paper import Finished
from libax_automate.engine.store.database import Database
from libax_automate.engine.store.documents import Documents

#: the instant until which a message waits that a person has to approve: later than any clock
UNDECIDED = 1e11

#: drafts kept in memory before they go to a temporary table on disk
_IN_MEMORY = 2_000

# One INSERT … SELECT out of temporary tables takes a quarter of the time of an INSERT for each row (AUTOINCREMENT writes its
# counter at every statement). What most drafts share stands in ``kinds``, once.
_MAKE = (
    "CREATE TEMP TABLE spool(kind INTEGER, person, recipient, name, payload, activity, still)",
    "CREATE TEMP TABLE kinds(id INTEGER PRIMARY KEY, app_id, step, occasion, channel, state, not_before, expires, reason, ended_at, approval_id)",
)
_FROM_SPOOL = """
INSERT OR IGNORE INTO messages(app_id, model_id, task_id, step, person, occasion, channel, recipient, name, payload, state, not_before,
  expires, reason, created_at, ended_at, activity, still, approval_id)
SELECT k.app_id, ?, ?, k.step, s.person, k.occasion, k.channel, s.recipient, s.name, s.payload, k.state, k.not_before,
  k.expires, k.reason, ?, k.ended_at, s.activity, s.still, k.approval_id
FROM temp.spool s CROSS JOIN temp.kinds k ON k.id = s.kind WHERE (k.state = 'waiting') = ? ORDER BY s.rowid
"""


class _Kind(NamedTuple):
    """What drafts of one task have in common, most often all of them."""

    app: str
    step: str
    occasion: str
    channel: str
    state: str
    not_before: datetime | None
    expires: datetime | None
    reason: str
    approve: bool


class Spool:
    """A task's messages before they are committed, in the order in which they came."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kinds: dict[_Kind, int] = {}
        self._rows: list[tuple[Any, ...]] = []
        #: drafts that carry a document: they go in once it has its number
        self._papers: list[Draft] = []
        #: documents printed before the transaction, under the numbers that were expected
        self._ahead: dict[int, tuple[int, Finished]] = {}
        self._spilt = False
        self.count = 0
        #: how many of them wait for a person
        self.approve = 0

    def add(self, draft: Draft) -> None:
        """Keep one draft; ``baseline`` ones are recorded as skipped."""
        if not draft.baseline:
            self.count += 1
            self.approve += draft.approve
        if draft.document is not None:
            self._papers.append(draft)
        else:
            self._put(draft)

    def print(self, model_id: int) -> None:
        """Print the documents under the numbers that they will most likely get, before the transaction that takes them begins."""
        documents = Documents(self._db)
        following: dict[str, int] = {}
        for place, draft in enumerate(self._papers):
            paper = draft.document
            assert paper is not None
            if self._known(model_id, draft):
                continue
            n = following.get(paper.series)
            if n is None:
                n = documents.expected(paper)
            following[paper.series] = n + 1
            self._ahead[place] = n, paper.finish(paper.written(n))

    def _number(self, model_id: int, now: float) -> list[tuple[int, Draft]]:
        """Give each document its number; those already in the ledger take none."""
        documents, made = Documents(self._db), list[tuple[int, Draft]]()
        seen: set[tuple[str, str, str]] = set()
        for place, draft in enumerate(self._papers):
            key = (draft.step, draft.person, draft.occasion)
            if key in seen or self._known(model_id, draft):
                continue
            seen.add(key)
            id_ = documents.record(draft, model_id=model_id, now=now, ahead=self._ahead.get(place))
            if id_ is not None:
                made.append((id_, draft))
                self._put(draft)
        return made

    def _known(self, model_id: int, draft: Draft) -> bool:
        sql = "SELECT 1 FROM messages WHERE model_id = ? AND step = ? AND person = ? AND occasion = ?"
        return self._db.row(sql, (model_id, draft.step, draft.person, draft.occasion)) is not None

    def _put(self, draft: Draft) -> None:
        state = "skipped" if draft.baseline else "waiting"
        key = (
            draft.app,
            draft.step,
            draft.occasion,
            str(draft.channel),
            state,
            draft.not_before,
            draft.expires,
            draft.reason,
            draft.approve,
        )
        # a plain tuple is equal to the named one, and made in a third of the time
        number = self._kinds.get(key)  # type: ignore[call-overload]
        if number is None:
            number = self._kinds[_Kind(*key)] = len(self._kinds)
        activity = json.dumps([*draft.activity], ensure_ascii=False) if draft.activity else None
        still = _still(draft) if draft.still else None
        self._rows.append((number, draft.person, draft.to, draft.name, _written(draft.payload), activity, still))
        if len(self._rows) >= _IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        conn = self._db.conn
        if not self._spilt:
            for statement in _MAKE:
                conn.execute(statement)
            self._spilt = True
        # BEGIN without IMMEDIATE: a transaction that writes only temporary tables takes no lock on the database
        inside = conn.in_transaction
        if not inside:
            conn.execute("BEGIN")
        self._db.insert("INSERT INTO temp.spool", self._rows)
        if not inside:
            conn.execute("COMMIT")
        self._rows.clear()

    def enqueue(
        self, *, model_id: int, task_id: int | None, apps: dict[str, int], now: float, approval: tuple[int, str] | None = None,
        brake: bool = False,
    ) -> int:  # fmt: skip
        """Insert all of them in the caller's transaction; what is already in the ledger is left alone. Returns how many are new and waiting.

        With ``approval`` (its id, and why) those drafts that ask for it, or with ``brake`` all of them, wait until a person decides.
        """
        numbered = self._number(model_id, now) if self._papers else []
        if not self._kinds:
            return 0
        self._spill()
        conn = self._db.conn
        approval_id, why = approval or (None, "")
        rows = []
        for kind, number in self._kinds.items():
            app, step, occasion, channel, state, not_before, expires, reason, approve = kind
            at, ended, undecided = not_before.timestamp() if not_before else 0.0, None if state == "waiting" else now, None
            if approval_id is not None and state == "waiting" and (brake or approve):
                at, reason, undecided = UNDECIDED, why, approval_id
            until = expires.timestamp() if expires else None
            rows.append((number, apps[app], step, occasion, channel, state, at, until, reason, ended, undecided))
        conn.executemany("INSERT INTO temp.kinds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        kept = conn.execute(_FROM_SPOOL, (model_id, task_id, now, True)).rowcount
        conn.execute(_FROM_SPOOL, (model_id, task_id, now, False))
        if numbered:
            Documents(self._db).posted(model_id, numbered)
        return kept

    def close(self) -> None:
        """Let go of what was kept."""
        self._rows.clear()
        self._kinds.clear()
        self._papers.clear()
        self._ahead.clear()
        if self._spilt:
            for table in ("spool", "kinds"):
                # a transaction that failed has taken the tables with it, and a full disk must not hide its own error behind this one
                with contextlib.suppress(sqlite3.Error):
                    self._db.conn.execute(f"DROP TABLE IF EXISTS temp.{table}")
            self._spilt = False


def _written(payload: Mapping[str, Any]) -> str:
    """``dump`` of a payload; one of nothing but texts, as most are, takes half the time."""
    parts = []
    for key, value in payload.items():
        if type(value) is not str:
            return dump(payload)
        parts.append(f"{encode_basestring(key)}:{encode_basestring(value)}")
    return f"{{{','.join(parts)}}}"


def _still(draft: Draft) -> str | None:
    if draft.still is None:
        return None
    app, entity, record, fields = draft.still
    condition = {"app": app, "entity": entity, "id": record, "fields": {name: sorted(values) for name, values in fields.items()}}
    return dump({**condition, "also": list(draft.also)} if draft.also else condition)

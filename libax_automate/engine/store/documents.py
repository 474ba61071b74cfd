"""Numbered documents: numbers without gaps, each record on one document, every byte kept (LX-30).

A number is taken in the transaction that writes its document and queues its message: all three are there, or none is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from libax_automate.engine.outbox import Draft
from libax_automate.engine.paper import Finished, Paper
from libax_automate.engine.store.database import Database
from libax_automate.errors import AutomateError, StoreError

_ROW = """
SELECT d.id, d.profile, s.name, d.message_id, m.state, a.name, m.reason, d.series, d.n, d.number, d.day, d.period, d.person, d.name, d.total,
  d.currency, d.file, d.sha256, length(d.content), d.created_at, d.voided_at, d.reason, m.ended_at
FROM documents d JOIN models s ON s.id = d.model_id LEFT JOIN messages m ON m.id = d.message_id LEFT JOIN apps a ON a.id = m.app_id
"""

#: a message in one of these may yet leave
_OPEN = ("waiting", "sending", "failed", "in_doubt")


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document without its bytes. Instants are epoch seconds, UTC."""

    id: int
    profile: str
    model: str
    message_id: int | None
    #: the state of its message
    state: str | None
    app: str | None
    #: what is said of its message
    why: str | None
    series: str
    n: int
    number: str
    day: date
    period: str
    person: str
    name: str
    total: Decimal
    currency: str
    file: str
    sha256: str
    size: int
    created_at: float
    voided_at: float | None
    #: why it was voided
    reason: str
    #: when its message left, or ended
    ended_at: float | None

    def __str__(self) -> str:
        worth = f"{self.total} {self.currency}".strip()
        message = f"message M{self.message_id} {(self.state or '').replace('_', ' ')}" if self.message_id else "no message"
        end = f"void ({self.reason})" if self.voided_at is not None else message
        return f"{self.number} of {self.day}{f' for {self.period}' if self.period else ''}: {worth}, {end}, {self.file}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A document's file: its name, its bytes, their SHA-256 in hexadecimal."""

    file: str
    content: bytes
    sha256: str


def _document(row: Any) -> DocumentRow:
    values = list(row)
    values[10], values[14] = date.fromisoformat(values[10]), Decimal(values[14])
    return DocumentRow(*values)


class Documents:
    """Verbs on documents."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # -- made ----------------------------------------------------------------------------------------------------------

    def expected(self, paper: Paper) -> int:
        """The number that a document's series gives next, if nobody takes it before."""
        last = self.db.value("SELECT last FROM series WHERE profile = ? AND name = ?", (paper.profile, paper.series))
        if last is not None:
            return int(last) + 1
        others = self.db.rows("SELECT name FROM series WHERE profile = ?", (paper.profile,))
        return 1 if any(name.rpartition(" ")[0] == paper.stem or name == paper.stem for (name,) in others) else paper.first

    def record(self, draft: Draft, *, model_id: int, now: float, ahead: tuple[int, Finished] | None = None) -> int | None:
        """Take the next number and keep the document of a draft, whose payload is then the numbered one; its id.

        In the caller's transaction, which queues the message too. None where one of its records is on another document by now:
        the draft was planned on a past that has changed. ``ahead`` is the document printed before the transaction under the number
        that was expected; it serves where that is the one.
        """
        paper, conn = draft.document, self.db.conn
        assert paper is not None
        if any(
            conn.execute("SELECT 1 FROM document_records WHERE model_id = ? AND record = ?", (model_id, each)).fetchone()
            for each in paper.records
        ):
            return None
        n = self.expected(paper)
        conn.execute(
            "INSERT INTO series(profile, name, last) VALUES (?, ?, ?) ON CONFLICT(profile, name) DO UPDATE SET last = excluded.last",
            (paper.profile, paper.series, n),
        )
        number = paper.written(n)
        made = ahead[1] if ahead is not None and ahead[0] == n else paper.finish(number)
        digest = hashlib.sha256(made.content).hexdigest()
        id_ = conn.execute(
            "INSERT INTO documents(profile, model_id, series, n, number, day, period, person, name, total, currency, file, content, sha256, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                paper.profile, model_id, paper.series, n, number, paper.day.isoformat(), paper.period, draft.person, draft.name,
                str(paper.total), paper.currency, made.file, made.content, digest, now,
            ),
        ).lastrowid  # fmt: skip
        assert id_ is not None
        conn.executemany(
            "INSERT INTO document_records(model_id, record, document_id) VALUES (?, ?, ?)",
            [(model_id, each, id_) for each in paper.records],
        )
        draft.payload = {**made.payload, "document": {"id": id_, "sha256": digest}}
        return id_

    def posted(self, model_id: int, made: list[tuple[int, Draft]]) -> None:
        """Tie documents to the messages that carry them, in the transaction that queued both."""
        self.db.conn.executemany(
            "UPDATE documents SET message_id = (SELECT id FROM messages WHERE model_id = ? AND step = ? AND person = ? AND occasion = ?) "
            "WHERE id = ?",
            [(model_id, draft.step, draft.person, draft.occasion, id_) for id_, draft in made],
        )

    # -- read ----------------------------------------------------------------------------------------------------------

    def on(self, model_id: int) -> dict[str, str]:
        """Every record of which a document of the model speaks: its id -> the document's number."""
        return dict(
            self.db.rows(
                "SELECT r.record, d.number FROM document_records r JOIN documents d ON d.id = r.document_id WHERE r.model_id = ?",
                (model_id,),
            )
        )

    def listed(
        self, *, profiles: frozenset[str] | None = None, model: str | None = None, person: str | None = None, number: str | None = None,
        limit: int | None = None,
    ) -> list[DocumentRow]:  # fmt: skip
        """The newest documents, newest first; ``number`` as it is written, capitals or not."""
        where, values = ["1"], list[object]()
        if profiles is not None:
            where.append(f"d.profile IN ({','.join('?' * len(profiles))})")
            values += sorted(profiles)
        for column, value in (("s.name", model), ("d.person", person)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if number is not None:
            where.append("d.number = ? COLLATE NOCASE")
            values.append(number)
        rows = self.db.rows(f"{_ROW} WHERE {' AND '.join(where)} ORDER BY d.id DESC LIMIT ?", (*values, -1 if limit is None else limit))
        return [_document(row) for row in rows]

    def records(self, document_id: int) -> list[str]:
        """The ids of the records that a document speaks of; none once it is void."""
        return [
            str(row[0]) for row in self.db.rows("SELECT record FROM document_records WHERE document_id = ? ORDER BY record", (document_id,))
        ]

    def file(self, document_id: int, *, live: bool = False) -> Kept | None:
        """A document's file as it was sent; with ``live`` None for one that is void. Raises StoreError where it is not what was printed."""
        row = self.db.row(
            "SELECT file, content, sha256, number FROM documents WHERE id = ? AND (voided_at IS NULL OR NOT ?)", (document_id, live)
        )
        if row is None:
            return None
        name, content, digest, number = row
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreError(
                f"{self.db.path}: document {number} is not what was printed: its checksum differs",
                hint="keep the file, then: automate db check, automate db restore BACKUP",
            )
        return Kept(str(name), bytes(content), str(digest))

    def problems(self) -> Iterator[str]:
        """What is wrong with them, in words: numbers that no document has, and files that are not what was printed. Nothing ever is."""
        last: tuple[str, str, int] | None = None
        for profile, series, n, number, content, digest in self.db.conn.execute(
            "SELECT profile, series, n, number, content, sha256 FROM documents ORDER BY profile, series, n"
        ):
            if last is not None and last[:2] == (profile, series) and last[2] + 1 != n:
                yield f"documents: {profile}, series {series}: no document has a number between {last[2]} and {n}"
            if hashlib.sha256(content).hexdigest() != digest:
                yield f"documents: {profile}, {number}: its checksum differs from the one it was sent with"
            last = (profile, series, n)

    # -- voided --------------------------------------------------------------------------------------------------------

    def void(self, document_id: int, reason: str, now: float) -> bool:
        """Declare a document void: it keeps its number, and its records may come onto another. False if it is void already.

        Its message keeps its place in the ledger under another occasion, so that the next run may say the same of the right document.
        Raises AutomateError while its message may yet leave.
        """
        with self.db.write() as conn:
            row = conn.execute(
                "SELECT d.number, m.id, m.state, a.name FROM documents d LEFT JOIN messages m ON m.id = d.message_id "
                "LEFT JOIN apps a ON a.id = m.app_id WHERE d.id = ? AND d.voided_at IS NULL",
                (document_id,),
            ).fetchone()
            if row is None:
                return False
            number, message, state, app = row
            if state in _OPEN:
                raise AutomateError(
                    f"{number} may still leave: its message M{message} is {state.replace('_', ' ')}",
                    hint=f"automate queue clear {app} cancels what waits, automate errors skip ends what an error holds",
                )
            conn.execute("UPDATE documents SET voided_at = ?, reason = ? WHERE id = ?", (now, reason, document_id))
            conn.execute("DELETE FROM document_records WHERE document_id = ?", (document_id,))
            conn.execute("UPDATE messages SET occasion = occasion || ' void ' || ? WHERE id = ?", (number, message))
            conn.execute("INSERT INTO operations(at, verb, target, detail) VALUES (?, 'void', ?, ?)", (now, number, reason))
            return True

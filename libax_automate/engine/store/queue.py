"""The send queue: enqueue, claim, settle. The hot path of the program, and the only way a message changes hands."""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from libax_automate.engine.outbox import Draft, activity_of
from libax_automate.engine.store import lists
from libax_automate.engine.store.database import Database
from libax_automate.engine.store.rows import Claimed, End, Outcome
from libax_automate.engine.store.spool import Spool

# All rows as one text: the sqlite3 module gives up the interpreter at every row, and with busy sender threads each turn costs more than
# reading the text does. A subquery with a LIMIT keeps its order.
_CLAIM = """
SELECT json_group_array(json_array(id, attempts, model_id, task_id, step, person, occasion, channel, recipient, payload, generation, tries,
  expires, activity, still))
FROM (SELECT * FROM messages WHERE app_id = ? AND state = 'waiting' AND not_before <= ? ORDER BY not_before, id LIMIT ?)
"""

# One statement for many rows: the sqlite3 module gives up the interpreter at every step, so with busy sender threads a statement
# for each row costs a change of threads for each row; and SQLite itself takes half the time.
_SENDING = "UPDATE messages SET state = 'sending', attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(?))"
_ATTEMPT = "INSERT INTO attempts(message_id, n, key, hash, started_at)"
_ENDED = """
UPDATE attempts SET ended_at = ?, outcome = ?, detail = ? WHERE n = ? AND ended_at IS NULL
  AND message_id IN (SELECT value FROM json_each(?))
"""
_SENT = """
UPDATE messages SET state = 'sent', provider_id = json_extract(j.value, '$[1]'), reason = json_extract(j.value, '$[2]'), ended_at = ?,
  error_id = NULL
FROM json_each(?) j WHERE messages.id = json_extract(j.value, '$[0]') AND messages.state = 'sending'
"""

#: what an attempt is called that had no answer and is made again under the same key
SAME_KEY = "same_key"

#: What a gate says of a row about to leave: None lets it go; otherwise its new state ("suppressed", or "waiting" with a later
#: instant) and why.
Gate = Callable[[Claimed], tuple[str, float, str] | None]


def message_key(instance: bytes, message_id: int, generation: int) -> str:
    """The idempotency key, a version 5 UUID (RFC 9562) of the database's own UUID and the message.

    The same for every try of the same send, a new one after a person asks for another. Spelt out because
    ``uuid.uuid5`` costs four times as much, once per message.
    """
    digest = bytearray(hashlib.sha1(b"%bM%d.%d" % (instance, message_id, generation), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Queue:
    """Verbs on messages. Those that change something run inside ``Database.write()``."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._instance: bytes | None = None

    @property
    def instance(self) -> bytes:
        """This database's own UUID, from which its idempotency keys are made."""
        if self._instance is None:
            self._instance = uuid.UUID(self.db.get("instance")).bytes
        return self._instance

    @contextlib.contextmanager
    def spool(self) -> Iterator[Spool]:
        """A place to gather a task's drafts without holding the database's write lock, or all of them in memory."""
        spool = Spool(self.db)
        try:
            yield spool
        finally:
            spool.close()

    def enqueue(self, drafts: Iterable[Draft], *, model_id: int, task_id: int | None, apps: dict[str, int], now: float) -> int:
        """Insert drafts in the caller's transaction; what is already in the ledger is left alone. Returns how many are new and waiting."""
        with self.spool() as spool:
            for draft in drafts:
                spool.add(draft)
            return spool.enqueue(model_id=model_id, task_id=task_id, apps=apps, now=now)

    def known(self, model_id: int, step: str, person: str, occasion: str) -> tuple[int, str, float] | None:
        """The message that already holds this key: its id, state, and instant."""
        found = self.db.row(
            "SELECT id, state, coalesce(ended_at, created_at) FROM messages WHERE model_id = ? AND step = ? AND person = ? AND occasion = ?",
            (model_id, step, person, occasion),
        )
        return (int(found[0]), str(found[1]), float(found[2])) if found else None

    def claim(
        self, app_id: int, limit: int, now: float, gate: Gate | None = None, *, alone: tuple[int, Callable[[str], bool]] | None = None
    ) -> list[Claimed]:
        """T1: take up to ``limit`` messages of an app for sending, each with a committed attempt row.

        ``alone`` is for an app that sends batches: how many messages it may take of the channels (``str -> bool``) that do not go in one;
        the first beyond that ends the claim, for nothing overtakes it.

        The caller has made sure in the same transaction that the app may send. Rows that the gate turns away end
        or wait here and do not count.
        """
        conn = self.db.conn
        taken: list[Claimed] = []
        turned: list[tuple[str, float, float | None, str, int]] = []
        left, batches = alone or (limit, None)
        instance = self.instance
        while (wanted := limit - len(taken)) > 0:
            found = json.loads(conn.execute(_CLAIM, (app_id, now, wanted)).fetchone()[0])
            if not found:
                break
            fresh: list[Claimed] = []
            turned.clear()
            for (
                id_, attempts, model_id, task_id, step, person, occasion, channel, to, payload, generation, tries, expires, activity, still,
            ) in found:  # fmt: skip
                row = Claimed(
                    id_, attempts + 1, app_id, model_id, task_id, step, person, occasion, channel, to, payload, "", tries, now, activity,
                    still,
                )  # fmt: skip
                if expires is not None and expires <= now:
                    turned.append(("expired", 0.0, now, "expired before it could leave", id_))
                    if step == "list":
                        lists.expire(conn, id_, now)
                    continue
                if gate is not None and (verdict := gate(row)) is not None:
                    state, until, why = verdict
                    turned.append((state, until, None if state == "waiting" else now, why, id_))
                    continue
                if batches is not None and not batches(channel):
                    left -= 1
                    if left < 0:
                        break
                row.key = message_key(instance, id_, generation)
                if attempts:
                    row.first_at = self.first_attempt(id_, row.key) or now
                    row.doubt = self._in_doubt(id_, row.key)
                fresh.append(row)
            if turned:
                conn.executemany("UPDATE messages SET state = ?, not_before = ?, ended_at = ?, reason = ? WHERE id = ?", turned)
            if fresh:
                conn.execute(_SENDING, (json.dumps([row.id for row in fresh]),))
                self.db.insert(_ATTEMPT, [(row.id, row.n, row.key, _hash(row), now) for row in fresh])
            taken += fresh
            if len(found) < wanted or left < 0:
                break
        return taken

    def settle(self, outcomes: Sequence[Outcome], now: float) -> None:
        """T2: what became of attempts. FAILED and IN_DOUBT only have their attempt closed here: ``hold`` ties the message to its error.

        Compare-and-set on the attempt: an outcome that comes twice, or after another one, changes nothing and counts nowhere.
        """
        conn = self.db.conn
        sent_end = End.SENT  # looking a member up in its Enum costs more than the comparison
        if all([o.end is sent_end for o in outcomes]):  # noqa: C419 - a list is faster than a generator, and nearly always whole
            if fresh := self._close_attempts(outcomes, now):
                self._sent(fresh, now)
            return
        released = [(o.row.id, o.row.n) for o in outcomes if o.end is End.RELEASED]
        if released:
            conn.executemany(
                "UPDATE messages SET state = 'waiting', attempts = attempts - 1 WHERE id = ? AND attempts = ? AND state = 'sending'",
                released,
            )
            conn.executemany("DELETE FROM attempts WHERE message_id = ? AND n = ? AND ended_at IS NULL", released)
        ended = self._close_attempts([o for o in outcomes if o.end is not End.RELEASED], now)
        sent = [o for o in ended if o.end is End.SENT]
        if sent:
            self._sent(sent, now)
        back = [(int(o.end is End.RETRY), o.cause, o.row.id) for o in ended if o.end in (End.RETRY, End.THROTTLED)]
        if back:
            conn.executemany(
                "UPDATE messages SET state = 'waiting', tries = tries + ?, reason = ? WHERE id = ? AND state = 'sending'", back
            )
        over = [(str(o.end), o.cause or o.detail, now, o.row.id) for o in ended if o.end in (End.REJECTED, End.CANCELLED)]
        if over:
            # both ends are called what the state is
            conn.executemany("UPDATE messages SET state = ?, reason = ?, ended_at = ? WHERE id = ? AND state = 'sending'", over)
        self._tally("failed", [o for o in ended if o.end in (End.REJECTED, End.FAILED, End.IN_DOUBT)])

    def _close_attempts(self, ended: Sequence[Outcome], now: float) -> Sequence[Outcome]:
        """Close the attempts that are open; returns the outcomes of those."""
        closed = self._mark(ended, now)
        if closed == len(ended):
            return ended
        # some came before, or come twice in one go: those count that were closed at this very instant, once each
        sql = "SELECT message_id, n FROM attempts WHERE ended_at = ? AND message_id IN (SELECT value FROM json_each(?))"
        just = set(self.db.rows(sql, (now, json.dumps([o.row.id for o in ended]))))
        fresh = []
        for o in ended:
            if (o.row.id, o.row.n) in just:
                just.remove((o.row.id, o.row.n))
                fresh.append(o)
        return fresh

    def _mark(self, ended: Sequence[Outcome], now: float) -> int:
        # nearly all are first attempts that ended alike: one statement for each group
        groups: dict[tuple[int, str, str], list[int]] = {}
        for o in ended:
            groups.setdefault((o.row.n, o.cls or o.end, o.cause or o.detail), []).append(o.row.id)
        execute = self.db.conn.execute
        return sum(
            execute(_ENDED, (now, str(outcome), detail, n, json.dumps(ids))).rowcount for (n, outcome, detail), ids in groups.items()
        )

    def _sent(self, sent: Sequence[Outcome], now: float) -> None:
        rows = json.dumps([(o.row.id, o.provider_id, o.detail) for o in sent], ensure_ascii=False)
        # half a surrogate pair, as a provider's JSON may hold, is no text for SQLite
        self.db.conn.execute(_SENT, (now, rows.encode("utf-8", "replace").decode()))
        for app_id, count in Counter(o.row.app_id for o in sent).items():
            self.db.conn.execute("UPDATE apps SET sent = sent + ?, throttled_until = 0 WHERE id = ?", (count, app_id))
        self._tally("sent", sent)

    def _tally(self, column: str, outcomes: Iterable[Outcome]) -> None:
        for task_id, count in Counter(o.row.task_id for o in outcomes).items():
            if task_id is not None:
                self.db.conn.execute(f"UPDATE tasks SET {column} = {column} + ? WHERE id = ?", (count, task_id))

    def hold(self, outcome: Outcome, error_id: int) -> None:
        """A message that an error holds: ``failed`` or ``in_doubt``, tied to the error."""
        self.db.conn.execute(
            "UPDATE messages SET state = ?, reason = ?, error_id = ? WHERE id = ? AND attempts = ? AND state = 'sending'",
            (str(outcome.end), outcome.cause, error_id, outcome.row.id, outcome.row.n),
        )

    def orphans(self) -> list[Claimed]:
        """Messages that a dead process left in ``sending``. Only the holder of the run lock may ask: for it they are provably orphans."""
        rows = self.db.rows(
            "SELECT m.id, m.attempts, m.app_id, m.model_id, m.task_id, m.step, m.person, m.occasion, m.channel, m.recipient, m.payload, "
            "a.key, m.tries, a.started_at, m.activity, m.still, "
            "(SELECT min(f.started_at) FROM attempts f WHERE f.message_id = m.id AND f.key = a.key) "
            "FROM messages m INDEXED BY messages_open JOIN attempts a ON a.message_id = m.id AND a.n = m.attempts "
            "WHERE m.state IN ('sending', 'failed', 'in_doubt') AND m.state = 'sending' ORDER BY m.id"
        )
        return [Claimed(*row) for row in rows]

    def first_attempt(self, message_id: int, key: str) -> float | None:
        """When the first attempt under ``key`` was made."""
        found = self.db.value("SELECT min(started_at) FROM attempts WHERE message_id = ? AND key = ?", (message_id, key))
        return None if found is None else float(found)

    def _in_doubt(self, message_id: int, key: str) -> bool:
        """Whether an attempt under ``key`` had no answer and nobody has said since what became of it."""
        found = self.db.value(
            f"SELECT outcome FROM attempts WHERE message_id = ? AND key = ? AND outcome IN ('{SAME_KEY}', 'in_doubt', 'bug') ORDER BY n DESC LIMIT 1",
            (message_id, key),
        )
        return bool(found == SAME_KEY)

    def follow_up(self, ids: Iterable[int], now: float) -> None:
        """Queue the activity of messages that were sent (LX-55), of those that have one: once, for its key is the message's own."""
        at = datetime.fromtimestamp(now, UTC)
        for id_ in ids:
            found = self.db.row("SELECT activity, channel, recipient, payload FROM messages WHERE id = ? AND activity IS NOT NULL", (id_,))
            if found is None:
                continue
            (app_name, record), (_, channel, to, payload) = json.loads(found[0]), found
            self.db.conn.execute(
                "INSERT OR IGNORE INTO messages(app_id, model_id, task_id, step, person, occasion, channel, recipient, name, payload, state, "
                "not_before, created_at) SELECT b.id, m.model_id, NULL, m.step || '+activity', m.person, m.occasion, 'action', ?, '', ?, "
                "'waiting', 0, ? FROM messages m JOIN apps a ON a.id = m.app_id JOIN apps b ON b.profile = a.profile AND b.name = ? WHERE m.id = ?",
                (record, activity_of(message=id_, channel=channel, to=to, payload=payload, at=at), now, app_name, id_),
            )

    def next_of_users(self, app_id: int) -> float | None:
        """Like ``next_waiting``, the program's own notices apart."""
        found = self.db.value(
            "SELECT m.not_before FROM messages m WHERE m.app_id = ? AND m.state = 'waiting' "
            "AND m.model_id NOT IN (SELECT id FROM models WHERE system = 1) ORDER BY m.not_before LIMIT 1",
            (app_id,),
        )
        return None if found is None else float(found)

    def next_waiting(self, app_id: int) -> float | None:
        """The earliest instant from which something of the app may leave, if anything waits at all."""
        found = self.db.value("SELECT min(not_before) FROM messages WHERE app_id = ? AND state = 'waiting'", (app_id,))
        return None if found is None else float(found)


def _hash(row: Claimed) -> bytes:
    return hashlib.blake2b(f"{row.to}\0{row.payload}".encode(), digest_size=16).digest()

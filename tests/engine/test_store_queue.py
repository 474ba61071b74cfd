"""The send queue's verbs, by themselves: who is taken, in which order, what an outcome sets, and who is an orphan."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libax_automate.engine.store.queue import Gate, message_key
from libax_automate.engine.store.rows import Claimed, End, Outcome
from tests.harness.ledger import DAY, HOUR, NOW, Ledger, ledger


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with ledger(tmp_path) as found:
        yield found


def attempts(book: Ledger, message: int) -> list[tuple[object, ...]]:
    """(n, started, ended, outcome, detail) of a message."""
    return [(n, started, ended, outcome, detail) for n, _, started, ended, outcome, detail in book.store.ledger.attempts(message)]


# -- keys ----------------------------------------------------------------------------------------------------------------------


def test_a_key_is_a_uuid_of_the_database_and_the_message() -> None:
    instance = uuid.UUID("12345678-1234-5678-1234-567812345678")
    for number in range(60):
        assert message_key(instance.bytes, number, 2) == str(uuid.uuid5(instance, f"M{number}.2"))
    assert len({message_key(instance.bytes, number, generation) for number in range(50) for generation in range(3)}) == 150


def test_an_instance_is_read_once_and_is_the_databases_own(book: Ledger) -> None:
    assert book.store.queue.instance == uuid.UUID(book.store.db.get("instance")).bytes
    assert book.store.queue.instance is book.store.queue.instance


# -- known, waiting ------------------------------------------------------------------------------------------------------------


def test_a_key_that_is_taken_says_by_what(book: Ledger) -> None:
    (one,) = book.put()
    known = book.store.queue.known
    assert known(book.model, "", "x0", "o") == (one, "waiting", NOW)
    with book.store.write() as conn:
        conn.execute("UPDATE messages SET state = 'sent', ended_at = ?", (NOW + DAY,))
    assert known(book.model, "", "x0", "o") == (one, "sent", NOW + DAY)
    assert known(book.model, "s", "x0", "o") is None
    assert known(book.model, "", "x1", "o") is None
    assert known(book.model, "", "x0", "p") is None
    assert known(book.model + 1, "", "x0", "o") is None


def test_the_next_message_is_the_earliest_and_the_programs_own_are_told_apart(book: Ledger) -> None:
    queue = book.store.queue
    assert (queue.next_waiting(book.a), queue.next_of_users(book.a)) == (None, None)
    notices = book.seen("automate:notice", system=True)
    book.put(1, model=notices, prefix="n")
    assert (queue.next_waiting(book.a), queue.next_of_users(book.a)) == (0.0, None)
    late = datetime.fromtimestamp(NOW + HOUR, UTC)
    book.put(1, prefix="l", not_before=datetime.fromtimestamp(NOW + DAY, UTC)), book.put(1, prefix="m", not_before=late)
    assert (queue.next_waiting(book.a), queue.next_of_users(book.a)) == (0.0, NOW + HOUR)
    assert queue.next_waiting(book.b) is None
    book.claim(now=NOW + 2 * DAY)
    assert (queue.next_waiting(book.a), queue.next_of_users(book.a)) == (None, None)


# -- claim ---------------------------------------------------------------------------------------------------------------------


def test_a_claim_takes_the_oldest_that_may_leave_with_an_attempt_each(book: Ledger) -> None:
    task = book.task()
    book.put(3, task=task)
    book.put(1, prefix="l", not_before=datetime.fromtimestamp(NOW + HOUR, UTC))
    book.put(1, app="b", prefix="y")
    first, second = book.claim(2)
    assert (first.id, second.id) == (1, 2)
    assert (first.n, first.app_id, first.model_id, first.task_id, first.step, first.person, first.occasion) == (
        1, book.a, book.model, task, "", "x0", "o",
    )  # fmt: skip
    assert (first.channel, first.to, json.loads(first.payload), first.tries, first.started_at) == (
        "sms",
        "+351910000000",
        {"text": "Olá"},
        0,
        NOW,
    )
    assert (first.activity, first.still, first.first_at, first.doubt) == (None, None, 0.0, False)
    assert first.key == message_key(book.store.queue.instance, 1, 0) != second.key
    assert book.state(1, 2, 3) == ["sending", "sending", "waiting"]
    rows = book.store.db.rows("SELECT message_id, n, key, hash, started_at, ended_at, outcome FROM attempts ORDER BY 1")
    digest = hashlib.blake2b(f"{first.to}\0{first.payload}".encode(), digest_size=16).digest()
    assert rows[0] == (1, 1, first.key, digest, NOW, None, None)
    assert len(rows) == 2
    # the other app's, and the one whose time has not come, are not there
    assert [row.id for row in book.claim(now=NOW + HOUR - 1)] == [3]
    assert [row.id for row in book.claim(now=NOW + HOUR)] == [4]
    assert book.claim(now=NOW + HOUR) == []
    assert [row.id for row in book.claim(app=book.b)] == [5]


def test_what_may_leave_earlier_leaves_earlier_then_by_number(book: Ledger) -> None:
    book.put(1, prefix="c", not_before=datetime.fromtimestamp(NOW - 1, UTC))
    book.put(1, prefix="b", not_before=datetime.fromtimestamp(NOW - 2, UTC))
    book.put(2)
    assert [row.id for row in book.claim()] == [3, 4, 2, 1]


def test_a_claim_of_nothing_takes_nothing(book: Ledger) -> None:
    book.put(2)
    assert book.claim(0) == []
    assert book.state(1, 2) == ["waiting", "waiting"]


def test_what_has_expired_ends_and_its_place_is_taken(book: Ledger) -> None:
    gone, soon = datetime.fromtimestamp(NOW, UTC), datetime.fromtimestamp(NOW + 1, UTC)
    book.put(2, prefix="e", expires=gone)
    book.put(1, prefix="s", expires=soon)
    book.put(2)
    assert [row.id for row in book.claim(2)] == [3, 4]
    rows = book.store.db.rows("SELECT state, ended_at, reason, attempts FROM messages WHERE id < 3")
    assert rows == [("expired", NOW, "expired before it could leave", 0)] * 2
    assert book.state(5) == ["waiting"]


def test_the_gate_turns_away_and_holds_and_the_rest_goes_on(book: Ledger) -> None:
    book.put(5)
    verdicts = {"x0": ("suppressed", 0.0, "listed"), "x2": ("waiting", NOW + HOUR, "quiet hours")}
    gate: Gate = lambda row: verdicts.get(row.person)  # noqa: E731
    assert [row.id for row in book.claim(2, gate=gate)] == [2, 4]
    assert book.row("SELECT state, ended_at, reason FROM messages WHERE id = 1") == ("suppressed", NOW, "listed")
    assert book.row("SELECT state, ended_at, reason, not_before FROM messages WHERE id = 3") == ("waiting", None, "quiet hours", NOW + HOUR)
    assert [row.id for row in book.claim(9, gate=gate)] == [5]
    # all of a look turned away, and more behind it
    book.put(3, prefix="z")
    everybody: Gate = lambda row: ("suppressed", 0.0, "listed") if row.person != "z2" else None  # noqa: E731
    assert [row.person for row in book.claim(1, gate=everybody)] == ["z2"]


def test_of_what_leaves_one_by_one_a_claim_for_batches_takes_a_few(book: Ledger) -> None:
    """The first that would be too many ends the claim: nothing overtakes it."""
    from libax_automate.message import Channel

    book.put(1, prefix="a", channel=Channel.EMAIL), book.put(2, prefix="b"), book.put(2, prefix="c", channel=Channel.EMAIL)
    in_one: tuple[int, object] = (1, lambda channel: channel == "email")
    assert [row.id for row in book.claim(10, alone=in_one)] == [1, 2]
    assert book.state(3, 4, 5) == ["waiting"] * 3
    assert [row.id for row in book.claim(10, alone=in_one)] == [3, 4, 5]
    book.put(2, prefix="d")
    assert book.claim(10, alone=(0, lambda channel: channel == "email")) == []
    assert [row.id for row in book.claim(10, alone=(2, lambda channel: channel == "email"))] == [6, 7]


def test_a_second_attempt_keeps_its_key_and_its_first_instant(book: Ledger) -> None:
    book.put(1)
    (first,) = book.claim()
    book.settle(Outcome(first, End.RETRY, cls="transient", cause="refused"), now=NOW + 1)
    (second,) = book.claim(now=NOW + 60)
    assert (second.n, second.key, second.tries, second.started_at, second.first_at, second.doubt) == (2, first.key, 1, NOW + 60, NOW, False)
    assert attempts(book, 1) == [(1, NOW, NOW + 1, "transient", "refused"), (2, NOW + 60, None, None, None)]
    assert book.store.queue.first_attempt(1, first.key) == NOW
    assert book.store.queue.first_attempt(1, "another") is None
    # after a person's retry of what failed, all counts from anew
    error = book.fail(second, now=NOW + 61)
    book.store.errors.retry(error, NOW + 62)
    (third,) = book.claim(now=NOW + 90)
    assert (third.n, third.tries, third.first_at) == (3, 0, NOW + 90)
    assert third.key == message_key(book.store.queue.instance, 1, 1)


@pytest.mark.parametrize("cls", ["in_doubt", "bug"])
def test_an_attempt_without_an_answer_leaves_a_doubt_until_somebody_has_spoken(book: Ledger, cls: str) -> None:
    book.put(1)
    (row,) = book.claim()
    book.settle(Outcome(row, End.RETRY, cls="same_key", cause="cut off"))
    (row,) = book.claim()
    assert row.doubt
    book.settle(Outcome(row, End.THROTTLED, cls="rate_limited", cause="slow"))
    (row,) = book.claim()
    assert row.doubt, "the second provably did not leave, the first may have"
    error = book.fail(row, cls=cls, end=End.IN_DOUBT)
    book.store.errors.retry(error, NOW)
    (row,) = book.claim()
    assert not row.doubt


# -- settle --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def window(book: Ledger) -> tuple[Ledger, list[Claimed], int]:
    """Nine messages of a task under way."""
    task = book.task()
    book.put(9, task=task)
    return book, book.claim(), task


def test_each_outcome_sets_what_it_means(window: tuple[Ledger, list[Claimed], int]) -> None:
    book, rows, task = window
    ends = [
        Outcome(rows[0], End.SENT, provider_id="g1", detail="queued"), Outcome(rows[1], End.RELEASED),
        Outcome(rows[2], End.RETRY, cls="transient", cause="refused"), Outcome(rows[3], End.THROTTLED, cls="rate_limited", cause="slow"),
        Outcome(rows[4], End.REJECTED, cls="recipient", cause="no such number"), Outcome(rows[5], End.CANCELLED, detail="paid meanwhile"),
        Outcome(rows[6], End.FAILED, cls="content", cause="too large"), Outcome(rows[7], End.IN_DOUBT, cls="in_doubt", cause="cut off"),
    ]  # fmt: skip
    book.settle(*ends, now=NOW + 5)
    seen = book.store.db.rows("SELECT state, attempts, tries, reason, ended_at, provider_id FROM messages ORDER BY id")
    assert seen == [
        ("sent", 1, 0, "queued", NOW + 5, "g1"),
        ("waiting", 0, 0, "", None, None),
        ("waiting", 1, 1, "refused", None, None),
        ("waiting", 1, 0, "slow", None, None),
        ("rejected", 1, 0, "no such number", NOW + 5, None),
        ("cancelled", 1, 0, "paid meanwhile", NOW + 5, None),
        ("sending", 1, 0, "", None, None),
        ("sending", 1, 0, "", None, None),
        ("sending", 1, 0, "", None, None),
    ]
    closed = [attempts(book, number) for number in range(1, 10)]
    assert closed[0] == [(1, NOW, NOW + 5, "sent", "queued")]
    assert closed[1] == []
    assert [each[0][3:] for each in closed[2:8]] == [
        ("transient", "refused"), ("rate_limited", "slow"), ("recipient", "no such number"), ("cancelled", "paid meanwhile"), ("content", "too large"),
        ("in_doubt", "cut off"),
    ]  # fmt: skip
    assert closed[8] == [(1, NOW, None, None, None)]
    # rejected, failed and in doubt
    assert book.counts(task) == (1, 3)
    assert book.row("SELECT sent FROM apps WHERE id = ?", book.a) == (1,)


def test_an_error_holds_its_message_and_no_other(window: tuple[Ledger, list[Claimed], int]) -> None:
    book, rows, _ = window
    error = book.fail(rows[6])
    book.fail(rows[7], cls="in_doubt", end=End.IN_DOUBT)
    assert book.state(7, 8, 9) == ["failed", "in_doubt", "sending"]
    assert book.row("SELECT error_id, reason FROM messages WHERE id = 7") == (error, "why")
    with book.store.write():
        book.store.queue.hold(Outcome(rows[6], End.IN_DOUBT, cause="later"), error + 1)
        stale = Outcome(rows[8], End.FAILED, cause="stale")
        stale.row.n = 2
        book.store.queue.hold(stale, error)
    assert book.state(7, 9) == ["failed", "sending"]
    assert book.row("SELECT error_id FROM messages WHERE id = 7") == (error,)


def test_a_whole_window_of_successes_is_counted_per_app_and_task(book: Ledger) -> None:
    task, other = book.task("s1"), book.task("s2")
    book.put(2, task=task), book.put(1, task=other, prefix="y"), book.put(1, prefix="z"), book.put(1, app="b", prefix="w")
    with book.store.write() as conn:
        conn.execute("UPDATE apps SET throttled_until = 9")
    book.settle(*[Outcome(row, End.SENT, provider_id=f"g{row.id}") for row in (*book.claim(), *book.claim(app=book.b))])
    assert (book.counts(task), book.counts(other)) == ((2, 0), (1, 0))
    assert book.row("SELECT count(*) FROM messages WHERE error_id IS NOT NULL") == (0,)
    # a success says that a wait is over, in its own app
    rows = book.store.db.rows("SELECT sent, throttled_until FROM apps ORDER BY id")
    assert rows == [(4, 0), (1, 0), (0, 9), (0, 9)]
    assert [row[0] for row in book.store.db.rows("SELECT provider_id FROM messages ORDER BY id")] == ["g1", "g2", "g3", "g4", "g5"]
    assert {row[3] for number in range(1, 6) for row in attempts(book, number)} == {"sent"}


def test_a_provider_may_say_what_it_likes(book: Ledger) -> None:
    """Half a surrogate pair, quotes, nothing at all."""
    book.put(2)
    one, two = book.claim()
    book.settle(Outcome(one, End.SENT, provider_id='a"\ud800é', detail="it's"), Outcome(two, End.SENT))
    assert book.row("SELECT provider_id, reason FROM messages WHERE id = 1") == ('a"?é', "it's")
    assert book.row("SELECT provider_id, reason FROM messages WHERE id = 2") == (None, "")


def test_nothing_to_settle_settles_nothing(book: Ledger) -> None:
    book.settle()
    book.put(1)
    (row,) = book.claim()
    book.settle(Outcome(row, End.RELEASED), Outcome(row, End.RELEASED))
    assert book.row("SELECT state, attempts FROM messages") == ("waiting", 0)


# -- orphans, activities -------------------------------------------------------------------------------------------------------


def test_an_orphan_comes_back_as_it_was_claimed(book: Ledger) -> None:
    task = book.task()
    book.put(4, task=task)
    (row,) = book.claim(1)
    book.settle(Outcome(row, End.RETRY, cls="transient"))
    rows = book.claim(3, now=NOW + 7)
    book.settle(Outcome(rows[1], End.SENT), now=NOW + 8)
    book.fail(rows[2])
    (found,) = book.store.queue.orphans()
    assert found.first_at == NOW
    found.first_at, rows[0].first_at = 0.0, 0.0
    assert found == rows[0]
    assert (found.id, found.n, found.started_at, found.tries) == (1, 2, NOW + 7, 1)
    # tries under an earlier key say nothing of this one's age
    book.store.errors.retry(book.fail(found), NOW + 9)
    (again,) = [row for row in book.claim(now=NOW + 10) if row.id == 1]
    assert next(row.first_at for row in book.store.queue.orphans() if row.id == 1) == NOW + 10
    assert again.key != found.key


def test_an_activity_follows_what_was_sent_once(book: Ledger) -> None:
    book.put(1, activity=("c", "rec-7")), book.put(1, prefix="y"), book.put(1, prefix="z", activity=("nobody", "rec-8"))
    for _ in range(2):
        with book.store.write():
            book.store.queue.follow_up([1, 2, 3, 99], NOW + 5)
    rows = book.store.db.rows(
        "SELECT app_id, model_id, task_id, step, person, occasion, channel, recipient, state, not_before, created_at FROM messages WHERE id > 3"
    )
    assert rows == [(book.c, book.model, None, "+activity", "x0", "o", "action", "rec-7", "waiting", 0, NOW + 5)]
    payload = json.loads(str(book.store.db.value("SELECT payload FROM messages WHERE id > 3")))
    assert payload["fields"]["channel"] == "sms"


def test_an_activity_goes_to_the_app_of_the_messages_own_profile(book: Ledger) -> None:
    model = book.seen("m", profile="q")
    book.put(1, model=model, app="c", activity=("a", "rec-7"))
    with book.store.write() as conn:
        conn.execute("UPDATE messages SET app_id = ?", (book.other,))
        book.store.queue.follow_up([1], NOW)
    assert book.row("SELECT app_id FROM messages WHERE id = 2") == (book.other,)

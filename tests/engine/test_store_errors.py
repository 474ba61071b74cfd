"""The store's verbs on errors, by themselves: who shares a cause, what waits behind it, and what each verb of an operator leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.engine.store.rows import AppState, End, Outcome
from tests.harness.ledger import DAY, HOUR, NOW, Ledger, ledger

EVERYBODY = frozenset({"p", "q"})


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with ledger(tmp_path) as found:
        yield found


def test_an_error_is_kept_as_it_was_told(book: Ledger) -> None:
    (one,) = book.put()
    (row,) = book.claim()
    error = book.store.errors.get(book.fail(row))
    assert error is not None
    assert (error.profile, error.app, error.app_id, error.credential_id) == ("p", "a", book.a, None)
    assert (error.cls, error.cause, error.hint, error.detail, error.message_id) == ("content", "why", "do this", "trace", one)
    assert (error.opened_at, error.closed_at, error.resolution, error.notices, error.next_notice) == (NOW, None, None, 0, NOW)
    assert (error.messages, error.waiting) == ((one,), 0)
    assert book.store.errors.get(99) is None


def test_a_cause_of_the_credential_is_one_error_for_all_its_apps(book: Ledger) -> None:
    book.put(3), book.put(2, app="b", prefix="y"), book.put(2, app="c", prefix="z")
    first, second = book.claim(2)
    (third,) = book.claim(1, app=book.b)
    error = book.fail(first, cls="account", shared=True)
    assert book.fail(second, cls="account", shared=True, cause="said otherwise") == error
    assert book.fail(third, cls="account", shared=True) == error
    # another class of the same credential, and the same class of another one, are causes of their own
    (fourth,) = book.claim(1, app=book.c)
    assert book.fail(fourth, cls="account", shared=True) != error
    row = book.store.errors.get(error)
    assert row is not None
    # two of three in a have failed, one of two in b: what waits behind it is of both, and not of c
    assert (row.waiting, len(row.messages)) == (2, 3)
    assert [each.id for each in book.store.errors.listed(app_id=book.b)] == [error]
    assert [each.id for each in book.store.errors.listed(app_id=book.c)] == [error + 1]
    assert book.store.errors.listed(app_id=book.other) == []
    assert book.store.apps.state(book.b, NOW)[0] is AppState.HALTED


def test_a_cause_of_the_app_is_the_apps_own(book: Ledger) -> None:
    book.put(4), book.put(2, app="b", prefix="y")
    rows = book.claim(3)
    one = book.fail(rows[0])
    assert book.fail(rows[0]) == one, "the same cause is not opened twice"
    two, three = book.fail(rows[1]), book.fail(rows[2], cls="recipient")
    assert len({one, two, three}) == 3
    found = book.store.errors.get(one)
    assert found is not None
    assert found.waiting == 1, "the other app's messages do not wait for it"
    assert [each.id for each in book.store.errors.listed(app_id=book.b)] == []
    # the same class and key in another app is another error
    (other,) = book.claim(1, app=book.b)
    other.id = rows[0].id
    assert book.fail(other) not in (one, two, three)


def test_a_closed_error_waits_for_nobody_and_the_same_cause_opens_anew(book: Ledger) -> None:
    book.put(3)
    (row,) = book.claim(1)
    error = book.fail(row)
    book.store.errors.skip(error, NOW + 1)
    closed = book.store.errors.get(error)
    assert closed is not None
    assert (closed.closed_at, closed.resolution, closed.waiting, closed.messages) == (NOW + 1, "skip", 0, ())
    assert book.store.errors.listed() == []
    assert [each.id for each in book.store.errors.listed(closed=True)] == [error]
    (row,) = book.claim(1)
    assert book.fail(row) != error


def test_errors_are_listed_by_profile_oldest_first(book: Ledger) -> None:
    model = book.seen("m", profile="q")
    book.put(2)
    book.put(1, model=model, app="c", prefix="q")
    with book.store.write() as conn:
        conn.execute("UPDATE messages SET app_id = ? WHERE app_id = ?", (book.other, book.c))
    rows = book.claim(2)
    (strange,) = book.claim(1, app=book.other)
    ids = [book.fail(strange), book.fail(rows[1]), book.fail(rows[0])]
    assert [each.id for each in book.store.errors.listed()] == ids
    assert [each.id for each in book.store.errors.listed(profiles=frozenset({"p"}))] == ids[1:]
    assert [each.id for each in book.store.errors.listed(profiles=frozenset({"q"}))] == ids[:1]
    assert [each.id for each in book.store.errors.listed(profiles=EVERYBODY, app_id=book.a)] == ids[1:]
    assert book.store.errors.listed(profiles=frozenset()) == []


def test_a_reference_belongs_to_its_profile_or_to_nobody(book: Ledger) -> None:
    """What an earlier pass has printed: of other profiles it is not forgotten, of none any more it is."""
    book.put()
    (row,) = book.claim()
    task, errors = book.task(), book.store.errors
    error = book.fail(row)
    with book.store.write():
        approval = book.store.approvals.open(book.model, task, "why", NOW)
    # a model whose number differs from its task's, so that one cannot pass for the other
    elsewhere = book.task("s9", model=book.seen("n", profile="q"))
    for reference in (f"E{error}", f"T{task}", f"A{approval}"):
        assert errors.belongs(reference, frozenset({"p"}))
        assert errors.belongs(reference, EVERYBODY)
        assert not errors.belongs(reference, frozenset({"q"}))
        assert not errors.belongs(reference, frozenset())
    assert errors.belongs(f"T{elsewhere}", frozenset({"q"}))
    assert not errors.belongs(f"T{elsewhere}", frozenset({"p"}))
    for gone in ("E99", "T99", "A99", "fence", "X1", ""):
        assert errors.belongs(gone, frozenset({"p"}))


# -- retry, skip, sent ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(book: Ledger) -> tuple[Ledger, int, int]:
    """A task of four: one failed, one in doubt under the same error, one sent, one waits; (book, error, task)."""
    task = book.task()
    book.put(4, task=task)
    one, two, three = book.claim(3)
    error = book.fail(one, cls="account", shared=True)
    book.fail(two, cls="account", shared=True, end=End.IN_DOUBT)
    book.settle(Outcome(three, End.SENT, provider_id="g"))
    with book.store.write() as conn:
        conn.execute("UPDATE messages SET tries = 3 WHERE id IN (1, 2)")
        conn.execute("UPDATE apps SET throttled_until = ?, refused = 'xx'", (NOW + DAY,))
    assert book.counts(task) == (1, 2)
    return book, error, task


def test_retry_puts_them_back_to_the_head(held: tuple[Ledger, int, int]) -> None:
    book, error, task = held
    done = book.store.errors.retry(error, NOW + HOUR)
    assert (done.messages, done.errors, done.batch) == ([1, 2], [error], None)
    assert book.state(1, 2, 3, 4) == ["waiting", "waiting", "sent", "waiting"]
    rows = book.store.db.rows("SELECT tries, not_before, error_id, reason, generation FROM messages WHERE id < 3 ORDER BY id")
    # the provider did answer the first: a new send; it may remember the key of the second
    assert rows == [(0, 0, None, "", 1), (0, 0, None, "", 0)]
    assert book.counts(task) == (1, 0)
    assert book.operations() == [(NOW + HOUR, "retry", f"E{error}", "2 messages")]
    assert [row.id for row in book.claim(now=NOW + DAY)] == [1, 2, 4]


def test_an_error_that_is_resolved_holds_up_nobody_any_more(held: tuple[Ledger, int, int]) -> None:
    book, error, _ = held
    book.store.errors.retry(error, NOW + HOUR)
    rows = book.store.db.rows("SELECT id, throttled_until, refused FROM apps ORDER BY id")
    free, others = (0, ""), (NOW + DAY, "xx")
    assert rows == [(book.a, *free), (book.b, *free), (book.c, *others), (book.other, *others)]
    assert book.store.apps.state(book.a, NOW)[0] is AppState.RUNNING
    assert not book.store.errors.close(error, "retry", NOW), "another was faster"
    assert not book.store.errors.close(99, "retry", NOW)


def test_a_verb_on_one_message_leaves_the_error_to_the_others(held: tuple[Ledger, int, int]) -> None:
    book, error, task = held
    done = book.store.errors.retry(error, NOW, message=2)
    assert (done.messages, done.errors) == ([2], [])
    assert book.state(1, 2) == ["failed", "waiting"]
    found = book.store.errors.get(error)
    assert found is not None
    assert (found.closed_at, found.messages, found.waiting) == (None, (1,), 2)
    assert book.counts(task) == (1, 1)
    assert book.store.errors.retry(error, NOW, message=4).messages == [], "of another state"
    assert book.store.errors.skip(error, NOW, message=1).errors == [error]


def test_skip_ends_them_and_counts_them_as_failed(held: tuple[Ledger, int, int]) -> None:
    book, error, task = held
    done = book.store.errors.skip(error, NOW + HOUR)
    assert (done.messages, done.errors) == ([1, 2], [error])
    rows = book.store.db.rows("SELECT state, ended_at, reason, error_id FROM messages WHERE id < 3")
    assert rows == [("skipped", NOW + HOUR, f"skip by hand (E{error})", None)] * 2
    assert book.counts(task) == (1, 2)
    assert book.row("SELECT sent FROM apps WHERE id = ?", book.a) == (1,)
    assert book.operations() == [(NOW + HOUR, "skip", f"E{error}", "2 messages")]


def test_sent_ends_them_as_sent_and_counts_each_once(held: tuple[Ledger, int, int]) -> None:
    book, error, task = held
    done = book.store.errors.sent(error, NOW + HOUR)
    assert (done.messages, done.errors) == ([1, 2], [error])
    rows = book.store.db.rows("SELECT state, ended_at, reason, error_id FROM messages WHERE id < 3")
    assert rows == [("sent", NOW + HOUR, f"sent by hand (E{error})", None)] * 2
    assert book.counts(task) == (3, 0)
    assert [row[0] for row in book.store.db.rows("SELECT sent FROM apps ORDER BY id")] == [3, 0, 0, 0]
    assert book.operations() == [(NOW + HOUR, "sent", f"E{error}", "2 messages")]
    assert book.store.errors.sent(error, NOW + DAY).messages == [], "said twice, counted once"
    assert book.counts(task) == (3, 0)


def test_other_tasks_and_those_without_one_are_not_counted(held: tuple[Ledger, int, int]) -> None:
    book, error, task = held
    other = book.task("s2")
    book.put(2, task=other, prefix="w"), book.put(1, task=None, prefix="v")
    book.store.errors.retry(error, NOW)
    rows = {row.id: row for row in book.claim(now=NOW + DAY)}
    free = next(row for row in rows.values() if row.task_id is None)
    strange = next(row for row in rows.values() if row.task_id == other)
    loose, second = book.fail(free), book.fail(strange)
    book.store.errors.retry(loose, NOW)
    assert (book.counts(task), book.counts(other)) == ((1, 0), (0, 1))
    book.store.errors.sent(second, NOW)
    assert (book.counts(task), book.counts(other)) == ((1, 0), (1, 0))
    # a count never goes below nothing, whatever an earlier version has counted
    with book.store.write() as conn:
        conn.execute("UPDATE tasks SET failed = 0")
    assert book.counts(other) == (1, 0)


def test_what_is_told_of_a_thousand_messages_at_most(book: Ledger) -> None:
    book.put(1003)
    rows = book.claim(1003)
    error = book.fail(rows[0], shared=True)
    with book.store.write() as conn:
        conn.execute("UPDATE messages SET state = 'failed', error_id = ?", (error,))
    found = book.store.errors.get(error)
    assert found is not None
    assert found.messages == tuple(range(1, 1001))
    assert len(book.store.errors.retry(error, NOW).messages) == 1003


def test_what_a_person_says_has_arrived_is_written_back_and_counted_in_its_own_app(book: Ledger) -> None:
    book.put(1), book.put(1, app="b", prefix="y", activity=("c", "rec-7"))
    (row,) = book.claim(app=book.b)
    error = book.fail(row, cls="in_doubt", end=End.IN_DOUBT)
    book.store.errors.sent(error, NOW + 1)
    assert [row[0] for row in book.store.db.rows("SELECT sent FROM apps ORDER BY id")] == [0, 1, 0, 0]
    assert book.row("SELECT recipient, created_at FROM messages WHERE channel = 'action'") == ("rec-7", NOW + 1)


def test_an_error_is_new_once(book: Ledger) -> None:
    book.put(1)
    (row,) = book.claim()
    outcome = Outcome(row, End.FAILED, cls="content", cause="why", cause_key="k")
    with book.store.write():
        error, fresh = book.store.errors.open(outcome, profile="p", credential_id=None, now=NOW)
        assert fresh is True
        assert book.store.errors.open(outcome, profile="p", credential_id=None, now=NOW) == (error, False)


# -- notices -------------------------------------------------------------------------------------------------------------------


def test_a_notice_is_due_at_its_instant_while_the_error_is_open(book: Ledger) -> None:
    book.put(2)
    one, two = book.claim()
    first, second = book.fail(one), book.fail(two, now=NOW + HOUR)
    errors = book.store.errors
    assert [error.id for error in errors.due_notices(NOW - 1)] == []
    assert [error.id for error in errors.due_notices(NOW)] == [first]
    assert [error.id for error in errors.due_notices(NOW + HOUR)] == [first, second]
    with book.store.write():
        errors.noticed(first, NOW + DAY)
    assert [error.id for error in errors.due_notices(NOW + HOUR)] == [second]
    found = errors.get(first)
    assert found is not None
    assert (found.notices, found.next_notice) == (1, NOW + DAY)
    assert [(e.id, e.messages) for e in errors.due_notices(NOW + DAY)] == [(first, (1,)), (second, (2,))]
    errors.skip(first, NOW)
    assert [error.id for error in errors.due_notices(NOW + DAY)] == [second]

"""The store's verbs on models and tasks, by themselves: what they compare, what they set, and what they leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.engine.store.rows import TaskState
from tests.harness.ledger import DAY, HOUR, NOW, Ledger, ledger

P = frozenset({"p"})


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with ledger(tmp_path) as found:
        yield found


def finish(book: Ledger, task: int, *, now: float = NOW, month: str = "2026-12", bookmark: float | None = None) -> None:
    """A task's end."""
    with book.store.write():
        book.store.tasks.finish(task, now=now, month=month, bookmark=bookmark, planned=0, excluded=0, queued=0, bad_rows=0)


# -- models --------------------------------------------------------------------------------------------------------------------


def test_a_model_is_remembered_from_its_first_sight(book: Ledger) -> None:
    tasks = book.store.tasks
    row = tasks.see_model("p", "n", now=NOW, slots_from=NOW + DAY, fingerprint="f")
    assert (row.profile, row.name, row.enabled, row.first_seen, row.slot_bookmark, row.bookmark, row.baseline_at, row.fingerprint) == (
        "p", "n", None, NOW, NOW + DAY, NOW, None, "f",
    )  # fmt: skip
    assert tasks.see_model("p", "n", now=NOW + 9, slots_from=0.0, fingerprint="g") == row, "a second look changes nothing"
    assert tasks.model("p", "n") == row
    assert tasks.model("q", "n") is None
    assert tasks.model("p", "x") is None


def test_the_programs_own_models_are_told_apart(book: Ledger) -> None:
    own = book.seen("automate:notice", system=True)
    book.seen("a", profile="q"), book.seen("a")
    assert book.store.tasks.system_models() == frozenset({own})
    assert [(row.profile, row.name) for row in book.store.tasks.models()] == [("p", "a"), ("p", "m"), ("q", "a")]


def test_a_changed_schedule_moves_a_model_on_and_never_back(book: Ledger) -> None:
    tasks = book.store.tasks
    other = book.seen("n")
    tasks.reschedule(book.model, slots_from=NOW + DAY, fingerprint="g", now=NOW + 5)
    row = tasks.model("p", "m")
    assert row is not None
    assert (row.fingerprint, row.slot_bookmark) == ("g", NOW + DAY)
    tasks.reschedule(book.model, slots_from=NOW, fingerprint="h", now=NOW + 6)
    row = tasks.model("p", "m")
    assert row is not None
    assert (row.fingerprint, row.slot_bookmark) == ("h", NOW + DAY)
    assert book.operations() == [(NOW + 5, "reschedule", "p/m", repr(NOW + DAY)), (NOW + 6, "reschedule", "p/m", repr(NOW))]
    assert book.row("SELECT fingerprint, slot_bookmark FROM models WHERE id = ?", other) == ("f", NOW)


def test_the_admins_switch_is_told_once_and_slots_while_off_are_not_made_up_for(book: Ledger) -> None:
    tasks, other = book.store.tasks, book.seen("n")
    assert tasks.enable("p", "m", enabled=True, now=NOW + 1)
    assert book.row("SELECT enabled, slot_bookmark FROM models WHERE id = ?", book.model) == (1, NOW), (
        "it was not off: what it missed stays missed"
    )
    assert not tasks.enable("p", "m", enabled=True, now=NOW + 2)
    assert tasks.enable("p", "m", enabled=False, now=NOW + 3)
    assert book.row("SELECT enabled, slot_bookmark FROM models WHERE id = ?", book.model) == (0, NOW)
    assert not tasks.enable("p", "m", enabled=False, now=NOW + 4)
    assert tasks.enable("p", "m", enabled=True, now=NOW + 5)
    assert book.row("SELECT enabled, slot_bookmark FROM models WHERE id = ?", book.model) == (1, NOW + 5)
    tasks.enable("p", "m", enabled=False, now=NOW + 6)
    tasks.enable("p", "m", enabled=True, now=NOW - 9)
    assert book.row("SELECT slot_bookmark FROM models WHERE id = ?", book.model) == (NOW + 5,), "never back"
    assert book.row("SELECT enabled, slot_bookmark FROM models WHERE id = ?", other) == (None, NOW)
    assert not tasks.enable("q", "m", enabled=False, now=NOW)
    assert [verb for _, verb, target, _ in book.operations() if target == "p/m"] == [
        "enable", "enable", "disable", "disable", "enable", "disable", "enable",
    ]  # fmt: skip
    row = tasks.model("p", "m")
    assert row is not None
    assert row.enabled is True


# -- tasks ---------------------------------------------------------------------------------------------------------------------


def test_a_slot_has_one_task_and_keeps_what_was_said_of_it(book: Ledger) -> None:
    task = book.task("s1", at=NOW - 5)
    found = book.store.tasks.get(task)
    assert found is not None
    assert (found.profile, found.model, found.model_id, found.slot, found.slot_at) == ("p", "m", book.model, "s1", NOW - 5)
    assert (found.state, found.trigger, found.tries, found.reason, found.created_at) == (TaskState.DUE, "schedule", 0, "", NOW)
    assert (found.started_at, found.ended_at, found.planned, found.sent, found.failed) == (None, None, 0, 0, 0)
    with book.store.write():
        again = book.store.tasks.open_slot(book.model, slot="s1", slot_at=0, first_day="", last_day="", now=NOW + 1)
    assert again is None
    assert book.store.tasks.get(task) == found
    assert book.task("s1", model=book.seen("n")) > task, "another model's slot is another one"
    assert book.store.tasks.get(99) is None


def test_a_missed_slot_has_ended_and_one_that_cannot_run_has_not(book: Ledger) -> None:
    missed = book.store.tasks.get(book.task("s1", state=TaskState.MISSED, reason="late"))
    failed = book.store.tasks.get(book.task("s2", state=TaskState.FAILED, reason="broken", trigger="manual"))
    assert missed is not None
    assert failed is not None
    assert (missed.state, missed.ended_at, missed.reason) == (TaskState.MISSED, NOW, "late")
    assert (failed.state, failed.ended_at, failed.trigger) == (TaskState.FAILED, None, "manual")


def test_a_slot_that_ran_before_its_time_is_opened_again_once(book: Ledger) -> None:
    task = book.task("s1")
    assert book.store.tasks.start(task, NOW)
    finish(book, task)
    with book.store.write() as conn:
        conn.execute("UPDATE tasks SET trigger = 'ahead', notices = 1, not_before = 7, reason = 'ahead' WHERE id = ?", (task,))
    with book.store.write():
        again = book.store.tasks.open_slot(book.model, slot="s1", slot_at=NOW, first_day="a", last_day="b", now=NOW + DAY)
        assert book.store.tasks.open_slot(book.model, slot="s1", slot_at=NOW, first_day="a", last_day="b", now=NOW + DAY) is None
    assert again == task
    found = book.store.tasks.get(task)
    assert found is not None
    assert (found.state, found.trigger, found.tries, found.created_at, found.started_at, found.ended_at, found.reason) == (
        TaskState.DUE, "schedule", 0, NOW + DAY, None, None, "",
    )  # fmt: skip
    assert (found.first_day, found.last_day) == ("a", "b")
    assert book.row("SELECT notices, not_before FROM tasks WHERE id = ?", task) == (0, 0)
    assert book.store.tasks.start(task, NOW + DAY)
    finish(book, task, now=NOW + DAY)
    assert book.store.tasks.counter("p", "2026-12") == 1


def test_a_models_place_in_time_never_goes_back(book: Ledger) -> None:
    other = book.seen("n")
    with book.store.write():
        book.store.tasks.slots_done(book.model, NOW + 5)
        book.store.tasks.slots_done(book.model, NOW + 2)
    assert book.row("SELECT slot_bookmark FROM models WHERE id = ?", book.model) == (NOW + 5,)
    assert book.row("SELECT slot_bookmark FROM models WHERE id = ?", other) == (NOW,)


def test_what_is_ready_comes_by_slot_and_not_before_its_time(book: Ledger) -> None:
    tasks = book.store.tasks
    assert tasks.next_ready() is None
    late, early, twin = book.task("s1", at=NOW + 9), book.task("s2", at=NOW), book.task("s3", at=NOW)
    assert [task.id for task in tasks.ready(NOW)] == [early, twin, late]
    assert tasks.next_ready() == 0.0
    tasks.start(twin, NOW)
    tasks.fail(twin, "source away", now=NOW, retry_at=NOW + HOUR)
    assert [task.id for task in tasks.ready(NOW + HOUR - 1)] == [early, late]
    assert [task.id for task in tasks.ready(NOW + HOUR)] == [early, twin, late]
    for task in (early, late):
        assert tasks.start(task, NOW)
        assert not tasks.start(task, NOW), "compare-and-set"
    assert [task.id for task in tasks.ready(NOW)] == []
    assert tasks.next_ready() == NOW + HOUR
    another = book.task("s4")
    tasks.fail(another, "source away", now=NOW, retry_at=NOW + DAY)
    assert tasks.next_ready() == NOW + HOUR
    found = tasks.get(twin)
    assert found is not None
    assert (found.state, found.reason, found.tries, found.started_at, found.ended_at) == (TaskState.DUE, "source away", 1, NOW, None)


def test_a_failure_without_another_try_is_a_persons(book: Ledger) -> None:
    one, two = book.task("s1"), book.task("s2")
    book.store.tasks.fail(one, "no such app", now=NOW + 3)
    book.store.tasks.fail(two, "died", now=NOW + 4, state=TaskState.CRASHED)
    first, second = book.store.tasks.get(one), book.store.tasks.get(two)
    assert first is not None
    assert second is not None
    assert (first.state, first.reason, first.ended_at) == (TaskState.FAILED, "no such app", NOW + 3)
    assert (second.state, second.reason, second.ended_at) == (TaskState.CRASHED, "died", NOW + 4)
    assert [task.id for task in book.store.tasks.due_notices()] == [one, two]
    with book.store.write():
        book.store.tasks.noticed(one)
    assert [task.id for task in book.store.tasks.due_notices()] == [two]
    assert book.row("SELECT notices FROM tasks WHERE id = ?", one) == (1,)


def test_a_task_that_is_done_counts_once_in_its_month(book: Ledger) -> None:
    task, other = book.task("s1"), book.task("s2")
    with book.store.write():
        book.store.tasks.finish(
            task, now=NOW + 1, month="2026-12", bookmark=NOW + 2, planned=5, excluded=1, queued=3, bad_rows=2,
            remarks=[("excluded", "7", "Ana", "no number"), ("bad row", "", "line 3", "date")],
        )  # fmt: skip
    found = book.store.tasks.get(task)
    assert found is not None
    assert (found.state, found.ended_at, found.planned, found.excluded, found.queued, found.bad_rows) == (
        TaskState.DONE,
        NOW + 1,
        5,
        1,
        3,
        2,
    )
    assert book.store.tasks.remarks(task) == [("excluded", "7", "Ana", "no number"), ("bad row", "", "line 3", "date")]
    assert book.store.tasks.remarks(other) == []
    assert book.row("SELECT bookmark, baseline_at FROM models WHERE id = ?", book.model) == (NOW + 2, None)
    # once more, in another month: its remarks are those of the last run, its count stays where it was
    with book.store.write():
        book.store.tasks.finish(task, now=NOW, month="2027-01", bookmark=NOW - 5, planned=0, excluded=0, queued=0, bad_rows=0)
    assert book.row("SELECT baseline_at FROM models WHERE id = ?", book.model) == (None,), "no run is a baseline unless it says so"
    assert book.store.tasks.counters("p") == [("2026-12", 1)]
    assert book.row("SELECT counted FROM tasks WHERE id = ?", task) == ("2026-12",)
    assert book.store.tasks.remarks(task) == []
    assert book.row("SELECT bookmark FROM models WHERE id = ?", book.model) == (NOW + 2,), "a bookmark never goes back"
    finish(book, other, bookmark=None)
    assert book.row("SELECT bookmark FROM models WHERE id = ?", book.model) == (NOW + 2,)
    finish(book, book.task("s3"), month="2027-01")
    finish(book, book.task("s1", model=book.seen("m", profile="q")), month="2027-01")
    assert book.store.tasks.counters("p") == [("2027-01", 1), ("2026-12", 2)]
    assert (
        book.store.tasks.counter("p", "2026-12"),
        book.store.tasks.counter("p", "2026-11"),
        book.store.tasks.counter("q", "2027-01"),
    ) == (2, 0, 1)


def test_a_baseline_is_written_down_once_it_has_been_made(book: Ledger) -> None:
    other = book.seen("n")
    with book.store.write():
        book.store.tasks.set_baseline(book.model, NOW + 4)
    assert book.row("SELECT baseline_at FROM models WHERE id = ?", book.model) == (NOW + 4,)
    assert book.row("SELECT baseline_at FROM models WHERE id = ?", other) == (None,)
    with book.store.write():
        book.store.tasks.finish(
            book.task("s1", model=other),
            now=NOW + 6,
            month="2026-12",
            bookmark=NOW,
            planned=0,
            excluded=0,
            queued=0,
            bad_rows=0,
            baseline=True,
        )
    assert book.row("SELECT baseline_at FROM models WHERE id = ?", other) == (NOW + 6,)


def test_a_task_that_a_dead_process_left_runs_again_three_times_at_most(book: Ledger) -> None:
    tasks = book.store.tasks
    task, waiting = book.task("s1"), book.task("s2")
    for tries in (1, 2):
        assert tasks.start(task, NOW)
        (left,) = tasks.recover(NOW + tries)
        assert (left.id, left.tries) == (task, tries)
        found = tasks.get(task)
        assert found is not None
        assert (found.state, found.reason) == (TaskState.DUE, "the process ended in the middle; runs again")
        assert book.row("SELECT not_before FROM tasks WHERE id = ?", task) == (NOW + tries,)
    assert tasks.start(task, NOW)
    tasks.recover(NOW + 9)
    found = tasks.get(task)
    assert found is not None
    assert (found.state, found.reason, found.ended_at) == (TaskState.CRASHED, "the process ended in the middle 3 times", NOW + 9)
    assert tasks.recover(NOW + 10) == []
    assert tasks.get(waiting) == tasks.of([waiting])[0]


# -- looking at them -----------------------------------------------------------------------------------------------------------


def test_tasks_are_listed_newest_first_as_asked(book: Ledger) -> None:
    tasks = book.store.tasks
    one, two = book.task("s1"), book.task("s2", now=NOW + 5)
    strange = book.task("s1", model=book.seen("n", profile="q"), now=NOW + 6)
    book.task("s1", model=book.seen("automate:report", system=True))
    tasks.fail(two, "why", now=NOW)
    listed = tasks.listed
    assert [task.id for task in listed()] == [strange, two, one]
    assert [task.id for task in listed(limit=2)] == [strange, two]
    for number in range(60):
        book.task(f"more {number}", model=book.seen("k", profile="q"), now=NOW - DAY)
    assert len(listed()) == 50
    with book.store.write() as conn:
        conn.execute("DELETE FROM tasks WHERE slot LIKE 'more %'")
    assert [task.id for task in listed(profiles=P)] == [two, one]
    assert [task.id for task in listed(profiles=frozenset({"p", "q"}))] == [strange, two, one]
    assert [task.id for task in listed(model="n")] == [strange]
    assert [task.id for task in listed(model="n", profiles=P)] == []
    assert [task.id for task in listed(states=(TaskState.FAILED,))] == [two]
    assert [task.id for task in listed(states=(TaskState.FAILED, TaskState.DUE), profiles=P)] == [two, one]
    assert [task.id for task in listed(since=NOW + 5)] == [strange, two]
    assert [task.id for task in listed(since=NOW + 5.5)] == [strange]
    assert [task.id for task in tasks.of([two, one, two, 99])] == [one, two]


def test_a_bad_end_is_unresolved_until_a_later_run_has_made_it_good(book: Ledger) -> None:
    tasks = book.store.tasks
    other = book.seen("n")
    good, bad = book.task("s1"), book.task("s2")
    crashed = book.task("s1", model=other)
    finish(book, good)
    tasks.fail(bad, "why", now=NOW)
    tasks.fail(crashed, "why", now=NOW, state=TaskState.CRASHED)
    elsewhere = book.task("s1", model=book.seen("m", profile="q"))
    tasks.fail(elsewhere, "why", now=NOW)
    assert [task.id for task in tasks.unresolved(P)] == [bad, crashed]
    later = book.task("s3")
    assert [task.id for task in tasks.unresolved(P)] == [bad, crashed], "it has not run yet"
    finish(book, later)
    assert [task.id for task in tasks.unresolved(P)] == [crashed]
    assert [task.id for task in tasks.unresolved(frozenset({"q"}))] == [elsewhere]
    assert tasks.unresolved(frozenset()) == []


@pytest.mark.parametrize("state", list(TaskState))
def test_an_admins_verbs_compare_before_they_set(book: Ledger, state: TaskState) -> None:
    tasks = book.store.tasks
    task, other = book.task("s1"), book.task("s2")
    with book.store.write() as conn:
        conn.execute("UPDATE tasks SET state = ?, not_before = 9, tries = 3, notices = 1, ended_at = 5", (str(state),))
    retried = state in (TaskState.FAILED, TaskState.CRASHED, TaskState.MISSED, TaskState.CANCELLED)
    assert tasks.retry(task, NOW) is retried
    after = book.row("SELECT state, not_before, tries, notices, ended_at FROM tasks WHERE id = ?", task)
    assert after == (("due", 0, 0, 0, None) if retried else (str(state), 9, 3, 1, 5))
    assert book.operations() == ([(NOW, "retry", f"T{task}", "")] if retried else [])
    cancelled = state in (TaskState.DUE, TaskState.FAILED, TaskState.CRASHED)
    assert tasks.cancel(other, NOW + 1) is cancelled
    after = book.row("SELECT state, not_before, tries, notices, ended_at FROM tasks WHERE id = ?", other)
    assert after == (("cancelled", 0, 0, 0, NOW + 1) if cancelled else (str(state), 9, 3, 1, 5))
    assert [operation for operation in book.operations() if operation[1] == "cancel"] == (
        [(NOW + 1, "cancel", f"T{other}", "")] if cancelled else []
    )

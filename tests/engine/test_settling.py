"""What delivery makes of the outcomes of one commit: errors opened, apps and credentials that wait, counts, and lanes that close."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libax_automate.engine.deliver import Delivery
from libax_automate.engine.lane import Lane
from libax_automate.engine.store.rows import AppState, Claimed, End, Outcome
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import StoreError
from libax_automate.testing.clock import FakeClock
from tests.harness.world import World

NOON = datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
NOW = NOON.timestamp()
HOUR = 3600.0

MORE = """
[apps.dois]
connector = "http"
url = "http://127.0.0.1:9/send"
headers = { X-Api-Key = { env = "SHARED_KEY" } }
json = { to = "{{ message.to }}" }
allow_private = ["127.0.0.1/32"]
on_recipient_error = "skip"

[apps.lento]
connector = "http"
url = "http://127.0.0.1:9/send"
json = { to = "{{ message.to }}" }
allow_private = ["127.0.0.1/32"]
rate = "10/s"
window = 16

[models.devagar]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "sms"
via = "lento"
text = "Olá"

[models.segundo]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "sms"
via = "dois"
text = "Olá"

[models.carta]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "email"
subject = "Olá"
text = "Olá"
"""


class Bench:
    """A delivery over waiting messages: 120 in ``sms``, as many in ``dois`` (one credential), and mail; nothing leaves by itself."""

    def __init__(self, space: Workspace) -> None:
        self.space, self.store = space, space.store
        self.delivery = Delivery(space)
        self.ids = {name: self.found(name) for name in ("sms", "dois", "lento", "correio")}
        self.lanes = {name: self.lane(name) for name in self.ids}
        for lane in self.lanes.values():
            lane.reopen()

    def found(self, name: str) -> int:
        app = self.store.apps.find("padaria", name)
        assert app is not None
        return app

    def lane(self, name: str) -> Lane:
        for profile, app, app_id in self.delivery._apps():
            if app.name == name:
                found = self.delivery._lane(profile, app, app_id)
                assert found is not None
                return found
        raise AssertionError(name)

    def claim(self, name: str, count: int) -> list[Claimed]:
        with self.store.write():
            return self.store.queue.claim(self.ids[name], count, NOW)

    def settle(self, *outcomes: Outcome) -> None:
        with self.store.write():
            self.delivery._settle_all(outcomes)

    def closed(self) -> set[str]:
        return {name for name, lane in self.lanes.items() if lane._closed.is_set()}

    def states(self, rows: Sequence[Claimed]) -> list[str]:
        return [str(self.store.db.value("SELECT state FROM messages WHERE id = ?", (row.id,))) for row in rows]

    def until(self, name: str) -> tuple[float, float, int]:
        """Until when the app waits, its credential, and how often that was throttled in a row."""
        found = self.store.db.row(
            "SELECT a.throttled_until, c.throttled_until, c.throttles FROM apps a JOIN credentials c ON c.id = a.credential_id WHERE a.id = ?",
            (self.ids[name],),
        )
        assert found is not None
        return found[0], found[1], found[2]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("SHARED_KEY", "key-of-both")
    world = World(tmp_path, count=120, sms='headers = { X-Api-Key = { env = "SHARED_KEY" } }', more=MORE)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        for name in ("sms", "dois", "lento", "correio"):
            app = store.apps.find("padaria", name)
            if app is None:
                app = store.apps.register("padaria", name, "http", "")
            store.apps.pause(app, 0.0)
    world.run()
    with world.space(clock=FakeClock(NOON)) as space:
        for row in space.store.apps.rows(NOW):
            space.store.apps.resume(row.id)
        made = Bench(space)
        try:
            yield made
        finally:
            made.delivery._lanes = {}
            for lane in made.lanes.values():
                lane.end()


def sent(rows: Sequence[Claimed]) -> list[Outcome]:
    return [Outcome(row, End.SENT, provider_id="g") for row in rows]


def test_successes_are_counted_and_forget_the_back_off_once(bench: Bench) -> None:
    rows = bench.claim("sms", 4)
    with bench.store.write() as conn:
        conn.execute("UPDATE credentials SET throttles = 3")
    bench.settle(*sent(rows[:2]))
    assert bench.delivery.result.sent == 2
    assert bench.delivery.result.tasks == {rows[0].task_id}
    assert bench.delivery._finished == 2
    assert bench.until("sms")[2] == 0
    with bench.store.write() as conn:
        conn.execute("UPDATE credentials SET throttles = 3")
    bench.settle(*sent(rows[2:]))
    assert bench.until("sms")[2] == 3, "what a success has forgotten is not written for each success"
    assert bench.closed() == set()


@pytest.mark.parametrize(("end", "throttles"), [(End.SENT, 0), (End.CANCELLED, 3)])
def test_one_success_among_others_forgets_the_back_off_and_nothing_else_does(bench: Bench, end: End, throttles: int) -> None:
    rows = bench.claim("sms", 2)
    with bench.store.write() as conn:
        conn.execute("UPDATE credentials SET throttles = 3")
    bench.settle(Outcome(rows[0], End.CANCELLED, cause="paid"), Outcome(rows[1], end, cause="paid"))
    assert bench.until("sms")[2] == throttles
    assert bench.store.apps.pace(bench.lanes["sms"].credential_id) == 0


def test_the_pace_of_an_app_is_kept_for_the_next_process(bench: Bench) -> None:
    pacer = bench.lanes["lento"].pacer
    assert pacer is not None
    for _ in range(20):
        pacer.reserve()
    bench.settle(*sent(bench.claim("lento", 1)))
    assert bench.store.apps.pace(bench.lanes["lento"].credential_id) == pytest.approx(NOW + 2.0)


def test_only_what_was_sent_is_written_back_into_its_source(bench: Bench) -> None:
    rows = bench.claim("lento", 3)
    with bench.store.write() as conn:
        conn.execute('UPDATE messages SET activity = \'["gestao", "7"]\' WHERE app_id = ?', (bench.ids["lento"],))
        bench.store.apps.register("padaria", "gestao", "csv", "")
    rows[0].activity = rows[1].activity = '["gestao", "7"]'
    bench.settle(Outcome(rows[0], End.SENT), Outcome(rows[1], End.REJECTED, cls="recipient", cause="no"), Outcome(rows[2], End.SENT))
    assert bench.store.db.rows("SELECT person FROM messages WHERE channel = 'action'") == [(rows[0].person,)]


def test_what_belongs_to_no_task_moves_none(bench: Bench) -> None:
    rows = bench.claim("correio", 1)
    rows[0].task_id = None
    bench.settle(*sent(rows))
    assert (bench.delivery.result.tasks, bench.delivery.result.sent, bench.delivery._finished) == (set(), 0, 1)


def test_what_comes_back_unsent_is_no_progress(bench: Bench) -> None:
    rows = bench.claim("sms", 3)
    bench.settle(Outcome(rows[0], End.RELEASED), Outcome(rows[1], End.SENT), Outcome(rows[2], End.CANCELLED, cause="paid"))
    assert (bench.delivery.result.sent, bench.delivery._finished) == (1, 2)
    assert bench.states(rows) == ["waiting", "sent", "cancelled"]
    bench.settle()
    assert bench.delivery._finished == 2


def test_a_provider_that_is_too_busy_makes_all_apps_of_its_credential_wait(bench: Bench) -> None:
    rows = bench.claim("sms", 3)
    slow = [
        Outcome(row, End.THROTTLED, cls="rate_limited", delay=delay, shared=True) for row, delay in zip(rows[:2], (30.0, 90.0), strict=True)
    ]
    bench.delivery._calm.add(bench.lanes["sms"].credential_id)
    bench.settle(*slow, Outcome(rows[2], End.SENT))
    assert bench.until("sms")[1:] == bench.until("dois")[1:] == (NOW + 90.0, 1)
    assert bench.until("sms")[0] == 0
    assert bench.store.apps.state(bench.ids["dois"], NOW)[0] is AppState.THROTTLED
    assert bench.store.apps.state(bench.ids["correio"], NOW)[0] is AppState.RUNNING
    # the next success is news again
    assert bench.lanes["sms"].credential_id not in bench.delivery._calm
    bench.settle(*sent(bench.claim("sms", 1)))
    assert bench.until("sms")[2] == 0


def test_a_message_that_did_not_leave_makes_its_own_app_wait(bench: Bench) -> None:
    rows = bench.claim("sms", 3)
    bench.settle(
        Outcome(rows[0], End.RETRY, cls="transient", delay=15.0), Outcome(rows[1], End.RETRY, cls="transient", delay=60.0),
        Outcome(rows[2], End.THROTTLED, cls="in_doubt", delay=0.0),
    )  # fmt: skip
    assert bench.until("sms") == (NOW + 60.0, 0, 0)
    assert bench.until("dois") == (0, 0, 0)
    rows = bench.claim("dois", 1)
    bench.settle(Outcome(rows[0], End.RETRY, cls="transient", delay=0.0))
    assert bench.until("dois") == (0, 0, 0)


def test_a_cause_of_the_account_halts_its_apps_with_one_error_and_one_message(bench: Bench) -> None:
    rows = bench.claim("sms", 4)
    bad = [Outcome(row, End.FAILED, cls="account", cause="no balance", shared=True) for row in reversed(rows[:3])]
    bench.settle(*bad, Outcome(rows[3], End.SENT))
    (error,) = bench.store.errors.listed()
    assert (error.cls, error.credential_id, error.messages, error.opened_at) == (
        "account",
        bench.lanes["sms"].credential_id,
        (rows[0].id,),
        NOW,
    )
    assert bench.states(rows) == ["failed", "waiting", "waiting", "sent"]
    assert bench.closed() == {"sms", "dois"}
    tries = [bench.store.db.value("SELECT tries FROM messages WHERE id = ?", (row.id,)) for row in rows]
    assert tries == [0, 0, 0, 0], "its neighbours have not been tried"
    # another app meets the same cause: it is known, and nobody of it carries it
    (other,) = bench.claim("dois", 1)
    bench.settle(Outcome(other, End.FAILED, cls="account", cause="no balance", shared=True))
    assert [each.id for each in bench.store.errors.listed()] == [error.id]
    assert bench.states([other]) == ["waiting"]


def test_a_cause_of_the_app_halts_that_app(bench: Bench) -> None:
    rows = bench.claim("sms", 2)
    bench.settle(*[Outcome(row, End.FAILED, cls="content", cause="too large", cause_key=f"M{row.id}") for row in rows])
    first, second = bench.store.errors.listed()
    assert (first.credential_id, first.messages, second.messages) == (None, (rows[0].id,), (rows[1].id,))
    assert bench.closed() == {"sms"}
    assert bench.states(rows) == ["failed", "failed"]


def test_each_message_in_doubt_is_held_under_its_cause(bench: Bench) -> None:
    rows = bench.claim("sms", 3)
    bench.settle(*[Outcome(row, End.IN_DOUBT, cls="in_doubt", cause="cut off", cause_key="cut off") for row in rows])
    (error,) = bench.store.errors.listed()
    assert error.messages == tuple(row.id for row in rows)
    assert bench.states(rows) == ["in_doubt"] * 3
    assert bench.closed() == {"sms"}


def test_a_notice_that_cannot_leave_halts_nobody(bench: Bench) -> None:
    """Else a notice of it would have to leave."""
    with bench.store.write() as conn:
        conn.execute("UPDATE models SET system = 1 WHERE name = 'carta'")
    rows = bench.claim("correio", 2)
    bench.settle(
        Outcome(rows[0], End.FAILED, cls="account", cause="refused", shared=True),
        Outcome(rows[1], End.IN_DOUBT, cls="in_doubt", cause="cut off"),
    )
    assert bench.store.errors.listed() == []
    assert bench.states(rows) == ["rejected", "rejected"]
    assert bench.store.db.value("SELECT reason FROM messages WHERE id = ?", (rows[0].id,)) == "refused"
    assert bench.closed() == set()


def test_outcomes_of_several_apps_keep_to_their_own(bench: Bench) -> None:
    one, two = bench.claim("sms", 1), bench.claim("correio", 2)
    bench.settle(
        Outcome(two[0], End.SENT), Outcome(one[0], End.FAILED, cls="content", cause="x", cause_key="M1"), Outcome(two[1], End.SENT)
    )
    assert (bench.states(one), bench.states(two)) == (["failed"], ["sent", "sent"])
    assert bench.delivery.result.tasks == {one[0].task_id, two[0].task_id}
    assert bench.closed() == {"sms"}


# -- refused recipients that are skipped ----------------------------------------------------------------------------------------


def verdicts(bench: Bench, pattern: str, name: str = "dois") -> list[int]:
    """Recipients refused (x) or written to (.), one commit; the errors that are open then."""
    rows = bench.claim(name, len(pattern))
    assert len(rows) == len(pattern)
    bench.settle(
        *[
            Outcome(row, End.REJECTED, cls="recipient", cause="no such number") if mark == "x" else Outcome(row, End.SENT)
            for row, mark in zip(rows, pattern, strict=True)
        ]
    )
    return [error.id for error in bench.store.errors.listed()]


def test_five_refused_in_a_row_stop_it_after_all(bench: Bench) -> None:
    assert verdicts(bench, "xxxx.xxxx") == []
    assert bench.closed() == set()
    (error,) = verdicts(bench, "x")
    found = bench.store.errors.get(error)
    assert found is not None
    assert (found.cls, found.cause, found.credential_id) == ("recipient", "5 recipients in a row were refused", None)
    assert "queue show" in found.hint
    assert bench.closed() == {"dois"}
    assert bench.store.db.value("SELECT refused FROM apps WHERE id = ?", (bench.ids["dois"],)) == "", "it counts anew"


def test_more_than_ten_of_a_hundred_stop_it_after_all(bench: Bench) -> None:
    assert verdicts(bench, "x........." * 10) == [], "ten are borne"
    assert bench.closed() == set()
    # the eleventh comes as the first of the ten leaves the last hundred, the twelfth beside ten
    assert verdicts(bench, "x") == []
    (error,) = verdicts(bench, "x.")
    found = bench.store.errors.get(error)
    assert found is not None
    assert found.cause == "11 of the last 100 recipients were refused"
    assert bench.store.db.value("SELECT state FROM messages WHERE id = ?", (found.message_id,)) == "rejected"


def test_eleven_of_fewer_than_a_hundred_do_not(bench: Bench) -> None:
    assert verdicts(bench, "x.xx.xxx.xxxx.x" + "." * 84) == []


def test_where_nobody_is_skipped_nobody_is_counted(bench: Bench) -> None:
    assert verdicts(bench, "xxxxxx", "sms") == []
    assert bench.store.db.value("SELECT refused FROM apps WHERE id = ?", (bench.ids["sms"],)) == ""


# -- where it cannot be written -------------------------------------------------------------------------------------------------


def test_what_cannot_be_settled_is_kept_and_replayed(bench: Bench) -> None:
    rows = bench.claim("sms", 3)
    bench.delivery._journal.prepare()
    with bench.store.write() as conn:
        conn.execute(
            "CREATE TRIGGER full BEFORE UPDATE OF state ON messages WHEN NEW.state = 'sent' BEGIN SELECT RAISE(ABORT, 'no space'); END"
        )
    with pytest.raises(StoreError):
        bench.delivery._settle(sent(rows[:2]), unsent=rows[2:])
    assert bench.states(rows) == ["sending"] * 3
    with bench.store.write() as conn:
        conn.execute("DROP TRIGGER full")
    again = Delivery(bench.space)
    again._replay()
    assert bench.states(rows) == ["sent", "sent", "waiting"]
    assert again.result.sent == 2
    assert not again._journal.filled()
    again._replay()
    assert again.result.sent == 2


def test_what_would_end_each_process_after_the_first_is_settled_without_what_follows(bench: Bench) -> None:
    """An outcome whose consequences cannot be worked out: what left has left; what did not is found as an orphan."""
    rows = bench.claim("sms", 2)
    rows[0].activity = "{"
    with bench.store.write() as conn:
        conn.execute("UPDATE messages SET activity = '{' WHERE id = ?", (rows[0].id,))
    bench.delivery._journal.prepare()
    bench.delivery._journal.write([*sent(rows[:1]), Outcome(rows[1], End.FAILED, cls="content", cause="too large", cause_key="k")])
    bench.delivery._replay()
    assert bench.states(rows) == ["sent", "sending"]
    assert [row.id for row in bench.store.queue.orphans()] == [rows[1].id]
    assert bench.store.ledger.attempts(rows[1].id)[0][3:] == (None, None, None)
    assert not bench.delivery._journal.filled()
    assert bench.store.errors.listed() == []


def test_once_told_to_stop_it_claims_nothing_and_settles_what_is_done(bench: Bench) -> None:
    rows = bench.claim("sms", 1)
    lane = bench.lanes["sms"]
    lane.outstanding = 1
    lane.done.extend(sent(rows))
    bench.delivery.stop.set()
    assert bench.delivery._commit() == []
    assert (bench.states(rows), lane.outstanding) == (["sent"], 0)
    bench.delivery.stop.clear()
    assert {lane.app.name for lane, claimed in bench.delivery._commit() if claimed} == {"sms", "dois", "lento", "correio"}


def test_a_pause_is_settled_with_what_comes_back(bench: Bench) -> None:
    rows = bench.claim("sms", 1)
    bench.delivery._settle([Outcome(rows[0], End.RELEASED)], pause=bench.lanes["sms"])
    assert bench.states(rows) == ["waiting"]
    assert bench.until("sms")[0] == NOW + 60.0


# -- claims ---------------------------------------------------------------------------------------------------------------------


def take(bench: Bench, name: str) -> int:
    """How many a claim of the delivery's own takes now."""
    (profile,) = bench.space.profiles
    with bench.store.write():
        rows = bench.delivery._claim(profile, bench.ids[name], NOW)
    bench.lanes[name].outstanding += len(rows)
    return len(rows)


def test_a_claim_fills_the_window_and_waits_until_half_of_it_is_free(bench: Bench) -> None:
    lane = bench.lanes["sms"]
    lane.window = 8
    lane.close()
    assert take(bench, "sms") == 8
    assert not lane._closed.is_set(), "the store says that it may send"
    assert take(bench, "sms") == 0
    lane.outstanding = 5
    assert take(bench, "sms") == 0, "three are not worth a commit"
    lane.outstanding = 4
    assert take(bench, "sms") == 4
    lane.window, lane.outstanding = 2, 1
    assert take(bench, "sms") == 1
    lane.window, lane.outstanding = 1, 0
    assert take(bench, "sms") == 1


def test_a_lane_that_has_been_closed_is_not_reopened_while_something_is_out(bench: Bench) -> None:
    lane = bench.lanes["sms"]
    lane.window, lane.outstanding = 8, 4
    lane.close()
    take(bench, "sms")
    assert lane._closed.is_set()


def test_an_app_with_a_pace_claims_what_it_can_send_soon(bench: Bench) -> None:
    """What waits for its turn is better off waiting in the queue than claimed."""
    pacer = bench.lanes["lento"].pacer
    assert pacer is not None
    assert take(bench, "lento") == pacer.calls_within(0.25) == 3
    for _ in range(5):
        pacer.reserve()
    bench.lanes["lento"].outstanding = 0
    assert take(bench, "lento") == 0


def test_an_app_that_may_not_send_claims_nothing(bench: Bench) -> None:
    bench.store.apps.pause(bench.ids["sms"], NOW)
    lane = bench.lanes["sms"]
    lane.close()
    assert take(bench, "sms") == 0
    assert lane._closed.is_set()
    del bench.delivery._lanes[bench.ids["dois"]]
    assert take(bench, "dois") == 0


def test_a_second_pass_of_the_clock_changes_no_count(bench: Bench) -> None:
    """An outcome of the past that comes again, long after: nothing is counted, nothing moves."""
    rows = bench.claim("sms", 1)
    bench.settle(*sent(rows))
    clock = bench.space.clock
    assert isinstance(clock, FakeClock)
    clock.set(NOON + timedelta(hours=1))
    before = bench.store.db.row("SELECT sent, failed FROM tasks WHERE id = ?", (rows[0].task_id,))
    bench.settle(Outcome(rows[0], End.REJECTED, cls="recipient", cause="late"))
    assert bench.store.db.row("SELECT sent, failed FROM tasks WHERE id = ?", (rows[0].task_id,)) == before
    assert bench.states(rows) == ["sent"]

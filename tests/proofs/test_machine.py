"""R7: the queue, its apps and its errors against a model in plain Python, step by step; after each step both must say the same."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libax_automate.engine.deliver import Delivery
from libax_automate.engine.outbox import Draft
from libax_automate.engine.store.queue import message_key
from libax_automate.engine.store.rows import AppState, Claimed, End, Outcome
from libax_automate.message import Channel
from libax_automate.testing.clock import FakeClock
from tests.figures import Figure
from tests.harness import mutations
from tests.harness.plugins import catalogue
from tests.harness.world import World

START = datetime(2026, 12, 24, 10, tzinfo=UTC)
CAP = 6 * 3600.0

#: two apps of one account, and one of another
APPS = {"um": "A", "dois": "A", "tres": "B"}
PROFILE = """
name = "p"
timezone = "UTC"
activation = "immediate"

[defaults]
sms = "um"

""" + "".join(
    f'[apps.{name}]\nconnector = "fragile"\nfault = "{name}"\naccount = "account-{account}"\n\n' for name, account in APPS.items()
)

#: how an attempt may end: (end, class, shared, own, delay)
ENDS: tuple[tuple[End, str, bool, bool, float], ...] = (
    (End.SENT, "", False, False, 0.0),
    (End.SENT, "", False, False, 0.0),
    (End.RELEASED, "", False, False, 0.0),
    (End.RETRY, "transient", False, False, 15.0),
    (End.RETRY, "transient", False, False, 600.0),
    (End.THROTTLED, "rate_limited", True, False, 0.0),
    (End.THROTTLED, "rate_limited", True, False, 90.0),
    (End.THROTTLED, "rate_limited", True, False, 1e6),
    (End.FAILED, "account", True, False, 0.0),
    (End.FAILED, "configuration", False, False, 0.0),
    (End.FAILED, "transient", False, False, 0.0),
    (End.FAILED, "content", False, True, 0.0),
    (End.FAILED, "recipient", False, True, 0.0),
    (End.IN_DOUBT, "in_doubt", False, False, 0.0),
    (End.IN_DOUBT, "bug", False, False, 0.0),
    (End.REJECTED, "recipient", False, True, 0.0),
    (End.CANCELLED, "", False, False, 0.0),
)


@dataclass
class Message:
    app: str
    state: str = "waiting"
    not_before: float = 0.0
    expires: float | None = None
    tries: int = 0
    attempts: int = 0
    generation: int = 0
    error: int | None = None


@dataclass
class Error:
    app: str
    account: str | None
    cls: str
    key: str
    resolution: str | None = None


@dataclass
class Model:
    """What the queue should do, said in the fewest words."""

    now: float
    messages: dict[int, Message] = field(default_factory=dict)
    errors: dict[int, Error] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    until: dict[str, float] = field(default_factory=lambda: dict.fromkeys([*APPS, *APPS.values()], 0.0))
    backoff: dict[str, int] = field(default_factory=lambda: dict.fromkeys(APPS.values(), 0))
    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(APPS, 0))
    keys: set[tuple[str, str, str]] = field(default_factory=set)
    batches: list[tuple[list[int], bool]] = field(default_factory=list)

    def halting(self, app: str) -> list[int]:
        return [i for i, e in self.errors.items() if e.resolution is None and (e.app == app or e.account == APPS[app])]

    def state(self, app: str) -> AppState:
        if self.halting(app):
            return AppState.HALTED
        if app in self.paused:
            return AppState.PAUSED
        return AppState.THROTTLED if max(self.until[app], self.until[APPS[app]]) > self.now else AppState.RUNNING

    def claim(self, app: str, limit: int) -> list[int]:
        taken: list[int] = []
        if self.state(app) is not AppState.RUNNING:
            return taken
        line = [i for i, m in self.messages.items() if m.app == app and m.state == "waiting" and m.not_before <= self.now]
        for i in sorted(line, key=lambda i: (self.messages[i].not_before, i)):
            message = self.messages[i]
            if len(taken) == limit:
                break
            if message.expires is not None and message.expires <= self.now:
                message.state, message.not_before = "expired", 0.0
                continue
            message.state, message.attempts = "sending", message.attempts + 1
            taken.append(i)
        return taken

    def settle(self, outcomes: Sequence[tuple[int, tuple[End, str, bool, bool, float]]], cause: str) -> None:
        for app in dict.fromkeys(self.messages[i].app for i, _ in outcomes):
            group = sorted((i, how) for i, how in outcomes if self.messages[i].app == app)
            throttles = []
            waits = []
            for i, (end, cls, shared, own, delay) in group:
                message = self.messages[i]
                if end is End.RELEASED:
                    message.state, message.attempts = "waiting", message.attempts - 1
                elif end is End.SENT:
                    message.state, message.error = "sent", None
                    self.sent[app] += 1
                elif end in (End.RETRY, End.THROTTLED):
                    message.state, message.tries = "waiting", message.tries + (end is End.RETRY)
                    if end is End.RETRY:
                        waits.append(delay)
                    else:
                        throttles.append(delay)
                elif end in (End.FAILED, End.IN_DOUBT):
                    key = f"M{i}" if own else cause if end is End.IN_DOUBT else ""
                    error, fresh = self.open(app, cls, key, shared=shared)
                    if fresh or end is End.IN_DOUBT:
                        message.state, message.error = str(end), error
                    else:
                        message.state = "waiting"
                else:
                    message.state = str(end)
            succeeded = any(how[0] is End.SENT for _, how in group)
            if succeeded:
                self.until[app] = 0.0
            for wait in waits:
                self.until[app] = max(self.until[app], self.now + wait)
            account = APPS[app]
            if throttles:
                wait = min(max(*throttles, 5.0 * 2 ** self.backoff[account]), CAP)
                self.until[account] = max(self.until[account], self.now + wait)
                self.backoff[account] += 1
            elif succeeded:
                self.backoff[account] = 0

    def open(self, app: str, cls: str, key: str, *, shared: bool) -> tuple[int, bool]:
        for i, error in self.errors.items():
            if error.resolution is None and error.cls == cls:
                if shared and error.account == APPS[app]:
                    return i, False
                if not shared and (error.app, error.key) == (app, key):
                    return i, False
        self.errors[len(self.errors) + 1] = Error(app, APPS[app] if shared else None, cls, key)
        return len(self.errors), True

    def resolve(self, verb: str, error: int, only: int | None) -> list[int]:
        held = [i for i, m in self.messages.items() if m.error == error and m.state in ("failed", "in_doubt")]
        moved = [i for i in held if only in (None, i)]
        for i in moved:
            message = self.messages[i]
            message.error = None
            if verb == "retry":
                message.generation += message.state == "failed"
                message.state, message.tries, message.not_before = "waiting", 0, 0.0
            else:
                message.state = {"skip": "skipped", "sent": "sent"}[verb]
                self.sent[message.app] += verb == "sent"
        found = self.errors[error]
        if len(moved) == len(held) and found.resolution is None:
            found.resolution = verb
            for app, account in APPS.items():
                if app == found.app or account == found.account:
                    self.until[app] = 0.0
        return moved


class Rig:
    """The real thing and the model, driven by the same verbs."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, count=0, profile=PROFILE, catalogue=catalogue())
        self.clock = FakeClock(START)
        self.space = self.world.space(clock=self.clock)
        self.store = self.space.store
        # what is compared is meaning, not durability (that is R1's and R12's): a million commits need not reach a disk
        self.store.db.conn.execute("PRAGMA synchronous = OFF")
        self.store.db.conn.execute("PRAGMA journal_mode = MEMORY")
        self.delivery = Delivery(self.space)
        self.app = {app.name: app_id for _, app, app_id in self.delivery._apps()}
        row = self.store.tasks.see_model("p", "m", now=self.now, slots_from=self.now, fingerprint="")
        self.model_id = row.id
        self.model = Model(self.now)
        self.flying: dict[int, Claimed] = {}
        self.steps = 0

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def close(self) -> None:
        self.space.close()

    # -- the verbs ---------------------------------------------------------------------------------------------------------

    def enqueue(self, app: str, people: Sequence[int], occasion: int, wait: float, life: float | None) -> None:
        drafts = [
            Draft(
                model="m", person=str(person), occasion=str(occasion), app=app, channel=Channel.SMS, to="+351910000001", payload={"text": "x"},
                not_before=self.clock.now() + timedelta(seconds=wait) if wait else None,
                expires=self.clock.now() + timedelta(seconds=life) if life else None,
            )
            for person in people
        ]  # fmt: skip
        fresh = []
        for draft in drafts:
            key = (draft.step, draft.person, draft.occasion)
            if key not in self.model.keys:
                self.model.keys.add(key)
                fresh.append(draft)
        with self.store.write():
            kept = self.store.queue.enqueue(drafts, model_id=self.model_id, task_id=None, apps={app: self.app[app]}, now=self.now)
        assert kept == len(fresh)
        newest = max(self.model.messages, default=0)
        ids = [row[0] for row in self.store.db.rows("SELECT id FROM messages WHERE id > ? ORDER BY id", (newest,))]
        for i, draft in zip(ids, fresh, strict=True):
            self.model.messages[i] = Message(
                app, not_before=draft.not_before.timestamp() if draft.not_before else 0.0,
                expires=draft.expires.timestamp() if draft.expires else None,
            )  # fmt: skip

    def claim(self, app: str, limit: int) -> None:
        rows: list[Claimed] = []
        with self.store.write():
            if self.store.apps.state(self.app[app], self.now)[0] is AppState.RUNNING:
                rows = self.store.queue.claim(self.app[app], limit, self.now)
        assert [row.id for row in rows] == self.model.claim(app, limit)
        for row in rows:
            message = self.model.messages[row.id]
            assert (row.n, row.tries) == (message.attempts, message.tries)
            assert row.key == message_key(self.store.queue.instance, row.id, message.generation)
            self.flying[row.id] = row

    def settle(self, chosen: Sequence[tuple[int, int]]) -> None:
        picked: dict[int, tuple[End, str, bool, bool, float]] = {}
        flying = sorted(self.flying)
        for which, how in chosen:
            if flying:
                picked[flying[which % len(flying)]] = ENDS[how % len(ENDS)]
        cause = "the line dropped"
        outcomes = [
            Outcome(
                self.flying.pop(i), end, cls=cls, cause=cause if cls else "", shared=shared, delay=delay,
                cause_key=f"M{i}" if own else cause if end is End.IN_DOUBT else "",
            )
            for i, (end, cls, shared, own, delay) in picked.items()
        ]  # fmt: skip
        self.model.settle(list(picked.items()), cause)
        with self.store.write():
            self.delivery._settle_all(outcomes)

    def crash(self) -> None:
        """The process dies: what is flying is in doubt, as the next process finds it."""
        orphans = self.store.queue.orphans()
        assert sorted(row.id for row in orphans) == sorted(self.flying)
        assert {row.id: (row.n, row.key) for row in orphans} == {i: (row.n, row.key) for i, row in self.flying.items()}
        doubt = next(index for index, how in enumerate(ENDS) if how[1] == "in_doubt")
        self.flying = {row.id: row for row in orphans}
        self.settle([(index, doubt) for index in range(len(self.flying))])

    def resolve(self, verb: str, error: int, only: int | None) -> None:
        if not self.model.errors:
            return
        error = error % len(self.model.errors) + 1
        if only is not None and self.model.messages:
            only = list(self.model.messages)[only % len(self.model.messages)]
        done = getattr(self.store.errors, verb)(error, self.now, message=only)
        was = self.model.errors[error].resolution
        moved = self.model.resolve(verb, error, only)
        assert done.messages == moved
        assert done.errors == ([error] if was is None and self.model.errors[error].resolution else [])

    def pause(self, app: str) -> None:
        assert self.store.apps.pause(self.app[app], self.now) == (app not in self.model.paused)
        self.model.paused.add(app)

    def resume(self, app: str) -> None:
        model = self.model
        # a throttle counts as one until it is taken back, even if its time has passed
        had = app in model.paused or model.until[app] > 0 or model.until[APPS[app]] > 0
        assert self.store.apps.resume(self.app[app]) == had
        model.paused.discard(app)
        model.until[app] = model.until[APPS[app]] = 0.0

    def clear(self, app: str) -> None:
        done = self.store.ledger.clear(self.app[app], self.now)
        ids = [i for i, m in self.model.messages.items() if m.app == app and m.state == "waiting"]
        assert done.messages == ids
        if ids:
            self.model.batches.append((ids, False))
            assert done.batch == len(self.model.batches)
        for i in ids:
            self.model.messages[i].state = "cancelled"

    def restore(self, batch: int) -> None:
        batch = batch % (len(self.model.batches) + 1) + 1
        done = self.store.ledger.restore(batch, self.now)
        if batch > len(self.model.batches):
            assert done is None
            return
        ids, restored = self.model.batches[batch - 1]
        assert done is not None
        assert done.messages == ([] if restored else ids)
        self.model.batches[batch - 1] = (ids, True)
        for i in done.messages:
            self.model.messages[i].state = "waiting"

    def tick(self, seconds: float) -> None:
        self.clock.move(seconds=seconds)
        self.model.now = self.now

    # -- both must say the same --------------------------------------------------------------------------------------------

    def compare(self) -> None:
        self.steps += 1
        rows = self.store.db.rows("SELECT m.id, a.name, m.state, m.not_before, m.tries, m.attempts, m.generation, m.error_id FROM messages m "
                                  "JOIN apps a ON a.id = m.app_id ORDER BY m.id")  # fmt: skip
        assert rows == [
            (i, m.app, m.state, m.not_before, m.tries, m.attempts, m.generation, m.error) for i, m in self.model.messages.items()
        ]
        errors = self.store.db.rows("SELECT id, class, cause_key, resolution FROM errors ORDER BY id")
        assert errors == [(i, e.cls, e.key, e.resolution) for i, e in self.model.errors.items()]
        for row in self.store.apps.rows(self.now):
            if row.name in APPS:
                mine = [m.state for m in self.model.messages.values() if m.app == row.name]
                assert (row.name, row.state) == (row.name, self.model.state(row.name))
                assert (row.waiting, row.sending, row.in_doubt, row.failed, row.sent) == (
                    *(mine.count(state) for state in ("waiting", "sending", "in_doubt", "failed")),
                    self.model.sent[row.name],
                )

    def last(self) -> None:
        """What must hold at the end of every run."""
        attempts = self.store.db.rows("SELECT message_id, n, ended_at IS NULL FROM attempts ORDER BY 1, 2")
        open_ones = {(message, n) for message, n, flying in attempts if flying}
        assert open_ones == {(i, row.n) for i, row in self.flying.items()}, "every attempt has one outcome, or is under way"
        assert self.store.db.problems() == []


class Walk:
    """A random walk over the verbs."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.rng = rig, random.Random(seed)

    def step(self) -> None:
        rig, rng = self.rig, self.rng
        app = rng.choice(list(APPS))
        verb = rng.choices(
            ("claim", "settle", "enqueue", "tick", "resolve", "pause", "resume", "clear", "restore", "crash"),
            (30, 30, 6, 12, 14, 2, 3, 0.5, 0.7, 1),
        )[0]
        if verb == "claim":
            rig.claim(app, rng.randint(1, 6))
        elif verb == "settle":
            # mostly well, so that the queue moves
            rig.settle([(rng.randrange(99), 0 if rng.random() < 0.6 else rng.randrange(len(ENDS))) for _ in range(rng.randint(1, 6))])
        elif verb == "enqueue":
            rig.enqueue(
                app, [rng.randrange(60) for _ in range(rng.randint(1, 4))], rng.randrange(9), rng.choice((0, 0, 30, 7200)),
                rng.choice((None, None, 60, 86_400)),
            )  # fmt: skip
        elif verb == "tick":
            rig.tick(rng.choice((1, 5, 20, 100, 700, 8000)))
        elif verb == "resolve":
            open_ones = [i - 1 for i, error in rig.model.errors.items() if error.resolution is None]
            error = rng.choice(open_ones) if open_ones and rng.random() < 0.9 else rng.randrange(99)
            rig.resolve(rng.choice(("retry", "skip", "sent")), error, rng.choice((None, None, None, rng.randrange(99))))
        elif verb == "restore":
            rig.restore(rng.randrange(99))
        elif verb == "crash":
            rig.crash()
        else:
            getattr(rig, verb)(app)


def walk(folder: Path, seed: int, steps: int) -> Rig:
    """``steps`` random verbs, compared after each."""
    rig = Rig(folder)
    try:
        walker = Walk(rig, seed)
        for _ in range(steps):
            walker.step()
            rig.compare()
        rig.last()
    finally:
        rig.close()
    return rig


RUNS, STEPS = 50, 300


def test_r7_random_walks_never_leave_the_model(tmp_path: Path, figure: Figure) -> None:
    rigs = [walk(tmp_path / str(seed), seed, STEPS) for seed in range(RUNS)]
    seen = {str(message.state) for rig in rigs for message in rig.model.messages.values()}
    messages, errors = sum(len(rig.model.messages) for rig in rigs), sum(len(rig.model.errors) for rig in rigs)
    figure(f"R7: {RUNS} runs of {STEPS} steps, {messages} messages, {errors} errors, states met: {', '.join(sorted(seen))}: 0 divergences")
    assert seen >= {"waiting", "sent", "failed", "in_doubt", "skipped", "cancelled", "expired", "rejected"}


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_r7_at_full_length(tmp_path: Path, figure: Figure) -> None:
    for seed in range(100, 100 + RUNS):
        walk(tmp_path / str(seed), seed, 5000)
    figure(f"R7: {RUNS} runs of 5000 steps: 0 divergences")


class QueueMachine(RuleBasedStateMachine):
    """The same verbs, chosen and shrunk by hypothesis."""

    apps = st.sampled_from(sorted(APPS))

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self._folder.name))

    @rule(app=apps, people=st.lists(st.integers(0, 5), min_size=1, max_size=3), occasion=st.integers(0, 2), wait=st.sampled_from((0, 30)),
          life=st.sampled_from((None, 60)))  # fmt: skip
    def enqueue(self, app: str, people: list[int], occasion: int, wait: float, life: float | None) -> None:
        self.rig.enqueue(app, people, occasion, wait, life)

    @rule(app=apps, limit=st.integers(1, 4))
    def claim(self, app: str, limit: int) -> None:
        self.rig.claim(app, limit)

    @precondition(lambda self: self.rig.flying)
    @rule(chosen=st.lists(st.tuples(st.integers(0, 3), st.integers(0, len(ENDS) - 1)), min_size=1, max_size=4))
    def settle(self, chosen: list[tuple[int, int]]) -> None:
        self.rig.settle(chosen)

    @precondition(lambda self: self.rig.flying)
    @rule()
    def crash(self) -> None:
        self.rig.crash()

    @precondition(lambda self: self.rig.model.errors)
    @rule(verb=st.sampled_from(("retry", "skip", "sent")), error=st.integers(0, 5), only=st.none() | st.integers(0, 9))
    def resolve(self, verb: str, error: int, only: int | None) -> None:
        self.rig.resolve(verb, error, only)

    @rule(app=apps, verb=st.sampled_from(("pause", "resume", "clear")))
    def switch(self, app: str, verb: str) -> None:
        getattr(self.rig, verb)(app)

    @rule(batch=st.integers(0, 3))
    def restore(self, batch: int) -> None:
        self.rig.restore(batch)

    @rule(seconds=st.sampled_from((1, 20, 100, 700, 30_000)))
    def tick(self, seconds: float) -> None:
        self.rig.tick(seconds)

    @invariant()
    def same(self) -> None:
        self.rig.compare()

    def teardown(self) -> None:
        self.rig.last()
        self.rig.close()
        self._folder.cleanup()


TestQueueMachine: Any = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=int(os.environ.get("R7_EXAMPLES", "60")), stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("fault", ["a-halted-app-goes-on", "retry-goes-to-the-tail", "verbs-do-not-compare", "no-unique-key"])
def test_this_proof_can_fail(tmp_path: Path, fault: str) -> None:
    with mutations.broken(fault), pytest.raises((AssertionError, KeyError, IndexError)):
        _walks(tmp_path)


def _walks(folder: Path) -> None:
    for seed in range(5):
        walk(folder / str(seed), seed, STEPS)

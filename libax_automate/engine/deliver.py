"""The delivery protocol: claim and commit, call, commit what came of it. The only part of the engine that makes things leave."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from libax_automate.engine.gate import Gatekeeper
from libax_automate.engine.journal import Journal
from libax_automate.engine.lane import Lane
from libax_automate.engine.pace import Pacer
from libax_automate.engine.parcels import Parcels
from libax_automate.engine.recheck import Recheck
from libax_automate.engine.shelf import Shelf
from libax_automate.engine.spec import AppSpec, Profile
from libax_automate.engine.store.rows import AppState, Claimed, End, Outcome
from libax_automate.engine.workspace import Workspace
from libax_automate.errors import AutomateError

#: finished attempts wait this long for company before they are committed, in seconds; where a commit takes longer, twice as long as that
_LINGER, _LINGER_MOST = 0.003, 0.05
#: while calls are out, look around this often
_LOOK = 0.25
#: with ``on_recipient_error = "skip"``: so many refusals in a row, or more than so many of the last hundred, stop it after all
_BREAK_ROW, _BREAK_SHARE = 5, 10
#: a halted account is probed again after this many seconds
_PROBE_AFTER = 300.0
#: what a profile that is not in view was sending is left for that profile's own run, for so many seconds
_OWN_RUN = 86_400.0
#: a source that could not be re-asked is asked again after this many seconds
_ASK_AGAIN = 60.0


@dataclass
class Delivered:
    """What one pass of delivery did."""

    sent: int = 0
    #: ids of tasks whose messages moved
    tasks: set[int] = field(default_factory=set)


class Delivery:
    """Drains every app that may send, all at once, each in its own order."""

    def __init__(
        self, space: Workspace, *, stop: threading.Event | None = None, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.space = space
        self.store = space.store
        self.clock = space.clock
        self.stop = stop or threading.Event()
        self._progress = progress
        self._wake = threading.Event()
        self._lanes: dict[int, Lane] = {}
        self._pacers: dict[int, Pacer] = {}
        #: credentials whose back-off a success has already forgotten
        self._calm: set[int] = set()
        self._finished = 0
        self._linger = _LINGER
        self._journal = Journal(space.db_path)
        self._gate = Gatekeeper(space)
        self._recheck = Recheck(space, self._gate)
        self.result = Delivered()

    def run(self, *, patience: float = 0.0) -> Delivered:
        """Send until nothing more can leave; waits at most ``patience`` seconds in all for throttled apps."""
        self._journal.prepare()
        self._replay()
        try:
            self._recover()
            self._probe()
            self._drain(patience)
        finally:
            self._close()
        return self.result

    # -- before anything new leaves --------------------------------------------------------------------------------------

    def _replay(self) -> None:
        """Commit what an earlier process learnt but could not write."""
        if not self._journal.filled():
            return
        outcomes = self._journal.read(self.store.queue.orphans())
        try:
            with self.store.write():
                self._settle_all(outcomes)
        except AutomateError:
            raise
        except Exception:
            # what has ended one process must not end each that comes after it: one by one, and without what follows from them
            self.space.log.exception("outcomes of an earlier process")
            for outcome in outcomes:
                if outcome.end not in (End.FAILED, End.IN_DOUBT):  # those are found as orphans
                    with contextlib.suppress(Exception), self.store.write():
                        self.store.queue.settle([outcome], self.space.now())
        self._journal.clear()

    def _recover(self) -> None:
        """Every ``sending`` row is an orphan of a dead process: ask who can tell; hold the rest."""
        orphans: dict[int, list[Claimed]] = {}
        for row in self.store.queue.orphans():
            orphans.setdefault(row.app_id, []).append(row)
        if not orphans:
            return
        for profile, app, app_id in self._apps():
            if (rows := orphans.pop(app_id, None)) is not None and (lane := self._lane(profile, app, app_id)) is not None:
                lane.resolve(rows, again=self._may_send(app_id, self.space.now()))
        self._settle_until_idle()
        # apps that are no longer in their profile: nobody can be asked
        cause = "the process ended while this was being sent"
        gone = [row for app_id, rows in orphans.items() for row in rows if self._is_ours(app_id, row)]
        lost = [Outcome(row, End.IN_DOUBT, cls="in_doubt", cause=cause, cause_key=cause) for row in gone]
        if lost:
            self._settle(lost)

    def _is_ours(self, app_id: int, row: Claimed) -> bool:
        """Whether this run decides on an orphan. Another profile's own run can ask its provider; if none comes for a day, nobody will."""
        return self._gate.app(app_id).profile in self.space.names or row.started_at + _OWN_RUN < self.space.now()

    def _probe(self) -> None:
        """Account errors clear themselves when the connector's own check passes again."""
        now = self.space.now()
        for error in self.store.errors.listed(profiles=self.space.names):
            if error.cls != "account" or error.opened_at + _PROBE_AFTER > now:
                continue
            for profile, app, app_id in self._apps():
                if app_id != error.app_id or (lane := self._lane(profile, app, app_id)) is None:
                    continue
                if not lane.connector.checks_account() or not self._gate.may_probe(app_id, now, _PROBE_AFTER):
                    continue
                try:
                    lane.connector.check()
                except Exception as failure:
                    self.space.log.info("app %s still does not work: %s", app.name, self.space.redactor.text(str(failure)))
                    continue
                with self.store.write():
                    self.store.errors.retry(error.id, now)

    # -- the loop ----------------------------------------------------------------------------------------------------------

    def _drain(self, patience: float) -> None:
        total = self.store.ledger.waiting() if self._progress else 0
        while True:
            self._open_lanes()
            claimed = self._commit()
            if self._progress:
                self._progress(self._finished, max(total, self._finished))
            while claimed:
                lane, rows = claimed.pop()
                try:
                    self._hand_over(lane, rows)
                except BaseException:
                    self._save([Outcome(row, End.RELEASED) for _, others in claimed for row in others])
                    raise
            busy = [lane for lane in self._lanes.values() if lane.outstanding]
            if busy:
                self._wait_for(busy)
                continue
            if self.stop.is_set():
                return
            pause = self._pause(patience)
            if pause is None:
                return
            patience -= pause
            if self.stop.wait(pause):
                return

    def _wait_for(self, busy: Sequence[Lane]) -> None:
        for lane in busy:
            lane.keep_up()
        if self.stop.is_set():
            for lane in busy:
                lane.close()
        self._wake.wait(_LOOK)
        self._wake.clear()
        if not any(lane.ripe() for lane in busy):
            # a lone early answer: a few milliseconds more gather its neighbours into the same commit
            self._wake.wait(self._linger)
            self._wake.clear()

    def _pause(self, patience: float) -> float | None:
        """How long until something can leave that is worth waiting for; None if there is no such thing."""
        now, soonest = self.space.now(), float("inf")
        for _, _, app_id in self._apps():
            at = self.store.queue.next_of_users(app_id)
            if at is None:
                continue
            state, until = self.store.apps.state(app_id, now)
            lane = self._lanes.get(app_id)
            if state is AppState.RUNNING and at <= now and lane is not None and lane.pacer is not None:
                # its own pace, not a provider's refusal: a run always sees it through
                return max(0.01, min(lane.pacer.ready_in(), 1.0))
            if state in (AppState.RUNNING, AppState.THROTTLED):
                soonest = min(soonest, max(until, at) - now)
        return max(soonest, 0.01) if soonest <= patience else None

    def _commit(self) -> list[tuple[Lane, list[Claimed]]]:
        """One transaction: T2 of what is done, T1 of what goes next, for all apps."""
        finished = [(lane, lane.take()) for lane in self._lanes.values() if lane.done]
        outcomes = [outcome for _, taken in finished for outcome in taken]
        claimed: list[tuple[Lane, list[Claimed]]] = []
        began = self.clock.monotonic()
        try:
            with self.store.write():
                self._settle_all(outcomes)
                if not self.stop.is_set():
                    now = self.space.now()
                    for profile, _, app_id in self._apps():
                        if rows := self._claim(profile, app_id, now):
                            claimed.append((self._lanes[app_id], rows))
        except BaseException:
            # a commit that failed may have reached the disk all the same: what it claimed was never handed over, and that is known too
            self._save([*outcomes, *(Outcome(row, End.RELEASED) for _, rows in claimed for row in rows)])
            raise
        self._linger = min(max(_LINGER, 2 * (self.clock.monotonic() - began)), _LINGER_MOST)
        return claimed

    def _open_lanes(self) -> None:
        """Start the connectors of what may leave now: outside any transaction, for nobody knows how long one takes to start."""
        if self.stop.is_set():
            return
        now = self.space.now()
        for profile, app, app_id in self._apps():
            if app_id not in self._lanes and self._may_leave(app_id, now):
                self._lane(profile, app, app_id)

    def _may_leave(self, app_id: int, now: float) -> bool:
        waiting = self.store.queue.next_waiting(app_id)
        return waiting is not None and waiting <= now and self._may_send(app_id, now)

    def _may_send(self, app_id: int, now: float) -> bool:
        return self.store.apps.state(app_id, now)[0] is AppState.RUNNING

    def _claim(self, profile: Profile, app_id: int, now: float) -> list[Claimed]:
        lane = self._lanes.get(app_id)
        if lane is None:
            return []
        room = lane.window - lane.outstanding
        if room <= 0 or (lane.outstanding and room < min(lane.window // 2, lane.window - 1)) or not self._may_send(app_id, now):
            return []
        if not lane.outstanding:
            lane.reopen()
        if lane.pacer is not None:
            # what waits for its turn is better off waiting in the queue than claimed
            room = min(room, lane.pacer.calls_within(_LOOK) * lane.batch)
        if room <= 0:
            return []
        alone = (lane.alone(), lane.batches) if lane.batch > 1 else None
        return self.store.queue.claim(app_id, room, now, self._gate.gate(profile, now), alone=alone)

    def _hand_over(self, lane: Lane, rows: list[Claimed]) -> None:
        """Re-ask the source where a message depends on it, then send."""
        try:
            gone = self._recheck.gone(rows)
        except Exception as error:
            # nobody knows whether they may still leave: none does, and the source is asked again in a minute
            text = self.space.redactor.text(getattr(error, "message", str(error)))
            self.space.log.warning("app %s waits: its source cannot be asked again: %s", lane.app.name, text)
            self._settle([Outcome(row, End.RELEASED) for row in rows], pause=lane)
            return
        if gone:
            ended = [Outcome(row, End.CANCELLED, cause=gone[row.id]) for row in rows if row.id in gone]
            self._settle(ended, unsent=[row for row in rows if row.id not in gone])
        lane.push([row for row in rows if row.id not in gone])

    # -- outcomes ----------------------------------------------------------------------------------------------------------

    def _settle_until_idle(self) -> None:
        while any(lane.outstanding for lane in self._lanes.values()):
            self._wake.wait(_LOOK)
            self._wake.clear()
            self._settle([outcome for lane in self._lanes.values() for outcome in lane.take()])

    def _settle(self, outcomes: Sequence[Outcome], *, unsent: Sequence[Claimed] = (), pause: Lane | None = None) -> None:
        """T2 by itself. Where it fails, what is known is kept beside the database: ``unsent`` has been claimed and not handed over."""
        try:
            with self.store.write():
                self._settle_all(outcomes)
                if pause is not None:
                    self.store.apps.throttle_app(pause.app_id, self.space.now() + _ASK_AGAIN)
        except BaseException:
            self._save([*outcomes, *(Outcome(row, End.RELEASED) for row in unsent)])
            raise

    def _settle_all(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        now, sent = self.space.now(), End.SENT
        store = self.store
        by_app: dict[int, list[Outcome]] = {}
        for outcome in outcomes:
            by_app.setdefault(outcome.row.app_id, []).append(outcome)
        for app_id, group in by_app.items():
            info = self._gate.app(app_id)
            plain = all([outcome.end is sent for outcome in group])  # noqa: C419 - a list is faster than a generator, and nearly always whole
            held = [] if plain else self._hold(group, app_id, info.profile, info.credential_id, now)
            store.queue.settle(group, now)
            throttles = [] if plain else self._throttle(group, app_id, info.credential_id, now)
            for outcome, error_id in held:
                store.queue.hold(outcome, error_id)
            if info.skips:
                self._break(group, app_id, info.profile, now)
            pacer = self._pacers.get(info.credential_id)
            succeeded = plain or any(outcome.end is sent for outcome in group)
            if throttles:
                self._calm.discard(info.credential_id)
            if pacer is not None or throttles or (succeeded and info.credential_id not in self._calm):
                self._calm.update([info.credential_id] if succeeded and not throttles else ())
                store.apps.keep_pace(info.credential_id, pacer.next_call() if pacer else 0.0, succeeded=succeeded and not throttles)
            # what was sent may have to be written back into its source: an effect like any other
            store.queue.follow_up([outcome.row.id for outcome in group if outcome.row.activity and outcome.end is sent], now)
            ended = group if plain else [outcome for outcome in group if outcome.end is not End.RELEASED]
            self._finished += len(ended)
            for outcome in ended:
                if outcome.row.task_id is not None:
                    self.result.tasks.add(outcome.row.task_id)
                    self.result.sent += outcome.end is sent

    def _throttle(self, group: Sequence[Outcome], app_id: int, credential_id: int, now: float) -> list[float]:
        for outcome in group:
            if outcome.end is End.RETRY and outcome.delay:
                self.store.apps.throttle_app(app_id, now + outcome.delay)
        throttles = [outcome.delay for outcome in group if outcome.end is End.THROTTLED and outcome.cls == "rate_limited"]
        if throttles:
            self.store.apps.throttle_credential(credential_id, max(throttles), now)
        return throttles

    def _hold(self, group: list[Outcome], app_id: int, profile: str, credential_id: int, now: float) -> list[tuple[Outcome, int]]:
        """Open the error of each cause; the first message of a shared cause carries it, its neighbours go back in line."""
        held = []
        for outcome in sorted(group, key=lambda each: each.row.id):
            if outcome.end not in (End.FAILED, End.IN_DOUBT):
                continue
            if self._gate.system(outcome.row.model_id):
                # a notice that cannot leave must not become an error of its own, of which a notice would have to leave …
                outcome.end, outcome.detail = End.REJECTED, outcome.cause
                continue
            error_id, fresh = self.store.errors.open(
                outcome, profile=profile, credential_id=credential_id if outcome.shared else None, now=now
            )
            for lane in self._lanes.values():
                if lane.app_id == app_id or (outcome.shared and lane.credential_id == credential_id):
                    lane.close()
            if fresh or outcome.end is End.IN_DOUBT:
                held.append((outcome, error_id))
            else:
                outcome.end = End.THROTTLED
        return held

    def _break(self, group: Sequence[Outcome], app_id: int, profile: str, now: float) -> None:
        verdicts = "".join("." if o.end is End.SENT else "x" for o in group if o.end in (End.SENT, End.REJECTED))
        ring = self.store.apps.refusals(app_id, verdicts) if verdicts else ""
        row = ring.endswith("x" * _BREAK_ROW)
        if row or (len(ring) == 100 and ring.count("x") > _BREAK_SHARE):
            what = f"{_BREAK_ROW} recipients in a row were refused" if row else f"{ring.count('x')} of the last 100 recipients were refused"
            # the hundredth verdict may be a success
            last = next((o for o in reversed(group) if o.end is End.REJECTED), group[-1])
            hint = "look at the addresses (queue show), then: automate errors retry"
            cause = Outcome(last.row, End.FAILED, cls="recipient", cause=what, cause_key="breaker", hint=hint)
            self.store.errors.open(cause, profile=profile, credential_id=None, now=now)
            self.store.apps.forget_refusals(app_id)
            if lane := self._lanes.get(app_id):
                lane.close()

    def _save(self, outcomes: Sequence[Outcome]) -> None:
        """The database cannot be written: wait for what is out, keep every outcome beside it."""
        for lane in self._lanes.values():
            lane.end()
        self._journal.write([*outcomes, *(outcome for lane in self._lanes.values() for outcome in lane.take())])

    # -- lanes ---------------------------------------------------------------------------------------------------------------

    def _apps(self) -> Sequence[tuple[Profile, AppSpec, int]]:
        return self._gate.apps()

    def _lane(self, profile: Profile, app: AppSpec, app_id: int) -> Lane | None:
        """The app's lane, opened on first use; None if its connector does not start, which halts the app."""
        if app_id in self._lanes:
            return self._lanes[app_id]
        info = self._gate.app(app_id)
        pacer = None
        if app.rate is not None:
            pacer = self._pacers.get(info.credential_id)
            if pacer is None or pacer.interval < app.rate.interval:
                pacer = Pacer(app.rate, self.clock, self.store.apps.pace(info.credential_id))
                self._pacers[info.credential_id] = pacer
        try:
            connector = self.space.connector(profile, app)
            connector.open()
            lane = Lane(
                profile=profile.name, app=app, app_id=app_id, credential_id=info.credential_id, connector=connector, folder=profile.folder,
                redactor=self.space.redactor, wake=self._wake, clock=self.clock, pacer=pacer,
                parcels=Parcels(self.space.db_path, app_id) if connector.key_ttl() is not None and getattr(connector, "batch_size", 1) > 1 else None,
                shelf=Shelf(self.space.db_path),
            )  # fmt: skip
        except Exception as error:
            self._broken(profile, app, app_id, error)
            return None
        self._lanes[app_id] = lane
        # whatever may be under way at once can be kept, should the disk be full when it comes back
        self._journal.prepare(sum(each.window for each in self._lanes.values()))
        return lane

    def _broken(self, profile: Profile, app: AppSpec, app_id: int, error: Exception) -> None:
        text = error.message if isinstance(error, AutomateError) else f"{type(error).__name__}: {error}"
        nobody = Claimed(0, 0, app_id, 0, None, "", "", "", "", "", "", "", 0, 0.0)
        cause = self.space.redactor.text(f"app {app.name!r} does not start: {text}")
        hint = getattr(error, "hint", "") or "automate check --connect"
        outcome = Outcome(nobody, End.FAILED, cls="configuration", cause=cause, hint=hint)
        with self.store.write():
            self.store.errors.open(outcome, profile=profile.name, credential_id=None, now=self.space.now())

    def _close(self) -> None:
        for lane in self._lanes.values():
            lane.end()
        left: Mapping[int, Lane] = self._lanes
        outcomes = [outcome for lane in left.values() for outcome in lane.take()]
        self._lanes = {}
        self._recheck.close()
        if outcomes:
            self._settle(outcomes)
        for lane in left.values():
            lane.settled()

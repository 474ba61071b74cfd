"""One app's queue while it is being drained: threads that send, and what they report."""

from __future__ import annotations

import json
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from libax_automate.clock import Clock, SystemClock
from libax_automate.connector import Actor, Capability, Connector, Sender
from libax_automate.engine import outbox, retry
from libax_automate.engine.pace import Pacer
from libax_automate.engine.parcels import Parcels
from libax_automate.engine.redact import Redactor
from libax_automate.engine.spec import AppSpec, InDoubt, OnRecipientError
from libax_automate.engine.store.queue import SAME_KEY
from libax_automate.engine.store.rows import Claimed, End, Outcome
from libax_automate.engine.tempo import Tempo
from libax_automate.errors import AutomateError, ConnectorError, ContentError, OutcomeUnknown, PluginError, RecipientError
from libax_automate.message import Channel, Email, Message, Receipt

# once a message each: a decoder that skips what only foreign JSON has around it, members without their Enum's own look-up
_read = json.JSONDecoder().raw_decode
_CHANNELS = {channel.value: channel for channel in Channel}
_SENT = End.SENT

#: an error text longer than this helps nobody
_CAUSE_CHARS = 500

#: seconds before a batch without an answer is handed over again under its own key; in doubt after the last
_BATCH_AGAIN = (2.0, 10.0)
#: a clock that is corrected by so many seconds is still believed
_SLACK = 60.0
#: the share of the provider's memory for keys that is relied on
_MARGIN = 0.8

_IN_DOUBT_HINT = "ask the recipient or the provider, then: automate errors sent (it arrived) or errors retry (it did not)"


class Lane:
    """Takes claimed rows, answers outcomes. Only the delivery's own thread touches the store.

    ``close`` makes every thread hand back what it has not started: once something halts or throttles the app,
    nothing more leaves.
    """

    def __init__(
        self,
        *,
        profile: str,
        app: AppSpec,
        app_id: int,
        credential_id: int,
        connector: Connector[Any],
        folder: Path,
        redactor: Redactor,
        wake: threading.Event,
        clock: Clock,
        pacer: Pacer | None = None,
        parcels: Parcels | None = None,
        shelf: outbox.Shelf | None = None,
    ) -> None:
        self._clock = clock
        self.profile, self.app, self.app_id, self.credential_id = profile, app, app_id, credential_id
        self.connector = connector
        self.pacer = pacer
        self.system = False
        self.batch = connector.batch_size if isinstance(connector, Sender) else 1
        self.window = max(app.window, self.batch)
        self.outstanding = 0
        self._alone = 0
        self._parcels = parcels
        self._shelf = shelf
        self._carries = Capability.ATTACHMENTS in connector.offers()
        self.done: deque[Outcome] = deque()
        self._folder = folder
        self._redactor = redactor
        self._wake = wake
        self._flush_at = max(1, self.window // 2)
        self._todo: deque[tuple[Callable[[Sequence[Claimed]], None], Sequence[Claimed]]] = deque()
        #: wakes threads that found nothing to do: True to look again, False to end
        self._bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._tempo = Tempo()
        #: all threads have been called upon in the middle of a window
        self._all = False
        # the machine's own time, whatever the profile's clock says: this is about threads
        self._monotonic = SystemClock().monotonic
        self._closed = threading.Event()
        self._handler: Callable[[Message], Receipt]
        if isinstance(connector, Sender):
            self._handler = connector.send
        elif isinstance(connector, Actor):
            self._handler = connector.act  # type: ignore[assignment]  # an action is what an actor's queue holds
        else:
            raise PluginError(
                f"app {app.name!r}: connector {connector.name!r} can send nothing", hint="name another app in via or [defaults]"
            )
        self._act = connector.act if isinstance(connector, Actor) else None
        self._key_ttl = connector.key_ttl()
        self._lookup = connector.lookup if isinstance(connector, Sender) and Capability.LOOKUP in connector.offers() else None

    # -- the delivery's side -------------------------------------------------------------------------------------------

    def push(self, rows: Sequence[Claimed]) -> None:
        """Hand claimed rows to the threads."""
        if self.batch == 1:
            self._give(self._send, [[row] for row in rows], rows)
            return
        # what went alone under its own key goes alone again: in company it would have another
        together = [row for row in rows if self.batches(row.channel) and not row.doubt]
        parcels: list[Sequence[Claimed]] = [together[i : i + self.batch] for i in range(0, len(together), self.batch)]
        self._give(self._send, parcels + [[row] for row in rows if row.doubt or not self.batches(row.channel)], rows)

    def resolve(self, rows: Sequence[Claimed], *, again: bool = False) -> None:
        """Hand orphans to the threads: their outcome is asked for, not sent again.

        ``again``: the app may send, so a batch that is known whole may be handed over once more under its own key.
        """
        self._tempo.many = True
        parcels = self._parcels.found(rows) if again and self._parcels is not None else []
        known = {row.id for parcel in parcels for row in parcel}
        self._give(self._again, parcels, [row for row in rows if row.id in known])
        rest = [row for row in rows if row.id not in known]
        self._give(self._resolve, [[row] for row in rest], rest)

    def batches(self, channel: str) -> bool:
        """Whether messages of ``channel`` may leave many with one call."""
        if self.batch == 1 or channel == Channel.ACTION:
            return False
        together = self.connector.batch_channels if isinstance(self.connector, Sender) else None
        return together is None or channel in together

    def alone(self) -> int:
        """How many more messages that leave one by one may be claimed: a batch's window is not for them."""
        return self.app.window - self._alone

    def _give(self, work: Callable[[Sequence[Claimed]], None], parcels: Sequence[Sequence[Claimed]], rows: Sequence[Claimed]) -> None:
        self.outstanding += len(rows)
        self._alone += self._leaving_alone(rows)
        self._todo.extend((work, parcel) for parcel in parcels)
        self._muster(len(parcels))

    def keep_up(self) -> None:
        """Call upon more threads where one at a time does not do."""
        tempo = self._tempo
        if not tempo.many:
            tempo.look(self.outstanding - len(self.done), self._monotonic())
        if tempo.many and not self._all and self._todo:
            self._all = True
            self._muster(len(self._todo))

    def _muster(self, parcels: int) -> None:
        # threads take from the deque until it is empty: one ring for each that may sleep, not one hand-over for each message.
        # A ring that nobody needed makes a thread look once in vain.
        wanted = min(self.app.concurrency, self.outstanding) if self._tempo.many else 1
        for _ in range(min(len(self._threads), parcels, wanted)):
            self._bell.put(True)
        while len(self._threads) < wanted:
            thread = threading.Thread(target=self._work, name=f"{self.profile}/{self.app.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self) -> list[Outcome]:
        """The outcomes so far; they are the caller's now."""
        taken = []
        while self.done:
            taken.append(self.done.popleft())
        self.outstanding -= len(taken)
        self._alone -= self._leaving_alone([outcome.row for outcome in taken])
        return taken

    def _leaving_alone(self, rows: Sequence[Claimed]) -> int:
        return len(rows) if self.batch == 1 else sum(not self.batches(row.channel) for row in rows)

    def ripe(self) -> bool:
        """Whether a commit is worth it now: half a window is done, or all there is."""
        return len(self.done) >= self._flush_at or 0 < self.outstanding == len(self.done)

    def close(self) -> None:
        """Start nothing more; what is claimed but not begun comes back as RELEASED."""
        self._closed.set()

    def reopen(self) -> None:
        """The store says that the app may send (again)."""
        self._closed.clear()

    def end(self) -> None:
        """Stop the threads and the connector."""
        self.close()
        for _ in self._threads:
            self._bell.put(False)
        for thread in self._threads:
            thread.join()
        while self._todo:
            # no thread could be started for it
            work, rows = self._todo.popleft()
            if work == self._send:
                self._release(rows)
        self.connector.close()

    def settled(self) -> None:
        """All that this lane has sent is in the database."""
        if self._parcels is not None:
            self._parcels.clear()

    # -- the threads' side ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        todo, listen, tempo, now = self._todo, self._bell.get, self._tempo, self._monotonic
        while True:
            try:
                work, rows = todo.popleft()
            except IndexError:
                if listen():
                    continue
                return
            try:
                if work != self._send:
                    # an orphan may have left: it is never simply handed back, whatever has closed the lane
                    work(rows)
                elif self._closed.is_set() or (self.pacer is not None and self._closed.wait(self.pacer.reserve())):
                    self._release(rows)
                elif tempo.many:
                    work(rows)
                else:
                    began = now()
                    work(rows)
                    if tempo.saw(now() - began, len(rows)):
                        self._wake.set()
            except BaseException as error:
                # whatever happens, each row gets an outcome: a thread that died with one would leave it in doubt for ever
                for row in rows:
                    self._report(self._outcome(row, error))

    def _report(self, *outcomes: Outcome) -> None:
        done = self.done
        done.extend(outcomes)  # at once: a batch is settled whole, or its successors would be claimed in pieces
        count = len(done)
        if (count == 1 or count >= self._flush_at or count == self.outstanding) and not self._wake.is_set():
            self._wake.set()

    def _release(self, rows: Sequence[Claimed]) -> None:
        self._report(*(Outcome(row, End.RELEASED) for row in rows))

    def message(self, row: Claimed) -> Message:
        """What the connector gets of a row."""
        made = outbox.message(
            reference=f"M{row.id}",
            key=row.key,
            to=row.to,
            channel=_CHANNELS[row.channel],
            person=row.person,
            payload=_read(row.payload)[0],
            folder=self._folder,
            sent_at=datetime.fromtimestamp(row.started_at, UTC),
            shelf=self._shelf,
        )
        if isinstance(made, Email) and made.attachments and not self._carries:
            raise ContentError(
                f"{self.connector.name} carries no files, and one goes with it", hint="name another app in via; see: automate check"
            )
        return made

    def _send(self, rows: Sequence[Claimed]) -> None:
        if len(rows) > 1:
            self._send_batch(rows)
            return
        row = rows[0]
        if row.doubt and not self._remembered(row):
            why = OutcomeUnknown("an earlier try had no answer, and the provider has forgotten its key meanwhile", hint=_IN_DOUBT_HINT)
            self._report(self._outcome(row, why, alone=False))
            return
        try:
            message = self.message(row)
        except BaseException as error:
            self._report(self._outcome(row, error))
            return
        self._send_one(row, message)

    def _send_one(self, row: Claimed, message: Message) -> None:
        try:
            receipt = self._act(message) if self._act is not None and row.channel == Channel.ACTION else self._handler(message)  # type: ignore[arg-type]
        except BaseException as error:
            self._report(self._outcome(row, error))
            return
        self._report(self._accepted(row, receipt))

    def _send_batch(self, rows: Sequence[Claimed]) -> None:
        assert isinstance(self.connector, Sender)
        groups: dict[Hashable, list[tuple[Claimed, Message]]] = {}
        for row in rows:
            try:
                message = self.message(row)
                groups.setdefault(self.connector.batch_group(message), []).append((row, message))
            except Exception as error:
                self._report(self._outcome(row, error))
        for number, group in enumerate(groups.values()):
            self._call([row for row, _ in group], [message for _, message in group], paced=number == 0)

    def _call(self, rows: Sequence[Claimed], messages: Sequence[Message], *, paced: bool) -> None:
        """One call for ``messages``. A refusal of the whole for what is in it is traced to the message it means, half by half."""
        assert isinstance(self.connector, Sender)
        if self._closed.is_set() or (not paced and self.pacer is not None and self._closed.wait(self.pacer.reserve())):
            # something has halted the app, or one of these cannot even be built: nothing overtakes it
            self._release(rows)
            return
        if len(rows) == 1:
            self._send_one(rows[0], messages[0])
            return
        keyed = self._keyed(rows[0].channel)
        note = self._parcels.note(rows) if keyed and self._parcels is not None else None
        try:
            results = self._results(self.connector, messages, keyed=keyed)
        except (ContentError, RecipientError):
            Parcels.forget(note)
            half = len(rows) // 2
            self._call(rows[:half], messages[:half], paced=False)
            self._call(rows[half:], messages[half:], paced=False)
            return
        except BaseException as error:
            if isinstance(error, ConnectorError) and not isinstance(error, OutcomeUnknown):
                Parcels.forget(note)
            self._report(*(self._outcome(row, error, alone=False) for row in rows))
            return
        self._report(
            *(
                self._outcome(row, result, alone=False) if isinstance(result, BaseException) else self._accepted(row, result)
                for row, result in zip(rows, results, strict=True)
            )
        )

    def _again(self, rows: Sequence[Claimed]) -> None:
        """A batch that a dead process was sending, put together as it was: the same bytes under the same key, while that is remembered."""
        assert isinstance(self.connector, Sender)
        assert self._key_ttl is not None
        why = "the process ended while this was being sent"
        try:
            age = self._clock.now().timestamp() - min(row.first_at or row.started_at for row in rows)
            if not 0 <= age < self._key_ttl.total_seconds() * _MARGIN:
                raise OutcomeUnknown(why, hint=_IN_DOUBT_HINT)
            messages = [self.message(row) for row in rows]
            results = self._results(self.connector, messages, keyed=True)
        except BaseException as error:
            # whatever it was this time: the first may have been accepted
            told = why if isinstance(error, OutcomeUnknown) and error.message == why else f"{why}; sent again: {error}"
            self._report(*(self._outcome(row, OutcomeUnknown(told, hint=_IN_DOUBT_HINT), alone=False) for row in rows))
            return
        self._report(
            *(
                self._outcome(row, OutcomeUnknown(f"{why}; sent again: {result}", hint=_IN_DOUBT_HINT), alone=False)
                if isinstance(result, BaseException)
                else self._accepted(row, result)
                for row, result in zip(rows, results, strict=True)
            )
        )

    def _results(self, connector: Sender[Any, Message], messages: Sequence[Message], *, keyed: bool) -> Sequence[Receipt | ConnectorError]:
        """What became of each. Without an answer the very same batch goes once more under its own key, while all of it is at hand.

        Nobody could put it together again later, and in another company its messages have another key.
        """
        lost: OutcomeUnknown | None = None
        for pause in (*(_BATCH_AGAIN if keyed else ()), None):
            try:
                results = connector.send_batch(messages)
            except OutcomeUnknown as error:
                lost = error
                if pause is None or self._closed.wait(pause):
                    raise
                continue
            except Exception as error:
                if lost is None:
                    raise
                # whatever it was this time: the first may have been accepted
                raise OutcomeUnknown(f"{lost.message}; sent again: {getattr(error, 'message', error)}", hint=lost.hint) from None
            if len(results) != len(messages):
                # a wrong number of answers comes after the call: nobody knows what was accepted
                raise OutcomeUnknown(f"{connector.name}: send_batch answered {len(results)} outcomes for {len(messages)} messages")
            return results
        raise AssertionError("the last round returns or raises")

    def _accepted(self, row: Claimed, receipt: object) -> Outcome:
        if not isinstance(receipt, Receipt):
            # it returned, so it was most likely accepted; but nobody said so
            return self._outcome(row, OutcomeUnknown(f"{self.connector.name}: send returned {type(receipt).__name__}, not a Receipt"))
        # a plugin's id may be a number
        return Outcome(row, _SENT, None if receipt.id is None else str(receipt.id), str(receipt.detail))

    def _resolve(self, rows: Sequence[Claimed]) -> None:
        for row in rows:
            lost = OutcomeUnknown("the process ended while this was being sent", hint=_IN_DOUBT_HINT)
            known = self._known(row, lost, alone=not self.batches(row.channel))
            if known is not None and known.end is End.RETRY:
                # a crash of ours is no failed try of the message's, and the provider asked for no pause
                known.end, known.delay = End.THROTTLED, 0.0
            self._report(known or self._outcome(row, lost, alone=False))

    def _outcome(self, row: Claimed, error: BaseException, *, alone: bool = True) -> Outcome:
        skip = self.app.on_recipient_error is OnRecipientError.SKIP
        decision = retry.decide(error, row.tries, skip_recipients=skip, delays=self.connector.retry_schedule)
        if decision.end is End.IN_DOUBT and decision.cls == "in_doubt" and (known := self._known(row, error, alone=alone)) is not None:
            return known
        if decision.end in (End.FAILED, End.IN_DOUBT, End.RETRY, End.THROTTLED):
            self.close()
        cause = error.message if isinstance(error, AutomateError) else f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error)) if decision.cls == "bug" else ""
        cause = self._redactor.text(cause)[:_CAUSE_CHARS]
        return Outcome(
            row,
            decision.end,
            cls=decision.cls,
            cause=cause,
            cause_key=f"M{row.id}" if decision.own else cause if decision.end is End.IN_DOUBT else "",
            hint=self._redactor.text(getattr(error, "advice", "see: automate errors show")),
            trace=self._redactor.text(trace),
            delay=decision.delay,
            shared=decision.shared,
        )

    def _keyed(self, channel: str) -> bool:
        """Whether the provider refuses a second execution of a message of ``channel``."""
        keyed = self.connector.key_channels
        return self._key_ttl is not None and channel != Channel.ACTION and (keyed is None or channel in keyed)

    def _remembered(self, row: Claimed, *, after: float = 0.0) -> bool:
        """Whether the provider will still know the row's key ``after`` seconds: it refuses to execute it a second time."""
        if not self._keyed(row.channel) or self._key_ttl is None:
            return False
        # a clock that was set back tells nothing of the key's age
        age = self._clock.now().timestamp() - (row.first_at or row.started_at)
        return -_SLACK < age < self._key_ttl.total_seconds() - after

    def _known(self, row: Claimed, error: BaseException, *, alone: bool) -> Outcome | None:
        """Who can tell what became of an attempt without an answer? First answer wins: key, look-up, policy; else None and a person.

        A message that may have left in a batch (not ``alone``) went under the batch's key, which nothing but the same batch repeats.
        """
        why = self._redactor.text(str(getattr(error, "message", error)))[:_CAUSE_CHARS]
        delays = retry.TRANSIENT_DELAYS
        # the provider refuses a second execution of the same key while it remembers it; the next try is made well inside
        if alone and row.tries < len(delays) and self._remembered(row, after=delays[row.tries] * 1.2):
            self.close()
            return Outcome(row, End.RETRY, cls=SAME_KEY, cause=f"{why}; sent again under the same key", delay=min(delays[row.tries], 15.0))
        if self._lookup is not None:
            try:
                receipt = self._lookup(self.message(row))
            except Exception as failure:
                why = f"{why}; and the look-up failed: {self._redactor.text(str(failure))}"[:_CAUSE_CHARS]
            else:
                if receipt is not None:
                    return Outcome(row, End.SENT, provider_id=receipt.id, detail="the provider has it (look-up)")
                self.close()
                return Outcome(row, End.RETRY, cls="in_doubt", cause=f"{why}; the provider does not have it (look-up)", delay=1.0)
        if self.app.in_doubt is InDoubt.ASSUME_SENT:
            return Outcome(row, End.SENT, detail=f'assumed sent (in_doubt = "assume-sent"): {why}')
        if self.app.in_doubt is InDoubt.RESEND and row.tries < len(delays):
            self.close()
            return Outcome(row, End.RETRY, cls="in_doubt", cause=f'{why}; sent again (in_doubt = "resend")', delay=delays[row.tries])
        return None

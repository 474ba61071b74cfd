"""The rules of a pair of tasks, as IXC states them: the one that sends runs after the one that fills the queue, half an hour later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from libax_automate.engine import calendar
from libax_automate.engine.spec import Profile

#: the recipe of a task that only sends
SEND_QUEUE = "send-queue"
_APART = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Mispaired:
    """A model and what is wrong with the sending after it."""

    model: str
    what: str
    hint: str


def mispaired(profile: Profile, first: date, last: date) -> Iterator[Mispaired]:
    """Models of a profile with send tasks that fire on a day without one after them, or with one too close (IB-19, IC-22).

    Looks at the local days ``first`` to ``last``; each model is named once. Raises UsageError where a schedule cannot be read.
    """
    senders = {name for name, spec in profile.models.items() if spec.use == SEND_QUEUE and spec.enabled}
    if not senders:
        return
    said: set[str] = set()
    for day, found in groupby(calendar.events([profile], first, last), key=lambda event: event.local.date()):
        events = list(found)
        sending = [event for event in events if event.model in senders]
        for event in events:
            if event.model in senders or event.model in said:
                continue
            after = next((each for each in sending if each.instant > event.instant), None)
            if after is not None and after.instant - event.instant >= _APART:
                continue
            at = f"{day} {event.local:%H:%M}"
            if after is not None:
                minutes = int((after.instant - event.instant).total_seconds() // 60)
                what = f"{event.model} fills the queue at {at}, and {after.model} sends it {minutes} minutes later, not 30 (IC-22)"
            elif sending:
                what = f"{event.model} fills the queue at {at}, and {sending[-1].model} ran before it, at {sending[-1].local:%H:%M} (IB-19)"
            else:
                what = f"{event.model} fills the queue at {at}, and no send task runs on that day (IB-19)"
            said.add(event.model)
            later = event.local + _APART
            yield Mispaired(
                event.model, what, f'set the send task to at = "{later:%H:%M}" or later; its queue leaves with every run all the same'
            )

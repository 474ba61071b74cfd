"""The ladder itself: where an invoice stands, and which of its steps is due on a day. Pure; no records are read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import libax_automate as ax
from libax_automate.plugins.billing_when import Days, When

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: its place among the steps of its kind, when it is due, and after which steps alone."""

    name: str
    when: When
    days: Days
    #: names of steps of which one has to have left
    only_if: frozenset[str] = frozenset()
    #: one message for all invoices of a customer that are at it
    together: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A step that an invoice has come to: since which day, and what holds it back (None = nothing)."""

    rung: Rung
    day: date
    held: str | None = None


class Ladder:
    """The steps by time in the order in which they are climbed, and those that answer to an event.

    An invoice never goes back: a step is due from its day until a later one is, and of several only the latest (``late = "once"``).
    """

    def __init__(self, rungs: Sequence[Rung], *, gap: int) -> None:
        self.timed = tuple(rung for rung in rungs if not rung.when.event)
        self.events = tuple(rung for rung in rungs if rung.when.event)
        self.place = {rung.name: index for index, rung in enumerate(self.timed)}
        self.gap = gap

    def day_of(self, index: int, due: date, sent: Mapping[str, ax.Sent]) -> date | None:
        """When the timed step ``index`` is due; None while the step before it, from which it counts, has not left."""
        rung = self.timed[index]
        if rung.when.anchor == "due":
            return rung.days.shift(due, rung.when.days)
        before = sent.get(self.timed[index - 1].name)
        if before is None or before.state is not ax.SentState.SENT:
            return None
        return rung.days.shift(before.day, rung.when.days)

    def reached(self, sent: Mapping[str, ax.Sent]) -> int:
        """The place of the last step of which there is a message, void ones apart; -1 = none."""
        places = (self.place[name] for name, each in sent.items() if each.state is not ax.SentState.VOID and name in self.place)
        return max(places, default=-1)

    def now(self, due: date, sent: Mapping[str, ax.Sent], today: date, since: date) -> Due | None:
        """The newest step that is due today and of which nothing has been said; nothing dated before ``since`` ever is."""
        done = self.reached(sent)
        for index in range(len(self.timed) - 1, done, -1):
            rung = self.timed[index]
            day = self.day_of(index, due, sent)
            if day is None or day > today or (rung.when.anchor == "due" and day < since):
                continue
            if rung.when.days < 0 and today > due:
                continue  # a reminder of what is to come is no word about what is past
            if not self.follows(rung, sent):
                continue
            return Due(rung, day, self._held(sent, today))
        return None

    @staticmethod
    def follows(rung: Rung, sent: Mapping[str, ax.Sent]) -> bool:
        """Whether one of the steps has left without which this one says nothing."""
        return not rung.only_if or any((each := sent.get(name)) is not None and each.state is ax.SentState.SENT for name in rung.only_if)

    def last(self, sent: Mapping[str, ax.Sent]) -> tuple[date, str] | None:
        """The latest message of a timed step that left or waits."""
        said = [
            (each.day, name) for name, each in sent.items() if name in self.place and each.state in (ax.SentState.SENT, ax.SentState.OPEN)
        ]
        return max(said, default=None)

    def _held(self, sent: Mapping[str, ax.Sent], today: date) -> str | None:
        return self.too_soon(self.last(sent), today)

    def too_soon(self, last: tuple[date, str] | None, today: date) -> str | None:
        """What says that another step would come too soon after the last one."""
        if last is None or (today - last[0]).days >= self.gap:
            return None
        return f"{last[1]} on {last[0]}, and {self.gap}d lie between two steps"

    def ends(self, rung: Rung, due: date, today: date) -> date | None:
        """The first day on which a message of ``rung`` is void: the next step's of fixed date, or the first after the due date."""
        after = self.timed[self.place[rung.name] + 1 :]
        days = [each.days.shift(due, each.when.days) for each in after if each.when.anchor == "due"]
        if rung.when.days < 0:
            days.append(due + _DAY)
        return min((day for day in days if day > today), default=None)

    def missed(self, due: date, since: date) -> bool:
        """Whether all steps that count from the due date were due before ``since``."""
        return all(rung.days.shift(due, rung.when.days) < since for rung in self.timed if rung.when.anchor == "due")

    def before(self, rung: Rung) -> str:
        """The name of the timed step before ``rung``."""
        return self.timed[self.place[rung.name] - 1].name

    def ahead(self, due: date, sent: Mapping[str, ax.Sent], today: date) -> tuple[Rung, date | None] | None:
        """The next timed step and its day, for people; None as day where it waits for the one before it."""
        for index in range(self.reached(sent) + 1, len(self.timed)):
            rung, day = self.timed[index], self.day_of(index, due, sent)
            if (day is not None and day < today) or not self.follows(rung, sent):
                continue
            return rung, day
        return None

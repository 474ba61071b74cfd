"""What a model is: a pure reading of records into candidates and effects. It yields, it never sends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol
from zoneinfo import ZoneInfo

from libax_automate._plugin import OptionsT, Plugin
from libax_automate.options import Options
from libax_automate.record import Money, Query, Record


class Late(StrEnum):
    """What a missed slot does."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class MessageClass(StrEnum):
    """What kind of word it is to the person; caps and tact count by it."""

    COURTESY = "courtesy"
    SERVICE = "service"
    BILLING = "billing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payable:
    """Something to pay, for which the app of :meth:`Model.referencer` makes a payment reference, once ever per ``our_id`` (LX-28)."""

    our_id: str
    #: what people call it
    number: str
    amount: Decimal
    currency: str = "EUR"
    due: date | None = None
    #: ask again, though nobody saw the end of an earlier call: a person has looked
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that goes with a candidate's message: numbered without gaps, printed, attached and kept by the engine (LX-30).

    The layout may name all that the message's wording may. ``records`` are the ids of the records that it speaks of: no other
    document of the model does, and :meth:`Run.documented` knows them afterwards.
    """

    records: tuple[str, ...]
    total: Money
    #: what it is about, for lists: ``2026-11``
    period: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stationery:
    """How a configured model's documents are numbered and laid out (LX-30)."""

    #: built-in layouts by language: ``en``, ``pt_PT``, ``pt_BR``
    layouts: Mapping[str, str]
    #: the layout file, relative to the profile; None = the built-in one in the profile's language
    layout: str | None = None
    #: numbers count without gaps within a series of a profile, which models may share; None = the model's name in capitals
    series: str | None = None
    #: the series starts again each year (``NP 2026/7``); False = never (``NP 7``)
    yearly: bool = True
    #: the number with which the first series begins; those of later years begin with 1
    first: int = 1
    #: digits that a number has at least
    digits: int = 1


# not frozen: a run makes one for every person, and freezing it takes four fifths of the time that making it does
@dataclass(slots=True, kw_only=True)
class Candidate:
    """Someone a message recipe would write to, and why; audience, where, channel and wording are the engine's.

    ``occasion`` is what makes the message unique in the world (a local date, ``created``, invoice + stage), never
    the moment of running. ``excluded`` names a recipe's own reason not to write, and the person is listed with it.
    """

    record: Record
    occasion: str
    #: whom to write to, where that is not ``record`` itself (an invoice's customer)
    recipient: Record | None = None
    #: placeholders beyond the record's own (``age``)
    extra: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    why: str = ""
    excluded: str | None = None
    #: seen before the model's own beginning: recorded as skipped, so that it never fires later
    baseline: bool = False
    #: the message is void from this instant on; None = the model's ``expires``
    expires: datetime | None = None
    #: answers that, re-asked of the source at send time, still have to hold: field -> allowed values
    still: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: ids of further records that the message speaks of; what ``still`` says has to hold of them too
    also: tuple[str, ...] = ()
    #: what the message asks to be paid, and wants references for: the placeholders ``payments``, and of one alone ``entity``, ``reference``
    payable: tuple[Payable, ...] = ()
    #: what goes with the message; adds the placeholders ``number`` and ``issued``
    document: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something a recipe does in another application: one action of ``app`` on ``to``, once per ``occasion``."""

    app: str
    kind: str
    to: str
    occasion: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    person: str = ""
    step: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One line of a :class:`Roll`: somebody in a group."""

    group: str
    person: str
    name: str = ""
    email: str = ""
    mobile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Who is in which group, as a CSV file that the engine keeps (LX-26): all members, on every run that read them all.

    The engine writes it beside the profile in a real run, whole or not at all, and remembers since when each one is in; where
    nothing changed the file stays as it is. A plan shows who enters and who leaves.
    """

    #: relative to the profile's folder, and inside it
    file: str
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a configured model (``[[models.X.steps]]``): its name, and the recipe's own keys as its ``step_type``."""

    name: str
    options: Options


class SentState(StrEnum):
    """How far an earlier message is."""

    #: it left
    SENT = "sent"
    #: it waits, or an error holds it
    OPEN = "open"
    #: it ended without leaving: skipped, cleared, refused, expired
    OVER = "over"
    #: it ended without leaving because what it said was no longer true (``Candidate.still``)
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a step's message about one record: the local day it left (or ended, or was queued), and its id (``M1042``)."""

    day: date
    state: SentState
    message: str
    #: how many messages of the step were void before
    void: int = 0


def covering(ids: Iterable[str], turn: int = 0) -> str:
    """An occasion that names the records a message speaks of, for :meth:`Run.sent` to find; ``turn`` sets a repetition apart."""
    named = ",".join(each.replace("%", "%25").replace(",", "%2C").replace("~", "%7E") for each in ids)
    return f"{named}~{turn}" if turn else named


def covered(occasion: str) -> tuple[str, ...]:
    """The ids that :func:`covering` put into an occasion."""
    named = occasion.partition("~")[0].split(",")
    return tuple(each.replace("%7E", "~").replace("%2C", ",").replace("%25", "%") for each in named)


class Run(Protocol):
    """All that a model may touch while it plans."""

    #: the instant of this pass, with a zone
    now: datetime
    timezone: ZoneInfo
    #: the slot being run, the profile's naive local time
    slot: datetime
    #: local dates this run answers for, both included: one day, or with ``late = "once"`` all since the last run
    first: date
    last: date
    #: records up to this instant have been seen by an earlier run of this model
    bookmark: datetime
    #: the instant the model was first seen; nothing before it ever fires
    since: datetime
    #: True on a model's first pass: yield what already exists as ``baseline`` candidates
    baseline: bool

    def fetch(self, entity: str, query: Query) -> Iterator[Record]:
        """The records of the model's source; bad rows are counted and named by the run."""

    def other(self, app: str, entity: str, query: Query) -> Iterator[Record]:
        """The records of another source app of the profile (LX-04)."""

    def sent(self, record: str) -> Mapping[str, Sent]:
        """What earlier runs of this model said of a record: step -> its message. Known by occasions made with :func:`covering`."""

    def spoken(self) -> Iterable[str]:
        """The ids of the records of which earlier runs of this model said something."""

    def consent(self, person: str) -> str | None:
        """A person's latest answer in the consent ledger (LX-25), as it was given; None = none."""

    def documented(self, record: str) -> str | None:
        """The number of this model's document that speaks of a record (LX-30); None = there is none."""


class Model(Plugin[OptionsT]):
    """Base of all recipes. The common keys of a model (schedule, audience, wording …) are not its options: the engine reads them."""

    #: what records it reads by default
    entity: ClassVar[str] = "contacts"
    #: what those are whom it writes to
    people: ClassVar[str] = "contacts"
    #: placeholders it adds, with a sample value (``models fields``)
    placeholders: ClassVar[Mapping[str, str]] = {}
    #: may run in real time (LX-41)
    realtime: ClassVar[bool] = False
    #: has a bookmark, and yields baseline candidates on its first pass
    bookmarked: ClassVar[bool] = False
    late: ClassVar[Late] = Late.ONCE
    #: how far back ``late = "all"`` and ``"once"`` reach; None = without end
    late_limit: ClassVar[timedelta | None] = None
    #: ``"day"`` = until the local day of the slot ends; or a span such as ``"2d"``; None = never
    expires: ClassVar[str | None] = None
    message_class: ClassVar[MessageClass] = MessageClass.SERVICE
    #: message catalogue id of the subject used when the profile gives none (LX-51)
    generic_subject: ClassVar[str] = "subject.notice"
    #: writes to people; False = yields effects only, and a profile need not say what a message says
    messages: ClassVar[bool] = True
    #: the recipe's own keys of a step; None = it has no steps of its own
    step_type: ClassVar[type[Options] | None] = None
    #: stages whose messages wait for a person's yes unless the profile says otherwise
    grave: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: OptionsT, steps: Sequence[Step] = ()) -> None:
        super().__init__(options)
        self.steps = tuple(steps)

    def entity_name(self) -> str:
        """The entity this configured model reads."""
        return self.entity

    def reads(self) -> tuple[str, ...]:
        """The fields of its entity without which it would find nobody; ``check`` misses them in the source."""
        return ()

    def referencer(self) -> str | None:
        """The app that makes payment references for what its candidates ask to be paid; None = none is made (LX-28)."""
        return None

    def conditions(self) -> Iterator[tuple[str, str]]:
        """The conditions among its options, (key, expression): ``check`` holds their fields against the source. ``groups.porto``."""
        return iter(())

    def errands(self) -> Iterator[tuple[str, str, str]]:
        """The actions that its effects ask for, (key, app, kind): ``check`` asks the app whether it can."""
        return iter(())

    def rolls(self) -> Iterator[tuple[str, str]]:
        """The files that its rolls are kept in, (key, file): ``check`` looks whether they may be written."""
        return iter(())

    def stationery(self) -> Stationery | None:
        """How the documents of its candidates are numbered and laid out (LX-30); None = they have none."""
        return None

    def faults(self) -> Iterator[tuple[str, str, str]]:
        """What is wrong with the steps together, found when a profile is loaded: (step or "", what and why, what to do)."""
        return iter(())

    def sample(self, record: Record) -> Mapping[str, Any]:  # noqa: ARG002 - for recipes that can tell
        """Values of its own placeholders for a test send about ``record``."""
        return self.placeholders

    def story(self, run: Run, records: Sequence[Record]) -> Iterator[str]:  # noqa: ARG002 - for recipes that override it
        """What ``explain`` tells of a person's records, a line each: where they stand and what comes next."""
        return iter(())

    @abstractmethod
    def plan(self, run: Run) -> Iterator[Candidate | Effect | Roll]:
        """Read and yield; writes nothing, so that plan, backtest and run share it."""

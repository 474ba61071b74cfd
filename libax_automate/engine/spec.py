"""A profile as the engine sees it: typed, frozen, everything resolved and defaulted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.message import Channel
from libax_automate.model import Late, MessageClass
from libax_automate.options import Options


class InDoubt(StrEnum):
    """What becomes of a message whose outcome nobody can tell."""

    HOLD = "hold"
    ASSUME_SENT = "assume-sent"
    RESEND = "resend"


class OnRecipientError(StrEnum):
    """What a refused recipient does to the queue (LX-63)."""

    STOP = "stop"
    SKIP = "skip"


class Activation(StrEnum):
    """When new schedule settings take effect (LX-40)."""

    NEXT_DAY = "next-day"
    IMMEDIATE = "immediate"


@dataclass(frozen=True, slots=True)
class Rate:
    """A pace: ``count`` calls per ``seconds``."""

    count: int
    seconds: float

    @property
    def interval(self) -> float:
        """Seconds between two calls at an even pace."""
        return self.seconds / self.count


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the local day in which nothing leaves; ``start`` may be later than ``end`` (over midnight)."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``count`` messages to one person within ``span``."""

    count: int
    span: timedelta

    def __str__(self) -> str:
        days, seconds = divmod(int(self.span.total_seconds()), 86_400)
        return f"{self.count} per {days}d" if not seconds else f"{self.count} per {self.span.total_seconds() / 3600:g}h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tact:
    """A ``[[tact]]`` table: what ``hold`` (a model, or a class of messages) does not say to a person in a certain situation.

    Either ``near``: another model (at one of ``steps``, or at any) wrote or is about to write to the person ``within`` that span;
    or ``on``: a date field of the person that falls on today.
    """

    hold: str
    near: str | None = None
    steps: frozenset[str] = frozenset()
    within: timedelta = timedelta(days=30)
    on: str | None = None
    #: ``skip`` = not at all; ``wait`` = from the next day on which it is tactful
    then: str = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """An ``[apps.NAME]`` table."""

    name: str
    connector: str
    options: Options
    rate: Rate | None = None
    concurrency: int = 4
    window: int = 16
    in_doubt: InDoubt = InDoubt.HOLD
    on_recipient_error: OnRecipientError = OnRecipientError.STOP
    allow_private: tuple[str, ...] = ()
    #: apps with equal credentials share pace and account errors; a value to hash, never to show
    credential: str = field(default="", repr=False)
    #: LINE:COL of the table, for errors found later
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a model fires, in the profile's local time. Exactly one of ``at``, ``cron``, ``every`` or ``realtime`` is set.

    Month days, months and weekdays are sets of numbers (1 = Monday … 7 = Sunday) or None for all; they are ANDed (IB-14).
    """

    at: tuple[time, ...] = ()
    cron: str | None = None
    #: ``every`` in whole days/weeks/months counts plain dates from ``start`` at ``at`` (default 09:00); in minutes/hours it follows elapsed time
    every: str | None = None
    realtime: bool = False
    weekdays: frozenset[int] | None = None
    monthdays: frozenset[int] | None = None
    months: frozenset[int] | None = None
    start: date | None = None
    end: date | None = None

    def fingerprint(self) -> str:
        """A text that changes when, and only when, the schedule does (LX-40)."""
        parts = (self.at, self.cron, self.every, self.realtime, self.weekdays, self.monthdays, self.months, self.start, self.end)
        return repr(tuple(sorted(part) if isinstance(part, frozenset) else part for part in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a message says: own text, or a provider's template with its variables."""

    subject: str | None = None
    text: str | None = None
    html: str | None = None
    template: str | None = None
    vars: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    reply_to: str | None = None
    sender: str | None = None
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    #: paths relative to the profile
    attachments: tuple[str, ...] = ()
    max_chars: int | None = None
    #: a stage's own fields, handed to the connector untouched (IC-26)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One ``[[models.X.steps]]`` table: the recipe's own options beside the shared channel and wording."""

    name: str
    options: Mapping[str, Any]
    channel: Channel | None = None
    #: channels for those whom ``channel`` does not reach, in order
    fallback: tuple[Channel, ...] = ()
    via: str | None = None
    wording: Wording = field(default_factory=Wording)
    #: its messages wait until a person approves them
    approve: bool = False
    #: what it is for, in the profile's own words
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A ``[models.NAME]`` table."""

    name: str
    use: str
    options: Options
    source: str | None = None
    schedule: Schedule = field(default_factory=Schedule)
    enabled: bool = True
    audience: tuple[str, ...] = ()
    where: str | None = None
    channel: Channel | None = None
    #: channels for those whom ``channel`` does not reach, in order
    fallback: tuple[Channel, ...] = ()
    #: the app that sends; None = the default app of the channel
    via: str | None = None
    #: the webhook app that gets the list instead (LX-18)
    webhook: str | None = None
    wording: Wording = field(default_factory=Wording)
    activity: bool = False
    late: Late | None = None
    late_limit: timedelta | None = None
    #: ``"day"``, a span such as ``"2d"``; None = the recipe's
    expires: str | None = None
    #: a person hears from this model once ever, whatever the occasion
    once: bool = False
    quiet: Quiet | None = None
    #: no quiet hours hold, whatever [defaults] says
    any_hour: bool = False
    send_weekdays: frozenset[int] | None = None
    steps: tuple[StepSpec, ...] = ()
    #: what kind of word it is, where it is not the recipe's
    message_class: MessageClass | None = None
    #: None = what [defaults] says of its class
    cap: Cap | None = None
    #: no cap holds, whatever [defaults] says
    uncapped: bool = False
    #: every message waits until a person approves
    approve: bool = False
    #: a run of more than so many times its usual size waits for a person; 0 = never, None = what [defaults] says
    brake: float | None = None
    #: only people who agreed hear from it
    consent: bool = False
    #: what it is for, in the profile's own words (IB-04)
    description: str = ""
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """``[defaults]``: the app per channel (LX-13), and what holds for every model."""

    apps: Mapping[Channel, str] = field(default_factory=dict)
    quiet: Quiet | None = None
    send_weekdays: frozenset[int] | None = None
    free_plan_sender: str | None = None
    reply_to: str | None = None
    #: class of messages -> cap; ``all`` counts every class together
    cap: Mapping[str, Cap] = field(default_factory=dict)
    brake: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One client: one TOML file."""

    name: str
    path: Path
    timezone: ZoneInfo
    locale: str = "en_US"
    country: str = ""
    notify: tuple[str, ...] = ()
    #: weekday (1 = Monday) and local time of the weekly report; None = none
    report: tuple[int, time] | None = None
    activation: Activation = Activation.NEXT_DAY
    #: how long the wording of ended messages is kept; the row that keeps a person from hearing twice stays
    retention: timedelta = timedelta(days=365)
    defaults: Defaults = field(default_factory=Defaults)
    apps: Mapping[str, AppSpec] = field(default_factory=dict)
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    tact: tuple[Tact, ...] = ()
    #: values that came into options by reference ({ env }, { file } …) without being ``Secret``: redacted like secrets
    referenced: frozenset[str] = field(default=frozenset(), repr=False)
    #: non-fatal findings of loading (``check`` prints them): PATH:LINE:COL: text
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where relative paths of the profile start."""
        return self.path.parent

"""What the store hands out: plain typed rows. Instants are epoch seconds, UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class MessageState(StrEnum):
    """Where a message is; see "States" in the reference."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    REJECTED = "rejected"


class AppState(StrEnum):
    """What an app's queue does."""

    RUNNING = "running"
    THROTTLED = "throttled"
    HALTED = "halted"
    PAUSED = "paused"
    FENCED = "fenced"


class TaskState(StrEnum):
    """Where a task is."""

    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CRASHED = "crashed"
    MISSED = "missed"
    OVERLAPPED = "overlapped"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Claimed:
    """A message that this process alone may now send; its attempt row is committed."""

    id: int
    n: int
    app_id: int
    model_id: int
    task_id: int | None
    step: str
    person: str
    occasion: str
    channel: str
    to: str
    payload: str
    key: str
    tries: int
    started_at: float
    activity: str | None = None
    still: str | None = None
    #: when the first attempt under this key was made: what an idempotency window counts from
    first_at: float = 0.0
    #: an earlier attempt under this key had no answer: it may leave again only while the provider remembers the key
    doubt: bool = False


class End(StrEnum):
    """How one attempt ended, as delivery tells the store."""

    SENT = "sent"
    #: never handed to the provider: back in line, the attempt undone
    RELEASED = "released"
    #: provably not accepted: back in line, counted as a try
    RETRY = "retry"
    #: provably not accepted, asked to slow down: back in line, not counted
    THROTTLED = "throttled"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    REJECTED = "rejected"
    #: turned out not to be wanted any more when about to leave
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Outcome:
    """One attempt's end. ``cause``/``cls`` are set unless it was sent or released."""

    row: Claimed
    end: End
    provider_id: str | None = None
    detail: str = ""
    cls: str = ""
    cause: str = ""
    cause_key: str = ""
    hint: str = ""
    trace: str = ""
    #: seconds to wait before the app (RETRY) or the credential (THROTTLED) goes on
    delay: float = 0.0
    #: the error belongs to the credential: it halts every app on it
    shared: bool = False


@dataclass(frozen=True, slots=True)
class AppRow:
    """An app's queue as it stands."""

    id: int
    profile: str
    name: str
    connector: str
    credential_id: int
    state: AppState
    #: when a throttled app goes on
    until: float = 0.0
    reason: str = ""
    waiting: int = 0
    sending: int = 0
    in_doubt: int = 0
    failed: int = 0
    sent: int = 0
    oldest: float | None = None
    next_at: float | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model's memory."""

    id: int
    profile: str
    name: str
    enabled: bool | None
    first_seen: float
    slot_bookmark: float
    bookmark: float
    baseline_at: float | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One execution of a model."""

    id: int
    profile: str
    model: str
    model_id: int
    slot: str
    slot_at: float
    first_day: str
    last_day: str
    state: TaskState
    trigger: str
    tries: int
    planned: int
    excluded: int
    queued: int
    bad_rows: int
    sent: int
    failed: int
    reason: str
    created_at: float
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One cause that halts an app."""

    id: int
    profile: str
    app: str
    app_id: int
    credential_id: int | None
    cls: str
    cause: str
    hint: str
    detail: str
    message_id: int | None
    opened_at: float
    closed_at: float | None
    resolution: str | None
    notices: int
    next_notice: float
    #: messages that carry this error (failed or in doubt)
    messages: tuple[int, ...] = ()
    #: messages that wait behind it
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message, for people."""

    id: int
    profile: str
    app: str
    model: str
    task_id: int | None
    step: str
    person: str
    name: str
    occasion: str
    channel: str
    to: str
    payload: str
    state: MessageState
    attempts: int
    not_before: float
    expires: float | None
    error_id: int | None
    provider_id: str | None
    reason: str
    created_at: float
    ended_at: float | None
    system: bool = False


@dataclass(slots=True)
class Changed:
    """What an operator's verb did: the ids it changed, and a batch that ``queue restore`` takes back, if it made one."""

    messages: list[int] = field(default_factory=list)
    batch: int | None = None
    errors: list[int] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

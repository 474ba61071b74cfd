"""What an error means for the queue: a pure function of its class and how often it was tried."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from libax_automate.engine.store.rows import End
from libax_automate.errors import (
    AccountError,
    AutomateError,
    ConnectorError,
    ContentError,
    InvalidMessage,
    OutcomeUnknown,
    PluginError,
    RateLimited,
    RecipientError,
    SetupError,
    TemplateError,
    Transient,
)

#: seconds before the second, third, fourth and fifth try of something that provably did not leave
TRANSIENT_DELAYS = (15.0, 60.0, 240.0, 600.0)

#: share of a delay by which it is moved at random, so that many machines do not come back at once
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the attempt, and how the error is named and shared."""

    end: End
    cls: str
    #: seconds before the app (RETRY) or the credential (THROTTLED) goes on
    delay: float = 0.0
    #: halts every app on the credential with one error
    shared: bool = False
    #: this message alone is the cause: each gets an error of its own
    own: bool = False


def decide(error: BaseException, tries: int, *, skip_recipients: bool, delays: Sequence[float] | None = None) -> Decision:
    """The policy table: the error's class decides. ``tries`` counts earlier failures of this message that were provably not sent."""
    steps = TRANSIENT_DELAYS if delays is None else delays
    match error:
        case RateLimited():
            return Decision(End.THROTTLED, "rate_limited", delay=max(error.retry_after or 0.0, 0.0), shared=True)
        case Transient():
            if tries >= len(steps):
                return Decision(End.FAILED, "transient")
            wait = max(steps[tries], error.retry_after or 0.0)
            return Decision(End.RETRY, "transient", delay=wait * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - jitter, not a secret
        case AccountError():
            return Decision(End.FAILED, "account", shared=True)
        case SetupError():
            return Decision(End.FAILED, "configuration")
        case ContentError() | InvalidMessage() | TemplateError():
            return Decision(End.FAILED, "content", own=True)
        case RecipientError():
            return Decision(End.REJECTED if skip_recipients else End.FAILED, "recipient", own=True)
        case OutcomeUnknown():
            return Decision(End.IN_DOUBT, "in_doubt")
        case PluginError():
            return Decision(End.FAILED, "configuration")
        case ConnectorError() | AutomateError():
            # named by nobody: it may have left before it was raised
            return Decision(End.IN_DOUBT, "bug")
        case _:
            return Decision(End.IN_DOUBT, "bug")

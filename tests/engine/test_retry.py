"""The policy table, cell by cell: a pure function of the error's class and of how often it was tried."""

from __future__ import annotations

import pytest

from libax_automate.engine.retry import TRANSIENT_DELAYS, Decision, decide
from libax_automate.engine.store.rows import End
from libax_automate.errors import (
    AccountError,
    AutomateError,
    ConnectorError,
    ContentError,
    InvalidMessage,
    NotFound,
    OutcomeUnknown,
    PluginError,
    RateLimited,
    RecipientError,
    SetupError,
    TemplateError,
    Transient,
)

CONTENT = Decision(End.FAILED, "content", own=True)
DOUBT = Decision(End.IN_DOUBT, "bug")


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (RateLimited("slow", retry_after=30.0), Decision(End.THROTTLED, "rate_limited", 30.0, shared=True)),
        (RateLimited("slow"), Decision(End.THROTTLED, "rate_limited", 0.0, shared=True)),
        (RateLimited("slow", retry_after=0.0), Decision(End.THROTTLED, "rate_limited", 0.0, shared=True)),
        (RateLimited("slow", retry_after=-30.0), Decision(End.THROTTLED, "rate_limited", 0.0, shared=True)),
        (AccountError("no balance"), Decision(End.FAILED, "account", shared=True)),
        (SetupError("no template"), Decision(End.FAILED, "configuration")),
        (ContentError("too large"), CONTENT),
        (InvalidMessage("no subject"), CONTENT),
        (TemplateError("unknown field"), CONTENT),
        (RecipientError("no such number"), Decision(End.FAILED, "recipient", own=True)),
        (OutcomeUnknown("cut off"), Decision(End.IN_DOUBT, "in_doubt")),
        (PluginError("is not installed"), Decision(End.FAILED, "configuration")),
        (ConnectorError("something"), DOUBT),
        (NotFound("something"), DOUBT),
        (AutomateError("something"), DOUBT),
        (KeyError("id"), DOUBT),
        (KeyboardInterrupt(), DOUBT),
    ],
)
@pytest.mark.parametrize("tries", [0, 9])
def test_the_class_of_an_error_is_the_policy(error: BaseException, decision: Decision, tries: int) -> None:
    assert decide(error, tries, skip_recipients=False) == decision
    if not isinstance(error, RecipientError):
        assert decide(error, tries, skip_recipients=True) == decision


def test_a_refused_recipient_is_rejected_where_the_profile_says_so() -> None:
    assert decide(RecipientError("no such number"), 0, skip_recipients=True) == Decision(End.REJECTED, "recipient", own=True)


def test_the_waits_are_those_that_are_documented() -> None:
    """4 tries: 15 s, 1 m, 4 m, 10 m."""
    assert TRANSIENT_DELAYS == (15.0, 60.0, 240.0, 600.0)


@pytest.mark.parametrize(("tries", "wait"), [(0, 15.0), (1, 60.0), (2, 240.0), (3, 600.0)])
def test_what_did_not_leave_waits_longer_each_time_by_a_tenth_more_or_less(tries: int, wait: float) -> None:
    delays = {decide(Transient("refused"), tries, skip_recipients=False).delay for _ in range(300)}
    assert all(wait * 0.9 <= delay <= wait * 1.1 for delay in delays)
    assert min(delays) < wait * 0.98 < wait * 1.02 < max(delays), "many machines must not come back at once"
    found = decide(Transient("refused"), tries, skip_recipients=False)
    assert found == Decision(End.RETRY, "transient", found.delay)


def test_after_the_last_wait_it_halts() -> None:
    assert decide(Transient("refused"), 4, skip_recipients=False) == Decision(End.FAILED, "transient")
    assert decide(Transient("refused"), 5, skip_recipients=False) == Decision(End.FAILED, "transient")


def test_a_provider_may_ask_for_more_and_not_for_less() -> None:
    longer = decide(Transient("busy", retry_after=1000.0), 0, skip_recipients=False)
    assert 900.0 <= longer.delay <= 1100.0
    assert 13.5 <= decide(Transient("busy", retry_after=1.0), 0, skip_recipients=False).delay <= 16.5


def test_a_connector_may_have_waits_of_its_own() -> None:
    """None at all halts at once."""
    assert 4.5 <= decide(Transient("refused"), 0, skip_recipients=False, delays=(5.0,)).delay <= 5.5
    assert decide(Transient("refused"), 1, skip_recipients=False, delays=(5.0,)).end is End.FAILED
    assert decide(Transient("refused"), 0, skip_recipients=False, delays=()).end is End.FAILED
    instantly = [decide(Transient("refused"), 0, skip_recipients=False, delays=(0.0,)).delay for _ in range(20)]
    assert instantly == [0.0] * 20


def test_a_decision_says_no_more_than_it_is_told() -> None:
    """The table above compares decisions with each other, so what stands for what is left out is looked at by itself."""
    plain = Decision(End.FAILED, "transient")
    assert (plain.delay, plain.shared, plain.own) == (0.0, False, False)

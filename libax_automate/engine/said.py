"""What a model has said of each record so far: its messages in the ledger, by the ids that their occasions name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from libax_automate.engine.walltime import local_of
from libax_automate.model import Sent, SentState, covered

_OPEN = frozenset({"waiting", "sending", "failed", "in_doubt"})
#: the reasons under which a message ends by a person's hand, or as part of a webhook's list
_BY_HAND, _LISTED = "cleared by hand", "in the list for "
_RANK = {SentState.VOID: 0, SentState.OVER: 1, SentState.OPEN: 2, SentState.SENT: 3}
#: every zone's offset is a multiple of a quarter of an hour, so a local day never changes within one
_QUARTER = 900


def said(rows: Iterable[tuple[str, str, str, float, int, str]], zone: ZoneInfo) -> Mapping[str, Mapping[str, Sent]]:
    """Record id -> step -> the message that got furthest; ``rows`` are those of ``History.said``."""
    found: dict[str, dict[str, Sent]] = {}
    days: dict[int, date] = {}
    for step, occasion, state, at, message, reason in rows:
        quarter = int(at // _QUARTER)
        day = days.get(quarter)
        if day is None:
            day = days[quarter] = local_of(datetime.fromtimestamp(at, UTC), zone).date()
        made = Sent(day, _state(state, reason), f"M{message}")
        for record in covered(occasion):
            steps = found.setdefault(record, {})
            before = steps.get(step)
            steps[step] = made if before is None else _better(before, made)
    return found


def _better(before: Sent, made: Sent) -> Sent:
    void = before.void + (before.state is SentState.VOID)
    if _RANK[made.state] >= _RANK[before.state]:
        return replace(made, void=void)
    return replace(before, void=before.void + (made.state is SentState.VOID))


def _state(state: str, reason: str) -> SentState:
    if state == "sent" or (state == "skipped" and reason.startswith(_LISTED)):
        return SentState.SENT
    if state in _OPEN:
        return SentState.OPEN
    return SentState.VOID if state == "cancelled" and not reason.startswith(_BY_HAND) else SentState.OVER

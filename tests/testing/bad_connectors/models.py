"""Models that break one promise each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import libax_automate as ax

from . import case
from .good import Quiet, QuietContract

Plan = Iterator[ax.Candidate | ax.Effect]


class Changed(Quiet):
    """The good model, each candidate changed by ``change``."""

    def change(self, candidate: ax.Candidate, run: ax.Run) -> ax.Candidate:
        return candidate

    def plan(self, run: ax.Run) -> Plan:
        for item in super().plan(run):
            assert isinstance(item, ax.Candidate)
            yield self.change(item, run)


@case(
    QuietContract,
    "it_yields_candidates_and_effects_only",
    *("it_writes_to_whom_it_should", "an_occasion_is_never_the_moment_of_running"),
    *("an_occasion_comes_once_for_each_person", "everybody_has_a_reason", "the_first_pass_only_remembers"),
)
class Mapped(Quiet):
    def plan(self, run: ax.Run) -> Any:
        return ({"id": item.record.id} for item in super().plan(run) if isinstance(item, ax.Candidate))


@case(QuietContract, "it_yields_candidates_and_effects_only", "it_writes_to_whom_it_should")
class Nobody(Quiet):
    def plan(self, run: ax.Run) -> Plan:
        return iter(())


@case(QuietContract, "it_writes_to_whom_it_should")
class Everybody(Quiet):
    def plan(self, run: ax.Run) -> Plan:
        yield from super().plan(run)
        for record in run.fetch("contacts", ax.Query(ids=frozenset({"2"}))):
            yield ax.Candidate(record=record, occasion="x", extra={"silent_days": 1}, why="why not", baseline=run.baseline)


@case(QuietContract, "a_plan_is_pure")
class Marking(Changed):
    def change(self, candidate: ax.Candidate, run: ax.Run) -> ax.Candidate:
        candidate.record["seen"] = True
        return candidate


@case(QuietContract, "a_plan_is_pure")
class Remembering(Changed):
    count = 0

    def change(self, candidate: ax.Candidate, run: ax.Run) -> ax.Candidate:
        self.count += 1
        return replace(candidate, why=f"number {self.count}")


@case(QuietContract, "an_occasion_is_never_the_moment_of_running")
class Momentary(Changed):
    def change(self, candidate: ax.Candidate, run: ax.Run) -> ax.Candidate:
        return replace(candidate, occasion=run.now.isoformat())


@case(QuietContract, "an_occasion_comes_once_for_each_person")
class Twice(Quiet):
    def plan(self, run: ax.Run) -> Plan:
        found = list(super().plan(run))
        yield from found
        yield from (replace(item, excluded="again") for item in found if isinstance(item, ax.Candidate))


@case(QuietContract, "every_placeholder_is_declared")
class Undocumented(Quiet):
    placeholders = {}


@case(QuietContract, "every_placeholder_is_declared")
class Missing(Quiet):
    placeholders = {"silent_days": "97", "last_order": "FT 1"}


@case(QuietContract, "everybody_has_a_reason")
class Unreasoned(Changed):
    def change(self, candidate: ax.Candidate, run: ax.Run) -> ax.Candidate:
        return replace(candidate, why="")


@case(QuietContract, "the_first_pass_only_remembers")
class Loud(Changed):
    def change(self, candidate: ax.Candidate, run: ax.Run) -> ax.Candidate:
        return replace(candidate, baseline=False)

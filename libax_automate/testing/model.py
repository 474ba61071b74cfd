"""The contract of a model: it reads and yields, the same every time, and says who, why and for which occasion."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, Literal

import pytest

from libax_automate._plugin import Plugin
from libax_automate.model import Candidate, Effect, Model, Roll
from libax_automate.testing.plugin import PluginContract
from libax_automate.testing.run import PlannedRun


class ModelContract(PluginContract):
    """What the engine relies on in every model.

    ::

        class TestQuiet(ModelContract):
            model = Quiet
            records = [{"id": "1", "name": "Ana", "changed_at": "2026-01-05T10:00:00Z"}]
            expected = ["1"]

            def options(self):
                return {"days": 90}
    """

    kind: ClassVar[Literal["connector", "model"]] = "model"

    model: ClassVar[type[Model[Any]]]

    #: records of the model's source, of which it writes to some and not to others
    records: ClassVar[Sequence[Mapping[str, Any]]] = ()
    #: what further apps answer, by app and entity
    others: ClassVar[Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]] = {}
    #: the local day that is planned
    day: ClassVar[date] = date(2026, 12, 24)
    #: the ids of those it writes to or acts on, in any order; None = not looked at
    expected: ClassVar[Sequence[str] | None] = None

    def subject(self) -> type[Plugin[Any]]:
        """The class under test."""
        return self.model

    def options(self) -> Mapping[str, Any]:
        """The model's options, as a profile would hold them."""
        return {}

    def valid_options(self) -> Mapping[str, Any]:
        """Options that the class accepts."""
        return self.options()

    def run(self, **changes: Any) -> PlannedRun:
        """What the model reads from; override it for a run that needs more than records and a day."""
        entity = self._built().entity_name()
        return PlannedRun(self.records, **{"entity": entity, "others": self.others, "day": self.day, **changes})

    def plan(self, run: PlannedRun | None = None) -> list[Candidate | Effect]:
        """All that the model yields for the queue; a roll is no part of it."""
        return [item for item in self._built().plan(run or self.run()) if not isinstance(item, Roll)]

    def _built(self) -> Model[Any]:
        return self.model(self.model.options_type.model_validate(dict(self.options())))

    def test_it_yields_candidates_and_effects_only(self) -> None:
        """A model says who and why, or what to do; nothing else can be queued."""
        planned = self.plan()
        assert planned, "it yields nothing for these records and this day: nothing would be proved"
        for item in planned:
            assert isinstance(item, Candidate | Effect), f"it yields {item!r}"
            assert item.occasion, f"without an occasion {item!r} is not unique in the world"

    def test_it_writes_to_whom_it_should(self) -> None:
        """The people in ``expected``, and nobody else."""
        if self.expected is None:
            pytest.skip("expected is not set")
        wanted = [_who(item) for item in self.plan() if not (isinstance(item, Candidate) and (item.excluded or item.baseline))]
        assert sorted(wanted) == sorted(self.expected), f"it writes to {sorted(wanted)}, not to {sorted(self.expected)}"

    def test_a_plan_is_pure(self) -> None:
        """Planned twice it is the same twice, and no record was changed: plan, backtest and run share it."""
        run, model = self.run(), self._built()
        before = copy.deepcopy([dict(record) for record in run.records])
        first, again = list(model.plan(run)), list(model.plan(run))
        assert list(map(repr, first)) == list(map(repr, again)), "planned twice, it yields something else the second time"
        assert [dict(record) for record in run.records] == before, "it changes the records that it reads"

    def test_an_occasion_is_never_the_moment_of_running(self) -> None:
        """Run an hour later for the same slot, everybody would be written to a second time if it were."""
        run = self.run()
        later = self.run(now=run.now + timedelta(hours=1), since=run.since, bookmark=run.bookmark)
        assert {_unique(item) for item in self.plan(run)} == {_unique(item) for item in self.plan(later)}, (
            "the occasions depend on the moment of running; make them from the slot's date or from the record"
        )

    def test_an_occasion_comes_once_for_each_person(self) -> None:
        """Two messages for one person, step and occasion are one message."""
        seen = [_unique(item) for item in self.plan()]
        twice = {unique for unique in seen if seen.count(unique) > 1}
        assert not twice, f"yielded more than once: {sorted(twice)}"

    def test_every_placeholder_is_declared(self) -> None:
        """``automate models fields`` shows what a text may use; what is shown is there for everybody who is written to."""
        declared = set(self.model.placeholders)
        for item in self.plan():
            if isinstance(item, Candidate):
                unknown = set(item.extra) - declared
                assert not unknown, f"{', '.join(sorted(unknown))} is given but not declared in placeholders"
                if not (item.excluded or item.baseline):
                    missing = declared - set(item.extra)
                    assert not missing, f"{', '.join(sorted(missing))} is declared but not given for {item.record.id}"
        assert all(self.model.placeholders.values()), "each placeholder has a sample value"

    def test_everybody_has_a_reason(self) -> None:
        """``automate plan`` says why somebody is written to, or why not."""
        silent = [_who(item) for item in self.plan() if not item.why and not getattr(item, "excluded", None)]
        assert not silent, f"no why for {', '.join(silent)}"

    def test_the_first_pass_only_remembers(self) -> None:
        """A model with a bookmark writes to nobody who was there before it."""
        if not self.model.bookmarked:
            pytest.skip("it keeps no bookmark")
        loud = [_who(item) for item in self.plan(self.run(baseline=True)) if not (isinstance(item, Candidate) and item.baseline)]
        assert not loud, f"on its first pass it writes to {', '.join(loud)}; yield them with baseline=True"


def _who(item: Candidate | Effect) -> str:
    return (item.recipient or item.record).id if isinstance(item, Candidate) else item.person or item.to


def _unique(item: Candidate | Effect) -> tuple[str, str, str, str]:
    """What the queue's UNIQUE key is made of."""
    action = f"{item.app}/{item.kind}/{item.to}" if isinstance(item, Effect) else ""
    return _who(item), item.step, item.occasion, action

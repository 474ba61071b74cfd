"""The notice model over records of any entity."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from libax_automate.model import Candidate
from libax_automate.plugins.notice import Notice, NoticeOptions, automate_models
from libax_automate.record import Record
from tests.plugins.list_run import ListRun

ANA = Record("contacts", {"id": "7", "name": "Ana", "email": "ana@example.com"})


def planned(*records: Record, last: date = date(2026, 12, 24), **options: Any) -> list[Candidate]:
    return list(Notice(NoticeOptions(**options)).plan(ListRun(records, last=last)))


def car(ends: Any, key: str = "1") -> Record:
    return Record("contacts", {"id": key, "warranty_end": ends})


def test_so_many_days_before_a_date() -> None:
    found = planned(car(date(2027, 1, 23), "a"), car(date(2027, 1, 24), "b"), car(None, "c"), date_field="warranty_end", days_before=30)
    assert [(each.record.id, each.occasion, each.extra, each.why, each.recipient) for each in found] == [
        ("a", "warranty_end 2027-01-23", {"days": 30}, "warranty_end is 2027-01-23", None)
    ]


def test_so_many_days_after_a_date_and_on_the_day() -> None:
    records = (car(date(2026, 12, 17), "a"), car(datetime(2026, 12, 24, 12, tzinfo=UTC), "b"))
    assert [each.record.id for each in planned(*records, date_field="warranty_end", days_after=7)] == ["a"]
    assert [each.occasion for each in planned(*records, date_field="warranty_end")] == ["warranty_end 2026-12-24"]


def test_a_span_of_missed_days_loses_nobody() -> None:
    records = [car(date(2027, 1, day), str(day)) for day in (1, 2, 3, 4, 5)]
    found = planned(*records, last=date(2026, 12, 26), date_field="warranty_end", days_before=9)
    assert [each.record.id for each in found] == ["2", "3", "4"]


def test_without_a_date_everybody_is_asked_of_where_once_or_per_run_or_per_name() -> None:
    assert [each.occasion for each in planned(ANA)] == ["once"]
    assert [each.occasion for each in planned(ANA, repeat=True)] == ["2026-12-24"]
    assert [each.occasion for each in planned(ANA, occasion="natal-2026")] == ["natal-2026"]


def test_records_of_other_entities_write_to_their_person_once_each() -> None:
    first = Record("invoices", {"id": "F1", "customer": "7", "due": date(2026, 12, 24)})
    second = Record("invoices", {"id": "F2", "customer": ANA, "due": date(2026, 12, 24)})
    found = planned(first, second, ANA, entity="invoices", date_field="due")
    assert [(each.recipient and each.recipient.id, each.occasion) for each in found] == [
        ("7", "F1 due 2026-12-24"),
        ("7", "F2 due 2026-12-24"),
    ]
    assert found[0].recipient is not None
    assert found[0].recipient["email"] == "ana@example.com"


def test_people_are_fetched_many_at_a_time() -> None:
    records = [Record("invoices", {"id": str(n), "customer": "7"}) for n in range(450)]
    run = ListRun([*records, ANA])
    assert len(list(Notice(NoticeOptions(entity="invoices")).plan(run))) == 450
    assert [entity for entity, _ in run.asked] == ["invoices", "contacts", "contacts", "contacts"]


def test_a_record_without_its_person_is_listed_with_the_reason() -> None:
    gone = Record("claims", {"id": "S1", "contact": "99"})
    nobody = Record("claims", {"id": "S2"})
    assert [each.excluded for each in planned(gone, nobody, ANA, entity="claims")] == [
        "its contact 99 is not in the source",
        "has neither customer nor contact",
    ]


def test_partners_are_written_to_themselves() -> None:
    partner = Record("partners", {"id": "17", "email": "norte@example.com"})
    assert [(each.recipient, each.excluded) for each in planned(partner, entity="partners")] == [(None, None)]


def test_the_entity_and_the_date_are_what_check_looks_for() -> None:
    notice = Notice(NoticeOptions(entity="invoices", date_field="due"))
    assert (notice.entity_name(), notice.reads()) == ("invoices", ("due",))
    assert Notice(NoticeOptions()).reads() == ()
    assert automate_models() == [Notice]


@pytest.mark.parametrize(
    "options",
    [
        {"days_before": 1},
        {"date_field": "due", "days_before": 1, "days_after": 1},
        {"date_field": "due", "days_before": -1},
        {"repeat": True, "occasion": "x"},
        {"repeat": True, "date_field": "due"},
        {"occasion": ""},
        {"nope": 1},
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NoticeOptions(**options)

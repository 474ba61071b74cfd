"""The calendar: order over profiles and zones, clock changes told, collisions found, and no slower than croniter alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

from croniter import croniter

from libax_automate.engine.calendar import clock_changes, collisions, events
from libax_automate.engine.spec import ModelSpec, Profile, Schedule
from libax_automate.options import Options


def profile(name: str, zone: str, **schedules: Schedule) -> Profile:
    models = {key: ModelSpec(name=key, use="birthday", options=Options(), schedule=schedule) for key, schedule in schedules.items()}
    return Profile(name=name, path=Path(f"{name}.toml"), timezone=ZoneInfo(zone), models=models)


def test_events_of_several_profiles_come_by_instant() -> None:
    lisbon = profile(
        "padaria", "Europe/Lisbon", wishes=Schedule(at=(time(9),)), billing=Schedule(at=(time(8, 30),), weekdays=frozenset({4}))
    )
    bahia = profile("seguros", "America/Bahia", wishes=Schedule(at=(time(6),)), live=Schedule(realtime=True))
    found = list(events([lisbon, bahia], date(2026, 12, 24), date(2026, 12, 25)))
    assert [(event.profile, event.model, event.local.isoformat()) for event in found] == [
        ("padaria", "billing", "2026-12-24T08:30:00"),
        ("padaria", "wishes", "2026-12-24T09:00:00"),
        ("seguros", "wishes", "2026-12-24T06:00:00"),
        ("padaria", "wishes", "2026-12-25T09:00:00"),
        ("seguros", "wishes", "2026-12-25T06:00:00"),
    ]


def test_a_disabled_model_has_no_events() -> None:
    one = profile("padaria", "Europe/Lisbon")
    off = ModelSpec(name="off", use="birthday", options=Options(), schedule=Schedule(at=(time(9),)), enabled=False)
    both = Profile(name="padaria", path=one.path, timezone=one.timezone, models={"off": off})
    assert list(events([both], date(2026, 1, 1), date(2026, 12, 31))) == []


def test_events_say_what_a_clock_change_makes_of_them() -> None:
    lisbon = profile("padaria", "Europe/Lisbon", wishes=Schedule(at=(time(1, 30),)), feed=Schedule(cron="30 0-2 * * *"))
    spring = [(event.model, event.note) for event in events([lisbon], date(2026, 3, 29), date(2026, 3, 29))]
    assert spring == [("feed", ""), ("wishes", "runs at 02:00: 01:30 does not exist on 2026-03-29"), ("feed", "")]
    autumn = [(event.model, event.note) for event in events([lisbon], date(2026, 10, 25), date(2026, 10, 25))]
    assert autumn == [
        ("feed", ""),
        ("feed", "01:30 comes twice on 2026-10-25: this is the first"),
        ("wishes", "01:30 comes twice on 2026-10-25: this is the first"),
        ("feed", "01:30 comes twice on 2026-10-25: this is the second"),
        ("feed", ""),
    ]


def test_a_day_that_a_zone_left_out_is_shown_at_the_midnight_after() -> None:
    apia = profile("hotel", "Pacific/Apia", wishes=Schedule(at=(time(9, 30),)))
    found = list(events([apia], date(2011, 12, 29), date(2011, 12, 31)))
    assert [event.note for event in found] == ["", "runs at 2011-12-31 00:00: 09:30 does not exist on 2011-12-30", ""]


def test_days_on_which_clocks_change_are_told() -> None:
    lisbon = [
        (change.day, change.forward, change.text)
        for change in clock_changes(ZoneInfo("Europe/Lisbon"), date(2026, 1, 1), date(2026, 12, 31))
    ]
    assert lisbon == [
        (date(2026, 3, 29), True, "2026-03-29 01:00-01:59 does not exist: what is set for it runs once, at 02:00; schedules by elapsed time pass over it"),
        (date(2026, 10, 25), False, "2026-10-25 01:00-01:59 comes twice: what is set for it runs the first time only; schedules by elapsed time run both times"),
    ]  # fmt: skip
    assert clock_changes(ZoneInfo("America/Bahia"), date(2026, 1, 1), date(2026, 12, 31)) == []
    howe = clock_changes(ZoneInfo("Australia/Lord_Howe"), date(2026, 10, 1), date(2026, 10, 31))
    assert howe[0].text.startswith("2026-10-04 02:00-02:29 does not exist")


def test_two_models_in_one_minute_collide_within_a_profile_only() -> None:
    """IC-25."""
    nine = Schedule(at=(time(9),))
    one = profile("padaria", "Europe/Lisbon", wishes=nine, billing=nine, later=Schedule(at=(time(9, 1),)))
    other = profile("seguros", "Europe/Lisbon", wishes=nine)
    found = list(collisions(events([one, other], date(2026, 12, 24), date(2026, 12, 24))))
    assert [[(event.profile, event.model) for event in group] for group in found] == [[("padaria", "billing"), ("padaria", "wishes")]]


def test_a_month_of_a_thousand_models_takes_no_longer_than_croniter_alone() -> None:
    big = profile("big", "Europe/Lisbon", **{f"m{number}": Schedule(cron=f"{number % 60} {number % 24} * * *") for number in range(1000)})
    list(events([big], date(2026, 10, 1), date(2026, 10, 2)))  # zone data and lines are read once
    began = perf_counter()
    number = sum(1 for _ in events([big], date(2026, 10, 1), date(2026, 10, 31)))
    ours = perf_counter() - began
    began, theirs, last = perf_counter(), 0, datetime(2026, 10, 31, 23, 59)
    for model in big.models.values():
        walk = croniter(model.schedule.cron or "", datetime(2026, 9, 30, 23, 59), ret_type=datetime)
        while walk.get_next() <= last:
            theirs += 1
    assert number == theirs == 31_000
    assert ours < perf_counter() - began


def test_instants_are_utc() -> None:
    (event,) = events([profile("padaria", "Europe/Lisbon", wishes=Schedule(at=(time(9),)))], date(2026, 7, 1), date(2026, 7, 1))
    assert event.instant == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert event.instant.tzinfo is UTC

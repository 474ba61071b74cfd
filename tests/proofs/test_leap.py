"""T3: 29 February under three policies, and monthly schedules anchored at the ends of months: exact lists, not samples."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libax_automate.engine.schedule import slots
from libax_automate.engine.spec import Schedule
from tests.figures import Figure
from tests.harness.world import World

LISBON = ZoneInfo("Europe/Lisbon")
YEARS = range(2024, 2033)
PEOPLE = """\
id,name,birth_date,email,mobile
1,Ana Leal,2000-02-29,ana@example.com,+351912000001
2,Rui Gil,1996-02-28,rui@example.com,+351912000002
3,Eva Sol,1988-03-01,eva@example.com,+351912000003
"""
PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
email = "correio"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[apps.correio]
connector = "folder"
path = "saida"

[models.parabens]
use = "birthday"
source = "gestao"
at = "09:00"
channel = "email"
subject = "Parabéns, {{ first_name }}!"
text = "{{ first_name }} faz {{ age }}"
feb29 = "%s"
days_before = %d
"""


def wanted(policy: str, before: int) -> list[tuple[str, str]]:
    """(day on which the message leaves, person), by hand."""
    found = []
    for year in YEARS:
        days = {"Rui": date(year, 2, 28), "Eva": date(year, 3, 1)}
        if isleap(year):
            days["Ana"] = date(year, 2, 29)
        elif policy == "feb28":
            days["Ana"] = date(year, 2, 28)
        elif policy == "mar1":
            days["Ana"] = date(year, 3, 1)
        found += [((day - timedelta(days=before)).isoformat(), name) for name, day in days.items()]
    return sorted(found)


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("policy", ["feb28", "mar1", "leap-only"])
def test_29_february_is_kept_by_its_policy_and_once_a_year(tmp_path: Path, policy: str, before: int, figure: Figure) -> None:
    world = World(tmp_path / "w", profile=PROFILE % (policy, before))
    (world.folder / "clientes.csv").write_text(PEOPLE, encoding="utf-8")
    world.run(f"{YEARS[0]}-02-20T08:00:00+00:00")
    for year in YEARS:
        day = date(year, 2, 26)
        while day <= date(year, 3, 2):
            world.run(f"{day}T09:30:00+00:00")
            day += timedelta(days=1)
    with world.store() as store:
        rows = store.db.rows("SELECT t.first_day, m.person FROM messages m JOIN tasks t ON t.id = m.task_id WHERE m.state = 'sent'")
    got = sorted((str(day), {"1": "Ana", "2": "Rui", "3": "Eva"}[person]) for day, person in rows)
    figure(
        f"T3 feb29 = {policy}, {before} days before: {len(got)} messages in {len(YEARS)} years, {len(set(got) ^ set(wanted(policy, before)))} wrong"
    )
    assert got == wanted(policy, before)


def clamped(anchor: date, months: int, count: int) -> list[date]:
    """Month after month from the anchor, never from one another; by hand."""
    found = []
    for index in range(0, count, months):
        year, month = divmod(anchor.year * 12 + anchor.month - 1 + index, 12)
        found.append(date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1])))
    return found


@pytest.mark.parametrize("zone", ["Europe/Lisbon", "America/Sao_Paulo", "Pacific/Apia"])
def test_anchors_at_month_ends_over_48_months(zone: str, figure: Figure) -> None:
    cases = 0
    for day in (29, 30, 31):
        for first in (date(2024, 1, day), date(2025, 1, day), date(2026, 12, day), date(2027, 10, day)):
            for text, months in (("1mo", 1), ("2mo", 2), ("3mo", 3), ("1y", 12)):
                schedule = Schedule(every=text, at=(time(9),), start=first)
                after = datetime.combine(first, time(), tzinfo=UTC) - timedelta(days=2)
                until = after + timedelta(days=1461)
                got = [slot.local.date() for slot in slots(schedule, ZoneInfo(zone), after, until)]
                exact = [each for each in clamped(first, months, 60) if datetime.combine(each, time(9), ZoneInfo(zone)) <= until]
                assert got == exact, (first, text)
                cases += len(got)
    figure(f"T3 anchors 29/30/31 in {zone}: {cases} days, 0 wrong")


def test_a_yearly_anchor_on_29_february_clamps_and_returns() -> None:
    schedule = Schedule(every="1y", at=(time(9),), start=date(2024, 2, 29))
    got = [str(slot.local.date()) for slot in slots(schedule, LISBON, datetime(2024, 1, 1, tzinfo=UTC), datetime(2033, 1, 1, tzinfo=UTC))]
    assert got == [f"{year}-02-{29 if isleap(year) else 28}" for year in range(2024, 2033)]

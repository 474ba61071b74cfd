"""A sample business end to end: two passes of the real engine over invented customers, on days of the calendar's choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from libax_automate.clock import ShiftedClock
from libax_automate.engine.outbox import Draft
from libax_automate.engine.plan import plan_model
from libax_automate.engine.profile import write_starter
from libax_automate.engine.run import RunResult, run_pass
from libax_automate.engine.walltime import instant_of, local_of
from libax_automate.engine.workspace import Workspace
from libax_automate.record import BadRow

#: the day on which most of the sample's customers have their birthday
_DAY = (12, 24)
_NAME = "padaria"
#: a customer who registers between the two passes; columns as in the starter's file
_NEWCOMER = "11;Joana Pires;12/07/1987;joana.pires@example.com;+351 912 345 685;{person};{active};Porto;{today}\n"


@dataclass(frozen=True, slots=True)
class Demo:
    """What came of it."""

    folder: Path
    day: date
    drafts: tuple[Draft, ...]
    bad_rows: tuple[BadRow, ...]
    result: RunResult
    #: what would have left, one file per message
    files: tuple[Path, ...]


def run_demo(folder: Path, *, now: datetime, environ: Mapping[str, str], language: str = "pt") -> Demo:
    """Write the sample into ``folder`` and run it: on the eve (which sees who is there already), and on the day itself.

    Needs no credentials and no network. ``now`` only decides the year.
    """
    write_starter(folder, name=_NAME, language=language)
    path = folder / "profiles.toml"
    alone = {name: value for name, value in environ.items() if not name.startswith("AUTOMATE_") and name != "STATE_DIRECTORY"}

    def opened() -> Workspace:
        return Workspace.open(profiles=path, db=folder / "automate.db", environ=alone)

    with opened() as space:
        profile = space.profiles[0]
        zone = profile.timezone
        today = local_of(now.astimezone(UTC), zone).date()
        day = date(today.year + (today > date(today.year, *_DAY)), *_DAY)
        space.clock = ShiftedClock(instant_of(datetime.combine(day - timedelta(days=1), time(18)), zone))
        run_pass(space)
    customers = next(folder.glob("*.csv"))
    words = {"person": "Pessoa", "active": "Ativo"} if language.startswith("pt") else {"person": "person", "active": "active"}
    with customers.open("a", encoding="utf-8") as file:
        file.write(_NEWCOMER.format(today=f"{day:%d/%m/%Y}", **words))
    with opened() as space:
        profile = space.profiles[0]
        space.clock = ShiftedClock(instant_of(datetime.combine(day, time(10)), zone) + timedelta(seconds=1))
        drafts: list[Draft] = []
        bad: dict[str, BadRow] = {}
        for spec in profile.models.values():
            plan = plan_model(space, profile, spec)
            # whom the model knew before it began is no news
            drafts += [draft for draft in plan.drafts if not draft.known]
            bad |= {row.where: row for row in plan.bad_rows}
        result = run_pass(space)
    files = tuple(sorted(file for file in folder.rglob("*") if file.suffix in {".eml", ".json"}))
    return Demo(folder, day, tuple(drafts), tuple(bad.values()), result, files)

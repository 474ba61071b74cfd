"""Schedules: a tick with nothing due, the next fire, a month's calendar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

from benchmarks import people
from benchmarks.rig import Line, Rig, reopen, timed
from libax_automate.engine.calendar import events
from libax_automate.engine.loop import Timetable
from libax_automate.engine.schedule import next_fire
from libax_automate.engine.spec import Profile, Schedule

_NOW = "2026-12-24T10:00:00+00:00"


def _crowd(profile: Profile, lines: list[str]) -> Profile:
    spec = profile.models["birthday"]
    named = {f"m{number}": replace(spec, name=f"m{number}", schedule=Schedule(cron=line)) for number, line in enumerate(lines)}
    return replace(profile, models=named)


def tick(rig: Rig) -> Iterator[Line]:
    """One tick over 10,000 models with nothing due; the next fire of one."""
    from croniter import croniter

    count = rig.count(10_000)
    lines = [f"{number % 60} {number % 24} * * 1-5" for number in range(count)]
    start = datetime(2026, 12, 24, 10, 0, 30)
    with rig.place() as folder:
        people.business(folder, 1)
        with reopen(folder, now=_NOW) as space:
            space.profiles = (_crowd(space.profiles[0], lines),)
            profile = space.profiles[0]
            table = Timetable(space)
            moment = space.now()
            table.pop(moment)
            ticks = 1000
            zone = profile.timezone
            specs = list(profile.models.values())[:1000]
            now = datetime.fromtimestamp(moment, UTC)
            [next_fire(spec.schedule, zone, now) for spec in specs]  # compiled once, as the loop does
            mine, scan, ours, theirs = rig.pair(
                lambda: timed(lambda: [table.pop(moment) for _ in range(ticks)]) / ticks,
                lambda: timed(lambda: [croniter(line, start).get_next(datetime) for line in lines[: count // 10]]) * 10,
                lambda: timed(lambda: [next_fire(spec.schedule, zone, now) for spec in specs]) / len(specs),
                lambda: timed(lambda: [croniter(line, start).get_next(datetime) for line in lines[: len(specs)]]) / len(specs),
            )
    yield Line(
        f"one tick over {count:,} models with nothing due, in ms",
        f"{mine * 1000:.4f}",
        f"croniter rescan {scan * 1000:,.0f} ms",
        mine * 1000,
        1,
        most=True,
    )
    yield Line(
        "the next fire of one model",
        f"{ours * 1e6:.0f} µs",
        f"croniter {theirs * 1e6:.0f} µs",
        ours / theirs,
        1.2,
        most=True,
        note="computed once per fire",
    )


def month(rig: Rig) -> Iterator[Line]:
    """A month's calendar of 1,000 models."""
    from croniter import croniter

    count = rig.count(1_000)
    kinds = ("30 9 * * 1-5", "*/30 * * * *", "0 9-17 * * *", "15 8 1,15 * *", "0 */6 * * *", "*/60 7-19 * * *")
    lines = [kinds[number % len(kinds)] for number in range(count)]
    first, last = date(2026, 12, 1), date(2026, 12, 31)
    with rig.place() as folder:
        people.business(folder, 1)
        with reopen(folder, now=_NOW) as space:
            profile = _crowd(space.profiles[0], lines)

            def ours() -> float:
                return timed(lambda: sum(1 for _ in events([profile], first, last)))

            def plain() -> float:
                def scan() -> int:
                    found = 0
                    for line in lines:
                        walk = croniter(line, datetime(2026, 11, 30, 23, 59))
                        while walk.get_next(datetime).month == 12:
                            found += 1
                    return found

                return timed(scan)

            number = sum(1 for _ in events([profile], first, last))
            mine, theirs = rig.pair(ours, plain)
    yield Line(
        f"calendar of a month, {count:,} models, {number:,} events",
        f"{mine:.2f} s",
        f"croniter alone {theirs:.2f} s",
        mine / theirs,
        1.2,
        most=True,
    )

"""The expected volume of a calendar: numbers by fire, by app and day, and the days on which an app gets more than it may send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from libax_automate.cli.output import Column
from libax_automate.cli.session import Session

if TYPE_CHECKING:
    from libax_automate.engine.calendar import Event
    from libax_automate.engine.forecast import AppDay, Expected, Forecast
    from libax_automate.engine.spec import Profile


def number(value: float | None) -> int | float | None:
    """A count as JSON has it: whole where it is whole, else to a tenth."""
    if value is None:
        return None
    tenths = round(value, 1)
    return int(tenths) if tenths == int(tenths) else tenths


def shown(value: float | None, *, about: bool = False) -> str:
    """A count for people: ``3,200``, ``~4.5`` where it is a mean."""
    if value is None:
        return "unknown"
    return ("~" if about else "") + f"{number(value):,}"


def together(items: Iterable[Mapping[str, Any]]) -> str:
    """What a day's fires of one model are expected to make, for people."""
    items = list(items)
    if not items:
        return ""
    known = [each["expected"] for each in items if each["expected"] is not None]
    return shown(sum(known) if known else None, about=any(each["basis"] == "history" for each in items))


class Volume:
    """The forecast of each profile in view."""

    def __init__(self, session: Session, off: set[tuple[str, str]], first: date, last: date) -> None:
        from libax_automate.engine.forecast import forecast

        self._out, self._many = session.out, len(session.space.profiles) > 1
        self._profiles = session.space.profiles
        self._found: dict[str, Forecast] = {}
        for profile in self._profiles:
            specs = [spec for spec in profile.models.values() if spec.enabled and (profile.name, spec.name) not in off]
            self._found[profile.name] = forecast(session.space, profile, specs, first, last)

    def item(self, event: Event) -> dict[str, Any]:
        """What a fire is expected to make."""
        return _expected(self._found[event.profile].fires.get((event.model, event.instant)))

    def json(self) -> dict[str, Any]:
        """The part of the answer that is the volume's."""
        from libax_automate.engine.forecast import overloads

        volume, over, realtime = [], [], []
        for profile in self._profiles:
            found = self._found[profile.name]
            volume += [self._day(profile, each) for each in found.days]
            over += [
                {
                    "profile": profile.name, "app": each["app"], "day": each["day"].isoformat(), "expected": number(each["expected"]),
                    "allowed": each["allowed"], "most": number(each["most"]), "until": each["until"].isoformat() if each["until"] else None,
                }
                for each in overloads(found.days)
            ]  # fmt: skip
            realtime += [{"profile": profile.name, "model": model, **_expected(made)} for model, made in found.realtime.items()]
        notes = [note for found in self._found.values() for note in found.notes]
        return {"volume": volume, "overloads": over, "realtime_volume": realtime, "notes": notes}

    def _day(self, profile: Profile, each: AppDay) -> dict[str, Any]:
        from libax_automate.engine.forecast import written

        app = profile.apps.get(each.app)
        return {
            "profile": profile.name, "app": each.app, "day": each.day.isoformat(), "expected": number(each.expected), "allowed": each.allowed,
            "rate": written(app.rate if app else None), "window": app.window if app else None, "left": number(each.left),
        }  # fmt: skip

    def show(self) -> None:
        """The apps' months for people, and each overload in a sentence."""
        from libax_automate.engine.forecast import overloads, written

        rows, lines = [], []
        for profile in self._profiles:
            found = self._found[profile.name]
            for name in dict.fromkeys(each.app for each in found.days):
                days = [each for each in found.days if each.app == name]
                busiest = max(days, key=lambda each: each.expected)
                app = profile.apps.get(name)
                allowed = "no limit" if busiest.allowed is None else shown(busiest.allowed)
                rows.append(
                    {
                        "profile": profile.name, "app": name, "expected": shown(sum(each.expected for each in days)),
                        "busiest": busiest.day.isoformat(), "on_it": shown(busiest.expected), "allowed": allowed,
                        "rate": written(app.rate if app else None),
                    }
                )  # fmt: skip
            for each in overloads(found.days):
                app = profile.apps.get(each["app"])
                name = f"{profile.name}/{each['app']}" if self._many else each["app"]
                pace = written(app.rate if app else None)
                if app is not None and app.rate is not None and each["allowed"] < int(86_400 / app.rate.interval):
                    pace += ", hours of quiet taken off"
                ends = f"the last leave on {each['until']}" if each["until"] else "more than can leave within the month"
                lines.append(
                    f"{each['day']}: {shown(each['expected'])} expected, {shown(each['allowed'])} per day allowed by app {name} ({pace}); {ends}"
                )
            lines += [
                f"{model}: {shown(made.number, about=True)} a day" for model, made in found.realtime.items() if made.number is not None
            ]
        if rows:
            self._out.line("")
            columns = [Column("app"), Column("expected", right=True), Column("busiest", "busiest day"), Column("on_it", right=True)]
            columns += [Column("allowed", "allowed a day", right=True), Column("rate")]
            self._out.table(rows, [Column("profile"), *columns] if self._many else columns)
        for line in lines:
            self._out.line(line)
        for found in self._found.values():
            for note in found.notes:
                self._out.say(note)


def _expected(made: Expected | None) -> dict[str, Any]:
    if made is None:
        return {"expected": None, "basis": "unknown", "apps": []}
    apps = [{"app": app, "expected": number(count)} for app, count in made.apps.items()]
    return {"expected": number(made.number), "basis": str(made.basis), "apps": apps}

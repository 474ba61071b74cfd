"""``automate doctor``: whether everything is as it should be, and whether it ran."""

from __future__ import annotations

from libax_automate.cli.output import Column
from libax_automate.cli.run import NEEDS_PERSON
from libax_automate.cli.session import Session, command, noun

app = noun()

PROFILE, DISK = 78, 74


@command(app, now=True)
def doctor(session: Session) -> int:
    """Check everything that can be checked, each with what to do; 0 = well, 3 = needs a person, 74 = the database, 78 = a profile."""
    from libax_automate.engine.doctor import Diagnosis, State, broken_profile, diagnose
    from libax_automate.errors import ProfileError

    found: list[Diagnosis] = []
    try:
        space = session.space
    except ProfileError as error:
        found += broken_profile(error.problems, error.message)
        space = session.books
    found += diagnose(space)
    order = list(State)
    items = [
        {"check": each.check, "state": str(each.state), "detail": each.detail, "hint": each.hint}
        for each in sorted(found, key=lambda each: -order.index(each.state))
    ]
    bad = {each.check for each in found if each.state is State.BAD}
    session.out.items(items, [Column("state"), Column("check"), Column("detail"), Column("hint", "what to do")], healthy=not bad)
    if bad & {"database", "disk"}:
        return DISK
    if "profile" in bad:
        return PROFILE
    return NEEDS_PERSON if bad else 0

"""``automate schema``: what a profile may hold, made from the plugins that are installed."""

from __future__ import annotations

import json

from libax_automate.cli.session import Session, command, noun

app = noun()


@command(app)
def schema(session: Session) -> None:
    """Print the JSON Schema of a profile; an editor completes and checks profiles with it."""
    from libax_automate.engine.profile import profile_schema
    from libax_automate.plugins.catalogue import default_catalogue

    found = profile_schema(default_catalogue())
    if session.out.json:
        session.out.object(found)
    else:
        session.out.raw(json.dumps(found, indent=2, ensure_ascii=False))

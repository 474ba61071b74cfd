"""Conditions that must still hold when a message is about to leave: asked of the source again, one call per claim."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from libax_automate.connector import Connector, Source
from libax_automate.engine.gate import Gatekeeper
from libax_automate.engine.store.rows import Claimed
from libax_automate.engine.workspace import Workspace
from libax_automate.record import Query, Record


class Recheck:
    """Keeps the sources open for the length of a delivery."""

    def __init__(self, space: Workspace, gate: Gatekeeper) -> None:
        self._space = space
        self._gate = gate
        self._open: dict[tuple[str, str], Connector[Any]] = {}

    def gone(self, rows: Sequence[Claimed]) -> dict[int, str]:
        """Message id -> why it must not leave any more, for those whose condition no longer holds.

        A source that cannot be asked raises: then nothing of the claim leaves, for nobody knows.
        """
        groups: dict[tuple[int, str, str], list[tuple[Claimed, dict[str, Any]]]] = {}
        for row in rows:
            if row.still:
                condition = json.loads(row.still)
                groups.setdefault((row.app_id, condition["app"], condition["entity"]), []).append((row, condition))
        found: dict[int, str] = {}
        for (app_id, app, entity), members in groups.items():
            source = self._source(app_id, app)
            ids = frozenset(each for _, condition in members for each in (condition["id"], *condition.get("also", ())))
            records = {item.id: item for item in source.fetch(entity, Query(ids=ids)) if isinstance(item, Record) and item.id in ids}
            for row, condition in members:
                also = condition.get("also", ())
                for name in (condition["id"], *also):
                    record = records.get(name)
                    for field, allowed in condition["fields"].items():
                        value = None if record is None else record.get(field)
                        if str(value) not in allowed:
                            what = f"{field} is now {value if value is not None else 'gone'}"
                            found[row.id] = f"{name}: {what}" if also else what
        return found

    def _source(self, app_id: int, app: str) -> Source[Any]:
        profile = self._space.profile(self._gate.app(app_id).profile)
        key = (profile.name, app)
        if key not in self._open:
            connector = self._space.connector(profile, profile.apps[app])
            connector.open()
            self._open[key] = connector
        source = self._open[key]
        assert isinstance(source, Source)
        return source

    def close(self) -> None:
        """Close the sources; safe twice."""
        for connector in self._open.values():
            connector.close()
        self._open.clear()

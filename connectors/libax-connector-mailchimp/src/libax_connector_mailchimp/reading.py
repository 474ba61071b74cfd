"""An audience's members as contacts, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import libax_automate as ax
from libax_automate.http import Reply
from libax_automate.normalise import Canonical
from libax_automate.paging import rows_at

#: the most that Mailchimp gives in one page
PAGE = 1000
_WANTED = (
    "total_items",
    *(
        f"members.{name}"
        for name in (
            *("id", "email_address", "full_name", "status", "merge_fields", "language", "last_changed", "timestamp_opt"),
            *("timestamp_signup", "tags", "location"),
        )
    ),
)


class Reader:
    """Reads one audience; ``ask`` gets a page."""

    def __init__(self, ask: Callable[[str, Mapping[str, Any]], Reply], audience: str, fields: Mapping[str, str], place: ax.Place) -> None:
        self._ask = ask
        self._path = f"lists/{audience}/members"
        self._audience = audience
        self._fields = fields
        self._canonical = Canonical("contacts", country=place.country, timezone=place.timezone)

    def members(self, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """Every member once; raises InputDataError where Mailchimp gives the same page again and again."""
        asked: dict[str, Any] = {"count": PAGE, "fields": ",".join(_WANTED)}
        if query.since and query.since.field == "changed_at":
            asked["since_last_changed"] = query.since.after.isoformat(timespec="seconds")
        seen: set[str] = set()
        offset = 0
        while True:
            body = self._ask(self._path, {**asked, "offset": offset or None}).data()
            rows = rows_at(body, "members")
            first = str(rows[0].get("id")) if rows and isinstance(rows[0], Mapping) else ""
            if first and first in seen:
                raise ax.InputDataError(f"Mailchimp answers the page at {offset} again and again", hint="try again later")
            seen.add(first)
            for number, row in enumerate(rows, offset + 1):
                yield self._record(row, number)
            offset += len(rows)
            total = body.get("total_items")
            if not rows or (offset >= total if isinstance(total, int) else len(rows) < PAGE):
                return

    def _record(self, row: Any, number: int) -> ax.Record | ax.BadRow:
        if not isinstance(row, Mapping) or not isinstance(row.get("id"), str) or not row["id"]:
            return ax.BadRow(f"{self._audience}, member {number}", "id", "it has no id")
        merged, location = _part(row, "merge_fields"), _part(row, "location")
        tags = [tag["name"] for tag in row.get("tags") or () if isinstance(tag, Mapping) and tag.get("name")]
        subscribed = row.get("status") == "subscribed"
        values: dict[str, Any] = {
            "id": row["id"],
            "email": row.get("email_address"),
            "name": row.get("full_name"),
            "status": "active" if subscribed else "inactive",
            "consent": "yes" if subscribed else "no",
            "language": row.get("language"),
            "country": location.get("country_code"),
            "created_at": row.get("timestamp_opt") or row.get("timestamp_signup"),
            "changed_at": row.get("last_changed"),
            "tags": tags,
            "groups": tags,
        }
        values |= {name: merged.get(merge) for name, merge in self._fields.items()}
        return self._canonical(values, raw=row, where=f"{self._audience}/{row['id']}")


def _part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    return found if isinstance(found, Mapping) else {}

"""Reads contacts, invoices and any other entity from any JSON API."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, ClassVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import libax_automate as ax
from libax_automate.http import ApiClient, sounds_secret
from libax_automate.sieve import sieve
from libax_connector_rest.options import Entity, Moment, RestOptions
from libax_connector_rest.pages import Pages, at
from libax_connector_rest.rows import Rows, Seen

__all__ = ["Rest", "RestOptions", "automate_connectors"]

#: ids in one request: a URL stays far below 8,000 characters (RFC 9110 §4.1)
_IDS = 50


class Rest(ax.Source[RestOptions]):
    """Page by page, as records in canonical fields; what cannot be read ends in an error, never in a shorter list.

    Moments, dates and ids go into the request where the profile names the parameter; rows that still do not match are passed over by
    one look at one value, before anything is made of them.
    """

    name = "rest"
    title = "Any JSON API: bearer, basic or key; six ways of paging; a field map"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset({ax.Capability.SOURCE})
    credentials = (
        'Ask whoever runs the API for a key that may read. Say how it goes: `auth = "bearer"`, `"basic"`, `"header"` or `"query"`, and keep'
        ' it outside the profile: `token = { env = "ERP_TOKEN" }`.'
    )
    limits = 'As the API has them: rate = "5/s" sets the pace.'
    verified = "tested against servers of its own"

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        options = self.options
        headers: dict[str, str | ax.Secret] = dict(options.headers)
        query: list[tuple[str, Any]] = list(options.query.items())
        secrets = list(self.secrets())
        auth: tuple[str | ax.Secret, str | ax.Secret] | None = None
        if options.token is not None:
            token = options.token.get_secret_value()
            secrets.append(token)
            if options.auth == "bearer":
                headers["Authorization"] = f"Bearer {token}"
            elif options.auth == "header":
                headers[options.sent_as or "X-API-Key"] = token
            else:
                query.append((options.sent_as or "api_key", token))
        if options.auth == "basic" and options.username is not None and options.password is not None:
            auth = (options.username, options.password)
        self.api = ApiClient(
            options.base_url,
            headers=headers,
            query=query,
            auth=auth,
            secrets=secrets,
            timeout=options.timeout,
            total_timeout=2 * options.timeout,
            plain_http=options.plain_http,
            allow_private=self.place.allow_private,
            max_body=options.max_page,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def secrets(self) -> Sequence[str]:
        """Headers that sound like credentials."""
        return [
            value if isinstance(value, str) else value.get_secret_value()
            for name, value in self.options.headers.items()
            if not isinstance(value, str) or sounds_secret(name)
        ]

    def check(self) -> None:
        """Read the first page of every entity, and see that its rows have ids."""
        for entity, table in self.options.tables.items():
            rows = self._rows(entity, table)
            for page in Pages(self.api, self.options, table)({}):
                for row in page[:1]:
                    if isinstance(record := rows.record(row), ax.BadRow):
                        raise ax.SetupError(
                            f"{entity}: the first row {record.why}", hint='say where the id sits: fields = { id = "customerNo" }'
                        )
                break

    def entities(self) -> Sequence[str]:
        """The entities that the profile names a path for."""
        return tuple(self.options.tables)

    def changed_since(self, entity: str) -> bool:
        """Where the profile names the parameter."""
        table = self.options.tables.get(entity)
        return table is not None and "changed_at" in table.moments()

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """All records of ``entity`` that match, and perhaps some that do not: the engine looks again."""
        table = self.options.tables.get(entity)
        if table is None:
            raise ax.InputDataError(f"app {self.place.app!r} has no {entity}", hint=f"it has: {', '.join(self.entities())}")
        rows = self._rows(entity, table)
        if query.ids is not None and table.one is not None:
            yield from self._one_by_one(table, rows, query.ids)
            return
        chosen = sieve(query, rows.canonical, self.place.timezone)
        keeps = rows.sieve(*chosen) if chosen is not None else None
        # numbered pages shift when a row is added while they are read
        twice = Seen() if self.options.paging in {"page", "offset"} else None
        for params in self._params(table, query):
            for page in Pages(self.api, self.options, table)(params):
                yield from rows.records(page if keeps is None else filter(keeps, page), twice)

    def _one_by_one(self, table: Entity, rows: Rows, ids: Iterable[str]) -> Iterator[ax.Record | ax.BadRow]:
        assert table.one is not None
        for name in sorted(ids):
            reply = self.api.get(table.one.replace("{id}", quote(name, safe="")), query=table.query, ok=(200, 404, 410), safe=True)
            if reply.status == 200:
                found = at(reply.data(), table.item)
                if not isinstance(found, Mapping):
                    raise ax.InputDataError("the reply holds no record", hint='item says where it sits: item = "data"')
                yield rows.record(found)

    def _params(self, table: Entity, query: ax.Query) -> Iterator[Mapping[str, Any]]:
        """The parameters of each walk that ``query`` takes."""
        params: dict[str, Any] = {}
        if query.since is not None and (name := table.moments().get(query.since.field)):
            params[name] = _written(query.since.after, self.options.moment, self.place.timezone)
        if query.span is not None:
            for names, edge in ((table.first, query.span.first), (table.last, query.span.last)):
                if edge is not None and (name := names.get(query.span.field)):
                    params[name] = edge.isoformat()
        if query.ids is not None and table.ids is not None:
            ids = sorted(query.ids)
            for start in range(0, len(ids), _IDS):
                yield {**params, table.ids: ",".join(ids[start : start + _IDS])}
        else:
            yield params

    def _rows(self, entity: str, table: Entity) -> Rows:
        return Rows(
            entity, table.fields, app=self.place.app, country=self.options.country or self.place.country, timezone=self.place.timezone
        )


def _written(moment: datetime, form: Moment, timezone: str) -> str:
    """``moment`` as the API reads it, never later than it is."""
    utc, local = moment.astimezone(UTC).replace(microsecond=0), moment.astimezone(ZoneInfo(timezone)).replace(microsecond=0)
    if form == "unix":
        return str(math.floor(moment.timestamp()))
    if form == "unix-ms":
        return str(math.floor(moment.timestamp() * 1000))
    if form == "date":
        # of the two days that an instant can be called by, the earlier
        earlier: date = min(utc.date(), local.date())
        return earlier.isoformat()
    return local.replace(tzinfo=None).isoformat() if form == "local" else utc.isoformat().replace("+00:00", "Z")


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Rest]

"""Reads from Libax Business, or any program that serves the open source contract, and writes activities into it (LX-55)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, ClassVar

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.normalise import Canonical
from libax_automate.paging import rows_at, walk
from libax_automate.record import ENTITIES, FieldType
from libax_automate.sieve import sieve

__all__ = ["LibaxBusiness", "LibaxBusinessOptions", "automate_connectors"]

#: ids in one request, by the contract
_IDS = 100
_SINCE = {"changed_at": "changed_since", "created_at": "created_since"}
#: an action's field → the contract's
_ACTIVITY = {"subject": "subject", "text": "text", "channel": "channel", "to": "address", "message": "reference", "at": "at"}


class LibaxBusinessOptions(ax.Options):
    """What a profile says about an app of this connector."""

    base_url: str = Field(description="where the contract is served: https://erp.example.com/automate/v1")
    token: ax.Secret = Field(description="the key")
    entities: ax.Strings = Field(
        ("contacts", "invoices", "claims", "partners", "commissions"),
        description="what this app reads; deals, leads, users and others work too",
    )
    paths: dict[str, str] = Field(
        default_factory=dict,
        description='where an entity is, if not under its own name: { contacts = "/clientes", activities = "/historico" }',
    )
    page_size: int = Field(500, ge=1, le=1000, description="records in a page, at most")
    plain_http: bool = Field(default=False, description="allow http:// to a public address; the key then travels in the clear")
    country: str | None = Field(
        None, pattern="^[A-Za-z]{2}$", description="ISO code for national telephone numbers; default: the profile's"
    )


class LibaxBusiness(ax.Source[LibaxBusinessOptions], ax.Actor[LibaxBusinessOptions]):
    """Speaks the source contract (docs/source-contract.md), version 1: pages, selection, activities that are safe to repeat."""

    name = "libax-business"
    title = "Libax Business, and any program that serves the open source contract"
    capabilities: ClassVar[frozenset[ax.Capability]] = frozenset(
        {ax.Capability.SOURCE, ax.Capability.ACTIONS, ax.Capability.IDEMPOTENCY_KEY}
    )
    credentials = (
        "Ask whoever runs the program for the address at which it serves the *source contract*, and for a key that may read, and write"
        ' activities. Keep the key outside the profile: `token = { env = "LIBAX_TOKEN" }`.'
    )
    limits = "As the program has them; it says so with 429 and Retry-After."
    verified = "tested against a reference server that is held to docs/source-contract.yaml"
    unverified: ClassVar[tuple[str, ...]] = (
        "the maker of Libax Business publishes no API: that it serves this contract is an assumption",
        "so are the paths; each can be set with the option paths",
    )
    idempotency_ttl = timedelta(days=7)
    actions: ClassVar[Mapping[str, str]] = {
        "activity": "Writes into the contact's history that a message went out: subject, text, channel, to, at, message; others go along."
    }

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        token = self.options.token.get_secret_value()
        self.api = ApiClient(
            self.options.base_url,
            headers={"Authorization": f"Bearer {token}"},
            secrets=[token],
            plain_http=self.options.plain_http,
            allow_private=self.place.allow_private,
            max_body=8 << 20,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """The key works, and a version of the contract that this connector speaks is served there."""
        said = self.api.get("/about", safe=True).data()
        version = str(said.get("contract", "")) if isinstance(said, Mapping) else ""
        if not version:
            raise ax.SetupError("base_url does not serve the source contract", hint="GET base_url/about should say which version it serves")
        if version.partition(".")[0] != "1":
            raise ax.SetupError(
                f"the source contract {version} is served, this connector speaks 1", hint="upgrade libax-connector-libax-business"
            )

    def entities(self) -> Sequence[str]:
        """What the profile wants to read."""
        return self.options.entities

    def changed_since(self, entity: str) -> bool:
        """The contract selects by date of change."""
        return entity in self.entities() and "changed_at" in ENTITIES.get(entity, {"changed_at"})

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """All records of ``entity`` that match, and perhaps some that do not: the engine looks again."""
        if entity not in self.entities():
            raise ax.InputDataError(f"app {self.place.app!r} has no {entity}", hint=f"it has: {', '.join(self.entities())}; see entities")
        country, timezone = self.options.country or self.place.country, self.place.timezone
        canonical = Canonical(entity, country=country, timezone=timezone)
        related = {
            name: Canonical(field.entity, country=country, timezone=timezone)
            for name, field in ENTITIES.get(entity, {}).items()
            if field.type is FieldType.RECORD
        }
        chosen = sieve(query, canonical, timezone)
        for params in _params(query):
            for row in self._rows(self._path(entity), params):
                if not isinstance(row, Mapping):
                    yield ax.BadRow(f"{self.place.app} {entity}", "", "is no record")
                elif chosen is None or chosen[1](row.get(chosen[0])) or not row.get("id"):
                    yield _record(row, canonical, related, f"{self.place.app} {entity}")

    def _rows(self, path: str, params: Mapping[str, Any]) -> Iterator[Any]:
        def ask(cursor: str | None) -> tuple[list[Any], str | None]:
            page = self.api.get(path, query={"limit": self.options.page_size, **params, "cursor": cursor}, safe=True).data()
            rows = rows_at(page, "items")
            following = page.get("next", ...)
            if following is not None and not (isinstance(following, str) and following):
                raise ax.InputDataError(
                    "the page does not say what comes next", hint="the contract: next is a cursor, or null after the last page"
                )
            return rows, following

        return walk(ask, None)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Write one activity; the same key again makes no second one."""
        if action.kind not in self.actions:
            raise ax.SetupError(f"{self.name} knows no action {action.kind!r}", hint=f"it knows: {', '.join(self.actions)}")
        body = {_ACTIVITY.get(key, key): value for key, value in action.fields.items() if value is not None}
        if "at" not in body and action.sent_at is not None:
            body["at"] = action.sent_at.astimezone(UTC)
        body["contact"] = action.to
        reply = self.api.post(self._path("activities"), json=body, headers={"Idempotency-Key": action.key}, ok=(200, 201, 202, 204, 422))
        if reply.status != 422:
            return ax.Receipt(id=reply.id_at("id"))
        refusal = self.api.refusal(reply, "POST")
        if reply.id_at("code") == "unknown_contact":
            raise ax.RecipientError(f"contact {action.to} does not exist there", code="unknown_contact")
        raise refusal

    def _path(self, entity: str) -> str:
        return self.options.paths.get(entity, f"/{entity}")


def _params(query: ax.Query) -> Iterator[dict[str, str]]:
    """The parameters of each walk that ``query`` takes."""
    params: dict[str, str] = {}
    if query.since is not None and (name := _SINCE.get(query.since.field)):
        # whole seconds, never later than asked
        params[name] = query.since.after.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    if query.anniversary is not None and query.anniversary.field == "birth_date":
        params["birthdays"] = ",".join(f"{month:02}-{day:02}" for month, day in sorted(query.anniversary.days))
    if query.span is not None and query.span.field in {"due", "date"}:
        for end, edge in (("from", query.span.first), ("to", query.span.last)):
            if edge is not None:
                params[f"{query.span.field}_{end}"] = edge.isoformat()
    if query.ids is None:
        yield params
        return
    ids = sorted(query.ids)
    for start in range(0, len(ids), _IDS):
        yield {**params, "ids": ",".join(ids[start : start + _IDS])}


def _record(row: Mapping[str, Any], canonical: Canonical, related: Mapping[str, Canonical], place: str) -> ax.Record | ax.BadRow:
    name = row.get("id")
    if not isinstance(name, str | int) or not name:
        return ax.BadRow(place, "id", "has no id")
    where = f"{place} {name}"
    values = dict(row)
    for field, other in related.items():
        if isinstance(inner := values.get(field), Mapping):
            values[field] = other(inner, where=where)
    return canonical(values, raw=row, where=where)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [LibaxBusiness]

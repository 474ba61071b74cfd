"""Bitrix24: reads contacts, companies, deals, leads, invoices and users, and acts on them, through one incoming webhook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.normalise import Canonical
from libax_automate.paging import related, rows_at, walk
from libax_connector_bitrix24.calls import call, items
from libax_connector_bitrix24.rows import ENOUGH_IDS, TYPES, Invoicing, Shape, shape_of, user

#: what the profile calls a field -> what crm.item.update calls it
_NAMES = {
    "owner": "assignedById",
    "stage": "stageId",
    "pipeline": "categoryId",
    "amount": "opportunity",
    "currency": "currencyId",
    "contact": "contactId",
    "company": "companyId",
    "close_date": "closedate",
    "first_name": "name",
    "last_name": "lastName",
    "birth_date": "birthdate",
}
_COMMENTED = {"deals": "deal", "leads": "lead", "contacts": "contact", "companies": "company", "invoices": "dynamic_31"}
#: marks what this program made, with the message's number, so that a person can find a double
_ORIGIN = "libax-automate"


class Bitrix24Options(ax.Options):
    """What a profile says about an app of this connector."""

    webhook: ax.Secret = Field(description="the incoming webhook's whole address, https://NAME.bitrix24.com/rest/1/CODE/")
    base_url: str | None = Field(None, description="another server in place of the webhook's own, such as a test server; its path stays")
    activity_on: str = Field("contacts", description="the entity that activities are written on where the action names none")
    items: dict[str, int] = Field(
        default_factory=dict, description="further entities by their entityTypeId, such as smart processes: { claims = 1036 }"
    )
    fields: dict[str, dict[str, str]] = Field(
        default_factory=dict, description='custom fields per entity: { contacts = { tax_id = "ufCrm_1720019876534" } }'
    )
    paid_stages: ax.Strings = Field(("P",), description="endings of invoice stages that mean paid, such as P of DT31_1:P")
    cancelled_stages: ax.Strings = Field(("D",), description="endings of invoice stages that mean cancelled")

    @field_validator("webhook")
    @classmethod
    def _is_webhook(cls, value: ax.Secret) -> ax.Secret:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.netloc or len([part for part in parts.path.split("/") if part]) < 3:
            raise ValueError("is not an incoming webhook's address: https://NAME.bitrix24.com/rest/1/CODE/")
        return value


class Bitrix24(ax.Source[Bitrix24Options], ax.Actor[Bitrix24Options]):
    """Reads by ``crm.item.list`` in batches of pages; acts with one call, after which Bitrix24's own error code names what happened."""

    name = "bitrix24"
    title = "Bitrix24 CRM"
    capabilities = frozenset({ax.Capability.SOURCE, ax.Capability.ACTIONS})
    credentials = (
        "In Bitrix24: **Developer resources** → **Other** → **Inbound webhook**, with the rights `crm` and `user`, made by a user who may"
        " see what is to be read. Copy the whole address. The secret code is part of it: keep it outside the profile,\n\n"
        "```toml\n"
        "[apps.crm]\n"
        'connector = "bitrix24"\n'
        'webhook   = { env = "BITRIX24_WEBHOOK" }\n'
        "```\n"
    )
    limits = (
        "2 requests a second with a burst of 50 (Enterprise: 5 and 250), counted per account and address of the caller; and 480 seconds"
        " of operating time per method in ten minutes."
    )
    unverified = (
        "Nothing here has been run against a real account; requests follow the vendor's published documents.",
        "Which invoice stages mean paid or cancelled: P and D are those of a new account; others are set with paid_stages and cancelled_stages.",
        "Comments on invoices: the name dynamic_31 for their timeline.",
    )
    default_rate = "2/s"
    default_concurrency = 1
    actions: ClassVar[Mapping[str, str]] = {
        "activity": "Adds a to-do to the record's timeline. subject, text, deadline (ISO 8601), responsible (user id), entity (contacts, deals …)",
        "timeline-comment": "Writes a comment on the record's timeline. text, entity (deals by default)",
        "deal-stage": "Moves a deal. stage (such as C9:NEW), pipeline (its number, if it changes)",
        "deal-update": "Changes a deal. owner, title, amount, currency, contact, company, close_date, or any field by Bitrix24's own name",
        "item-update": "Changes a record of any entity. entity, and fields as in deal-update",
        "item-add": "Makes a record. entity, and fields as in deal-update; marked with this message's number as its origin",
    }

    api: ApiClient

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        own = urlsplit(self.options.webhook.get_secret_value())
        address = own.geturl() if self.options.base_url is None else self.options.base_url.rstrip("/") + own.path
        self.api = ApiClient(
            ax.Secret(address),
            secrets=self.secrets(),
            allow_private=self.place.allow_private,
            max_body=32 << 20,  # fifty pages of fifty items with all their fields
        )
        self._do: Mapping[str, Callable[[ax.Action], tuple[str, dict[str, Any], tuple[str, ...]]]] = {
            "activity": self._activity,
            "timeline-comment": self._comment,
            "deal-stage": self._stage,
            "deal-update": lambda action: self._update(action, "deals"),
            "item-update": lambda action: self._update(action, self._entity(action, "")),
            "item-add": self._add,
        }

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def secrets(self) -> Sequence[str]:
        """The code, which is the last part of the webhook's path."""
        path = urlsplit(self.options.webhook.get_secret_value()).path
        return [path.rstrip("/").rpartition("/")[2]]

    def check(self) -> None:
        """Ask for the webhook's rights; raises SetupError where ``crm`` is not among them."""
        rights = rows_at(call(self.api, "scope", {}, safe=True).data(), "result")
        if "crm" not in rights:
            shown = ", ".join(map(str, rights)) or "none"
            raise ax.SetupError(f"the webhook may not use the CRM; its rights: {shown}", hint="tick crm and user in the inbound webhook")

    def entities(self) -> Sequence[str]:
        """Those of the CRM, the profile's own items, and users."""
        return [*TYPES, *self.options.items, "users"]

    def changed_since(self, entity: str) -> bool:
        """Everything but users is selected by date of change over there."""
        return entity != "users" and entity in self.entities()

    def fetch(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """All records that match, by ascending id; since, spans of dates, ids, stage, pipeline, owner, contact and status are selected there.

        Deals, leads and invoices hold the records of their contact or customer, and of their owner.
        """
        if entity == "users":
            return self._users(query)
        people = {"customer" if entity == "invoices" else "contact": lambda ids: self._items("contacts", ax.Query(ids=ids))}
        owners: list[ax.Record | ax.BadRow] = []

        def owner(_: frozenset[str]) -> list[ax.Record | ax.BadRow]:
            # there are few, and one list of all is cheaper than asking for some
            owners.extend(() if owners else self._known_users())
            return owners

        rows = self._items(entity, query)
        return rows if entity in {"contacts", "companies"} else related(rows, {**people, "owner": owner}, batch=ENOUGH_IDS)

    def act(self, action: ax.Action) -> ax.Receipt:
        """Do one action with one call."""
        prepare = self._do.get(action.kind)
        if prepare is None:
            raise ax.SetupError(f"bitrix24 has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        method, params, where = prepare(action)
        return ax.Receipt(id=call(self.api, method, params).id_at("result", *where))

    def _items(self, entity: str, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        shape = self._shape(entity)
        chosen = shape.filter(query)
        if any(isinstance(value, list) and not value for value in chosen.values()):
            return  # nothing can be in an empty list
        for row in items(self.api, shape.type_id, chosen):
            yield shape.record(row)

    def _known_users(self) -> list[ax.Record | ax.BadRow]:
        try:
            return list(self._users(ax.Query()))
        except ax.SetupError as error:
            self.place.log.warning("owners stay numbers: %s", error.message)
            return []

    def _users(self, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        canonical = Canonical("users", country=self.place.country, timezone=self.place.timezone)
        only = {"FILTER": {"ID": next(iter(query.ids))}} if query.ids is not None and len(query.ids) == 1 else {}

        def ask(start: int) -> tuple[list[Any], int | None]:
            body = call(self.api, "user.get", {"sort": "ID", "order": "ASC", "start": start, **only}, safe=True).data()
            following = body.get("next") if isinstance(body, Mapping) else None
            return rows_at(body, "result"), int(str(following)) if str(following).isdecimal() else None

        for row in walk(ask, 0):
            yield user(row, canonical)

    def _shape(self, entity: str) -> Shape:
        options = self.options
        invoicing = Invoicing(frozenset(options.paid_stages), frozenset(options.cancelled_stages))
        place = self.place
        return shape_of(
            entity, self._type(entity), options.fields.get(entity, {}), invoicing, country=place.country, timezone=place.timezone
        )

    def _type(self, entity: str) -> int:
        found = self.options.items.get(entity) or TYPES.get(entity)
        if found is None:
            raise ax.SetupError(f"bitrix24 has no entity {entity!r}", hint=f"it has: {', '.join(self.entities())}")
        return found

    def _entity(self, action: ax.Action, default: str) -> str:
        entity = str(action.fields.get("entity") or default)
        if not entity:
            raise ax.ContentError(f"action {action.kind} names no entity", hint='give it one: entity = "deals"')
        return entity

    def _activity(self, action: ax.Action) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        fields = action.fields
        deadline = fields.get("deadline") or fields.get("at") or (action.sent_at.isoformat(timespec="seconds") if action.sent_at else None)
        if not deadline:
            raise ax.ContentError("action activity lacks deadline", hint="give it a moment in ISO 8601")
        params = {
            "ownerTypeId": self._type(self._entity(action, self.options.activity_on)),
            "ownerId": _number(action.to, "record"),
            "deadline": deadline,
            "title": fields.get("subject") or fields.get("title"),
            "description": fields.get("text") or "",
        }
        if fields.get("responsible"):
            params["responsibleId"] = _number(fields["responsible"], "responsible")
        return "crm.activity.todo.add", {key: value for key, value in params.items() if value is not None}, ("id",)

    def _comment(self, action: ax.Action) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        entity = self._entity(action, "deals")
        kind = _COMMENTED.get(entity) or f"dynamic_{self._type(entity)}"
        fields = {"ENTITY_ID": _number(action.to, "record"), "ENTITY_TYPE": kind, "COMMENT": _given(action, "text")}
        return "crm.timeline.comment.add", {"fields": fields}, ()

    def _stage(self, action: ax.Action) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        _given(action, "stage")
        return self._update(action, "deals")

    def _update(self, action: ax.Action, entity: str) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        params = {"entityTypeId": self._type(entity), "id": _number(action.to, "record"), "fields": _changes(action)}
        return "crm.item.update", params, ("item", "id")

    def _add(self, action: ax.Action) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        fields = {**_changes(action), "originatorId": _ORIGIN, "originId": action.key}
        return "crm.item.add", {"entityTypeId": self._type(self._entity(action, "")), "fields": fields}, ("item", "id")


def _changes(action: ax.Action) -> dict[str, Any]:
    fields = {_NAMES.get(name, name): value for name, value in action.fields.items() if name not in {"entity", "id"}}
    if not fields:
        raise ax.ContentError(f"action {action.kind} changes nothing", hint="give it fields, such as owner or stage")
    if "opportunity" in fields:
        # else Bitrix24 counts the amount from the deal's products
        fields.setdefault("isManualOpportunity", "Y")
    return fields


def _given(action: ax.Action, name: str) -> Any:
    value = action.fields.get(name)
    if value is None or value == "":
        raise ax.ContentError(f"action {action.kind} lacks {name}", hint=f"give it {name}")
    return value


def _number(value: Any, what: str) -> int:
    if not str(value).isdecimal():
        raise ax.RecipientError(f"{what} {str(value)[:40]!r} is no Bitrix24 number")
    return int(value)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Bitrix24]

"""Which Bitrix24 field is which canonical field, and how a query becomes a filter of ``crm.item.list``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from libax_automate.normalise import Canonical, mobile_of
from libax_automate.record import BadRow, Query, Record

#: entityTypeId of the objects every account has
TYPES: Mapping[str, int] = {"leads": 1, "deals": 2, "contacts": 3, "companies": 4, "invoices": 31}

_TIMES = {"created_at": "createdTime", "changed_at": "updatedTime"}
_PERSON = {"first_name": "name", "last_name": "lastName", "birth_date": "birthdate", "owner": "assignedById"}
_TRADE = {
    "title": "title",
    "pipeline": "categoryId",
    "stage": "stageId",
    "amount": "opportunity",
    "currency": "currencyId",
    "owner": "assignedById",
    "contact": "contactId",
    "stage_changed_at": "movedTime",
    **_TIMES,
}
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "contacts": {**_PERSON, **_TIMES},
    "companies": {"name": "title", "owner": "assignedById", **_TIMES},
    "leads": {**_PERSON, **_TRADE, "company": "companyTitle", "close_date": "dateClosed"},
    "deals": {**_TRADE, "close_date": "closedate"},
    "invoices": {
        "number": "accountNumber",
        "customer": "contactId",
        "amount": "opportunity",
        "currency": "currencyId",
        "issued": "begindate",
        "due": "closedate",
        "stage": "stageId",
        "owner": "assignedById",
        **_TIMES,
    },
}
#: what is read into other fields, or is of no use to anybody
_DROPPED = frozenset({"fm", "entityTypeId", "searchContent", "email", "phone", "dateCreateShort", "dateModifyShort"})
_STATUS = {"P": "open", "S": "won", "F": "lost"}
_SEMANTIC = {word: letter for letter, word in _STATUS.items()}
#: fields of the date type, held at midnight of the account's own zone
_DAYS = frozenset({"birthdate", "begindate", "closedate"})
#: fields that an equality is pushed down for: whole numbers, or codes
_NUMBERS = frozenset({"assignedById", "contactId", "categoryId"})
#: so many ids go into one condition
ENOUGH_IDS = 500


@dataclass(frozen=True, slots=True)
class Invoicing:
    """The endings of invoice stages (``DT31_1:P``) that mean paid and cancelled."""

    paid: frozenset[str]
    cancelled: frozenset[str]


@dataclass(slots=True)
class Shape:
    """One entity: its type in Bitrix24, what its fields mean, and how its rows become records."""

    entity: str
    type_id: int
    invoicing: Invoicing
    #: canonical field -> Bitrix24 field, the profile's own included
    fields: dict[str, str]
    country: str = ""
    timezone: str = "UTC"
    _canonical: Canonical = field(init=False, repr=False)
    _mapped: frozenset[str] = field(init=False, repr=False)
    _derive: Callable[[dict[str, Any], Mapping[str, Any]], None] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # a company is a contact to everyone who writes to it
        kind = "contacts" if self.entity == "companies" else self.entity
        self._canonical = Canonical(kind, country=self.country, timezone=self.timezone)
        self._mapped = frozenset(self.fields.values()) | _DROPPED
        self._derive = {
            "contacts": self._reachable,
            "companies": self._reachable,
            "leads": self._lead,
            "deals": _state,
            "invoices": self._invoice,
        }.get(self.entity)

    def record(self, row: Any) -> Record | BadRow:
        """One item of a page as a Record; a BadRow where it has no id."""
        if not isinstance(row, Mapping) or not row.get("id"):
            return BadRow(self.entity, "id", "it has no id")
        values = {key: value for key, value in row.items() if key not in self._mapped}
        values.update({name: row.get(vendor) for name, vendor in self.fields.items()})
        for name in ("contact", "customer", "owner"):
            if name in values:
                values[name] = str(values[name]) if values[name] else None  # 0 is nobody
        if self._derive is not None:
            self._derive(values, row)
        values["id"] = str(row["id"])
        record = self._canonical(values, raw=row, where=f"{self.entity} {row['id']}")
        record.entity = self.entity
        return record

    def filter(self, query: Query) -> dict[str, Any]:
        """What of ``query`` Bitrix24 can select by itself; the rest is the engine's."""
        chosen: dict[str, Any] = {}
        if (since := query.since) and (vendor := self.fields.get(since.field)) and vendor.endswith("Time"):
            chosen[f">={vendor}"] = _moment(since.after)
        if (span := query.span) and (vendor := self.fields.get(span.field)) and (vendor in _DAYS or vendor.endswith("Time")):
            # a day is a day of the account's zone, which nobody tells: one more on either side, the engine looks again
            if span.first is not None:
                chosen[f">={vendor}"] = _moment(datetime.combine(span.first - timedelta(1), time(), UTC))
            if span.last is not None:
                chosen[f"<={vendor}"] = _moment(datetime.combine(span.last + timedelta(2), time(), UTC))
        for name, allowed in query.equals.items():
            if name == "status" and self.entity in {"deals", "leads"}:
                chosen["@stageSemanticId"] = [_SEMANTIC[word] for word in sorted(allowed) if word in _SEMANTIC]
            elif (vendor := self.fields.get(name)) in _NUMBERS and all(map(str.isdecimal, allowed)):
                chosen[f"@{vendor}"] = sorted(map(int, allowed))
            elif vendor == "stageId":
                chosen["@stageId"] = sorted(allowed)
        if query.ids is not None and len(query.ids) <= ENOUGH_IDS:
            # an id that is no number is no id of theirs
            chosen["@id"] = sorted(int(one) for one in query.ids if one.isdecimal())
        return chosen

    def _reachable(self, values: dict[str, Any], row: Mapping[str, Any]) -> None:
        values.setdefault("person_type", "company" if self.entity == "companies" else "person")
        self._means(values, row)

    def _lead(self, values: dict[str, Any], row: Mapping[str, Any]) -> None:
        self._means(values, row)
        _state(values, row)

    def _means(self, values: dict[str, Any], row: Mapping[str, Any]) -> None:
        """E-mail, mobile and telephone out of the multi-field; of several numbers the first that can get a text message is the mobile."""
        many = row.get("fm")
        found: dict[str, list[str]] = {"EMAIL": [], "PHONE": []}
        for part in many if isinstance(many, list) else ():
            if isinstance(part, Mapping) and part.get("typeId") in found and part.get("value"):
                number = str(part["value"])
                place = found[part["typeId"]]
                place.insert(0 if part.get("valueType") == "MOBILE" else len(place), number)
        numbers = found["PHONE"] or ([str(row["phone"])] if row.get("phone") else [])
        values.setdefault("email", found["EMAIL"][0] if found["EMAIL"] else row.get("email"))
        values.setdefault("phone", numbers[0] if numbers else None)
        if "mobile" not in values:
            values["mobile"] = next(filter(self._texts, numbers), None)

    def _texts(self, number: str) -> bool:
        try:
            mobile_of(number, self.country)
        except ValueError:
            return False
        return True

    def _invoice(self, values: dict[str, Any], row: Mapping[str, Any]) -> None:
        ending = str(row.get("stageId") or "").rpartition(":")[2]
        status = "paid" if ending in self.invoicing.paid else "cancelled" if ending in self.invoicing.cancelled else "open"
        values.setdefault("status", status)
        if status == "paid":
            values.setdefault("paid_at", row.get("movedTime"))
        if status != "open":
            values.setdefault("balance", "0")


def shape_of(entity: str, type_id: int, own: Mapping[str, str], invoicing: Invoicing, *, country: str, timezone: str) -> Shape:
    """The shape of ``entity``; ``own`` are the profile's fields, which win."""
    return Shape(entity, type_id, invoicing, {**_FIELDS.get(entity, _TRADE), **own}, country=country, timezone=timezone)


def user(row: Any, canonical: Canonical) -> Record | BadRow:
    """One row of ``user.get``."""
    if not isinstance(row, Mapping) or not row.get("ID"):
        return BadRow("users", "ID", "it has no id")
    name = " ".join(str(row[key]) for key in ("NAME", "LAST_NAME") if row.get(key))
    values = {
        "id": str(row["ID"]),
        "name": name or row.get("EMAIL"),
        "email": row.get("EMAIL"),
        "mobile": row.get("PERSONAL_MOBILE") or None,
    }
    teams = row.get("UF_DEPARTMENT")
    values["team"] = str(teams[0]) if isinstance(teams, list) and teams else None
    values["active"] = row.get("ACTIVE")
    values["position"] = row.get("WORK_POSITION")
    return canonical(values, raw=row, where=f"users {row['ID']}")


def _state(values: dict[str, Any], row: Mapping[str, Any]) -> None:
    values.setdefault("status", _STATUS.get(str(row.get("stageSemanticId"))))


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")

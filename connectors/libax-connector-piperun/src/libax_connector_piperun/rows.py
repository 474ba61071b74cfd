"""PipeRun's rows as canonical records, and what of a query its lists select by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.normalise import Canonical, mobile_of
from libax_automate.record import BadRow, Query, Record

#: entity -> path of its list
PATHS: Mapping[str, str] = {
    "contacts": "persons",
    "companies": "companies",
    "deals": "deals",
    "activities": "activities",
    "notes": "notes",
    "pipelines": "pipelines",
    "stages": "stages",
    "users": "users",
    "tags": "tags",
    "custom_fields": "customFields",
}
#: entities of which one row can be asked for by its id
SINGLE = frozenset(PATHS) - {"users", "tags"}
#: how PipeRun counts the states of a deal
STATUSES: Mapping[str, int] = {"open": 0, "won": 1, "lost": 3}
_WORDS = {str(number): word for word, number in STATUSES.items()}
_EQUALS = {"pipeline": "pipeline_id", "stage": "stage_id", "owner": "owner_id", "contact": "person_id"}
_STARTS = {"created_at": "created_at", "changed_at": "updated_at"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes records of one entity's rows; dates without a zone are of ``zone``."""

    entity: str
    zone: ZoneInfo
    country: str
    currency: str
    canonical: Canonical

    def record(self, row: Any) -> Record | BadRow | None:
        """One row as a Record; a BadRow where it has no id; None for a deal in the bin."""
        if not isinstance(row, Mapping) or not row.get("id"):
            return BadRow(self.entity, "id", "it has no id")
        if row.get("deleted") in (1, "1"):
            return None
        values = {key: value for key, value in row.items() if not isinstance(value, (Mapping, list))}
        values["changed_at"] = values.pop("updated_at", None)
        values.update(_custom(row.get("custom_fields") or row.get("customFields")))
        if self.entity == "deals":
            values.update(self._deal(row))
        elif self.entity in {"contacts", "companies"}:
            values.update(self._contact(row))
        elif self.entity == "users":
            values["mobile"] = row.get("cellphone") or None
        values["id"] = str(row["id"])
        record = self.canonical(values, raw=row, where=f"{self.entity} {row['id']}")
        record.entity = self.entity
        return record

    def parameters(self, query: Query) -> dict[str, Any]:
        """What of ``query`` PipeRun can select; a filter takes one value, so of several only the engine knows."""
        chosen: dict[str, Any] = {}
        if (since := query.since) and self.entity == "deals" and since.field == "stage_changed_at":
            chosen["stage_movement_at_start"] = self._moment(since.after)
        elif since and (name := _STARTS.get(since.field)):
            chosen[f"{name}_start"] = self._moment(since.after)
        if (span := query.span) and (name := _STARTS.get(span.field)):
            if span.first is not None:
                chosen.setdefault(f"{name}_start", f"{span.first - timedelta(1)}")
            if span.last is not None:
                chosen[f"{name}_end"] = f"{span.last + timedelta(2)}"
        if self.entity == "deals":
            for field, allowed in query.equals.items():
                if len(allowed) != 1:
                    continue
                value = next(iter(allowed))
                if field == "status" and value in STATUSES:
                    chosen["status"] = STATUSES[value]
                elif field in _EQUALS and value.isdecimal():
                    chosen[_EQUALS[field]] = value
        return chosen

    def _moment(self, at: datetime) -> str:
        own = at.astimezone(self.zone)
        # for people and companies the document allows a day alone
        return f"{own:%Y-%m-%d}" if self.entity in {"contacts", "companies"} else f"{own:%Y-%m-%d %H:%M:%S}"

    def _deal(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "pipeline": row.get("pipeline_id"),
            "stage": row.get("stage_id"),
            "status": _WORDS.get(str(row.get("status")), row.get("status")),
            "amount": row.get("value"),
            "currency": self.currency,
            "owner": self._brought(row, "users", "owner_id", "owner", "user", "users"),
            "contact": self._brought(row, "contacts", "person_id", "person", "persons"),
            "company": _named(row.get("company")),
            "stage_changed_at": row.get("stage_changed_at") or row.get("last_stage_updated_at"),
            "close_date": row.get("closed_at") or row.get("probably_closed_at"),
            "tags": _names(row.get("tags")),
        }

    def _brought(self, row: Mapping[str, Any], entity: str, key: str, *names: str) -> Any:
        """The record that came with a deal for the id in ``key``, under whichever name; else the id."""
        wanted = row.get(key)
        for name in names:
            many = row.get(name)
            for one in many if isinstance(many, list) else [many]:
                if wanted and isinstance(one, Mapping) and str(one.get("id")) == str(wanted):
                    return reader(entity, timezone=self.zone.key, country=self.country, currency=self.currency).record(one)
        return str(wanted) if wanted else None

    def _contact(self, row: Mapping[str, Any]) -> dict[str, Any]:
        person = self.entity == "contacts"
        emails = _main(row.get("contact_emails") or row.get("contactEmails"), "email")
        phones = _main(row.get("contact_phones") or row.get("contactPhones"), "phone")
        city = row.get("city")
        active = row.get("status")
        return {
            "person_type": "person" if person else "company",
            "birth_date": row.get("birth_day") if person else None,
            "tax_id": row.get("cpf") if person else row.get("cnpj"),
            "email": emails[0] if emails else row.get("email_nf"),
            "phone": phones[0] if phones else None,
            "mobile": next(filter(self._texts, phones), None),
            "company": _named(row.get("company")),
            "city": city.get("name") if isinstance(city, Mapping) else None,
            "region": city.get("uf") if isinstance(city, Mapping) else None,
            "status": None if active is None else "active" if active in (1, "1") else "inactive",
            "tags": _names(row.get("tags")),
        }

    def _texts(self, number: str) -> bool:
        try:
            mobile_of(number, self.country)
        except ValueError:
            return False
        return True


@lru_cache(maxsize=64)
def reader(entity: str, *, timezone: str, country: str, currency: str) -> Reader:
    """The reader of ``entity``'s rows."""
    kind = "contacts" if entity == "companies" else entity
    return Reader(entity, ZoneInfo(timezone), country, currency, Canonical(kind, country=country, timezone=timezone))


def start_of(fields: Mapping[str, Any], sent_at: datetime | None, zone: ZoneInfo) -> str | None:
    """When an activity starts: ``at`` (ISO 8601), else ``in_days`` from today at ``time`` (09:00), in PipeRun's own clock."""
    if fields.get("at"):
        at = datetime.fromisoformat(str(fields["at"]))
    elif sent_at is None:
        return None
    elif "in_days" in fields or "time" in fields:
        day = sent_at.astimezone(zone).date() + timedelta(int(fields.get("in_days") or 0))
        at = datetime.combine(day, time.fromisoformat(str(fields.get("time") or "09:00")), zone)
    else:
        at = sent_at
    return f"{(at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _custom(fields: Any) -> dict[str, Any]:
    """Custom fields under the names that the account gave them."""
    if not isinstance(fields, list):
        return {}
    return {str(field["name"]): field.get("value") for field in fields if isinstance(field, Mapping) and field.get("name")}


def _main(many: Any, key: str) -> list[str]:
    """The addresses of a list, the main one first; the documents show one alone without its list."""
    rows = [row for row in (many if isinstance(many, list) else [many]) if isinstance(row, Mapping) and row.get(key)]
    return [str(row[key]) for row in sorted(rows, key=lambda row: not row.get("is_main"))]


def _names(many: Any) -> list[str] | None:
    return [str(row["name"]) for row in many if isinstance(row, Mapping) and row.get("name")] if isinstance(many, list) else None


def _named(row: Any) -> Any:
    return row.get("name") if isinstance(row, Mapping) else None

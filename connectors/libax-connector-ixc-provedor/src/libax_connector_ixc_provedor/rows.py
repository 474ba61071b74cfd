"""IXC's tables as canonical records, and a query as the filters that its lists take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from libax_automate.normalise import Canonical, instant_of
from libax_automate.record import BadRow, Query, Record

#: entity -> table
TABLES: Mapping[str, str] = {"contacts": "cliente", "invoices": "fn_areceber", "contracts": "cliente_contrato"}
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "contacts": {
        "name": "razao",
        "email": "email",
        "mobile": "telefone_celular",
        "phone": "fone",
        "birth_date": "data_nascimento",
        "person_type": "tipo_pessoa",
        "status": "ativo",
        "tax_id": "cnpj_cpf",
        "partner": "id_vendedor",
        "created_at": "data_cadastro",
        "changed_at": "ultima_atualizacao",
    },
    "invoices": {
        "number": "documento",
        "customer": "id_cliente",
        "amount": "valor",
        "balance": "valor_aberto",
        "issued": "data_emissao",
        "due": "data_vencimento",
        "status": "status",
        "paid_at": "pagamento_data",
        "slip_url": "gateway_link",
        "changed_at": "ultima_atualizacao",
    },
    "contracts": {"customer": "id_cliente", "changed_at": "ultima_atualizacao"},
}
_MAPPED = {entity: frozenset(fields.values()) for entity, fields in _FIELDS.items()}
_STATUS = {"A": "open", "P": "open", "R": "paid", "C": "cancelled"}
_FILTERS: Mapping[tuple[str, str, str], tuple[str, str, str]] = {
    ("contacts", "status", "active"): ("ativo", "=", "S"),
    ("contacts", "status", "inactive"): ("ativo", "=", "N"),
    ("contacts", "person_type", "person"): ("tipo_pessoa", "=", "F"),
    ("invoices", "status", "paid"): ("status", "=", "R"),
    ("invoices", "status", "cancelled"): ("status", "=", "C"),
}
_NOTHING = frozenset({"", "0000-00-00", "0000-00-00 00:00:00"})
_AMOUNTS = frozenset({"amount", "balance"})


def kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what is no business of a message: the customer's portal password, tokens of payment gateways."""
    return {key: value for key, value in row.items() if not _private(key)}


@lru_cache(maxsize=4096)
def _private(column: str) -> bool:
    return "senha" in column.lower() or "token" in column.lower()


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes records of one table's rows."""

    entity: str
    zone: ZoneInfo
    canonical: Canonical

    def record(self, row: Any) -> Record | BadRow:
        """One row as a Record; a BadRow where it has no id."""
        if not isinstance(row, Mapping) or not str(row.get("id") or "").strip():
            return BadRow(self.entity, "id", "it has no id")
        raw = kept(row)
        fields = _FIELDS[self.entity]
        mapped = _MAPPED[self.entity]
        values = {key: None if value in _NOTHING else value for key, value in raw.items() if key not in mapped}
        values.update({name: None if (value := raw.get(column)) in _NOTHING else value for name, column in fields.items()})
        values["id"] = str(row["id"])
        problems: dict[str, str] = {}
        if self.entity == "invoices":
            self._invoice(values)
        elif self.entity == "contacts":
            values["mobile"] = values["mobile"] or values.get("whatsapp")
            if values["partner"] == "0":
                values["partner"] = None
        elif values["changed_at"] is not None:
            try:
                values["changed_at"] = instant_of(values["changed_at"], self.zone)
            except ValueError as error:
                values["changed_at"], problems = None, {"changed_at": str(error)}
        record = self.canonical(values, raw=raw, where=f"{self.entity} {row['id']}")
        if problems:
            record.problems = {**record.problems, **problems}
        return record

    def filters(self, query: Query) -> list[dict[str, str]]:
        """``grid_param``: conditions that all must hold; there is no OR, so what needs one is left to the engine."""
        table, fields = TABLES[self.entity], _FIELDS[self.entity]
        found: list[tuple[str, ...]] = []
        if (since := query.since) and since.field in {"changed_at", "created_at"} and (column := fields.get(since.field)):
            found.append((column, ">=", _day(self._date(since.after))))
        if (span := query.span) and (column := fields.get(span.field)) and column.startswith("data_"):
            if span.first is not None and span.last is not None:
                found.append((column, "BE", _day(span.first), _day(span.last)))
            elif span.first is not None:
                found.append((column, ">=", _day(span.first)))
            elif span.last is not None:
                found.append((column, "<=", _day(span.last)))
        for name, allowed in query.equals.items():
            if name == "customer" and "customer" in fields and allowed and all(map(str.isdecimal, allowed)):
                found.append(("id_cliente", "IN", ",".join(sorted(allowed, key=int))))
            elif self.entity == "invoices" and name == "status" and allowed == {"open"}:
                # neither received nor cancelled: the vendor's own way of asking for A and P
                found.append(("status", "!=", "R", "C"))
            elif len(allowed) == 1 and (told := _FILTERS.get((self.entity, name, next(iter(allowed))))):
                found.append(told)
        return [condition(table, *parts) for parts in found]

    def _date(self, at: datetime) -> date:
        return min(at.astimezone(self.zone).date(), at.astimezone(UTC).date())

    def _invoice(self, values: dict[str, Any]) -> None:
        values["number"] = values["number"] or values["id"]
        values["status"] = _STATUS.get(str(values["status"]), values["status"])
        values["currency"] = "BRL"
        values["paid_at"] = values["paid_at"] or values.get("baixa_data")
        for name in _AMOUNTS:
            # theirs is always a point before the cents: never the grouping that a person might have meant
            try:
                values[name] = None if values[name] is None else Decimal(str(values[name]))
            except InvalidOperation:
                continue


def reader(entity: str, *, timezone: str, country: str) -> Reader:
    """The reader of ``entity``'s rows."""
    return Reader(entity, ZoneInfo(timezone), Canonical(entity, country=country, timezone=timezone))


def condition(table: str, column: str, operator: str, value: str, second: str = "") -> dict[str, str]:
    """One condition of ``grid_param``."""
    made = {"TB": f"{table}.{column}", "OP": operator, "P": value}
    return {**made, "P2": second} if second else made


def listing(table: str, conditions: list[dict[str, str]], behind: int, rows: int) -> dict[str, str]:
    """The body of a list: ``rows`` rows behind the id ``behind``, by ascending id; ``grid_param`` is JSON inside JSON."""
    return {
        "qtype": f"{table}.id",
        "query": str(behind),
        "oper": ">",
        "page": "1",
        "rp": str(rows),
        "sortname": f"{table}.id",
        "sortorder": "asc",
        **({"grid_param": json.dumps(conditions, ensure_ascii=False)} if conditions else {}),
    }


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"

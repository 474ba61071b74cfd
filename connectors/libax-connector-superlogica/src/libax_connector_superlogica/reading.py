"""Customers and charges, page by page, in canonical fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.normalise import Canonical
from libax_automate.paging import rows_at
from libax_connector_superlogica.verdict import judged

#: rows of one page
PAGE = 50
#: entity -> path, and the name of its id
ENTITIES: Mapping[str, tuple[str, str]] = {"contacts": ("clientes", "id_sacado_sac"), "invoices": ("cobranca", "id_recebimento_recb")}
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


class Reader:
    """Reads one entity."""

    def __init__(self, api: ApiClient, entity: str, place: ax.Place) -> None:
        self._api = api
        self._entity = entity
        self._path, self._id = ENTITIES[entity]
        self._canonical = Canonical(entity, country=place.country or "BR", timezone=place.timezone)

    def rows(self, query: ax.Query) -> Iterator[ax.Record | ax.BadRow]:
        """Every row once; raises InputDataError where the same page comes again and again."""
        asked: dict[str, Any] = {"itensPorPagina": PAGE}
        if query.ids is not None and len(query.ids) == 1:
            asked["id"] = next(iter(query.ids))
        seen: set[str] = set()
        page = 1
        while True:
            reply = self._api.get(self._path, query={"pagina": page, **asked}, classify=False, safe=True)
            judged(self._api, reply, safe=True)
            rows = rows_at(reply.data())
            first = str(rows[0].get(self._id)) if rows and isinstance(rows[0], Mapping) else ""
            if first and first in seen:
                raise ax.InputDataError(f"Superlógica answers page {page} of {self._path} again and again", hint="try again later")
            seen.add(first)
            for number, row in enumerate(rows, 1):
                yield self._record(row, f"{self._path} {(page - 1) * PAGE + number}")
            if len(rows) < PAGE:
                return
            page += 1

    def _record(self, row: Any, where: str) -> ax.Record | ax.BadRow:
        if not isinstance(row, Mapping) or not row.get(self._id):
            return ax.BadRow(where, self._id, "it has no id")
        values = _contact(row) if self._entity == "contacts" else _invoice(row)
        return self._canonical({"id": str(row[self._id]), **values}, raw=row, where=f"{self._path} {row[self._id]}")


def _contact(row: Mapping[str, Any]) -> dict[str, Any]:
    digits = re.sub(r"\D", "", str(row.get("st_cgc_sac") or ""))
    return {
        "name": row.get("st_nome_sac"),
        "email": row.get("st_email_sac"),
        "mobile": row.get("st_celular_sac"),
        "phone": row.get("st_telefone_sac"),
        "birth_date": _day(row.get("dt_nascimento_sac")),
        # eleven digits are a CPF, fourteen a CNPJ
        "person_type": {11: "person", 14: "company"}.get(len(digits)),
        "status": "inactive" if row.get("dt_desativacao_sac") else "active",
        "created_at": _day(row.get("dt_cadastro_sac")),
        "city": row.get("st_cidade_sac"),
        "region": row.get("st_estado_sac"),
        "company": row.get("st_nomeref_sac"),
        "tax_id": digits or None,
        "due_day": row.get("st_diavencimento_sac"),
        "our_id": row.get("st_sincro_sac"),
    }


def _invoice(row: Mapping[str, Any]) -> dict[str, Any]:
    paid = row.get("dt_liquidacao_recb") or row.get("dt_recebimento_recb")
    return {
        "number": row.get("st_documento_recb") or row.get("id_recebimento_recb"),
        "customer": row.get("id_sacado_sac"),
        "amount": row.get("vl_emitido_recb") or row.get("vl_total_recb"),
        "balance": "0.00" if paid else row.get("vl_total_recb") or row.get("vl_emitido_recb"),
        "currency": "BRL",
        "issued": _day(row.get("dt_geracao_recb")),
        "due": _day(row.get("dt_vencimento_recb")),
        "status": "cancelled" if row.get("dt_cancelamento_recb") else "paid" if paid else "open",
        "paid_at": _day(paid),
        "slip_url": row.get("link_2via") or row.get("link_segundavia"),
    }


def _day(value: Any) -> Any:
    """A date written MM/DD/YYYY, any clock time behind it left out; anything else as it is, to be named as a problem."""
    found = _DATE.match(str(value or ""))
    if not found:
        return value
    try:
        return date(int(found[3]), int(found[1]), int(found[2]))
    except ValueError:
        return f"{value} (month first)"

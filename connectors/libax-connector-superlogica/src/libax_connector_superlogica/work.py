"""Actions as Superlógica's requests, whose fields are written in capitals and whose replies are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, tzinfo
from decimal import Decimal
from typing import Any

import libax_automate as ax
from libax_automate.http import Reply
from libax_automate.normalise import amount_of, date_of

#: kind -> what it does
ACTIONS: Mapping[str, str] = {
    "customer": "registers a customer; to is our id of him: name, trade_name, due_day, tax_id, email, phone, payment, notes, any ST_… field",
    "customer-update": "changes a customer; to is Superlógica's id: the same fields",
    "subscription": "begins a subscription of the customer; plan, start, identifier, notify, installments, products (id x quantity, commas)",
    "subscription-cancel": "ends a subscription; to is its id: on, at_once",
    "charge": "makes a charge for the customer; product, quantity, value, due, description, payment",
}
_CUSTOMER = {
    "name": "ST_NOME_SAC",
    "trade_name": "ST_NOMEREF_SAC",
    "due_day": "ST_DIAVENCIMENTO_SAC",
    "tax_id": "ST_CGC_SAC",
    "email": "ST_EMAIL_SAC",
    "phone": "ST_TELEFONE_SAC",
    "payment": "FL_PAGAMENTOPREF_SAC",
    "notes": "TX_OBSERVACAO_SAC",
    "address": "ST_ENDERECO_SAC",
    "city": "ST_CIDADE_SAC",
    "region": "ST_ESTADO_SAC",
    "postcode": "ST_CEP_SAC",
}
_OWN = re.compile(r"[A-Z]{2,3}_[A-Z0-9]+_[A-Z]{2,5}")
_PRODUCT = re.compile(r"\s*(\d+)\s*(?:[x*]\s*(\d+(?:\.\d+)?)\s*)?")
#: where a reply holds the id of what was made
_IDS = ("id_sacado_sac", "id_planocliente_plc", "id_recebimento_recb", "id")
_YES = frozenset({"true", "yes", "sim", "1"})


def request(action: ax.Action, *, due_day: int | None, payment: str | None, notify: bool, zone: tzinfo) -> tuple[str, str, dict[str, Any]]:
    """Method, path and body of ``action``; the rest is what the app says where the action does not. Its day is the day in ``zone``."""
    kind, fields, to = action.kind, dict(action.fields), action.to.strip()
    if kind not in ACTIONS:
        raise ax.SetupError(f"superlogica has no action {kind!r}", hint=f"it has: {', '.join(ACTIONS)}")
    if not to:
        raise ax.RecipientError("nobody is named", hint="the action needs the id of the customer or subscription")
    if kind == "customer":
        if not fields.get("name"):
            raise ax.SetupError("the customer has no name", hint='write name = "{{ name }}"')
        fields.setdefault("trade_name", fields["name"])
        _default(fields, "due_day", due_day)
        _default(fields, "payment", payment)
        return "POST", "clientes", {"ST_SINCRO_SAC": to, "identificador": to, **_customer(fields)}
    if kind == "customer-update":
        return "PUT", "clientes", {"ID_SACADO_SAC": to, **_customer(fields)}
    if kind == "subscription":
        return "POST", "assinaturas", _subscription(to, action, fields, notify=notify, zone=zone)
    if kind == "subscription-cancel":
        day = _day(fields["on"]) if fields.get("on") else _today(action, zone)
        at_once = 1 if _flag(fields.get("at_once", False)) else 0
        return "PUT", "assinaturas", {"ID_PLANOCLIENTE_PLC": to, "DT_CANCELAMENTO_PLC": day, "FL_CANCELAMENTOIMEDIATO": at_once}
    _default(fields, "payment", payment)
    return "POST", "cobranca", _charge(to, fields)


def made(reply: Reply) -> str | None:
    """The id of what was made; None where it cannot be read."""
    for name in _IDS:
        if found := reply.id_at(0, "data", name) or reply.id_at("data", name):
            return found
    return None


def _customer(fields: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in fields.items():
        key = _CUSTOMER.get(name) or (name if _OWN.fullmatch(name) else "")
        if not key:
            raise ax.SetupError(f"superlogica does not know the field {name!r}", hint=f"it has {', '.join(_CUSTOMER)}, or its own ST_…_SAC")
        if value is not None:
            body[key] = str(value)
    return body


def _subscription(to: str, action: ax.Action, fields: Mapping[str, Any], *, notify: bool, zone: tzinfo) -> dict[str, Any]:
    plan = str(fields.get("plan") or "")
    if not plan:
        raise ax.SetupError("no plan is named", hint='write plan = "12", its number in Superlógica')
    item = {
        "ID_SACADO_SAC": to,
        "ID_PLANO_PLA": plan,
        "DT_CONTRATO_PLC": _day(fields["start"]) if fields.get("start") else _today(action, zone),
        "ST_IDENTIFICADOR_PLC": str(fields.get("identifier") or action.key),
        "FL_NOTIFICARCLIENTE": 1 if _flag(fields.get("notify", notify)) else 0,
    }
    if fields.get("installments"):
        item["QUANT_PARCELAS_ADESAO"] = str(fields["installments"])
    body: dict[str, Any] = {"PLANOS": [item]}
    if products := _products(fields.get("products")):
        body["ADICIONAIS"] = products
    return body


def _charge(to: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in ("value", "due", "product") if not fields.get(name)]
    if missing:
        raise ax.SetupError(
            f"the charge has no {' and no '.join(missing)}", hint='write value = "123.00", due = "2026-12-24", product = "7"'
        )
    value, quantity = _amount(fields["value"]), _amount(fields.get("quantity") or 1)
    body: dict[str, Any] = {
        "ID_SACADO_SAC": to,
        "COMPO_RECEBIMENTO": [{"ID_PRODUTO_PRD": str(fields["product"]), "NM_QUANTIDADE_COMP": f"{quantity:f}", "VL_UNITARIO_PRD": f"{value:f}"}],
        "VL_EMITIDO_RECB": f"{value * quantity:f}",
        "DT_VENCIMENTO_RECB": _day(fields["due"]),
    }  # fmt: skip
    if fields.get("description"):
        body["ST_OBSERVACAOEXTERNA_RECB"] = str(fields["description"])
    if fields.get("payment"):
        body["ID_FORMAPAGAMENTO_RECB"] = str(fields["payment"])
    return body


def _products(named: Any) -> list[dict[str, str]]:
    parts = [str(part) for part in (named if isinstance(named, list | tuple) else str(named or "").split(",")) if str(part).strip()]
    found = [_PRODUCT.fullmatch(part) for part in parts]
    if not all(found):
        raise ax.SetupError(f"products = {named!r} cannot be read", hint='write products = "7 x 2, 9"')
    return [{"ID_PRODUTO_PRD": each[1], "NM_QNTD_PLP": each[2] or "1"} for each in found if each]


def _default(fields: dict[str, Any], name: str, value: Any) -> None:
    if value is not None and not fields.get(name):
        fields[name] = value


def written(day: date) -> str:
    """A date as Superlógica writes it: the month first."""
    return day.strftime("%m/%d/%Y")


def _day(value: Any) -> str:
    try:
        return written(date_of(value))
    except ValueError as error:
        raise ax.SetupError(str(error), hint="write 2026-12-24") from None


def _today(action: ax.Action, zone: tzinfo) -> str:
    if action.sent_at is None:
        raise ax.SetupError("no day is named", hint='write start (or on) = "2026-12-24"')
    return written(action.sent_at.astimezone(zone).date())


def _amount(value: Any) -> Decimal:
    try:
        return amount_of(value)
    except ValueError as error:
        raise ax.SetupError(str(error), hint="write 123.00") from None


def _flag(value: Any) -> bool:
    return str(value).strip().casefold() in _YES

"""Records in canonical fields, and the small typed query that asks a source for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class FieldType(StrEnum):
    """How a canonical field's value is written and compared."""

    TEXT = "text"
    EMAIL = "email"
    MOBILE = "mobile"
    DATE = "date"
    INSTANT = "instant"
    AMOUNT = "amount"
    CHOICE = "choice"
    LIST = "list"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field: its type, the words a CHOICE allows, and a sample value for ``models fields`` (LX-53)."""

    name: str
    type: FieldType = FieldType.TEXT
    choices: tuple[str, ...] = ()
    sample: str = ""
    #: for RECORD: the entity it points at
    entity: str = ""


class Money(Decimal):
    """An amount that knows its currency (ISO 4217 code, or "" when the source does not say), so that it prints as money."""

    currency: str = ""

    @classmethod
    def of(cls, value: Decimal | str | int, currency: str = "") -> Money:
        """An amount in ``currency``."""
        money = cls(value)
        money.currency = currency
        return money


class Record(dict[str, Any]):
    """One row of a source in canonical fields; unknown columns ride along under their own (snake_case) names.

    ``raw`` is the row as the source had it; ``problems`` maps a field whose value could not be read to the
    reason, and that field is None; ``where`` says where the row is (``clientes.csv:12``), for people.
    """

    __slots__ = ("entity", "problems", "raw", "where")

    def __init__(
        self,
        entity: str,
        fields: Mapping[str, Any],
        *,
        raw: Mapping[str, Any] | None = None,
        where: str = "",
        problems: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(fields)
        self.entity = entity
        self.raw = raw if raw is not None else fields
        self.where = where
        self.problems = problems or {}

    @property
    def id(self) -> str:
        """The record's id in its source, always a string."""
        return str(self.get("id") or "")

    def problem(self, field: str) -> str | None:
        """Why the value of one field could not be read; None where nothing was wrong with it."""
        return self.problems.get(field)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used at all: counted and named, never fatal, never silent."""

    where: str
    column: str
    why: str


@dataclass(frozen=True, slots=True)
class Anniversary:
    """Selects records whose date ``field`` falls on one of ``days`` (month, day), whatever the year."""

    field: str
    days: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Span:
    """Selects records whose date ``field`` lies in ``first`` … ``last``, both included; None leaves an end open."""

    field: str
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """Selects records whose instant ``field`` is later than ``after``; a value known only to the day counts if that day is not before ``after``'s."""

    field: str
    after: datetime


@dataclass(frozen=True, slots=True)
class Query:
    """What a source is asked for; all that is given must hold.

    A source pushes down what it can (SQL, REST, a test on the raw line) and may ignore the rest: the engine
    applies ``engine.select.matches`` again as records stream by. ``equals`` maps a field to the values allowed.
    """

    anniversary: Anniversary | None = None
    span: Span | None = None
    since: Since | None = None
    equals: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ids: frozenset[str] | None = None


def _fields(*rows: Field) -> dict[str, Field]:
    return {row.name: row for row in rows}


_T = FieldType
_ID = Field("id", sample="4711")
_CHANGED = Field("changed_at", _T.INSTANT, sample="2026-11-20T09:30:00Z")
_CREATED = Field("created_at", _T.INSTANT, sample="2026-11-02T16:05:00Z")
_AMOUNT = Field("amount", _T.AMOUNT, sample="123.00")
_CURRENCY = Field("currency", sample="EUR")
_TAGS = Field("tags", _T.LIST, sample="vip, porto")

_DEALS = _fields(
    _ID,
    Field("title", sample="Renovação 2027"),
    Field("pipeline", sample="vendas"),
    Field("stage", sample="proposta"),
    Field("status", _T.CHOICE, ("open", "won", "lost"), sample="open"),
    _AMOUNT,
    _CURRENCY,
    Field("owner", _T.RECORD, entity="users"),
    Field("contact", _T.RECORD, entity="contacts"),
    Field("company", sample="Padaria Central"),
    Field("region", sample="Norte"),
    _CREATED,
    _CHANGED,
    Field("stage_changed_at", _T.INSTANT, sample="2026-11-20T09:30:00Z"),
    Field("close_date", _T.DATE, sample="2026-12-31"),
    _TAGS,
)

#: The canonical fields of each entity (see "Records" in the reference); a source may offer other entities too.
ENTITIES: Mapping[str, Mapping[str, Field]] = {
    "contacts": _fields(
        _ID,
        Field("name", sample="Ana Silva"),
        Field("first_name", sample="Ana"),
        Field("last_name", sample="Silva"),
        Field("email", _T.EMAIL, sample="ana@example.com"),
        Field("mobile", _T.MOBILE, sample="+351912345678"),
        Field("phone", _T.TEXT, sample="+351222345678"),
        Field("birth_date", _T.DATE, sample="1980-12-24"),
        Field("person_type", _T.CHOICE, ("person", "company"), sample="person"),
        Field("status", _T.CHOICE, ("active", "inactive"), sample="active"),
        _CREATED,
        _CHANGED,
        Field("city", sample="Porto"),
        Field("region", sample="Norte"),
        Field("country", sample="PT"),
        Field("language", sample="pt"),
        Field("partner", sample="17"),
        Field("company", sample="Padaria Central"),
        Field("tax_id", sample="555000000"),
        Field("consent", sample="yes"),
        _TAGS,
        Field("groups", _T.LIST, sample="campanha-natal"),
    ),
    "invoices": _fields(
        _ID,
        Field("number", sample="FT 2026/118"),
        Field("customer", _T.RECORD, entity="contacts"),
        _AMOUNT,
        Field("balance", _T.AMOUNT, sample="123.00"),
        _CURRENCY,
        Field("issued", _T.DATE, sample="2026-11-01"),
        Field("due", _T.DATE, sample="2026-11-30"),
        Field("status", _T.CHOICE, ("open", "paid", "cancelled", "renegotiated"), sample="open"),
        Field("paid_at", _T.INSTANT, sample="2026-11-28T10:00:00Z"),
        _CHANGED,
        Field("slip_url", sample="https://example.com/slip/118"),
        Field("partner", sample="17"),
    ),
    "deals": _DEALS,
    "leads": _DEALS,
    "claims": _fields(
        _ID,
        Field("number", sample="P-2026-31"),
        Field("contact", _T.RECORD, entity="contacts"),
        Field("type", sample="auto"),
        Field("stage", sample="peritagem"),
        Field("owner", _T.RECORD, entity="users"),
        Field("policy", sample="AP-1001"),
        Field("opened_at", _T.INSTANT, sample="2026-11-02T16:05:00Z"),
        _CHANGED,
    ),
    "partners": _fields(
        _ID,
        Field("name", sample="Mediadora Norte"),
        Field("email", _T.EMAIL, sample="norte@example.com"),
        Field("mobile", _T.MOBILE, sample="+351912345678"),
        Field("tax_id", sample="555000001"),
        Field("iban", sample="PT50 0000 0000 0000 0000 0000 0"),
        Field("language", sample="pt"),
    ),
    "commissions": _fields(
        _ID,
        Field("partner", _T.RECORD, entity="partners"),
        Field("contact", _T.RECORD, entity="contacts"),
        Field("document", sample="FT 2026/118"),
        Field("date", _T.DATE, sample="2026-11-15"),
        Field("base", _T.AMOUNT, sample="1000.00"),
        Field("rate", sample="5"),
        _AMOUNT,
        _CURRENCY,
    ),
    "users": _fields(
        _ID,
        Field("name", sample="Rui Costa"),
        Field("email", _T.EMAIL, sample="rui@example.com"),
        Field("mobile", _T.MOBILE, sample="+351912345679"),
        Field("team", sample="vendas"),
    ),
}

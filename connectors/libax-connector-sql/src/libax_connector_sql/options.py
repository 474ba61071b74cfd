"""What a profile says about a database: where it is, and one query per entity."""

from __future__ import annotations

import difflib
import re

from pydantic import ConfigDict, Field, model_validator

import libax_automate as ax
from libax_automate.record import ENTITIES

#: what a query may mention, and what it is given for it; NULL where the model does not ask for such a thing
BINDS = {
    "since": "the moment after which something changed or came",
    "since_utc": "the same moment in UTC, without a zone",
    "since_day": "the day of that moment, in the profile's time zone",
    "first": "the first date wanted",
    "last": "the last date wanted",
    "month_days": "the days of the year wanted, as text: ,12-24,12-25,",
    "ids": "the ids wanted, as text: ,4711,4712,",
}
_OWN = ("url", "password", "fields", "country", "timeout", "push_down", "batch")
_ENTITY = re.compile(r"[a-z][a-z0-9_]*")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_READS = re.compile(r"\(*\s*(select|with|values|table)\b", re.IGNORECASE)
#: as SQLAlchemy finds them: not ::casts, not \:escaped
_BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


def binds_of(sql: str) -> frozenset[str]:
    """The names that ``sql`` mentions as ``:name``."""
    return frozenset(_BIND.findall(sql))


class SqlOptions(ax.Options):
    """``contacts``, ``invoices`` or any other entity name: the query that answers it."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    # a mapping that pydantic checks too: every other key is an entity
    __pydantic_extra__: dict[str, str]

    url: str | ax.Secret = Field(
        repr=False,
        description="SQLAlchemy URL: postgresql://user@host/db, mysql+pymysql://…, mssql+pyodbc://…, sqlite:///erp.db (in the profile's folder)",
    )
    password: ax.Secret | None = Field(None, description="the password, where it is not part of the URL")
    contacts: str | None = Field(
        None, description="query of the contacts: SELECT id, name, email … ; any other entity name (invoices, deals …) takes a query too"
    )
    fields: dict[str, str | dict[str, str]] = Field(
        default_factory=dict,
        description='canonical field = "column"; with several entities one table each: fields.contacts = { email = "E_MAIL" }',
    )
    country: str | None = Field(
        None, pattern="^[A-Za-z]{2}$", description="ISO code for national telephone numbers; default: the profile's"
    )
    timeout: float = Field(60.0, ge=1, le=3600, description="seconds that the database may work on one statement")
    push_down: bool = Field(default=True, description="put what is asked for as conditions around the query, so that the database selects")
    batch: int = Field(1000, ge=1, le=100_000, description="rows fetched at a time")

    @property
    def place(self) -> str:
        """The URL, opened."""
        return self.url if isinstance(self.url, str) else self.url.get_secret_value()

    @property
    def queries(self) -> dict[str, str]:
        """Entity → query, without a semicolon at the end."""
        own = {"contacts": self.contacts} if self.contacts is not None else {}
        return {entity: sql.strip().rstrip(";").rstrip() for entity, sql in {**own, **(self.__pydantic_extra__ or {})}.items()}

    @model_validator(mode="after")
    def _is_whole(self) -> SqlOptions:
        queries = self.queries
        for entity, sql in queries.items():
            if entity not in ENTITIES and (near := difflib.get_close_matches(entity, _OWN, 1, 0.75)):
                raise ValueError(f"unknown option {entity!r}; did you mean {near[0]!r}?")
            if not _ENTITY.fullmatch(entity):
                raise ValueError(f"{entity!r} is not an entity name: use small letters, digits and _")
            if not _READS.match(_COMMENT.sub(" ", sql).lstrip()):
                raise ValueError(f"{entity} is no query: it begins with SELECT or WITH")
            if unknown := sorted(binds_of(sql) - BINDS.keys()):
                raise ValueError(
                    f"{entity}: :{unknown[0]} is not known; known: {', '.join(f':{name}' for name in BINDS)} (a colon that is none: \\:)"
                )
        if not queries:
            raise ValueError('no query is named: write contacts = "SELECT id, name, email FROM customers"')
        nested = {key for key, value in self.fields.items() if isinstance(value, dict)}
        if nested and len(nested) != len(self.fields):
            raise ValueError("fields mixes columns and tables: write one table per entity")
        if self.fields and not nested and len(queries) > 1:
            raise ValueError(f"fields must say which query it speaks of: fields.contacts = {{…}} (queries: {', '.join(queries)})")
        if unknown := sorted(nested - queries.keys()):
            raise ValueError(f"fields.{unknown[0]} has no query; queries: {', '.join(queries)}")
        return self

    def columns(self, entity: str) -> dict[str, str]:
        """Canonical field → column, as the profile says for ``entity``."""
        table = self.fields.get(entity) if any(isinstance(value, dict) for value in self.fields.values()) else self.fields
        return {key: value for key, value in table.items() if isinstance(value, str)} if isinstance(table, dict) else {}

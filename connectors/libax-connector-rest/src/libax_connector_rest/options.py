"""What a profile says about a JSON API: where it is, how it is entered, how it turns its pages, and what its fields are called."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

import libax_automate as ax
from libax_automate.record import ENTITIES

_ENTITY = re.compile(r"[a-z][a-z0-9_]*")

Paging = Literal["none", "page", "offset", "cursor", "link", "next-url"]
#: how a moment is written into a parameter
Moment = Literal["iso", "local", "date", "unix", "unix-ms"]


class Entity(ax.Options):
    """One entity's own say; what it leaves out is as the app says."""

    path: str = Field(description="where its list is, under base_url: /customers")
    items: str | None = Field(None, description="where the list sits in the reply: data.items; empty: the reply is the list")
    query: dict[str, str | int | bool] = Field(default_factory=dict, description="parameters of every request for it")
    fields: dict[str, str] = Field(default_factory=dict, description='canonical field = "path.in.the.row"')
    since: str | dict[str, str] | None = Field(
        None, description='parameter for "changed after": updated_since; or by field: { changed_at = "…", created_at = "…" }'
    )
    first: dict[str, str] = Field(default_factory=dict, description='parameter for the first date wanted, by field: { due = "due_from" }')
    last: dict[str, str] = Field(default_factory=dict, description='parameter for the last date wanted, by field: { due = "due_to" }')
    ids: str | None = Field(None, description="parameter that takes ids with commas between them")
    one: str | None = Field(None, description="where one record is, by its id: /customers/{id}")
    item: str = Field("", description="where the record sits in the reply to one: data")

    @model_validator(mode="after")
    def _is_whole(self) -> Entity:
        if self.one is not None and "{id}" not in self.one:
            raise ValueError("one names no place for the id: write /customers/{id}")
        return self

    def moments(self) -> dict[str, str]:
        """Field → the parameter that takes a moment for it."""
        return {"changed_at": self.since} if isinstance(self.since, str) else dict(self.since or {})


def _spelled_out(said: Any) -> Any:
    return {"path": said} if isinstance(said, str) else said


#: a path alone says enough
Table = Annotated[Entity, BeforeValidator(_spelled_out, json_schema_input_type=str | Entity)]


class RestOptions(ax.Options):
    """``contacts``, ``invoices`` or any other entity name: where its list is."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    # a mapping that pydantic checks too: every other key is an entity
    __pydantic_extra__: dict[str, Table]

    base_url: str = Field(description="where the API is: https://erp.example.com/api/v1")
    auth: Literal["none", "bearer", "basic", "header", "query"] = Field(
        "none", description="how a request shows who it is: a bearer token, user and password, a header, or a parameter"
    )
    token: ax.Secret | None = Field(None, description="the token or key of bearer, header or query")
    sent_as: str | None = Field(None, description="the header's or parameter's name; X-API-Key or api_key where left out")
    username: str | None = Field(None, description="the user of basic")
    password: ax.Secret | None = Field(None, description="the password of basic")
    headers: dict[str, str | ax.Secret] = Field(default_factory=dict, repr=False, description="headers of every request")
    query: dict[str, str | int | bool] = Field(default_factory=dict, description="parameters of every request")
    plain_http: bool = Field(default=False, description="allow http:// to a public address; keys and data then travel in the clear")
    timeout: float = Field(30.0, ge=1, le=600, description="seconds to wait for an answer")
    max_page: int = Field(32 << 20, ge=1024, description="the largest page that is read, in bytes")

    paging: Paging = Field(
        "none",
        description="page: numbers; offset: rows to leave out; cursor: a token in the reply; link: its Link header; next-url: a URL in it",
    )
    page_param: str | None = Field(None, description="the parameter of the page, offset or cursor; page, offset or cursor where left out")
    first_page: int = Field(1, ge=0, description="the number of the first page")
    size_param: str | None = Field(None, description="the parameter of the page's size: per_page, limit")
    page_size: int = Field(100, ge=1, description="rows that a page should hold")
    items: str = Field("", description="where the list sits in the reply: data.items; empty: the reply is the list")
    next: str = Field("next", description="where the cursor or the next page's URL sits in the reply: meta.next")
    more: str | None = Field(None, description="where the reply says whether there is more: has_more")
    total: str | None = Field(None, description="where the reply says how many rows there are in all: meta.total")
    stop: Literal["short", "empty"] = Field(
        "short", description="what the last numbered page is: a short one, or the one before an empty one"
    )
    moment: Moment = Field(
        "iso", description="how moments are written: 2026-11-20T09:30:00Z, local (of the profile), date, unix or unix-ms"
    )

    contacts: Table | None = Field(
        None,
        description='where the contacts are: "/customers" or { path = …, fields = … }; any other entity name (invoices, deals …) works too',
    )
    fields: dict[str, str] = Field(default_factory=dict, description='canonical field = "path.in.the.row", where there is one entity')
    country: str | None = Field(
        None, pattern="^[A-Za-z]{2}$", description="ISO code for national telephone numbers; default: the profile's"
    )

    @property
    def tables(self) -> Mapping[str, Entity]:
        """Entity → what is said about it."""
        own = {"contacts": self.contacts} if self.contacts is not None else {}
        named = {**own, **(self.__pydantic_extra__ or {})}
        return {
            entity: table.model_copy(update={"fields": {**self.fields, **table.fields}}) if self.fields else table
            for entity, table in named.items()
        }

    @model_validator(mode="after")
    def _is_whole(self) -> RestOptions:
        tables = self.tables
        for entity in tables:
            if entity not in ENTITIES and (near := difflib.get_close_matches(entity, type(self).model_fields, 1, 0.75)):
                raise ValueError(f"unknown option {entity!r}; did you mean {near[0]!r}?")
            if not _ENTITY.fullmatch(entity):
                raise ValueError(f"{entity!r} is not an entity name: use small letters, digits and _")
        if not tables:
            raise ValueError('no entity is named: write contacts = "/customers"')
        if self.fields and len(tables) > 1:
            raise ValueError('fields must say which entity it speaks of: contacts = { path = "…", fields = { … } }')
        if self.auth == "basic" and (self.username is None or self.password is None):
            raise ValueError('auth = "basic" needs username and password')
        if self.auth in {"bearer", "header", "query"} and self.token is None:
            raise ValueError(f'auth = "{self.auth}" needs token')
        if self.token is not None and self.auth in {"none", "basic"}:
            raise ValueError('token is given, but not how it goes: write auth = "bearer", "header" or "query"')
        if self.password is not None and self.auth != "basic":
            raise ValueError('username and password are given: write auth = "basic"')
        return self

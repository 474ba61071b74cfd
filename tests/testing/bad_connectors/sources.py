"""Sources that break one promise each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import libax_automate as ax

from . import case
from .good import Crm, CrmContract

Rows = Iterator[ax.Record | ax.BadRow]


@case(CrmContract, "it_names_its_entities")
class Nameless(Crm):
    def entities(self) -> Sequence[str]:
        return []


@case(
    CrmContract,
    "every_page_is_read_once_to_the_last",
    "a_refusal_in_mid_walk_is_raised",
    "a_page_token_that_loops_ends_in_an_error",
    "a_malformed_reply_is_never_an_empty_list",
)
class FirstPageOnly(Crm):
    def page(self, reply: Any) -> Any:
        return {**super().page(reply), "next": None}


@case(CrmContract, "records_stream")
class Hoarding(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        return iter(list(super().fetch(entity, query)))


@case(CrmContract, "a_page_token_that_loops_ends_in_an_error")
class Endless(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        token: Any = ""
        while token is not None:
            page = self.page(
                self.api.get(f"/{entity}", query={"page": token, "since": query.since.after if query.since else None}, safe=True)
            )
            yield from (self.row(entity, row) for row in page["items"])
            token = page["next"]


@case(CrmContract, "a_refusal_in_mid_walk_is_raised")
class GivingUp(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        first = True
        try:
            for row in super().fetch(entity, query):
                first = False
                yield row
        except ax.ConnectorError:
            if first:
                raise


@case(CrmContract, "each_failure_raises_its_class", "a_refusal_in_mid_walk_is_raised", "an_unreachable_service_is_transient")
class Levelling(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        try:
            yield from super().fetch(entity, query)
        except ax.ConnectorError as error:
            raise ax.InputDataError(error.message) from None


@case(CrmContract, "an_unreachable_service_is_transient")
class Blaming(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        try:
            yield from super().fetch(entity, query)
        except ax.Transient as error:
            if "not sent" in error.message:
                raise ax.AccountError(error.message) from None
            raise


@case(CrmContract, "a_malformed_reply_is_never_an_empty_list")
class Optimist(Crm):
    def page(self, reply: Any) -> Any:
        try:
            page = reply.json()
            return {"items": page.get("items", []), "next": page.get("next")}
        except (ValueError, AttributeError):
            return {"items": [], "next": None}


@case(CrmContract, "nothing_is_nothing")
class Needy(Crm):
    def page(self, reply: Any) -> Any:
        page = super().page(reply)
        if not page["items"]:
            raise ax.InputDataError("there is nobody")
        return page


@case(CrmContract, "records_are_canonical")
class Raw(Crm):
    def row(self, entity: str, row: Any) -> ax.Record | ax.BadRow:
        found = super().row(entity, row)
        return ax.Record(entity, {**row, "id": str(row["id"])}) if isinstance(found, ax.Record) else found


@case(CrmContract, "records_are_canonical")
class Partial(Crm):
    def fields(self, entity: str) -> frozenset[str] | None:
        return frozenset({"id"})


@case(CrmContract, "a_bad_row_is_named_and_costs_no_other")
class Dropping(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        return (row for row in super().fetch(entity, query) if isinstance(row, ax.Record))


@case(CrmContract, "since_is_pushed_down_where_it_is_declared")
class Deaf(Crm):
    def fetch(self, entity: str, query: ax.Query) -> Rows:
        return super().fetch(entity, ax.Query())


@case(CrmContract, "no_secret_is_told")
class ChattySource(Crm):
    def page(self, reply: Any) -> Any:
        logging.getLogger("chatty").debug("page for %s", self.options.token.get_secret_value())
        return super().page(reply)


@case(CrmContract, "its_capabilities_are_those_of_its_kind")
class Undeclared(Crm):
    capabilities = frozenset()

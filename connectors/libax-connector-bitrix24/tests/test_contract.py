"""The promises of every source and every actor; see what each check wants in ``libax_automate.testing``."""

from typing import Any

from libax_connector_bitrix24 import Bitrix24

import libax_automate as ax
from libax_automate.testing import ActionContract, Reply, SourceContract

CODE = "s3cretcode0never0shown"


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "name": f"Ana {number}", "lastName": "Silva", "birthdate": "1980-12-24T02:00:00+02:00", **more}


def page(*rows: Any, total: int | None = None) -> dict[str, Any]:
    return {"result": {"items": list(rows)}, "total": len(rows) if total is None else total, "time": {"operating": 0}}


FIRST = page(*(item(number) for number in range(1, 51)), total=102)
REST = {
    "result": {
        "result": {"p0": {"items": [item(number) for number in range(51, 101)]}, "p1": {"items": [item(101), item(102)]}},
        "result_error": [],
        "result_total": [],
    }
}


class Wiring:
    unauthorised = Reply(401, {"error": "NO_AUTH_FOUND", "error_description": "Wrong authorization data"})
    checked = Reply(200, {"result": ["crm", "user"]})

    def options(self, url: str) -> dict[str, object]:
        return {"webhook": f"{url}/rest/1/{CODE}/"}


class TestContacts(Wiring, SourceContract):
    source = Bitrix24
    pages = (Reply(200, FIRST), Reply(200, REST))
    ids = tuple(str(number) for number in range(1, 103))
    empty = Reply(200, page())
    bad_row = Reply(200, page(item(1), {"name": "Nobody"}, item(3)))


class TestUsers(Wiring, SourceContract):
    source = Bitrix24
    entity = "users"
    pages = (
        Reply(200, {"result": [{"ID": "1", "NAME": "Rui", "LAST_NAME": "Costa", "EMAIL": "rui@example.com"}], "next": 50, "total": 51}),
        Reply(200, {"result": [{"ID": "2", "NAME": "", "EMAIL": "eva@example.com", "PERSONAL_MOBILE": "+351912345678"}], "total": 51}),
    )
    ids = ("1", "2")
    empty = Reply(200, {"result": [], "total": 0})
    bad_row = Reply(200, {"result": [{"NAME": "Nobody"}], "total": 1})


class TestActions(Wiring, ActionContract):
    actor = Bitrix24
    actions = {
        "activity": {"subject": "Aniversário", "text": "Parabéns"},
        "timeline-comment": {"text": "Parabéns"},
        "deal-stage": {"stage": "C9:NEW"},
        "deal-update": {"owner": 6, "amount": "999.99"},
        "item-update": {"entity": "contacts", "owner": 6},
        "item-add": {"entity": "deals", "title": "Renovação"},
    }
    accepted = Reply(200, {"result": {"id": 999}})
    receipt_id = "999"
    rejected = Reply(400, {"error": "OWNER_NOT_FOUND", "error_description": "Owner of the entity not found"})
    rejected_as = ax.RecipientError
    rate_limited = Reply(429, {"error": "OPERATION_TIME_LIMIT", "error_description": ""}, {"Retry-After": "7"})
    refusals = (
        (Reply(503, {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}), ax.RateLimited),
        (Reply(503, {"error": "OVERLOAD_LIMIT", "error_description": "REST API is blocked due to overload"}), ax.AccountError),
        (Reply(401, {"error": "expired_token", "error_description": ""}), ax.AccountError),
        (Reply(403, {"error": "insufficient_scope", "error_description": ""}), ax.SetupError),
        (Reply(403, {"error": "ACCESS_DENIED", "error_description": "only on commercial plans"}), ax.AccountError),
        (Reply(400, {"error": "ACCESS_DENIED", "error_description": ""}), ax.SetupError),
        (Reply(400, {"error": "", "error_description": "Parameter 'fields' must be array."}), ax.ContentError),
        (Reply(400, {"error": "WRONG_DATETIME_FORMAT", "error_description": ""}), ax.ContentError),
        (Reply(200, {"error": "INVALID_ARG_VALUE", "error_description": "as if it were well"}), ax.ContentError),
        (Reply(500, {"error": "PORTAL_DELETED", "error_description": "Portal was deleted"}), ax.AccountError),
        (Reply(500, {"error": "INTERNAL_SERVER_ERROR", "error_description": ""}), ax.OutcomeUnknown),
    )

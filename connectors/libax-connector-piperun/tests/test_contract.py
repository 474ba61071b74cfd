"""The promises of every source and every actor; see what each check wants in ``libax_automate.testing``."""

from typing import Any

from libax_connector_piperun import PipeRun

import libax_automate as ax
from libax_automate.testing import ActionContract, Reply, SourceContract


def page(*rows: dict[str, Any], following: str | None = None) -> Reply:
    return Reply(200, {"success": True, "message": "OK", "data": list(rows), "meta": {"cursor": {"current": None, "next": following}}})


#: a whole page; deals come with their contacts' records, a page at a time
FULL = range(1, 201)


class Wiring:
    def options(self, url: str) -> dict[str, Any]:
        return {"token": "0123456789abcdef-never-shown", "base_url": url, "owner": 64911, "activity_type": 121380}


class TestContacts(Wiring, SourceContract):
    source = PipeRun
    pages = (
        page({"id": 1, "name": "Ana Silva", "status": 1, "birth_day": "1980-12-24"}, {"id": 2, "name": "Rui"}, following="eyJpZCI6Mn0"),
        page({"id": 3, "name": "Eva Costa", "contact_emails": [{"email": "eva@example.com"}]}),
    )
    ids = ("1", "2", "3")
    empty = page()
    bad_row = page({"id": 1, "name": "Ana"}, {"name": "Nobody"}, {"id": 3, "name": "Eva"})


class TestDeals(Wiring, SourceContract):
    source = PipeRun
    entity = "deals"
    pages = (
        page(
            *({"id": number, "title": "Renovação", "status": 0, "value": 100.5, "created_at": "2020-03-09"} for number in FULL),
            following="a",
        ),
        page({"id": 749, "title": "Nova", "status": 3, "value": 0, "closed_at": "2020-03-16 22:27:42", "deleted": 0}),
    )
    ids = (*map(str, FULL), "749")
    empty = page()


class TestActions(Wiring, ActionContract):
    actor = PipeRun
    actions = {
        "activity": {"subject": "Aniversário", "text": "Parabéns"},
        "note": {"text": "Cliente remarcou."},
        "deal-stage": {"stage": 141475},
        "deal-update": {"owner": 42001, "status": "won"},
        "deal-add": {"title": "Renovação", "pipeline": 1, "stage": 2},
        "deal-person": {"person": 12},
    }
    accepted = Reply(201, {"success": True, "message": "Created", "data": {"id": 11458059}})
    receipt_id = "11458059"
    rejected = Reply(422, {"success": False, "message": "Unprocessable Entity", "data": {"text": "O campo text é obrigatório."}})
    rejected_as = ax.ContentError
    refusals = (
        (Reply(404, {"success": False, "message": "Not Found"}), ax.RecipientError),
        (Reply(404, "<html>"), ax.SetupError),
        (Reply(403, {"success": False, "message": "Forbidden"}), ax.AccountError),
        (Reply(200, {"success": False, "message": "as if it were well"}), ax.ContentError),
    )

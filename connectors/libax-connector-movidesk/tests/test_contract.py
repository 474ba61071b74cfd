"""The promises of every source and every actor; see what each check wants in ``libax_automate.testing``."""

from typing import Any

from libax_connector_movidesk import Movidesk

import libax_automate as ax
from libax_automate.testing import ActionContract, Reply, SourceContract


def person(number: int) -> dict[str, Any]:
    emails = [{"email": f"b{number}@example.com", "isDefault": False}, {"email": f"a{number}@example.com", "isDefault": True}]
    return {"id": f"C{number:03}", "businessName": f"Ana {number} Silva", "personType": 1, "isActive": True, "emails": emails}


class Wiring:
    def options(self, url: str) -> dict[str, Any]:
        return {"token": "s3cret-never-shown", "base_url": url}


class TestContacts(Wiring, SourceContract):
    source = Movidesk
    pages = (Reply(200, [person(number) for number in range(100)]), Reply(200, [person(100)]))
    ids = tuple(f"C{number:03}" for number in range(101))
    empty = Reply(200, [])
    bad_row = Reply(200, [person(1), {"businessName": "Nobody"}])


class TestActions(Wiring, ActionContract):
    actor = Movidesk
    text_field = "observations"
    actions = {"person": {"name": "Ana Silva", "email": "ana@example.com"}, "person-update": {"email": "ana@example.com"}}
    accepted = Reply(200, {"id": "LIBAX-4711"})
    receipt_id = "LIBAX-4711"
    rejected = Reply(400, {"message": "O campo businessName é obrigatório"})
    rejected_as = ax.ContentError
    refusals = ((Reply(409, {"message": "exists"}), ax.RecipientError),)

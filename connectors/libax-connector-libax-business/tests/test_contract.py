"""The promises of every source and of every actor."""

from __future__ import annotations

from libax_connector_libax_business import LibaxBusiness

from libax_automate import RecipientError
from libax_automate.testing import ActionContract, Reply, SourceContract

ANA = {"id": "1", "name": "Ana Silva", "email": "ana@example.com", "birth_date": "1980-12-24", "changed_at": "2026-11-20T09:30:00Z"}
RUI = {"id": "2", "name": "Rui Costa", "mobile": "+351912345678", "pontos": 7}
SERVED = Reply(200, {"contract": "1.0", "entities": ["contacts"]})


def options(url: str) -> dict[str, object]:
    return {"base_url": f"{url}/automate/v1", "token": "s3cret-never-shown"}


class TestReading(SourceContract):
    source = LibaxBusiness
    pages = (Reply(200, {"items": [ANA], "next": "c2"}), Reply(200, {"items": [RUI], "next": None}))
    ids = ("1", "2")
    empty = Reply(200, {"items": [], "next": None})
    bad_row = Reply(200, {"items": [ANA, {"name": "Nobody"}, RUI], "next": None})
    checked = SERVED

    def options(self, url: str) -> dict[str, object]:
        return options(url)


class TestWriting(ActionContract):
    actor = LibaxBusiness
    actions = {"activity": {"subject": "Parabéns", "text": "...", "channel": "email", "to": "ana@example.com", "message": "M7"}}
    accepted = Reply(201, {"id": "a-1", "contact": "4711"})
    receipt_id = "a-1"
    rejected = Reply(422, {"title": "too long"})
    refusals = ((Reply(422, {"title": "who?", "code": "unknown_contact"}), RecipientError),)
    checked = SERVED

    def options(self, url: str) -> dict[str, object]:
        return options(url)

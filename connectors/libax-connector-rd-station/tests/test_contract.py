"""The promises of an actor, by OAuth and by the public key; see what each check wants in ``libax_automate.testing``."""

from typing import Any

import pytest
from libax_connector_rd_station import RdStation

from libax_automate import AccountError, ContentError, Receipt, RecipientError, SetupError, Transient
from libax_automate.testing import ActionContract, Reply

EVENT = {"event_uuid": "5408c5a3-0000-4000-8000-000000000001"}


def refused(kind: str, status: int, message: str = "refused", **more: str) -> Reply:
    return Reply(status, {"errors": {"error_type": kind, "error_message": message, **more}})


class TestOAuth(ActionContract):
    actor = RdStation
    to = "ana@example.com"
    text_field = "name"
    actions = {
        "conversion": {"identifier": "Newsletter", "name": "Ana", "tags": "lead, porto"},
        "contact": {"name": "Ana"},
        "stage": {"stage": "Lead qualificado", "opportunity": True, "owner": "rui@example.com"},
        "opportunity": {},
        "sale": {"value": "1234.56"},
        "lost": {"reason": "preço"},
        "tag": {"tags": ["vip"]},
    }
    elsewhere = {"/auth/token": Reply(200, {"access_token": "access-never-shown", "expires_in": 86400, "refresh_token": "r"})}
    accepted = Reply(200, EVENT)
    receipt_id = EVENT["event_uuid"]
    rejected = Reply(400, {"errors": [{"error_type": "INVALID_FORMAT", "error_message": "invalid", "path": "$.payload.email"}]})
    rejected_as = RecipientError
    unauthorised = refused("InvalidCredentials", 401)
    refusals = (
        (refused("EXPIRED_ACCESS_TOKEN", 401), Transient),
        (refused("ExpiredAccessToken", 401), Transient),
        (refused("UNAUTHORIZED", 401), AccountError),
        (refused("CONFLICTING_FIELD", 400), SetupError),
        (refused("INVALID_EVENT_TYPE", 400), SetupError),
        (refused("RESOURCE_NOT_FOUND", 404), RecipientError),
        (Reply(400, {"errors": {"cf_x": [{"error_type": "INVALID_OPTION", "error_message": "not an option"}]}}), ContentError),
    )

    def options(self, url: str) -> dict[str, object]:
        return {
            "client_id": "c-1",
            "client_secret": "secret-never-shown",
            "refresh_token": "refresh-never-shown",
            "base_url": url,
        }

    # the daily count of one contact would end the checks that act hundreds of times
    def call(self, connector: Any, text: str = "Hello", number: int = 1) -> Receipt:
        connector._daily = type(connector._daily)()
        return super().call(connector, text, number)


class TestPublicKey(TestOAuth):
    no_check = "the public key can convert and nothing else"
    elsewhere = {}
    refusals = TestOAuth.refusals[2:]

    def options(self, url: str) -> dict[str, object]:
        return {"api_key": "public-never-shown", "base_url": url}

    @pytest.mark.skip(reason="the public key can convert and nothing else")
    def test_every_declared_action_is_done(self) -> None:
        """By OAuth they are."""

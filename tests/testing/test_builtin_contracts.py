"""The plugins that come along keep the contracts that strangers' plugins are held to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from libax_automate.errors import RecipientError
from libax_automate.plugins.birthday import Birthday
from libax_automate.plugins.http_gateway import HttpGateway
from libax_automate.plugins.notice import Notice
from libax_automate.plugins.webhook import Webhook
from libax_automate.plugins.welcome import Welcome
from libax_automate.testing import ModelContract, Reply, SenderContract


class TestBirthday(ModelContract):
    model = Birthday
    records = (
        {"id": "1", "name": "Ana Silva", "birth_date": "1980-12-24"},
        {"id": "2", "name": "Rui Costa", "birth_date": "1975-03-02"},
        {"id": "3", "name": "Eva Lima"},
    )
    expected = ("1",)


class TestWelcome(ModelContract):
    model = Welcome
    records = (
        {"id": "1", "name": "Ana Silva", "created_at": "2026-12-24T08:00:00Z"},
        {"id": "2", "name": "Rui Costa", "created_at": "2024-03-02T08:00:00Z"},
    )
    expected = ("1",)


class TestNotice(ModelContract):
    model = Notice
    day = date(2026, 12, 1)
    records = (
        {"id": "1", "number": "FT 1", "customer": "7", "due": "2026-12-31", "status": "open"},
        {"id": "2", "number": "FT 2", "customer": "8", "due": "2026-11-30", "status": "open"},
    )

    def options(self) -> Mapping[str, Any]:
        return {"entity": "invoices", "date_field": "due", "days_before": 30}


class TestHttpGateway(SenderContract):
    sender = HttpGateway
    accepted = Reply(200, {"data": [{"id": "sms-1"}]})
    rejected = Reply(422, {"error": "invalid number"})
    rejected_as = RecipientError
    receipt_id = "sms-1"
    no_check = "a gateway described in a profile has no call that asks without sending"

    def options(self, url: str) -> Mapping[str, Any]:
        return {
            "url": f"{url}/send",
            "headers": {"Authorization": "Bearer s3cret-never-shown"},
            "json": {"to": "{{ message.to }}", "text": "{{ message.text }}"},
            "id": "data.0.id",
            "idempotency_header": "Idempotency-Key",
        }


class TestWebhook(SenderContract):
    sender = Webhook
    accepted = Reply(204)
    rejected = Reply(413, {"error": "too large"})
    receipt_id = None
    no_check = "a receiver cannot be asked whether a signature would do"

    def options(self, url: str) -> Mapping[str, Any]:
        return {"url": f"{url}/hook/s3cret-in-the-path", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

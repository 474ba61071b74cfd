"""The promises of every operator of payment references."""

from __future__ import annotations

from libax_connector_easypay import Easypay

from libax_automate.testing import ReferencerContract, Reply

PAYMENT = {"id": "5f0c", "key": "FT-2026-118", "value": 123.45, "method": {"type": "MB", "entity": "11683", "reference": "808000123"}}
NOTHING = Reply(200, {"data": [], "meta": {"records": 0}})


class TestEasypay(ReferencerContract):
    referencer = Easypay
    created = (NOTHING, Reply(201, {"status": "ok", "message": [], **PAYMENT}))
    repeated = (Reply(200, {"data": [PAYMENT]}),)
    found = repeated
    absent = (NOTHING,)
    expected = "808000123"
    checked = NOTHING

    def options(self, url: str) -> dict[str, object]:
        return {"account_id": "acc-never-shown-1", "api_key": "key-never-shown-2", "base_url": f"{url}/2.0"}

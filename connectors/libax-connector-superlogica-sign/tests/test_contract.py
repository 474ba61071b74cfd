"""The promises of an actor; see what each check wants in ``libax_automate.testing``. The replies are invented: none is public."""

from libax_connector_superlogica_sign import SuperlogicaSign

from libax_automate import ContentError
from libax_automate.testing import ActionContract, Reply

FIELDS = {"name": "Ana", "validity_days": 15, "delivery_days": "30", "discount_percent": "10 %", "register_person": True}


class TestSign(ActionContract):
    actor = SuperlogicaSign
    text_field = "notes"
    no_check = "no call without an effect is known"
    actions = {"quote": FIELDS, "approved-quote": FIELDS, "service-order": FIELDS}
    accepted = Reply(200, {"data": {"id": 7}})
    receipt_id = "7"
    rejected = Reply(400, {"msg": "refused"})
    rejected_as = ContentError

    def options(self, url: str) -> dict[str, object]:
        return {"base_url": f"{url}/orders", "token": "token-never-shown", "app_token": "app-never-shown", "id": "data.id"}

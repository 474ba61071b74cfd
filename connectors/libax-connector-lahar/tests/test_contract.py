"""The promises of an actor; see what each check wants in ``libax_automate.testing``."""

from libax_connector_lahar import Lahar

from libax_automate import AccountError, ContentError, RateLimited, RecipientError
from libax_automate.testing import ActionContract, Reply


def refused(code: int, message: str, http: int = 200) -> Reply:
    return Reply(http, {"status": "erro", "data": {"error": {"code": code, "message": message}}})


class TestLahar(ActionContract):
    actor = Lahar
    to = "ana@example.com"
    text_field = "notes"
    no_check = "LAHAR has no call without an effect"
    verdict_in_body = True
    actions = {"conversion": {"form": "venda", "name": "Ana", "tags": "vip, porto"}, "stage": {"stage": "client"}}
    accepted = Reply(200, {"status": "sucesso", "data": {"id": 12}})
    receipt_id = "12"
    rejected = refused(400, "Campo inválido")
    rejected_as = ContentError
    unauthorised = refused(401, "Token inválido", 401)
    refusals = (
        (refused(404, "Token não encontrado"), AccountError),
        (refused(400, "E-mail inválido", 400), RecipientError),
        (refused(404, "Lead não encontrado", 404), RecipientError),
        (refused(429, "devagar"), RateLimited),
    )

    def options(self, url: str) -> dict[str, object]:
        return {"token": "lahar-never-shown", "base_url": url}

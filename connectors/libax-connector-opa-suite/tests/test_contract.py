"""The promises of every sender; see what each check wants in ``libax_automate.testing``."""

from libax_connector_opa_suite import OpaSuite

from libax_automate import AccountError, Channel, ContentError, RateLimited, RecipientError, SetupError, Text
from libax_automate.testing import Reply, SenderContract

CHANNEL = "64f0c0ffee00000000000001"
TEMPLATE = "64f0c0ffee00000000000002"


def refused(text: str, status: int = 400, http: int | None = None) -> Reply:
    return Reply(http or status, {"status": "error", "code": status, "data": {"message": text}, "description": text})


class TestOpaSuite(SenderContract):
    sender = OpaSuite
    verdict_in_body = True
    accepted = Reply(200, {"status": "success", "code": 200, "data": {"message": "sent", "messageSentId": "64f0c0ffee00000000000009"}})
    receipt_id = "64f0c0ffee00000000000009"
    rejected = refused("canalCliente: número inválido")
    rejected_as = RecipientError
    unauthorised = refused("Token inválido", 401)
    refusals = (
        (refused("Este contato já está em atendimento com Rui"), RecipientError),
        (refused("Este contato ja esta em atendimento com Rui", 400, 200), RecipientError),
        (refused("Token inválido", 401, 200), AccountError),
        (refused("network not allowed", 403), AccountError),
        (refused("Número de variáveis diferente do template"), SetupError),
        (Reply(404, {"error": "NOT_FOUND_ERROR", "message": "Communication channel not found."}), SetupError),
        (refused("Template não encontrado"), SetupError),
        (refused("Limite diário atingido"), RateLimited),
        (refused("mensagem recusada"), ContentError),
        (refused("mensagem recusada", 400, 200), ContentError),
        (refused("slow", 429, 200), RateLimited),
    )
    checked = Reply(200, {"status": "success", "code": 200, "data": [{"_id": CHANNEL, "nome": "Loja", "status": "A", "canal": "Whatsapp"}]})
    template_replies = (
        Reply(200, {"status": "success", "code": 200, "data": [{"_id": TEMPLATE, "texto": "Olá {{nome}}", "atalho": "aniversario"}]}),
    )
    balance_reply = Reply(200, {"messagesSent": 1, "dailyLimit": 1000, "availableAmount": 999})
    elsewhere = {f"/api/v1/canal-comunicacao/{CHANNEL}/template/limites-diarios-envio": Reply(200, {"status": "success", "data": {}})}

    def options(self, url: str) -> dict[str, object]:
        return {"base_url": f"{url}/api/v1", "token": "s3cret-never-shown", "channel": CHANNEL}

    def message(self, channel: Channel, text: str) -> Text:
        return Text(id="M1", key="", to="+5511987654321", channel=channel, template=TEMPLATE, vars=(text,), name="Ana")

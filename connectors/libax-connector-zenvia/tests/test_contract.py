"""The promises of every sender; see what each check wants in ``libax_automate.testing``."""

from libax_connector_zenvia import Zenvia

from libax_automate import ContentError, RecipientError, SetupError
from libax_automate.testing import Reply, SenderContract


def refused(path: str, code: str = "VALIDATION_ERROR", status: int = 400) -> Reply:
    return Reply(status, {"code": code, "message": "Validation error", "details": [{"code": "x", "path": path, "message": "wrong"}]})


class TestZenvia(SenderContract):
    sender = Zenvia
    accepted = Reply(200, {"id": "c0a8-1", "from": "PADARIA", "to": "351912345678", "contents": [{"type": "text", "text": "Hello"}]})
    receipt_id = "c0a8-1"
    rejected = refused("to")
    rejected_as = RecipientError
    unauthorised = Reply(401, {"code": "AUTHENTICATION_ERROR", "message": "No authorization token was found"})
    refusals = (
        (refused("from"), SetupError),
        (refused("contents.0.templateId"), SetupError),
        (refused("contents.0.text"), ContentError),
        (Reply(404, {"code": "NOT_FOUND", "message": "not found"}), SetupError),
    )
    checked = Reply(200, [])
    template_replies = (
        Reply(200, [{"id": "t1", "name": "anos", "status": "APPROVED", "locale": "pt_PT", "text": "Olá {{nome}}", "fields": ["nome"]}]),
        Reply(200, [{"id": "t2", "name": "aviso", "status": "PAUSED", "locale": "pt_PT"}]),
    )

    def options(self, url: str) -> dict[str, object]:
        return {"token": "invented-0123456789", "sms_sender": "PADARIA", "whatsapp_sender": "+351910000001", "base_url": url}

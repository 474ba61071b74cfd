"""The promises of every sender; see what each check wants in ``libax_automate.testing``."""

from libax_connector_whatsapp_cloud import WhatsAppCloud

from libax_automate import AccountError, ContentError, OutcomeUnknown, RateLimited, RecipientError, SetupError, Transient
from libax_automate.testing import Reply, SenderContract


def refused(code: int, status: int = 400, message: str = "refused") -> Reply:
    return Reply(status, {"error": {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code, "fbtrace_id": "A1"}})


def template(name: str, language: str) -> dict[str, object]:
    return {"name": name, "language": language, "status": "APPROVED", "id": "9", "components": [{"type": "BODY", "text": "Olá {{1}}"}]}


class TestWhatsAppCloud(SenderContract):
    sender = WhatsAppCloud
    max_chars = 4096
    accepted = Reply(200, {"messaging_product": "whatsapp", "contacts": [{"input": "+1", "wa_id": "1"}], "messages": [{"id": "wamid.A1"}]})
    receipt_id = "wamid.A1"
    rejected = refused(131026)
    rejected_as = RecipientError
    unauthorised = refused(190, 401, "Error validating access token")
    refusals = (
        (refused(190, 400), AccountError),
        (refused(10, 403), AccountError),
        (refused(3, 500), AccountError),
        (refused(131031, 403), AccountError),
        (refused(131042), AccountError),
        (refused(131048), AccountError),
        (refused(368, 403), AccountError),
        (refused(4, 400), RateLimited),
        (refused(80007), RateLimited),
        (refused(130429, 400), RateLimited),
        (refused(131056), RateLimited),
        (refused(131016, 500), Transient),
        (refused(2, 503), Transient),
        (refused(131047), RecipientError),
        (refused(131049), RecipientError),
        (refused(132000), SetupError),
        (refused(132001, 404), SetupError),
        (refused(132015), SetupError),
        (refused(133010), SetupError),
        (refused(132012), ContentError),
        (refused(100), ContentError),
        (Reply(400, {"error": {"code": 100, "error_subcode": 33, "message": "Object does not exist"}}), SetupError),
        (refused(131000, 500), OutcomeUnknown),
        (refused(999999), ContentError),
    )
    template_replies = (
        Reply(
            200,
            {
                "data": [template("anos", "pt_PT"), template("anos", "pt_BR")],
                "paging": {"cursors": {"after": "A"}, "next": "https://example.com/x"},
            },
        ),
        Reply(200, {"data": [template("aviso", "pt_PT")], "paging": {"cursors": {"after": "B"}}}),
    )

    def options(self, url: str) -> dict[str, object]:
        return {"base_url": url, "token": "EAA-never-shown", "phone_number_id": "106000000000000", "account_id": "102000000000000"}

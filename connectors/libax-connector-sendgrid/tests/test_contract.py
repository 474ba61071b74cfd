"""The promises of every sender; see what each check wants in ``libax_automate.testing``."""

from libax_connector_sendgrid import Sendgrid

from libax_automate import AccountError, Channel, ContentError, Email, Message, RecipientError, SetupError
from libax_automate.testing import Reply, SenderContract


def refused(message: str, field: str | None = None, status: int = 400) -> Reply:
    return Reply(status, {"errors": [{"message": message, "field": field, "help": None}]})


class TestSendgrid(SenderContract):
    sender = Sendgrid
    accepted = Reply(202, b"", {"X-Message-Id": "14c5d75ce93"})
    receipt_id = "14c5d75ce93"
    rejected = refused("Does not contain a valid address.", "personalizations.0.to.0.email")
    rejected_as = RecipientError
    unauthorised = refused("The provided authorization grant is invalid, expired, or revoked", None, 401)
    refusals = (
        (refused("Maximum credits exceeded", None, 401), AccountError),
        (refused("access forbidden", None, 403), AccountError),
        (refused("The from address does not match a verified Sender Identity.", "from", 403), SetupError),
        (refused("The from email does not contain a valid address.", "from.email"), SetupError),
        (refused("The template_id must be a valid GUID", "template_id"), SetupError),
        (refused("The subject is required", "subject"), ContentError),
        (refused("too large", None, 413), ContentError),
    )
    checked = Reply(200, {"scopes": ["mail.send"]})
    accepted_batch = accepted
    template_replies = (
        Reply(
            200,
            {
                "result": [
                    {"id": "d-1", "name": "Anos", "versions": [{"active": 0}, {"active": 1, "subject": "Parabéns"}]},
                    {"id": "d-2", "name": "Natal", "versions": []},
                ],
                "_metadata": {"next": "https://api.sendgrid.com/v3/templates?page_token=abc", "count": 3},
            },
        ),
        Reply(200, {"result": [{"id": "d-3", "name": "Velho", "versions": [{"active": 0}]}], "_metadata": {"count": 3}}),
    )

    def message(self, channel: Channel, text: str) -> Message:
        """A template: only its values may differ within a batch."""
        return Email(id="M1", key="", to="ana@example.com", name="Ana", template="d-1", params={"texto": text})

    def options(self, url: str) -> dict[str, object]:
        return {"api_key": "SG.invented-0123456789", "sender": "Padaria <geral@example.com>", "base_url": url}

"""The promises of every sender and of every actor; see what each check wants in ``libax_automate.testing``."""

from libax_connector_brevo import Brevo

from libax_automate import AccountError, Channel, ContentError, RateLimited, RecipientError, SetupError
from libax_automate.testing import ActionContract, Reply, SenderContract

KEY = "xkeysib-invented-0123456789"

IP = Reply(401, {"message": "We have detected you are using an unrecognised IP address 192.0.2.7.", "code": "unauthorized"})
CHECKED = Reply(
    200,
    {
        "relay": {"enabled": True},
        "senders": [{"id": 1, "name": "Padaria", "email": "geral@example.com", "active": True}],
        "domains": [{"id": "1", "domain_name": "example.com", "authenticated": True, "verified": True}],
    },
)


def options(url: str) -> dict[str, object]:
    return {"api_key": KEY, "base_url": url, "sender": "geral@example.com", "sms_sender": "PADARIA", "whatsapp_sender": "+351911111111"}


def refused(code: str, message: str, status: int = 400) -> Reply:
    return Reply(status, {"code": code, "message": message})


class TestBrevo(SenderContract):
    sender = Brevo
    accepted = Reply(201, {"messageId": "<1@relay.example.com>"})
    receipt_id = "<1@relay.example.com>"
    rejected = refused("invalid_parameter", "email is not valid in to")
    rejected_as = RecipientError
    unauthorised = refused("unauthorized", "Key not found", 401)
    rate_limited = Reply(429, {"code": "too_many_requests", "message": "slow"}, {"Retry-After": "7", "x-sib-ratelimit-reset": "9"})
    refusals = (
        (IP, AccountError),
        (refused("not_enough_credits", "no credits", 402), AccountError),
        (refused("permission_denied", "not allowed", 403), AccountError),
        (refused("account_under_validation", "wait", 400), AccountError),
        (refused("invalid_parameter", "Template is inactive"), SetupError),
        (refused("document_not_found", "Template does not exist", 404), SetupError),
        (refused("invalid_parameter", "Sending has been rejected because the sender you used is not valid"), SetupError),
        (refused("missing_parameter", "subject is missing"), ContentError),
        (Reply(429, {}), RateLimited),
    )
    checked = CHECKED
    accepted_batch = Reply(201, {"messageIds": ["<1@x>", "<2@x>", "<3@x>"]})
    template_replies = (
        Reply(
            200, {"count": 2, "templates": [{"id": 5, "name": "Natal", "isActive": False}, {"id": 12, "name": "Anos", "isActive": True}]}
        ),
        Reply(200, {"count": 1, "templates": [{"id": 235, "name": "aviso", "status": "approved", "language": "pt"}]}),
    )
    balance_reply = Reply(200, {"plan": [{"type": "free", "credits": 300}, {"type": "sms", "credits": 9.5}]})

    def options(self, url: str) -> dict[str, object]:
        return options(url)

    def accepted_on(self, channel: Channel) -> Reply:
        return Reply(201, {"messageId": 1511882900176220}) if channel is Channel.SMS else self.accepted


class TestBrevoContacts(ActionContract):
    actor = Brevo
    actions = {"contact-update": {"FIRSTNAME": "Ana"}, "list-add": {"list": "7"}, "list-remove": {"list": [7, 8]}}
    text_field = "FIRSTNAME"
    to = "ana@example.com"
    accepted = Reply(201, {"id": 21})
    receipt_id = "21"
    rejected = refused("document_not_found", "Contact does not exist", 404)
    rejected_as = RecipientError
    unauthorised = TestBrevo.unauthorised
    checked = CHECKED

    def options(self, url: str) -> dict[str, object]:
        return options(url)

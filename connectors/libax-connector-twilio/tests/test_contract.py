"""The promises of every sender; see what each check wants in ``libax_automate.testing``."""

from libax_connector_twilio import Twilio

from libax_automate import AccountError, ContentError, RateLimited, RecipientError, SetupError
from libax_automate.testing import Reply, SenderContract

HEX = "0123456789abcdef0123456789abcdef"
SID = f"SM{HEX}"
NOW = "Thu, 24 Dec 2026 09:30:05 +0000"


def refused(code: int, message: str, status: int = 400) -> Reply:
    return Reply(status, {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status})


def content(sid: str, status: str, following: str | None = None) -> Reply:
    row = {
        "sid": sid,
        "friendly_name": "aviso",
        "language": "pt_PT",
        "variables": {"2": "10 €", "1": "Ana"},
        "types": {"twilio/text": {"body": "Olá {{1}}, deve {{2}}"}},
        "approval_requests": {"status": status},
    }
    return Reply(200, {"contents": [row], "meta": {"next_page_url": following}})


class TestTwilio(SenderContract):
    sender = Twilio
    accepted = Reply(201, {"sid": SID, "status": "queued", "error_code": None})
    receipt_id = SID
    rejected = refused(21211, "Invalid 'To' Phone Number: +3519")
    rejected_as = RecipientError
    unauthorised = refused(20003, "Authenticate", 401)
    rate_limited = Reply(429, {"code": 20429, "message": "Too Many Requests", "status": 429}, {"Retry-After": "7"})
    refusals = (
        (refused(21610, "Attempt to send to unsubscribed recipient"), RecipientError),
        (refused(21999, "The 'To' number +3519 is a landline"), RecipientError),
        (refused(21606, "The 'From' phone number is not valid"), SetupError),
        (refused(21998, "The 'From' number belongs to somebody else"), SetupError),
        (refused(20404, "The requested resource was not found", 404), SetupError),
        (refused(21617, "The concatenated message body exceeds the limit"), ContentError),
        (refused(20003, "Permission denied", 403), AccountError),
        (refused(63018, "Rate limit exceeded for Channel"), RateLimited),
        (Reply(201, {"sid": SID, "status": "failed", "error_code": 63016, "error_message": "outside the window"}), ContentError),
        (Reply(201, {"sid": SID, "status": "undelivered", "error_code": 63003, "error_message": ""}), RecipientError),
    )
    max_chars = 1600
    checked = Reply(200, {"status": "active"})
    template_replies = (
        content(f"HX{HEX}", "approved", "https://content.twilio.com/v1/ContentAndApprovals?PageSize=500&PageToken=x"),
        content(f"HX{HEX[::-1]}", "pending"),
    )
    found = Reply(
        200,
        {
            "messages": [{"sid": SID, "status": "sent", "direction": "outbound-api", "body": "Hello", "date_created": NOW}],
            "next_page_uri": None,
        },
    )
    not_found = Reply(200, {"messages": [], "next_page_uri": None})

    def options(self, url: str) -> dict[str, object]:
        return {
            "account_sid": f"AC{HEX}",
            "auth_token": "invented-0123456789",
            "sms_sender": "+351910000000",
            "whatsapp_sender": "+351910000001",
            "base_url": url,
            "content_url": url,
        }

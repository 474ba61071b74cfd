"""The promises of a sender, an actor and a source; see what each check wants in ``libax_automate.testing``."""

from libax_connector_mailchimp import Mailchimp

from libax_automate import AccountError, Call, Channel, ContentError, RecipientError, SetupError
from libax_automate.testing import ActionContract, Reply, SenderContract, SourceContract

KEY = "0123456789abcdef-invented-us21"


def options(url: str) -> dict[str, object]:
    return {"api_key": KEY, "base_url": url, "audience": "a1b2c3d4e5"}


def problem(status: int, title: str, detail: str) -> Reply:
    return Reply(status, {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": "0a"})


UNAUTHORISED = problem(401, "API Key Invalid", "Your API key may be invalid")
COMPLIANCE = problem(400, "Member In Compliance State", "ana@example.com is in a compliance state due to unsubscribe")


class TestList(SenderContract):
    sender = Mailchimp
    accepted = Reply(200, {"new_members": [{"id": "1"}], "errors": [], "total_created": 1, "error_count": 0})
    receipt_id = None
    rejected = problem(400, "Invalid Resource", "The resource submitted could not be validated")
    rejected_as = ContentError
    unauthorised = UNAUTHORISED
    refusals = (
        (problem(404, "Resource Not Found", "no such list"), SetupError),
        (problem(403, "User Disabled", "disabled"), AccountError),
    )

    def options(self, url: str) -> dict[str, object]:
        return options(url)

    def message(self, channel: Channel, text: str) -> Call:
        return Call(
            id="M1", key="", to="list", type="automate.birthday", data={"records": [{"email": "a@example.com", "first_name": text}]}
        )


class TestMember(ActionContract):
    actor = Mailchimp
    to = "Ana@example.com"
    text_field = "FNAME"
    actions = {
        "list-add": {"FNAME": "Ana"},
        "list-remove": {"list": "f6e5d4c3b2"},
        "unsubscribe": {},
        "tag": {"tags": "vip, porto"},
        "untag": {"tags": ["vip"]},
        "move": {"from": "a1b2c3d4e5", "to": "f6e5d4c3b2"},
    }
    accepted = Reply(200, {"id": "0cc175b9c0f1b6a831c399e269772661", "status": "subscribed"})
    receipt_id = "0cc175b9c0f1b6a831c399e269772661"
    rejected = COMPLIANCE
    rejected_as = RecipientError
    unauthorised = UNAUTHORISED
    refusals = (
        (problem(400, "Invalid Resource", "ana looks fake or invalid, please enter a real email address."), RecipientError),
        (problem(400, "Invalid Resource", "Your merge fields were invalid."), ContentError),
        (problem(404, "Resource Not Found", "no such list"), SetupError),
    )

    def options(self, url: str) -> dict[str, object]:
        return options(url)


def row(number: int, **more: object) -> dict[str, object]:
    return {
        "id": f"{number:032x}",
        "email_address": f"p{number}@example.com",
        "full_name": f"Pessoa {number}",
        "status": "subscribed",
        "merge_fields": {"FNAME": "Pessoa", "LNAME": str(number)},
        "last_changed": "2026-03-02T10:00:00+00:00",
        "timestamp_opt": "",
        "tags": [{"id": 1, "name": "vip"}],
        "location": {"country_code": "PT"},
        **more,
    }


class TestMembers(SourceContract):
    source = Mailchimp
    pages = (
        Reply(200, {"members": [row(1), row(2)], "total_items": 3}),
        Reply(200, {"members": [row(3, status="unsubscribed", tags=None, location=None, merge_fields=None)], "total_items": 3}),
    )
    ids = tuple(f"{number:032x}" for number in (1, 2, 3))
    bad_row = Reply(200, {"members": [row(1), {"email_address": "x@example.com"}], "total_items": 2})
    empty = Reply(200, {"members": [], "total_items": 0})
    unauthorised = UNAUTHORISED

    def options(self, url: str) -> dict[str, object]:
        return options(url)

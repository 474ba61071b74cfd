"""The promises of every actor; see what each check wants in ``libax_automate.testing``."""

import html
from typing import Any

from libax_connector_slack import Slack

import libax_automate as ax
from libax_automate.testing import ActionContract, Reply, Request


class TestSlack(ActionContract):
    actor = Slack
    to = ""
    actions = {"message": {"text": "Negócio ganho"}}
    accepted = Reply(200, "ok")
    receipt_id = None
    unauthorised = Reply(403, "invalid_token")
    no_check = "nothing but a post would tell whether a webhook works"
    rate_limited = Reply(429, "rate_limited", {"Retry-After": "30"})
    rejected = Reply(400, "invalid_payload")
    rejected_as = ax.ContentError
    refusals = (
        (Reply(400, "no_text"), ax.ContentError),
        (Reply(403, "action_prohibited"), ax.AccountError),
        (Reply(404, "no_service"), ax.SetupError),
        (Reply(404, "channel_not_found"), ax.SetupError),
        (Reply(410, "channel_is_archived"), ax.SetupError),
    )

    def options(self, url: str) -> dict[str, Any]:
        return {"webhooks": f"{url}/services/T0NEVER/B0SHOWN/s3cretnevershown"}

    def texts(self, request: Request) -> list[str]:
        return [html.unescape(request.json()["text"])]

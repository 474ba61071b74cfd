"""What Twilio's error codes mean. It advises against relying on them, so the words decide where a code is not known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import libax_automate as ax
from libax_automate.http import ApiClient, Reply

_TO = "correct the number, or leave this person out"
_FROM = "set a sender that this account may use: a number of its own, an approved name, or a messaging service"
_CODES: Mapping[int, tuple[type[ax.ConnectorError], str]] = {
    # the account
    20003: (ax.AccountError, "check account_sid and auth_token in the Twilio console"),
    20005: (ax.AccountError, "the account is not active: look into the Twilio console"),
    20429: (ax.RateLimited, ""),
    21608: (ax.AccountError, "a trial account writes to verified numbers only: upgrade it, or verify the number"),
    # whom it goes to
    21211: (ax.RecipientError, _TO),
    21214: (ax.RecipientError, _TO),
    21217: (ax.RecipientError, _TO),
    21265: (ax.RecipientError, _TO),
    21266: (ax.RecipientError, _TO),
    21408: (ax.RecipientError, "allow this country under Messaging, Geo permissions, or leave this person out"),
    21610: (ax.RecipientError, "this person has replied STOP: leave them out"),
    21612: (ax.RecipientError, "this sender cannot reach this number: another sender may"),
    21614: (ax.RecipientError, _TO),
    21635: (ax.RecipientError, _TO),
    63003: (ax.RecipientError, "this number is not on WhatsApp"),
    63015: (ax.RecipientError, "the sandbox writes only to those who joined it"),
    63024: (ax.RecipientError, "this number is not on WhatsApp"),
    # who sends it, and with what
    21212: (ax.SetupError, _FROM),
    21603: (ax.SetupError, _FROM),
    21606: (ax.SetupError, _FROM),
    21659: (ax.SetupError, _FROM),
    21660: (ax.SetupError, _FROM),
    21701: (ax.SetupError, _FROM),
    21703: (ax.SetupError, _FROM),
    63007: (ax.SetupError, _FROM),
    21655: (ax.SetupError, "the template does not exist: automate apps templates shows them"),
    21656: (ax.ContentError, "the template's values are not as it wants them: automate apps templates shows its variables"),
    # what is in it
    21602: (ax.ContentError, "write a text"),
    21617: (ax.ContentError, "1,600 characters at most"),
    63016: (ax.ContentError, "a person who has not written within a day is reached by a template only"),
    63018: (ax.RateLimited, ""),
    63038: (ax.RateLimited, ""),
}


def refusal(client: ApiClient, reply: Reply, method: str, *, safe: bool = False) -> ax.ConnectorError:
    """The error that a reply means."""
    plain = client.refusal(reply, method, safe=safe)
    try:
        body = reply.json()
    except ValueError:
        return plain
    if not isinstance(body, Mapping):
        return plain
    if reply.status not in {400, 403, 404, 422}:
        code = body.get("code")
        return plain.recast(type(plain), code=str(code) if isinstance(code, int) else "")
    return meaning(body.get("code"), str(body.get("message") or ""), plain)


def failed(client: ApiClient, reply: Reply, body: Mapping[str, Any]) -> ax.ConnectorError:
    """The error of a message that Twilio made, and gave up at once."""
    plain = client.refusal(reply, "POST").recast(ax.ContentError)
    return meaning(body.get("error_code"), str(body.get("error_message") or ""), plain)


def meaning(code: Any, words: str, plain: ax.ConnectorError) -> ax.ConnectorError:
    """``plain`` under the class that code and words say."""
    number = code if isinstance(code, int) else 0
    kind, hint = _CODES.get(number, (None, ""))
    if kind is None and re.search(r"'To'|\bTo number\b", words):
        kind, hint = ax.RecipientError, _TO
    if kind is None and re.search(r"'From'|MessagingServiceSid|Messaging Service", words):
        kind, hint = ax.SetupError, _FROM
    if kind is None and "Content" in words and "Sid" in words:
        kind, hint = ax.SetupError, "automate apps templates shows the templates that there are"
    return plain.recast(kind or type(plain), hint=hint, code=str(number or ""))

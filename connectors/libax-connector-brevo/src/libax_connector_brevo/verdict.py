"""What Brevo's refusals mean: its codes and words as our classes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import libax_automate as ax
from libax_automate.http import ApiClient, Reply, retry_after

_KEYS = "https://app.brevo.com/settings/keys/api"
_ADDRESSES = "https://app.brevo.com/security/authorised_ips"
_IP = re.compile(r"\b(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:]|\.\d)")

#: the code says that the account may not, whatever the request
_ACCOUNT = {
    "not_enough_credits": "buy credits in Brevo, then: automate errors retry",
    "account_under_validation": "Brevo is still validating the account: finish what it asks for there",
    "permission_denied": "the account or the key may not do this: look at its plan and rights in Brevo",
    "reseller_permission_denied": "the account or the key may not do this: look at its plan and rights in Brevo",
}
#: the code says that this message was handed over before
_DUPLICATE = frozenset({"duplicate_parameter", "duplicate_request"})

#: what a refused request is refused for, by the words of the message; the first that fits
_WORDS: tuple[tuple[re.Pattern[str], type[ax.ConnectorError], str], ...] = (
    (
        re.compile(r"template", re.IGNORECASE), ax.SetupError,
        "Brevo refuses the template: is it active there? (LX-79) automate apps templates shows them",
    ),
    (
        re.compile(r"sender", re.IGNORECASE), ax.SetupError,
        "Brevo refuses the sender: create and verify it there (LX-75), then set sender (LX-78)",
    ),
    (
        re.compile(
            r"\b(?:to|recipients?|contact|contactNumbers|phone|mobile|telephone|e-?mail(?: address)?|blacklisted|unsubscribed)\b",
            re.IGNORECASE,
        ), ax.RecipientError,
        "correct the address, or leave this person out",
    ),
)  # fmt: skip


def told(reply: Reply) -> tuple[str, str]:
    """Code and message of an error's body, "" where it has none."""
    try:
        body = reply.json()
    except ValueError:
        return "", ""
    if not isinstance(body, Mapping):
        return "", ""
    code, message = body.get("code"), body.get("message")
    return (code if isinstance(code, str) else ""), (message if isinstance(message, str) else "")


def is_repeat(reply: Reply) -> bool:
    """Whether Brevo refuses an e-mail because it has one under the same key: it was accepted before."""
    return reply.status in {400, 409} and told(reply)[0] in _DUPLICATE


def refusal(client: ApiClient, reply: Reply, method: str = "POST", *, safe: bool = False) -> ax.ConnectorError:
    """The error that a reply means."""
    plain = client.refusal(reply, method, safe=safe)
    code, message = told(reply)
    if isinstance(plain, ax.RateLimited):
        # Brevo says it in a header of its own: seconds until the window begins anew
        wait = plain.retry_after if plain.retry_after is not None else retry_after(reply.headers.get("x-sib-ratelimit-reset"))
        hint = "Brevo slows this down; most of its lists may be asked 100 times an hour"
        return plain.recast(ax.RateLimited, hint=hint, code=code, retry_after=wait)
    if reply.status == 401 and re.search(r"\bIP\b|ip address", message):
        found = _IP.search(message)
        which = f"the address {found[0]}" if found else "this machine's address"
        what = f"Brevo does not accept requests from {which}: {plain.message}"
        hint = f"authorise {which} under {_ADDRESSES}, or deactivate the blocking there (LX-76)"
        return plain.recast(ax.AccountError, hint=hint, code=code, message=what)
    if reply.status == 401:
        hint = f"Brevo refuses the API key: make one under {_KEYS} and set api_key (LX-77)"
        return plain.recast(ax.AccountError, hint=hint, code=code)
    if code in _ACCOUNT:
        return plain.recast(ax.AccountError, hint=_ACCOUNT[code], code=code)
    if reply.status in {400, 404, 405, 406, 422}:
        for words, kind, hint in _WORDS:
            if words.search(message):
                return plain.recast(kind, hint=hint, code=code)
    return plain.recast(type(plain), code=code)

"""What Brevo's refusals mean: its codes and words as our classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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

_TEMPLATE = re.compile(r"template", re.IGNORECASE)
_SENDER = re.compile(r"sender", re.IGNORECASE)
_RECIPIENT = re.compile(
    r"\b(?:to|recipients?|contact|contactNumbers|phone|mobile|telephone|e-?mail(?: address)?|blacklisted|unsubscribed)\b", re.IGNORECASE
)


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
        return _as(ax.RateLimited, plain, code or "429", "Brevo slows this down; most of its lists may be asked 100 times an hour", wait)
    if reply.status == 401 and re.search(r"\bIP\b|ip address", message):
        found = _IP.search(message)
        which = f"the address {found[0]}" if found else "this machine's address"
        error = ax.AccountError(
            f"Brevo does not accept requests from {which}: {message}",
            hint=f"authorise {which} under {_ADDRESSES}, or deactivate the blocking there (LX-76)", code=code,
        )  # fmt: skip
        return _facts(error, plain)
    if reply.status == 401:
        return _as(ax.AccountError, plain, code, f"Brevo refuses the API key: make one under {_KEYS} and set api_key (LX-77)")
    if code in _ACCOUNT:
        return _as(ax.AccountError, plain, code, _ACCOUNT[code])
    if reply.status not in {400, 404, 405, 406, 422}:
        return _as(type(plain), plain, code, plain.hint)
    if _TEMPLATE.search(message):
        return _as(ax.SetupError, plain, code, "Brevo refuses the template: is it active there? (LX-79) automate apps templates shows them")
    if _SENDER.search(message):
        return _as(ax.SetupError, plain, code, "Brevo refuses the sender: create and verify it there (LX-75), then set sender (LX-78)")
    if _RECIPIENT.search(message):
        return _as(ax.RecipientError, plain, code, "correct the address, or leave this person out")
    return _as(type(plain), plain, code, plain.hint)


def _as(kind: type[Any], plain: ax.ConnectorError, code: str, hint: str, wait: float | None = None) -> ax.ConnectorError:
    error: ax.ConnectorError = kind(plain.message, hint=hint, code=code, retry_after=plain.retry_after if wait is None else wait)
    return _facts(error, plain)


def _facts(error: ax.ConnectorError, plain: ax.ConnectorError) -> ax.ConnectorError:
    error.status, error.body = plain.status, plain.body
    return error

"""What Mailchimp's refusals mean: problem details (RFC 7807) whose title and detail tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

import libax_automate as ax
from libax_automate.http import ApiClient, Reply

_PERSON = re.compile(
    r"compliance state|forgotten email|fake or invalid|valid email|was permanently deleted|has signed up to a lot", re.IGNORECASE
)
_MERGE = re.compile(r"merge field", re.IGNORECASE)


def refusal(client: ApiClient, reply: Reply, method: str = "POST", *, safe: bool = False, person: bool = False) -> ax.ConnectorError:
    """The error that a reply means; ``person`` where the request was about one who must be there already."""
    plain = client.refusal(reply, method, safe=safe)
    told = _told(reply)
    if isinstance(plain, ax.AccountError):
        return plain.recast(ax.AccountError, hint="Mailchimp refuses the key, or the key may not do this: make one and set api_key")
    if reply.status == 400 and _PERSON.search(told):
        return plain.recast(ax.RecipientError, hint="this person has left, was deleted for good, or has no such address: leave him out")
    if reply.status == 400 and _MERGE.search(told):
        return plain.recast(ax.ContentError, hint="is a merge field of the audience required, or of another type?")
    if reply.status == 404 and person:
        return plain.recast(ax.RecipientError, hint="this person is not in the audience, or there is no such audience")
    if reply.status == 404:
        return plain.recast(ax.SetupError, hint="Mailchimp has no such audience: look at its id under Audience → Settings")
    return plain


def _told(reply: Reply) -> str:
    try:
        body = reply.json()
    except ValueError:
        return ""
    return f"{body.get('title')}: {body.get('detail')}" if isinstance(body, Mapping) else ""

"""What an account has: plans, senders, domains, templates. Brevo lets these be asked a hundred times an hour, so answers are kept a while."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import libax_automate as ax
from libax_automate.clock import SystemClock
from libax_automate.http import ApiClient
from libax_automate.paging import rows_at, walk
from libax_connector_brevo.verdict import refusal

#: how long an answer is believed, in seconds
KEPT = 600.0
_VALUES = re.compile(r"\{\{-?\s*params\.([A-Za-z0-9_]+)")
_SENDERS = "https://app.brevo.com/senders/list"
_DOMAINS = "https://app.brevo.com/senders/domain/list"

T = TypeVar("T")


class Account:
    """Asks, page by page where there are pages, and remembers. Serves many threads."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._kept: dict[str, tuple[float, Any]] = {}
        self._lock = threading.Lock()
        self._now = SystemClock().monotonic

    def prove(self) -> Mapping[str, Any]:
        """The account, asked anew each time; raises AccountError where the key, the address or the account is refused."""
        found = self._ask("/account", {})
        relay = found.get("relay")
        if isinstance(relay, Mapping) and relay.get("enabled") is False:
            raise ax.AccountError("Brevo has not yet activated e-mail for this account", hint="finish the account's set-up in Brevo")
        return found

    def credits(self) -> Decimal | None:
        """E-mails left, over all plans."""
        plans = [plan for plan in _rows(self.prove(), "plan") if plan.get("type") != "sms"]
        left = [Decimal(str(plan["credits"])) for plan in plans if isinstance(plan.get("credits"), int | float)]
        return sum(left, Decimal(0)) if left else None

    def prove_sender(self, address: str, *, own_domain: bool) -> None:
        """Raise SetupError unless ``address`` is an active sender whose domain is authenticated (LX-75)."""
        senders = self._kept_or("senders", lambda: _rows(self._ask("/senders", {}), "senders"))
        found = next((one for one in senders if str(one.get("email", "")).casefold() == address.casefold()), None)
        if found is None:
            known = ", ".join(str(one.get("email")) for one in senders[:5]) or "none"
            raise ax.SetupError(f"{address} is not a sender of this Brevo account", hint=f"create it under {_SENDERS}; there are: {known}")
        if found.get("active") is False:
            raise ax.SetupError(f"the sender {address} is not verified at Brevo", hint=f"enter the code that Brevo mailed it: {_SENDERS}")
        if not own_domain:
            return
        name = address.rpartition("@")[2].casefold()
        domains = self._kept_or("domains", lambda: list(_rows(self._ask("/senders/domains", {}), "domains")))
        if not any(one.get("authenticated") is True and _covers(str(one.get("domain_name", "")).casefold(), name) for one in domains):
            raise ax.SetupError(
                f"the sender {address} is not authenticated: Brevo has no proof of the domain {name}",
                hint=f"add the DNS records that Brevo shows under {_DOMAINS} (LX-75); for a domain that is not yours: own_domain = false",
            )

    def email_templates(self) -> list[ax.Template]:
        """All of them, inactive ones included (LX-79). Their values are those that subject and HTML name as ``params.…``."""
        return self._kept_or("email", lambda: [_email_template(row) for row in self._pages("/smtp/templates", 1000)])

    def whatsapp_templates(self) -> list[ax.Template]:
        """All of them; active means approved."""
        return self._kept_or("whatsapp", lambda: [_whatsapp_template(row) for row in self._pages("/whatsappCampaigns/template-list", 100)])

    def _kept_or(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            kept = self._kept.get(name)
        if kept is not None and self._now() - kept[0] < KEPT:
            found: T = kept[1]
            return found
        made = make()
        with self._lock:
            self._kept[name] = (self._now(), made)
        return made

    def _pages(self, path: str, size: int) -> Iterator[Mapping[str, Any]]:
        """Every row, by offset; a page that shows again what was seen ends in an error instead of a circle."""
        seen: set[str] = set()

        def page(offset: int) -> tuple[list[Mapping[str, Any]], int | None]:
            rows = _rows(self._ask(path, {"limit": size, "offset": offset}), "templates")
            fresh = [row for row in rows if _id(row) not in seen]
            seen.update(_id(row) for row in fresh)
            # a full page without anything new names itself as the next: walk() takes that for the circle that it is
            return fresh, None if len(rows) < size else offset + len(fresh)

        return walk(page, 0)

    def _ask(self, path: str, query: dict[str, Any]) -> Mapping[str, Any]:
        reply = self._api.get(path, query=query, classify=False, safe=True)
        if not 200 <= reply.status < 300:
            raise refusal(self._api, reply, "GET", safe=True)
        found = reply.data()
        if not isinstance(found, Mapping):
            raise ax.InputDataError(f"Brevo's answer to {path} is no JSON object", hint="is base_url Brevo's API?")
        return found


def _rows(body: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    # an account without any has no list at all
    return [row for row in rows_at(body, field) if isinstance(row, Mapping)] if field in body else []


def _id(row: Mapping[str, Any]) -> str:
    return str(row.get("id", ""))


def _covers(domain: str, name: str) -> bool:
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _email_template(row: Mapping[str, Any]) -> ax.Template:
    subject, text = str(row.get("subject") or ""), str(row.get("htmlContent") or "")
    values = tuple(dict.fromkeys(_VALUES.findall(f"{subject}\n{text}")))
    return ax.Template(_id(row), str(row.get("name") or ""), row.get("isActive") is True, ax.Channel.EMAIL, text=subject, variables=values)


def _whatsapp_template(row: Mapping[str, Any]) -> ax.Template:
    active = str(row.get("status") or "").casefold() == "approved"
    return ax.Template(_id(row), str(row.get("name") or ""), active, ax.Channel.WHATSAPP, language=str(row.get("language") or ""))

"""Superlógica Sign: quotes, approved quotes and service orders, sent to an address that the vendor has to name. UNVERIFIED throughout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.normalise import amount_of

_HEADER = r"^[A-Za-z][A-Za-z0-9_-]*$"
_PART = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_YES, _NO = frozenset({"true", "yes", "sim", "1"}), frozenset({"false", "no", "não", "nao", "0"})


class SignOptions(ax.Options):
    """What a profile says about an app of this connector: all of the wire is an option, for nothing about it is public."""

    base_url: str = Field(description="the address that takes quotes and orders, as the vendor's manual names it; there is no default")
    token: ax.Secret = Field(description="token (PR-51)")
    app_token: ax.Secret = Field(description="app token (PR-51)")
    header: str = Field("access_token", pattern=_HEADER, description="header that carries token")
    app_header: str = Field("app_token", pattern=_HEADER, description="header that carries app_token")
    fields: dict[str, str] = Field(
        default_factory=dict, description='our field = theirs, with dots for objects: { validity_days = "proposta.validade" }'
    )
    id: str | None = Field(None, description="where the reply holds the id of what was made, such as data.id")

    @field_validator("fields")
    @classmethod
    def _are_paths(cls, value: dict[str, str]) -> dict[str, str]:
        for name, path in value.items():
            if not _PART.fullmatch(path):
                raise ValueError(f"{name} = {path!r}: write names with dots between them")
        return value


class SuperlogicaSign(ax.Actor[SignOptions]):
    """One action, one POST with a JSON object. Any 2xx is taken for success."""

    name = "superlogica-sign"
    title = "Superlógica Sign: quotes and service orders (unverified)"
    capabilities = frozenset({ax.Capability.ACTIONS})
    credentials = (
        "The vendor publishes no manual of this API: ask Superlógica for the address that takes quotes and service orders, the *token* and the"
        " *app token*, and the names of the fields. Keep the tokens outside the profile:\n\n"
        '```toml\n[apps.sign]\nconnector = "superlogica-sign"\nbase_url  = "https://…"\ntoken     = { env = "SIGN_TOKEN" }\n'
        'app_token = { env = "SIGN_APP" }\nfields    = { validity_days = "proposta.validade" }\n```'
    )
    limits = "Unknown."
    verified = ""
    unverified = (
        "everything: nothing about this API is public. The address, the headers and the fields' names are options",
        "that it takes a POST with a JSON object",
        "that a 2xx means success, and a refusal has a status of 400 or more",
        "whether a second identical request is noticed: our key goes as reference",
    )
    default_rate = "1/s"
    default_concurrency = 1
    actions: ClassVar[Mapping[str, str]] = {
        "quote": "sends a quote (PR-51); name, email, tax_id, items, value, validity_days, delivery_days, discount_percent, register_company,"
        " register_person, notify, description, payment, mrr, notes; any other field as it is",
        "approved-quote": "sends a quote that is approved already: the same fields",
        "service-order": "sends a service order: the same fields",
    }

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        options = self.options
        self.api = ApiClient(
            options.base_url,
            headers={options.header: options.token, options.app_header: options.app_token},
            allow_private=self.place.allow_private,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def checks_account(self) -> bool:
        """Never: no call without an effect is known."""
        return False

    def check(self) -> None:
        """See that the address resolves; nothing is asked."""
        self.api.resolve()

    def act(self, action: ax.Action) -> ax.Receipt:
        """Send one quote or order; raises SetupError for a field whose value makes no sense, before anything leaves."""
        if action.kind not in self.actions:
            raise ax.SetupError(f"superlogica-sign has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        if not action.to.strip():
            raise ax.RecipientError("nobody is named", hint="the action needs our id of the customer")
        body: dict[str, Any] = {}
        values = {"type": action.kind, "reference": action.key, "customer": action.to, **action.fields}
        for name, value in values.items():
            if value is not None:
                self._put(body, self.options.fields.get(name, name), _checked(name, value))
        reply = self.api.post(json=body)
        return ax.Receipt(id=reply.id_at(*self.options.id.split(".")) if self.options.id else None)

    def _put(self, body: dict[str, Any], path: str, value: Any) -> None:
        *above, last = path.split(".")
        for part in above:
            body = body.setdefault(part, {})
            if not isinstance(body, dict):
                raise ax.SetupError(f"{path} leads through {part}, which is a value", hint="correct fields in the app")
        body[last] = value


def _days(value: Any) -> int:
    number = int(str(value))
    if number < 0:
        raise ValueError("it is negative")
    return number


def _percent(value: Any) -> Decimal:
    number = amount_of(str(value).removesuffix("%").strip())
    if not 0 <= number <= 100:
        raise ValueError("a percentage is between 0 and 100")
    return number


def _flag(value: Any) -> bool:
    word = str(value).strip().casefold()
    if word not in _YES | _NO:
        raise ValueError("it is neither true nor false")
    return word in _YES


#: what PR-52 to PR-54 name, and what it must be
_KINDS: Mapping[str, Callable[[Any], Any]] = {
    "validity_days": _days,
    "delivery_days": _days,
    "discount_percent": _percent,
    "value": amount_of,
    "mrr": amount_of,
    "register_company": _flag,
    "register_person": _flag,
    "notify": _flag,
}


def _checked(name: str, value: Any) -> Any:
    if name not in _KINDS:
        return value
    try:
        return _KINDS[name](value)
    except ValueError as error:
        raise ax.SetupError(f"{name} = {value!r}: {error}", hint="correct the fields of the action") from None


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [SuperlogicaSign]

"""Opa! Suite: WhatsApp templates of a channel, their values in order, and the channel's allowance for the day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, field_validator

import libax_automate as ax
from libax_automate.http import ApiClient
from libax_automate.paging import rows_at
from libax_connector_opa_suite.allowance import Allowance
from libax_connector_opa_suite.verdict import judged

_API = "/api/v1"
_ID = re.compile(r"[0-9a-fA-F]{24}")
_VALUES = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
#: rows of one page
_PAGE = 100
#: the only status of a channel, or of a template that has one, that may send
_ACTIVE = frozenset({"a", "active", "ativo", "ativa", "approved", "aprovado", "true"})


class OpaOptions(ax.Options):
    """What a profile says about an app of this connector."""

    base_url: str = Field(description="the company's own address of Opa! Suite with /api/v1: https://empresa.opasuite.com.br/api/v1")
    token: ax.Secret = Field(description="token of a user whose permission group is of the type API")
    channel: str = Field("", description="_id of the WhatsApp channel that sends; a message's sender names another")
    in_attendance: Literal["refuse", "send"] = Field(
        "refuse", description="send: also to contacts that somebody is attending to; refuse: those end as refused recipients"
    )
    daily_limit: bool = Field(default=True, description="ask for the channel's daily allowance, and wait when it is used up")

    @field_validator("base_url")
    @classmethod
    def _is_the_api(cls, value: str) -> str:
        """The address of the agents' page, copied from the browser, is the classic mistake (IC-04)."""
        found = value.rstrip("/")
        if found.endswith(_API):
            return found
        page, _, _ = found.partition("/atendente")
        right = f"{page.removesuffix(_API).removesuffix('/api')}{_API}"
        if page != found:
            raise ValueError(f"{value} is the page that agents work on, not the API: write {right}")
        raise ValueError(f"the API's address ends in {_API}: write {right}")


class OpaSuite(ax.Sender[OpaOptions, ax.Text]):
    """One template to one number with one request; a reply's own ``status`` says whether it was taken, whatever HTTP says."""

    name = "opa-suite"
    title = "Opa! Suite: WhatsApp templates of its channels"
    capabilities = frozenset({ax.Capability.WHATSAPP, ax.Capability.TEMPLATES, ax.Capability.BALANCE})
    credentials = (
        "1. In Opa! Suite, create a permission group of the type *API* and a user in it. If the group has a list of IP addresses, the"
        " machine that sends must be on it.\n"
        "2. Make the token of that user; a new one puts an end to the one before. Keep it outside the profile.\n"
        "3. The address is the company's own, with `/api/v1` where the browser shows `/atendente` (IC-04):\n\n"
        '```toml\n[apps.opa]\nconnector = "opa-suite"\nbase_url  = "https://empresa.opasuite.com.br/api/v1"\n'
        'token     = { env = "OPA_TOKEN" }\n```\n\n'
        "4. `automate apps test opa` lists the channels; set `channel` to the `_id` of the one that the templates belong to (IB-05).\n"
        "5. `automate apps templates opa` lists that channel's templates (IB-06): a model names one by its id and lists `vars` in the"
        " order of the placeholders (IC-09)."
    )
    limits = "One daily limit for each channel, which the connector asks for; Opa! Suite documents no pace. Its limit on templates is WhatsApp's own."
    verified = "published notes on the vendor's Postman collection and on live calls of October 2026; no specification by the vendor exists"
    unverified = (
        "the words of refusals: told apart by the words in the message",
        "the fields of a channel's templates, and whether one of them tells that a template is not approved",
        "when a daily limit begins anew: it is asked for once an hour while it is used up",
        "how many requests a second are too many",
        "a named placeholder that occurs twice is taken for one value",
    )
    default_rate = "2/s"
    _channels_filter: ClassVar[Mapping[str, Any]] = {"canal": "Whatsapp"}

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        token = self.options.token.get_secret_value()
        self.api = ApiClient(
            self.options.base_url,
            headers={"Authorization": f"Bearer {token}"},
            secrets=[token],
            allow_private=self.place.allow_private,
            max_body=8 << 20,
        )
        self._allowance = Allowance(self._left)

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def check(self) -> None:
        """The token works, and the channel is there and active (IC-02); without a channel the error lists those there are (IB-05)."""
        channels = list(self.channels())
        active = ", ".join(f"{one['_id']} ({one.get('nome')})" for one in channels if _is_active(one)) or "none"
        if not self.options.channel:
            raise ax.SetupError("no channel is set", hint=f'add channel = "…" to the app; active WhatsApp channels: {active}')
        found = next((one for one in channels if one["_id"] == self.options.channel), None)
        if found is None:
            raise ax.SetupError(
                f"Opa! Suite has no WhatsApp channel {self.options.channel!r}", hint=f"set channel to one of the active ones: {active}"
            )
        if not _is_active(found):
            raise ax.SetupError(f"the channel {found.get('nome')} is not active in Opa! Suite", hint=f"activate it there; active: {active}")

    def channels(self) -> Iterator[Mapping[str, Any]]:
        """The WhatsApp channels, inactive ones included (IB-05)."""
        seen: set[str] = set()
        skip = 0
        while True:
            body = {"filter": self._channels_filter, "options": {"limit": _PAGE, "skip": skip}}
            rows = self._list("/canal-comunicacao", body)
            # some lists of Opa ignore skip and answer all they have each time
            fresh = [row for row in rows if row["_id"] not in seen]
            seen.update(row["_id"] for row in fresh)
            yield from fresh
            if not fresh or len(rows) < _PAGE:
                return
            skip += _PAGE

    def templates(self, channel: ax.Channel | None = None) -> Iterator[ax.Template]:
        """The templates that belong to the app's channel, with their text (IB-06, IB-07) and their values in order (IC-09)."""
        if channel in {None, ax.Channel.WHATSAPP}:
            for row in self._list(f"/canal-comunicacao/{self._channel()}/template"):
                yield _template(row)

    def balance(self) -> Decimal | None:
        """Templates that the channel may still send today; None where it has no limit."""
        return self._left(self._channel())

    def send(self, message: ax.Text) -> ax.Receipt:
        """Hand over one template; raises RateLimited before anything leaves when the channel's day is used up."""
        if not isinstance(message, ax.Text) or message.channel is not ax.Channel.WHATSAPP:
            raise ax.SetupError(f"opa-suite does not send {message.channel}", hint="it sends whatsapp")
        body = self._body(message)
        if self.options.daily_limit:
            self._allowance.take(body["canal"])
        reply = self.api.post("/template/send", json=body, classify=False)
        judged(self.api, reply)
        return ax.Receipt(ax.Status.QUEUED, reply.id_at("data", "messageSentId"))

    def _body(self, message: ax.Text) -> dict[str, Any]:
        if not message.template:
            raise ax.SetupError("Opa! Suite begins a conversation with a template only", hint="add template and vars to the model (IB-06)")
        if not _ID.fullmatch(message.template):
            raise ax.SetupError(
                f"Opa! Suite knows a template by its id, not as {message.template!r}", hint="automate apps templates shows the ids"
            )
        template: dict[str, Any] = {"_id": message.template}
        if message.vars:
            template["variaveis"] = list(message.vars)
        elif message.params:
            # a payment's template takes names (valor, codigo, linhaDigitavel …) instead of an order
            template["variaveis"] = dict(message.params)
        if media := message.extra.get("media"):
            template["midiaAlternativa"] = str(media)
        contact = {"canalCliente": message.to} | ({"nome": message.name} if message.name else {})
        body: dict[str, Any] = {
            "contato": contact,
            "template": template,
            "canal": self._channel(message.sender),
            # Opa's events repeat it
            "metadata": {"id": message.id, "key": message.key},
        }
        if self.options.in_attendance == "send":
            body["allowSendingToStartedCustomerService"] = True
        return body

    def _channel(self, named: str | None = None) -> str:
        found = named or self.options.channel
        if not _ID.fullmatch(found):
            what = f"{found!r} is no channel's id" if found else "no channel is set"
            raise ax.SetupError(what, hint="set channel to the _id of one; automate apps test lists them (IB-05)")
        return found

    def _left(self, channel: str) -> Decimal | None:
        """What is left of a channel's day. An empty object means that there is no limit."""
        reply = self.api.get(f"/canal-comunicacao/{quote(channel, safe='')}/template/limites-diarios-envio", classify=False, safe=True)
        if reply.status == 404:
            return None
        judged(self.api, reply, safe=True, bare=True)
        found = reply.data()
        if isinstance(found, Mapping) and isinstance(found.get("data"), Mapping):
            found = found["data"]
        left = found.get("availableAmount") if isinstance(found, Mapping) else None
        return Decimal(left) if isinstance(left, int) and not isinstance(left, bool) else None

    def _list(self, path: str, body: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        # its lists are asked by GET with a JSON body
        reply = self.api.get(path, json=body, classify=False, safe=True)
        judged(self.api, reply, safe=True)
        return [row for row in rows_at(reply.data(), "data") if isinstance(row, Mapping) and isinstance(row.get("_id"), str)]


def _is_active(row: Mapping[str, Any]) -> bool:
    return str(row.get("status", "A")).casefold() in _ACTIVE


def _template(row: Mapping[str, Any]) -> ax.Template:
    text = str(row.get("texto") or "")
    values = tuple(dict.fromkeys(_VALUES.findall(text)))
    if all(value.isdecimal() for value in values):
        values = tuple(sorted(values, key=int))
    name = str(row.get("atalho") or row["_id"])
    return ax.Template(row["_id"], name, _is_active(row), ax.Channel.WHATSAPP, text=text, variables=values)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [OpaSuite]

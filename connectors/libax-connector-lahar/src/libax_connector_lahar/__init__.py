"""LAHAR: conversions with the values that are chosen, and a lead's stage, as actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

import libax_automate as ax
from libax_automate.http import ApiClient, Reply

#: our words for LAHAR's fields; any other name is sent as it is (a custom field's own token)
_FIELDS = {
    "name": "nome_contato",
    "mobile": "tel_celular",
    "company": "nome_empresa",
    "city": "cidade",
    "region": "estado",
    "notes": "anotacoes",
    "origin": "url_origem",
    "tags": "tags",
}
_STAGES = {"lead": 1, "opportunity": 2, "oportunidade": 2, "client": 3, "cliente": 3, "1": 1, "2": 2, "3": 3}
#: characters of an address, and of all tags together
_LONGEST = 100


class LaharOptions(ax.Options):
    """What a profile says about an app of this connector."""

    token: ax.Secret = Field(description="token_api_lahar of the account")
    form: str | None = Field(None, description="name of the conversion (nome_formulario) where an action names none")
    origin: str | None = Field(None, description="url_origem where an action names none")
    base_url: str = Field("https://app.lahar.com.br/api", description="where the API is; for a test server")


class Lahar(ax.Actor[LaharOptions]):
    """One action, one request. A conversion also writes the lead, known by his e-mail address."""

    name = "lahar"
    title = "LAHAR: conversions and the stage of a lead"
    capabilities = frozenset({ax.Capability.ACTIONS})
    credentials = (
        "In LAHAR, under *Configurações → Integrações → API*, copy the token of the account. Keep it outside the profile:\n\n"
        '```toml\n[apps.lahar]\nconnector = "lahar"\ntoken     = { env = "LAHAR_TOKEN" }\nform      = "venda-fechada"\n```'
    )
    limits = "None documented: the connector sends two a second. An e-mail address and all tags together have 100 characters each."
    verified = "the vendor's published snippets and several callers' code"
    unverified = (
        "what a success looks like: any 2xx with a JSON object whose status is not erro is taken for one",
        "what its errors mean: told apart by code and words",
        "that PUT /leads takes the token in its body too",
        "pace and batches: unknown; where in the panel the token is",
    )
    default_rate = "2/s"
    default_concurrency = 2
    actions: ClassVar[Mapping[str, str]] = {
        "conversion": "tells a conversion and writes the lead; form: its name; send: which of the fields, with commas (PR-55), all without it;"
        " name, mobile, company, city, region, notes, origin, tags, or the token of a custom field",
        "stage": "sets the stage of the lead; stage: lead, opportunity or client",
    }

    def open(self) -> None:
        """Prepare the client; nothing leaves yet."""
        self.api = ApiClient(self.options.base_url, secrets=[self.options.token], allow_private=self.place.allow_private)

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()

    def checks_account(self) -> bool:
        """Never: LAHAR has no call without an effect."""
        return False

    def check(self) -> None:
        """See that LAHAR's name resolves; nothing is asked."""
        self.api.resolve()

    def act(self, action: ax.Action) -> ax.Receipt:
        """Tell a conversion, or set a stage."""
        if action.kind not in self.actions:
            raise ax.SetupError(f"lahar has no action {action.kind!r}", hint=f"it has: {', '.join(self.actions)}")
        to = action.to.strip()
        if "@" not in to or len(to) > _LONGEST:
            raise ax.RecipientError(f"{to[:40]!r} is no e-mail address that LAHAR takes", hint="a lead is known by his e-mail address")
        body: dict[str, Any] = {"token_api_lahar": self.options.token.get_secret_value(), "email_contato": to}
        if action.kind == "stage":
            reply = self.api.put("leads", json={**body, "estagio_lead": _stage(action.fields.get("stage"))}, classify=False)
        else:
            reply = self.api.post("conversions", json={**body, **self._conversion(dict(action.fields))}, classify=False)
        _judge(self.api, reply)
        return ax.Receipt(id=reply.id_at("data", "id"))

    def _conversion(self, fields: dict[str, Any]) -> dict[str, Any]:
        form = str(fields.pop("form", None) or self.options.form or "")
        if not form:
            raise ax.SetupError("the conversion has no name", hint='write form = "…" in the action or the app')
        chosen = fields.pop("send", None)
        if chosen is not None:
            names = {str(name).strip() for name in (chosen if isinstance(chosen, list | tuple) else str(chosen).split(","))}
            if unknown := names - fields.keys():
                raise ax.SetupError(f"send names {min(unknown)!r}, which is no field of the action", hint=f"there are: {', '.join(fields)}")
            fields = {name: value for name, value in fields.items() if name in names}
        if not fields.get("origin") and self.options.origin:
            fields["origin"] = self.options.origin
        body: dict[str, Any] = {"nome_formulario": form}
        for name, value in fields.items():
            if value is None:
                continue
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            if name == "tags" and len(text) > _LONGEST:
                raise ax.ContentError(f"the tags have {len(text)} characters; LAHAR takes {_LONGEST}", hint="send fewer")
            body[_FIELDS.get(name, name)] = text
        return body


def _stage(named: Any) -> int:
    if (found := _STAGES.get(str(named).strip().casefold())) is None:
        raise ax.SetupError(f"LAHAR has no stage {named!r}", hint="it has lead, opportunity and client")
    return found


def _judge(client: ApiClient, reply: Reply) -> None:
    """Raise the error that a reply means: LAHAR may say ``erro`` with any HTTP status."""
    try:
        body = reply.json()
    except ValueError:
        body = None
    if 200 <= reply.status < 300:
        if not isinstance(body, Mapping):
            raise ax.OutcomeUnknown(
                "LAHAR answered something that says neither yes nor no; it may have been done",
                hint="look there: automate errors sent if it has it, automate errors retry if it has not",
            )
        if str(body.get("status", "")).casefold() not in {"erro", "error"}:
            return
    plain = client.refusal(reply)
    if not 200 <= reply.status < 300 and not isinstance(plain, ax.ContentError | ax.SetupError):
        raise plain
    code = reply.id_at("data", "error", "code") or ""
    told = (reply.id_at("data", "error", "message") or "").casefold()
    if "token" in told or code in {"401", "403"}:
        raise plain.recast(ax.AccountError, hint="LAHAR refuses the token: copy it anew and set token", code=code)
    if "mail" in told or "lead n" in told or "contato n" in told:
        raise plain.recast(ax.RecipientError, hint="correct the e-mail address, or leave this lead out", code=code)
    if code == "429":
        raise plain.recast(ax.RateLimited, code=code)
    raise plain.recast(ax.ContentError if 200 <= reply.status < 300 else type(plain), code=code)


@ax.hookimpl
def automate_connectors() -> Iterable[type[ax.Connector[Any]]]:
    """The connector of this package."""
    return [Lahar]

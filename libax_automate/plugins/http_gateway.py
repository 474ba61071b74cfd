"""The ``http`` sender: any SMS, WhatsApp or e-mail service with an HTTP API, described in the profile instead of in code."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from libax_automate.connector import Capability, Connector, Sender
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    OutcomeUnknown,
    RecipientError,
    SetupError,
    TemplateError,
)
from libax_automate.hookspecs import hookimpl
from libax_automate.message import Channel, Email, Message, Receipt
from libax_automate.options import Options, Referred, Secret

if TYPE_CHECKING:
    from libax_automate.http import ApiClient, Reply
    from libax_automate.template import Expression, Sandbox

#: what a template may ask of a message, and what it finds where that message has no such thing
_FIELDS: Mapping[str, Any] = {
    "id": "",
    "key": "",
    "to": "",
    "channel": "",
    "person": "",
    "sent_at": None,
    "name": "",
    "sender": None,
    "subject": "",
    "text": "",
    "html": None,
    "reply_to": None,
    "cc": (),
    "bcc": (),
    "headers": {},
    "template": None,
    "language": "",
    "params": {},
    "vars": (),
    "extra": {},
}
_WHOLE = re.compile(r"\s*\{\{-?((?:(?!\{\{|\}\}).)*?)-?\}\}\s*", re.DOTALL)
_FIELD = re.compile(r"\s*message\.([a-z_]+)\s*")
_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

#: makes a request's value from the fields of one message
_Make: TypeAlias = Callable[[Mapping[str, Any]], Any]


def _span(value: Any) -> Any:
    if isinstance(value, str):
        found = _SPAN.fullmatch(value.strip().lower())
        if found is None:
            raise ValueError("write a span of time as a number and s, m, h, d or w, such as 24h")
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    return value


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class HttpOptions(Options):
    """How the gateway's API is called, and how its answers are read."""

    url: str | Secret = Field(repr=False, description="the address of the API's send call; https, unless allow_private covers the server")
    method: Literal["POST", "PUT", "PATCH", "GET"] = Field("POST", description="the HTTP method")
    headers: dict[str, str | Secret] = Field(
        default_factory=dict, repr=False, description='headers of every request; keys as { env = "NAME" }; values may hold {{ message.… }}'
    )
    body_json: dict[str, Any] | list[Any] | None = Field(
        None,
        alias="json",
        repr=False,
        description="the JSON body; texts in it are templates over message.…, a lone {{ … }} keeps lists and null",
    )
    form: dict[str, Any] | None = Field(None, repr=False, description="the body as URL-encoded form fields, templates as in json")
    query: dict[str, Any] | None = Field(None, repr=False, description="query parameters, templates as in json")
    channels: Annotated[tuple[Literal["email", "sms", "whatsapp"], ...], BeforeValidator(_one_or_more)] = Field(
        ("sms",), min_length=1, description="what it carries"
    )
    sender: str | None = Field(None, description="message.sender where the model names none")
    success: str | None = Field(
        None, description="an expression over status, body and headers that is true when the message was taken; without it any 2xx"
    )
    recipient_error: str | None = Field(
        None, description="an expression that is true when this recipient is refused; without it 400, 404 and 422"
    )
    account_error: str | None = Field(
        None, description="an expression that is true when the account is refused (key, balance); without it 401, 402 and 403"
    )
    id: str | None = Field(None, description="where the reply holds the gateway's own id, such as data.0.id")
    idempotency_header: str | None = Field(None, description="the header by which the gateway tells a repeated send, if it has one")
    idempotency_ttl: Annotated[timedelta, BeforeValidator(_span)] = Field(
        timedelta(hours=24), description="how long the gateway remembers that header's value, such as 24h"
    )
    probe: str | None = Field(None, description="an address that answers 2xx to a GET with the same headers while the account works")
    timeout: float = Field(30.0, ge=1, le=60, description="seconds to wait for an answer")
    plain_http: bool = Field(default=False, description="allow http:// to a public address; keys and numbers then travel in the clear")
    ca_file: str | None = Field(None, description="a PEM file of further certificate authorities, relative to the profile")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body_json is not None and self.form is not None:
            raise ValueError("json and form are both given: a request has one body")
        if self.body_json is None and self.form is None and self.query is None:
            raise ValueError("nothing says what to send: give json, form or query")
        return self


class HttpGateway(Sender[HttpOptions, Message]):
    """One request per message, made from the profile's templates; the reply is judged by its expressions, else by its status."""

    name = "http"
    title = "Any SMS, WhatsApp or e-mail gateway with an HTTP API"
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.EMAIL, Capability.SMS, Capability.WHATSAPP, Capability.IDEMPOTENCY_KEY}
    )
    credentials = (
        "Look in the gateway's documentation for its *send* call: the address (`url`), the header or field that carries your key, and the"
        " names of number and text. Create the key in the gateway's own panel, keep it outside the profile, and name it:\n\n"
        "```toml\n"
        "[apps.gateway]\n"
        'connector = "http"\n'
        'url = "https://sms.example.com/v1/messages"\n'
        'headers = { X-Api-Key = { env = "SMS_KEY" } }\n'
        'json = { to = "{{ message.to }}", text = "{{ message.text }}" }\n'
        'id = "id"\n'
        "```\n"
    )
    limits = "Whatever the gateway documents: set rate and concurrency."

    _client: ApiClient | None = None

    def open(self) -> None:
        """Compile every template and expression, prepare the client. Raises SetupError naming the option that is wrong."""
        from libax_automate.http import ApiClient
        from libax_automate.template import Sandbox

        if self._client is not None:
            return
        options, place = self.options, self.place
        sandbox = Sandbox(place.locale, place.timezone, allow_empty=True)
        self._used: set[str] = set()
        fixed: dict[str, str | Secret] = {}
        self._headers: dict[str, _Make] = {}
        for name, value in options.headers.items():
            if isinstance(value, str) and _is_template(value):
                self._headers[name] = self._make(value, sandbox, f"headers.{name}", text=True)
            else:
                fixed[name] = value
        if options.idempotency_header:
            self._used.add("key")
        self._json = self._body("json", options.body_json, sandbox)
        self._form = self._body("form", options.form, sandbox)
        self._query = self._body("query", options.query, sandbox)
        self._success, self._recipient, self._account = (
            self._expression(option, getattr(options, option), sandbox) for option in ("success", "recipient_error", "account_error")
        )
        self._wanted = tuple((name, _FIELDS[name]) for name in sorted(self._used))
        self._reads = bool(options.id or self._success or self._recipient or self._account)
        self._id = tuple(options.id.split(".")) if options.id else ()
        self._fixed = fixed
        self._client = self._connect(ApiClient, options.url)

    def close(self) -> None:
        """Close the client; safe twice."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def offers(self) -> frozenset[Capability]:
        """The channels it is configured for, and the key where a header carries it."""
        offered = {Capability(channel) for channel in self.options.channels}
        if self.options.idempotency_header:
            offered.add(Capability.IDEMPOTENCY_KEY)
        return frozenset(offered)

    def key_ttl(self) -> timedelta | None:
        """``idempotency_ttl`` where ``idempotency_header`` is set."""
        return self.options.idempotency_ttl if self.options.idempotency_header else None

    def checks_account(self) -> bool:
        """Only with a ``probe``: without one nothing but a send would tell."""
        return self.options.probe is not None

    def secrets(self) -> Sequence[str]:
        """What stands under a name that sounds like a credential, in headers, body and query, however it was written."""
        options = self.options
        from libax_automate.http import sounds_secret

        return _secrets_in(
            sounds_secret, {"headers": options.headers, "json": options.body_json, "form": options.form, "query": options.query}
        )

    def check(self) -> None:
        """Ask ``probe``; without one, see that the gateway's name resolves to an address that requests may go to."""
        from libax_automate.http import ApiClient

        self.open()
        assert self._client is not None
        if self.options.probe is None:
            self._client.resolve()
            return
        with self._connect(ApiClient, self.options.probe) as client:
            client.get(safe=True)

    def send(self, message: Message) -> Receipt:
        """Send one request for ``message``; the class of the error says what the gateway meant."""
        if self._client is None:
            self.open()
        client = self._client
        assert client is not None
        if message.channel not in self.options.channels:
            raise SetupError(f"this app carries {', '.join(self.options.channels)}, not {message.channel}", hint="extend its channels")
        if isinstance(message, Email) and message.attachments:
            raise ContentError("the http connector carries no attachments", hint="send this model through smtp, or without attachments")
        fields = self._fields(message)
        try:
            headers = {name: str(make(fields)) for name, make in self._headers.items()}
            json = self._json(fields) if self._json else None
            form = self._form(fields) if self._form else None
            query = self._query(fields) if self._query else None
        except TemplateError as error:
            raise ContentError(f"the request cannot be made: {error.message}", hint=error.hint) from None
        if self.options.idempotency_header:
            headers[self.options.idempotency_header] = message.key
        method = self.options.method
        reply = client.request(method, json=json, form=form, query=query, headers=headers, classify=False)
        return self._judge(client, reply)

    def _judge(self, client: ApiClient, reply: Reply) -> Receipt:
        status = reply.status
        method = self.options.method
        taken = 200 <= status < 300
        body: Any = None
        if self._reads:
            try:
                body = reply.json()
            except ValueError:
                body = reply.text
        if 300 <= status < 400:
            raise client.refusal(reply, method)
        if self._success or self._recipient or self._account:
            seen = {"status": status, "body": body, "headers": dict(reply.headers)}
            if _holds(self._account, seen):
                raise _as(AccountError, client.refusal(reply, method), "check the key and the balance; then automate errors retry")
            if _holds(self._recipient, seen):
                raise _as(RecipientError, client.refusal(reply, method))
            if self._success is not None:
                verdict = _holds(self._success, seen)
                if verdict is None and taken:
                    raise _as(OutcomeUnknown, client.refusal(reply, method), "success cannot be told from this reply: adapt the expression")
                if verdict is False and taken:
                    hint = "if it means the recipient or the account, say so in recipient_error or account_error"
                    raise _as(ContentError, client.refusal(reply, method), hint)
                taken = bool(verdict)
        if taken:
            return Receipt(id=_at(body, self._id) if self._id else None)
        refusal = client.refusal(reply, method)
        if status in {400, 404, 422} and self._recipient is None:
            raise _as(RecipientError, refusal)
        if status in {401, 402, 403} and self._account is not None:
            raise _as(SetupError, refusal, "account_error is not true of it: check the options of the app")
        raise refusal

    def _fields(self, message: Message) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, otherwise in self._wanted:
            value = getattr(message, name, otherwise)
            fields[name] = value if value.__class__ is str else _plain(value)
        if fields.get("sender", "") is None:
            fields["sender"] = self.options.sender
        return fields

    def _connect(self, kind: type[ApiClient], url: str | Secret) -> ApiClient:
        options = self.options
        return kind(
            # a reference in the profile arrives as plain text, so any URL may hold a token
            url if isinstance(url, Secret) else Secret(url),
            headers=self._fixed,
            timeout=options.timeout,
            allow_private=self.place.allow_private,
            plain_http=options.plain_http,
            ca_file=self.place.folder / Path(options.ca_file) if options.ca_file else None,
            secrets=self.secrets(),
        )

    def _body(self, option: str, value: Any, sandbox: Sandbox) -> _Make | None:
        return None if value is None else self._make(value, sandbox, option)

    def _make(self, value: Any, sandbox: Sandbox, where: str, *, text: bool = False) -> _Make:
        """Compile ``value``, however deep; what holds no template is made once and shared."""
        if isinstance(value, Secret):
            return _constant(value.get_secret_value())
        if isinstance(value, dict):
            parts = {key: self._make(item, sandbox, f"{where}.{key}") for key, item in value.items()}
            return lambda fields: {key: make(fields) for key, make in parts.items()}
        if isinstance(value, list):
            makes = [self._make(item, sandbox, f"{where}.{index}") for index, item in enumerate(value)]
            return lambda fields: [make(fields) for make in makes]
        if not isinstance(value, str) or not _is_template(value):
            return _constant(value)
        whole = None if text else _WHOLE.fullmatch(value)
        if whole and (field := _FIELD.fullmatch(whole[1])) and field[1] in _FIELDS:
            name = field[1]
            self._used.add(name)
            return lambda fields: fields[name]
        try:
            if whole:
                expression = sandbox.expression(whole[1].strip())
                self._uses(expression.fields, where)
                return lambda fields: _plain(expression.evaluate({"message": fields}))
            template = sandbox.template(value)
        except TemplateError as error:
            raise SetupError(f"{where}: {error.message}", hint=error.hint or "see the template reference") from None
        self._uses(template.fields, where)
        return lambda fields: template.render({"message": fields})

    def _uses(self, names: Iterable[str], where: str) -> None:
        for name in names:
            root, _, rest = name.partition(".")
            field = rest.partition(".")[0]
            if root == "message" and not field:
                self._used.update(_FIELDS)
            elif root == "message" and field in _FIELDS:
                self._used.add(field)
            else:
                near = difflib.get_close_matches(field or root, _FIELDS, 1)
                hint = f"did you mean message.{near[0]}?" if near else f"there are message.{', message.'.join(_FIELDS)}"
                raise SetupError(f"{where}: unknown field {name!r}", hint=hint)

    def _expression(self, option: str, source: str | None, sandbox: Sandbox) -> Expression | None:
        if source is None:
            return None
        try:
            compiled = sandbox.expression(source)
        except TemplateError as error:
            raise SetupError(f"{option}: {error.message}", hint=error.hint or "write it like status == 200 and body.error == 0") from None
        for name in sorted(compiled.fields):
            if name.partition(".")[0] not in {"status", "body", "headers"}:
                raise SetupError(f"{option}: unknown field {name!r}", hint="a reply has status, body and headers")
        return compiled


def _is_template(text: str) -> bool:
    # what a reference led to may hold any characters, and is no text of the profile's author
    return ("{{" in text or "{%" in text) and not isinstance(text, Referred)


def _constant(value: Any) -> _Make:
    return lambda _: value


def _plain(value: Any) -> Any:
    """``value`` as JSON has it."""
    if value is None or type(value) in {str, int, float, bool}:
        return value
    if isinstance(value, Channel):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [_plain(item) for item in value]
    return value


def _secrets_in(sounds: Callable[[str], bool], value: Any, *, named: bool = False) -> list[str]:
    if isinstance(value, Secret):
        return [value.get_secret_value()]
    if isinstance(value, str):
        return [value] if named and not _is_template(value) else []
    if isinstance(value, dict):
        pairs = [(named or sounds(str(key)), item) for key, item in value.items()]
    else:
        pairs = [(named, item) for item in value] if isinstance(value, list) else []
    return [secret for inherited, item in pairs for secret in _secrets_in(sounds, item, named=inherited)]


def _holds(expression: Expression | None, seen: Mapping[str, Any]) -> bool | None:
    """Whether it is true of a reply; None where the reply lacks what it asks for."""
    if expression is None:
        return None
    try:
        return bool(expression.evaluate(seen))
    except TemplateError:
        return None


def _as(kind: type[ConnectorError], told: ConnectorError, hint: str = "") -> ConnectorError:
    """The same refusal under another class."""
    error = kind(told.message, hint=hint)
    error.status, error.body = told.status, told.body
    return error


def _at(body: Any, path: Sequence[str]) -> str | None:
    for key in path:
        if isinstance(body, dict):
            body = body.get(key)
        elif isinstance(body, list) and key.isdecimal() and int(key) < len(body):
            body = body[int(key)]
        else:
            return None
    return str(body) if isinstance(body, (str, int)) and not isinstance(body, bool) else None


@hookimpl
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The ``http`` connector."""
    return [HttpGateway]

"""``ApiClient``: blocking HTTP calls to one vendor, one request per call, our error classes out.

It never retries, never follows a redirect, never uses a proxy of the environment, goes only where
``libax_automate.address`` lets it, and lets no secret it knows into a message.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias
from urllib.parse import quote, quote_plus, urlencode

from libax_automate._engines import choose
from libax_automate._json import dumps
from libax_automate.address import Pin, Resolve, place, system_resolve
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    OutcomeUnknown,
    RateLimited,
    SetupError,
    Transient,
)
from libax_automate.options import Secret
from libax_automate.reply import Reply, UnreadableReply, retry_after
from libax_automate.transport import InDoubt, NotSent, Settings, Transport

__all__ = ["ApiClient", "Params", "Reply", "UnreadableReply", "retry_after", "sounds_secret"]

#: query or form values: None is left out, a list repeats its key
Params: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]

#: characters of a reply kept on an error
_KEPT = 2048

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a header's name, RFC 9110 §5.6.2
_JSON = ("Content-Type", "application/json")
_FORM = ("Content-Type", "application/x-www-form-urlencoded")
#: names under which credentials go
_CREDENTIAL = re.compile(r"auth|key|token|secret|passw|pwd|senha|cookie|credential", re.IGNORECASE)
#: a constructor header's value of so many characters is taken for a secret whatever its name
_TELLTALE = 12
#: but for these
_OPEN = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language", "content-type", "user-agent"})
_SUCCESS = range(200, 300)


def sounds_secret(name: str) -> bool:
    """Whether ``name`` (of a header, a field) is one that credentials go by."""
    return _CREDENTIAL.search(name) is not None


class ApiClient:
    """Calls to one vendor under one base URL. Connections are reused; one client serves many threads.

    Times are in seconds: ``timeout`` bounds each wait for the other side, ``total_timeout`` the whole call, a reply that
    drips in byte by byte included. ``headers`` and ``query`` go with every request; ``auth`` is a user name and password
    for HTTP Basic. Replies are read up to ``max_body`` bytes. Values that are ``Secret``, ``headers`` that sound
    or look like credentials, and what ``secrets`` names are replaced by ``***`` in every message.

    ``allow_private`` opens address ranges (``Place.allow_private``); ``plain_http`` allows http:// to public addresses;
    ``ca_file`` names a PEM file of further certificate authorities. ``server_errors_not_processed`` is True where the
    vendor documents that a 5xx means that nothing was done. ``transport`` is ``"httptools"``, ``"pyreqwest"`` or ``"httpx"``; without it
    ``AUTOMATE_HTTP`` decides, else the fastest that is installed.
    """

    def __init__(
        self,
        base_url: str | Secret,
        *,
        headers: Mapping[str, str | Secret] | None = None,
        query: Params | None = None,
        auth: tuple[str | Secret, str | Secret] | None = None,
        timeout: float = 30.0,
        total_timeout: float = 60.0,
        allow_private: Iterable[str] = (),
        plain_http: bool = False,
        ca_file: Path | None = None,
        secrets: Iterable[str | Secret] = (),
        transport: str | Callable[[Settings], Transport] | None = None,
        max_body: int = 1 << 20,
        user_agent: str = "libax-automate",
        server_errors_not_processed: bool = False,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._secrets = {_open(secret) for secret in secrets}
        where = place(self._learn(base_url))
        if isinstance(base_url, Secret):
            # a vendor's error page may quote the path it was asked for
            self._secrets.update(part for part in (where.path, *re.split("[&=]", where.query)) if len(part) > 8)
        fixed = {"User-Agent": user_agent, "Accept": "application/json, */*;q=0.5", "Accept-Encoding": "identity"}
        for name, value in (headers or {}).items():
            text = self._learn(value)
            _check_header(name, text)
            fixed = {key: kept for key, kept in fixed.items() if key.lower() != name.lower()}
            fixed[name] = text
            if sounds_secret(name) or (len(text) >= _TELLTALE and name.lower() not in _OPEN):
                self._secrets.update((text, text.rpartition(" ")[2]))
        if auth is not None:
            pair = f"{_open(auth[0])}:{_open(auth[1])}"
            token = base64.b64encode(pair.encode()).decode("ascii")
            fixed["Authorization"] = f"Basic {token}"
            self._secrets.update((pair, token, _open(auth[1])))
        self._host = where.host
        #: the caller said himself what every body is
        self._typed = any(name.lower() == "content-type" for name in fixed)
        self._origin = where.origin
        self._path = _quoted(where.path)
        self._query = "&".join(part for part in (_quoted(where.query), _urlencoded(query)) if part)
        self._pin = Pin(where, allow_private, plain_http=plain_http, resolve=resolve)
        self._make = transport if callable(transport) else choose(transport)
        self._settings: Callable[[str], Settings] = lambda address: Settings(
            place=where,
            address=address,
            headers=tuple(fixed.items()),
            connect_timeout=min(10.0, timeout / 2, total_timeout / 2),
            timeout=min(timeout, total_timeout),
            total_timeout=total_timeout,
            max_body=max_body,
            ca_file=ca_file,
        )
        self._max_body = max_body
        self._not_processed = server_errors_not_processed
        self._targets: dict[str, str] = {}
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._address = ""
        self._closed = False
        self._veil: re.Pattern[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ApiClient {self._host}>"

    def close(self) -> None:
        """Let go of every connection; safe twice. A request after it raises Transient."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    def resolve(self) -> str:
        """The checked address that requests go to; sends nothing. Raises SetupError or Transient as a request would."""
        return self._pin.address()

    def get(self, path: str = "", **options: Any) -> Reply:
        """``request("GET", …)``."""
        return self.request("GET", path, **options)

    def post(self, path: str = "", **options: Any) -> Reply:
        """``request("POST", …)``."""
        return self.request("POST", path, **options)

    def put(self, path: str = "", **options: Any) -> Reply:
        """``request("PUT", …)``."""
        return self.request("PUT", path, **options)

    def patch(self, path: str = "", **options: Any) -> Reply:
        """``request("PATCH", …)``."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str = "", **options: Any) -> Reply:
        """``request("DELETE", …)``."""
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str = "",
        *,
        json: Any = None,
        form: Params | None = None,
        query: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        ok: Container[int] = _SUCCESS,
        classify: bool = True,
        safe: bool = False,
    ) -> Reply:
        """Send one request under the base URL and answer its reply; raises the ConnectorError that its end means.

        ``path`` may also be a full URL of the same origin (a vendor's "next page" link). At most one of ``json``, ``form``
        and ``content`` is the body, whatever the method. ``ok`` holds the statuses that are no refusal; with
        ``classify=False`` every status is answered, and :meth:`refusal` says later what it means. ``safe=True`` is for
        reads: what is in doubt is then merely Transient, for asking again doubles nothing.

        Raises Transient when nothing was sent, OutcomeUnknown when something was and no whole reply came back. Errors for
        a status carry it as ``error.status``, and the beginning of the reply, redacted, as ``error.body``.
        """
        sent: list[tuple[str, str]] = []
        body = content or b""
        if json is not None:
            body = dumps(json).encode("utf-8")
            if not self._typed:
                sent.append(_JSON)
        elif form is not None:
            body = _urlencoded(form).encode("ascii")
            if not self._typed:
                sent.append(_FORM)
        if headers:
            for name, value in headers.items():
                _check_header(name, value)
            if sent and any(name.lower() == "content-type" for name in headers):
                sent.clear()
            sent.extend(headers.items())
        target = self._targets.get(path) or self._target(path)
        if query is not None and (more := _urlencoded(query)):
            target += ("&" if "?" in target else "?") + more

        address = self._pin.address()
        transport = self._transport
        if transport is None or address != self._address:
            transport = self._aimed(address)
        try:
            answer = transport.send(method, target, sent, body)
        except NotSent as error:
            self._pin.failed(address)
            failure: ConnectorError = Transient(self._redacted(f"{method} {self._host}: not sent: {error}"))
        except InDoubt as error:
            failure = self._unknown(f"{method} {self._host}: {error}", safe=safe)
        else:
            status = answer.status
            if answer.broken and status < 400:
                failure = self._unknown(f"{method} {self._host}: HTTP {status}, then {answer.broken}", safe=safe)
            else:
                reply = Reply(answer, self._max_body)
                if not classify or status in ok:
                    return reply
                failure = self.refusal(reply, method, safe=safe)
        raise failure

    def refusal(self, reply: Reply, method: str = "", *, safe: bool = False) -> ConnectorError:
        """The error that a reply's status means, to be raised by the caller; a connector that knows better raises another class.

        ==================== ============================ =================================================
        429                  RateLimited                  with the Retry-After it gives, if any
        503                  RateLimited                  with a Retry-After; without one Transient
        408, 425             Transient
        other 5xx            OutcomeUnknown               Transient when ``safe`` or declared not processed
        501, 505             SetupError
        401, 402, 403        AccountError
        400, 422, other 4xx  ContentError                 413, 414, 431: too large
        404, 405, 410 …      SetupError                   also 406, 407, 415, 421, 426, and every 3xx and 1xx
        ==================== ============================ =================================================
        """
        status = reply.status
        excerpt = self._excerpt(reply)
        what = self._redacted(" ".join(filter(None, (method, f"{self._host}: HTTP {status}"))) + (f": {excerpt[:300]}" if excerpt else ""))
        wait = retry_after(reply.headers.get("retry-after")) if status in {429, 503} else None
        error: ConnectorError
        if status == 429 or (status == 503 and wait is not None):
            error = RateLimited(what, retry_after=wait)
        elif status in {408, 425, 503} or (status >= 500 and status not in {501, 505} and (safe or self._not_processed)):
            error = Transient(what)
        elif status in {501, 505}:
            error = SetupError(what, hint="the server cannot do this: check the URL and the method")
        elif status >= 500:
            error = self._unknown(what, safe=False)
        elif status in {401, 402, 403}:
            error = AccountError(what, hint="check the key, its rights and the balance; then automate errors retry")
        elif status in {404, 405, 406, 407, 410, 415, 421, 426}:
            error = SetupError(what, hint="check the URL and the options of the app")
        elif status >= 400:
            error = ContentError(what)
        elif 300 <= status < 400:
            error = SetupError(f"{what}{self._redirect(reply)}", hint="redirects are not followed: write the final address as the URL")
        else:
            error = SetupError(what, hint="check the URL of the app")
        error.status = status
        error.body = excerpt
        return error

    def redacted(self, text: str) -> str:
        """``text`` with every secret that this client knows as ``***``: for what a connector quotes of a reply's words."""
        return self._redacted(text)

    def _learn(self, value: str | Secret) -> str:
        text = _open(value)
        if isinstance(value, Secret):
            self._secrets.add(text)
        return text

    def _aimed(self, address: str) -> Transport:
        with self._lock:
            if self._transport is None:
                self._transport = self._make(self._settings(address))
                if self._closed:
                    self._transport.close()
            elif address != self._address:
                self._transport.aim(address)
            self._address = address
            return self._transport

    def _target(self, path: str) -> str:
        if re.match(r"https?://", path, re.IGNORECASE):
            where = place(path)
            if where.origin != self._origin:
                raise SetupError(
                    f"{self._host} refers to another server, {where.host}", hint="requests stay with the server of the app's URL"
                )
            whole, query = _quoted(where.path) or "/", where.query
        else:
            own, _, query = path.partition("?")
            whole = f"{self._path.rstrip('/')}/{_quoted(own.lstrip('/'))}" if own else self._path or "/"
        if ("." in whole or "%2" in whole) and any(part.lower().replace("%2e", ".") in {".", ".."} for part in whole.split("/")):
            raise ContentError(f"{self._host}: a path may not hold . or .. as a part", hint="is an id empty, or not what it should be?")
        query = "&".join(part for part in (self._query, _quoted(query)) if part)
        target = f"{whole}?{query}" if query else whole
        if len(self._targets) > 512:
            self._targets.clear()
        self._targets[path] = target
        return target

    def _unknown(self, what: str, *, safe: bool) -> ConnectorError:
        if safe:
            return Transient(self._redacted(what))
        return OutcomeUnknown(
            self._redacted(f"{what}; it may have been accepted"),
            hint="look at the provider: automate errors sent if it has it, automate errors retry if it has not",
        )

    def _excerpt(self, reply: Reply) -> str:
        if "html" in (reply.headers.get("content-type") or "").lower():
            return ""
        # cut after redaction: a secret must not hide by being cut in two
        return " ".join(self._redacted(reply.text).split())[:_KEPT]

    def _redirect(self, reply: Reply) -> str:
        try:
            return f" (redirects to {place(reply.headers.get('location') or '').host})"
        except SetupError:
            return ""

    def _redacted(self, text: str) -> str:
        if self._veil is None:
            forms = {form for secret in self._secrets for form in _forms(secret) if len(secret) > 2}
            # the longest first: a secret may begin with another
            self._veil = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))) or r"(?!)")
        return self._veil.sub("***", text)


def _open(value: str | Secret) -> str:
    return value.get_secret_value() if isinstance(value, Secret) else value


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret may be written in a reply: plain, percent-encoded, and with the slashes that some JSON writers escape."""
    return secret, quote(secret, safe=""), quote_plus(secret), secret.replace("/", "\\/")


def _check_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ContentError("a header's name holds characters that no header may have", hint="use letters, digits and dashes")
    if not (value.isascii() and (value.isprintable())):
        raise ContentError(f"header {name}: its value holds a line break or characters beyond ASCII", hint="remove them")


def _quoted(text: str) -> str:
    return quote(text, safe="/%:@!$&'()*+,;=~?")


def _urlencoded(params: Params | None) -> str:
    if not params:
        return ""
    pairs: list[tuple[str, str]] = []
    for key, value in params.items() if isinstance(params, Mapping) else params:
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is None:
                continue
            pairs.append(
                (key, ("true" if one else "false") if isinstance(one, bool) else _open(one) if isinstance(one, Secret) else str(one))
            )
    return urlencode(pairs)

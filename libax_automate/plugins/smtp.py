"""The ``smtp`` sender: any mail server. It knows in which phase a line was lost, and says what that means."""

from __future__ import annotations

import re
import select
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from libax_automate import mime
from libax_automate.connector import Capability, Connector, Place, Sender
from libax_automate.errors import (
    AccountError,
    ConnectorError,
    ContentError,
    InvalidMessage,
    OutcomeUnknown,
    RateLimited,
    RecipientError,
    SetupError,
    Transient,
)
from libax_automate.hookspecs import hookimpl
from libax_automate.message import Email, Receipt, one_line
from libax_automate.options import Options, Secret

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
#: the Date of a message that says no moment of its own
_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
#: RFC 5321 §4.5.3.2.6 gives the server ten minutes to answer the final dot; giving up sooner makes doubts
_PATIENCE = 5

Phase = Literal["connect", "login", "sender", "recipient", "content"]


class SmtpOptions(Options):
    """Which server, how secured, and who sends."""

    host: str = Field(min_length=1, description="the mail server's name")
    port: int | None = Field(None, ge=1, le=65535, description="default: 587 for starttls, 465 for tls, 25 for none")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="starttls and tls refuse a line that is not secured")
    username: str | None = Field(None, description="login name; none where the server asks for no login")
    password: Secret | None = Field(None, description="the login's password")
    sender: str = Field(description="From: geral@example.com or Padaria <geral@example.com>")
    timeout: float = Field(60, gt=0, le=600, description="seconds to wait for an answer; five times that for the last one")
    ca_file: str | None = Field(None, description="authorities to trust (PEM), instead of the system's")

    @field_validator("sender")
    @classmethod
    def _is_mailbox(cls, value: str) -> str:
        try:
            one_line("sender", value)
            mime.mailbox(value)
        except InvalidMessage as error:
            raise ValueError(error.message) from None
        return value

    @model_validator(mode="after")
    def _keeps_the_password_safe(self) -> SmtpOptions:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: one of them is missing")
        if self.username is not None and self.security == "none" and not _is_loopback(self.host):
            raise ValueError('a login over a line without security would show the password: use security = "starttls" or "tls"')
        return self


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


class Smtp(Sender[SmtpOptions, Email]):
    """Hands each message to a mail server, over a line that is kept between messages.

    Up to the final dot every failure is provably "not sent"; after it only the server's answer counts, and a line lost then
    is OutcomeUnknown. A kept line that the server has closed meanwhile is noticed at MAIL FROM, and opened anew, once.
    A refused copy (CC, BCC) does not stop the person's own message; the receipt tells of it.
    """

    name = "smtp"
    title = "Any mail server: STARTTLS, TLS or a local one"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.EMAIL, Capability.ATTACHMENTS})
    credentials = (
        "Your mail provider's help names the SMTP server (often `smtp.` or `mail.` and your domain), the port and whether it wants "
        "STARTTLS (587) or TLS (465). The login is mostly the whole mail address. Accounts with two-step login need an *app password*, "
        "made in the account's security settings."
    )
    limits = "Set by the server; many allow a few hundred messages an hour and answer 421 or 451 4.7.x beyond it."
    default_concurrency: ClassVar[int] = 1

    def __init__(self, options: SmtpOptions, place: Place | None = None) -> None:
        super().__init__(options, place)
        self._lock = threading.Lock()
        self._idle: list[smtplib.SMTP] = []
        self._tls: ssl.SSLContext | None = None

    @classmethod
    def free_plan(cls, sender: str) -> SmtpOptions:
        """The machine's own mail server (LX-15): localhost, port 25, no login."""
        return SmtpOptions(host="localhost", port=25, security="none", sender=sender)

    @property
    def _server(self) -> str:
        return f"{self.options.host}:{self.options.port or _PORTS[self.options.security]}"

    def close(self) -> None:
        """Say goodbye on every kept line."""
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            _bye(line)

    def check(self) -> None:
        """The server answers, its certificate holds, the login works; nothing is sent."""
        _bye(self._connect())

    def send(self, message: Email) -> Receipt:
        """One message to its recipient and its copies, in one transaction."""
        sender = message.sender or self.options.sender
        try:
            own = mime.mailbox(message.to)[1]
        except InvalidMessage as error:
            raise RecipientError(error.message, hint=error.hint) from None
        try:
            author = mime.mailbox(sender)[1]
            copies = [mime.mailbox(copy)[1] for copy in (*message.cc, *message.bcc)]
            data = mime.build(message, sender=sender, date=message.sent_at or _NO_DATE)
        except InvalidMessage as error:
            raise ContentError(error.message, hint=error.hint) from None
        line, fresh = self._take()
        try:
            try:
                self._mail(line, author, own, copies, data)
            except (smtplib.SMTPServerDisconnected, RateLimited, OSError):
                # nothing of this message has left: a kept line that went stale may be opened anew
                if fresh:
                    raise
                _drop(line)
                line = self._connect()
                self._mail(line, author, own, copies, data)
            refused = self._recipients(line, own, copies)
            receipt = self._data(line, data, refused, message)
        except ConnectorError:
            self._settle(line)
            raise
        except (smtplib.SMTPException, OSError) as error:
            _drop(line)
            raise Transient(f"{self._server} dropped the line before the message was handed over: {_said(error)}") from None
        except BaseException:
            _drop(line)
            raise
        self._give(line)
        return receipt

    # --- phases ----------------------------------------------------------------------------------------------------

    def _connect(self) -> smtplib.SMTP:
        options = self.options
        port = options.port or _PORTS[options.security]
        line: smtplib.SMTP | None = None
        try:
            # a name given here keeps smtplib from asking DNS for ours
            if options.security == "tls":
                line = smtplib.SMTP_SSL(options.host, port, "localhost", timeout=options.timeout, context=self._context())
            else:
                line = smtplib.SMTP(options.host, port, "localhost", timeout=options.timeout)
            assert line.sock is not None
            # the final dot is a packet of its own, and must not wait for an acknowledgement (Nagle)
            line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.local_hostname = _own_name(line.sock)
            self._expect(line.ehlo(), "connect")
            if options.security == "starttls":
                if not line.has_extn("starttls"):
                    raise SetupError(
                        f"{self._server} offers no STARTTLS", hint='use security = "tls" and its port (465), or ask the provider'
                    )
                self._expect(line.starttls(context=self._context()), "connect")
                self._expect(line.ehlo(), "connect")
            if options.username is not None and options.password is not None:
                line.login(options.username, options.password.get_secret_value())
            return line
        except BaseException as error:
            if line is not None:
                _drop(line)
            raise self._connect_failure(error) from None

    def _connect_failure(self, error: BaseException) -> BaseException:
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return self._verdict(error.smtp_code, _text(error.smtp_error), "login")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return SetupError(
                f"{self._server} takes no login on this line: {error}", hint="check host, port and security, or leave out username"
            )
        if isinstance(error, smtplib.SMTPResponseException):
            return self._verdict(error.smtp_code, _text(error.smtp_error), "connect")
        if isinstance(error, ssl.SSLCertVerificationError):
            return Transient(
                f"{self._server} has no certificate to trust: {error.verify_message}",
                hint="check host (it must be the name in the certificate); for a private authority set ca_file",
            )
        if isinstance(error, ssl.SSLError):
            return Transient(
                f"{self._server} and this machine agree on no TLS: {error.reason or error}",
                hint="check port and security: 587 is starttls, 465 is tls",
            )
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return Transient(
                f"{self._server} dropped the line before it took a message", hint="check port and security: 587 is starttls, 465 is tls"
            )
        if isinstance(error, smtplib.SMTPException):
            return SetupError(f"{self._server} cannot be used: {error}", hint="check host, port and security")
        if isinstance(error, OSError):
            return Transient(
                f"{self._server} cannot be reached: {_said(error)}", hint="check host and port, and that this machine may reach it"
            )
        return error

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            path = self.place.folder / self.options.ca_file if self.options.ca_file else None
            try:
                self._tls = ssl.create_default_context(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise SetupError(f"ca_file {self.options.ca_file!r} cannot be used: {_said(error)}", hint="name a PEM file") from None
        return self._tls

    def _mail(self, line: smtplib.SMTP, author: str, own: str, copies: list[str], data: bytes) -> None:
        parameters = []
        if not all(address.isascii() for address in (author, own, *copies)):
            if not line.has_extn("smtputf8"):
                raise RecipientError(f"{self._server} takes no address with letters beyond ASCII (SMTPUTF8)", hint="use another address")
            parameters += ["SMTPUTF8", "BODY=8BITMIME"]
        if line.has_extn("size"):
            limit = line.esmtp_features["size"]
            if limit.isdigit() and 0 < int(limit) < len(data):
                raise ContentError(
                    f"the message has {len(data):,} bytes, and {self._server} takes {int(limit):,}", hint="send smaller attachments"
                )
            parameters.append(f"SIZE={len(data)}")
        line.command_encoding = "utf-8" if "SMTPUTF8" in parameters else "ascii"
        self._expect(line.docmd("MAIL", " ".join([f"FROM:<{author}>", *parameters])), "sender")

    def _recipients(self, line: smtplib.SMTP, own: str, copies: list[str]) -> list[str]:
        """Name the recipients; answers what was said of each refused copy."""
        self._expect(line.docmd("RCPT", f"TO:<{own}>"), "recipient")
        refused = []
        for copy in dict.fromkeys(copies):
            if copy == own:
                continue
            code, reply = line.docmd("RCPT", f"TO:<{copy}>")
            if code == 421:
                self._expect((code, reply), "recipient")
            if not 200 <= code < 300:
                refused.append(f"copy to {copy} refused: {code} {_text(reply)}")
        return refused

    def _data(self, line: smtplib.SMTP, data: bytes, refused: list[str], message: Email) -> Receipt:
        code, reply = line.docmd("DATA")
        if code != 354:
            self._expect((code, reply), "content")
            raise Transient(f"{self._server} did not ask for the text: {code} {_text(reply)}")
        line.send(_stuffed(data))
        sock = line.sock
        assert sock is not None
        if _has_spoken(sock):
            # a word, or the end, before the final dot: whatever it is, the message was not taken
            answer = line.getreply()
            _drop(line)  # the server may still take what comes for text
            self._expect(answer, "content")
            raise Transient(f"{self._server} answered before it had the whole message")
        line.send(b".\r\n")
        sock.settimeout(self.options.timeout * _PATIENCE)
        try:
            code, reply = line.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise OutcomeUnknown(
                f"{self._server} fell silent after the whole message had been sent: {_said(error)}",
                hint="look into the mailbox or the server's log",
            ) from None
        if not 200 <= code < 300:
            if 400 <= code < 600:
                raise self._verdict(code, _text(reply), "content")
            raise OutcomeUnknown(f"{self._server} answered the message with {code} {_text(reply)}", hint="look into the server's log")
        sock.settimeout(self.options.timeout)
        domain = mime.mailbox(message.sender or self.options.sender)[1].rpartition("@")[2]
        return Receipt(id=mime.message_id(message, domain)[1:-1], detail="; ".join([_text(reply), *refused]))

    def _expect(self, answer: tuple[int, bytes], phase: Phase) -> None:
        code, reply = answer
        if not 200 <= code < 300:
            raise self._verdict(code, _text(reply), phase)

    def _verdict(self, code: int, reply: str, phase: Phase) -> ConnectorError:
        """What a refusal means (``engine.md``): by its code, its enhanced code (RFC 3463) and the phase it came in."""
        found = _ENHANCED.search(reply)
        detail = found[0][2:] if found else ""
        text = f"{self._server} says: {code} {reply}"
        shown = f"{code} {found[0]}" if found else str(code)
        if code == 421 or (code == 451 and detail.startswith("7.")):
            return RateLimited(text, code=shown)
        if not 500 <= code < 600:
            return Transient(text, code=shown)
        if code in {530, 534, 535, 538} or phase in {"connect", "login"}:
            return AccountError(text, hint="check username and password, and that the account may send", code=shown)
        if detail == "3.4" or (code == 552 and detail != "2.2"):
            return ContentError(text, hint="send smaller attachments", code=shown)
        if phase == "sender":
            return SetupError(text, hint="set a sender that this account may use", code=shown)
        if phase == "recipient":
            if "relay" in reply.lower():
                return AccountError(text, hint="the server sends only for those who log in: set username and password", code=shown)
            if code == 554 and detail.startswith("7."):
                return AccountError(text, hint="the server refuses us, not this recipient: ask its operator", code=shown)
            if code in {500, 502, 503, 504}:
                return SetupError(text, hint="the server does not understand this client: ask its operator", code=shown)
            return RecipientError(text, hint="correct the address", code=shown)
        if detail.startswith(("1.", "2.")):
            return RecipientError(text, hint="correct the address", code=shown)
        return ContentError(text, hint="the server refuses what the message holds or who sends it: read its reply", code=shown)

    # --- lines -----------------------------------------------------------------------------------------------------

    def _take(self) -> tuple[smtplib.SMTP, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        return self._connect(), True

    def _give(self, line: smtplib.SMTP) -> None:
        with self._lock:
            self._idle.append(line)

    def _settle(self, line: smtplib.SMTP) -> None:
        """After a refusal: the line is reset and kept, or let go where it cannot be."""
        try:
            if line.sock is not None and line.rset()[0] == 250:
                self._give(line)
                return
        except (smtplib.SMTPException, OSError):
            pass
        _drop(line)


def _stuffed(data: bytes) -> bytes:
    """RFC 5321 §4.5.2: a dot that starts a line is doubled."""
    if b"\n." in data or data.startswith(b"."):
        data = re.sub(rb"(?m)^\.", b"..", data)
    return data


def _has_spoken(sock: socket.socket) -> bool:
    """Whether the server has sent something, or closed, that has not been read."""
    watch = select.poll()
    watch.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(watch.poll(0))


def _own_name(sock: socket.socket) -> str:
    """What to call ourselves in EHLO (RFC 5321 §4.1.4): our full name, or the line's own address."""
    name = socket.gethostname()
    if "." in name.strip(".") and name.isascii():
        return name
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _text(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:500]


def _said(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _drop(line: smtplib.SMTP) -> None:
    line.close()


def _bye(line: smtplib.SMTP) -> None:
    try:
        if line.sock is not None:
            line.sock.settimeout(5)  # a goodbye is a courtesy
            line.quit()
    except (smtplib.SMTPException, OSError):
        pass
    _drop(line)


@hookimpl
def automate_connectors() -> Iterable[type[Connector[Any]]]:
    """The smtp sender."""
    return [Smtp]

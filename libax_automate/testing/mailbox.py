"""A real SMTP server on loopback that can refuse, ask for patience, hang up at any moment, and remembers what it was given."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

#: where a fault can be placed: CONNECT is the greeting, DATA the command (a hang-up comes after the 354), END the final dot
Moment = Literal["CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "END", "RSET", "NOOP", "QUIT"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the server took it: the envelope, and the bytes between DATA and the final dot."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    #: the parameters of MAIL FROM (``SIZE=…``, ``BODY=8BITMIME``, ``SMTPUTF8``)
    options: tuple[str, ...] = ()
    user: str = ""

    def parsed(self) -> EmailMessage:
        """The content, read by the standard library."""
        message = BytesParser(policy=modern).parsebytes(self.content)
        assert isinstance(message, EmailMessage)
        return message


@dataclass(slots=True)
class _Fault:
    #: what to answer; None stands for silence
    reply: str | None
    hang_up: bool
    left: float


class Mailbox:
    """The server, in a thread of its own, from ``with Mailbox() as box:`` until the block ends; ``box.host`` and ``box.port`` say where.

    ``login`` is the (user, password) it insists on; ``security`` is ``"none"``, ``"starttls"`` or ``"tls"``, with a certificate for
    ``names`` made on the spot, whose authority is in the file ``ca_file``. Everything it is told to do can be told while it runs.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        login: tuple[str, str] | None = None,
        security: Literal["none", "starttls", "tls"] = "none",
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
        size_limit: int = 32 << 20,
        smtputf8: bool = True,
    ) -> None:
        self.port = 0
        self.login = login
        self.security = security
        self.size_limit = size_limit
        self.smtputf8 = smtputf8
        #: everything taken, in order: also what was taken and then left unanswered (a hang-up at END)
        self.messages: list[Delivery] = []
        #: every command, in order, over all connections
        self.commands: list[str] = []
        self.connections = 0
        self._names = names
        self._faults: defaultdict[str, list[_Fault]] = defaultdict(list)
        self._refused: dict[str, str] = {}
        self._open: set[Any] = set()
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._context: ssl.SSLContext | None = None

    # --- what to do ------------------------------------------------------------------------------------------------

    def refuse(self, recipient: str, reply: str = "550 5.1.1 No such user here") -> None:
        """Answer ``reply`` whenever ``recipient`` is named."""
        self._refused[recipient.lower()] = reply

    def accept(self, recipient: str) -> None:
        """Take ``recipient`` again."""
        self._refused.pop(recipient.lower(), None)

    def answer(self, moment: Moment, reply: str, *, times: float = float("inf")) -> None:
        """Answer ``reply`` at ``moment``, the next ``times`` times; after a 421 the line is closed."""
        self._faults[moment].append(_Fault(reply, hang_up=reply.startswith("421"), left=times))

    def hang_up(self, moment: Moment, *, times: float = float("inf")) -> None:
        """Drop the line at ``moment``: at DATA once the text has been asked for, at END after the final dot and before the reply."""
        self._faults[moment].append(_Fault(None, hang_up=True, left=times))

    def stall(self, moment: Moment, *, times: float = float("inf")) -> None:
        """Say nothing more from ``moment`` on, and keep the line open."""
        self._faults[moment].append(_Fault(None, hang_up=False, left=times))

    def behave(self) -> None:
        """Forget every fault and refusal."""
        self._faults.clear()
        self._refused.clear()

    def drop_connections(self) -> None:
        """Close every line that is open now, as a server does with idle ones; returns when they are closed."""
        done = threading.Event()

        def drop() -> None:
            for server in tuple(self._open):
                server.leave()
            done.set()

        self._loop.call_soon_threadsafe(drop)
        done.wait(10)

    @property
    def ca_file(self) -> str:
        """The file with the certificate authority to trust."""
        if self._files is None:
            raise AssertionError('this mailbox has no certificate: give it security="starttls" or "tls"')
        return str(Path(self._files.name, "ca.pem"))

    # --- the server ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self.security != "none":
            self._context = self._certificate()
        self._thread = threading.Thread(target=self._serve, name="mailbox", daemon=True)
        self._thread.start()
        self._ready.wait(30)
        if self._failed:
            raise self._failed
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        if self._files:
            self._files.cleanup()

    def _certificate(self) -> ssl.SSLContext:
        import trustme

        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*self._names).configure_cert(context)
        self._files = tempfile.TemporaryDirectory()
        authority.cert_pem.write_to_path(str(Path(self._files.name, "ca.pem")))
        return context

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failed = error
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda *_: None)  # a dropped line is what this server is for
        self._stop = asyncio.Event()
        listener = await self._loop.create_server(
            lambda: _Server(self, self._loop), self.host, 0, ssl=self._context if self.security == "tls" else None
        )
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listener.close()
        for server in tuple(self._open):
            server.transport.abort()
        await asyncio.sleep(0.01)  # let the closed transports be told so

    def next_fault(self, moment: str) -> _Fault | None:
        """The fault due at ``moment``, used up by the call."""
        for fault in self._faults[moment]:
            if fault.left >= 1:
                fault.left -= 1
                return fault
        return None

    def refusal(self, recipient: str) -> str | None:
        """What to answer to ``recipient``, if not yes."""
        return self._refused.get(recipient.lower())


def _scripted(moment: str) -> Callable[[_Server, str], Awaitable[None]]:
    own = getattr(SMTP, f"smtp_{moment}")

    async def command(server: _Server, arg: str) -> None:
        server.box.commands.append(moment)
        if not await server.play(moment):
            await own(server, arg)

    return command


class _Server(SMTP):
    """One connection."""

    def __init__(self, box: Mailbox, loop: asyncio.AbstractEventLoop) -> None:
        self.box = box
        super().__init__(
            self,
            hostname="mailbox.example.com",
            ident="ESMTP",
            enable_SMTPUTF8=box.smtputf8,
            data_size_limit=box.size_limit,
            tls_context=box._context if box.security == "starttls" else None,  # noqa: SLF001 - one thing in two classes
            require_starttls=box.security == "starttls",
            auth_required=box.login is not None,
            authenticator=self._log_in,
            auth_exclude_mechanism=() if box.login else ("LOGIN", "PLAIN"),
            loop=loop,
        )
        # aiosmtpd knows only STARTTLS as security, and would offer no AUTH under TLS from the start
        self._auth_require_tls = box.security == "starttls"

    def _log_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self.box.login
        return AuthResult(success=good, handled=False, auth_data=data.login.decode() if good else None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self.box._open:  # noqa: SLF001 - STARTTLS makes the same connection twice
            self.box._open.add(self)  # noqa: SLF001
            self.box.connections += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.box._open.discard(self)  # noqa: SLF001
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        if not await self.play("CONNECT"):
            await super()._handle_client()

    transport: asyncio.Transport

    async def play(self, moment: str) -> bool:
        """Act out the fault due at ``moment``; False when there is none."""
        fault = self.box.next_fault(moment)
        if fault is None:
            return False
        if fault.reply is not None:
            await self.push(fault.reply)
        elif fault.hang_up:
            if moment == "DATA":
                self._go_on_and_end()
        else:
            await asyncio.Event().wait()
        if fault.hang_up:
            self.leave()
        return True

    def _go_on_and_end(self) -> None:
        """Ask for the text and close in one packet, so that no client can have written the final dot in between."""
        if hasattr(socket, "TCP_CORK"):
            self.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.transport.write(b"354 go on\r\n")
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def leave(self) -> None:
        """Close the line."""
        if self.transport is not None:
            self.transport.close()

    smtp_EHLO = _scripted("EHLO")  # noqa: N815 - aiosmtpd finds commands by these names
    smtp_STARTTLS = _scripted("STARTTLS")  # noqa: N815
    smtp_AUTH = _scripted("AUTH")  # noqa: N815
    smtp_MAIL = _scripted("MAIL")  # noqa: N815
    smtp_RCPT = _scripted("RCPT")  # noqa: N815
    smtp_DATA = _scripted("DATA")  # noqa: N815
    smtp_RSET = _scripted("RSET")  # noqa: N815
    smtp_NOOP = _scripted("NOOP")  # noqa: N815
    smtp_QUIT = _scripted("QUIT")  # noqa: N815

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """Take or refuse a recipient."""
        if reply := self.box.refusal(address):
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep the message, unless a reply scripted for END refuses it."""
        fault = self.box.next_fault("END")
        if fault is None or fault.reply is None or fault.reply.startswith("2"):
            self.box.messages.append(
                Delivery(
                    envelope.mail_from,
                    tuple(envelope.rcpt_tos),
                    bytes(envelope.original_content),
                    tuple(envelope.mail_options),
                    session.auth_data or "",
                )
            )
        if fault is None:
            return f"250 2.0.0 OK queued as {len(self.box.messages)}"
        if fault.reply is None and not fault.hang_up:
            await asyncio.Event().wait()
        if fault.hang_up:
            if fault.reply is not None:
                await self.push(fault.reply)
            self.leave()
        return fault.reply or "250 OK"

"""SMTP on one connection to a sink that only counts."""

from __future__ import annotations

import collections
import contextlib
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from benchmarks.rig import Line, Rig, reopen, timed
from libax_automate.message import Email

_PROFILE = """
name = "bench"
timezone = "Europe/Lisbon"

[defaults]
email = "mail"

[apps.mail]
connector = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "padaria@example.com"
concurrency = 1
"""
_TEXT = "Olá {name}, feliz aniversário!\n\nA padaria tem um bolo à sua espera: venha buscá-lo hoje até às 19 horas.\n"
_HTML = "<html><body><h1>Feliz aniversário, {name}!</h1><p>A padaria tem um bolo à sua espera: venha buscá-lo hoje.</p></body></html>\n"


def serve() -> None:
    """One client after another; every command is fine, every message is taken and thrown away."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"220 sink\r\n")
        file = client.makefile("rb")
        data = False
        for line in file:
            if data:
                if line == b".\r\n":
                    data = False
                    client.sendall(b"250 taken\r\n")
                continue
            word = line[:4].upper()
            if word == b"EHLO":
                client.sendall(b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            elif word == b"DATA":
                data = True
                client.sendall(b"354 go on\r\n")
            elif word == b"QUIT":
                client.sendall(b"221 bye\r\n")
                break
            else:
                client.sendall(b"250 ok\r\n")
        client.close()


@contextlib.contextmanager
def mail_sink() -> Iterator[int]:
    """The port of a running sink."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.mail"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def smtp(rig: Rig) -> Iterator[Line]:
    """HTML and text, built per recipient, on one connection."""
    count = rig.count(5_000)

    def ours(port: int) -> float:
        with rig.place() as folder:
            path = folder / "profiles.toml"
            path.write_text(_PROFILE.format(port=port), encoding="utf-8")
            path.chmod(0o600)
            with reopen(folder) as space, space.opened(space.profiles[0], space.profiles[0].apps["mail"]) as connector:
                moment = datetime(2026, 12, 24, 9, 30, tzinfo=UTC)

                def send(number: int) -> None:
                    name = f"Pessoa {number}"
                    connector.send(  # type: ignore[attr-defined]
                        Email(
                            id=f"M{number}", key=str(number), to=f"p{number}@example.com", name=name, subject=f"Feliz aniversário, {name}!",
                            text=_TEXT.format(name=name), html=_HTML.format(name=name), sent_at=moment,
                        )
                    )  # fmt: skip

                send(0)
                return count / timed(lambda: collections.deque(map(send, range(count)), maxlen=0))

    def plain(port: int) -> float:
        with smtplib.SMTP("127.0.0.1", port) as connection:
            connection.ehlo()

            def send(number: int) -> None:
                name = f"Pessoa {number}"
                message = EmailMessage()
                message["Subject"] = f"Feliz aniversário, {name}!"
                message["From"] = "padaria@example.com"
                message["To"] = f"{name} <p{number}@example.com>"
                message["Date"] = formatdate()
                message["Message-ID"] = make_msgid(domain="example.com")
                message.set_content(_TEXT.format(name=name))
                message.add_alternative(_HTML.format(name=name), subtype="html")
                connection.send_message(message)

            return count / timed(lambda: collections.deque(map(send, range(count)), maxlen=0))

    with mail_sink() as port:
        mine, theirs = rig.pair(lambda: ours(port), lambda: plain(port))
    yield Line(
        f"SMTP, {count:,} letters of text and HTML on one connection",
        f"{mine:,.0f}/s",
        f"smtplib + EmailMessage {theirs:,.0f}/s",
        mine / theirs,
        0.9,
    )


if __name__ == "__main__":
    serve()

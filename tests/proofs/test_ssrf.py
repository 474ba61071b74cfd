"""S4: no request leads inwards, whatever the address looks like, resolves to later, or redirects to; no socket is opened to find out."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import Any

import pytest

from libax_automate.connector import Place
from libax_automate.errors import AutomateError, ConnectorError, SetupError
from libax_automate.http import ApiClient
from libax_automate.message import Channel, Text
from libax_automate.options import Secret
from libax_automate.plugins.http_gateway import HttpGateway, HttpOptions
from libax_automate.plugins.webhook import Webhook, WebhookOptions
from libax_automate.testing.service import Reply, Service
from tests.conftest import Cli
from tests.figures import Figure
from tests.test_address import NAMES, REFUSED

KEY = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Doors:
    """Stands in for the network: names resolve as they do in the world, and every connection that is asked for is written down."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.names: dict[str, list[str]] = dict(NAMES)

    def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        """The system's resolver."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        try:
            family = socket.AF_INET6 if ":" in name else socket.AF_INET
            socket.inet_pton(family, name)
            answers = [name]
        except OSError:
            answers = self.names.get(name.rstrip("."), [])
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each.split("%")[0], port)) for each in answers
        ]

    def connect(self, address: Any, *_: Any, **__: Any) -> Any:
        """Nobody gets through."""
        self.asked.append(tuple(map(str, address)))
        raise ConnectionRefusedError("no door")


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Doors:
    """The network, closed and watched."""
    shut = Doors()
    monkeypatch.setenv("AUTOMATE_HTTP", "httpx")
    monkeypatch.setattr(socket, "getaddrinfo", shut.getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", shut.connect)
    return shut


def here(tmp_path: Path) -> Place:
    """An app's place, without any allowance."""
    return Place(app="a", profile="p", folder=tmp_path, timezone="UTC", locale="en_US", country="PT", allow_private=())


def through_client(url: str, _: Path) -> None:
    """The client that every connector has."""
    with ApiClient(url) as client:
        client.post("/x", json={})


def through_http(url: str, tmp_path: Path) -> None:
    """The gateway connector, from its options to its send."""
    gateway = HttpGateway(HttpOptions(url=url, json={"to": "{{ message.to }}"}), here(tmp_path))
    try:
        gateway.open()
        gateway.send(Text(id="M1", key="k", to="+351912345671", channel=Channel.SMS, person="1", text="x"))
    finally:
        gateway.close()


def through_webhook(url: str, tmp_path: Path) -> None:
    """The webhook connector's own check of where it would go."""
    hook = Webhook(WebhookOptions(url=url, secret=Secret(KEY)), here(tmp_path))
    try:
        hook.open()
        hook.check()
    finally:
        hook.close()


@pytest.mark.parametrize("way", [through_client, through_http, through_webhook], ids=lambda way: way.__name__)
def test_no_form_of_an_inner_address_passes_any_connector(way: Any, doors: Doors, tmp_path: Path, figure: Figure) -> None:
    passed = []
    for url in REFUSED:
        try:
            way(url, tmp_path)
        except (AutomateError, ValueError):
            continue
        passed.append(url)
    figure(f"S4 {way.__name__}: {len(REFUSED)} forms, {len(passed)} passed, {len(doors.asked)} connections asked for")
    assert len(REFUSED) >= 60
    assert passed == []
    assert doors.asked == []


def test_a_name_that_turns_inwards_between_the_check_and_the_call_is_not_followed(doors: Doors) -> None:
    """Rebinding: public when it is looked at, private a moment later; the address that was looked at is the one that is used."""
    doors.names["rebind.example.com"] = ["93.184.215.14"]
    client = ApiClient("https://rebind.example.com/")
    with pytest.raises(ConnectorError):
        client.post("/x")
    doors.names["rebind.example.com"] = ["127.0.0.1"]
    for _ in range(3):
        with pytest.raises(ConnectorError):
            client.post("/x")
    client.close()
    assert {asked[0] for asked in doors.asked} == {"93.184.215.14"}


@pytest.mark.parametrize("transport", ["httpx", "httptools", "pyreqwest"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(status: int, transport: str) -> None:
    with Service() as inner, Service() as outer:
        outer.on("/x", Reply(status, b"", {"Location": f"{inner.url}/latest/meta-data/"}))
        with ApiClient(outer.url, allow_private=("127.0.0.1/32",), transport=transport) as client, pytest.raises(SetupError):
            client.post("/x")
        assert inner.connections == 0
        assert len(outer.requests) == 1


def test_a_profile_that_leads_inwards_is_told_by_check_connect(cli: Cli, home: Path, doors: Doors) -> None:
    (home / "profiles.toml").write_text(
        'name = "p"\ntimezone = "UTC"\n[apps.sms]\nconnector = "http"\nurl = "https://169.254.169.254/latest"\njson = { to = "{{ message.to }}" }\nprobe = "/x"\n',
        encoding="utf-8",
    )
    (home / "profiles.toml").chmod(0o600)
    done = cli("check", "--connect")
    assert done.code in (3, 78), done
    assert "169.254.169.254" in done.out + done.err
    assert "allow_private" in done.out + done.err
    assert doors.asked == []

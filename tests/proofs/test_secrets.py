"""S5: thirty kinds of secrets through success and failure of every built-in connector; none is found in anything that stays behind."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from libax_automate.engine.run import run_pass
from libax_automate.plugins.http_gateway import HttpGateway
from libax_automate.testing.mailbox import Mailbox
from libax_automate.testing.service import Fault, Reply, Request, Service
from tests.conftest import Cli, Finished
from tests.figures import Figure

PEOPLE = "id,name,birth_date,email,mobile\n1,Ana Silva,1980-12-24,ana@example.com,+351912345671\n"
#: shapes that keys, tokens and passwords have; X is replaced so that each is its own
SHAPES: tuple[str, ...] = (
    "canaryX0123456789abcdef", "CanaryX-9f8e7d6c-5b4a", "sk_live_canaryX5e6f7a8b", "canaryX/with/slashes", "canaryX+plus+plus=", "canaryX==",
    "canaryX with spaces", "canaryX&amp=1&b=2", "canaryX?query#frag", "canaryX%41%zz", 'canaryX"quoted"', "canaryX'single'",
    "canaryX\\back\\slash", "canaryX{ braces }", "canaryX<tag>", "canaryX;semi;colon", "canaryX:colon:colon", "canaryX@at.example.com",
    "canaryX$dollar${HOME}", "canaryX`tick`", "canaryX|pipe|", "canaryX~tilde^caret", "canaryX,comma,", "canaryX[0].*(a+)+$",
    "canaryX*star?", "canaryX!bang!", "eyJhbGciOiJIUzI1NiJ9.canaryX.c2ln", "xoxb-canaryX-1234-abcd", "canaryX_under_score__", "canaryX.dotted.name.",
)  # fmt: skip
#: where a secret may stand: each shape goes through each place in turn
PLACES = ("header", "bearer", "query", "path", "json", "form", "smtp", "webhook-header", "webhook-url")


@dataclass
class Vault:
    """The secrets of one business, and where each stands."""

    values: dict[str, str]
    environ: dict[str, str] = field(default_factory=dict)

    def name(self, place: str) -> str:
        """The variable that holds the place's secret."""
        name = "CANARY_" + place.upper().replace("-", "_")
        self.environ[name] = self.values[place]
        return name


def forms(value: str) -> set[str]:
    """How a secret may look where it should not be."""
    raw = value.encode()
    return {
        value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1],
        base64.b64encode(raw).decode(), base64.b64encode(b"user:" + raw).decode(), raw.hex(),
    }  # fmt: skip


def profile(vault: Vault, service: Service, box: Mailbox) -> str:
    """A business in which every built-in connector that takes a secret has one, each place its own."""
    private = 'allow_private = ["127.0.0.0/8"]'
    body = 'json = { to = "{{ message.to }}", text = "{{ message.text }}" }'
    gateways = {
        "header": f'url = "{service.url}/header"\nheaders = {{ X-Key = {{ env = "{vault.name("header")}" }} }}\n{body}',
        "bearer": f'url = "{service.url}/bearer"\nheaders = {{ Authorization = {{ env = "{vault.name("bearer")}" }} }}\n{body}',
        "query": f'url = "{service.url}/query"\nquery = {{ key = {{ env = "{vault.name("query")}" }}, to = "{{{{ message.to }}}}" }}',
        "path": f'url = {{ env = "{vault.name("path")}" }}\n{body}',
        "json": f'url = "{service.url}/json"\njson = {{ key = {{ env = "{vault.name("json")}" }}, to = "{{{{ message.to }}}}" }}',
        "form": f'url = "{service.url}/form"\nform = {{ key = {{ env = "{vault.name("form")}" }}, to = "{{{{ message.to }}}}" }}',
    }
    vault.environ["CANARY_PATH"] = f"{service.url}/path/{quote(vault.values['path'], safe='')}"
    vault.environ["CANARY_WEBHOOK_URL"] = f"{service.url}/hook?key={quote(vault.values['webhook-url'], safe='')}"
    vault.environ["CANARY_SIGNATURE"] = (
        "whsec_" + base64.b64encode(("sign-" + vault.values["webhook-header"]).encode().ljust(32, b"0")[:64]).decode()
    )
    vault.values["signature"] = vault.environ["CANARY_SIGNATURE"]
    text = (
        'name = "padaria"\ntimezone = "Europe/Lisbon"\nlocale = "pt_PT"\ncountry = "PT"\nactivation = "immediate"\nnotify = ["admin@example.com"]\n'
        '[defaults]\nemail = "mail"\nsms = "header"\n'
        '[apps.gestao]\nconnector = "csv"\ncontacts = "clientes.csv"\n'
        f'[apps.mail]\nconnector = "smtp"\nhost = "localhost"\nport = {box.port}\nsecurity = "starttls"\nca_file = "{box.ca_file}"\n'
        f'username = "padaria"\npassword = {{ env = "{vault.name("smtp")}" }}\nsender = "geral@example.com"\n{private}\n'
        '[apps.arquivo]\nconnector = "folder"\npath = "saida"\n'
        f'[apps.lista]\nconnector = "webhook"\nurl = {{ env = "CANARY_WEBHOOK_URL" }}\nsecret = {{ env = "CANARY_SIGNATURE" }}\n'
        f'headers = {{ X-Key = {{ env = "{vault.name("webhook-header")}" }} }}\n{private}\n'
        '[models.m-lista]\nuse = "birthday"\nsource = "gestao"\nat = "10:00"\nwebhook = "lista"\n'
    )
    for name, options in gateways.items():
        text += f'[apps.{name}]\nconnector = "http"\n{options}\n{private}\n'
        text += f'[models.m-{name}]\nuse = "birthday"\nsource = "gestao"\nat = "10:00"\nvia = "{name}"\nchannel = "sms"\ntext = "Olá {{{{ first_name }}}}"\n'
    for name in ("mail", "arquivo"):
        text += f'[models.m-{name}]\nuse = "birthday"\nsource = "gestao"\nat = "10:00"\nvia = "{name}"\nchannel = "email"\nsubject = "Olá"\ntext = "Olá"\n'
    return text


def echo(status: int, headers: Mapping[str, str] | None = None) -> object:
    """A server that says back all it was told, secrets and all."""

    def answer(request: Request) -> Reply:
        told = {
            "path": request.path,
            "query": dict(request.query),
            "headers": dict(request.headers),
            "body": request.body.decode("utf-8", "replace"),
        }
        loud = {
            "id": "p-1",
            "error": f"you said {told}",
            "echo": told,
            **{f"k{i}": value for i, value in enumerate(request.headers.values())},
        }
        return Reply(status, loud, headers or {})

    return answer


#: what the providers do, one after the other
ENDS: Mapping[str, object] = {
    "accepted": echo(200), "wrong key": echo(401), "bad request": echo(422), "gone": echo(404), "down": echo(500), "slow down": echo(429, {"Retry-After": "1"}),
    "redirect": echo(302, {"Location": "https://elsewhere.example.com/?key=1"}), "hang-up": Fault.HANG_UP, "garbage": Fault.GARBAGE,
}  # fmt: skip


def leaks(vault: Vault, said: Sequence[Finished], folder: Path) -> list[str]:
    """Where a secret, in whatever form, is found: what was said, and every file that was not there before."""
    found = []
    texts = {f"stdout {number}": each.out for number, each in enumerate(said)} | {
        f"stderr {number}": each.err for number, each in enumerate(said)
    }
    files = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "profiles.toml"
    }
    for place, value in vault.values.items():
        for form in forms(value):
            found += [f"{place} in {name}" for name, text in texts.items() if form in text]
            found += [f"{place} in {name}" for name, content in files.items() if form.encode() in content]
    return found


@pytest.fixture
def service() -> Iterator[Service]:
    """The providers."""
    with Service() as running:
        yield running


@pytest.mark.parametrize("turn", range(5))
def test_no_secret_is_found_in_anything_that_stays_behind(
    turn: int, service: Service, home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    values = {place: SHAPES[(turn * 6 + number) % len(SHAPES)].replace("X", f"{turn}{number}q") for number, place in enumerate(PLACES)}
    vault, said = Vault(values), list[Finished]()
    with Mailbox(login=("padaria", values["smtp"]), security="starttls") as box:
        (home / "profiles.toml").write_text(profile(vault, service, box), encoding="utf-8")
        (home / "profiles.toml").chmod(0o600)
        (home / "clientes.csv").write_text(PEOPLE, encoding="utf-8")
        for name, value in vault.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AUTOMATE_DB", str(home / "state" / "automate.db"))
        # nobody waits for providers that ask for patience
        monkeypatch.setattr("libax_automate.engine.run.run_pass", partial(run_pass, patience=0.0))
        base = cli("run", "--now", "2026-12-24T08:00")
        assert base.code == 0, base
        delivered = set()
        for day, (name, script) in enumerate(ENDS.items()):
            # each way to end meets its own birthday
            (home / "clientes.csv").write_text(PEOPLE.replace("12-24", f"12-{24 + day % 8}").replace("\n1,", f"\n{day},"), encoding="utf-8")
            for path in ("/header", "/bearer", "/query", "/json", "/form", "/hook", f"/path/{quote(values['path'], safe='')}"):
                service.on(path, script)  # type: ignore[arg-type]
            service.clear()
            box.behave()
            if name == "wrong key":
                box.login = ("padaria", "something else")
            elif name == "bad request":
                box.login = ("padaria", values["smtp"])
                box.answer("RCPT", f"550 no, {values['smtp']}")
            elif name == "down":
                box.answer("END", f"451 {values['smtp']} is busy")
            said.append(cli("run", "-vv", "--now", f"2026-12-{24 + day % 8}T10:0{day // 8 + 1}"))
            assert said[-1].code in (0, 3), said[-1]
            delivered |= {request.path.split("/")[1] for request in service.requests}
            said.append(cli("errors", "list", "--json"))
            if name != "accepted":
                for error in said[-1].json["items"]:
                    said.append(cli("errors", "show", error["id"], "--json"))
                    said.append(cli("errors", "skip", error["id"]))
            for app in ("header", "query", "path", "mail", "lista"):
                said.append(cli("apps", "test", app, "-vv"))
        assert delivered >= {"header", "bearer", "query", "path", "json", "form", "hook"}
        for command in (
            ["check"], ["check", "--connect", "-vv"], ["check", "--json"], ["apps", "list", "--json"], ["connectors", "show", "http"], ["connectors", "show", "smtp", "--json"],
            ["schema"], ["doctor"], ["doctor", "--json"], ["status", "--json"], ["queue", "list", "--json"], ["queue", "show", "header", "--json"],
            ["tasks", "list", "--json"], ["plan", "m-header", "--json"], ["explain", "m-header", "1", "--json"], ["report"], ["models", "list", "--json"], ["db", "info", "--json"],
        ):  # fmt: skip
            said.append(cli(*command))
        # a plugin's bug that quotes its key, and one of the program's own
        with monkeypatch.context() as patch:
            patch.setattr(
                HttpGateway, "send", lambda self, message: (_ for _ in ()).throw(RuntimeError(f"key {self.options!r} {[*values.values()]}"))
            )
            (home / "clientes.csv").write_text(PEOPLE.replace("12-24", "12-31").replace("\n1,", "\n90,"), encoding="utf-8")
            said.append(cli("run", "-vv", "--now", "2026-12-31T23:00"))
            patch.setattr(
                "libax_automate.engine.run.run_pass",
                lambda *_, **__: (_ for _ in ()).throw(RuntimeError(f"crash with {[*values.values()]}")),
            )
            crash = cli("run", "--json", "--now", "2026-12-31T23:30")
            assert crash.code == 70
            assert list((home / "state").glob("crash-*.txt"))
            said += [crash, cli("run", "-vv", "--now", "2026-12-31T23:31")]
        # a profile that does not load says nothing of what it holds either
        text = (home / "profiles.toml").read_text(encoding="utf-8")
        for place, value in values.items():
            inline = text.replace(f'{{ env = "CANARY_{place.upper().replace("-", "_")}" }}', json.dumps(value, ensure_ascii=False))
            (home / "profiles.toml").write_text(inline.replace('connector = "folder"', "connector = 3"), encoding="utf-8")
            said.append(cli("check"))
            assert said[-1].code == 78
    hits = leaks(vault, said, home)
    figure(
        f"S5 turn {turn}: {len(vault.values)} secrets, {len(said)} commands, {sum(len(each.out) + len(each.err) for each in said)} characters, {len(hits)} hits"
    )
    assert hits == []


def test_there_are_thirty_kinds() -> None:
    assert len(set(SHAPES)) == 30
    assert all("X" in shape for shape in SHAPES)

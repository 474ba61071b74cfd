"""As a new user would: a profile, ``automate check --connect``, and a birthday run, against the vendor's own document on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing import SpecServer

ROOT = Path(os.environ.get("LIBAX_CONTRACTS") or Path(__file__).parents[4] / "shared" / "contracts")
DOCUMENT = ROOT / "brevo" / "openapi.json"
pytestmark = pytest.mark.skipif(not DOCUMENT.is_file(), reason="no vendor document: set LIBAX_CONTRACTS to a folder of them")

SEND = "POST /smtp/email"
SENDER = {"id": 1, "name": "Padaria", "email": "geral@example.com", "active": True}
DOMAIN = {"id": "d1", "domain_name": "example.com", "authenticated": True, "verified": True}
PROFILE = """\
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
email = "brevo"

[apps.gestao]
connector = "csv"
contacts = "people.csv"

[apps.brevo]
connector = "brevo"
api_key = {{ env = "BREVO_KEY" }}
sender = "Padaria <geral@example.com>"
base_url = "{url}"
allow_private = ["127.0.0.1/32"]
{more}

[models.aniversario]
use = "birthday"
source = "gestao"
at = "09:30"
channel = "email"
template = "{template}"
params = {{ NOME = "first_name" }}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def spec() -> Iterator[SpecServer]:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    content = {"application/json": {"schema": {"type": "object"}}}
    domains = {"operationId": "domains", "responses": {"200": {"description": "the domains", "content": content}}}
    document["paths"]["/senders/domains"] = {"get": domains}
    with SpecServer(document) as server:
        server.answer("Senders_listAll", body={"senders": [SENDER]})
        server.answer("domains", body={"domains": [DOMAIN]})
        yield server
        server.assert_valid()


@pytest.fixture
def automate(spec: SpecServer, tmp_path: Path) -> Run:
    """The program in a process of its own, in a folder with a profile: ``automate("check", people=3, template="12")``."""

    def run(*args: str, people: int = 0, template: str = "12", more: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "profiles.toml").write_text(PROFILE.format(url=spec.url, template=template, more=more), encoding="utf-8")
        (tmp_path / "profiles.toml").chmod(0o600)
        if people or not (tmp_path / "people.csv").exists():
            rows = [f"{n};Pessoa {n};1980-12-24;p{n}@example.com;person;active" for n in range(1, people + 1)]
            (tmp_path / "people.csv").write_text("\n".join(["id;name;birth_date;email;person_type;status", *rows, ""]), encoding="utf-8")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "BREVO_KEY": "xkeysib-invented-0123456789",
            "AUTOMATE_DB": str(tmp_path / "a.db"),
        }
        command = [sys.executable, "-m", "libax_automate", *args]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100, check=False)

    return run


def states(automate: Run) -> dict[str, int]:
    (app,) = [item for item in json.loads(automate("queue", "list", "--json").stdout)["items"] if item["app"].endswith("brevo")]
    return {key: app[key] for key in ("sent", "waiting", "failed", "in_doubt")}


@pytest.mark.req("LX-07", "LX-10", "LX-74", "LX-75", "LX-79")
def test_check_says_what_is_wrong_and_what_to_do(spec: SpecServer, automate: Run) -> None:
    good = automate("check", "--connect")
    assert (good.returncode, good.stderr) == (0, ""), good.stderr
    assert "fine" in good.stdout

    inactive = automate("check", "--connect", template="5")
    assert inactive.returncode == 78
    assert "template '5' is not active at 'brevo' (LX-79)" in inactive.stderr
    assert "profiles.toml:27:12:" in inactive.stderr

    named = automate("check", "--connect", template="SummerSales2017Template")
    assert "has no template 'SummerSales2017Template' → write its id: template = \"12\"" in named.stderr

    spec.answer("domains", body={"domains": [{**DOMAIN, "authenticated": False}]})
    unproven = automate("check", "--connect")
    assert unproven.returncode == 78
    assert "the sender geral@example.com is not authenticated" in unproven.stderr
    assert "DNS records" in unproven.stderr

    spec.answer("GET /account", status=401, body={"code": "unauthorized", "message": "Key not found"})
    wrong = automate("check", "--connect")
    assert wrong.returncode == 78
    assert "Brevo refuses the API key" in wrong.stderr

    spec.answer("GET /account", status=401, body={"code": "unauthorized", "message": "unrecognised IP address 192.0.2.7"})
    elsewhere = automate("check", "--connect")
    assert "does not accept requests from the address 192.0.2.7" in elsewhere.stderr
    for done in (good, inactive, unproven, wrong, elsewhere):
        assert "invented" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def accepts(spec: SpecServer, *sizes: int) -> None:
    start = 1
    for size in sizes:
        names = [f"<{n}@relay.example.com>" for n in range(start, start + size)]
        spec.answer(SEND, status=201, body={"messageIds": names} if size > 1 else {"messageId": names[0]}, times=1)
        start += size


def batches(spec: SpecServer) -> list[int]:
    return [len(call.body.get("messageVersions", [0])) for call in spec.calls if call.path.endswith("/smtp/email")]


@pytest.mark.req("LX-07", "LX-16", "LX-74")
def test_a_birthday_run_of_2500_goes_out_in_three_calls(spec: SpecServer, automate: Run) -> None:
    accepts(spec, 1000, 1000, 500)
    assert automate("run", "--now", "2026-12-24T08:00", people=2500).returncode == 0
    done = automate("run", "--now", "2026-12-24T09:31", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == 2500
    assert batches(spec) == [1000, 1000, 500]
    told = [call.body for call in spec.calls if call.path.endswith("/smtp/email")]
    people = [version["to"][0]["email"] for body in told for version in body["messageVersions"]]
    assert sorted(people) == sorted(f"p{n}@example.com" for n in range(1, 2501))
    assert len({body["headers"]["idempotencyKey"] for body in told}) == 3
    assert {body["templateId"] for body in told} == {12}
    assert states(automate) == {"sent": 2500, "waiting": 0, "failed": 0, "in_doubt": 0}
    listed = json.loads(automate("queue", "show", "brevo", "--json").stdout)["items"]
    assert listed == [], "nothing is left to look at"
    again = automate("run", "--now", "2026-12-24T12:00", "--json")
    assert json.loads(again.stdout)["sent"] == 0
    assert len(batches(spec)) == 3


def test_the_one_refused_of_a_batch_is_found_and_the_others_leave(spec: SpecServer, automate: Run) -> None:
    """Brevo takes all of a batch or none, and does not say whom it means: half by half the engine finds out."""
    refusal = {"code": "invalid_parameter", "message": "email is not valid in to"}
    bad = "p3@example.com"
    automate("run", "--now", "2026-12-24T08:00", people=8, more='on_recipient_error = "skip"\nrate = "1000/s"')
    # 8 refused, 4 refused, 2 taken, 2 refused, the bad one, its neighbour, 4 taken
    for size in (0, 0, 2, 0, -1, 1, 4):
        if size > 0:
            accepts(spec, size)
        else:
            spec.answer(SEND, status=400, body=refusal, times=1)
    done = automate("run", "--now", "2026-12-24T09:31", "--json", more='on_recipient_error = "skip"\nrate = "1000/s"')
    assert json.loads(done.stdout)["sent"] == 7, done.stderr
    assert batches(spec) == [8, 4, 2, 2, 1, 1, 4]
    alone = [call.body["to"][0]["email"] for call in spec.calls if call.path.endswith("/smtp/email") and "to" in call.body]
    assert alone[0] == bad


def test_a_batch_without_an_answer_goes_once_more_under_its_key_and_nobody_gets_it_twice(spec: SpecServer, automate: Run) -> None:
    automate("run", "--now", "2026-12-24T08:00", people=5)
    spec.hang_up(SEND, times=1)
    spec.answer(SEND, status=400, body={"code": "duplicate_parameter", "message": "the key was used before"})
    done = automate("run", "--now", "2026-12-24T09:31", "--json")
    assert json.loads(done.stdout)["sent"] == 5, done.stderr
    first, second = [call.body for call in spec.calls if call.path.endswith("/smtp/email")]
    assert first == second
    assert states(automate) == {"sent": 5, "waiting": 0, "failed": 0, "in_doubt": 0}

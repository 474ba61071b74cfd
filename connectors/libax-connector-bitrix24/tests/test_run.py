"""The program itself, with a profile, against a server: a birthday out of the CRM, and the activity back into it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.testing import Reply, Request, Service

CODE = "s3cretcode0never0shown"
PEOPLE = [{"id": n, "name": f"Ana {n}", "birthdate": "1980-12-24T02:00:00+02:00", "email": f"a{n}@example.com"} for n in range(1, 4)]

PROFILE = """\
name       = "shop"
timezone   = "Europe/Lisbon"
activation = "immediate"

[apps.crm]
connector     = "bitrix24"
webhook       = { env = "BITRIX24_WEBHOOK" }
allow_private = ["127.0.0.1/32"]

[apps.out]
connector = "folder"
path      = "out"

[models.birthday]
use      = "birthday"
source   = "crm"
at       = "09:30"
via      = "out"
subject  = "Happy birthday!"
text     = "All the best for your (#Age#) years, (#FirstName#)."
activity = true
"""


def portal(request: Request) -> Reply:
    if "/wrong" in request.path:
        return Reply(401, {"error": "NO_AUTH_FOUND", "error_description": f"Wrong authorization data in {request.path}"})
    method = request.path.rpartition("/")[2]
    if method == "scope.json":
        return Reply(200, {"result": ["crm", "user"]})
    if method == "crm.item.list.json":
        return Reply(200, {"result": {"items": PEOPLE}, "total": len(PEOPLE)})
    return Reply(200, {"result": {"id": 999}})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    with Service(default=portal) as service:
        yield service


def automate(folder: Path, webhook: str, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "BITRIX24_WEBHOOK": webhook, "HOME": str(folder), "AUTOMATE_DB": str(folder / "automate.db")}
    command = [sys.executable, "-m", "libax_automate", *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.req("LX-55")
def test_a_birthday_leaves_and_its_activity_is_in_the_crm_once(service: Service, tmp_path: Path) -> None:
    """Three people, three messages, three to-dos, however often the program runs."""
    webhook = f"{service.url}/rest/1/{CODE}/"
    for now in ("2026-12-24T08:00:00Z", "2026-12-24T10:00:00Z", "2026-12-24T11:00:00Z"):
        run = automate(tmp_path, webhook, "run", "--now", now)
        assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "out").glob("*.eml"))) == 3
    activities = [request.json() for request in service.requests if request.path.endswith("crm.activity.todo.add.json")]
    assert sorted(activity["ownerId"] for activity in activities) == [1, 2, 3]
    assert {activity["title"] for activity in activities} == {"Happy birthday!"}
    assert activities[0]["description"].startswith("All the best for your 46 years, Ana")


@pytest.mark.req("BX-20")
def test_a_wrong_webhook_is_named_and_never_shown(service: Service, tmp_path: Path) -> None:
    """``check --connect`` says what to do; the code in the address is in none of its words."""
    checked = automate(tmp_path, f"{service.url}/rest/1/wrong{CODE}/", "check", "--connect")
    assert checked.returncode == 78
    assert "NO_AUTH_FOUND" in checked.stderr
    assert CODE not in checked.stdout + checked.stderr

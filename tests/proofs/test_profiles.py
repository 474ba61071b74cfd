"""S1: mutated profiles through the command line: never a traceback, always file:line:col and exit 78, fast, and no secret echoed."""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.engine.test_profile_hostile import ODD
from tests.figures import Figure

#: read before a test's home takes the environment away
COUNT, SEED = int(os.environ.get("SOAK_PROFILES", "10000")), int(os.environ.get("SOAK_SEED", "99"))
SECRET = "canary-5f0e9c1b7d"
PROFILE = f"""
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
notify = ["admin@example.com"]
report = "mon 08:00"
activation = "next-day"

[defaults]
email = "mail"
sms = "gateway"
quiet = "21:00-09:00"

[apps.people]
connector = "csv"
contacts = "people.csv"
fields = {{ first_name = "Nome", birth_date = "Nascimento" }}

[apps.mail]
connector = "smtp"
host = "mail.example.com"
port = 587
username = "padaria"
password = "{SECRET}"
sender = "geral@example.com"

[apps.gateway]
connector = "http"
url = "https://sms.example.com/send"
headers = {{ Authorization = "Bearer {SECRET}", X-Key = {{ env = "CANARY" }} }}
json = {{ to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
success = "status == 200 and body.error == 0"
rate = "10/s"
concurrency = 4
window = 16
in_doubt = "hold"
on_recipient_error = "skip"
allow_private = ["10.1.2.3/32"]

[apps.hook]
connector = "webhook"
url = "https://crm.example.com/hook?key={SECRET}"
secret = {{ env = "CANARY" }}

[apps.files]
connector = "folder"
path = "out"

[models.birthday]
use = "birthday"
source = "people"
at = "09:30"
weekdays = "1-5"
start = 2026-12-01
end = 2027-12-31
audience = ["active", "person"]
where = "city == 'Porto' and age >= 18"
channel = "email"
subject = "Feliz aniversário, {{{{ first_name }}}}!"
text = "Olá (#FirstName#), feliz aniversário ao completar (#Age#) anos."
late = "skip"
expires = "1d"
feb29 = "feb28"

[models.news]
use = "notice"
source = "people"
every = "14d"
start = 2026-12-01
channel = "sms"
occasion = "natal"
text = "Olá {{{{ first_name }}}}"

[models.list]
use = "welcome"
source = "people"
realtime = true
webhook = "hook"
"""
PLACE = re.compile(r"^(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): .+")
#: pieces of the grammar of TOML, put where nobody expects them
GRAMMAR = (
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    '"',
    '"""',
    "'",
    "'''",
    "#",
    ",",
    ".",
    "\\",
    "\n",
    "\r",
    "\t",
    "\0",
    "\ufeff",
    "1e9",
    "true",
    "-",
    "\u202e",
    "é",
    "\U0001f382",
)


def mutated(chance: random.Random, text: str = PROFILE) -> bytes:
    """A profile with a few faults: of its lines, its grammar, its values or its bytes."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        key, equals, value = lines[at].partition("=")
        match chance.randrange(9):
            case 0 | 1:
                lines[at] = f"{key}= {chance.choice(ODD)(chance)}" if equals else lines[at]
            case 2:
                lines[at] = ""
            case 3:
                lines.insert(chance.randrange(len(lines)), lines[at])
            case 4:
                place = chance.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:place] + chance.choice(GRAMMAR) * chance.choice((1, 1, 1, 2, 40)) + lines[at][place:]
            case 5:
                lines[at] = f"{key[:-1]}{chance.choice('aeiou')}{equals}{value}"
            case 6:
                lines[at], lines[at - 1] = lines[at - 1], lines[at]
            case 7:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 8:
                lines[at] = f"{key}={equals and value.swapcase()}"
    content = bytearray("\n".join(lines).encode("utf-8", "surrogatepass"))
    for _ in range(chance.choice((0, 0, 0, 0, 1, 5)) if content else 0):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.02 and content:
        del content[chance.randrange(len(content)) :]
    return bytes(content)


def test_the_profile_itself_is_right(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
    (home / "people.csv").write_text(
        "id,Nome,Nascimento,email,mobile,city,created_at\n1,Ana,1980-12-24,ana@example.com,+351912345671,Porto,2026-01-02\n",
        encoding="utf-8",
    )
    (home / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (home / "profiles.toml").chmod(0o600)
    done = cli("check")
    assert done.code in (0, 3), done


def judge(cli: Cli, home: Path, count: int, seed: int, figure: Figure) -> None:
    path, chance = home / "profiles.toml", random.Random(seed)
    refused, longest, wrong = 0, 0.0, list[str]()
    path.touch(mode=0o600)
    (home / "people.csv").write_text(
        "id,Nome,Nascimento,email,mobile,city,created_at\n1,Ana,1980-12-24,ana@example.com,+351912345671,Porto,2026-01-02\n",
        encoding="utf-8",
    )
    for number in range(count):
        content = mutated(chance)
        path.write_bytes(content)
        began = time.process_time()
        done = cli("check")
        longest = max(longest, time.process_time() - began)
        said = f"{done.out}\n{done.err}"
        if SECRET in said:
            wrong.append(f"{number}: the secret is echoed: {said[:300]}")
        if "Traceback" in said or "fault of the program" in said:
            wrong.append(f"{number}: a crash: {said[:300]}")
        elif done.code == 78:
            refused += 1
            # without -v a finding is one line; it begins with its place
            for line in done.err.strip().splitlines():
                match = PLACE.match(line.removeprefix("warning: "))
                if match is None or match["file"] != str(path) or int(match["line"]) < 1 or int(match["column"]) < 1:
                    wrong.append(f"{number}: no place: {line[:200]}")
                elif " → " not in line:
                    wrong.append(f"{number}: nothing to do: {line[:200]}")
                elif not line.isprintable():
                    wrong.append(f"{number}: control characters: {line[:200]!r}")
        elif done.code not in (0, 3):
            wrong.append(f"{number}: exit {done.code}: {said[:200]}")
    figure(f"S1 seed {seed}: {count} mutated profiles, {refused} refused with their places, {len(wrong)} wrong, longest {longest:.2f} s")
    assert wrong[:5] == []
    assert longest < 1
    assert refused > count // 3


def test_what_a_file_is_called_steers_no_terminal(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the sweep: a path that is named in a finding, with all that may stand in a path."""
    monkeypatch.setenv("CANARY", "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
    (home / "profiles.toml").write_text(PROFILE.replace("people.csv", "peo\\tple\\u202e\\ufeff\\u001b[31m.csv"), encoding="utf-8")
    (home / "profiles.toml").chmod(0o600)
    done = cli("check")
    assert done.code == 78, done
    assert "[31m.csv" in done.err
    assert all(line.isprintable() for line in done.err.splitlines())


@pytest.mark.parametrize("seed", range(4))
def test_no_mutated_profile_breaks_the_program(seed: int, home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, figure: Figure) -> None:
    monkeypatch.setenv("CANARY", "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
    judge(cli, home, 250, seed, figure)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_ten_thousand_mutated_profiles(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, figure: Figure) -> None:
    monkeypatch.setenv("CANARY", "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
    judge(cli, home, COUNT, SEED, figure)

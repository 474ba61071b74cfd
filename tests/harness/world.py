"""A small business in a folder: people, a profile, a gateway; and the program run over it, in this process or one that is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from libax_automate.clock import ShiftedClock
from libax_automate.engine.run import RunResult, run_pass
from libax_automate.engine.store import Store
from libax_automate.engine.workspace import Workspace

#: a day on which everybody in the made-up files has a birthday, a Thursday
BIRTHDAY = "2026-12-24T10:00:00+00:00"

PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"
notify = ["admin@example.com"]

[defaults]
email = "correio"
sms = "sms"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

[apps.correio]
connector = "folder"
path = "saida"

[apps.sms]
connector = "http"
url = "{url}/send"
json = {{ id = "{{{{ message.id }}}}", to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
id = "id"
allow_private = ["127.0.0.1/32"]
{sms}

[models.parabens]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "sms"
text = "Olá (#FirstName#), parabéns pelos (#Age#) anos!"
{model}
"""


def people(count: int, *, day: str = "1980-12-24") -> str:
    """A CSV of ``count`` invented people who have their birthday on ``day``."""
    rows = "".join(f"{i},Pessoa {i},{day},p{i}@example.com,+3519{10000000 + i}\n" for i in range(1, count + 1))
    return "id,name,birth_date,email,mobile\n" + rows


class World:
    """A folder with a profile and a database."""

    def __init__(self, folder: Path, url: str, *, count: int = 5, sms: str = "", model: str = "", more: str = "") -> None:
        self.folder = folder
        self.profile = folder / "profiles.toml"
        self.db = folder / "state" / "automate.db"
        folder.mkdir(parents=True, exist_ok=True)
        self.profile.write_text(PROFILE.format(url=url, sms=sms, model=model) + more, encoding="utf-8")
        (folder / "clientes.csv").write_text(people(count), encoding="utf-8")

    def space(self, at: str = BIRTHDAY) -> Workspace:
        """The profile and the store at a moment."""
        return Workspace.open(profiles=self.profile, db=self.db, clock=ShiftedClock(datetime.fromisoformat(at)), environ=dict(os.environ))

    def run(self, at: str = BIRTHDAY, *, patience: float = 0.0, **options: Any) -> RunResult:
        """One pass at a moment, in this process."""
        with self.space(at) as space:
            return run_pass(space, patience=patience, **options)

    def store(self) -> Store:
        """The database as it stands."""
        return Store(self.db)

    def states(self) -> dict[str, int]:
        """How many messages are in each state, the program's own notices apart."""
        with self.store() as store:
            rows = store.db.rows(
                "SELECT m.state, count(*) FROM messages m JOIN models s ON s.id = m.model_id WHERE s.system = 0 GROUP BY 1"
            )
        return {str(state): int(count) for state, count in rows}

    def command(self, at: str = BIRTHDAY, *args: str) -> list[str]:
        """The program as a command line of its own."""
        return [sys.executable, "-m", "libax_automate", "run", "--profiles", str(self.profile), "--db", str(self.db), "--now", at, *args]

    def start(self, at: str = BIRTHDAY, *args: str) -> subprocess.Popen[bytes]:
        """A process of its own, for killing."""
        return subprocess.Popen(self.command(at, *args), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ))

    def kill_often(self, delays: Sequence[float] | None, seed: int, *, kills: int, at: str = BIRTHDAY) -> int:
        """Run to the end through ``kills`` SIGKILLs at random moments; returns how many processes were really killed."""
        rng = random.Random(seed)
        done = 0
        for _ in range(kills):
            process = self.start(at)
            try:
                process.wait(rng.choice(delays) if delays else rng.uniform(0.25, 0.9))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                done += 1
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
        return done

    def finish(self, at: str = BIRTHDAY, *, passes: int = 20) -> None:
        """Passes until nothing waits."""
        for _ in range(passes):
            if not self.run(at).waiting:
                return
            time.sleep(0.01)

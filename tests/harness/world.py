"""A small business in a folder: people, a profile, a gateway; and the program run over it, at whatever moment."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from libax_automate.clock import Clock, ShiftedClock
from libax_automate.engine.profile import find_profiles, load_profiles
from libax_automate.engine.redact import secrets_of
from libax_automate.engine.run import RunResult, run_pass
from libax_automate.engine.store import Store
from libax_automate.engine.store.rows import AppRow, ErrorRow, MessageRow, MessageState
from libax_automate.engine.workspace import Workspace
from libax_automate.plugins.catalogue import Catalogue, default_catalogue

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
{defaults}

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


def people(count: int, *, day: str = "1980-12-24", first: int = 1) -> str:
    """A CSV of ``count`` invented people who have their birthday on ``day``."""
    rows = "".join(f"{i},Pessoa {i},{day},p{i}@example.com,+3519{10000000 + i}\n" for i in range(first, first + count))
    return "id,name,birth_date,email,mobile\n" + rows


def later(at: str = BIRTHDAY, **span: float) -> str:
    """The moment so much after ``at``: ``later(hours=4)``."""
    return (datetime.fromisoformat(at) + timedelta(**span)).isoformat()


def open_space(profile: Path, db: Path, clock: Clock, catalogue: Catalogue) -> Workspace:
    """The workspace of a profile, as a command opens it."""
    loaded = load_profiles(find_profiles(profile, {}, profile.parent), catalogue, dict(os.environ))
    space = Workspace(loaded, db, catalogue, clock, sources=lambda: find_profiles(profile, {}, profile.parent))
    for each in loaded:
        space.redactor.add(secrets_of(each))
    return space


def run_pass_at(profile: Path, db: Path, at: datetime, *, catalogue: Catalogue | None = None, **options: Any) -> RunResult:
    """One pass over a profile, as if it were ``at``."""
    with open_space(profile, db, ShiftedClock(at), catalogue or default_catalogue()) as space:
        return run_pass(space, **options)


class World:
    """A folder with a profile and a database. ``profile`` replaces the whole text, ``more`` is put at its end."""

    def __init__(
        self, folder: Path, url: str = "http://127.0.0.1:9", *, count: int = 5, sms: str = "", model: str = "", more: str = "",
        defaults: str = "", profile: str | None = None, catalogue: Catalogue | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.profile = folder / "profiles.toml"
        self.db = folder / "state" / "automate.db"
        self.catalogue = catalogue or default_catalogue()
        folder.mkdir(parents=True, exist_ok=True)
        text = PROFILE.format(url=url, sms=sms, model=model, defaults=defaults) if profile is None else profile
        self.write(text + more)
        self.people(count)

    def write(self, text: str) -> None:
        """Put ``text`` in the place of the profile."""
        self.profile.write_text(text, encoding="utf-8")
        self.profile.chmod(0o600)

    def change(self, old: str, new: str) -> None:
        """Change the profile in one place."""
        text = self.profile.read_text(encoding="utf-8")
        assert text.count(old) == 1, (old, text)
        self.write(text.replace(old, new))

    def people(self, count: int, *, day: str = "1980-12-24") -> None:
        """Let the business have ``count`` customers."""
        (self.folder / "clientes.csv").write_text(people(count, day=day), encoding="utf-8")

    # -- running it ------------------------------------------------------------------------------------------------------

    def space(self, at: str = BIRTHDAY, *, clock: Clock | None = None) -> Workspace:
        """The profile and the store at a moment."""
        return open_space(self.profile, self.db, clock or ShiftedClock(datetime.fromisoformat(at)), self.catalogue)

    def run(self, at: str = BIRTHDAY, *, patience: float = 0.0, **options: Any) -> RunResult:
        """One pass at a moment, in this process."""
        with self.space(at) as space:
            return run_pass(space, patience=patience, **options)

    def finish(self, at: str = BIRTHDAY, *, passes: int = 20) -> None:
        """Passes until nothing waits."""
        for _ in range(passes):
            if not self.run(at).waiting:
                return
            time.sleep(0.01)
        raise AssertionError(f"still waiting after {passes} passes: {self.states()}")

    # -- looking at it ---------------------------------------------------------------------------------------------------

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

    def messages(self, *states: MessageState) -> list[MessageRow]:
        """The messages to people, in the order in which they leave."""
        with self.store() as store:
            return [row for row in store.ledger.listed(states=states, limit=100_000) if not row.system]

    def errors(self, *, closed: bool = False) -> list[ErrorRow]:
        """The open errors."""
        with self.store() as store:
            return store.errors.listed(closed=closed)

    def app(self, name: str = "sms", at: str = BIRTHDAY) -> AppRow:
        """An app's queue at a moment."""
        with self.store() as store:
            return next(row for row in store.apps.rows(datetime.fromisoformat(at).timestamp()) if row.name == name)

    def value(self, sql: str, *values: object) -> Any:
        """One value out of the database."""
        with self.store() as store:
            return store.db.value(sql, values)

    def sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file."""
        with self.store() as store:
            return store.db.problems() == []

    def mail(self) -> list[str]:
        """The subjects of the mail in ``saida``, in the order of the messages' ids."""
        files = sorted((self.folder / "saida").glob("*.eml"), key=lambda path: int(path.name[1:].split("_")[0]))
        return [str(make_header(decode_header(message_from_bytes(path.read_bytes())["Subject"]))) for path in files]

    def verb(self, name: str, error: int, at: str = BIRTHDAY, **options: Any) -> Any:
        """An operator resolves an error: retry, skip or sent."""
        with self.store() as store:
            return getattr(store.errors, name)(error, datetime.fromisoformat(at).timestamp(), **options)


def ids(rows: Sequence[MessageRow]) -> list[int]:
    """The ids of messages."""
    return [row.id for row in rows]

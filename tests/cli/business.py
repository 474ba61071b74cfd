"""A small business on disk for the command line's tests: customers in a CSV, an SMS gateway on loopback, mail into a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libax_automate.testing.service import Reply, Script, Service

#: the day on which Ana, Bruno and Carla have their birthday
DAY = "2026-12-24"
EARLY = f"{DAY}T08:00"
NOW = f"{DAY}T10:00"

CUSTOMERS = """\
id;name;birth_date;email;mobile;person_type;status
1;Ana Silva;24/12/1980;ana@example.com;+351912345671;person;active
2;Bruno Costa;24/12/1975;;+351912345672;person;active
3;Carla Dias;24/12/1992;carla@example.com;+351912345673;person;active
4;Padaria Central;24/12/2001;geral@padaria.example.com;+351912345674;company;active
5;Eva Matos;01/03/1988;eva@example.com;+351912345675;person;active
"""

PROFILE = """\
name = "padaria"
timezone = "Europe/Lisbon"
locale = "en_US"
country = "PT"
activation = "immediate"

[defaults]
email = "mail"
sms = "sms"

[apps.people]
connector = "csv"
contacts = "people.csv"

[apps.mail]
connector = "folder"
path = "out"

[apps.sms]
connector = "http"
url = "{url}/send"
json = {{ to = "{{{{ message.to }}}}", text = "{{{{ message.text }}}}" }}
channels = ["sms"]
allow_private = ["127.0.0.0/8"]
concurrency = 1
window = 1

[models.birthday]
use = "birthday"
source = "people"
at = "09:30"
audience = ["active", "person"]
channel = "email"
subject = "Happy birthday, {{{{ first_name }}}}!"
text = "Dear {{{{ first_name }}}}, you are {{{{ age }}}} now."

[models.birthday-sms]
use = "birthday"
source = "people"
at = "09:35"
audience = ["person"]
channel = "sms"
text = "Happy birthday, {{{{ first_name }}}}!"
"""

NO_BALANCE = Reply(402, {"error": "no balance"})
BAD_NUMBER = Reply(422, {"error": "no such number"})


@dataclass
class Business:
    """The files, and the gateway that the profile names."""

    folder: Path
    gateway: Service
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def profile(self) -> Path:
        """The profile file."""
        return self.folder / "profiles.toml"

    @property
    def customers(self) -> Path:
        """The CSV."""
        return self.folder / "people.csv"

    def write(self, text: str = PROFILE, customers: str = CUSTOMERS) -> Business:
        """Write both files anew."""
        self.profile.write_text(text.format(url=self.gateway.url), encoding="utf-8")
        self.profile.chmod(0o600)
        self.customers.write_text(customers, encoding="utf-8")
        return self

    def answers(self, script: Script) -> None:
        """What the gateway answers from now on."""
        self.gateway.on("/send", script)

    def mails(self) -> list[Path]:
        """The e-mails that left."""
        return sorted((self.folder / "out").glob("*.eml"))

    def texts(self) -> list[str]:
        """To whom the gateway was asked to send, in order."""
        return [request.json()["to"] for request in self.gateway.requests]

"""An insurance broker on disk: partners and their commissions in CSV files, payment notes by e-mail."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from pypdf import PdfReader

from libax_automate.engine.store import Store
from libax_automate.engine.store.documents import DocumentRow

PROFILE = """\
name = "seguros"
timezone = "Europe/Lisbon"
locale = "{locale}"
activation = "immediate"

[defaults]
email = "{via}"

[apps.gestao]
connector = "csv"
partners = "parceiros.csv"
commissions = "comissoes.csv"

[apps.saida]
connector = "folder"
path = "saida"

{more}

[models.notas]
use = "partner-notes"
source = "gestao"
at = "09:00"
monthdays = "1"
since = 2026-11-01
series = "NP"
subject = "Nota {{{{ number }}}}"
text = "{{{{ partner.name }}}}: {{{{ number }}}} de {{{{ issued }}}}, {{{{ count }}}} linhas, {{{{ total }}}}."
{options}
"""

PARTNERS = {
    "17": "Mediadora São João,norte@example.com,555000001,PT50 0000 0000 0000 0000 0000 0",
    "18": "Ana Conceição & Filhos,ana@example.com,555000002,",
    "19": "<b>Zé</b> {{ Lda }},ze@example.com,,",
}
COMMISSIONS = {
    "1": "17,FT 2026/118,2026-11-15,1000.00,5,50.00,EUR",
    "2": '17,FT 2026/119,2026-11-20,2000.00,"7,125",,EUR',
    "3": "18,FT 2026/120,2026-11-21,100.00,5,4.99,EUR",
    "4": "19,FT 2026/121,2026-11-30,100.00,5,5.00,EUR",
}
#: a first look before, the first day that makes notes, and the next
SEEN, FIRST, SECOND = "2026-11-22T10:00", "2026-12-01T09:01", "2027-01-01T09:01"


@dataclass
class Broker:
    """The files of one."""

    home: Path
    partners: dict[str, str] = field(default_factory=lambda: dict(PARTNERS))
    commissions: dict[str, str] = field(default_factory=lambda: dict(COMMISSIONS))
    options: str = ""
    more: str = ""
    via: str = "saida"
    locale: str = "pt_PT"

    @property
    def profile(self) -> Path:
        """The profile file."""
        return self.home / "profiles.toml"

    @property
    def db(self) -> Path:
        """The database."""
        return self.home / "state" / "automate.db"

    def write(self) -> Broker:
        """Write all files anew."""
        self.home.mkdir(parents=True, exist_ok=True)
        text = PROFILE.format(options=self.options, more=self.more, via=self.via, locale=self.locale)
        self.profile.write_text(text, encoding="utf-8")
        self.profile.chmod(0o600)
        self._csv("parceiros.csv", "id,name,email,tax_id,iban", self.partners)
        self._csv("comissoes.csv", "id,partner,document,date,base,rate,amount,currency", self.commissions)
        return self

    def _csv(self, name: str, head: str, rows: dict[str, str]) -> None:
        lines = "".join(f"{key},{row}\n" for key, row in rows.items())
        (self.home / name).write_text(f"{head}\n{lines}", encoding="utf-8")

    def mails(self) -> list[EmailMessage]:
        """What the folder app was given, by subject."""
        parser = BytesParser(policy=policy.default)
        found = [parser.parsebytes(path.read_bytes()) for path in (self.home / "saida").glob("*.eml")]
        return sorted((mail for mail in found if isinstance(mail, EmailMessage)), key=lambda mail: str(mail["subject"]))

    def documents(self) -> list[DocumentRow]:
        """All documents, oldest first."""
        with Store(self.db, readonly=True) as store:
            return list(reversed(store.documents.listed()))

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """What the database answers."""
        with Store(self.db, readonly=True) as store:
            return store.db.rows(sql)


def files(mail: EmailMessage) -> dict[str, bytes]:
    """The attachments of a mail: name -> bytes."""
    found = {}
    for part in mail.iter_attachments():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(part.get_filename())] = content
    return found


def text_of(pdf: bytes) -> str:
    """The words of a PDF, pages one after the other, with plain spaces."""
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).replace("\xa0", " ")


def squeezed(texts: Iterable[str]) -> str:
    """Words on one line, as a person reads them."""
    return " ".join(" ".join(texts).split())

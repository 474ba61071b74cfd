"""What ``automate init`` writes: a commented profile that works at once, sample customers, and nothing that leaves the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from libax_automate.engine.profile.keys import name_problem
from libax_automate.errors import UsageError

_PORTUGUESE = """\
# O perfil de um cliente. Cada chave desconhecida é um erro com linha e coluna: `automate check`.
# O editor completa e verifica este ficheiro com o esquema de `automate schema`.

name     = "@name@"
timezone = "@timezone@"    # todas as horas deste ficheiro
locale   = "@locale@"            # datas, valores e avisos
notify   = []                 # quem recebe os avisos de erro e o relatório: ["admin@example.com"]
# report = "seg 08:00"        # o relatório semanal

# Um horário novo ou alterado só vale a partir do dia seguinte ("next-day"), para que nada saia por engano.
# Aqui vale já, para experimentar; em produção, apague a linha seguinte.
activation = "immediate"

[defaults]
email = "saida"               # a aplicação que envia, por canal
sms   = "saida"
# quiet = "21:00-08:00"       # horas de silêncio: as mensagens esperam, nenhuma se perde

# ---- Aplicações: de onde vêm os dados e por onde saem as mensagens -------------------------------------------
# `automate connectors list` mostra as que há; `automate connectors show NOME` diz como obter as credenciais.

[apps.clientes]
connector = "csv"
contacts  = "@csv@"   # um CSV do Excel; o caminho parte deste ficheiro
fields    = { id = "Código", birth_date = "Data de nascimento", mobile = "Telemóvel", person_type = "Tipo", created_at = "Cliente desde" }

[apps.saida]
connector = "folder"          # escreve cada mensagem numa pasta, sem enviar nada
path      = "outbox"

# Para enviar a sério, por um servidor de correio (e depois: email = "correio" em [defaults]):
# [apps.correio]
# connector = "smtp"
# host      = "smtp.example.com"
# username  = "geral@example.com"
# password  = { env = "SMTP_PASSWORD" }   # ou { file = "…" }, { credential = "…" }, { keyring = "serviço/utilizador" }
# sender    = "geral@example.com"

# ---- Modelos: o quê, quando, para quem ------------------------------------------------------------------------

[models.aniversario]
use      = "birthday"         # quem faz anos no dia
source   = "clientes"
at       = "09:30"            # ou cron = "30 9 * * *", ou every = "14d"
# weekdays = "seg-sex"        # também monthdays = "1-15" e months = "jan-jun"; todos têm de se verificar
audience = ["active", "person"]    # só clientes ativos, só pessoas; há ainda "no-mobile" e "no-email"
channel  = "email"
subject  = "Feliz aniversário, {{ first_name }}!"
text     = \"\"\"
Olá (#FirstName#),

feliz aniversário ao completar (#Age#) anos!

A equipa
\"\"\"
# where  = "city == 'Porto'"  # uma condição sobre os campos do cliente

[models.boas-vindas]
use      = "welcome"          # quem apareceu desde a última vez; a primeira vez só toma nota de quem já existe
source   = "clientes"
at       = "10:00"
audience = ["active"]
channel  = "email"
subject  = "Bem-vindo, {{ first_name or name }}!"
text     = \"\"\"
Olá {{ first_name or name }},

é um gosto tê-lo connosco. Em que podemos ajudar?

A equipa
\"\"\"

# Experimente:
#   automate check
#   automate plan aniversario --on 2026-12-24     quem recebe, quem não recebe e porquê; não envia nada
#   automate run                                  uma passagem; as mensagens ficam em outbox/
"""

_ENGLISH = """\
# One client's profile. Every unknown key is an error with line and column: `automate check`.
# An editor completes and checks this file with the schema of `automate schema`.

name     = "@name@"
timezone = "@timezone@"    # of all times in this file
locale   = "@locale@"            # dates, amounts and notices
notify   = []                 # who gets error notices and the report: ["admin@example.com"]
# report = "mon 08:00"        # the weekly report

# A new or changed schedule takes effect on the following day ("next-day"), so that nothing leaves by mistake.
# Here it takes effect at once, to try things out; in production delete the next line.
activation = "immediate"

[defaults]
email = "out"                 # the app that sends, by channel
sms   = "out"
# quiet = "21:00-08:00"       # hours of quiet: messages wait, none is lost

# ---- Apps: where records come from and messages leave by ------------------------------------------------------
# `automate connectors list` shows what there is; `automate connectors show NAME` says how to get credentials.

[apps.customers]
connector = "csv"
contacts  = "@csv@"  # the path starts at this file
fields    = { id = "Number", birth_date = "Date of birth", mobile = "Mobile", person_type = "Type", created_at = "Customer since" }

[apps.out]
connector = "folder"          # writes each message into a folder and sends nothing
path      = "outbox"

# To send in earnest, over a mail server (and then: email = "mail" in [defaults]):
# [apps.mail]
# connector = "smtp"
# host      = "smtp.example.com"
# username  = "office@example.com"
# password  = { env = "SMTP_PASSWORD" }   # or { file = "…" }, { credential = "…" }, { keyring = "service/user" }
# sender    = "office@example.com"

# ---- Models: what, when, for whom -----------------------------------------------------------------------------

[models.birthday]
use      = "birthday"         # whose birthday it is
source   = "customers"
at       = "09:30"            # or cron = "30 9 * * *", or every = "14d"
# weekdays = "mon-fri"        # also monthdays = "1-15" and months = "jan-jun"; all must hold
audience = ["active", "person"]    # active customers, people only; there are "no-mobile" and "no-email" too
channel  = "email"
subject  = "Happy birthday, {{ first_name }}!"
text     = \"\"\"
Dear {{ first_name }},

happy birthday, and all the best for your {{ age }} years!

The team
\"\"\"
# where  = "city == 'Porto'"  # a condition over the customer's fields

[models.welcome]
use      = "welcome"          # who appeared since the last time; the first time only notes who is there already
source   = "customers"
at       = "10:00"
audience = ["active"]
channel  = "email"
subject  = "Welcome, {{ first_name or name }}!"
text     = \"\"\"
Dear {{ first_name or name }},

it is good to have you with us. What can we do for you?

The team
\"\"\"

# Try:
#   automate check
#   automate plan birthday --on 2026-12-24        who gets it, who does not and why; sends nothing
#   automate run                                  one pass; the messages are in outbox/
"""

_IGNORE = """\
outbox/
*.db
*.db-wal
*.db-shm
*.secret
.env
"""

#: invented people; dates as Excel writes them in Portugal
_PEOPLE = (
    ("1", "Ana Silva", "24/12/1980", "ana.silva@example.com", "+351 912 345 678", "person", "active", "Porto", "03/02/2024"),
    ("2", "Bruno Costa", "24/12/1975", "", "+351 912 345 679", "person", "active", "Braga", "15/06/2025"),
    ("3", "Carla Dias", "24/12/1992", "carla.dias@example.com", "", "person", "active", "Lisboa", "20/09/2025"),
    (
        "4",
        "Padaria Central, Lda",
        "24/12/2001",
        "geral@padaria.example.com",
        "+351 912 345 680",
        "company",
        "active",
        "Porto",
        "11/01/2023",
    ),
    ("5", "Duarte Reis", "24/12/1968", "duarte.reis@example.com", "+351 912 345 681", "person", "inactive", "Faro", "30/04/2022"),
    ("6", "Eva Matos", "29/02/1988", "eva.matos@example.com", "+351 912 345 682", "person", "active", "Aveiro", "08/08/2025"),
    ("7", "Filipe Nunes", "03/05/1990", "filipe.nunes@example.com", "+351 912 345 683", "person", "active", "Porto", "19/10/2026"),
    ("8", "Gil Prata", "31/02/1985", "gil.prata@example", "912", "person", "active", "Évora", "02/11/2026"),
    ("", "", "24/12/1999", "", "", "person", "active", "Coimbra", "04/11/2026"),
    ("10", "Inês Rocha", "24/12/2000", "ines.rocha@example.com", "+351 912 345 684", "person", "active", "Setúbal", "10/11/2026"),
)
_PT_HEAD = ("Código", "Nome", "Data de nascimento", "E-mail", "Telemóvel", "Tipo", "Estado", "Cidade", "Cliente desde")
_EN_HEAD = ("Number", "Name", "Date of birth", "E-mail", "Mobile", "Type", "Status", "City", "Customer since")
_PT_WORDS = {"person": "Pessoa", "company": "Empresa", "active": "Ativo", "inactive": "Inativo"}

_ZONES = {"pt_PT": "Europe/Lisbon", "pt_BR": "America/Sao_Paulo", "en_US": "Europe/London"}


def write_starter(folder: Path, *, name: str, language: str, timezone: str | None = None) -> list[Path]:
    """Write ``profiles.toml``, sample customers and ``.gitignore`` into ``folder`` (made if missing); answers the files written.

    ``language`` is ``pt``, ``pt_PT``, ``pt_BR`` or anything else for English. Raises UsageError where a file of that name
    exists (nothing is written then), where ``name`` is no profile name, or the folder cannot be written.
    """
    if problem := name_problem(name):
        raise UsageError(f"profile {problem[0]}", hint=problem[1])
    locale = _locale(language)
    portuguese = locale.startswith("pt")
    customers = "clientes.csv" if portuguese else "customers.csv"
    values = {"name": name, "timezone": timezone or _ZONES[locale], "locale": locale, "csv": customers}
    files = {
        "profiles.toml": (_filled(_PORTUGUESE if portuguese else _ENGLISH, values), 0o600),
        customers: (_customers(portuguese=portuguese), 0o600),
        ".gitignore": (_IGNORE, 0o644),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if there := [file for file in files if os.path.lexists(folder / file)]:
            raise UsageError(f"{folder / there[0]} exists already", hint="name another folder: automate init DIR")
        return [_write(folder / file, text, mode) for file, (text, mode) in files.items()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UsageError(f"{folder} cannot be written: {reason}", hint="name another folder: automate init DIR") from None


def _locale(language: str) -> str:
    text = language.replace("-", "_").partition(".")[0].lower()
    return "pt_BR" if text == "pt_br" else "pt_PT" if text.partition("_")[0] == "pt" else "en_US"


def _filled(template: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    return template


def _customers(*, portuguese: bool) -> str:
    """Semicolons, as Excel writes them where the comma is the decimal sign."""
    head, words = (_PT_HEAD, _PT_WORDS) if portuguese else (_EN_HEAD, {})
    return "".join(";".join(words.get(cell, cell) for cell in row) + "\n" for row in (head, *_PEOPLE))


def _write(path: Path, text: str, mode: int) -> Path:
    # neither an umask of 002 nor a file that appears meanwhile may get in: others' write access is refused when loading
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return path

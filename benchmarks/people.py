"""Invented customers, and a profile that writes to them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

PROFILE = """
name = "bench"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
sms = "sms"

[apps.crm]
connector = "csv"
contacts = "customers.csv"

[apps.sms]
{app}

[models.birthday]
use = "birthday"
source = "crm"
at = "10:00"
channel = "sms"
text = "Olá (#FirstName#), feliz aniversário ao completar (#Age#) anos. A padaria tem um bolo à sua espera."
"""

#: one notice to everybody, and what stands in its way
NOTICE = """
[models.notice]
use = "notice"
source = "crm"
at = "11:00"
channel = "sms"
class = "billing"
text = "Olá (#FirstName#), a padaria fecha na segunda-feira. Até terça!"
"""
GUARDS = """
[[tact]]
hold = "billing"
near = "birthday"
within = "3d"

[[tact]]
hold = "billing"
on = "birth_date"
"""
CAP = 'cap = "2 per 7d"\n'

_HEADER = "Código;Nome;E-mail;Telemóvel;Nascimento;Tipo;Estado;Cidade\n"


def write(path: Path, count: int, *, due: int | None = None) -> None:
    """``count`` customers; ``due`` of them, spread evenly, have their birthday on 24 December, else as many as chance has it."""
    first = date(1950, 1, 1)
    days = [first + timedelta(days=number) for number in range(18_000)]
    spread = [f"{day:%d/%m/%Y}" for day in days]
    others = [f"{day:%d/%m/%Y}" for day in days if (day.month, day.day) != (12, 24)]
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER)
        for number in range(count):
            if due is None:
                born = spread[number * 7919 % len(spread)]
            elif number * due // count != (number + 1) * due // count:
                born = "24/12/1980"
            else:
                born = others[number * 7919 % len(others)]
            file.write(
                f"{number + 1};Pessoa {number};p{number}@example.com;+35191{number % 10_000_000:07d};{born};Particular;Ativo;Porto\n"
            )


def business(folder: Path, count: int, *, due: int | None = None, app: str = 'connector = "nothing"') -> None:
    """A profile and its customers."""
    profile(folder / "profiles.toml", PROFILE.format(app=app))
    write(folder / "customers.csv", count, due=due)


def profile(path: Path, text: str) -> None:
    """A profile's file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

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
    profile = folder / "profiles.toml"
    profile.write_text(PROFILE.format(app=app), encoding="utf-8")
    profile.chmod(0o600)
    write(folder / "customers.csv", count, due=due)

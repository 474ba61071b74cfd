"""A quarter of the billing ladder, day by day, against an oracle that shares nothing with the program: none missing, none too many.

Invoices are paid, cancelled and never paid; the machine is off for five days, and later the queue stands still for five days while the
planning goes on. Business days are those of Portugal; the holidays of the quarter are written down here.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import Cli
from tests.figures import Figure

FIRST = date(2026, 10, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(90)]
#: the machine is off; the queue is paused
OFF = set(DAYS[30:35])
PAUSED = set(DAYS[60:65])
HOLIDAYS = {date(2026, 10, 5), date(2026, 11, 1), date(2026, 12, 1), date(2026, 12, 8), date(2026, 12, 25)}
STEPS = ("lembrete", "aviso", "firme", "pendencia", "cartorio")
GAP = 6

PROFILE = """
name = "empresa"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
sms = "saida"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"
invoices = "faturas.csv"

[apps.saida]
connector = "folder"
path = "saida"
concurrency = 2
window = 500

[models.cobranca]
use = "billing"
source = "gestao"
at = "09:00"
channel = "sms"
days = "business"
country = "PT"
gap = "6d"
text = "{{ stage }}|{{ invoice.id }}"
steps = [
  { stage = "lembrete" },
  { stage = "aviso" },
  { stage = "firme", when = "due + 9d" },
  { stage = "pendencia" },
  { stage = "cartorio", when = "previous + 7d", approve = false },
  { stage = "baixa" },
  { stage = "cancelamento" },
]
"""


@dataclass
class Invoice:
    """What becomes of an invoice in this quarter, decided before it begins."""

    id: str
    customer: int
    due: date
    reachable: bool
    end: str = ""
    ended: date = date.max

    def status(self, day: date) -> str:
        return self.end if day >= self.ended else "open"

    def row(self, day: date) -> str:
        status = self.status(day)
        at = self.ended.isoformat() if status != "open" else ""
        return f"{self.id},{self.customer},50.00,{self.due},{status},{at if status == 'paid' else ''},{at}\n"


def made_up(count: int, seed: int) -> list[Invoice]:
    dice = random.Random(seed)
    found = []
    for number in range(count):
        customer = number // 3
        due = FIRST + timedelta(days=dice.randrange(-12, 88))
        invoice = Invoice(f"F{number}", customer, due, reachable=customer % 40 != 7)
        fate = dice.random()
        if fate < 0.65:
            invoice.end, invoice.ended = "paid", max(due + timedelta(days=dice.randrange(-8, 60)), FIRST + timedelta(days=1))
        elif fate < 0.75:
            invoice.end, invoice.ended = "cancelled", max(due + timedelta(days=dice.randrange(-8, 60)), FIRST + timedelta(days=1))
        found.append(invoice)
    return found


# -- the oracle: one invoice at a time, each day as a person with a calendar would go through it ------------------------------


def works(day: date) -> bool:
    return day.weekday() < 5 and day not in HOLIDAYS


def count(day: date, number: int) -> date:
    step = timedelta(days=1 if number > 0 else -1)
    for _ in range(abs(number)):
        day += step
        while not works(day):
            day += step
    return day


@dataclass
class Said:
    step: str
    day: date
    state: str = "waits"
    void_from: date = date.max


@dataclass
class Desk:
    """One invoice on the clerk's desk."""

    invoice: Invoice
    said: list[Said] = field(default_factory=list)
    left: set[tuple[str, str, date]] = field(default_factory=set)

    def moment(self, step: str) -> date | None:
        fixed = {"lembrete": -3, "aviso": 2, "firme": 9}
        if step in fixed:
            day = count(self.invoice.due, fixed[step])
            return day if day >= FIRST else None
        before, days = {"pendencia": ("firme", 5), "cartorio": ("pendencia", 7)}[step]
        told = [each.day for each in self.said if each.step == before and each.state == "left"]
        return count(told[0], days) if told else None

    def think(self, day: date) -> None:
        status = self.invoice.status(day)
        if status != "open":
            step = {"paid": "baixa", "cancelled": "cancelamento"}[status]
            if not any(each.step == step for each in self.said):
                self.said.append(Said(step, day))
            return
        told = [each for each in self.said if each.state != "void"]
        reached = max((STEPS.index(each.step) for each in told), default=-1)
        for step in reversed(STEPS[reached + 1 :]):
            moment = self.moment(step)
            if moment is None or moment > day or (step == "lembrete" and day > self.invoice.due):
                continue
            spoken = [each.day for each in told if each.state in ("waits", "left")]
            if not spoken or (day - max(spoken)).days >= GAP:
                ends = [
                    count(self.invoice.due, number)
                    for name, number in (("aviso", 2), ("firme", 9))
                    if STEPS.index(name) > STEPS.index(step)
                ]
                if step == "lembrete":
                    ends.append(self.invoice.due + timedelta(days=1))
                self.said.append(Said(step, day, void_from=min((end for end in ends if end > day), default=date.max)))
            return

    def post(self, day: date) -> None:
        for each in self.said:
            if each.state != "waits":
                continue
            right = {"baixa": "paid", "cancelamento": "cancelled"}.get(each.step, "open")
            if day >= each.void_from:
                each.state = "over"
            elif self.invoice.status(day) != right:
                each.state = "void"
            else:
                each.state, each.day = "left", day
                self.left.add((self.invoice.id, each.step, day))


def oracle(invoices: list[Invoice]) -> set[tuple[str, str, date]]:
    expected: set[tuple[str, str, date]] = set()
    for invoice in invoices:
        if not invoice.reachable:
            continue
        desk = Desk(invoice)
        for day in DAYS:
            if day in OFF:
                continue
            desk.think(day)
            if day not in PAUSED:
                desk.post(day)
        expected |= desk.left
    return expected


# -- the program ------------------------------------------------------------------------------------------------------------


def quarter(cli: Cli, folder: Path, invoices: list[Invoice]) -> tuple[set[tuple[str, str, date]], int, list[tuple[float, float]]]:
    """What left on which day, how many messages that was, and what each day's run took: seconds, and seconds of CPU."""
    (folder / "profiles.toml").write_text(PROFILE, encoding="utf-8")
    (folder / "profiles.toml").chmod(0o600)
    people = {invoice.customer: invoice.reachable for invoice in invoices}
    rows = "".join(f"{each},Cliente {each},{f'+3519{10000000 + each}' if ok else ''}\n" for each, ok in people.items())
    (folder / "clientes.csv").write_text("id,name,mobile\n" + rows, encoding="utf-8")
    took = []
    paused = False
    for day in DAYS:
        text = "id,customer,amount,due,status,paid_at,changed_at\n" + "".join(invoice.row(day) for invoice in invoices)
        (folder / "faturas.csv").write_text(text, encoding="utf-8")
        if day in OFF:
            continue
        if paused != (day in PAUSED):
            paused = not paused
            assert cli("queue", "pause" if paused else "resume", "saida", "--db", "a.db", "--now", f"{day}T08:00").code == 0
        started, used = time.perf_counter(), time.process_time()
        done = cli("run", "--db", "a.db", "--now", f"{day}T09:00", "--json")
        took.append((time.perf_counter() - started, time.process_time() - used))
        assert done.code in (0, 3), done.err
    left, messages = set(), 0
    for path in (folder / "saida").glob("*.json"):
        message = json.loads(path.read_text(encoding="utf-8"))
        step, _, invoice = message["text"].partition("|")
        left.add((invoice, step, date.fromisoformat(message["sent_at"][:10])))
        messages += 1
    return left, messages, took


def prove(cli: Cli, folder: Path, figure: Figure, number: int) -> None:
    invoices = made_up(number, seed=number)
    expected = oracle(invoices)
    left, messages, took = quarter(cli, folder, invoices)
    ends = {invoice.id: invoice for invoice in invoices}
    late = [each for each in left if each[1] in STEPS and ends[each[0]].status(each[2]) != "open"]
    missing, extra = expected - left, left - expected
    wall, cpu = (sorted(each) for each in zip(*took, strict=True))
    figure(
        f"ladder, 90 days, {number} invoices: {messages} messages, missing {len(missing)}, extra {len(extra) + messages - len(left)}, "
        f"after payment {len(late)}; a day's run {median(wall):.2f} s (median), {wall[-3]:.2f} s (all but two), {wall[-1]:.2f} s (longest); "
        f"of CPU {median(cpu):.2f} s, {cpu[-3]:.2f} s, {cpu[-1]:.2f} s"
    )
    assert sorted(missing) == []
    assert sorted(extra) == []
    assert messages == len(left)
    assert late == []
    # the quarter was worth looking at: every step happened, and each outage bent the course of some
    assert {step for _, step, _ in left} == {*STEPS, "baixa", "cancelamento"}
    assert len(left) > number


@pytest.mark.req("IC-11", "IC-12", "IC-13", "IC-16", "IC-17", "IC-18", "IC-21")
def test_a_quarter_of_the_ladder_leaves_nothing_out_and_adds_nothing(cli: Cli, home: Path, figure: Figure) -> None:
    prove(cli, home, figure, 600)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_quarter_of_the_ladder_over_ten_thousand_invoices(cli: Cli, home: Path, figure: Figure) -> None:
    prove(cli, home, figure, 10_000)

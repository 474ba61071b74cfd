"""IXC's two routines, as their example profiles lie in the repository: the birthday over WhatsApp, and the billing ladder over a quarter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
EVE = "2026-12-24"


def folder(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = home / name
    shutil.copytree(ROOT / "examples" / name, made, ignore=shutil.ignore_patterns("saida", "*.db"))
    (made / "profiles.toml").chmod(0o600)
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def birthdays(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return folder("ixc-aniversario", home, monkeypatch)


@pytest.fixture
def ladder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return folder("ixc-cobranca", home, monkeypatch)


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(cli: Cli) -> Run:
    """A run at half past eight and ten of a day, or at another moment."""

    def at(day: str, time: str = "08:40") -> dict[str, Any]:
        done = cli("run", "--db", "a.db", "--now", f"{day}T{time}", "--json")
        assert done.code in (0, 3), done.err
        found: dict[str, Any] = done.json
        return found | {"code": done.code}

    return at


def texts(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "saida").glob("*.json"), key=lambda path: int(path.name[1:].split("_")[0]))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def said(folder: Path, person: str) -> list[str]:
    return [str(text["template"]) for text in texts(folder) if text["person"] == person]


def pay(folder: Path, invoice: str, status: str = "Pago", day: str = "15/10/2026") -> None:
    path = folder / "faturas.csv"
    rows = [row.split(";") for row in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if row[0] == invoice:
            row[7] = status
            row[8], row[9] = (day, "") if status == "Pago" else ("", day)
    path.write_text("\n".join(map(";".join, rows)) + "\n", encoding="utf-8")


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "profiles.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


# the birthday


def test_both_examples_are_valid(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ixc-aniversario", "ixc-cobranca"):
        folder(name, home, monkeypatch)
        done = cli("check", "--now", "2026-09-30T12:00")
        assert (done.code, done.err) == (0, "")


@pytest.mark.req("IB-02", "IB-09", "IB-10", "IB-11", "IB-12", "IB-13", "IB-17", "IB-20")
def test_the_birthdays_of_the_day_are_found_and_sent_with_the_template_and_its_variables_in_order(birthdays: Path, run: Run) -> None:
    run(EVE, "07:00")
    done = run(EVE, "07:31")
    assert [(task["slot"], task["queued"], task["excluded"]) for task in done["items"]] == [("2026-12-24T07:30", 2, 3)]
    assert [(text["channel"], text["to"], text["template"], text["vars"]) for text in texts(birthdays)] == [
        ("whatsapp", "+5511955500201", "feliz_aniversario", ["João da Silva", "24/12/1980"]),
        ("whatsapp", "+5511955500206", "feliz_aniversario", ["Carlos Souza", "24/12/1966"]),
    ]


@pytest.mark.req("IB-10", "IB-11")
def test_without_the_words_inactive_people_and_companies_hear_too(birthdays: Path, cli: Cli) -> None:
    change(birthdays, 'audience = ["active", "person"]', "audience = []")
    done = cli("plan", "aniversario", "--on", EVE, "--json")
    assert {item["person"] for item in done.json["items"] if item["verdict"] == "send"} == {"201", "202", "203", "206"}


@pytest.mark.req("IB-21")
def test_a_day_without_birthdays_is_an_empty_run_and_the_next_one_goes_on(birthdays: Path, run: Run) -> None:
    run("2026-12-22")
    quiet = run("2026-12-23")
    assert (quiet["code"], quiet["sent"], [task["state"] for task in quiet["items"]]) == (0, 0, ["done", "done"])
    assert run(EVE)["sent"] == 2


@pytest.mark.req("IB-18", "IC-21")
def test_the_second_task_is_accepted_and_its_run_sends_what_waits(birthdays: Path, cli: Cli, run: Run) -> None:
    run(EVE, "07:00")
    assert cli("queue", "pause", "saida", "--db", "a.db").code == 0
    assert run(EVE, "07:31")["waiting"] == 2
    assert cli("queue", "resume", "saida", "--db", "a.db").code == 0
    done = run(EVE, "08:00")
    assert done["sent"] == 2
    assert "fila" in {task["model"] for task in done["items"]}


@pytest.mark.req("IB-14", "IB-15", "IB-16", "IC-23", "IC-24")
def test_todos_still_respects_the_weekdays(birthdays: Path, cli: Cli) -> None:
    text = (birthdays / "profiles.toml").read_text(encoding="utf-8")
    (birthdays / "profiles.toml").write_text(text.replace('weekdays = "Todos"', 'weekdays = "1-5"'), encoding="utf-8")
    days = {item["slot"][:10] for item in cli("calendar", "2026-12", "--json").json["items"]}
    # December 2026 begins on a Tuesday; 24 of its days are Monday to Friday less one: 23
    assert len(days) == 23
    assert "2026-12-05" not in days


@pytest.mark.req("IB-19", "IC-22", "IC-25")
@pytest.mark.parametrize(
    ("at", "warning"),
    [("7h00", "ran before it, at 07:00 (IB-19)"), ("7h45", "15 minutes later, not 30 (IC-22)"), ("7h30", "fire at the same time")],
)
def test_a_send_task_at_a_wrong_time_is_named(birthdays: Path, cli: Cli, at: str, warning: str) -> None:
    change(birthdays, '"8h00"', f'"{at}"')
    done = cli("check", "--now", "2026-12-01T12:00")
    assert done.code == 0
    assert warning in done.out + done.err
    assert "profiles.toml:" in done.out + done.err


def test_a_day_on_which_nothing_sends_is_named(birthdays: Path, cli: Cli) -> None:
    change(birthdays, 'at       = "8h00"\nweekdays = "Todos"', 'at       = "8h00"\nweekdays = "1-5"')
    done = cli("check", "--now", "2026-12-01T12:00")
    assert "no send task runs on that day" in done.out + done.err


# the ladder


@pytest.mark.req("IC-01", "IC-06", "IC-07", "IC-09", "IC-10", "IC-11", "IC-12", "IC-13", "IC-14", "IC-15", "IC-16", "IC-26")
def test_a_debt_climbs_the_whole_ladder_in_business_days(ladder: Path, cli: Cli, run: Run) -> None:
    """Due on Friday 9 October; 12 October, 2 and 20 November are holidays in São Paulo."""
    for day in ("10-05", "10-06", "10-13", "10-14", "10-20", "10-21", "10-29", "10-30", "11-13", "11-16", "12-07", "12-08"):
        run(f"2026-{day}")
    mine = [text for text in texts(ladder) if text["person"] == "101"]
    assert [(text["sent_at"][:10], text["template"]) for text in mine] == [
        ("2026-10-06", "lembrete_fatura"),
        ("2026-10-14", "aviso_cobranca"),
        ("2026-10-21", "questionamento_pendencia"),
        ("2026-10-30", "agendar_pagamento"),
        ("2026-11-16", "cobranca_presencial"),
    ]
    assert [value.replace("\xa0", " ") for value in mine[0]["vars"]] == [
        "João da Silva", "R$ 123,00", "09/10/2026", "https://example.com/boleto/5001",
    ]  # fmt: skip
    assert mine[4]["extra"] == {"departamento": "financeiro"}
    story = cli("explain", "cobranca", "FT 5001", "--db", "a.db", "--now", "2026-12-08T09:00")
    assert "presencial sent 2026-11-16" in story.out
    assert "cartorio waits since 2026-12-08" in story.out
    assert "waits for approval A1" in story.out
    assert cli("approve", "A1", "--db", "a.db", "--now", "2026-12-08T09:30").code == 0
    run("2026-12-08", "10:00")
    assert said(ladder, "101")[-1] == "aviso_cartorio"
    # paid at last: the thanks, and the listing is removed
    pay(ladder, "5001", day="10/12/2026")
    run("2026-12-11")
    assert said(ladder, "101")[-2:] == ["pagamento_recebido", "negativacao_removida"]


@pytest.mark.req("IC-17", "IC-18", "IC-19")
def test_whoever_settles_leaves_the_ladder_with_a_word_of_its_own(ladder: Path, run: Run) -> None:
    for day in ("10-05", "10-06", "10-14"):
        run(f"2026-{day}")
    pay(ladder, "5001")
    pay(ladder, "5002", "Cancelado")
    pay(ladder, "5003", "Renegociado")
    for day in ("10-19", "10-20", "10-21", "10-30"):
        run(f"2026-{day}")
    assert said(ladder, "101") == ["lembrete_fatura", "aviso_cobranca", "pagamento_recebido"]
    assert said(ladder, "102") == ["lembrete_fatura", "aviso_cobranca", "cobranca_cancelada"]
    assert said(ladder, "103") == ["lembrete_fatura", "aviso_cobranca", "renegociacao_confirmada"]


@pytest.mark.req("IC-20")
def test_a_listing_is_removed_only_where_the_notary_was_announced(ladder: Path, run: Run) -> None:
    for day in ("10-05", "10-06"):
        run(f"2026-{day}")
    pay(ladder, "5001", day="08/10/2026")
    run("2026-10-09")
    assert said(ladder, "101") == ["lembrete_fatura", "pagamento_recebido"]


def test_a_payment_that_arrives_while_the_message_waits_holds_it_back(ladder: Path, cli: Cli, run: Run) -> None:
    run("2026-10-05")
    assert cli("queue", "pause", "saida", "--db", "a.db").code == 0
    assert run("2026-10-14")["waiting"] == 4
    pay(ladder, "5001")
    assert cli("queue", "resume", "saida", "--db", "a.db").code == 0
    run("2026-10-15")
    assert said(ladder, "101") == ["pagamento_recebido"]
    assert said(ladder, "102") == ["aviso_cobranca"]
    assert "status is now paid" in cli("explain", "cobranca", "101", "--db", "a.db", "--now", "2026-10-15T09:00").out


def test_without_whatsapp_the_text_goes_by_mail_and_without_any_address_nobody_is_lost_in_silence(ladder: Path, cli: Cli, run: Run) -> None:
    run("2026-10-05")
    run("2026-10-06")
    (mail,) = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in (ladder / "saida").glob("*.eml")]
    assert (mail["To"].addresses[0].addr_spec, mail["Subject"]) == ("pedro.santos@example.com", "Sobre a sua fatura")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "https://example.com/boleto/5004" in body.get_content()
    left_out = {item["person"]: item["reason"] for item in cli("plan", "cobranca", "--on", "2026-11-10", "--json").json["items"]}
    assert left_out["107"] == "no mobile"


def test_two_invoices_at_one_step_are_one_message(ladder: Path, run: Run) -> None:
    for day in ("11-05", "11-10", "11-17", "11-25"):
        run(f"2026-{day}")
    mine = [text for text in texts(ladder) if text["person"] == "106"]
    assert [text["template"] for text in mine] == [*["lembrete_fatura"] * 2, *["aviso_cobranca"] * 2, "questionamento_pendencia"]
    assert [value.replace("\xa0", " ") for value in mine[-1]["vars"]] == ["Carlos Souza", "FT 5006, FT 5007", "R$ 184,90"]


def test_what_is_wrong_in_a_step_is_named_with_its_place(ladder: Path, cli: Cli) -> None:
    change(ladder, 'when     = "due + 2d"', 'when     = "due + 2x"')
    change(
        ladder,
        'vars     = ["customer.name", "numbers"]\ntext     = "{{ customer.name }}, recebemos',
        'vars     = ["customer.nome", "numbers"]\ntext     = "{{ customer.name }}, recebemos',
    )
    done = cli("check")
    assert done.code == 78
    assert "'due + 2x' is no moment" in done.err
    assert "profiles.toml:" in done.err
    change(ladder, 'when     = "due + 2x"', 'when     = "due + 2d"')
    done = cli("check", "--now", "2026-09-30T12:00")
    assert done.code == 78
    assert "steps baixa, vars[1]: unknown field 'customer.nome'" in done.out + done.err


def test_of_two_invoices_one_is_paid_while_the_message_waits_and_the_next_speaks_of_the_other_alone(
    ladder: Path, cli: Cli, run: Run
) -> None:
    for day in ("11-05", "11-10", "11-17"):
        run(f"2026-{day}")
    assert cli("queue", "pause", "saida", "--db", "a.db").code == 0
    run("2026-11-25")
    pay(ladder, "5007", day="25/11/2026")
    assert cli("queue", "resume", "saida", "--db", "a.db").code == 0
    run("2026-11-25", "09:30")
    run("2026-11-26")
    assert said(ladder, "106")[4:] == ["questionamento_pendencia", "pagamento_recebido"]
    assert [value.replace("\xa0", " ") for value in texts(ladder)[-2]["vars"]] == ["Carlos Souza", "FT 5006", "R$ 149,90"]
    assert "5007: status is now paid" in cli("explain", "cobranca", "106", "--db", "a.db", "--now", "2026-11-26T09:00").out


def test_a_step_is_tried_on_oneself(ladder: Path, cli: Cli) -> None:
    done = cli("models", "test", "cobranca", "--to", "+5511955509999", "--as", "5001", "--step", "pendencia")
    assert done.code == 0, done.err
    (text,) = texts(ladder)
    assert (text["to"], text["template"], text["vars"][:2]) == ("+5511955509999", "questionamento_pendencia", ["João da Silva", "FT 5001"])
    assert "its steps: lembrete" in cli("models", "test", "cobranca", "--to", "+5511955509999", "--as", "5001", "--step", "festa").err


def test_a_quarter_is_replayed_with_every_step_in_its_turn(ladder: Path, cli: Cli) -> None:
    done = cli("backtest", "cobranca", "--from", "2026-10-01", "--to", "2026-12-31", "--now", "2027-01-10T09:00")
    assert done.code == 0, done.err
    assert "6 x lembrete; 6 x aviso; 5 x pendencia" in done.out


def test_the_fields_of_a_ladder_are_listed_with_samples(ladder: Path, cli: Cli) -> None:
    names = {item["field"]: item["sample"] for item in cli("models", "fields", "cobranca", "--json").json["items"]}
    assert names["invoice.due"] == "2026-11-30"
    assert {"total", "numbers", "invoices", "stage", "customer.name"} <= names.keys()


@pytest.mark.parametrize("name", ["ixc-aniversario", "ixc-cobranca"])
def test_the_variant_over_opa_suite_is_valid_too(name: str, home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("libax_connector_opa_suite", reason="the connector is not installed")
    made = folder(name, home, monkeypatch)
    text = (made / "profiles.toml").read_text(encoding="utf-8")
    head, mark, tail = text.partition("# [apps.opa]\n")
    lines, gap, rest = tail.partition("\n\n")
    text = head + mark[2:] + "\n".join(line.removeprefix("# ") for line in lines.splitlines()) + gap + rest
    (made / "profiles.toml").write_text(text.replace('whatsapp = "saida"', 'whatsapp = "opa"'), encoding="utf-8")
    monkeypatch.setenv("OPA_TOKEN", "not-a-token")
    done = cli("check", "--now", "2026-09-30T12:00")
    assert (done.code, done.err) == (0, "")
    day = EVE if name == "ixc-aniversario" else "2026-10-06"
    planned = cli("plan", name.removeprefix("ixc-"), "--on", day, "--json").json["items"]
    assert "opa" in {item["app"] for item in planned if item["verdict"] == "send"}


def test_an_invoice_whose_status_means_nothing_is_named_by_file_and_line(ladder: Path, cli: Cli) -> None:
    pay(ladder, "5001", "Talvez", "")
    done = cli("plan", "cobranca", "--on", "2026-10-06")
    assert "faturas.csv:2" in done.out + done.err
    assert "Talvez" in done.out + done.err


def test_every_command_tells_times_as_the_profile_has_them_whatever_the_machine_does(ladder: Path, cli: Cli, run: Run) -> None:
    run("2026-10-05")
    run("2026-10-06")
    for command in (("tasks", "list"), ("tasks", "show", "T1"), ("status",)):
        done = cli(*command, "--db", "a.db")
        assert "2026-10-06 08:40" in done.out, command
        assert "11:40" not in done.out, command
    (ladder / "profiles.toml").write_text("name = ", encoding="utf-8")
    assert "2026-10-06" in cli("tasks", "list", "--db", "a.db").out


def test_the_page_of_a_plan_has_a_sample_of_every_step_whoever_is_at_it_today(ladder: Path, cli: Cli) -> None:
    assert cli("plan", "cobranca", "--on", "2026-10-06", "--html", "p.html", "--now", "2026-10-01T09:00").code == 0
    page = (ladder / "p.html").read_text(encoding="utf-8")
    steps = [
        line.partition('"')[2].partition('"')[0]
        for line in (ladder / "profiles.toml").read_text(encoding="utf-8").splitlines()
        if line.startswith("stage")
    ]
    assert len(steps) == 10
    for step in steps:
        assert f"<h2>{step} por WhatsApp, como João da Silva receberia</h2>" in page
    assert page.count("Ninguém está nesta etapa neste plano.") == 9
    assert (
        'modelo de mensagem aviso_cartorio, preenchido com:</p><ol class="values"><li>João da Silva</li><li>FT 5001</li><li>R$\xa0123,00</li>'
        in page
    )

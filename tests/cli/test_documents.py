"""Payment notes from the commissions to the mailbox, and ``automate documents`` over what was made."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from libax_automate.testing.mailbox import Mailbox
from tests.conftest import Cli, Finished
from tests.harness.broker import FIRST, SECOND, SEEN, Broker, files, squeezed, text_of

SCHEMAS = Path(__file__).parent.parent / "schemas"
POST = """
[apps.correio]
connector = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "geral@example.com"
"""

Automate = Callable[..., Finished]


@pytest.fixture
def broker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Broker:
    """The files in the working folder, the database beside them."""
    made = Broker(home).write()
    monkeypatch.setenv("AUTOMATE_DB", str(made.db))
    return made


def run(cli: Cli, at: str, code: int = 0) -> Finished:
    done = cli("run", "--now", at, "--json")
    assert done.code == code, done
    return done


def fits(name: str, answer: Any) -> None:
    """Whether an answer is what programs were promised."""
    schema = json.loads((SCHEMAS / f"documents-{name}.json").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(answer)) == []


@pytest.mark.req("LX-30", "LX-58")
def test_notes_are_mailed_over_smtp_and_regenerated_byte_for_byte(broker: Broker, cli: Cli, home: Path) -> None:
    with Mailbox() as box:
        broker.via, broker.more = "correio", POST.format(port=box.port)
        broker.write()
        assert cli("check").code == 0
        run(cli, SEEN)
        assert run(cli, FIRST).json["sent"] == 3
        mails = sorted((delivery.parsed() for delivery in box.messages), key=lambda mail: str(mail["subject"]))
        assert [str(mail["subject"]) for mail in mails] == ["Nota NP 2026/1", "Nota NP 2026/2", "Nota NP 2026/3"]
        assert sorted(delivery.recipients for delivery in box.messages) == [
            ("ana@example.com",),
            ("norte@example.com",),
            ("ze@example.com",),
        ]
    said = squeezed([str(mails[0].get_body().get_content())])  # type: ignore[union-attr]
    assert said == "Mediadora São João: NP 2026/1 de 01/12/2026, 2 linhas, 192,50 €."
    listed = {item["number"]: item for item in cli("documents", "list", "--json").json["items"]}
    for number, mail in enumerate(mails, 1):
        ((name, content),) = files(mail).items()
        assert name == f"NP-2026-{number}.pdf"
        done = cli("documents", "regenerate", f"np 2026/{number}", "--to", f"again{number}.pdf", "--json")
        fits("regenerate", done.json)
        again = home / f"again{number}.pdf"
        assert again.read_bytes() == content
        assert again.stat().st_mode & 0o777 == 0o600
        item = listed[f"NP 2026/{number}"]
        assert item["sha256"] == done.json["sha256"] == hashlib.sha256(content).hexdigest()
        assert (item["state"], item["date"], item["period"], item["size"]) == ("sent", "2026-12-01", "2026-11", len(content))
    text = squeezed([text_of(next(iter(files(mails[0]).values())))])
    for words in (
        "Nota de pagamento NP 2026/1", "Mediadora São João", "FT 2026/118 1 000,00 € 5 % 50,00 €", "142,50 €", "Valor a pagar 192,50 €"
    ):  # fmt: skip
        assert words in text
    assert "<b>Zé</b> {{ Lda }}" in squeezed([text_of(next(iter(files(mails[2]).values())))])


@pytest.mark.req("LX-30")
def test_no_commission_is_noted_twice_and_a_late_one_comes_onto_the_next_note(broker: Broker, cli: Cli) -> None:
    run(cli, SEEN)
    run(cli, FIRST)
    before = {document.number: document.sha256 for document in broker.documents()}
    for again in ("2026-12-01T09:30", "2026-12-02T09:01", "2026-12-05T10:00"):
        assert run(cli, again).json["sent"] == 0
    assert cli("models", "run", "notas", "--now", "2026-12-06T10:00").code == 0
    broker.commissions["9"] = "17,FT 2026/199,2026-11-30,,,7.00,EUR"
    broker.write()
    assert cli("models", "run", "notas", "--now", "2026-12-07T10:00").code == 0
    assert {document.number: document.sha256 for document in broker.documents()} == before
    run(cli, SECOND)
    late = broker.documents()[-1]
    assert (late.number, late.period, str(late.total), late.person) == ("NP 2027/1", "2026-12", "7.00", "17")
    told = cli("documents", "show", "NP 2027/1", "--json").json
    fits("show", told)
    assert told["records"] == ["9"]


@pytest.mark.req("LX-30")
def test_a_plan_takes_no_number_and_shows_where_one_would_be(broker: Broker, cli: Cli) -> None:
    run(cli, SEEN)
    for _ in range(2):
        done = cli("plan", "notas", "--on", "2026-12-01", "--json")
        assert [(item["person"], item["subject"], item["verdict"]) for item in done.json["items"]] == [
            (person, "Nota (numbered at run)", "send") for person in ("17", "18", "19")
        ]
        assert done.json["items"][0]["reason"] == "note for 2026-11: 2 commissions, 192.50 EUR"
    assert broker.documents() == []
    assert broker.query("SELECT * FROM series") == []
    # a plan that is kept sends the same three, numbered; applied again it says that they are gone, and numbers nothing
    assert cli("plan", "notas", "--on", "2026-12-01", "--save", "plan.json").code == 0
    for code in (0, 1):
        assert cli("apply", "plan.json", "--now", "2026-12-01T08:00").code == code
    assert [document.number for document in broker.documents()] == ["NP 2026/1", "NP 2026/2", "NP 2026/3"]
    run(cli, FIRST)
    assert len(broker.mails()) == 3
    assert len(broker.documents()) == 3


@pytest.mark.req("LX-30")
def test_a_refused_message_leaves_neither_gap_nor_double(broker: Broker, cli: Cli) -> None:
    with Mailbox() as box:
        broker.via, broker.more = "correio", POST.format(port=box.port)
        broker.write()
        run(cli, SEEN)
        box.refuse("ana@example.com")
        run(cli, FIRST, code=3)
        # the third waits behind the refused one, and has its number all the same
        assert [(document.number, document.state) for document in broker.documents()] == [
            ("NP 2026/1", "sent"), ("NP 2026/2", "failed"), ("NP 2026/3", "waiting"),
        ]  # fmt: skip
        waits = cli("documents", "void", "NP 2026/2", "--reason", "x")
        assert waits.code == 1
        assert "may still leave" in waits.err
        assert cli("errors", "skip", "--all").code == 0
        run(cli, "2026-12-01T09:05")
        assert [document.state for document in broker.documents()] == ["sent", "skipped", "sent"]
        broker.commissions["5"] = "18,FT 5,2026-12-05,,,10.00,EUR"
        broker.write()
        box.accept("ana@example.com")
        run(cli, SECOND)
    last = broker.documents()[-1]
    # what is on the note that was skipped stays there, until somebody says that it is void
    assert (last.number, str(last.total)) == ("NP 2027/1", "10.00")


def test_a_void_note_keeps_its_number_and_the_next_run_notes_its_commissions_again(broker: Broker, cli: Cli) -> None:
    run(cli, SEEN)
    run(cli, FIRST)
    done = cli("documents", "void", "NP 2026/2", "--reason", "wrong rate", "--json")
    fits("void", done.json)
    assert done.json == {"number": "NP 2026/2", "changed": True}
    assert cli("documents", "void", "NP 2026/2", "--reason", "again", "--json").json["changed"] is False
    assert cli("documents", "show", "NP 2026/2", "--json").json["records"] == []
    broker.commissions["3"] = "18,FT 2026/120,2026-11-21,100.00,5,4.00,EUR"
    broker.write()
    assert cli("models", "run", "notas", "--now", "2026-12-03T10:00").code == 0
    assert [(each.number, str(each.total), each.period, each.reason) for each in broker.documents() if each.person == "18"] == [
        ("NP 2026/2", "4.99", "2026-11", "wrong rate"), ("NP 2026/4", "4.00", "2026-11", ""),
    ]  # fmt: skip
    run(cli, "2026-12-03T10:05")
    assert len(broker.mails()) == 4
    assert cli("models", "run", "notas", "--now", "2026-12-04T10:00").code == 0
    assert len(broker.documents()) == 4
    states = {item["number"]: item["state"] for item in cli("documents", "list", "--json").json["items"]}
    assert states["NP 2026/2"] == "void"
    assert cli("documents", "regenerate", "NP 2026/2").code == 0


def test_a_void_note_does_not_leave_when_its_message_is_restored(broker: Broker, cli: Cli) -> None:
    run(cli, SEEN)
    assert cli("queue", "pause", "saida").code == 0
    run(cli, FIRST)
    assert cli("queue", "clear", "saida", "--yes").code == 0
    assert cli("documents", "void", "NP 2026/1", "--reason", "x").code == 0
    assert cli("queue", "restore", "B1").code == 0
    assert cli("queue", "resume", "saida").code == 0
    run(cli, "2026-12-01T09:10", code=3)
    assert broker.mails() == []
    (error,) = cli("errors", "list", "--json").json["items"]
    assert "void" in error["cause"]


def test_the_list_shows_number_date_partner_total_state_and_file(broker: Broker, cli: Cli) -> None:
    assert cli("documents", "list").out == "no document was made yet\n"
    run(cli, SEEN)
    run(cli, FIRST)
    done = cli("documents", "list", "--json")
    fits("list", done.json)
    assert [item["number"] for item in done.json["items"]] == ["NP 2026/3", "NP 2026/2", "NP 2026/1"]
    shown = cli("documents", "list", "--person", "17").out
    for words in ("NP 2026/1", "2026-12-01", "Mediadora São João", "192.50", "EUR", "sent", "M1", "NP-2026-1.pdf"):
        assert words in shown
    assert "NP 2026/2" not in shown
    assert cli("documents", "list", "--model", "outro", "--json").json["items"] == []
    assert len(cli("documents", "list", "--limit", "1", "--json").json["items"]) == 1


def test_regenerate_does_not_replace_another_file_and_names_what_is_missing(broker: Broker, cli: Cli, home: Path) -> None:
    run(cli, SEEN)
    run(cli, FIRST)
    assert cli("documents", "regenerate", "NP 2026/1").code == 0
    assert cli("documents", "regenerate", "NP 2026/1").code == 0, "the same file is no other file"
    kept = home / "NP-2026-1.pdf"
    content = kept.read_bytes()
    kept.write_text("mine")
    refused = cli("documents", "regenerate", "NP 2026/1")
    assert (refused.code, kept.read_text()) == (2, "mine")
    assert cli("documents", "regenerate", "NP 2026/1", "--force").code == 0
    assert kept.read_bytes() == content
    (home / "out").mkdir()
    assert cli("documents", "regenerate", "NP 2026/1", "--to", "out").code == 0
    assert (home / "out" / "NP-2026-1.pdf").read_bytes() == content
    assert cli("documents", "regenerate", "NP 2026/9").code == 5
    assert cli("documents", "regenerate", "NP 2026/1", "--to", "nowhere/x.pdf").code == 74


def test_a_file_that_is_not_what_was_printed_is_not_given_out(broker: Broker, cli: Cli, home: Path) -> None:
    import sqlite3

    run(cli, SEEN)
    run(cli, FIRST)
    with sqlite3.connect(broker.db) as conn:
        conn.execute("UPDATE documents SET content = ? WHERE n = 1", (b"%PDF another",))
    conn.close()
    done = cli("documents", "regenerate", "NP 2026/1", "--to", "x.pdf")
    assert done.code == 74
    assert "checksum" in done.err
    assert not (home / "x.pdf").exists()
    sound = cli("db", "check")
    assert sound.code == 74
    assert "NP 2026/1: its checksum differs" in sound.err


def test_db_check_tells_of_a_number_that_is_missing(broker: Broker, cli: Cli) -> None:
    import sqlite3

    run(cli, SEEN)
    run(cli, FIRST)
    assert cli("db", "check").code == 0
    with sqlite3.connect(broker.db) as conn:
        conn.execute("DELETE FROM document_records WHERE document_id = 2")
        conn.execute("DELETE FROM documents WHERE n = 2")
    conn.close()
    done = cli("db", "check")
    assert done.code == 74
    assert "no document has a number between 1 and 3" in done.err


def test_series_digits_first_number_and_a_second_model(broker: Broker, cli: Cli) -> None:
    broker.options = 'restart = "never"\ndigits = 4\nfirst_number = 118\n'
    second = (
        broker.options
        + '\n[models.outras]\nuse = "partner-notes"\nsource = "gestao"\nat = "09:10"\nsince = 2026-11-01\ntext = "x {{ number }}"\n'
    )
    broker.options = second
    broker.write()
    run(cli, SEEN)
    run(cli, "2026-12-01T09:30")
    numbers = [document.number for document in broker.documents()]
    assert numbers[:3] == ["NP 0118", "NP 0119", "NP 0120"]
    assert numbers[3:] == ["OUTRAS 2026/1", "OUTRAS 2026/2", "OUTRAS 2026/3"]


def test_a_yearly_series_begins_where_the_old_program_stopped_and_the_next_year_with_one(broker: Broker, cli: Cli) -> None:
    broker.options = "first_number = 40"
    broker.commissions["8"] = "17,FT 8,2026-12-08,,,8.00,EUR"
    broker.write()
    run(cli, SEEN)
    run(cli, FIRST)
    run(cli, SECOND)
    assert [document.number for document in broker.documents()] == ["NP 2026/40", "NP 2026/41", "NP 2026/42", "NP 2027/1"]


@pytest.mark.req("LX-30")
def test_a_layout_of_ones_own_is_used_and_its_mistakes_are_found_by_check(broker: Broker, cli: Cli, home: Path) -> None:
    broker.options = 'layout = "nota.html"'
    broker.write()
    layout = home / "nota.html"

    def problem() -> str:
        done = cli("check")
        assert done.code == 78, done
        return done.out + done.err

    assert "nota.html" in problem()
    layout.write_text("<h1>Nota {{ number }}</h1>\n<p>{{ partner.nome }}</p>\n<blink>x</blink>", encoding="utf-8")
    assert "line 3: <blink> is not known" in problem()
    layout.write_text("<h1>Nota {{ numbr }}</h1>", encoding="utf-8")
    assert "did you mean" in problem()
    layout.write_text("<h1>Nota {{ number }", encoding="utf-8")
    assert "layout" in problem()
    layout.write_text("<h1>Recibo {{ number }}</h1><p>{{ partner.name }}: {{ total }}</p><p>{{ lines[0].document }}</p>", encoding="utf-8")
    assert cli("check").code == 0
    run(cli, SEEN)
    run(cli, FIRST)
    text = squeezed([text_of(next(iter(files(broker.mails()[0]).values())))])
    assert text == "Recibo NP 2026/1 Mediadora São João: 192,50 € FT 2026/118"
    # what was sent stays what it was, whatever becomes of the layout and of the data
    before = next(iter(files(broker.mails()[0]).values()))
    layout.unlink()
    shutil.move(home / "comissoes.csv", home / "gone.csv")
    assert cli("documents", "regenerate", "NP 2026/1", "--to", "x.pdf").code == 0
    assert (home / "x.pdf").read_bytes() == before


def test_a_layout_outside_the_profile_is_refused(broker: Broker, cli: Cli) -> None:
    broker.options = 'layout = "../../etc/hostname"'
    broker.write()
    done = cli("check")
    assert done.code == 78
    assert "outside the profile" in done.out + done.err


def test_whose_name_cannot_be_printed_is_named_and_the_others_get_their_notes(broker: Broker, cli: Cli) -> None:
    broker.partners["18"] = "Łukasz,ana@example.com,555000002,"
    broker.write()
    run(cli, SEEN)
    reasons = {item["person"]: item["reason"] for item in cli("plan", "notas", "--on", "2026-12-01", "--json").json["items"]}
    assert reasons["18"] == "its document: the font of the layout has no 'Ł' (U+0141)"
    run(cli, FIRST)
    assert [(document.number, document.person) for document in broker.documents()] == [("NP 2026/1", "17"), ("NP 2026/2", "19")]


@pytest.mark.req("LX-30")
def test_check_names_an_app_that_carries_no_files_and_a_channel_that_has_none(broker: Broker, cli: Cli) -> None:
    broker.more = '[apps.porta]\nconnector = "http"\nurl = "https://example.com/send"\njson = { to = "{{ message.to }}" }\nchannels = ["email", "sms"]\n'
    broker.options = 'via = "porta"'
    broker.write()
    done = cli("check")
    assert done.code == 78
    assert "'porta' (http) carries no files, and a document goes with it" in done.out + done.err
    assert "saida can" in done.out + done.err
    broker.options = 'via = "porta"\nchannel = "sms"'
    broker.write()
    done = cli("check")
    assert done.code == 78
    assert "sends a document, and sms carries none" in done.out + done.err


@pytest.mark.req("LX-30")
def test_explain_tells_of_the_note(broker: Broker, cli: Cli) -> None:
    run(cli, SEEN)
    run(cli, FIRST)
    for who in ("17", "norte@example.com", "Mediadora São João"):
        story = cli("explain", "notas", who, "--now", "2026-12-05T10:00", "--json").json["story"]
        assert story == [
            "2026-11-15 FT 2026/118: 50.00 EUR: on NP 2026/1",
            "2026-11-20 FT 2026/119: 142.50 EUR: on NP 2026/1",
            "NP 2026/1 of 2026-12-01 for 2026-11: 192.50 EUR, message M1 sent, NP-2026-1.pdf",
        ]


def test_a_test_send_carries_a_note_without_a_number_and_keeps_nothing(broker: Broker, cli: Cli) -> None:
    done = cli("models", "test", "notas", "--to", "me@example.com", "--as", "18")
    assert done.code == 0, done
    (mail,) = broker.mails()
    assert "(test)" in text_of(next(iter(files(mail).values())))
    assert str(mail["to"]).endswith("<me@example.com>")
    assert not broker.db.exists() or broker.documents() == []


def test_a_replayed_half_year_notes_each_commission_once(broker: Broker, cli: Cli) -> None:
    done = cli("backtest", "notas", "--from", "2026-11-01", "--to", "2027-04-30", "--json")
    assert done.code == 0, done
    assert done.json["messages"] == 3

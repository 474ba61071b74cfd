"""What leaves, what waits, what halts: the tables of phases, verdicts and classes, driven through a real gateway and a real mail server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from libax_automate.engine.store.rows import AppState, MessageState
from libax_automate.testing.mailbox import Mailbox
from libax_automate.testing.service import Fault, Reply, Request, Script, Service, blackhole, refusing
from tests.harness.plugins import catalogue
from tests.harness.world import BIRTHDAY, World, ids, later

OK = Reply(200, {"id": "g1"})
ONE = "concurrency = 1"


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=OK) as service:
        yield service


def _called(gateway: Service, path: str = "/send") -> list[str]:
    return [request.json()["id"] for request in gateway.requests if request.path == path]


def _bad(bad: dict[str, Reply | Fault]) -> Callable[[Request], Reply | Fault]:
    """An answer by message id; what is not in ``bad`` is taken."""
    return lambda request: bad.get(request.json()["id"], OK)


# -- phase → verdict, over HTTP -----------------------------------------------------------------------------------------------

PHASES: list[tuple[str, Script, str, str]] = [
    ("2xx", OK, "sent", ""),
    ("2xx with an unreadable body is sent, its id unknown", Reply(200, "<html>"), "sent", ""),
    ("the line drops after the request", Fault.HANG_UP, "in_doubt", "in_doubt"),
    ("the line is reset after the request", Fault.RESET, "in_doubt", "in_doubt"),
    ("the headers break off", Fault.CUT_HEAD, "in_doubt", "in_doubt"),
    ("what answers is not HTTP", Fault.GARBAGE, "in_doubt", "in_doubt"),
    ("no answer in time", Fault.HANG, "in_doubt", "in_doubt"),
    ("500", Reply(500, "oops"), "in_doubt", "in_doubt"),
    ("502", Reply(502, "oops"), "in_doubt", "in_doubt"),
    ("504", Reply(504, "oops"), "in_doubt", "in_doubt"),
    ("503 was not processed", Reply(503, "later"), "waiting", ""),
    ("429", Reply(429, "slower", {"Retry-After": "30"}), "waiting", ""),
    ("401", Reply(401, "who?"), "failed", "account"),
    ("402", Reply(402, "pay"), "failed", "account"),
    ("403", Reply(403, "no"), "failed", "account"),
    ("404", Reply(404, "nobody"), "failed", "recipient"),
    ("422", Reply(422, "bad number"), "failed", "recipient"),
    ("413", Reply(413, "too large"), "failed", "content"),
    ("a redirect is not followed", Reply(302, "", {"Location": "http://127.0.0.1:9/"}), "failed", "configuration"),
]


@pytest.mark.parametrize(("script", "state", "cls"), [row[1:] for row in PHASES], ids=[row[0] for row in PHASES])
def test_each_answer_of_a_gateway_has_its_verdict(tmp_path: Path, gateway: Service, script: Script, state: str, cls: str) -> None:
    gateway.on("/send", script)
    world = World(tmp_path, gateway.url, count=1, sms="timeout = 1")
    world.run()
    (message,) = world.messages()
    assert str(message.state) == state
    assert [error.cls for error in world.errors()] == ([cls] if cls else [])
    assert len(gateway.requests) == 1
    # whatever the verdict: an hour later nothing that may have left is called again
    if state in ("sent", "in_doubt", "failed"):
        world.run(later(hours=1))
        assert len(gateway.requests) == 1


@pytest.mark.parametrize("nobody", [refusing, blackhole], ids=["connection refused", "no answer to connect"])
def test_what_never_connected_waits_for_another_try(tmp_path: Path, nobody: Callable[[], object]) -> None:
    with nobody() as url:  # type: ignore[attr-defined]
        world = World(tmp_path, url, count=2, sms="timeout = 1")
        world.run()
    assert world.states() == {"waiting": 2}
    assert world.errors() == []
    assert world.app().state is AppState.THROTTLED


# -- phase → verdict, over SMTP -----------------------------------------------------------------------------------------------

MAIL_APP = """
[apps.mail]
connector = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "loja@example.com"
timeout = 2
{mail}

[models.postal]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "email"
via = "mail"
subject = "Parabéns"
text = "Olá {{{{ first_name }}}}"
"""


def _mail_world(folder: Path, box: Mailbox, *, url: str = "http://127.0.0.1:9", count: int = 1, mail: str = "", more: str = "") -> World:
    world = World(folder, url, count=count, more=MAIL_APP.format(port=box.port, mail=mail) + more)
    world.change("[models.parabens]", "[models.parabens]\nenabled = false")
    return world


SMTP: list[tuple[str, Callable[[Mailbox], None], str, str]] = [
    ("taken", lambda box: None, "sent", ""),
    ("550 for the recipient", lambda box: box.refuse("p1@example.com"), "failed", "recipient"),
    ("450 for the recipient", lambda box: box.refuse("p1@example.com", "450 4.2.1 busy"), "waiting", ""),
    ("451 4.7.1 asks for patience", lambda box: box.refuse("p1@example.com", "451 4.7.1 greylisted"), "waiting", ""),
    ("421 at the greeting", lambda box: box.answer("CONNECT", "421 4.3.2 closing"), "waiting", ""),
    ("554 after the text", lambda box: box.answer("END", "554 5.6.0 no"), "failed", "content"),
    ("lost before the text", lambda box: box.hang_up("DATA"), "waiting", ""),
    ("lost after the final dot", lambda box: box.hang_up("END"), "in_doubt", "in_doubt"),
]


@pytest.mark.parametrize(("fault", "state", "cls"), [row[1:] for row in SMTP], ids=[row[0] for row in SMTP])
def test_each_moment_of_a_mail_has_its_verdict(tmp_path: Path, fault: Callable[[Mailbox], None], state: str, cls: str) -> None:
    with Mailbox() as box:
        fault(box)
        world = _mail_world(tmp_path, box)
        world.run()
        (message,) = world.messages()
        assert str(message.state) == state, message.reason
        assert [error.cls for error in world.errors()] == ([cls] if cls else [])
        taken = len(box.messages)
        box.behave()
        world.run(later(hours=2))
        assert len(box.messages) == taken + (state == "waiting"), "what may have left never leaves again; what did not leave does"


def test_a_mail_server_that_refuses_one_and_drops_another(tmp_path: Path) -> None:
    """The issue's own story: 550 for one recipient, then the line is lost in the middle of the text."""
    with Mailbox() as box:
        box.refuse("p2@example.com")
        world = _mail_world(tmp_path, box, count=5, mail='on_recipient_error = "skip"\nconcurrency = 1')
        box.hang_up("DATA", times=1)
        world.run()
        world.run(later(minutes=5))
        heard = Counter(delivery.recipients[0] for delivery in box.messages)
    assert heard == {f"p{i}@example.com": 1 for i in (1, 3, 4, 5)}
    assert world.states() == {"sent": 4, "rejected": 1}


# -- classes ------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("LX-63")
def test_one_cause_is_one_error_one_notice_and_the_rest_waits(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(402, {"message": "no balance"}))
    world = World(tmp_path, gateway.url, count=10)
    result = world.run()
    (error,) = world.errors()
    assert (error.cls, len(error.messages), error.waiting) == ("account", 1, 9)
    assert result.halted == ["sms"]
    assert len(result.news) == 1
    assert f"E{error.id} sms" in result.news[0]
    assert len(world.mail()) == 1


def test_reminders_come_after_four_hours_then_daily_and_end_with_the_error(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(402, {"message": "no balance"}))
    world = World(tmp_path, gateway.url, count=2)
    heard = []
    for hours in (0, 1, 3.9, 4.1, 10, 27, 28.2, 40, 52.3):
        world.run(later(hours=hours))
        heard.append(len(world.mail()))
    assert heard == [1, 1, 1, 2, 2, 2, 3, 3, 4]
    world.verb("skip", world.errors()[0].id, later(hours=53))
    gateway.on("/send", OK)
    world.run(later(hours=100))
    assert len(world.mail()) == 4


def test_a_notice_never_leaves_through_the_app_that_is_halted(tmp_path: Path) -> None:
    with Mailbox() as box:
        box.answer("MAIL", "535 5.7.8 not you")
        box.answer("END", "554 5.7.1 not you")
        world = _mail_world(tmp_path, box, count=2)
        world.change('email = "correio"', 'email = "mail"')
        world.run()
        assert [error.app for error in world.errors()] == ["mail"]
        assert len(world.mail()) == 1, "the folder app carries it"
        assert box.messages == []


def test_a_notice_that_cannot_leave_becomes_no_error_of_its_own(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(402, {"message": "no balance"}))
    with Mailbox() as box:
        box.answer("RCPT", "550 5.1.1 nobody")
        world = _mail_world(tmp_path, box, url=gateway.url, count=2)
        world.change("[models.postal]", "[models.postal]\nenabled = false")
        world.change("[models.parabens]\nenabled = false", "[models.parabens]")
        world.change('email = "correio"', 'email = "mail"')
        world.run()
        world.run(later(hours=1))
    assert [(error.app, error.cls) for error in world.errors()] == [("sms", "account")]
    assert (
        world.value("SELECT count(*) FROM messages m JOIN models s ON s.id = m.model_id WHERE s.system = 1 AND m.state = 'rejected'") == 1
    )


SHARED = """
[apps.um]
connector = "fragile"
fault = "um"
account = "same-account"

[apps.dois]
connector = "fragile"
fault = "dois"
account = "same-account"

[apps.tres]
connector = "fragile"
fault = "tres"
account = "another-account"
"""


def _model(name: str, via: str, at: str = "10:00") -> str:
    return f"""
[models.{name}]
use = "birthday"
source = "gestao"
at = "{at}"
channel = "sms"
via = "{via}"
text = "Parabéns!"
"""


def _fragile(folder: Path, *, count: int = 3, more: str = "") -> World:
    world = World(
        folder, count=count, more=SHARED + _model("m1", "um") + _model("m2", "dois", "10:05") + _model("m3", "tres", "10:05") + more,
        catalogue=catalogue(),
    )  # fmt: skip
    world.change("[models.parabens]", "[models.parabens]\nenabled = false")
    return world


def test_an_account_error_halts_every_app_on_the_credential_with_one_error(tmp_path: Path) -> None:
    world = _fragile(tmp_path)
    (tmp_path / "um").write_text("AccountError", encoding="utf-8")
    world.run()
    world.run(later(minutes=5, seconds=1))
    states = {name: world.app(name, later(minutes=6)).state for name in ("um", "dois", "tres")}
    assert states == {"um": AppState.HALTED, "dois": AppState.HALTED, "tres": AppState.RUNNING}
    assert len(world.errors()) == 1
    assert not (tmp_path / "dois.sent").exists()
    assert len((tmp_path / "tres.sent").read_text(encoding="utf-8").split()) == 3
    assert len(world.mail()) == 1


def test_an_account_error_clears_itself_when_a_probe_passes_and_not_before(tmp_path: Path) -> None:
    world = _fragile(tmp_path)
    (tmp_path / "um").write_text("AccountError", encoding="utf-8")
    world.run()
    assert world.run(later(minutes=6)).halted == ["dois", "um"], "still no balance"
    (tmp_path / "um").unlink()
    assert world.run(later(minutes=8)).halted == ["dois", "um"], "probed two minutes ago"
    assert world.run(later(minutes=13)).halted == []
    assert world.states() == {"sent": 9}
    assert world.errors(closed=True)[0].resolution == "retry"


def test_a_configuration_error_halts_its_app_alone(tmp_path: Path) -> None:
    world = _fragile(tmp_path)
    (tmp_path / "um").write_text("SetupError", encoding="utf-8")
    world.run()
    world.run(later(minutes=5, seconds=1))
    assert [(error.app, error.cls) for error in world.errors()] == [("um", "configuration")]
    assert world.states() == {"sent": 6, "failed": 1, "waiting": 2}


def test_a_bug_of_a_plugin_is_in_doubt_with_its_traceback_kept(tmp_path: Path) -> None:
    world = _fragile(tmp_path)
    (tmp_path / "um").write_text("KeyError", encoding="utf-8")
    world.run()
    (error,) = world.errors()
    assert (error.app, error.cls) == ("um", "bug")
    assert "RuntimeError: KeyError as told" in error.cause
    assert "_raise" in error.detail
    assert "same-account" not in error.detail
    assert world.states() == {"in_doubt": 1, "waiting": 2}


def test_a_plugin_that_is_missing_halts_its_app_and_nobody_else(tmp_path: Path) -> None:
    world = _fragile(tmp_path)
    world.run("2026-12-24T09:00:00+00:00")
    with world.space() as space:
        from libax_automate.engine.deliver import Delivery
        from libax_automate.engine.run import run_due

        run_due(space, only=None, stop=__import__("threading").Event())
        gone = World(tmp_path / "x").catalogue
        space.catalogue = gone
        Delivery(space).run()
    assert {error.app for error in world.errors()} == {"um"}
    assert [error.cls for error in world.errors()] == ["configuration"]
    assert world.states() == {"waiting": 3}


@pytest.mark.req("LX-63")
def test_a_refused_recipient_stops_the_queue_or_is_skipped_as_the_app_says(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", _bad({"M2": Reply(422, {"message": "bad number"})}))
    stop = World(tmp_path / "stop", gateway.url, count=5, sms=ONE)
    stop.run()
    assert stop.states() == {"sent": 1, "failed": 1, "waiting": 3}
    skip = World(tmp_path / "skip", gateway.url, count=5, sms=f'{ONE}\non_recipient_error = "skip"')
    assert skip.run().halted == []
    assert skip.states() == {"sent": 4, "rejected": 1}
    assert skip.errors() == []


def test_the_breaker_stops_a_skipping_app_after_five_refusals_in_a_row(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(422, {"message": "bad number"}))
    world = World(tmp_path, gateway.url, count=40, sms=f'{ONE}\nwindow = 1\non_recipient_error = "skip"')
    assert world.run().halted == ["sms"]
    assert world.states() == {"rejected": 5, "waiting": 35}
    (error,) = world.errors()
    assert (error.cls, error.messages) == ("recipient", ())
    assert "5 recipients in a row" in error.cause
    gateway.on("/send", OK)
    world.verb("retry", error.id)
    assert world.run(later(minutes=1)).sent == 35


def test_the_breaker_stops_a_skipping_app_beyond_a_tenth_of_the_last_hundred(tmp_path: Path, gateway: Service) -> None:
    refused = {f"M{i}": Reply(422, {}) for i in range(3, 200, 9)}
    gateway.on("/send", _bad(dict(refused)))
    world = World(tmp_path, gateway.url, count=150, sms=f'{ONE}\nwindow = 1\non_recipient_error = "skip"')
    world.run()
    (error,) = world.errors()
    assert "11 of the last 100" in error.cause
    states = world.states()
    assert states["sent"] + states["rejected"] == 100


def test_a_rate_limit_is_waited_out_for_the_whole_credential_and_counts_no_try(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Reply(429, "slower", {"Retry-After": "90"}), OK])
    world = World(tmp_path, gateway.url, count=3, sms=ONE)
    world.run()
    assert world.app(at=later(seconds=80)).state is AppState.THROTTLED
    world.run(later(seconds=80))
    assert len(gateway.requests) == 1
    assert world.value("SELECT max(tries) FROM messages") == 0
    world.run(later(seconds=95))
    assert world.states() == {"sent": 3}
    assert _called(gateway) == ["M1", "M1", "M2", "M3"]


def test_without_a_retry_after_the_back_off_doubles_and_a_success_forgets_it(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(429, "slower"))
    world = World(tmp_path, gateway.url, count=1)
    waits = []
    at = BIRTHDAY
    for _ in range(4):
        world.run(at)
        until = world.app(at=at).until
        waits.append(round(until - datetime.fromisoformat(at).timestamp()))
        at = later(at, seconds=waits[-1] + 1)
    assert waits == [5, 10, 20, 40]
    gateway.on("/send", OK)
    world.run(at)
    assert world.value("SELECT max(throttles) FROM credentials") == 0


def test_a_retry_after_of_days_is_believed_for_six_hours(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(429, "slower", {"Retry-After": "999999"}))
    world = World(tmp_path, gateway.url, count=1)
    world.run()
    until = world.app().until - datetime.fromisoformat(BIRTHDAY).timestamp()
    assert 6 * 3600 - 5 < until < 6 * 3600 + 60


def test_a_transient_failure_is_tried_four_times_more_and_then_halts(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Reply(503, "later"))
    world = World(tmp_path, gateway.url, count=2, sms=ONE, model='expires = "2d"')
    waits, at = [], BIRTHDAY
    for _ in range(4):
        assert world.run(at).halted == []
        waits.append(world.app(at=at).until - datetime.fromisoformat(at).timestamp())
        at = later(at, seconds=waits[-1] + 0.5)
    for got, told in zip(waits, (15, 60, 240, 600), strict=True):
        assert 0.9 * told <= got <= 1.1 * told + 1
    assert world.run(at).halted == ["sms"]
    (error,) = world.errors()
    assert (error.cls, error.messages) == ("transient", (1,))
    assert _called(gateway) == ["M1"] * 5
    gateway.on("/send", OK)
    world.verb("retry", error.id, at)
    assert world.run(later(at, seconds=1)).sent == 2


# -- in doubt: who can tell? --------------------------------------------------------------------------------------------------


def test_hold_is_the_default_and_asks_a_person(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", _bad({"M1": Fault.HANG_UP}))
    world = World(tmp_path, gateway.url, count=2, sms=ONE)
    world.run()
    (error,) = world.errors()
    assert "errors sent" in error.hint or "errors" in error.hint
    assert world.states() == {"in_doubt": 1, "waiting": 1}


def test_assume_sent_goes_on_and_says_so(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", _bad({"M1": Fault.HANG_UP}))
    world = World(tmp_path, gateway.url, count=3, sms=f'{ONE}\nin_doubt = "assume-sent"')
    assert world.run().sent == 3
    assert "assume-sent" in world.messages()[0].reason
    assert _called(gateway) == ["M1", "M2", "M3"]


def test_resend_sends_again_after_a_pause_and_not_for_ever(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", Fault.HANG_UP)
    world = World(tmp_path, gateway.url, count=2, sms=f'{ONE}\nin_doubt = "resend"', model='expires = "2d"')
    at = BIRTHDAY
    for _ in range(6):
        world.run(at)
        at = later(at, seconds=max(world.app(at=at).until - datetime.fromisoformat(at).timestamp(), 0) + 1)
    assert _called(gateway) == ["M1"] * 5
    assert [error.messages for error in world.errors()] == [(1,)]


def test_a_key_in_its_window_is_sent_again_with_the_same_key_and_the_same_bytes(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Fault.HANG_UP, OK])
    world = World(tmp_path, gateway.url, count=2, sms=f'{ONE}\nidempotency_header = "X-Key"\nidempotency_ttl = "1h"')
    world.run()
    assert world.errors() == []
    world.run(later(minutes=2))
    assert world.states() == {"sent": 2}
    first, second, third = gateway.requests
    assert first.headers["x-key"] == second.headers["x-key"] != third.headers["x-key"]
    assert first.body == second.body


def test_a_key_whose_window_has_passed_is_no_answer(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Fault.HANG_UP, Fault.HANG_UP, OK])
    world = World(tmp_path, gateway.url, count=1, sms=f'{ONE}\nidempotency_header = "X-Key"\nidempotency_ttl = "5m"')
    world.run()
    world.run(later(minutes=4, seconds=50))  # the second try, as late as the window lets it
    world.run(later(hours=1))
    assert len(gateway.requests) == 2
    assert world.states() == {"in_doubt": 1}


def test_a_retry_by_hand_keeps_the_key_of_what_is_in_doubt_and_renews_that_of_what_failed(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", [Reply(422, {}), OK])
    world = World(tmp_path, gateway.url, count=1, sms=f'{ONE}\nidempotency_header = "X-Key"')
    world.run()
    world.verb("retry", world.errors()[0].id)
    world.run(later(minutes=1))
    keys = [request.headers["x-key"] for request in gateway.requests]
    assert len(set(keys)) == 2, "the provider did answer: a new send"


def test_a_look_up_answers_for_an_orphan(tmp_path: Path) -> None:
    world = World(tmp_path, count=3, more=_model("cartas", "correio"))
    world.change("[models.parabens]", "[models.parabens]\nenabled = false")
    assert world.run().sent == 3
    files = sorted((tmp_path / "saida").glob("*.json"))
    assert len(files) == 3
    files[1].unlink()
    with world.store() as store, store.write() as conn:
        # the process died between the calls and T2; the second message had not been written yet
        conn.execute("UPDATE messages SET state = 'sending' WHERE id < 3")
        conn.execute("UPDATE attempts SET ended_at = NULL, outcome = NULL, started_at = 0 WHERE message_id < 3")
    world.run(later(minutes=1))
    world.run(later(minutes=2))
    assert world.states() == {"sent": 3}
    assert sorted((tmp_path / "saida").glob("*.json")) == files


# -- the last look before it leaves -------------------------------------------------------------------------------------------


def _held(tmp_path: Path, gateway: Service, *, sms: str = "", model: str = "", defaults: str = "") -> World:
    """Three messages that wait for an app that was paused."""
    world = World(tmp_path, gateway.url, count=3, sms=sms, model=model, defaults=defaults)
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        store.apps.pause(app, 0.0)
    world.run()
    assert world.states() == {"waiting": 3}
    with world.store() as store:
        store.apps.resume(app)
    return world


def test_what_has_expired_meanwhile_does_not_leave(tmp_path: Path, gateway: Service) -> None:
    world = _held(tmp_path, gateway)
    assert world.run("2026-12-25T00:00:01+00:00").sent == 0
    assert world.states() == {"expired": 3}
    assert gateway.requests == []


def test_who_has_asked_for_silence_meanwhile_hears_nothing(tmp_path: Path, gateway: Service) -> None:
    world = _held(tmp_path, gateway, sms=ONE)
    with world.store() as store:
        store.ledger.suppress("padaria", "sms", "+351910000002", "asked for it", 0.0)
        store.ledger.suppress("padaria", "email", "+351910000003", "another channel", 0.0)
    world.run(later(minutes=1))
    assert world.states() == {"sent": 2, "suppressed": 1}
    assert _called(gateway) == ["M1", "M3"]
    assert "asked for it" in world.messages(MessageState.SUPPRESSED)[0].reason


def test_quiet_hours_hold_and_never_drop(tmp_path: Path, gateway: Service) -> None:
    world = _held(tmp_path, gateway, defaults='quiet = "21:00-09:00"', model='expires = "2d"')
    world.run("2026-12-24T22:00:00+00:00")
    assert world.states() == {"waiting": 3}
    assert gateway.requests == []
    world.run("2026-12-25T08:59:00+00:00")
    assert gateway.requests == []
    assert world.run("2026-12-25T09:00:01+00:00").sent == 3


def test_a_condition_is_asked_of_the_source_again_when_the_message_leaves(tmp_path: Path, gateway: Service) -> None:
    world = World(tmp_path, gateway.url, count=0, catalogue=catalogue(), more=CRM.format(url=gateway.url))
    _contacts(world, {"1": "active", "2": "active", "3": "active"})
    world.run("2026-12-24T09:00:00+00:00")
    with world.store() as store:
        app = store.apps.find("padaria", "sms")
        assert app is not None
        store.apps.pause(app, 0.0)
    world.run("2026-12-24T11:00:00+00:00")
    with world.store() as store:
        store.apps.resume(app)
    (tmp_path / "crm.json").unlink()
    world.run("2026-12-24T11:01:00+00:00")
    assert world.states() == {"waiting": 3}, "nobody can say whether they may still leave"
    assert gateway.requests == []
    _contacts(world, {"1": "active", "2": "inactive"})
    world.run("2026-12-24T11:03:00+00:00")
    assert _called(gateway) == ["M1"]
    reasons = {row.person: row.reason for row in world.messages(MessageState.CANCELLED)}
    assert reasons == {"2": "status is now inactive", "3": "status is now gone"}


# -- batches ------------------------------------------------------------------------------------------------------------------

BULK = """
[apps.lote]
connector = "bulk"
url = "{url}/batch"
allow_private = ["127.0.0.1/32"]
"""


def _bulk(folder: Path, gateway: Service, *, count: int, app: str = "") -> World:
    world = World(folder, gateway.url, count=count, catalogue=catalogue(), more=BULK.format(url=gateway.url) + app)
    world.change('sms = "sms"', 'sms = "lote"')
    return world


def _words(bad: dict[str, str]) -> Callable[[Request], Reply]:
    return lambda request: Reply(200, {"words": [bad.get(name, "ok") for name in request.json()["ids"]]})


def test_a_batch_is_one_call_and_each_message_has_its_own_outcome(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/batch", _words({"M7": "refused"}))
    world = _bulk(tmp_path, gateway, count=12, app='on_recipient_error = "skip"')
    assert world.run().sent == 11
    assert [len(request.json()["ids"]) for request in gateway.requests] == [5, 5, 2]
    assert ids(world.messages(MessageState.REJECTED)) == [7]
    assert world.messages()[0].provider_id == "b-M1"


def test_a_refusal_in_a_batch_halts_behind_the_batch(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/batch", _words({"M2": "refused", "M4": "novel"}))
    world = _bulk(tmp_path, gateway, count=12)
    world.run()
    assert len(gateway.requests) == 1
    assert world.states() == {"sent": 3, "failed": 2, "waiting": 7}
    assert sorted(error.cls for error in world.errors()) == ["content", "recipient"]
    gateway.on("/batch", _words({}))
    for error in world.errors():
        world.verb("retry", error.id)
    assert world.run(later(minutes=1)).sent == 9
    assert gateway.requests[1].json()["ids"][:2] == ["M2", "M4"]


@pytest.mark.parametrize(
    ("script", "state"), [(Fault.HANG_UP, "in_doubt"), (Reply(200, {"words": ["ok"]}), "in_doubt"), (Reply(503, ""), "waiting")],
    ids=["the line drops", "too few answers", "not processed"],
)  # fmt: skip
def test_a_batch_that_fails_as_a_whole_has_one_outcome_for_all(tmp_path: Path, gateway: Service, script: Script, state: str) -> None:
    gateway.on("/batch", script)
    world = _bulk(tmp_path, gateway, count=7)
    world.run()
    world.run(later(seconds=1))
    assert len(gateway.requests) == 1
    assert world.states() == ({"in_doubt": 5, "waiting": 2} if state == "in_doubt" else {"waiting": 7})
    if state == "in_doubt":
        assert [error.messages for error in world.errors()] == [(1, 2, 3, 4, 5)]


# -- follow-ups ---------------------------------------------------------------------------------------------------------------

CRM = """
[apps.crm]
connector = "crm"
url = "{url}"
records = "crm.json"
allow_private = ["127.0.0.1/32"]

[models.lembrete]
use = "reminder"
source = "crm"
at = "11:00"
channel = "sms"
text = "Olá {{{{ first_name }}}}"
activity = true
"""


def _contacts(world: World, states: dict[str, str]) -> None:
    import json

    rows = [{"id": name, "name": f"Pessoa {name}", "mobile": f"+35191000000{name}", "status": state} for name, state in states.items()]
    (world.folder / "crm.json").write_text(json.dumps(rows), encoding="utf-8")


@pytest.mark.req("LX-55")
def test_what_was_sent_is_written_back_once_and_what_was_not_is_not(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", _bad({"M2": Reply(422, {})}))
    gateway.on("/act", [Reply(402, {"message": "plan has ended"}), OK])
    world = World(
        tmp_path, gateway.url, count=0, catalogue=catalogue(), sms=f'{ONE}\non_recipient_error = "skip"', more=CRM.format(url=gateway.url)
    )
    _contacts(world, {"1": "active", "2": "active", "3": "active"})
    world.run("2026-12-24T09:00:00+00:00")
    world.run("2026-12-24T11:00:00+00:00")
    world.run("2026-12-24T11:01:00+00:00")
    assert [error.app for error in world.errors()] == ["crm"], "an activity is an effect like any other: it can halt its app"
    world.verb("retry", world.errors()[0].id, "2026-12-24T11:02:00+00:00")
    for minute in (3, 4, 5):
        world.run(f"2026-12-24T11:0{minute}:00+00:00")
    acts = [request.json() for request in gateway.requests if request.path == "/act"][1:]
    assert [(act["to"], act["kind"], act["fields"]["to"]) for act in acts] == [
        ("1", "activity", "+351910000001"),
        ("3", "activity", "+351910000003"),
    ]
    assert acts[0]["fields"]["text"] == "Olá Pessoa"


@pytest.mark.req("LX-55")
def test_what_a_person_says_has_arrived_is_written_back_too(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/send", _bad({"M1": Fault.HANG_UP}))
    world = World(tmp_path, gateway.url, count=0, catalogue=catalogue(), sms=ONE, more=CRM.format(url=gateway.url))
    _contacts(world, {"1": "active", "2": "active"})
    world.run("2026-12-24T09:00:00+00:00")
    world.run("2026-12-24T11:00:00+00:00")
    (error,) = world.errors()
    for _ in range(2):
        world.verb("sent", error.id, "2026-12-24T11:05:00+00:00")
    world.run("2026-12-24T11:06:00+00:00")
    world.run("2026-12-24T11:07:00+00:00")
    acts = [request.json() for request in gateway.requests if request.path == "/act"]
    assert sorted(act["to"] for act in acts) == ["1", "2"]
    assert {act["fields"]["text"] for act in acts} == {"Olá Pessoa"}

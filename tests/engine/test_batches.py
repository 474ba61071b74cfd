"""Many messages with one call: who travels together, who is refused alone, and what nobody may get twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libax_automate.engine import lane
from libax_automate.engine.store.rows import MessageState
from libax_automate.testing.service import Fault, Reply, Service
from tests.harness.postal import catalogue
from tests.harness.world import BIRTHDAY, World, ids, later

ROOT = Path(__file__).parents[2]
APP = """
[apps.correios]
connector = "postal"
url = "{url}"
allow_private = ["127.0.0.1/32"]
{app}
"""
WHATSAPP = """
[models.recado]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "whatsapp"
via = "correios"
text = "recado"
"""


@pytest.fixture
def gateway() -> Iterator[Service]:
    with Service(default=Reply(200, {})) as service:
        yield service


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same batch goes again at once instead of after some seconds."""
    monkeypatch.setattr(lane, "_BATCH_AGAIN", (0.01, 0.01))


def post(folder: Path, gateway: Service, *, count: int, app: str = "", more: str = "", text: str = "azul") -> World:
    world = World(folder, gateway.url, count=count, catalogue=catalogue(), more=APP.format(url=gateway.url, app=app) + more)
    world.change('sms = "sms"', 'sms = "correios"')
    world.change('text = "Olá (#FirstName#), parabéns pelos (#Age#) anos!"', f'text = "{text}"')
    return world


def calls(gateway: Service) -> list[tuple[str, list[int]]]:
    return [(request.path, [int(name[1:]) for name in request.json()["ids"]]) for request in gateway.requests]


def test_only_what_shares_its_group_travels_together(tmp_path: Path, gateway: Service) -> None:
    colours = "{{ 'azul' if id | int is odd else 'verde' }}"
    world = post(tmp_path, gateway, count=7, text=colours)
    world.run()
    assert sorted(calls(gateway)) == [("/batch", [1, 3, 5, 7]), ("/batch", [2, 4, 6])]
    assert world.states() == {"sent": 7}


def test_other_channels_go_one_by_one_and_few_at_a_time(tmp_path: Path, gateway: Service) -> None:
    """A batch's window is a thousand; a WhatsApp message that hangs must not leave a thousand in doubt."""
    world = post(tmp_path, gateway, count=9, more=WHATSAPP)
    world.run()
    assert world.states() == {"sent": 18}
    told = calls(gateway)
    assert [len(who) for path, who in told if path == "/whatsapp"] == [1] * 9
    assert [len(who) for path, who in told if path == "/batch"] == [9]
    assert all(request.json()["key"].count("-") == 4 for request in gateway.requests if request.path == "/whatsapp")

    other = post(tmp_path / "b", gateway, count=9, more=WHATSAPP)
    other.change("[models.parabens]", "[models.parabens]\nenabled = false")
    gateway.on("/whatsapp", Fault.HANG_UP)
    other.run()
    assert other.states() == {"in_doubt": 1, "waiting": 8}, "the window of what goes alone is the app's own, not the batch's"
    other.run(later(minutes=10))
    assert other.states() == {"in_doubt": 1, "waiting": 8}, "only what has a key goes again"


def _one_bad(bad: int) -> object:
    return lambda request: Reply(422 if f"M{bad}" in request.json()["ids"] else 200, {})


def test_the_one_refused_is_found_half_by_half(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/batch", _one_bad(6))  # type: ignore[arg-type]
    gateway.on("/sms", _one_bad(6))  # type: ignore[arg-type]
    world = post(tmp_path, gateway, count=8, app='on_recipient_error = "skip"')
    assert world.run().sent == 7
    assert ids(world.messages(MessageState.REJECTED)) == [6]
    everyone = [1, 2, 3, 4, 5, 6, 7, 8]
    assert [who for _, who in calls(gateway)] == [everyone, everyone[:4], everyone[4:], [5, 6], [5], [6], [7, 8]]


def test_the_one_refused_halts_the_app_and_those_behind_it_wait(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/batch", _one_bad(2))  # type: ignore[arg-type]
    gateway.on("/sms", _one_bad(2))  # type: ignore[arg-type]
    world = post(tmp_path, gateway, count=8)
    world.run()
    assert world.states() == {"sent": 1, "failed": 1, "waiting": 6}
    (error,) = world.errors()
    world.verb("skip", error.id)
    world.run(later(minutes=1))
    assert world.states() == {"sent": 7, "skipped": 1}


@pytest.mark.usefixtures("hasty")
def test_a_lost_reply_sends_the_very_same_batch_again_under_its_key(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/batch", [Fault.HANG_UP, Reply(409, {})])
    world = post(tmp_path, gateway, count=5)
    assert world.run().sent == 5
    first, second = [request.json() for request in gateway.requests]
    assert first == second


@pytest.mark.usefixtures("hasty")
def test_a_batch_that_stays_without_an_answer_is_in_doubt_and_never_goes_again(tmp_path: Path, gateway: Service) -> None:
    """In another company its messages would have another key, and the provider would take them for new ones."""
    gateway.on("/batch", Fault.HANG_UP)
    world = post(tmp_path, gateway, count=5)
    world.run()
    assert len(gateway.requests) == 3
    assert world.states() == {"in_doubt": 5}
    assert [error.messages for error in world.errors()] == [(1, 2, 3, 4, 5)]
    world.run(later(minutes=10))
    assert len(gateway.requests) == 3


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("status", [503, 429, 422, 401])
def test_what_follows_a_lost_reply_does_not_undo_that_it_may_have_been_accepted(tmp_path: Path, gateway: Service, status: int) -> None:
    gateway.on("/batch", [Fault.HANG_UP, Reply(status, {})])
    world = post(tmp_path, gateway, count=5)
    world.run()
    assert world.states() == {"in_doubt": 5}
    gateway.on("/batch", Reply(200, {}))
    world.run(later(minutes=20))
    assert world.states() == {"in_doubt": 5}
    assert len(gateway.requests) == 2


def test_a_message_alone_goes_again_under_its_own_key(tmp_path: Path, gateway: Service) -> None:
    gateway.on("/sms", [Fault.HANG_UP, Reply(409, {})])
    world = post(tmp_path, gateway, count=1)
    world.run()
    assert world.states() == {"waiting": 1}
    world.run(later(minutes=1))
    assert world.states() == {"sent": 1}
    assert len({request.json()["key"] for request in gateway.requests}) == 1


def killed(world: World, *, parcels: bool = True) -> None:
    """A pass that is killed as soon as its first batch has left."""
    (world.folder / "deadly").touch()
    program = (
        "from datetime import datetime; from pathlib import Path; from tests.harness.postal import catalogue; from tests.harness.world import run_pass_at;"
        f"run_pass_at(Path({str(world.profile)!r}), Path({str(world.db)!r}), datetime.fromisoformat({BIRTHDAY!r}), catalogue=catalogue())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (world.folder / "deadly").unlink()
    notes = list(world.db.parent.glob("*.parcels/*/*.json"))
    assert len(notes) == 1
    if not parcels:
        notes[0].unlink()


def test_a_batch_whose_process_was_killed_goes_again_as_it_was(tmp_path: Path, gateway: Service) -> None:
    world = post(tmp_path, gateway, count=15)
    killed(world)
    gateway.on("/batch", [Reply(409, {}), Reply(200, {})])
    world.run(later(minutes=1))
    assert world.states() == {"sent": 15}
    first, again, rest = [request.json() for request in gateway.requests]
    assert first == again
    assert [len(body["ids"]) for body in (first, rest)] == [10, 5]
    assert list(world.db.parent.glob("*.parcels/*/*.json")) == [], "nothing is under way any more"


@pytest.mark.parametrize("status", [503, 422, 401, 500])
@pytest.mark.usefixtures("hasty")
def test_a_killed_batch_that_cannot_go_again_is_in_doubt(tmp_path: Path, gateway: Service, status: int) -> None:
    world = post(tmp_path, gateway, count=5)
    killed(world)
    gateway.on("/batch", Reply(status, {}))
    world.run(later(minutes=1))
    assert world.states() == {"in_doubt": 5}
    gateway.on("/batch", Reply(200, {}))
    count = len(gateway.requests)
    world.run(later(minutes=20))
    assert (world.states(), len(gateway.requests)) == ({"in_doubt": 5}, count)


@pytest.mark.parametrize("case", ["too late", "nobody knows who was in it", "the app is paused"])
def test_a_killed_batch_never_goes_again_when_its_key_may_not_hold(tmp_path: Path, gateway: Service, case: str) -> None:
    """The key is remembered for an hour; in another company the messages would have another; and a pause is a pause."""
    world = post(tmp_path, gateway, count=5)
    killed(world, parcels=case != "nobody knows who was in it")
    if case == "the app is paused":
        with world.store() as store:
            app = world.app("correios")
            store.apps.pause(app.id, 0.0)
    world.run(later(minutes=70 if case == "too late" else 1))
    assert world.states() == {"in_doubt": 5}
    assert len(gateway.requests) == 1


def test_actions_of_an_app_that_sends_batches_are_done_one_by_one(tmp_path: Path, gateway: Service) -> None:
    notes = '[models.notas]\nuse = "noter"\nsource = "gestao"\nat = "10:00"\n'
    world = post(tmp_path, gateway, count=5, more=notes)
    gateway.on("/act", [Fault.HANG_UP, Reply(200, {})])
    world.run()
    assert [path for path, _ in calls(gateway)].count("/batch") == 1
    assert world.states()["in_doubt"] == 1, "the key is for letters"
    world.verb("sent", world.errors()[0].id)
    world.run(later(minutes=1))
    assert world.states() == {"sent": 10}
    assert [len(who) for path, who in calls(gateway) if path == "/act"] == [1] * 5

"""R6: every class of error and every way out of it, through the commands; exactly the tables of the engine, and nothing overtakes."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libax_automate.plugins.catalogue import default_catalogue
from tests.conftest import Cli, Finished
from tests.figures import Figure
from tests.harness import mutations
from tests.harness.plugins import catalogue
from tests.harness.world import BIRTHDAY, World, later

PROFILE = """
name = "padaria"
timezone = "Europe/Lisbon"
locale = "pt_PT"
country = "PT"
activation = "immediate"

[defaults]
sms = "um"

[apps.gestao]
connector = "csv"
contacts = "clientes.csv"

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

""" + "".join(
    f"""
[models.{model}]
use = "birthday"
source = "gestao"
at = "10:00"
channel = "sms"
via = "{app}"
expires = "5d"
text = "Parabéns!"
"""
    for model, app in (("m1", "um"), ("m2", "dois"), ("m3", "tres"))
)

#: what is raised -> (class of the error, state of its message); None = no error, the app only waits
CLASSES: dict[str, tuple[str | None, str]] = {
    "RateLimited": (None, "waiting"),
    "Transient": ("transient", "failed"),
    "AccountError": ("account", "failed"),
    "SetupError": ("configuration", "failed"),
    "ContentError": ("content", "failed"),
    "RecipientError": ("recipient", "failed"),
    "KeyError": ("bug", "in_doubt"),
    "OutcomeUnknown": ("in_doubt", "in_doubt"),
}
COUNT = 4


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test plugins, installed as any package is."""
    info = tmp_path / "site" / "harness-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harness\nVersion: 1.0\n", encoding="utf-8")
    names = ("bulk", "crm", "fragile", "reminder")
    (info / "entry_points.txt").write_text(
        "[libax_automate]\n" + "".join(f"{name} = tests.harness.plugins\n" for name in names), encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(info.parent))
    default_catalogue.cache_clear()
    yield
    default_catalogue.cache_clear()


@dataclass
class Case:
    """A business one of whose apps meets an error on its second message."""

    world: World
    cli: Cli
    raised: str
    now: str = BIRTHDAY

    def command(self, *args: str) -> Finished:
        where = ("--profiles", self.world.profile, "--db", self.world.db, "--now", self.now)
        return self.cli(*args, *where, "--json")

    def run(self, **span: float) -> Finished:
        self.now = later(self.now, **span)
        return self.command("run")

    def strike(self) -> None:
        """Run until the error stands."""
        first = self.first
        (self.world.folder / "um").write_text(f"{self.raised} M{first + 1}", encoding="utf-8")
        done = self.run(hours=1)
        if self.raised == "Transient":
            for seconds in (120, 120, 300, 700):
                assert done.code == 0
                done = self.run(seconds=seconds)
        cls, state = CLASSES[self.raised]
        assert done.code == (0 if cls is None else 3)
        assert done.json["halted"] == ([] if cls is None else ["dois", "um"] if cls == "account" else ["um"])
        listed = self.command("errors", "list").json["items"]
        assert [(item["app"], item["class"]) for item in listed] == ([("um", cls)] if cls else [])
        assert self.states("um") == ["sent", state, "waiting", "waiting"]
        assert self.sent("um") == [first], "nothing overtakes the head"
        assert self.states("tres") == ["sent"] * COUNT, "other apps go on"
        if cls:
            assert listed[0]["messages"] == [f"M{first + 1}"]

    @property
    def first(self) -> int:
        return 1

    def states(self, app: str) -> list[str]:
        return [str(row.state) for row in self.world.messages() if row.app == app]

    def sent(self, app: str) -> list[int]:
        log = self.world.folder / f"{app}.sent"
        return [int(line[1:]) for line in log.read_text(encoding="utf-8").split()] if log.exists() else []

    def mend(self) -> None:
        (self.world.folder / "um").unlink()


@pytest.fixture
def case(tmp_path: Path, cli: Cli, installed: None, request: pytest.FixtureRequest) -> Case:
    world = World(tmp_path / "w", count=COUNT, profile=PROFILE, catalogue=catalogue())
    made = Case(world, cli, request.param, now=later(hours=-1))
    assert made.command("run").code == 0
    made.strike()
    return made


every_class = pytest.mark.parametrize("case", list(CLASSES), indirect=True)
halting = pytest.mark.parametrize("case", [name for name, (cls, _) in CLASSES.items() if cls], indirect=True)


def _nothing_to_resolve(case: Case, verb: str) -> bool:
    """A throttle is no error: there is nothing to resolve, and the command says so."""
    if CLASSES[case.raised][0] is not None:
        return False
    done = case.command("errors", verb, "E1")
    assert (done.code, done.error["kind"]) == (5, "not_found")
    case.mend()
    case.run(minutes=10)
    assert case.sent("um") == [1, 2, 3, 4]
    return True


@pytest.mark.req("LX-64")
@every_class
def test_r6_retry_tries_the_head_again_and_then_the_rest_in_order(case: Case) -> None:
    if _nothing_to_resolve(case, "retry"):
        return
    still = case.command("errors", "retry", "E1").json["items"][0]
    assert (still["changed"], still["messages"], still["state"]) == (True, ["M2"], "closed")
    assert case.command("errors", "retry", "E1").json["items"][0]["changed"] is False
    if case.raised != "Transient":
        # nothing has been mended: the same error again, and still nothing overtakes
        assert case.run(minutes=1).code == 3
        assert case.sent("um") == [1]
        assert case.command("errors", "retry", "--all").code == 0
    case.mend()
    assert case.run(minutes=1).code == 0
    assert case.sent("um") == [1, 2, 3, 4]
    assert case.states("dois") == ["sent"] * COUNT


@pytest.mark.req("LX-65")
@every_class
def test_r6_skip_leaves_the_head_out_and_the_rest_goes_on(case: Case) -> None:
    if _nothing_to_resolve(case, "skip"):
        return
    assert case.command("errors", "skip", "E1").json["items"][0]["messages"] == ["M2"]
    assert case.run(minutes=1).code == 0
    assert case.states("um") == ["sent", "skipped", "sent", "sent"]
    assert case.sent("um") == [1, 3, 4]
    assert case.states("dois") == ["sent"] * COUNT


@every_class
def test_r6_sent_believes_that_it_arrived_and_calls_nobody(case: Case) -> None:
    if _nothing_to_resolve(case, "sent"):
        return
    assert case.command("errors", "sent", "E1").json["items"][0]["messages"] == ["M2"]
    assert case.run(minutes=1).code == 0
    assert case.states("um") == ["sent"] * COUNT
    assert case.sent("um") == [1, 3, 4]


@pytest.mark.req("LX-66")
@every_class
def test_r6_clear_cancels_what_waits_leaves_the_error_and_can_be_undone(case: Case) -> None:
    cls, state = CLASSES[case.raised]
    done = case.command("queue", "clear", "um", "--yes").json["items"][0]
    waiting = 3 if cls is None else 2
    assert done["cleared"] == waiting
    assert case.states("um") == ["sent", "cancelled" if cls is None else state, "cancelled", "cancelled"]
    assert len(case.command("errors", "list").json["items"]) == (cls is not None)
    case.run(minutes=5)
    assert case.sent("um") == [1]
    assert case.command("queue", "restore", done["batch"]).json["restored"] == waiting
    case.mend()
    if cls:
        case.command("errors", "retry", "E1")
    assert case.run(minutes=10).code == 0
    assert case.sent("um") == [1, 2, 3, 4]


@halting
def test_r6_two_admins_at_once_one_of_them_is_first(case: Case, figure: Figure) -> None:
    rounds = 0
    for verbs in (("retry", "skip"), ("sent", "skip"), ("retry", "sent")):
        (error,) = case.world.errors()
        held = error.messages
        gate = threading.Barrier(2)
        done: dict[str, Any] = {}

        def admin(verb: str, number: int = error.id, gate: threading.Barrier = gate, done: dict[str, Any] = done) -> None:
            with case.world.store() as store:
                gate.wait(10)
                done[verb] = getattr(store.errors, verb)(number, 0.0)

        threads = [threading.Thread(target=admin, args=(verb,)) for verb in verbs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        winners = [verb for verb in verbs if done[verb].messages]
        assert len(winners) == 1
        assert [done[verb].errors for verb in verbs].count([error.id]) == 1
        assert tuple(done[winners[0]].messages) == held
        after = {row.id: str(row.state) for row in case.world.messages()}[held[0]]
        assert after == {"retry": "waiting", "skip": "skipped", "sent": "sent"}[winners[0]]
        assert case.world.value("SELECT resolution FROM errors WHERE id = ?", error.id) == winners[0]
        rounds += 1
        # the next round's error, on the next message
        nxt = min((row.id for row in case.world.messages() if row.app == "um" and row.state == "waiting"), default=None)
        if nxt is None:
            break
        (case.world.folder / "um").write_text(f"{case.raised} M{nxt}", encoding="utf-8")
        case.run(minutes=1)
        if case.raised == "Transient":
            for seconds in (120, 120, 300, 700):
                case.run(seconds=seconds)
    assert rounds >= 2
    figure(
        f"R6: {len(CLASSES)} kinds of error, each with retry, skip, sent and clear through the commands, {rounds} races of two admins per kind"
    )


@pytest.mark.parametrize("case", ["AccountError"], indirect=True)
def test_r6_two_commands_at_once_both_end_well(case: Case, start_process: Callable[..., subprocess.Popen[str]]) -> None:
    where = ("--db", case.world.db, "--json")
    processes = [start_process("errors", verb, "E1", *where) for verb in ("retry", "skip")]
    items = [json.loads(process.communicate(timeout=60)[0])["items"][0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(len(item["messages"]) for item in items) == [0, 1]
    assert {item["state"] for item in items} == {"closed"}


def test_r6_an_account_error_stands_for_every_app_of_the_account(tmp_path: Path, cli: Cli, installed: None) -> None:
    world = World(tmp_path / "w", count=COUNT, profile=PROFILE, catalogue=catalogue())
    case = Case(world, cli, "AccountError", now=later(hours=-1))
    case.command("run")
    case.strike()
    assert case.command("errors", "list", "--app", "dois").json["items"][0]["id"] == "E1"
    assert case.command("errors", "list", "--app", "tres").json["items"] == []
    # while the account is refused, what both apps have waits; the probe finds it mended after five minutes
    case.mend()
    assert case.run(minutes=6).json["halted"] == []
    assert case.sent("um") == [1, 2, 3, 4]
    assert case.world.value("SELECT resolution FROM errors") == "retry"


@pytest.mark.parametrize("fault", ["a-halted-app-goes-on", "retry-goes-to-the-tail"])
def test_this_proof_can_fail(tmp_path: Path, cli: Cli, installed: None, fault: str) -> None:
    world = World(tmp_path / "w", count=COUNT, profile=PROFILE, catalogue=catalogue())
    case = Case(world, cli, "OutcomeUnknown", now=later(hours=-1))
    case.command("run")
    with mutations.broken(fault), pytest.raises(AssertionError):
        _strike_and_retry(case)


def _strike_and_retry(case: Case) -> None:
    case.strike()
    case.command("errors", "retry", "E1")
    case.mend()
    case.run(minutes=1)
    assert case.sent("um") == [1, 2, 3, 4]

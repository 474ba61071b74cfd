"""Payment notes through kills: numbers without gaps, one note for each partner, each commission on one, and what was mailed is what is kept."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from libax_automate.engine.store import Store
from tests.figures import Figure
from tests.harness.broker import Broker, files
from tests.harness.runner import Nursery

PARTNERS, WORLDS = 40, 3
#: runs at these instants: each goes on where the one before was killed
_BEGIN, _SEEN = "2026-12-01T09:01:00+00:00", "2026-11-22T10:00:00+00:00"


def crowd(home: Path, count: int) -> Broker:
    """Partners with three commissions each, of which two are of November."""
    partners = {str(n): f"Parceiro {n},p{n}@example.com,," for n in range(1, count + 1)}
    rows: dict[str, str] = {}
    for n in range(1, count + 1):
        rows |= {f"{n}a": f"{n},FT {n}a,2026-11-10,,,{n}.01,EUR", f"{n}b": f"{n},FT {n}b,2026-11-20,,,{n}.02,EUR"}
        rows[f"{n}c"] = f"{n},FT {n}c,2026-12-20,,,1.00,EUR"
    return Broker(home, partners=partners, commissions=rows).write()


def judged(broker: Broker, count: int) -> list[str]:
    """What is wrong with the notes of November; nothing."""
    wrong = []
    documents = broker.documents()
    if [document.n for document in documents] != [*range(1, count + 1)]:
        wrong.append(f"numbers {[document.n for document in documents]}")
    if len({document.person for document in documents}) != count:
        wrong.append("a partner has several notes")
    if any(document.message_id is None for document in documents):
        wrong.append("a note without a message")
    on = Counter(str(row[0]) for row in broker.query("SELECT record FROM document_records"))
    if sorted(on) != sorted(f"{n}{letter}" for n in range(1, count + 1) for letter in "ab") or set(on.values()) != {1}:
        wrong.append("commissions on no note, or on several")
    if broker.query("SELECT last FROM series") != [(count,)]:
        wrong.append("the series counts otherwise")
    mails = {str(mail["subject"]): files(mail) for mail in broker.mails()}
    if len(mails) != count or len(broker.mails()) != count:
        wrong.append(f"{len(broker.mails())} mails")
    for document in documents:
        kept = broker.query(f"SELECT content FROM documents WHERE id = {document.id}")[0][0]
        if mails.get(f"Nota {document.number}") != {document.file: kept}:
            wrong.append(f"{document.number}: what was mailed is not what is kept")
    return wrong


def lived_through(broker: Broker, nursery: Nursery, rng: random.Random, fault: str = "") -> tuple[int, int]:
    """Passes, each killed at a random moment, until one comes to its end: (lives, kills)."""
    options = {"break": fault} if fault else {}
    nursery.start(broker.profile, broker.db, _SEEN, **options)
    assert nursery.wait() == 0
    lives = kills = 0
    patience = 0.01
    while True:
        # later each time: a task that was cut short waits until the instant at which that was found
        nursery.start(broker.profile, broker.db, f"2026-12-01T{9 + lives // 60:02}:{lives % 60:02}:01+00:00", **options)
        lives += 1
        time.sleep(rng.uniform(0.0, patience))
        patience *= 1.3
        nursery.kill()
        code = nursery.wait()
        kills += code == -signal.SIGKILL
        if code == 3:
            # a task whose process ended three times is a person's, who lets it run again
            with Store(broker.db) as store:
                assert store.tasks.retry(1, 0.0)
            continue
        assert code in (0, -signal.SIGKILL), code
        if code == 0:
            return lives, kills


@pytest.mark.req("LX-30")
def test_killed_at_random_moments_numbers_have_no_gap_and_no_double(tmp_path: Path, figure: Figure) -> None:
    rng, kills, lives = random.Random(30), 0, 0
    with Nursery(tmp_path / "lives.log") as nursery:
        for number in range(WORLDS):
            broker = crowd(tmp_path / f"world{number}", PARTNERS)
            lived, killed = lived_through(broker, nursery, rng)
            lives, kills = lives + lived, kills + killed
            assert judged(broker, PARTNERS) == []
    figure(f"LX-30: {WORLDS * PARTNERS} notes, {kills} kills in {lives} lives: 0 gaps, 0 doubles, every mail as it is kept")
    assert kills >= 20


def test_a_number_that_is_taken_before_its_transaction_is_noticed(tmp_path: Path) -> None:
    rng = random.Random(30)
    with Nursery(tmp_path / "lives.log") as nursery:
        for number in range(5):
            broker = crowd(tmp_path / f"world{number}", PARTNERS)
            lived_through(broker, nursery, rng, "numbers-taken-when-printed")
            if wrong := judged(broker, PARTNERS):
                assert wrong[0].startswith("numbers [")
                return
    pytest.fail("nobody noticed")


#: runs the pass in a child that kills itself before the N-th statement that writes or ends a transaction, then once more to the end
ZYGOTE = """
import os, shutil, signal, sqlite3, sys
from datetime import datetime
from pathlib import Path
import libax_automate.engine.pdf, libax_automate.engine.press, babel.dates, babel.numbers, sqlite_utils
from libax_automate.clock import ShiftedClock
from libax_automate.engine.run import run_pass
from libax_automate.engine.store import database
from libax_automate.engine.workspace import Workspace

folder, first, step, most = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
connect = sqlite3.connect

def run(home):
    clock = ShiftedClock(datetime.fromisoformat(sys.argv[5]))
    with Workspace.open(profiles=home / "profiles.toml", db=home / "state" / "automate.db", clock=clock) as space:
        run_pass(space)

# what the children need is imported once
shutil.copytree(folder / "base", folder / "warm")
run(folder / "warm")

for number in range(first, most, step):
    home = folder / str(number)
    shutil.copytree(folder / "base", home)
    child = os.fork()
    if not child:
        count = 0
        def count_down(statement):
            global count
            if statement.split(None, 1)[0] in {"BEGIN", "COMMIT", "INSERT", "UPDATE", "DELETE", "DROP", "CREATE"}:
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
        def traced(*args, **options):
            conn = connect(*args, **options)
            conn.set_trace_callback(count_down)
            return conn
        database.sqlite3.connect = traced
        run(home)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    again = os.fork()
    if not again:
        run(home)
        os._exit(0)
    _, status = os.waitpid(again, 0)
    print(number, code, os.waitstatus_to_exitcode(status), flush=True)
    if not code:
        break
"""


@pytest.mark.req("LX-30")
def test_killed_at_each_statement_of_a_run_number_document_and_message_are_there_or_none(tmp_path: Path, figure: Figure) -> None:
    partners = 3
    base = crowd(tmp_path / "base", partners)
    with Nursery(tmp_path / "lives.log") as nursery:
        nursery.start(base.profile, base.db, _SEEN)
        assert nursery.wait() == 0
    command = [sys.executable, "-W", "ignore", "-c", ZYGOTE, str(tmp_path), "0", "1", "400", _BEGIN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    rows = [tuple(map(int, line.split())) for line in done.stdout.split("\n") if line]
    assert [row[1:] for row in rows] == [*[(-signal.SIGKILL, 0)] * (len(rows) - 1), (0, 0)], rows
    wrong = {row[0]: found for row in rows if (found := judged(Broker(tmp_path / str(row[0])), partners))}
    figure(f"LX-30: killed before each of {len(rows) - 1} writing statements of a run, {len(wrong)} wrong")
    assert wrong == {}
    assert len(rows) > 30
    for row in rows:
        shutil.rmtree(tmp_path / str(row[0]))

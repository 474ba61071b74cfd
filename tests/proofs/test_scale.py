"""R8, under soak: a million messages wait in a hundred apps, and the queue answers as if there were few.

Measured twice: in memory (``/dev/shm``), where a flush costs nothing and each figure is the program's own, and on the disk of the temporary
folder, with what two bare commits take there beside it. A flush of the disk is not the queue's doing: the 5 ms are held in memory.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libax_automate.engine.store import Store
from tests.figures import Figure
from tests.harness.million import NOW, drafts
from tests.harness.runner import ROOT

COUNT = int(os.environ.get("SOAK_WAITING", "1000000"))
APPS = 100
SHM = Path("/dev/shm")


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where the database lies."""
    if request.param == "disk":
        yield tmp_path
        return
    if not SHM.is_dir() or shutil.disk_usage(SHM).free < 2_000_000_000:
        pytest.skip("there are no two spare GB in /dev/shm")
    own = SHM / f"automate-{os.getpid()}-{tmp_path.name}"
    own.mkdir()
    try:
        yield own
    finally:
        shutil.rmtree(own)


def ask(*args: str) -> Any:
    """What a process of its own finds: its memory is not the tests'."""
    done = subprocess.run([sys.executable, "-m", "tests.harness.million", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_queue_of_a_million_is_as_quick_as_a_short_one(folder: Path, request: pytest.FixtureRequest, figure: Figure) -> None:
    path = folder / "automate.db"
    built = ask("build", str(path), str(COUNT), str(APPS))
    seen = ask("work", str(path), str(time.time()))
    size = path.stat().st_size / 1e6
    memory = max(built["memory"], seen["memory"])
    where = request.node.callspec.params["folder"]
    figure(
        f"R8 {COUNT} waiting in {APPS} apps, {where}: claim and settle p99 {seen['p99'] * 1000:.2f} ms (two bare commits "
        f"{seen['bare'] * 1000:.2f}), counts {seen['counts'] * 1000:.0f} ms, clear {seen['cleared']} {seen['clear'] * 1000:.0f} ms, "
        f"start {seen['start']:.2f} s, peak RSS {memory:.0f} MB, file {size:.0f} MB"
    )
    assert seen["problems"] == 0
    if where == "memory":
        assert seen["p99"] <= 0.005
    assert seen["counts"] <= 0.2
    assert seen["clear"] <= 1
    assert seen["start"] <= 2
    assert memory <= 150
    assert size <= 500


@pytest.mark.parametrize("instants", [1, 7, 300])
def test_the_counts_are_those_of_the_rows(tmp_path: Path, instants: int) -> None:
    """Whatever waits until whichever moment: how many, since when the oldest waits, when the next may leave."""
    chance = random.Random(instants)
    with Store(tmp_path / "automate.db") as store:
        apps = {name: store.apps.register("p", name, "http", name) for name in ("a", "b", "empty")}
        with store.write() as conn:
            model = store.tasks.see_model("p", "m", now=NOW, slots_from=NOW, fingerprint="").id
            store.queue.enqueue(drafts(["a", "b"], 800), model_id=model, task_id=None, apps=apps, now=NOW)
            for (id_,) in store.db.rows("SELECT id FROM messages"):
                state = chance.choice(("waiting", "waiting", "sent", "failed", "in_doubt", "sending"))
                conn.execute(
                    "UPDATE messages SET state = ?, not_before = ?, created_at = ? WHERE id = ?",
                    (state, float(chance.randrange(instants)), NOW + id_, id_),
                )
        for row in store.apps.rows(NOW):
            found = dict(store.db.rows("SELECT state, count(*) FROM messages WHERE app_id = ? GROUP BY state", (row.id,)))
            assert (row.waiting, row.sending, row.in_doubt, row.failed) == tuple(
                found.get(state, 0) for state in ("waiting", "sending", "in_doubt", "failed")
            )
            opened = "app_id = ? AND state IN ('waiting', 'sending', 'failed', 'in_doubt')"
            assert row.oldest == store.db.value(f"SELECT min(created_at) FROM messages WHERE {opened}", (row.id,))
            assert row.next_at == store.db.value("SELECT min(not_before) FROM messages WHERE app_id = ? AND state = 'waiting'", (row.id,))
        assert store.ledger.waiting() == store.db.value("SELECT count(*) FROM messages WHERE state = 'waiting'")

"""The fast HTTP engine survives the thread that was the first to ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from libax_automate.testing.service import Reply, Service

PROGRAM = """
import sys, threading
from libax_automate.http import ApiClient

made = []

def begin():
    made.append(ApiClient(sys.argv[1], transport="pyreqwest", allow_private=["127.0.0.1/32"]))
    made[0].post("/x", json={"n": 0})

first = threading.Thread(target=begin)
first.start(); first.join()
with_others = [threading.Thread(target=lambda: [made[0].post("/x", json={"n": 1}).status for _ in range(20)]) for _ in range(4)]
for thread in with_others: thread.start()
for thread in with_others: thread.join()
made[0].close()
print("alive")
"""


def test_a_worker_that_ends_does_not_take_the_library_with_it() -> None:
    pytest.importorskip("pyreqwest", reason="the extra `fast` is not installed")
    with Service(default=Reply(200, {})) as service:
        done = subprocess.run([sys.executable, "-c", PROGRAM, service.url], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr

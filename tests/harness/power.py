"""What a disk holds after a power cut: a process's writes as strace saw them, of which only what was flushed is sure to be there."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.runner import ROOT

#: what a disk writes whole, in bytes
_SECTOR = 512
_CALLS = "openat,close,pwrite64,fsync,fdatasync,ftruncate,unlink,sendto"
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>(.*)|(\w+)\((.*))$")
_DONE = re.compile(r"^(.*)\) += (-?\d+)(?: .*)?$", re.DOTALL)


def usable() -> str:
    """Why strace cannot be used here; "" if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return "strace may not trace here" if tried.returncode else ""


@dataclass(frozen=True, slots=True)
class Event:
    """One call that matters: ``write``, ``truncate``, ``flush`` of a file, or ``call`` (bytes to the network)."""

    kind: str
    file: str = ""
    offset: int = 0
    data: bytes = b""


def record(order: dict[str, Any], trace: Path, env: dict[str, str] | None = None) -> list[Event]:
    """Run one life under strace; what it did to files in the database's folder and to the network, in order."""
    strace = ["strace", "-f", "-xx", "-s", "200000", "-e", f"trace={_CALLS}", "-o", str(trace)]
    done = subprocess.run(
        [*strace, sys.executable, "-m", "tests.harness.runner", "--once"], input=json.dumps(order) + "\n", text=True, cwd=ROOT,
        env={**os.environ, **(env or {})}, capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    return list(_events(trace, str(Path(order["db"]).parent)))


def _events(trace: Path, folder: str) -> Iterator[Event]:
    files: dict[int, str] = {}
    begun: dict[str, str] = {}
    for line in trace.read_text(encoding="ascii", errors="replace").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, resumed, rest, name, args = found.groups()
        if resumed is not None:
            name, args = resumed, begun.pop(pid, "") + rest
        elif args.endswith("<unfinished ...>"):
            begun[pid] = args.removesuffix("<unfinished ...>").rstrip()
            continue
        ended = _DONE.match(args)
        if ended is None or int(ended[2]) < 0:
            continue
        yield from _event(name, ended[1], int(ended[2]), files, folder)


def _event(name: str, args: str, answer: int, files: dict[int, str], folder: str) -> Iterator[Event]:
    if name == "openat":
        path = _text(args.split(", ")[1]).decode(errors="replace")
        files.pop(answer, None)
        if path.startswith(folder + "/"):
            files[answer] = Path(path).name
        return
    descriptor = int(args.split(",", maxsplit=1)[0]) if name != "unlink" else -1
    file = files.get(descriptor, "")
    if name == "close":
        files.pop(descriptor, None)
    elif name == "sendto":
        yield Event("call", data=_text(args.split(", ")[1]))
    elif not file:
        return
    elif name == "pwrite64":
        _, data, _, offset = args.split(", ")
        yield Event("write", file, int(offset), _text(data)[:answer])
    elif name == "ftruncate":
        yield Event("truncate", file, int(args.split(", ")[1]))
    elif name in ("fsync", "fdatasync"):
        yield Event("flush", file)


def _text(quoted: str) -> bytes:
    return bytes.fromhex(quoted.strip().removesuffix("...").strip('"').replace("\\x", ""))


@dataclass
class Disk:
    """Files as they are for sure, and what has been written to them since and may or may not be there after a power cut."""

    sure: dict[str, bytearray] = field(default_factory=dict)
    unsure: dict[str, list[Event]] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """The next call of the process."""
        if event.kind == "flush":
            for one in self.unsure.pop(event.file, []):
                _apply(self.sure.setdefault(event.file, bytearray()), one)
        elif event.kind in ("write", "truncate"):
            self.unsure.setdefault(event.file, []).append(event)

    def after_a_cut(self, rng: random.Random, folder: Path, *, keep: float) -> None:
        """Write into ``folder`` what a disk may hold now: each unsure write with the chance ``keep``, sector by sector."""
        folder.mkdir()
        for name in {*self.sure, *self.unsure}:
            content = bytearray(self.sure.get(name, b""))
            for event in self.unsure.get(name, []):
                for part in _parts(event):
                    if rng.random() < keep:
                        _apply(content, part)
            (folder / name).write_bytes(content)


def _parts(event: Event) -> Sequence[Event]:
    if event.kind == "truncate":
        return [event]
    return [
        Event("write", event.file, event.offset + start, event.data[start : start + _SECTOR])
        for start in range(0, len(event.data), _SECTOR)
    ]


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    if len(content) < event.offset:
        content.extend(bytes(event.offset - len(content)))
    content[event.offset : event.offset + len(event.data)] = event.data

"""Profiles that a fuzzer makes up, guided by which lines of the loader they reach (``pip install atheris``).

``python -m tests.harness.fuzz SECONDS [FOLDER]`` starts from the examples of this repository; what breaks the loader is kept in FOLDER.
A profile may be refused, with a place for every finding, and nothing else may come of it.
"""

from __future__ import annotations

import importlib
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.harness.runner import ROOT

SECRET = "canary-5f0e9c1b7d"
_SECRETS = (b"password =", b"headers =", b"url =")


def judge(path: Path, environ: dict[str, str]) -> None:
    """Load and check one profile; raises AssertionError, or whatever the program let through, if it is not refused as it should be."""
    from libax_automate.clock import SystemClock
    from libax_automate.engine.check import findings
    from libax_automate.engine.profile import load_profiles
    from libax_automate.engine.workspace import Workspace
    from libax_automate.errors import Problem, ProfileError
    from libax_automate.plugins.catalogue import default_catalogue

    began = time.process_time()
    try:
        loaded = load_profiles([path], default_catalogue(), environ)
        with Workspace(loaded, path.with_name("none.db"), default_catalogue(), SystemClock()) as space:
            problems = [each.problem for _, found in findings(space, connect=False) for each in found]
    except ProfileError as error:
        # one without a list of findings has no place either
        problems = list(error.problems) or [Problem(str(path), 0, 0, str(error), "")]
    for problem in problems:
        assert problem.line >= 1, problem
        assert problem.column >= 1, problem
        assert SECRET not in str(problem), problem
    assert time.process_time() - began < 1


def seeds(folder: Path) -> None:
    """What the fuzzer starts from: every profile of this repository."""
    from tests.proofs.test_profiles import PROFILE, mutated

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "proof").write_text(PROFILE, encoding="utf-8")
    for number, path in enumerate([ROOT / "profiles.example.toml", *(ROOT / "examples").rglob("*.toml")]):
        (folder / f"example-{number}").write_bytes(path.read_bytes())
    for number in range(200):
        (folder / f"mutated-{number}").write_bytes(mutated(random.Random(number)))


def words(file: Path) -> None:
    """The names that profiles are made of."""
    text = (ROOT / "profiles.example.toml").read_text(encoding="utf-8") + (ROOT / "docs" / "profile.md").read_text(encoding="utf-8")
    found = sorted(set(re.findall(r"[a-z0-9_]{2,30}", text)))
    file.write_text("".join(f'"{word}"\n' for word in found), encoding="utf-8")


def main(seconds: int, folder: Path) -> None:
    """Fuzz for so long; ends with an error at the first profile that breaks the loader."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["libax_automate"]):
        import libax_automate.engine.check
        import libax_automate.engine.profile
        import libax_automate.engine.workspace
        import libax_automate.plugins.catalogue  # noqa: F401
        from libax_automate.plugins.catalogue import default_catalogue

        default_catalogue().entries()
    corpus = folder / "corpus"
    seeds(corpus)
    words(folder / "words")
    path = Path(tempfile.mkdtemp(dir=folder)) / "profiles.toml"
    path.touch(0o600)
    environ = {"CANARY": "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="}

    def one(data: bytes) -> None:
        if any(SECRET.encode() in line and not line.startswith(_SECRETS) for line in data.splitlines()):
            return  # what stands where no secret belongs, as the name of a connector, is told
        path.write_bytes(data)
        judge(path, environ)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        # bytes alone break the grammar nearly always, and then nothing behind it is reached
        from tests.proofs.test_profiles import mutated

        if seed % 4 == 0:
            changed: bytes = atheris.Mutate(data, most)
            return changed
        return mutated(random.Random(seed), data.decode("utf-8", "surrogateescape"))[:most]

    options = [f"-max_total_time={seconds}", f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", "-max_len=20000", "-timeout=20"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp()))

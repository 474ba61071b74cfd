"""Every check of the contracts holds for good plugins and can fail: a bad plugin exists for each."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libax_automate.testing import contracts

HERE = Path(__file__).parent


@dataclass
class Suite:
    """What became of every case: the failed checks and their messages, by test class."""

    cases: list[Any]
    failed: dict[str, dict[str, str]]
    passed: dict[str, set[str]]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    folder = tmp_path_factory.mktemp("bad")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        cases = importlib.import_module("bad_connectors")
        importlib.import_module("bad_connectors.suite")
        info = folder / "bad_connectors-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-connectors\nVersion: 1.0\n")
        names = "".join(f"{cls.name} = bad_connectors.suite\n" for cls in cases.LISTED)
        (info / "entry_points.txt").write_text(f"[libax_automate]\n{names}")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "bad_connectors.selection"]
        command += [
            "--import-mode=prepend",
            "--tb=short",
            f"--rootdir={folder}",
            f"--junitxml={folder / 'results.xml'}",
            "-c",
            str(folder / "pytest.ini"),
        ]
        (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        command.append(str(HERE / "bad_connectors" / "suite.py"))
        patch.setenv("PYTHONPATH", f"{HERE}:{folder}")
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        assert (folder / "results.xml").exists(), done.stdout + done.stderr
        failed: dict[str, dict[str, str]] = defaultdict(dict)
        passed: dict[str, set[str]] = defaultdict(set)
        for found in ET.parse(folder / "results.xml").iter("testcase"):
            name = found.get("classname", "").rsplit(".", 1)[-1]
            trouble = [element for element in found if element.tag in {"failure", "error"}]
            if trouble:
                failed[name][found.get("name", "")] = (trouble[0].get("message") or "") + (trouble[0].text or "")
            elif not list(found):
                passed[name].add(found.get("name", ""))
        yield Suite(cases.CASES, failed, passed)


def checks(contract: type[Any]) -> set[str]:
    return {name for name, _ in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test_")}


def test_good_plugins_keep_every_promise(suite: Suite) -> None:
    good = [case for case in suite.cases if not case.fails]
    assert len(good) == 5
    assert {case.test: suite.failed[case.test] for case in good} == {case.test: {} for case in good}
    # nothing was left out either: what a good plugin offers is looked at, save for the few things it cannot offer
    for case in good:
        assert checks(case.contract) - suite.passed[case.test] == set(), case.test


def test_a_bad_plugin_fails_the_check_that_is_there_for_it(suite: Suite) -> None:
    missed = {case.test: sorted(case.fails - set(suite.failed[case.test])) for case in suite.cases}
    assert not {name: names for name, names in missed.items() if names}


def test_every_check_of_every_contract_can_fail(suite: Suite) -> None:
    fallen = {(base, name) for case in suite.cases for base in case.contract.__mro__ for name in suite.failed[case.test]}
    for name in contracts.__all__:
        contract = getattr(contracts, name)
        can_fail = {check for base, check in fallen if base is contract}
        # a check that several contracts inherit is proved once for the class that defines it
        inherited = {
            check for check in checks(contract) for base in contract.__mro__[1:] if check in vars(base) and (base, check) in fallen
        }
        assert checks(contract) - can_fail - inherited == set(), name


def test_a_failing_check_says_what_is_wrong_in_words(suite: Suite) -> None:
    """The author reads one line, not a traceback of the kit's."""
    assert "2 requests" in suite.failed["TestRetrying"]["test_unavailable_is_not_sent"]
    assert "a connector never retries" in suite.failed["TestRetrying"]["test_unavailable_is_not_sent"]
    assert "should have the type Secret" in suite.failed["TestOpenHeart"]["test_what_looks_like_a_secret_is_kept_shut"]

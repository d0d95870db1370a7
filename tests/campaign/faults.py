"""Faults around a scan or a training: the tests of them, counted. Each fault is a case, and one that fails is lost."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from .tally import Tally

_TESTS = (
    "tests/cli/test_faults.py",
    "tests/cli/test_full_disk.py",
    "tests/cli/test_scan_killed.py",
    "tests/audio/test_isolated.py",
)
_ROOT = Path(__file__).parent.parent.parent


def run(folder: Path, _cases: int, _seed: int) -> Tally:
    """As many cases as there are tests."""
    tally, report = Tally("faults"), folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", f"--junitxml={report}", *_TESTS]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    tally.peak_mb = used.ru_maxrss / 1_024
    if not report.exists():
        tally.crashes += 1
        tally.broken.append(f"pytest ended with {process.returncode}")
        return tally
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        tally.cases += 1
        if case.find("failure") is not None or case.find("error") is not None:
            tally.lost += 1
            tally.broken.append(f"{case.get('classname')}.{case.get('name')}")
    return tally

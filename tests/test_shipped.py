"""The detector that comes with the package: whole, small, and harmless to the genuine examples."""

from pathlib import Path

import pytest
import yaml

from deepcheck import store
from deepcheck.engine.model import load
from deepcheck.files import sha256
from deepcheck.scanner.result import SPOOF
from deepcheck.scanner.run import scan

ROOT = Path(__file__).parent.parent
CATALOGUE = yaml.safe_load((ROOT / "weights" / "catalogue.yaml").read_text())


@pytest.mark.parametrize("name", CATALOGUE)
def test_file_is_the_one_of_the_catalogue(name):
    path = ROOT / "weights" / CATALOGUE[name]["file"]
    assert sha256(path) == CATALOGUE[name]["sha256"]
    assert path.stat().st_size <= 25_000_000
    assert (ROOT / "weights" / CATALOGUE[name]["card"]).is_file()


def test_default_is_taken_and_calibrated():
    model = load()
    assert store.current() == model.card.name == "default"
    assert model.card.calibration is not None
    assert model.card.rates["false_alarm"] == 0.01
    assert model.card.rates["bonafide"] >= 299  # fewer could not show a rate of 1 %


def test_card_tells_nothing_of_its_makers_disk():
    text = str(load().card)
    assert "/home" not in text
    assert "/root" not in text
    assert "/tmp" not in text


def test_examples_are_all_judged_and_no_genuine_one_is_called_spoof():
    report = scan(ROOT / "examples" / "audio")
    assert len(report) == 12
    assert [result.reason for result in report if result.reason] == []
    assert [r.path.name for r in report if r.verdict == SPOOF and r.path.parent.name == "genuine"] == []
    means = {kind: sum(r.llr for r in report if r.path.parent.name == kind) / 6 for kind in ("genuine", "synthetic")}
    assert means["genuine"] > means["synthetic"] + 0.5

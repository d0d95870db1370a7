import csv
import io
from pathlib import Path

import pytest

from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.evaluate import Evaluation, Trial
from deepcheck.engine.fold_groups import COLUMNS, fold_groups
from deepcheck.metrics.calibration import Thresholds

NAN = float("nan")


def trial(number, label, llr, source="site", attack=None, **tags):
    return Trial(Utterance(str(number), Path(f"{number}.wav"), label, attack, None, source, None, tags), llr, NAN)


def rows(evaluations):
    found = list(csv.DictReader(io.StringIO(fold_groups(evaluations))))
    return {(row["key"], row["value"]): row for row in found}


@pytest.fixture
def folds():
    genuine, spoof = Label.BONAFIDE, Label.SPOOF
    one = (
        trial(1, genuine, 2.0, language="fi", utterance="a"),
        trial(2, genuine, -3.0, language="fi", utterance="b"),
        trial(3, spoof, -3.0, attack="x", language="fi", utterance="c"),
        trial(4, spoof, 2.0, attack="x", language="sv", utterance="d"),
    )
    other = (
        trial(5, genuine, -3.0, source="elsewhere", language="fi", utterance="e"),
        trial(6, spoof, 0.0, source="elsewhere", attack="y", language="fi", utterance="f"),
    )
    return [
        Evaluation("m", "fold 1", Thresholds(-2.0, 1.0), one, ()),
        Evaluation("m", "fold 2", Thresholds(-4.0, 1.0), other, ()),
    ]


def test_each_fold_counts_by_its_own_thresholds(folds):
    found = rows(folds)
    finnish = found["language", "fi"]
    assert (finnish["bonafide"], finnish["spoof"]) == ("3", "2")
    assert float(finnish["called_spoof"]) == pytest.approx(1 / 3, abs=1e-4)  # -3 is below -2, and not below -4
    assert (float(finnish["caught"]), float(finnish["missed"])) == (0.5, 0.0)
    assert float(found["attack", "x"]["missed"]) == 0.5
    assert float(found["source", "elsewhere"]["called_spoof"]) == 0.0
    assert float(found["source", "elsewhere"]["eer"]) == 1.0  # the spoof scores higher


def test_what_is_not_known_is_empty(folds):
    found = rows(folds)
    assert (found["attack", "x"]["called_spoof"], found["attack", "x"]["eer"], found["attack", "x"]["cllr"]) == (
        "",
    ) * 3
    assert found["language", "sv"]["bonafide"] == "0"
    bare = [Evaluation(one.model, one.protocol, None, one.trials, ()) for one in folds]
    assert {row["caught"] for row in rows(bare).values()} == {""}


def test_columns_that_name_recordings_or_one_value_are_no_groups(folds):
    assert {key for key, _ in rows(folds)} == {"source", "attack", "language"}
    assert fold_groups(folds).splitlines()[0] == ",".join(COLUMNS)

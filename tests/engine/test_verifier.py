"""Scores of speaker verifiers."""

import numpy as np
import pytest

from deepcheck.engine.verifier import KINDS, read_joint, read_verifier
from deepcheck.errors import DataError
from deepcheck.metrics.tandem import asv_rates, min_a_dcf

KEYS_BESIDE_SCORES = """\
LA_1-alaw LA_E_1 alaw ita_tx bonafide target notrim eval LA_1-alaw LA_E_1 2.5
LA_1-alaw LA_E_2 alaw ita_tx bonafide target notrim eval LA_1-alaw LA_E_2 10
LA_1-alaw LA_E_3 alaw ita_tx bonafide nontarget notrim eval LA_1-alaw LA_E_3 -3
LA_1-alaw LA_E_4 alaw ita_tx A07 spoof notrim eval LA_1-alaw LA_E_4 -0.5
"""


@pytest.fixture
def read(tmp_path):
    def read_it(text):
        (tmp_path / "asv.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return [kind.tolist() for kind in read_verifier(tmp_path / "asv.txt")]

    return read_it


@pytest.mark.parametrize(
    "text",
    [
        "- target 2.5\n- target 1e1\n- nontarget -3\nA07 spoof -.5\n",
        "source kind score\n- target 2.5\nA07 spoof -0.5\n- nontarget -3\n- target 10\n",
        "source,kind,score\n-,target,2.5\n-,target,10.0\n-,nontarget,-3\nA07,spoof,-0.5\n",
        "\n-\ttarget\t2.5\n\n-\ttarget\t10\n-\tnontarget\t-3\nA07\tspoof\t-0.5\n\n",
        KEYS_BESIDE_SCORES,
        b"\xef\xbb\xbf- target 2.5\r\n- target 10\r\n- nontarget -3\r\nA07 spoof -0.5\r\n",
    ],
    ids=["2019", "header", "csv", "tabs", "2021", "byte-order mark"],
)
def test_targets_nontargets_and_spoofs(read, text):
    assert KINDS == ("target", "nontarget", "spoof")
    assert read(text) == [[2.5, 10.0], [-3.0], [-0.5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no target trial"),
        ("- target 1\n- nontarget 0\n", "holds no spoof trial"),
        ("- target 1\n- impostor 0\n", 'line 2: "- impostor 0" is no trial'),
        ("- target 1\n- nontarget\n", 'line 2: "- nontarget" is no trial'),
        ("- target 1\n- nontarget high\n", 'line 2: "- nontarget high" is no trial'),
        ("LA_E_1 1\nLA_E_2 2\n", 'line 2: "LA_E_2 2" is no trial'),
        (b"\x80\x81", "cannot be read: 'utf-8' codec"),
    ],
)
def test_what_is_no_such_file(read, text, message):
    with pytest.raises(DataError) as caught:
        read(text)
    assert message in caught.value.message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="nowhere of a speaker verifier cannot be read: No such file or directory"):
        read_verifier(tmp_path / "nowhere")


def test_rates_by_hand(tmp_path):
    # The EER is at 1. What is at the threshold gets in, so no target is lost; the nontarget and the spoof at 2 do too.
    scores = {"target": (1, 3, 4, 5), "nontarget": (2, 0, -1, -2), "spoof": (2, -9)}
    (tmp_path / "asv.txt").write_text("".join(f"- {kind} {score}\n" for kind in scores for score in scores[kind]))
    rates = asv_rates(*read_verifier(tmp_path / "asv.txt"))
    assert (rates.miss, rates.false_alarm, rates.spoof_false_alarm) == (0.0, 0.25, 0.5)


def test_a_joint_system_is_named_after_its_file(tmp_path):
    draw = np.random.default_rng(0)
    scores = [draw.normal(mean, 1, size) for mean, size in ((3, 40), (0, 30), (1, 20))]
    lines = [f"- {kind} {score}" for kind, own in zip(KINDS, scores, strict=True) for score in own]
    (tmp_path / "both.txt").write_text("\n".join(lines))
    found = read_joint(tmp_path / "both.txt")
    assert (found.system, found.trials, found.cost.metric.name) == ("both", (40, 30, 20), "min_a_dcf")
    assert found.cost.value == min_a_dcf(*scores)[0]
    assert found.cost.interval.low < found.cost.value < found.cost.interval.high

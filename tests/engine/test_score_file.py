"""Score files: the lines that the challenges want, and whatever other systems write."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav

from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.evaluate import Evaluation, Trial, evaluate
from deepcheck.engine.model import load
from deepcheck.engine.score_file import LAYOUTS, read_scores, score_file, threshold_at_eer
from deepcheck.errors import ConfigError, DataError
from deepcheck.metrics.calibration import Thresholds

GENUINE, SPOOF = Label.BONAFIDE, Label.SPOOF
UTTERANCES = (
    Utterance("LA_E_1", Path("flac/LA_E_1.flac"), GENUINE, source="studio"),
    Utterance("LA_E_2", Path("flac/LA_E_2.flac"), SPOOF, attack="A07"),
    Utterance("LA_E_3", Path("flac/LA_E_3.flac"), SPOOF, attack="voice clone"),
)
TRIALS = tuple(Trial(u, llr, 1.5) for u, llr in zip(UTTERANCES, (2.5, -0.1234567, 1e-7), strict=True))
FOUND = Evaluation("mine", "toy", Thresholds(-1.0, 1.0), TRIALS, ())
PROTOCOL = Protocol("toy", "eval", UTTERANCES)


def lines(layout, *evaluations):
    return score_file(evaluations or [FOUND], layout).splitlines()


def test_asvspoof2019():
    assert lines("asvspoof2019") == [
        "LA_E_1 - bonafide 2.500000",
        "LA_E_2 A07 spoof -0.123457",
        "LA_E_3 voice_clone spoof 0.000000",  # a blank would make five columns
    ]


def test_asvspoof2021():
    assert lines("asvspoof2021") == ["LA_E_1 2.500000", "LA_E_2 -0.123457", "LA_E_3 0.000000"]


def test_asvspoof5():
    assert lines("asvspoof5") == [
        "filename\tcm-score",
        "LA_E_1\t2.500000",
        "LA_E_2\t-0.123457",
        "LA_E_3\t0.000000",
    ]


def test_csv_holds_all_models():
    other = replace(FOUND, model="a, b")
    assert lines("csv", FOUND, other) == [
        "model,id,path,label,attack,source,duration_s,llr",
        "mine,LA_E_1,flac/LA_E_1.flac,bonafide,,studio,1.500,2.500000",
        "mine,LA_E_2,flac/LA_E_2.flac,spoof,A07,,1.500,-0.123457",
        "mine,LA_E_3,flac/LA_E_3.flac,spoof,voice clone,,1.500,0.000000",
        '"a, b",LA_E_1,flac/LA_E_1.flac,bonafide,,studio,1.500,2.500000',
        '"a, b",LA_E_2,flac/LA_E_2.flac,spoof,A07,,1.500,-0.123457',
        '"a, b",LA_E_3,flac/LA_E_3.flac,spoof,voice clone,,1.500,0.000000',
    ]
    assert lines("csv") == lines("csv", FOUND)


def test_what_a_layout_cannot_hold():
    with pytest.raises(ConfigError, match='no score layout "asvspoof2020"') as caught:
        score_file([FOUND], "asvspoof2020")
    assert "asvspoof2021" in caught.value.hint
    blank = (replace(TRIALS[0], utterance=replace(UTTERANCES[0], id="my call")), *TRIALS[1:])
    for layout in ("asvspoof2019", "asvspoof2021", "asvspoof5"):
        with pytest.raises(ConfigError, match="holds the scores of one model, not 2"):
            score_file([FOUND, replace(FOUND, model="other")], layout)
        with pytest.raises(ConfigError, match='no place for the blank in "my call"'):
            score_file([replace(FOUND, trials=blank)], layout)
    assert ",my call," in score_file([replace(FOUND, trials=blank)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scoring_a_file_is_scoring_the_model_that_wrote_it(tmp_path, stored_model, layout):
    rows = ["path,label,system,language"]
    for i in range(6):
        write_wav(tmp_path / f"r{i}.wav", speechlike(1.2, seed=i))
        rows.append(f"r{i}.wav,{'spoof,tts' if i % 2 else 'bonafide,'},{'en' if i > 2 else 'de'}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    protocol = read_data(tmp_path)
    found = evaluate(load(stored_model()), protocol, device="cpu")
    (tmp_path / "scores.txt").write_text(score_file([found], layout))
    back = read_scores(tmp_path / "scores.txt", protocol, "theirs")
    assert (back.model, back.protocol, back.thresholds, back.cost) == ("theirs", found.protocol, None, None)
    assert [t.utterance for t in back.trials] == [t.utterance for t in found.trials]
    assert [t.llr for t in back.trials] == pytest.approx([t.llr for t in found.trials], abs=1e-6)
    assert np.isnan([t.duration_s for t in back.trials]).all()
    for name, one in found.measurements.items():
        assert back.measurements[name].value == pytest.approx(one.value, abs=1e-5)
    assert [row.eer for row in back.by("language")] == [row.eer for row in found.by("language")]


SAID = {"LA_E_1": 2.5, "LA_E_2": -0.25, "LA_E_3": -1e3}


def read(tmp_path, text, protocol=PROTOCOL):
    (tmp_path / "scores").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_scores(tmp_path / "scores", protocol, "theirs")
    return {t.utterance.id: t.llr for t in found.trials}


@pytest.mark.parametrize(
    "text",
    [
        "LA_E_1 2.5\nLA_E_2 -0.25\nLA_E_3 -1000\n",
        "LA_E_1\t2.5\nLA_E_2\t-0.25\nLA_E_3\t-1e3",
        "LA_E_1,2.5\r\nLA_E_2,-0.25\r\nLA_E_3,-1000\r\n",
        "\n\nLA_E_3   -1000\n\n  LA_E_2 -0.25  \nLA_E_1 +2.5\n\n",
        "LA_E_1 - bonafide 2.5\nLA_E_2 A07 spoof -0.25\nLA_E_3 A08 spoof -1000\n",
        "filename\tcm-score\nLA_E_1\t2.5\nLA_E_2\t-0.25\nLA_E_3\t-1000\n",
        "Filename cm_score\nLA_E_1 2.5\nLA_E_2 -0.25\nLA_E_3 -1000\n",
        "score,label,utt\n2.5,bonafide,LA_E_1\n-0.25,spoof,LA_E_2\n-1000,spoof,LA_E_3\n",
        "ID, Label, Score\nLA_E_1, 0, 2.5\nLA_E_2, 1, -0.25\nLA_E_3, 1, -1000\n",
        '"file","score"\n"LA_E_1.flac","2.5"\n"LA_E_2.flac","-0.25"\n"LA_E_3.flac","-1000"\n',
        "LA_E_1.flac 2.5\nLA_E_2.WAV -0.25\nLA_E_3.opus -1000\n",
        "eval/flac/LA_E_1.flac 2.5\neval/flac/LA_E_2.flac -0.25\n/x/LA_E_3 -1000\n",
        "LA_E_1 2.5\nLA_E_0 9\nLA_E_2 -0.25\nLA_E_4 9\nLA_E_3 -1000\n",
        "LA_E_1 2.5\nLA_E_1 2.5\nLA_E_2 -0.25\nLA_E_2 -0.250\nLA_E_3 -1000\n",
        b"\xef\xbb\xbfLA_E_1 2.5\nLA_E_2 -0.25\nLA_E_3 -1000\n",
    ],
    ids=[
        *("blanks", "tabs", "csv", "untidy", "2019", "5", "5 in blanks", "columns in any order", "capitals", "quoted"),
        *("endings", "folders", "more than asked", "twice alike", "byte-order mark"),
    ],
)
def test_what_other_systems_write(tmp_path, text):
    assert read(tmp_path, text) == SAID


def test_recordings_whose_folder_tells_them_apart(tmp_path):
    utterances = tuple(
        Utterance(id_, Path(id_), label)
        for id_, label in (("bonafide/a/1.wav", GENUINE), ("bonafide/b/1.wav", GENUINE), ("spoof/1.wav", SPOOF))
    )
    protocol = Protocol("folders", None, utterances)
    expected = {"bonafide/a/1.wav": 1.0, "bonafide/b/1.wav": 2.0, "spoof/1.wav": 3.0}
    assert read(tmp_path, "bonafide/a/1.wav 1\nbonafide/b/1.wav 2\nspoof/1.wav 3\n", protocol) == expected
    assert read(tmp_path, "bonafide/a/1 1\nbonafide/b/1 2\nspoof/1.flac 3\n", protocol) == expected
    with pytest.raises(DataError, match="no score for 1 of 3 trials, such as bonafide/b"):
        read(tmp_path, "bonafide/a/1.wav 1\nspoof/1.wav 3\n", protocol)


def test_a_dot_in_a_name_is_no_ending(tmp_path):
    utterances = (Utterance("T1.2_01", Path("a.wav"), GENUINE), Utterance("T1.3_01", Path("b.wav"), SPOOF))
    assert read(tmp_path, "T1.2_01 1\nT1.3_01 2\n", Protocol("add", None, utterances)) == {"T1.2_01": 1, "T1.3_01": 2}


def test_what_has_no_label_needs_no_score(tmp_path):
    protocol = replace(PROTOCOL, utterances=(*UTTERANCES, Utterance("LA_E_9", Path("LA_E_9.flac"))))
    assert read(tmp_path, "LA_E_1 2.5\nLA_E_2 -0.25\nLA_E_3 -1000\n", protocol) == SAID


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("LA_E_1 2.5\nLA_E_2 -0.25\n", "no score for 1 of 3 trials, such as LA_E_3"),
        ("filename\tcm-score\n", "no score for 3 of 3 trials, such as LA_E_1"),
        ("LA_E_1 2.5\nLA_E_2 1\nLA_E_3 1\nLA_E_2 2\n", 'scores "LA_E_2" twice, and not alike'),
        ("LA_E_1 2.5\nLA_E_2 high\nLA_E_3 1\n", 'trial 2: "high" is no score'),
        ("LA_E_1 2.5\nLA_E_2 nan\nLA_E_3 1\n", 'trial 2: "nan" is no score'),
        ("LA_E_1 2.5\nLA_E_2 -inf\nLA_E_3 1\n", 'trial 2: "-inf" is no score'),
        ("LA_E_1 2.5\nLA_E_2\nLA_E_3 1\n", '"LA_E_2" is no trial with a score'),
        ("LA_E_1\nLA_E_2\nLA_E_3\n", '"LA_E_1" is no trial with a score'),
        ("filename,speaker,score\nLA_E_1,x,2.5\nLA_E_2,x\n", '"LA_E_2 x" is no trial with a score'),
        ("name,what\nLA_E_1,2.5\n", 'trial 1: "what" is no score'),
        ("LA_E_1 2,5\nLA_E_2 0,1\nLA_E_3 0,2\n", "no score for 3 of 3 trials"),
        ("# scores of the best system\nLA_E_1 2.5\n", 'trial 1: "system" is no score'),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \xff\xfe", "cannot be read: 'utf-8' codec"),
        ('a,"' + 200_000 * "b", "cannot be read: field larger than field limit"),
    ],
)
def test_what_is_no_score_file(tmp_path, text, message):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert message in caught.value.message
    assert str(tmp_path / "scores") in caught.value.message


def test_a_file_that_is_not_there(tmp_path):
    for read_it in (lambda path: read_scores(path, PROTOCOL, "x"), threshold_at_eer):
        with pytest.raises(DataError, match="nowhere cannot be read: No such file or directory"):
            read_it(tmp_path / "nowhere")
        with pytest.raises(DataError, match="cannot be read: Is a directory"):
            read_it(tmp_path)


def test_a_set_of_one_label_cannot_be_evaluated(tmp_path):
    with pytest.raises(DataError, match="holds no spoof recording"):
        read(tmp_path, "LA_E_1 2.5\n", PROTOCOL.where(lambda u: u.label is GENUINE))


def carried(tmp_path, bonafide, spoof):
    trials = [
        Trial(Utterance(f"{label}{llr}", Path("x.wav"), label), llr, 1.0)
        for label, llrs in ((GENUINE, bonafide), (SPOOF, spoof))
        for llr in llrs
    ]
    (tmp_path / "scores.csv").write_text(score_file([Evaluation("mine", "toy", None, tuple(trials), ())]))
    return threshold_at_eer(tmp_path / "scores.csv")


def test_the_threshold_at_the_eer_of_other_trials(tmp_path):
    # At 1, one of four is wrong on each side: 0.5 is rejected with what lies below 1, and 1.5 accepted.
    threshold = carried(tmp_path, [0.5, 2.0, 3.0, 4.0], [-3.0, -2.0, 1.0, 1.5])
    accepted = [llr > threshold for llr in (0.5, 2.0, 1.0, 1.5)]
    assert accepted == [False, True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LA_E_1 2.5\n",
        "id,llr\na,1\n",
        "id,label,llr\na,bonafide,1\n",
        "id,label,llr\na,bonafide,1\nb,spoof,x\n",
        "id,label,llr\na,bonafide,1\nb,spoof\n",
    ],
)
def test_a_threshold_needs_labelled_scores(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match="holds no labelled scores") as caught:
        threshold_at_eer(tmp_path / "scores.csv")
    assert "--scores FILE" in caught.value.hint


def test_a_threshold_of_several_models_is_that_of_none(tmp_path):
    (tmp_path / "scores.csv").write_text(score_file([FOUND, replace(FOUND, model="other")]))
    with pytest.raises(DataError, match="holds the scores of several models"):
        threshold_at_eer(tmp_path / "scores.csv")


def test_the_csv_is_csv_whatever_the_names(tmp_path):
    hostile = 'a "b", c\nd'
    trials = (replace(TRIALS[0], utterance=replace(UTTERANCES[0], id=hostile, source="x,y")), *TRIALS[1:])
    (tmp_path / "s.csv").write_text(score_file([replace(FOUND, trials=trials)]), newline="")
    with (tmp_path / "s.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["id"], first["source"], first["llr"]) == (hostile, "x,y", "2.500000")
    protocol = Protocol("toy", None, tuple(t.utterance for t in trials))
    assert read(tmp_path, (tmp_path / "s.csv").read_bytes(), protocol)[hostile] == 2.5

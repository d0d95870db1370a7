"""A stopped evaluation goes on where it was, and with nothing else's scores."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import speechlike, write_wav

from deepcheck.audio.conditions import parse_conditions
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load
from deepcheck.engine.score_journal import Entry, ScoreJournal


@pytest.fixture
def eight(tmp_path):
    """Four genuine recordings and four spoofs."""
    lines = ["path,label"]
    for i in range(8):
        write_wav(tmp_path / "set" / f"{i}.wav", speechlike(1.1 + 0.1 * i, seed=i))
        lines.append(f"{i}.wav,{'spoof' if i % 2 else 'bonafide'}")
    (tmp_path / "set" / "manifest.csv").write_text("\n".join(lines) + "\n")
    return read_data(tmp_path / "set")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def llrs(evaluation):
    return [trial.llr for trial in evaluation.trials]


class Stopped(Exception):  # noqa: N818
    """What the user does."""


def stop_after(count, model, protocol, path, **options):
    def progress(done, total):
        if done == count:
            raise Stopped

    with pytest.raises(Stopped):
        evaluate(model, protocol, device="cpu", journal=path, progress=progress, **options)


def counted(model, protocol, path, **options):
    """The evaluation, and how many recordings were scored for it."""
    told = []
    found = evaluate(
        model, protocol, device="cpu", journal=path, progress=lambda done, total: told.append((done, total)), **options
    )
    assert told == [(done, 8) for done in range(9 - len(told), 9)]
    return found, len(told)


def test_a_resumed_evaluation_is_the_whole_one_and_scores_nothing_twice(eight, stored_model, path):
    model = load(stored_model())
    whole = evaluate(model, eight, device="cpu")
    stop_after(3, model, eight, path)
    resumed, scored = counted(model, eight, path)
    assert scored == 5
    assert llrs(resumed) == pytest.approx(llrs(whole), abs=1e-5)
    assert [t.utterance for t in resumed.trials] == [t.utterance for t in whole.trials]
    assert [t.duration_s for t in resumed.trials] == [t.duration_s for t in whole.trials]
    again, scored = counted(model, eight, path)
    assert scored == 0
    assert llrs(again) == llrs(resumed)
    assert [str(one) for one in again.measurements.values()] == [str(one) for one in resumed.measurements.values()]
    assert again.cost.real_time_factor is None  # nothing was heard this time


def test_a_torn_last_line_is_done_again(eight, stored_model, path):
    model = load(stored_model())
    stop_after(4, model, eight, path)
    whole = path.read_bytes()
    for torn in range(1, len(whole.splitlines()[-1]), 17):
        path.write_bytes(whole[: -1 - torn])
        found, scored = counted(model, eight, path)
        assert scored == 5
    for line in path.read_text().splitlines():
        json.loads(line)
    assert llrs(found) == pytest.approx(llrs(evaluate(model, eight, device="cpu")), abs=1e-5)


@pytest.mark.parametrize("garbage", [b"", b"\n", b"{", b"\xff\xfe\x00", b"[1, 2]\n", b'{"model": 3}\n', b"null\n"])
def test_a_file_that_is_no_journal_is_begun_anew(eight, stored_model, path, garbage):
    path.write_bytes(garbage)
    _, scored = counted(load(stored_model()), eight, path)
    assert scored == 8


def test_a_line_that_is_no_entry_ends_what_is_believed(eight, stored_model, path):
    model = load(stored_model())
    evaluate(model, eight, device="cpu", journal=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], '{"index": 3}', *lines[4:]]) + "\n")
    _, scored = counted(model, eight, path)
    assert scored == 5


def test_another_model_condition_or_protocol_begins_anew(eight, stored_model, path):
    model, other = load(stored_model("one")), load(stored_model("two", offset=1.0))
    [noise, more_noise] = parse_conditions("noise:10dB,noise:5dB")
    evaluate(model, eight, device="cpu", journal=path)
    assert counted(model, eight, path)[1] == 0
    assert counted(other, eight, path)[1] == 8
    assert counted(other, eight, path, condition=noise)[1] == 8
    assert counted(other, eight, path, condition=more_noise)[1] == 8
    assert counted(other, eight, path)[1] == 8
    turned = replace(eight, utterances=eight.utterances[::-1])
    assert counted(other, turned, path)[1] == 8
    renamed = replace(eight, utterances=tuple(replace(u, id=f"x{u.id}") for u in eight.utterances))
    assert counted(other, renamed, path)[1] == 8


def test_labels_may_be_mended_on_the_way(eight, stored_model, path):
    model = load(stored_model())
    stop_after(7, model, eight, path)
    turned = replace(eight, utterances=tuple(replace(u, label=Label(1 - u.label)) for u in eight.utterances))
    found, scored = counted(model, turned, path)
    assert scored == 1
    assert [t.utterance.label for t in found.trials] == [u.label for u in turned.utterances]


def test_a_recording_that_has_changed_is_scored_again(eight, stored_model, path):
    model = load(stored_model())
    before = evaluate(model, eight, device="cpu", journal=path)
    write_wav(eight.utterances[5].path, speechlike(1.4, seed=99))
    after, scored = counted(model, eight, path)
    assert scored == 1
    assert [i for i in range(8) if llrs(after)[i] != llrs(before)[i]] == [5]
    write_wav(eight.utterances[5].path, speechlike(1.6, seed=5))  # as long as it was at first
    assert counted(model, eight, path)[1] == 1


def test_a_recording_that_could_not_be_scored_is_tried_again(eight, stored_model, path):
    model = load(stored_model())
    place = eight.utterances[2].path
    sound = place.read_bytes()
    place.unlink()
    found, _ = counted(model, eight, path)
    assert [(u.id, reason) for u, reason in found.skipped] == [("2", "the file does not exist")]
    found, scored = counted(model, eight, path)
    assert (scored, len(found.skipped)) == (1, 1)
    place.write_bytes(sound)
    found, scored = counted(model, eight, path)
    assert (scored, found.skipped) == (1, ())


KILLED = """
import os, signal, sys
from pathlib import Path
from deepcheck.data.protocols import read_data
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load

def progress(done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

evaluate(load("tiny"), read_data(sys.argv[1]), device="cpu", journal=Path(sys.argv[2]), progress=progress)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_what_is_killed_loses_nothing_that_was_told(eight, stored_model, path, tmp_path):
    stored_model()
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "set", path])
    assert done.returncode == -signal.SIGKILL
    found, scored = counted(load("tiny"), eight, path)
    assert scored == 3
    assert llrs(found) == pytest.approx(llrs(evaluate(load("tiny"), eight, device="cpu")), abs=1e-5)


def test_without_a_path_nothing_is_written(tmp_path):
    with ScoreJournal(None, "model", "clean", [Utterance("a", Path("a.wav"))]) as journal:
        journal.add(Entry(0, 1.5, 2.0))
    assert journal.entries == {0: Entry(0, 1.5, 2.0)}
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_utf8(path):
    utterances = [Utterance("b\udcff", Path("b\udcff.wav"))]
    with ScoreJournal(path, "model", "clean", utterances) as journal:
        journal.add(Entry(0, -0.1, 2.0))
    with ScoreJournal(path, "model", "clean", utterances) as journal:
        assert journal.entries == {0: Entry(0, -0.1, 2.0)}

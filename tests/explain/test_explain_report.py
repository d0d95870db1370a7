"""Explaining the files of a scan: the right seconds of them, a picture each, and reasons where there is none."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav
from PIL import Image

from deepcheck.audio import decode as decoding
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.engine.model import load
from deepcheck.errors import ConfigError, DataError
from deepcheck.explain import run
from deepcheck.explain.explanation import explain
from deepcheck.explain.run import explain_report, picture_name
from deepcheck.files import sha256
from deepcheck.scanner.result import FileResult, Stretch


@pytest.fixture
def model(stored_model):
    return load(stored_model())


def scored(path, start_s=0.0, end_s=1.0, duration_s=None, **more):
    facts = {"verdict": "spoof", "llr": -2.0, "sha256": sha256(path), **more}
    return FileResult(
        path, status="scored", duration_s=duration_s or end_s, suspicious=Stretch(start_s, end_s, -3.0), **facts
    )


def of(model, result, **arguments):
    [found] = explain_report(model, [result], **arguments)
    return found


@pytest.mark.parametrize(("start_s", "seconds"), [(0.0, 5.0), (2.5, 5.0), (4.0, 5.0), (0.0, 0.7)])
def test_the_stretch_alone_is_explained(model, tmp_path, start_s, seconds):
    path = write_wav(tmp_path / "call.wav", speechlike(seconds))
    end_s = min(seconds, start_s + 1)
    found = of(model, scored(path, start_s, end_s, seconds))
    assert found.reason is None
    assert found.picture is None
    [whole] = [np.concatenate(list(decoding.decode(path)))]
    samples = whole[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]
    expected = explain(model.detector, samples, start_s)
    assert (found.explanation.start_s, found.explanation.end_s) == (start_s, pytest.approx(end_s))
    np.testing.assert_array_equal(found.explanation.heat, expected.heat)
    np.testing.assert_array_equal(found.explanation.spectrogram, expected.spectrogram)


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected_s"), [(1.0, 4.0, 2.0), (3.0, 3.5, 2.75), (0.0, 0.5, 0.0), (4.7, 5.0, 4.0)]
)
def test_a_stretch_of_another_length_is_met_in_the_middle(model, tmp_path, start_s, end_s, expected_s):
    path = write_wav(tmp_path / "call.wav", speechlike(5.0))
    found = of(model, scored(path, start_s, end_s, 5.0))
    assert found.explanation.start_s == pytest.approx(expected_s)
    assert found.explanation.end_s == pytest.approx(expected_s + 1.0)


def test_a_long_file_is_read_to_the_end_of_the_stretch_and_not_kept(model, tmp_path, monkeypatch):
    path = write_wav(tmp_path / "call.wav", speechlike(1.0))
    read = []

    def hours(_path):
        for second in range(36_000):
            read.append(second)
            yield np.full(SAMPLE_RATE, second / 36_000, np.float32)

    monkeypatch.setattr(run, "decode", hours)
    kept = run._reread(path, 100 * SAMPLE_RATE + 4000, SAMPLE_RATE)
    assert len(kept) == SAMPLE_RATE
    np.testing.assert_allclose(kept, np.repeat([100 / 36_000, 101 / 36_000], [12_000, 4000]))
    assert len(read) == 102
    result = replace(scored(path, duration_s=36_000.0), suspicious=Stretch(30.0, 31.0, -1.0))
    assert of(model, result).explanation.start_s == 30.0


def test_pictures_of_a_folder(model, tmp_path):
    names = ["call.wav", "a/call.wav", "b/Call.wav", "<script>alert(1)</script>.wav", "-rf.wav", "..wav", "$x^{.wav"]
    names += ["two\nlines\x1b[31m.wav", "录音 🎙.wav", "x" * 240 + ".wav", "é" * 120 + ".wav", "=cmd()|'.wav"]
    paths = [write_wav(tmp_path / "in" / name.replace("/script", "script"), speechlike(1.0)) for name in names]
    bytes_name = Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff\xfe.wav"))
    paths.append(write_wav(bytes_name, speechlike(1.0)))
    folder = tmp_path / "out" / "pictures"
    found = list(explain_report(model, [scored(path) for path in paths], folder))
    assert [each.result.path for each in found] == paths
    assert [each.reason for each in found] == [None] * len(paths)
    pictures = sorted(folder.iterdir())
    assert pictures == sorted(each.picture for each in found)
    assert len({str(picture).lower() for picture in pictures}) == len(paths)
    for picture in pictures:
        assert picture.name.isprintable()
        assert not set(picture.name) & set("<>:\"|?*\\$'=()[] ")
        assert picture.name[0] not in ".-"
        with Image.open(picture) as image:
            assert image.format == "PNG"
    again = list(explain_report(model, [scored(path) for path in paths], folder))
    assert [each.picture for each in again] == [each.picture for each in found]
    assert sorted(folder.iterdir()) == pictures


def test_names_of_pictures():
    assert picture_name(Path("a/call.m4a")).startswith("call.m4a-")
    assert picture_name(Path("a/call.m4a")) == picture_name(Path("a/call.m4a"))
    assert picture_name(Path("a/call.m4a")) != picture_name(Path("b/call.m4a"))
    assert picture_name(Path("...")).startswith("recording-")
    assert len(os.fsencode(picture_name(Path("𠀀" * 200)))) < 230


def test_only_what_was_scored(model, tmp_path):
    path = write_wav(tmp_path / "call.wav", speechlike(1.0))
    results = [FileResult(tmp_path / "bad.wav", reason="the file is empty"), scored(path)]
    assert [each.result.path for each in explain_report(model, results)] == [path]


def test_what_has_changed_is_a_reason(model, tmp_path):
    paths = [
        write_wav(tmp_path / f"{name}.wav", speechlike(3.0)) for name in ("gone", "other", "shorter", "torn", "ok")
    ]
    results = [scored(path, 2.0, 3.0) for path in paths]
    gone, other, shorter, torn, _ = paths
    gone.unlink()
    write_wav(other, speechlike(3.0, seed=1))
    write_wav(shorter, speechlike(1.5))
    torn.write_bytes(b"RIFF")
    found = list(explain_report(model, results, tmp_path / "out"))
    assert found[0].reason == "the file does not exist"
    assert found[1].reason == found[2].reason == "the file has changed since it was scanned"
    assert "damaged" in found[3].reason
    assert found[4].reason is None
    assert [each.explanation is None for each in found] == [True, True, True, True, False]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [picture_name(paths[4])]


def test_without_a_digest_the_file_is_taken_as_it_is(model, tmp_path):
    path = write_wav(tmp_path / "call.wav", speechlike(1.0))
    assert of(model, scored(path, sha256=None)).reason is None


def test_detectors_without_numbers_are_a_reason(model, tmp_path):
    path = write_wav(tmp_path / "call.wav", speechlike(1.0))
    model.detector.head.weight.data.fill_(float("nan"))
    assert "no numbers" in of(model, scored(path)).reason


def test_what_the_user_can_put_right_is_an_error_at_once(model, tmp_path):
    path = write_wav(tmp_path / "call.wav", speechlike(1.0))
    with pytest.raises(DataError, match="No pictures can be written"):
        explain_report(model, [scored(path)], path / "below a file")
    with pytest.raises(ConfigError, match="method of explanation"):
        explain_report(model, [scored(path)], method="gradcam")
    with pytest.raises(ConfigError, match="no attention"):
        list(explain_report(model, [scored(path)], method="attention-rollout"))
    folder = tmp_path / "out"
    (folder / picture_name(path)).mkdir(parents=True)
    with pytest.raises(DataError, match="The picture cannot be written"):
        list(explain_report(model, [scored(path)], folder))


def test_the_example_of_the_docstring(model, tmp_path):
    from deepcheck.explain.render import png_bytes

    paths = [write_wav(tmp_path / f"{i}.wav", speechlike(1.0, seed=i)) for i in range(2)]
    report = [scored(path) for path in paths]
    pictures = {
        each.result.path: png_bytes(each.explanation)
        for each in explain_report(model, report)
        if each.explanation is not None
    }
    assert list(pictures) == paths
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())

import json
import math
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcheck.audio.container import Container
from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.scanner.record import basis_from_record, from_record, to_record
from deepcheck.scanner.result import Basis, FileResult, Note, Opinion, Stretch

NAN = math.nan
FULL = FileResult(
    Path("in/voice.wav"),
    "scored",
    "spoof",
    -2.718281828459045,
    0.1 + 0.2,
    12.0,
    9.8,
    Stretch(2.0, 6.0, -4.5),
    (Stretch(0.0, 6.0, -3.25), Stretch(8.0, 12.0, -2.125)),
    Thresholds(-2.0, math.inf),
    1.25,
    (Note("telephone", "a telephone's band", "telephone"), Note("level", "quiet")),
    (Opinion("a", -3.0, "spoof"), Opinion("b", None, None)),
    Container("mov,mp4", "aac", 44_100, 2),
    (
        WindowScore(0.0, 4.0, -1.0, Quality.SPEECH, 1.0, 20.0, 3400.0, -25.0, 0.5),
        WindowScore(2.0, 6.0, NAN, Quality.NO_SPEECH, 0.1),
    ),
    "a reason",
    "cd" * 32,
)
MEMBER = Basis("a", "01" * 32, "0.1.0", Thresholds(-1.0, 1.0), 0.5)
BASIS = Basis(
    "tiny",
    "ab" * 32,
    "0.1.0",
    Thresholds(-math.inf, 1.0),
    0.5,
    0.01,
    0.05,
    0.95,
    500,
    400,
    (("telephone", Thresholds(-3.0, 2.0)),),
    (("threshold", "-2"), ("explain", "no")),
    "2026-01-02T03:04:05+00:00",
    (MEMBER, replace(MEMBER, model="b")),
)


def through_json(record: dict) -> dict:
    return json.loads(json.dumps(record, allow_nan=False))


def test_record_of_a_result():
    assert to_record(FULL) == {
        "path": "in/voice.wav",
        "status": "scored",
        "verdict": "spoof",
        "llr": -2.718281828459045,
        "p_spoof": 0.30000000000000004,
        "duration_s": 12.0,
        "speech_s": 9.8,
        "suspicious": {"start_s": 2.0, "end_s": 6.0, "llr": -4.5},
        "stretches": [
            {"start_s": 0.0, "end_s": 6.0, "llr": -3.25},
            {"start_s": 8.0, "end_s": 12.0, "llr": -2.125},
        ],
        "thresholds": {"spoof": -2.0, "bonafide": "inf"},
        "distance": 1.25,
        "notes": [
            {"name": "telephone", "text": "a telephone's band", "band": "telephone"},
            {"name": "level", "text": "quiet", "band": None},
        ],
        "opinions": [
            {"model": "a", "llr": -3.0, "verdict": "spoof"},
            {"model": "b", "llr": None, "verdict": None},
        ],
        "container": {
            "format": "mov,mp4",
            "codec": "aac",
            "sample_rate_hz": 44_100,
            "channels": 2,
            "bit_rate_bps": None,
        },
        "windows": [
            {
                "start_s": 0.0,
                "end_s": 4.0,
                "llr": -1.0,
                "quality": "speech",
                "speech": 1.0,
                "snr_db": 20.0,
                "bandwidth_hz": 3400.0,
                "level_db": -25.0,
                "distance": 0.5,
            },
            {
                "start_s": 2.0,
                "end_s": 6.0,
                "llr": "nan",
                "quality": "no speech",
                "speech": 0.1,
                "snr_db": "nan",
                "bandwidth_hz": "nan",
                "level_db": "nan",
                "distance": "nan",
            },
        ],
        "reason": "a reason",
        "sha256": "cd" * 32,
    }


@pytest.mark.parametrize(
    "result", [FULL, FileResult(Path("x.wav")), FileResult(Path("x.wav"), "no speech", reason="no speech found")]
)
def test_result_comes_back(result):
    back = from_record(through_json(to_record(result)))
    assert repr(back) == repr(result)  # in which NaN equals NaN
    assert type(back.windows) is tuple
    assert all(type(window.quality) is Quality for window in back.windows)


@pytest.mark.parametrize("basis", [BASIS, MEMBER])
def test_basis_comes_back(basis):
    assert basis_from_record(through_json(to_record(basis))) == basis


@pytest.mark.parametrize(
    "name",
    [
        os.fsdecode(b"caf\xe9.wav"),
        os.fsdecode(b"\xff\xfe/\x80"),
        "new\nline\x1b[31m\u202e.wav",
        "音声 🎙.wav",
        'quote".wav',
        "nan",
    ],
    ids=ascii,
)
def test_any_path_comes_back(name):
    result = FileResult(Path(name))
    back = from_record(through_json(to_record(result)))
    assert back.path == Path(name)
    assert os.fsencode(back.path) == os.fsencode(Path(name))


@given(st.floats(), st.floats(), st.text(st.characters()), st.integers(0, 2**60))
def test_numbers_and_texts_come_back(llr, start, text, rate):
    result = replace(
        FULL,
        llr=llr,
        reason=text,
        suspicious=Stretch(start, start, llr),
        container=Container(text, text, rate, 1, rate),
    )
    assert repr(from_record(through_json(to_record(result)))) == repr(result)


def test_numbers_of_numpy_become_ordinary():
    result = replace(FULL, llr=np.float32(0.5), container=Container("wav", "pcm", np.int64(8000), 1))
    record = to_record(result)
    assert type(record["llr"]) is float
    assert type(record["container"]["sample_rate_hz"]) is int
    json.dumps(record)


def test_numbers_can_be_written_otherwise():
    record = to_record(FULL, lambda value: round(value, 1) if math.isfinite(value) else None)
    assert record["llr"] == -2.7
    assert record["windows"][1]["llr"] is None
    assert record["thresholds"] == {"spoof": -2.0, "bonafide": None}


def test_what_has_no_record_is_refused():
    with pytest.raises(TypeError, match="complex is no part of a record"):
        to_record(replace(FULL, llr=1j))


def test_every_field_has_its_place():
    assert list(to_record(FULL)) == [field.name for field in fields(FileResult)]
    assert list(to_record(BASIS)) == [field.name for field in fields(Basis)]
    assert list(to_record(FULL)["windows"][0]) == [field.name for field in fields(WindowScore)]


def changed(**values):
    return {**to_record(FULL), **values}


def without(name):
    record = to_record(FULL)
    del record[name]
    return record


WINDOW = to_record(FULL)["windows"][0]


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (None, "result is 'None', not an object"),
        ([], r"result is '\[\]', not an object"),
        ({}, "is missing or unknown"),
        (without("sha256"), "result: sha256 is missing or unknown"),
        (changed(extra=1), "result: extra is missing or unknown"),
        ({**changed(), 3: 1}, "result: 3 is missing or unknown"),
        (changed(path=None), "result.path is 'None', not a text"),
        (changed(path=["a"]), "result.path"),
        (changed(status=None), "result.status"),
        (changed(verdict=1), "result.verdict"),
        (changed(llr="low"), "result.llr is 'low', not a number"),
        (changed(llr="NaN"), "result.llr"),
        (changed(llr=True), "result.llr"),
        (changed(llr=NAN), "result.llr"),
        (changed(llr=math.inf), "result.llr"),
        (changed(llr=10**400), "result.llr"),
        (changed(duration_s=[]), "result.duration_s"),
        (changed(suspicious=[0, 1, 2]), "result.suspicious is .*, not an object"),
        (changed(suspicious={"start_s": 0.0, "end_s": 1.0}), "result.suspicious: llr is missing"),
        (changed(stretches=None), "result.stretches is 'None', not a list"),
        (changed(stretches=[{"start_s": 0.0, "end_s": 1.0, "llr": None}]), r"result.stretches\[0\].llr"),
        (changed(windows={"0": WINDOW}), "result.windows"),
        (changed(windows=[WINDOW, {**WINDOW, "quality": "noise"}]), r"result.windows\[1\].quality is 'noise'"),
        (changed(windows=[{**WINDOW, "quality": None}]), "quality"),
        (changed(windows=[{**WINDOW, "quality": []}]), "quality"),
        (changed(windows=[{**WINDOW, "end_s": "4"}]), "end_s"),
        (changed(container={**to_record(FULL)["container"], "channels": 1.5}), "channels is '1.5', not a whole number"),
        (changed(container={**to_record(FULL)["container"], "channels": True}), "channels"),
        (changed(notes=[["telephone", "text", None]]), r"result.notes\[0\]"),
    ],
)
def test_nonsense_is_refused(record, place):
    with pytest.raises(ValueError, match=place):
        from_record(record)


@pytest.mark.parametrize(
    "change",
    [
        {"prior": None},
        {"bands": [["telephone"]]},
        {"bands": [["telephone", {"spoof": 1.0}]]},
        {"settings": [["a", "b", "c"]]},
        {"settings": {"a": "b"}},
        {"settings": [["a", 1]]},
        {"models": [{}]},
        {"bonafide": 1.0},
    ],
)
def test_nonsense_is_refused_as_a_basis(change):
    with pytest.raises(ValueError, match=r"basis\."):
        basis_from_record({**to_record(BASIS), **change})


def test_a_whole_number_may_stand_for_a_number():
    assert from_record(changed(duration_s=12)) == from_record(changed(duration_s=12.0))
    assert type(from_record(changed(duration_s=12)).duration_s) is float


def test_long_nonsense_is_cut_short():
    for change in ({"llr": "x" * 10_000}, {"x" * 10_000: 1}):
        with pytest.raises(ValueError, match=r"^result") as caught:
            from_record(changed(**change))
        assert len(str(caught.value)) < 200

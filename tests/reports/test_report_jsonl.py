import json
import math
import os
from pathlib import Path

import pytest

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports import REPORTS
from deepcheck.reports.jsonl import SCHEMA, render
from deepcheck.scanner.result import Basis, FileResult, Report, Stretch

BASIS = Basis("tiny", "ab" * 32, "0.1.0", Thresholds(-1.0, 1.0), 0.5, 0.01, 0.05, 0.95, 500, 400)
SCORED = FileResult(
    Path("in/voice.wav"),
    verdict="spoof",
    llr=-2.7182818,
    p_spoof=0.93812345,
    duration_s=12.0,
    speech_s=9.8,
    suspicious=Stretch(2.0, 6.0, -4.5),
    windows=(
        WindowScore(0.0, 4.0, -1.0, Quality.SPEECH, 1.0),
        WindowScore(2.0, 6.0, -4.5, Quality.SPEECH, 0.5),
        WindowScore(4.0, 8.0, math.nan, Quality.NO_SPEECH, 0.1),
    ),
    sha256="cd" * 32,
)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def documents(*results: FileResult, basis: Basis = BASIS) -> list[dict]:
    return [json.loads(line, parse_constant=refuse) for line in render(Report(results, basis)).split("\n")[:-1]]


def test_document_of_a_scored_file():
    assert documents(SCORED) == [
        {
            "schema": SCHEMA,
            "path": "in/voice.wav",
            "status": "scored",
            "verdict": "spoof",
            "llr": -2.718282,
            "p_spoof": 0.938123,
            "duration_s": 12.0,
            "speech_s": 9.8,
            "suspicious": {"start_s": 2.0, "end_s": 6.0, "llr": -4.5},
            "windows": [
                {"start_s": 0.0, "end_s": 4.0, "llr": -1.0, "quality": "speech", "speech": 1.0},
                {"start_s": 2.0, "end_s": 6.0, "llr": -4.5, "quality": "speech", "speech": 0.5},
                {"start_s": 4.0, "end_s": 8.0, "llr": None, "quality": "no speech", "speech": 0.1},
            ],
            "reason": None,
            "sha256": "cd" * 32,
            "basis": {
                "model": "tiny",
                "model_sha256": "ab" * 32,
                "version": "0.1.0",
                "thresholds": {"spoof": -1.0, "bonafide": 1.0},
                "prior": 0.5,
                "false_alarm": 0.01,
                "miss": 0.05,
                "confidence": 0.95,
                "bonafide": 500,
                "spoof": 400,
            },
        }
    ]
    assert SCHEMA == 1


def test_document_of_a_file_without_a_score():
    [document] = documents(FileResult(Path("x.wav"), reason="the file is empty"))
    assert document["status"] == "not scored"
    assert document["reason"] == "the file is empty"
    assert document["windows"] == []
    for key in ("verdict", "llr", "p_spoof", "duration_s", "speech_s", "suspicious", "sha256"):
        assert document[key] is None


@pytest.mark.parametrize("threshold", [-math.inf, math.inf, math.nan])
def test_what_is_no_number_is_null(threshold):
    basis = Basis("tiny", "ab" * 32, "0.1.0", Thresholds(threshold, 1.0), 0.5)
    assert documents(SCORED, basis=basis)[0]["basis"]["thresholds"] == {"spoof": None, "bonafide": 1.0}


@pytest.mark.parametrize(
    "name",
    [
        "comma,.wav",
        'it\'s "quoted" \\ back.wav',
        "new\nline\r.wav",
        "line\u2028separator\x85.wav",
        "\x1b[31mred.wav",
        "nul-like\x01.wav",
        "[red]markup[/red].wav",
        "=cmd().wav",
        "-rf.wav",
        "naïve 音声 🎙.wav",
    ],
    ids=ascii,
)
def test_hostile_name_comes_back_exactly_from_its_own_line(name):
    found = documents(FileResult(Path(name), reason="no speech found"), SCORED)
    assert [document["path"] for document in found] == [name, "in/voice.wav"]


def test_escapes_do_not_reach_the_terminal():
    text = render(Report((FileResult(Path("\x1b[31mred\nx.wav")),), BASIS))
    assert text.count("\n") == 1
    assert "\x1b" not in text


def test_bytes_that_are_no_utf8_are_written_out():
    [document] = documents(FileResult(Path(os.fsdecode(b"caf\xe9.wav"))))
    assert document["path"] == "caf\\xe9.wav"


def test_other_writing_stays_readable():
    assert "音声" in render(Report((FileResult(Path("音声.wav")),), BASIS))


def test_no_results_no_lines():
    assert render(Report((), BASIS)) == ""


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("jsonl") is render

import csv
import io
import os
from pathlib import Path

import pytest

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports import REPORTS, Style
from deepcheck.reports.csv import COLUMNS, render
from deepcheck.scanner.result import Basis, FileResult, Report, Stretch

BASIS = Basis("tiny", "ab" * 32, "0.1.0", Thresholds(-1.0, 1.0), 0.5)
SCORED = FileResult(
    Path("in/voice.wav"),
    verdict="spoof",
    llr=-2.71828,
    p_spoof=0.938123,
    duration_s=12.0,
    speech_s=9.87654,
    suspicious=Stretch(2.0, 6.0, -4.5),
    windows=(WindowScore(0.0, 4.0, -1.0, Quality.SPEECH, 1.0), WindowScore(2.0, 6.0, -4.5, Quality.SPEECH, 0.5)),
    sha256="cd" * 32,
)
HOSTILE = [
    "comma,semicolon;.wav",
    'it\'s "quoted".wav',
    "new\nline.wav",
    "carriage\r\nreturn.wav",
    "\x1b[31mred.wav",
    "[red]markup[/red].wav",
    "naïve 音声 🎙.wav",
    "tab\tinside.wav",
    " spaces ",
]


def rows(*results: FileResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(Report(results, BASIS)), newline="")))


def test_header_and_one_row_a_file():
    text = render(Report((SCORED, FileResult(Path("x.wav"), reason="the file is empty")), BASIS))
    lines = text.split("\r\n")
    assert lines[0] == ",".join(COLUMNS)
    assert lines[0] == (
        "path,status,verdict,llr,p_spoof,duration_s,speech_s,suspicious_start_s,suspicious_end_s,suspicious_llr,"
        "reason,sha256,model"
    )
    assert lines[1] == (
        f"in/voice.wav,scored,spoof,-2.7183,0.9381,12.0000,9.8765,2.0000,6.0000,-4.5000,,{'cd' * 32},tiny"
    )
    assert lines[2] == "x.wav,not scored,,,,,,,,,the file is empty,,tiny"
    assert lines[3:] == [""]


def test_no_results_are_a_header():
    assert render(Report((), BASIS)) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_name_comes_back_exactly(name):
    found = rows(FileResult(Path(name), reason="no speech found"), SCORED)
    assert [row["path"] for row in found] == [name, "in/voice.wav"]
    assert found[0]["reason"] == "no speech found"
    assert found[1]["verdict"] == "spoof"


@pytest.mark.parametrize(
    "name", ["=cmd()|'/C calc'!A0.wav", "+1.wav", "-rf.wav", "@SUM(1).wav", "\ttab.wav", "\rx.wav"]
)
def test_no_cell_is_a_formula(name):
    [row] = rows(FileResult(Path(name), reason="no speech found"))
    assert row["path"] == f"./{name}"
    assert Path(row["path"]) == Path(name)  # the same file


def test_bytes_that_are_no_utf8_are_written_out():
    [row] = rows(FileResult(Path(os.fsdecode(b"caf\xe9.wav")), reason="no speech found"))
    assert row["path"] == "caf\\xe9.wav"
    render(Report((FileResult(Path(os.fsdecode(b"\xff\xfe"))),), BASIS)).encode("utf-8")


def test_numbers_are_plain():
    [row] = rows(
        FileResult(
            Path("x.wav"),
            verdict="bona fide",
            llr=1e-9,
            p_spoof=1e-9,
            duration_s=36_000.5,
            speech_s=0.0,
            suspicious=Stretch(0.0, 4.0, 12345.678),
        )
    )
    assert (row["llr"], row["p_spoof"], row["duration_s"]) == ("0.0000", "0.0000", "36000.5000")
    assert (row["speech_s"], row["suspicious_start_s"], row["suspicious_llr"]) == ("0.0000", "0.0000", "12345.6780")


def test_what_is_known_of_a_file_without_verdict_is_told():
    [row] = rows(FileResult(Path("x.wav"), duration_s=3.0, speech_s=0.0, reason="no speech found", sha256="ef" * 32))
    assert row["status"] == "not scored"
    assert (row["duration_s"], row["speech_s"], row["sha256"]) == ("3.0000", "0.0000", "ef" * 32)
    assert row["verdict"] == row["llr"] == row["p_spoof"] == row["suspicious_llr"] == ""


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("csv") is render
    assert render(Report((SCORED,), BASIS), Style(width=10, color=True)) == render(Report((SCORED,), BASIS))

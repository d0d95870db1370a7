import csv
import io
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from report_examples import BASIS, EMPTY, HOSTILE, INTERRUPTED, REPORT, SPLICED, TWO_MODELS, hostile

from deepcheck.files import exact
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports import REPORTS, Style
from deepcheck.reports.csv import COLUMNS, render
from deepcheck.scanner.result import FileResult, Report, Stretch

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def test_the_whole_document():
    model = f"tiny,{'0123456789abcdef' * 4},true"
    assert render(REPORT).split("\r\n") == [
        (
            "path,status,verdict,llr,p_spoof,duration_s,speech_s,suspicious_start_s,suspicious_end_s,suspicious_llr,"
            "reason,sha256,model,"  # those that were first keep their places
            "model_sha256,complete,stretches,notes,threshold_spoof,threshold_bonafide,distance,snr_db,bandwidth_hz,"
            "level_db,format,codec,sample_rate_hz,channels,bit_rate_bps,version,threshold,precision"
        ),
        (
            f"in/spliced.mp3,scored,spoof,-1.2500,0.7773,12.0000,8.5000,2.0000,6.0000,-4.5000,,{'cd' * 32},{model},"
            '2.0-6.0 (-4.50),"It was encoded more than once.; The level is low.",-1.0000,1.0000,0.5000,'
            "15.5000,7300.0000,-32.5000,mp3,mp3float,44100,2,128000,0.1.0,,"
        ),
        (
            f"in/call.wav,scored,bona fide,2.5000,0.0759,6.0000,5.0000,2.0000,6.0000,2.2500,,,{model},"
            ",It has the bandwidth of a telephone.,-3.0000,2.0000,,,,,wav,pcm_s16le,8000,1,,0.1.0,,"
        ),
        f"mute.wav,no speech,,,,3.0000,0.0000,,,,no speech found,,{model},,,,,,,,,,,,,,0.1.0,,",
        f"bad.wav,unreadable,,,,,,,,,the file is empty,,{model},,,,,,,,,,,,,,0.1.0,,",
        "",
    ]


def test_several_stretches():
    several = (Stretch(2.0, 6.0, -4.5), Stretch(3600.0, 3725.04, -2.0))
    [row] = rows(replace(SPLICED, stretches=several))
    assert row["stretches"] == "2.0-6.0 (-4.50); 3600.0-3725.0 (-2.00)"


def test_several_models_have_columns_of_their_own_at_the_end():
    lines = render(TWO_MODELS).split("\r\n")
    assert lines[0] == ",".join(COLUMNS) + ",llr_one,verdict_one,llr_two,verdict_two"
    assert lines[1].endswith(",128000,0.1.0,,,-3.0000,spoof,0.2500,inconclusive")
    assert lines[2].endswith(",1,,0.1.0,,,2.0000,bona fide,3.0000,bona fide")
    assert lines[3].endswith(",,,,")  # nobody has an opinion of a file that cannot be read
    assert {line.count(",") for line in lines[:-1] if '"' not in line} == {len(COLUMNS) + 3}


def test_what_is_no_number_is_empty():
    [row] = rows(replace(SPLICED, thresholds=Thresholds(-math.inf, math.inf), distance=math.nan))
    assert row["threshold_spoof"] == row["threshold_bonafide"] == row["distance"] == ""


def test_an_interrupted_scan_says_so():
    found = csv.DictReader(io.StringIO(render(INTERRUPTED), newline=""))
    assert {row["complete"] for row in found} == {"false"}


def test_no_results_are_a_header():
    assert render(EMPTY) == ",".join(COLUMNS) + "\r\n"


def rows(*results: FileResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(Report(results, BASIS)), newline="")))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_name_comes_back_exactly(name):
    found = rows(FileResult(Path(name), reason="no speech found"), SPLICED)
    safe = exact(Path(name))
    assert [row["path"] for row in found] == [f"./{safe}" if safe.startswith(FORMULA) else safe, "in/spliced.mp3"]
    assert found[0]["reason"] == "no speech found"
    assert found[1]["verdict"] == "spoof"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_no_cell_that_comes_from_outside_is_a_formula(name):
    text = render(hostile(name))
    text.encode("utf-8", "backslashreplace").decode("utf-8")
    header, *found = csv.reader(io.StringIO(text, newline=""))
    assert {len(row) for row in found} == {len(header)} == {len(COLUMNS) + 4}
    numbers = {i for i, column in enumerate(header) if column.split("_")[0] in {"llr", "suspicious", "threshold"}}
    numbers.add(header.index("level_db"))
    for row in (header, *found):
        for i, cell in enumerate(row):
            assert not cell.startswith(FORMULA) or (i in numbers and float(cell) < 0)
    for column in ("notes", "model", "format", "codec"):
        assert found[0][header.index(column)].removeprefix("'") == name


def test_a_name_starts_no_cell_in_a_country_of_semicolons():
    # There a spreadsheet separates at semicolons, and takes quotes for quotes at the start of a cell.
    line = render(Report((FileResult(Path("a;=cmd()")),), BASIS)).split("\r\n")[1]
    assert next(csv.reader([line], delimiter=";"))[0].startswith("a;=cmd()")


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
    [row] = rows(FileResult(Path("x.wav"), "no speech", duration_s=3.0, speech_s=0.0, sha256="ef" * 32))
    assert row["status"] == "no speech"
    assert (row["duration_s"], row["speech_s"], row["sha256"]) == ("3.0000", "0.0000", "ef" * 32)
    assert row["verdict"] == row["llr"] == row["p_spoof"] == row["suspicious_llr"] == ""


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("csv") is render
    assert render(REPORT, Style(width=10, color=True)) == render(REPORT)

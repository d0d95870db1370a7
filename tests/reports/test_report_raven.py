import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from report_examples import BAD, BASIS, EMPTY, GENUINE, HOSTILE, MUTE, REPORT, SPLICED, hostile

from deepcheck.audio.container import Container
from deepcheck.reports import FORMATS, REPORTS
from deepcheck.reports.raven import COLUMNS, render
from deepcheck.reports.text import path_cell, visible
from deepcheck.scanner.result import Report


def rows(report: Report) -> list[dict[str, str]]:
    """As Raven, and whatever reads its tables, takes them: tabs and line feeds, quotes mean nothing."""
    text = render(report)
    assert "\r" not in text
    return list(csv.DictReader(io.StringIO(text, newline="\n"), delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))


def test_the_whole_document():
    view = "Spectrogram 1\t1"
    assert render(REPORT) == (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin Path\t"
        "File Offset (s)\tBegin File\tLabel\tLLR\tVerdict\n"
        f"1\t{view}\t2.000000\t6.000000\t0.0\t8000.0\tin/spliced.mp3\t2.000000\tspliced.mp3\tspoof\t-4.5000\tspoof\n"
        f"2\t{view}\t10.000000\t12.000000\t0.0\t8000.0\tin/spliced.mp3\t10.000000\tspliced.mp3\tsilent\t\tspoof\n"
        f"3\t{view}\t18.000000\t21.000000\t0.0\t8000.0\tmute.wav\t0.000000\tmute.wav\tno speech\t\t\n"
    )


def test_times_count_through_the_files_and_offsets_within_each():
    found = rows(Report((GENUINE, SPLICED, BAD, SPLICED), BASIS))
    assert [(row["Begin Time (s)"], row["End Time (s)"], row["File Offset (s)"]) for row in found] == [
        ("8.000000", "12.000000", "2.000000"),  # after the six seconds of the first
        ("16.000000", "18.000000", "10.000000"),
        ("20.000000", "24.000000", "2.000000"),
        ("28.000000", "30.000000", "10.000000"),
    ]
    assert [row["Selection"] for row in found] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("rate", "highest"), [(8000, "4000.0"), (16_000, "8000.0"), (96_000, "8000.0"), (0, "8000.0")])
def test_the_band_is_what_detectors_hear(rate, highest):
    result = replace(MUTE, container=Container("wav", "pcm_s16le", rate, 1))
    assert rows(Report((result,), BASIS))[0]["High Freq (Hz)"] == highest


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_stays_one_cell_and_no_formula(name):
    report = hostile(name)
    found = rows(Report((*report, replace(MUTE, path=Path(name))), BASIS))
    assert len(found) == 3
    for row in found:
        assert None not in row
        assert None not in row.values()
        assert row["Begin File"] == path_cell(visible(Path(Path(name).name)))
        assert all(value.isprintable() for value in row.values())
        for column in ("Begin Path", "Begin File", "Label", "Verdict"):
            assert not row[column].startswith(("=", "+", "-", "@", "＝"))


@pytest.mark.parametrize("report", [EMPTY, Report((GENUINE, BAD), BASIS)])
def test_nothing_to_select_is_a_header(report):
    assert render(report) == "\t".join(COLUMNS) + "\n"


def test_it_is_one_document():
    assert REPORTS.resolve("raven") is render
    assert not FORMATS["raven"].per_recording

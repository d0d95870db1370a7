import pytest
from report_examples import BAD, BASIS, EMPTY, GENUINE, HOSTILE, MUTE, REPORT, SPLICED, hostile

from deepcheck.reports import FORMATS, REPORTS
from deepcheck.reports.audacity import render
from deepcheck.scanner.result import Report


def labels(text: str) -> list[tuple[float, float, str]]:
    """As Audacity reads them: lines of start, end and text between tabs."""
    found = []
    for line in text.split("\n")[:-1]:
        assert not line.startswith("\\")  # that would be a range of frequencies
        start, end, label = line.split("\t")
        found.append((float(start), float(end), label))
    return found


def test_the_whole_document():
    assert render(Report((SPLICED,), BASIS)) == (
        "0.000000\t12.000000\trecording: spoof -1.25\n2.000000\t6.000000\tspoof -4.50\n10.000000\t12.000000\tsilent\n"
    )


def test_a_recording_without_suspicion_has_its_verdict():
    assert labels(render(Report((GENUINE,), BASIS))) == [(0.0, 6.0, "recording: bona fide +2.50")]


@pytest.mark.parametrize(
    ("result", "label"),
    [
        (MUTE, (0.0, 3.0, "recording: not scored: no speech found")),
        (BAD, (0.0, 0.0, "recording: not scored: the file is empty")),
    ],
)
def test_a_recording_without_score_has_the_reason(result, label):
    assert labels(render(Report((result,), BASIS))) == [label]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_no_text_from_outside_breaks_a_line(name):
    report = hostile(name)
    assert [len(labels(render(Report((result,), report.basis)))) for result in report] == [3, 1]
    assert render(report).replace("\n", "").replace("\t", "").isprintable()


def test_nothing_for_nothing():
    assert render(EMPTY) == ""


def test_it_is_a_file_a_recording():
    assert REPORTS.resolve("audacity") is render
    assert FORMATS["audacity"].per_recording
    assert len(labels(render(REPORT))) == 6
    assert "\r" not in render(REPORT)

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from report_examples import BAD, BASIS, EMPTY, HOSTILE, INTERRUPTED, MUTE, REPORT, hostile

from deepcheck.reports import FORMATS, REPORTS
from deepcheck.reports.rttm import file_id, render
from deepcheck.scanner.result import Report


@dataclass(frozen=True)
class Turn:
    file: str
    start: float
    duration: float
    speaker: str


def turns(text: str) -> list[Turn]:
    """As the tools of diarization read RTTM: white space separates ten fields."""
    found = []
    for line in text.splitlines():
        kind, file, channel, start, duration, orthography, sort, speaker, confidence, lookahead = line.split()
        assert (kind, channel) == ("SPEAKER", "1")
        assert {orthography, sort, confidence, lookahead} == {"<NA>"}
        assert float(start) >= 0
        assert float(duration) > 0
        found.append(Turn(file, float(start), float(duration), speaker))
    return found


def test_the_whole_document():
    assert render(REPORT) == (
        "SPEAKER in/spliced.mp3 1 0.000 2.000 <NA> <NA> bonafide <NA> <NA>\n"
        "SPEAKER in/spliced.mp3 1 2.000 4.000 <NA> <NA> spoof <NA> <NA>\n"
        "SPEAKER in/spliced.mp3 1 6.000 4.000 <NA> <NA> inconclusive <NA> <NA>\n"
        "SPEAKER in/call.wav 1 0.000 6.000 <NA> <NA> bonafide <NA> <NA>\n"
    )
    assert render(INTERRUPTED) == render(REPORT)


@pytest.mark.parametrize("report", [EMPTY, Report((BAD, MUTE), BASIS)])
def test_what_was_not_judged_has_no_line(report):
    assert render(report) == ""


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_one_word_and_comes_back(name):
    found = turns(render(hostile(name)))
    assert [turn.speaker for turn in found] == ["bonafide", "spoof", "inconclusive"]
    [file] = {turn.file for turn in found}
    assert file.isprintable()
    assert unquote_to_bytes(file) == os.fsencode(Path("in") / name)
    assert render(hostile(name)).count("\n") == 3


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("plain.wav", "plain.wav"),
        ("two words.wav", "two%20words.wav"),
        ("100%.wav", "100%25.wav"),
        ("<NA>", "%3CNA%3E"),
        ("音声.wav", "音声.wav"),
        ("ideographic\u3000space", "ideographic%E3%80%80space"),
        (os.fsdecode(b"caf\xe9.wav"), "caf%E9.wav"),
    ],
    ids=ascii,
)
def test_name_of_a_file(name, word):
    assert file_id(Path(name)) == word


def test_it_is_one_document():
    assert REPORTS.resolve("rttm") is render
    assert not FORMATS["rttm"].per_recording

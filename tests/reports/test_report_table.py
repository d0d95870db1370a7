import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_examples import EMPTY, INTERRUPTED, REPORT, SPLICED, TWO_MODELS, hostile
from report_examples import HOSTILE as HOSTILE_NAMES

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports import REPORTS, Style
from deepcheck.reports.table import explain, percent, render
from deepcheck.scanner.result import Basis, FileResult, Note, Opinion, Report, Stretch

BASIS = Basis("tiny", "0123456789abcdef" * 4, "0.1.0", Thresholds(-1.234, 2.5), 0.5, 0.01, 0.05, 0.95, 500, 400)
WINDOWS = (WindowScore(0.0, 4.0, 1.0, Quality.SPEECH, 1.0), WindowScore(58.0, 62.0, -4.5, Quality.SPEECH, 0.5))
SCORED = FileResult(
    Path("in/voice.wav"),
    "scored",
    verdict="spoof",
    llr=-2.71828,
    p_spoof=0.938123,
    duration_s=3725.0,
    speech_s=9.8,
    suspicious=Stretch(58.0, 62.0, -4.5),
    windows=WINDOWS,
)
SHORT = replace(
    SCORED,
    path=Path("short.wav"),
    verdict="bona fide",
    llr=4.0,
    p_spoof=0.018,
    duration_s=2.5,
    suspicious=Stretch(0.0, 2.5, 4.0),
    windows=WINDOWS[:1],
)
BAD = FileResult(Path("bad.wav"), reason="the file is empty")


def lines(*results: FileResult, width: int = 120) -> list[str]:
    return render(Report(results, BASIS), Style(width)).splitlines()


def line_with(text: str, *results: FileResult, width: int = 120) -> str:
    [line] = [line for line in lines(*results, width=width) if text in line]
    return line


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_row_of_a_scored_file():
    row = line_with("voice.wav", SCORED, SHORT, BAD)
    assert cells(row) == ["in/voice.wav", "1:02:05", "spoof", "-2.72", "93.8 %", "58.0 - 1:02.0 (-4.50)"]


def test_row_of_a_file_of_one_window():
    assert cells(line_with("short.wav", SCORED, SHORT)) == [
        "short.wav",
        "2.5",
        "bona fide",
        "+4.00",
        "1.8 %",
        "(one window)",
    ]


def test_row_of_a_file_without_score_gives_the_reason():
    assert cells(line_with("bad.wav", SCORED, BAD)) == ["bad.wav", "not scored", "the file is empty"]
    silent = FileResult(Path("s.wav"), "no speech", duration_s=61.0, speech_s=0.0, reason="no speech found")
    assert cells(line_with("s.wav", silent)) == ["s.wav", "1:01.0", "not scored", "no speech found"]


def test_columns_are_named_and_aligned():
    header, row = line_with("length", SCORED, SHORT), line_with("voice.wav", SCORED, SHORT)
    assert cells(header) == ["file", "length", "verdict", "score", "P(spoof)", "most suspicious"]
    for name, cell in (("verdict", "spoof"), ("file", "in/voice.wav"), ("most suspicious", "58.0 -")):
        assert header.index(name) == row.index(cell)
    for name, cell in (("length", "1:02:05"), ("score", "-2.72"), ("P(spoof)", "93.8 %")):
        assert header.index(name) + len(name) == row.index(cell) + len(cell)


def test_rows_are_in_the_order_of_the_report():
    found = "\n".join(lines(BAD, SHORT, SCORED))
    assert found.index("bad.wav") < found.index("short.wav") < found.index("voice.wav")


@pytest.mark.parametrize(
    ("results", "counts"),
    [
        ((SCORED, SCORED, SHORT, BAD), "4 files: 2 spoof, 1 bona fide, 1 not scored"),
        ((SHORT,), "1 file: 1 bona fide"),
        ((BAD,), "1 file: 1 not scored"),
        ((replace(SCORED, verdict="inconclusive"), SCORED), "2 files: 1 spoof, 1 inconclusive"),
    ],
)
def test_counts(results, counts):
    assert counts in lines(*results)


HOSTILE = {
    "comma, 'quote' \"double\".wav": "comma, 'quote' \"double\".wav",
    "new\nline.wav": "new\\nline.wav",
    "over\rwritten.wav": "over\\rwritten.wav",
    "\x1b[31mred\x1b[0m.wav": "\\x1b[31mred\\x1b[0m.wav",
    "\x9b31mred.wav": "\\x9b31mred.wav",
    "back\x08space\x7f.wav": "back\\x08space\\x7f.wav",
    "gnp\u202evaw.exe": "gnp\\u202evaw.exe",
    "[red]markup[/red] [link=x]y[/link].wav": "[red]markup[/red] [link=x]y[/link].wav",
    "[/].wav": "[/].wav",
    ":smile: .wav": ":smile: .wav",
    "=cmd().wav": "=cmd().wav",
    "-rf.wav": "-rf.wav",
    os.fsdecode(b"caf\xe9.wav"): "caf\\xe9.wav",
    "Größe.wav": "Größe.wav",
}


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_name_is_printed_visibly(name, color):
    text = render(Report((replace(SCORED, path=Path(name)),), BASIS), Style(200, color))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
    assert all(character.isprintable() or character == "\n" for character in plain)
    [row] = [line for line in plain.splitlines() if "93.8 %" in line]
    assert row.startswith(f" {HOSTILE[name]}  ")
    assert len(plain.splitlines()) == len(lines(SCORED, width=200))
    text.encode("utf-8")


def test_control_characters_in_a_name_do_not_colour_the_report():
    red = render(Report((replace(SCORED, path=Path("\x1b[31mred.wav")),), BASIS), Style(120, color=True))
    assert "\x1b[31mred" not in red
    assert "\x1b[" in red  # the report's own colours are there


def test_no_colours_unless_asked_for():
    assert "\x1b" not in render(Report((SCORED, SHORT, BAD), BASIS))
    assert "\x1b" not in render(Report((SCORED, SHORT, BAD), BASIS), Style(120, color=False))


@pytest.mark.parametrize("width", [70, 80, 81, 90, 100, 120, 200])
def test_long_names_and_reasons_are_folded_to_the_width_and_nothing_is_lost(width):
    name = "a-rather-long-folder/" * 12 + "with-a-recording-in-it.wav"
    reason = "the file is truncated: its header promises 3.0 s, the sound ends after 1.5 s"
    found = lines(replace(SCORED, path=Path(name)), FileResult(Path("bad.wav"), reason=reason), width=width)
    assert max(map(len, found)) <= width
    assert all(line == line.rstrip() for line in found)
    header, first = next((line, i + 2) for i, line in enumerate(found) if "P(spoof)" in line)
    bad = next(i for i, line in enumerate(found) if line.startswith(" bad.wav"))
    last = next(i for i, line in enumerate(found) if line.startswith("2 files"))
    until, start = header.index("length") - 1, header.index("most suspicious")
    assert "".join(line[:until].split("  ")[0].strip() for line in found[first:bad]) == name
    assert " ".join(line[start:].strip() for line in found[bad:last]).strip() == reason
    for cell in ("1:02:05", "spoof", "-2.72", "93.8 %"):
        assert cell in found[first]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "<0.1 %"),
        (1e-12, "<0.1 %"),
        (0.00099, "<0.1 %"),
        (0.001, "0.1 %"),
        (0.018, "1.8 %"),
        (0.5, "50.0 %"),
        (0.98765, "98.8 %"),
        (0.999, "99.9 %"),
        (0.99901, ">99.9 %"),
        (1 - 1e-12, ">99.9 %"),
        (1.0, ">99.9 %"),
    ],
)
def test_percent(share, text):
    assert percent(share) == text


def test_percent_never_claims_certainty():
    for i in range(100_001):
        assert percent(i / 100_000) not in {"100.0 %", "0.0 %"}


# --- where, what is to be known, and what others say


def test_the_whole_document():
    assert render(INTERRUPTED, Style(80)).splitlines() == [
        "",
        " file            length  verdict     score  P(spoof)  most suspicious",
        " ──────────────────────────────────────────────────────────────────────",
        " in/spliced.mp3    12.0  spoof       -1.25    77.7 %  2.0 - 6.0 (-4.50)",
        "                                                      re-encoded, quiet",
        " in/call.wav        6.0  bona fide   +2.50     7.6 %  2.0 - 6.0 (+2.25)",
        "                                                      telephone",
        " mute.wav           3.0  not scored                   no speech found",
        " bad.wav                 not scored                   the file is empty",
        "",
        "Not complete: the scan was interrupted, and files that it did not reach are",
        "missing.",
        "4 files: 1 spoof, 1 bona fide, 2 not scored",
        "",
        "re-encoded (1 file): It was encoded more than once.",
        "quiet (1 file): The level is low.",
        "telephone (1 file): It has the bandwidth of a telephone.",
        "",
        "The score is the natural logarithm of a likelihood ratio: above 0 the recording",
        "fits genuine speech better, below 0 synthetic speech. Verdict: spoof at -1.00 or",
        "below, bona fide at +1.00 or above, inconclusive between. P(spoof) supposes that",
        "50 % of such recordings are spoofs (--prior). The thresholds were fitted on 500",
        "genuine and 400 synthetic recordings of the development set: there at most 1 %",
        "of genuine recordings are called spoof and at most 5 % of spoofs are called bona",
        "fide (95 % confidence). On other material the rates differ; a verdict is",
        "evidence, not proof.",
        "Model tiny (0123456789ab), deepcheck 0.1.0.",
        "Wider inconclusive band where the model is known to be weaker: telephone (1",
        "file: spoof at -3.00 or below, bona fide at +2.00 or above).",
    ]


def last_column(*results: FileResult) -> list[str]:
    found = lines(*results)
    start = next(line for line in found if "P(spoof)" in line).index("most suspicious")
    return [line[start:] for line in found[3 : next(i for i, line in enumerate(found) if i > 3 and not line)]]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, ["58.0 - 1:02.0 (-4.50)"]),  # none is suspicious by itself: the lowest window
        (1, ["0.0 - 4.0 (-2.00)"]),
        (3, ["0.0 - 4.0 (-2.00)", "10.0 - 14.0 (-2.00)", "20.0 - 24.0 (-2.00)"]),
        (4, ["0.0 - 4.0 (-2.00)", "10.0 - 14.0 (-2.00)", "20.0 - 24.0 (-2.00)", "and 1 more"]),
        (50, ["0.0 - 4.0 (-2.00)", "10.0 - 14.0 (-2.00)", "20.0 - 24.0 (-2.00)", "and 47 more"]),
    ],
)
def test_suspicious_stretches(number, shown):
    stretches = tuple(Stretch(10.0 * i, 10.0 * i + 4, -2.0) for i in range(number))
    assert last_column(replace(SCORED, stretches=stretches)) == shown


def test_notes_are_named_in_the_row_and_explained_once_below():
    clipped = (Note("clipped", "2 % of it is clipped."), Note("quiet", "The level is low."))
    more = (Note("clipped", "9 % of it is clipped."),)
    found = lines(replace(SCORED, notes=clipped), replace(SHORT, notes=more), replace(BAD, notes=more))
    rows = "\n".join(found[3:])
    assert rows.index("clipped, quiet") < rows.index("short.wav") < rows.index("bad.wav")
    assert rows.count("clipped, quiet") == 1
    assert "clipped (3 files), for instance: 2 % of it is clipped." in found
    assert "quiet (1 file): The level is low." in found
    assert "clipped" in last_column(BAD, replace(BAD, notes=more))[2]


def test_agreement_of_several_models():
    report = TWO_MODELS
    found = render(report, Style(80)).splitlines()
    assert [line.split("  ")[-1].strip() for line in found if " agree" in line] == [
        "1 of 2 agree",
        "2 of 2 agree",
    ]
    assert "Models one (111111111111), two (222222222222), deepcheck 0.1.0." in found
    assert "Score and verdict are those of 2 models together." in " ".join(found)
    assert not [line for line in lines(SCORED, SHORT, BAD) if "agree" in line]


def test_nobody_agrees_on_a_file_without_score():
    bad = replace(BAD, opinions=(Opinion("one", None, None),))
    assert not [line for line in lines(bad) if "agree" in line]


def test_wider_bands_are_told_only_if_they_applied():
    assert "Wider" not in render(Report((SPLICED,), REPORT.basis))
    two = Report(
        (replace(SPLICED, notes=(Note("a", "b", "noise"), Note("c", "d", "telephone"))), *REPORT), REPORT.basis
    )
    text = " ".join(render(two).split())
    assert (
        "Wider inconclusive band where the model is known to be weaker: "
        "noise (1 file: spoof at -2.00 or below, bona fide at +1.50 or above); "
        "telephone (2 files: spoof at -3.00 or below, bona fide at +2.00 or above)."
    ) in text
    unknown = replace(SPLICED, notes=(Note("far", "far off", "distance"), Note("too", "far off too", "distance")))
    assert "weaker: distance (1 file)." in render(Report((unknown,), REPORT.basis))


def test_a_whole_scan_says_nothing_of_being_complete():
    assert "complete" not in render(REPORT)


def test_empty_report():
    found = render(EMPTY, Style(80)).splitlines()
    assert "0 files" in found
    assert "most suspicious" in found[1]


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_nothing_from_outside_does_anything(name, width, color):
    text = render(hostile(name), Style(width, color))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
    assert all(character.isprintable() or character == "\n" for character in plain)
    assert "agree" not in plain  # of one voice with itself
    text.encode("utf-8")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_are_no_wider_than_the_terminal(width):
    long = tuple(Stretch(36_000.0 + i, 36_010.0 + i, -12.5) for i in range(9))
    result = replace(SCORED, path=Path("a-long-name-of-a-recording" * 3), stretches=long, notes=SPLICED.notes * 3)
    opinions = tuple(Opinion(f"model-{i}", -1.0, "spoof") for i in range(9))
    text = render(Report((replace(result, opinions=opinions), BAD), BASIS), Style(width))
    assert max(map(len, text.splitlines())) <= width


def test_explanation_gives_the_numbers_it_rests_on():
    text = explain(BASIS)
    for part in (
        "spoof at -1.23 or below, bona fide at +2.50 or above",
        "P(spoof) supposes that 50 % of such recordings are spoofs (--prior).",
        "500 genuine and 400 synthetic recordings of the development set",
        "at most 1 % of genuine recordings are called spoof",
        "at most 5 % of spoofs",
        "95 % confidence",
        "a verdict is evidence, not proof",
        "Model tiny (0123456789ab), deepcheck 0.1.0.",
    ):
        assert part in text
    assert "set by hand" not in text
    assert "supposes that 0.1 %" in explain(replace(BASIS, prior=0.001))


def test_explanation_promises_nothing_for_a_threshold_set_by_hand():
    by_hand = replace(BASIS, false_alarm=None, miss=None, confidence=None, bonafide=None, spoof=None)
    text = explain(by_hand)
    assert "The threshold for spoof was set by hand." in text
    assert "at most" not in text
    assert "None" not in text


def test_explanation_of_thresholds_that_too_few_recordings_show():
    text = explain(replace(BASIS, false_alarm=None))
    assert "too few to promise how many genuine recordings are called spoof" in text
    assert "at most 5 % of spoofs" in text
    assert "None" not in text


def test_explanation_stands_below_the_table():
    text = " ".join(" ".join(lines(SCORED)).split())
    assert " ".join(explain(BASIS).split()) in text


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("table") is render

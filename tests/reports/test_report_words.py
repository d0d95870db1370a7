from dataclasses import replace

import pytest
from report_examples import BAD, BASIS, GENUINE, HOSTILE, SEVERAL, SPLICED, TWO_MODELS, hostile

from deepcheck.metrics.calibration import NO_VERDICT, Thresholds
from deepcheck.reports.words import agreement, count, disputed, explain, legend, limits, opinion, span, widened
from deepcheck.scanner.result import FileResult, Note, Opinion, Report, Stretch


def with_notes(*notes: Note) -> FileResult:
    return replace(SPLICED, notes=notes)


def test_span():
    assert span(Stretch(58.0, 62.04, -4.5)) == "58.0 - 1:02.0 (-4.50)"
    assert span(Stretch(0.0, 3600.0, 0.0)) == "0.0 - 1:00:00 (+0.00)"


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_count(number, text):
    assert count(number, "file") == text


def test_opinion():
    assert opinion(Opinion("tiny", -3.0, "spoof")) == "tiny: spoof (-3.00)"
    assert opinion(Opinion("tiny", None, None)) == "tiny: no verdict"
    assert opinion(Opinion("a\nb", 1.0, "bona fide")) == "a\\nb: bona fide (+1.00)"


def test_agreement():
    spliced, genuine, bad = TWO_MODELS
    assert (agreement(spliced), disputed(spliced)) == ("1 of 2", True)
    assert (agreement(genuine), disputed(genuine)) == ("2 of 2", False)
    assert (agreement(bad), disputed(bad)) == ("", False)
    assert agreement(SPLICED) == ""
    mute = Opinion("three", None, None)
    assert agreement(replace(genuine, opinions=(*genuine.opinions, mute))) == "2 of 2"


def test_explanation_of_one_model_and_of_several():
    assert explain(BASIS).splitlines()[1:] == ["Model tiny (0123456789ab), deepcheck 0.1.0."]
    assert "together" not in explain(BASIS)
    first, last = explain(SEVERAL).splitlines()
    assert first.endswith("Score and verdict are those of 2 models together.")
    assert last == "Models one (111111111111), two (222222222222), deepcheck 0.1.0."


def test_limits_that_no_score_reaches_are_never():
    assert limits(Thresholds(-1.5, 2.0)) == "spoof at -1.50 or below, bona fide at +2.00 or above"
    assert limits(NO_VERDICT) == "spoof never, bona fide never"
    assert limits(Thresholds(-1.5, NO_VERDICT.bonafide)) == "spoof at -1.50 or below, bona fide never"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((), "The threshold for spoof was set by hand."),
        ((("calibration", "none"),), "The model has no calibration: its score is no likelihood ratio"),
        ((("fusion", "the mean"),), "What the models say together was not measured (the mean)."),
    ],
)
def test_where_nothing_is_promised_it_is_said_why(settings, words):
    assert words in explain(replace(BASIS, bonafide=None, settings=settings))


def test_widened():
    assert widened(Report((), BASIS)) == widened(Report((SPLICED, BAD), BASIS)) == ""
    assert widened(Report((GENUINE, GENUINE, SPLICED), BASIS)) == (
        "Wider inconclusive band where the model is known to be weaker: "
        "telephone (2 files: spoof at -3.00 or below, bona fide at +2.00 or above)."
    )
    # Two notes of one condition are one file, and a file without a verdict has no band.
    twice = with_notes(Note("a", "A.", "noise"), Note("b", "B.", "noise"))
    unscored = replace(BAD, notes=(Note("a", "A.", "noise"),))
    assert "noise (1 file: " in widened(Report((twice, unscored), BASIS))


def test_legend():
    report = Report((with_notes(Note("a", "A."), Note("b", "B.")), with_notes(Note("b", "B too.")), BAD), BASIS)
    assert legend(report) == ["a (1 file): A.", "b (2 files), for instance: B."]
    assert legend(Report((with_notes(Note("a", "A.")), with_notes(Note("a", "A."))), BASIS)) == ["a (2 files): A."]
    assert legend(Report((BAD,), BASIS)) == []


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_nothing_from_outside_breaks_a_line(name):
    report = hostile(name)
    assert all(line.isprintable() for line in [*explain(report.basis).split("\n"), widened(report), *legend(report)])
    assert explain(report.basis).count("\n") == 1

"""What the reports for people say in the same words: stretches, agreement, and what the verdicts rest on."""

from collections import Counter

from deepcheck.metrics.calibration import NO_VERDICT, Thresholds
from deepcheck.reports.text import plain, seconds
from deepcheck.scanner.result import (
    BONAFIDE,
    INCONCLUSIVE,
    NOT_SCORED,
    SPOOF,
    Basis,
    FileResult,
    Opinion,
    Report,
    Stretch,
)

VERDICTS = (SPOOF, INCONCLUSIVE, BONAFIDE, NOT_SCORED)
"""The gravest first."""

NOT_COMPLETE = "Not complete: the scan was interrupted, and files that it did not reach are missing."


def percent(share: float) -> str:
    """A share as a percentage that never rounds to certainty."""
    if share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def count(number: int, what: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def span(stretch: Stretch) -> str:
    """`58.0 - 1:02.0 (-4.50)`: from, to, score."""
    return f"{seconds(stretch.start_s)} - {seconds(stretch.end_s)} ({stretch.llr:+.2f})"


def worst(result: FileResult) -> Stretch | None:
    """The suspicious stretch with the lowest score; where there is none, the window with the lowest; None without."""
    return min(result.stretches, key=lambda stretch: stretch.llr, default=result.suspicious)


def opinion(said: Opinion) -> str:
    """`tiny: spoof (-3.00)`."""
    score = "" if said.llr is None else f" ({said.llr:+.2f})"
    return f"{plain(said.model)}: {said.verdict or 'no verdict'}{score}"


def agreement(result: FileResult) -> str:
    """How many of several models are of the verdict that was given: `2 of 3`; "" where there was one, or no verdict."""
    if not result.opinions or result.verdict is None:
        return ""
    voices = [said.verdict for said in result.opinions if said.verdict is not None]
    return f"{voices.count(result.verdict)} of {len(voices)}" if len(voices) > 1 else ""


def disputed(result: FileResult) -> bool:
    """Whether several models are not of one verdict."""
    return len({said.verdict for said in result.opinions if said.verdict is not None}) > 1


def explain(basis: Basis) -> str:
    """What the numbers mean and what they rest on, in a few sentences."""
    text = (
        "The score is the natural logarithm of a likelihood ratio: above 0 the recording fits genuine speech "
        f"better, below 0 synthetic speech. Verdict: {limits(basis.thresholds)}, inconclusive between. "
        f"P(spoof) supposes that {100 * basis.prior:g} % of such recordings are spoofs (--prior)."
    )
    unpromised = _why_unpromised(basis)
    if unpromised:
        text += f" {unpromised}"
    else:
        text += (
            f" The thresholds were fitted on {basis.bonafide} genuine and {basis.spoof} synthetic recordings of "
            f"the development set: there {_promise(basis.false_alarm, 'genuine recordings are called spoof')} and "
            f"{_promise(basis.miss, 'spoofs are called bona fide')} ({100 * (basis.confidence or 0):g} % confidence). "
            "On other material the rates differ; a verdict is evidence, not proof."
        )
    counting = [model.model for model in basis.models if "calibration" not in dict(model.settings)]
    if len(counting) > 1:
        text += f" Score and verdict are those of {len(counting)} models together."
    elif counting:
        text += f" Score and verdict are those of {plain(counting[0])} alone."
    return f"{text}\n{_made_with(basis)}"


def limits(thresholds: Thresholds) -> str:
    """`spoof at -1.83 or below, bona fide at +1.49 or above`; `never` for what no score can reach."""
    spoof = f"at {thresholds.spoof:+.2f} or below" if thresholds.spoof > NO_VERDICT.spoof else "never"
    bonafide = f"at {thresholds.bonafide:+.2f} or above" if thresholds.bonafide < NO_VERDICT.bonafide else "never"
    return f"spoof {spoof}, bona fide {bonafide}"


def _why_unpromised(basis: Basis) -> str:
    """Why nothing is known of the error rates at the thresholds; "" if something is."""
    if basis.bonafide is not None:
        return ""
    settings = dict(basis.settings)
    if "threshold" in settings or not {"calibration", "fusion"} & settings.keys():
        return "The threshold for spoof was set by hand."
    if "calibration" in settings:
        return "The model has no calibration: its score is no likelihood ratio, and nothing follows from it."
    return f"What the models say together was not measured ({settings['fusion']})."


def widened(report: Report) -> str:
    """For which recordings the inconclusive band is wider, why, and how wide; "" if for none."""
    bands = dict(report.basis.bands)
    names = Counter(
        name for result in report if result.verdict for name in {note.band for note in result.notes if note.band}
    )
    if not names:
        return ""
    parts = []
    for name, files in sorted(names.items()):
        band = bands.get(name)
        how = f": {limits(band)}" if band else ""
        parts.append(f"{plain(name)} ({count(files, 'file')}{how})")
    return f"Wider inconclusive band where the model is known to be weaker: {'; '.join(parts)}."


def legend(report: Report) -> list[str]:
    """A line for each kind of note that a file has: its name, how many files have it, and what it says of the first."""
    texts: dict[str, list[str]] = {}
    for result in report:
        for note in result.notes:
            texts.setdefault(note.name, []).append(note.text)
    return [
        plain(f"{name} ({count(len(said), 'file')}){', for instance' if len(set(said)) > 1 else ''}: {said[0]}")
        for name, said in texts.items()
    ]


def _promise(rate: float | None, what: str) -> str:
    # Too small a development set shows nothing, however well it was told apart.
    return f"too few to promise how many {what}" if rate is None else f"at most {100 * rate:g} % of {what}"


def _made_with(basis: Basis) -> str:
    models = ", ".join(f"{plain(model.model)} ({model.model_sha256[:12]})" for model in basis.models or (basis,))
    return f"Model{'s' if basis.models else ''} {models}, deepcheck {basis.version}."

"""What the bands of a model change: `python -m tests.benchmarks.bands MODEL --data manifest.csv --subset val`.

Two rows for each condition, of the genuine and of the synthetic recordings: how many are called spoof and bona fide by
the model's own thresholds, then with the bands that the notes of each recording bring, how many were not judged, and
how many lie beyond a distance of 1. A recording that went through a codec is taken to come in a file that says so.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from deepcheck.audio.conditions import Condition, parse_conditions
from deepcheck.audio.container import Container
from deepcheck.audio.decode import Waveform
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.model import load
from deepcheck.engine.reference import reference_of
from deepcheck.engine.score import Scorer
from deepcheck.scanner.judge import judge
from deepcheck.scanner.result import BONAFIDE, SPOOF, FileResult

CONDITIONS = "clean,telephone,opus:16k,noise:10dB,room:0.5s"
CODECS = {"opus": ("ogg", 48_000), "mp3": ("mp3", 16_000), "aac": ("mov,mp4,m4a,3gp,3g2,mj2", 16_000)}
ROW = "{:12} {:10} {:>6} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}"


def container_of(condition: Condition) -> Container | None:
    """What a file in this codec says of itself."""
    name, _, rate = condition.name.partition(":")
    if name not in CODECS:
        return None
    kind, sample_rate = CODECS[name]
    return Container(kind, name, sample_rate, 1, int(1000 * float(rate.removesuffix("k"))))


def change_of(condition: Condition, utterances: Sequence[Utterance]) -> Callable[[int, Waveform], Waveform] | None:
    """For `Scorer.recordings`."""
    if condition.name == "clean":
        return None
    return lambda index, waveform: condition(waveform, utterances[index].id)


def count(results: Sequence[FileResult], verdict: str | None) -> int:
    """How many have this verdict."""
    return sum(result.verdict == verdict for result in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset")
    parser.add_argument("--conditions", default=CONDITIONS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    card = model.card
    assert card.thresholds is not None, "the model is not calibrated"
    scorer = Scorer(model.detector, card.calibration, device="cpu", check=True, reference=reference_of(model.evidence))
    utterances = read_data(arguments.data, subset=arguments.subset).utterances
    print(ROW.format("", "", "", "own", "", "bands", "", "not", "beyond"))
    print(ROW.format("condition", "label", "of", "spoof", "b.fide", "spoof", "b.fide", "judged", "1"))
    for condition in parse_conditions(arguments.conditions):
        change, container = change_of(condition, utterances), container_of(condition)
        found = list(scorer.recordings([utterance.path for utterance in utterances], change=change))
        for label in (Label.BONAFIDE, Label.SPOOF):
            scores = [one for one in found if utterances[one.index].label is label]
            plain = [judge(one, card.thresholds, 0.5) for one in scores]
            wide = [judge(one, card.thresholds, 0.5, bands=card.bands, container=container) for one in scores]
            counts = [count(results, verdict) for results in (plain, wide) for verdict in (SPOOF, BONAFIDE)]
            far = sum(result.distance is not None and result.distance > 1 for result in wide)
            print(
                ROW.format(condition.name, label.name.lower(), len(scores), *counts, count(wide, None), far), flush=True
            )


if __name__ == "__main__":
    main()

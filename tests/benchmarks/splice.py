"""One synthetic sentence in a long genuine recording: `python -m tests.benchmarks.splice --data corpus/manifest.csv`.

An hour is joined from the genuine clips of each voice of the subset (of a speaker with 8 clips or more, else of what is
left of a source; each clip as often as it takes, cross-faded over 10 ms, all at one level), and some hours of blocks of
20 to 120 s of one voice after another. They are cut into recordings of 10 s to an hour: the false alarms. Then, at
random places, what is there gives way to a synthetic clip of 2 to 4 s, to a synthetic passage of 8 to 14 s (both of the
same source if it has synthetic clips), or to a *genuine* clip of another source. Only the windows there are scored
again. Ten minutes of each synthesis system are recordings that are synthetic throughout.

The first table compares rules for the verdict at the thresholds of the model, none of them fitted here, the second
says what `deepcheck scan` would say. All intervals are Wilson's at 95 % over recordings, which are not independent:
there are as many voices as the first lines say. Every window is scored, without a check of quality.
Half an hour on a busy machine of 2 cores; `--quick`, with ten minutes in place of the hours, takes a part of that.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.audio.quality import Quality
from deepcheck.data.protocols import manifest
from deepcheck.data.split import hold_out
from deepcheck.data.utterance import Label, Protocol
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer, WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.metrics.detection import auc
from deepcheck.metrics.intervals import proportion
from deepcheck.metrics.pooling import recording_llr
from deepcheck.scanner.pooling import ENOUGH, Pooled, pool, suspicious_level
from deepcheck.scanner.result import BONAFIDE, SPOOF
from deepcheck.seeding import seed_of

LLRs = NDArray[np.float64]
Waveform = NDArray[np.float32]

FADE = SAMPLE_RATE // 100
RAMP = np.linspace(0, 1, FADE, dtype=np.float32)
LEVEL = 0.05  # root mean square of every clip
VOICE = 8  # clips at least
LENGTHS_S = {"10 s": 10, "60 s": 60, "10 min": 600, "1 h": 3600}
SENTENCE_S, PASSAGE_S = (2, 4), (8, 14)
PROGRAMMES = 6
ONE, MANY, SYNTHETIC = "one voice", "many voices", "all synthetic"
SENTENCE, PASSAGE, INSERT = "sentence", "passage", "genuine insert"


@dataclass(frozen=True)
class Stream:
    """A joined recording and the scores of its windows."""

    kind: str
    source: str
    llrs: LLRs


@dataclass(frozen=True)
class Splice:
    """What was put into a stream, where, and the scores of the windows from the `first` that it touches."""

    kind: str
    stream: Stream
    start_s: float
    end_s: float
    first: int
    llrs: LLRs


@dataclass(frozen=True)
class Case:
    """A recording of which the scores are known, and the times in it that are not its own, if any."""

    llrs: LLRs
    start_s: float = 0.0
    end_s: float = 0.0


class Maker:
    """Joins clips and scores what comes of it."""

    def __init__(self, protocol: Protocol, scorer: Scorer, seed: int) -> None:
        self.scorer, self.seed = scorer, seed
        self.hop_s = scorer.hop / SAMPLE_RATE
        self.clips = {u.id: _levelled(read(u.path)) for u in protocol.utterances}
        self.source = {u.id: u.source or "" for u in protocol.utterances}
        speakers: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
        systems: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
        for u in protocol.utterances:
            of = (u.source, u.speaker) if u.label is Label.BONAFIDE else (u.source, u.attack)
            (speakers if u.label is Label.BONAFIDE else systems)[of].append(u.id)
        voices: dict[str, list[str]] = defaultdict(list)
        for (source, speaker), ids in speakers.items():
            voices[f"{source} {speaker}" if speaker and len(ids) >= VOICE else str(source)] += ids
        self.all_voices = [sorted(ids) for _, ids in sorted(voices.items())]
        self.voices = [ids for ids in self.all_voices if len(ids) >= VOICE]
        self.systems = [sorted(ids) for _, ids in sorted(systems.items(), key=str) if len(ids) >= VOICE]
        self.genuine = [i for ids in self.all_voices for i in ids]
        self.synthetic = sorted(i for ids in systems.values() for i in ids)

    def streams(self, seconds: int, places: int) -> Iterator[tuple[Stream, list[Splice]]]:
        """Every stream, with so many splices of each kind."""
        for kind, sets, length in (
            (ONE, self.voices, seconds),
            (MANY, [self.genuine] * PROGRAMMES, seconds),
            (SYNTHETIC, self.systems, min(seconds // 5, 600)),
        ):
            for number, ids in enumerate(sets):
                draw = np.random.default_rng(seed_of("splice", self.seed, kind, number, ids))
                order = self._blocks(draw, length) if kind == MANY else self._shuffled(ids, draw)
                waveform = self._joined(order, length * SAMPLE_RATE)
                source = "" if kind == MANY else self.source[ids[0]]
                stream = Stream(kind, source, self._scores(waveform))
                yield stream, list(self._splices(stream, waveform, places if kind != SYNTHETIC else 0, draw))

    def _splices(self, stream: Stream, waveform: Waveform, places: int, draw: np.random.Generator) -> Iterator[Splice]:
        shortest = LENGTHS_S["10 s"] * SAMPLE_RATE
        own = [i for i in self.synthetic if self.source[i] == stream.source]
        foreign = [i for i in self.genuine if self.source[i] != stream.source]
        for place in draw.permutation(len(waveform) // shortest)[:places]:
            for kind, ids in ((SENTENCE, own or self.synthetic), (INSERT, foreign)):
                least, most = (second * SAMPLE_RATE for second in SENTENCE_S)
                fitting = [i for i in ids if len(self.clips[i]) >= least] or ids
                clip = self.clips[fitting[draw.integers(len(fitting))]][:most]
                # Wholly within one of the shortest recordings, and so within one of every length.
                start = place * shortest + draw.integers(shortest - len(clip))
                yield self._spliced(kind, stream, waveform, clip, start)
            length = int(draw.uniform(*PASSAGE_S) * SAMPLE_RATE)
            passage = self._joined(self._shuffled(own or self.synthetic, draw), length)
            yield self._spliced(PASSAGE, stream, waveform, passage, draw.integers(len(waveform) - length))

    def _spliced(self, kind: str, stream: Stream, waveform: Waveform, clip: Waveform, start: int) -> Splice:
        end, size, hop = start + len(clip), self.scorer.size, self.scorer.hop
        first, last = max(0, (start - size) // hop + 1), min(len(stream.llrs) - 1, (end - 1) // hop)
        around = waveform[first * hop : last * hop + size].copy()
        share = np.concatenate([RAMP, np.ones(len(clip) - 2 * FADE, np.float32), RAMP[::-1]])
        there = around[start - first * hop : end - first * hop]
        there[:] = share * clip + (1 - share) * there
        return Splice(kind, stream, start / SAMPLE_RATE, end / SAMPLE_RATE, first, self._scores(around))

    def _shuffled(self, ids: Sequence[str], draw: np.random.Generator) -> Iterator[str]:
        while True:
            yield from (ids[i] for i in draw.permutation(len(ids)))

    def _blocks(self, draw: np.random.Generator, seconds: int) -> Iterator[str]:
        fitting = [ids for ids in self.all_voices if len(ids) >= 3]
        while True:
            left = draw.uniform(20, 120) * SAMPLE_RATE
            for i in self._shuffled(fitting[draw.integers(len(fitting))], draw):
                yield i
                left -= len(self.clips[i])
                if left <= 0:
                    break

    def _joined(self, order: Iterator[str], length: int) -> Waveform:
        joined = np.zeros(length + 10 * SAMPLE_RATE, np.float32)
        end = 0
        while end < length:
            clip = self.clips[next(order)].copy()
            start = max(0, end - FADE)
            if end:
                joined[start:end] *= 1 - RAMP
                clip[:FADE] *= RAMP
            end = start + len(clip)
            joined[start:end] += clip
        return joined[:length]

    def _scores(self, waveform: Waveform) -> LLRs:
        windows = sliding_window_view(waveform, self.scorer.size)[:: self.scorer.hop]
        step = self.scorer.batch_size
        return np.concatenate([self.scorer.llrs(windows[i : i + step].copy()) for i in range(0, len(windows), step)])


def _levelled(clip: Waveform) -> Waveform:
    return (clip * (LEVEL / max(float(np.sqrt(np.mean(clip**2))), 1e-6))).astype(np.float32)


class Cases:
    """The recordings of one length that can be cut out of the streams, with and without splices."""

    def __init__(self, streams: Sequence[Stream], splices: Sequence[Splice], seconds: int, hop_s: float) -> None:
        self.seconds, self.hop_s = seconds, hop_s
        self._hops = round(seconds / hop_s)  # of which there are one more than windows
        self._streams, self._splices = streams, splices

    def untouched(self, kind: str) -> list[Case]:
        """The streams of that kind, cut up."""
        return [
            Case(stream.llrs[start : start + self._hops - 1])
            for stream in self._streams
            if stream.kind == kind
            for start in range(0, len(stream.llrs) - self._hops + 2, self._hops)
        ]

    def spliced(self, kind: str) -> list[Case]:
        """Every splice of that kind in the recording it falls into, unless it reaches beyond."""
        found = []
        for splice in self._splices:
            start = int(splice.start_s / self.hop_s) // self._hops * self._hops
            stop = start + self._hops
            if splice.kind != kind or splice.end_s > stop * self.hop_s or stop > len(splice.stream.llrs) + 1:
                continue
            llrs = splice.stream.llrs.copy()
            llrs[splice.first : splice.first + len(splice.llrs)] = splice.llrs
            offset = start * self.hop_s
            found.append(Case(llrs[start : stop - 1], splice.start_s - offset, splice.end_s - offset))
        return found

    def windows(self, case: Case) -> list[WindowScore]:
        """As a scan has them."""
        places = [(i * self.hop_s, (i + 2) * self.hop_s) for i in range(len(case.llrs))]
        return [
            WindowScore(start, end, float(llr), Quality.SPEECH, 1.0)
            for (start, end), llr in zip(places, case.llrs, strict=True)
        ]


def stretch_with_surcharge(llrs: LLRs) -> float:
    """The lowest mean over k windows in a row + ln(n / k), for up to 15 in a row and for all."""
    sums = np.concatenate([[0.0], np.cumsum(llrs)])
    lengths = {*range(1, min(15, llrs.size) + 1), llrs.size}
    return min(float((sums[k:] - sums[:-k]).min()) / k + np.log(llrs.size / k) for k in lengths)


def standing_out(thresholds: Thresholds) -> Callable[[LLRs], float]:
    """The lowest window, moved so that what stands out of its recording is at or below the threshold for spoof."""

    def llr(llrs: LLRs) -> float:
        lowest = float(llrs.min())
        return lowest if llrs.size < ENOUGH else lowest - suspicious_level(llrs, thresholds) + thresholds.spoof

    return llr


def rules(thresholds: Thresholds) -> dict[str, Callable[[LLRs], float]]:
    """One log-likelihood ratio from those of the windows."""
    return {
        "mean": lambda llrs: float(llrs.mean()),
        "lowest window": lambda llrs: float(llrs.min()),
        "mean of the lowest tenth": lambda llrs: float(np.sort(llrs)[: -(-llrs.size // 10)].mean()),
        "soft minimum": lambda llrs: float(-np.log(np.mean(np.exp(-llrs)))),
        "stretch + ln(n / k)": stretch_with_surcharge,
        "standing out of its own": standing_out(thresholds),
        "pooling.recording_llr": recording_llr,
    }


RULES = "{:8} {:26} {:>12} {:>12} {:>9} {:>9} {:>9} {:>9} {:>6}"
SAID = "{:8} {:16} {:>6} {:>20} {:>10} {:>22} {:>22} {:>8}"
PLACED = "{:8} {:10} {:>6} {:>12} {:>12} {:>12} {:>8}"


def percent(count: int, hits: int) -> str:
    """The share."""
    return f"{100 * hits / count:.1f} %" if count else "-"


def with_interval(count: int, hits: int) -> str:
    """The share with its interval."""
    interval = proportion(hits, count)
    return f"{percent(count, hits)} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def compare_rules(by_length: dict[str, Cases], thresholds: Thresholds) -> None:
    """Prints which recordings each rule calls spoof, and how well it would part spliced ones from others at best."""
    print(
        RULES.format("length", "spoof by", "one voice", "many voices", "insert", SENTENCE, PASSAGE, "synthetic", "AUC")
    )
    for length, cases in by_length.items():
        genuine = [cases.untouched(kind) for kind in (ONE, MANY)]
        changed = [cases.spliced(kind) for kind in (INSERT, SENTENCE, PASSAGE)]
        groups = [*genuine, *changed, cases.untouched(SYNTHETIC)]
        for name, rule in rules(thresholds).items():
            llrs = [np.array([rule(case.llrs) for case in group]) for group in groups]
            shares = [percent(len(found), int((found <= thresholds.spoof).sum())) for found in llrs]
            best = f"{auc(np.concatenate(llrs[:2]), llrs[3]):.3f}" if len(llrs[3]) else "-"
            print(RULES.format(length, name, *shares, best))
        print()


def say(by_length: dict[str, Cases], thresholds: Thresholds) -> None:
    """Prints verdicts and stretches as a scan gives them."""
    print(SAID.format("length", "", "n", "spoof", "bona fide", "a stretch anywhere", "where it is", "an hour"))
    for length, cases in by_length.items():
        for kind in (ONE, MANY, INSERT, SENTENCE, PASSAGE, SYNTHETIC):
            untouched = kind in (ONE, MANY, SYNTHETIC)
            group = cases.untouched(kind) if untouched else cases.spliced(kind)
            said = [pool(cases.windows(case), thresholds) for case in group]
            if not said:
                continue
            hits = sum(best_stretch(one, case) is not None for one, case in zip(said, group, strict=True))
            verdicts = [one.verdict for one in said]
            hours = len(said) * cases.seconds / 3600
            print(
                SAID.format(
                    length,
                    kind,
                    len(said),
                    with_interval(len(said), verdicts.count(SPOOF)),
                    percent(len(said), verdicts.count(BONAFIDE)),
                    with_interval(len(said), sum(bool(one.stretches) for one in said)),
                    "" if untouched else with_interval(len(said), hits),
                    f"{sum(len(one.stretches) for one in said) / hours:.1f}" if untouched else "",
                )
            )
        print()


def place(by_length: dict[str, Cases], thresholds: Thresholds) -> None:
    """Prints how far off the borders of the stretches are that were found: median; nine in ten are below."""
    print(PLACED.format("length", "", "found", "start, s", "end, s", "centre, s", "overlap"))
    for length, cases in by_length.items():
        for kind in (SENTENCE, PASSAGE):
            errors = []
            for case in cases.spliced(kind):
                span = best_stretch(pool(cases.windows(case), thresholds), case)
                if span is not None:
                    (start, end), (a, b) = span, (case.start_s, case.end_s)
                    shared = (min(end, b) - max(start, a)) / (max(end, b) - min(start, a))
                    errors.append((abs(start - a), abs(end - b), abs(start + end - a - b) / 2, shared))
            if len(errors) < 10:
                continue
            *columns, overlap = np.array(errors).T
            cells = [f"{np.median(column):.2f}; {np.quantile(column, 0.9):.2f}" for column in columns]
            print(PLACED.format(length, kind, len(errors), *cells, f"{np.median(overlap):.2f}"))


def best_stretch(said: Pooled, case: Case) -> tuple[float, float] | None:
    """(start, end) of the stretch that has most of what was put into the recording; None if none has any of it."""
    shared = [(min(s.end_s, case.end_s) - max(s.start_s, case.start_s), s.start_s, s.end_s) for s in said.stretches]
    most = max(shared, default=(0.0, 0.0, 0.0))
    return most[1:] if most[0] > 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a manifest with path,label,source,speaker")
    parser.add_argument("--subset", default="val")
    parser.add_argument("--held-out", type=float, help="only what training with data.holdout at this share keeps aside")
    parser.add_argument("--model", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    protocol = manifest.read(options.data, options.subset)
    if options.held_out:
        protocol = hold_out(protocol, options.held_out)[1]
    model = load(options.model)
    thresholds = model.card.thresholds
    if thresholds is None:
        parser.error(f"{options.model} has no thresholds")
    model.detector.eval()
    maker = Maker(protocol, Scorer(model.detector, model.card.calibration, device=options.device), options.seed)
    seconds = 600 if options.quick else 3600
    made = list(maker.streams(seconds, places=8 if options.quick else 24))
    streams, splices = [stream for stream, _ in made], [splice for _, some in made for splice in some]
    by_length = {
        name: Cases(streams, splices, length, maker.hop_s) for name, length in LENGTHS_S.items() if length <= seconds
    }
    print(f"{model.card.name} on {protocol.describe()}")
    print(f"spoof at {thresholds.spoof:+.2f} or below, bona fide at {thresholds.bonafide:+.2f} or above")
    sources = {maker.source[ids[0]] for ids in maker.voices}
    print(f"{len(maker.voices)} voices of {len(sources)} sources, {len(maker.systems)} synthesis systems", end="")
    print(f", {PROGRAMMES} times many voices, {len(splices):,} splices, seed {options.seed}\n")
    compare_rules(by_length, thresholds)
    say(by_length, thresholds)
    place(by_length, thresholds)


if __name__ == "__main__":
    main()

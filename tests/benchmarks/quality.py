"""What windows are taken for, and which notes recordings get: `python -m tests.benchmarks.quality --data manifest.csv`.

The first table has a row for each thing that genuine recordings were put through, and for music: the shares of their
windows by quality, of those in which somebody speaks but which are lost to noise or music, and the medians of what
decides that (the deviation of the levels, and the share of the power that lies in tones). The second has the shares of
windows to which the rules of `scanner.notes` apply. The last line compares the time of the assessment with that of the
shipped detector. `--music` is a folder of recordings without voices, beside the chords, drums and arpeggios that are
made.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from deepcheck.audio.augment.levels import active_power, amplitude, at_rms
from deepcheck.audio.augment.noise import Noise
from deepcheck.audio.conditions import parse_conditions
from deepcheck.audio.decode import SAMPLE_RATE, Waveform, decode, read
from deepcheck.audio.quality import MIN_SPEECH_SHARE, Quality, _dynamics_db, _frame_powers, _tonal_share, assess
from deepcheck.audio.windows import cut
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label, Utterance
from deepcheck.engine.model import load
from deepcheck.engine.score import Scorer
from deepcheck.scanner import notes
from deepcheck.seeding import seed_of

WINDOW = 4 * SAMPLE_RATE
KINDS = ("white", "pink", "brown", "babble", "hum")
SNRS_DB = (10.0, 5.0, 0.0, -5.0)
MUSIC_DB = (20.0, 10.0, 0.0, -10.0)
CONDITIONS = "telephone,amr,resample:8k,resample:11k,opus:16k,mp3:16k,mp3:32k,aac:32k,noise:10dB,room:0.5s,room:1s"
BATCH = 32


def windows_of(waveform: Waveform) -> list[Waveform]:
    """As a scan cuts them."""
    return [window.samples for window in cut([waveform], WINDOW, WINDOW // 2)]


def drawn(utterances: tuple[Utterance, ...], label: Label, most: int) -> list[Utterance]:
    """At most so many with this label; which ones depends on their ids alone."""
    return sorted((u for u in utterances if u.label is label), key=lambda u: seed_of("benchmark", u.id))[:most]


def chords(seed: int) -> Waveform:
    """Four seconds of chords of plucked strings."""
    rng = np.random.default_rng(seed)
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    ratios = [note * k for note in (1.0, 1.26, 1.5) for k in range(1, 6)]
    bars = [
        np.exp(-2 * t) * sum(np.sin(2 * np.pi * root * ratio * t) / ratio for ratio in ratios)
        for root in 110 * 2 ** (rng.integers(0, 13, 4) / 12)
    ]
    return (0.1 * np.concatenate(bars)).astype(np.float32)


def arpeggio(seed: int) -> Waveform:
    """Four seconds of single notes, five a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
    notes_hz = 220 * 2 ** (rng.integers(0, 25, 20) / 12)
    return np.concatenate(
        [0.2 * np.exp(-6 * t) * sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 5)) for hz in notes_hz]
    ).astype(np.float32)


def drums(seed: int) -> Waveform:
    """Four seconds of bass drum, snare and hi-hat."""
    rng = np.random.default_rng(seed)
    track = np.zeros(WINDOW + SAMPLE_RATE)
    t = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    for beat in range(16):
        hat = 0.1 * np.exp(-60 * t) * rng.standard_normal(t.size)
        hit = np.exp(-20 * t) * (np.sin(2 * np.pi * 60 * t) if beat % 4 == 0 else 0.5 * rng.standard_normal(t.size))
        track[beat * 4000 :][: t.size] += hat + (hit if beat % 2 == 0 else 0)
    return (0.4 * track[:WINDOW]).astype(np.float32)


def music(folder: Path | None) -> dict[str, list[Waveform]]:
    """Windows by kind."""
    made = {kind.__name__: [kind(seed) for seed in range(20)] for kind in (chords, arpeggio, drums)}
    if folder is None:
        return made
    found = []
    for path in sorted(folder.iterdir()):
        parts = [window.samples for window, _ in zip(cut(decode(path), WINDOW, WINDOW), range(30), strict=False)]
        found += [part for part in parts if np.abs(part).max() > 0.01]
    return {**made, "recorded": found}


def rows(genuine: list[Waveform], tunes: dict[str, list[Waveform]]) -> Iterator[tuple[str, list[Waveform]]]:
    """(what it is, its windows): a window of each recording where something was done to it."""
    first = [windows_of(waveform)[0] for waveform in genuine]
    for kind in KINDS:
        for snr_db in SNRS_DB:
            noise = Noise(snr_db=(snr_db, snr_db), kinds=(kind,))
            yield (
                f"{kind} noise {snr_db:+.0f} dB",
                [noise(window, np.random.default_rng(i)) for i, window in enumerate(first)],
            )
    every = [window for windows in tunes.values() for window in windows]
    for ratio_db in MUSIC_DB:
        yield (
            f"music {ratio_db:+.0f} dB below",
            [
                (window + at_rms(every[i % len(every)], active_power(window) ** 0.5 / amplitude(ratio_db)))
                for i, window in enumerate(first)
            ],
        )
    for name, windows in tunes.items():
        yield f"music, {name}", windows


def assessed(windows: list[Waveform]) -> tuple[list[Quality], np.ndarray]:
    """(qualities, (windows, 4) of signal-to-noise ratio, bandwidth, level and share of speech)."""
    parts = [assess(np.stack(windows[at : at + BATCH]).astype(np.float32)) for at in range(0, len(windows), BATCH)]
    figures = [np.stack([part.snr_db, part.bandwidth_hz, part.level_db, part.speech], axis=1) for part in parts]
    return [quality for part in parts for quality in part.qualities], np.concatenate(figures)


def medians(windows: list[Waveform]) -> tuple[float, float]:
    """(deviation of the levels in dB, share of the power in tones)."""
    found = []
    for at in range(0, len(windows), BATCH):
        batch = torch.from_numpy(np.stack(windows[at : at + BATCH]).astype(np.float32))
        found.append(torch.stack([_dynamics_db(_frame_powers(batch)), _tonal_share(batch).double()]))
    dynamics_db, tonal = torch.cat(found, 1).median(1).values
    return float(dynamics_db), float(tonal)


def show_qualities(name: str, windows: list[Waveform]) -> None:
    """One row of the first table."""
    qualities, figures = assessed(windows)
    counts = Counter(qualities)
    speaks = figures[:, 3] >= MIN_SPEECH_SHARE
    lost = np.mean(speaks & np.array([quality in {Quality.TOO_NOISY, Quality.MUSIC} for quality in qualities]))
    shares = "  ".join(f"{counts[quality] / len(windows):9.2%}" for quality in Quality)
    dynamics_db, tonal = medians(windows)
    print(f"{name:24} {len(windows):6}  {shares}  {lost:9.2%}  {dynamics_db:8.1f} {tonal:8.3f}", flush=True)


def show_notes(name: str, windows: list[Waveform]) -> None:
    """One row of the second table."""
    qualities, figures = assessed(windows)
    snr_db, bandwidth_hz, level_db, _ = figures[[quality is Quality.SPEECH for quality in qualities]].T
    shares = (
        bandwidth_hz <= notes.TELEPHONE_HZ,
        (bandwidth_hz > notes.TELEPHONE_HZ) & (bandwidth_hz <= notes.NARROW_HZ),
        snr_db < notes.NOISY_DB,
        level_db < notes.QUIET_DB,
    )
    print(f"{name:24} {len(snr_db):6}  " + "  ".join(f"{share.mean():11.1%}" for share in shares), flush=True)


def show_cost(windows: list[Waveform]) -> None:
    """The assessment beside the forward pass of the shipped detector, a batch at a time, the median of some rounds."""
    scorer = Scorer(load("default").detector.eval(), device="cpu")
    batch = np.stack(windows[: scorer.batch_size])
    times: dict[str, list[float]] = {"assessment": [], "detector": []}
    for _ in range(9):
        for name, work in (("assessment", assess), ("detector", scorer.logits)):
            began = time.perf_counter()
            work(batch)
            times[name].append(1000 * (time.perf_counter() - began) / len(batch))
    ours, theirs = (statistics.median(times[name]) for name in ("assessment", "detector"))
    print(f"\n{ours:.1f} ms a window for the assessment, {theirs:.1f} ms for the default detector: {ours / theirs:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", nargs="*", help="the last one is what things are done to")
    parser.add_argument("--recordings", type=int, default=1000, help="of each label and subset")
    parser.add_argument("--changed", type=int, default=200, help="genuine recordings that things are done to")
    parser.add_argument("--music", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    heads = "  ".join(f"{head:>9}" for head in (*Quality, "lost"))
    print(f"{'':24} {'windows':>6}  {heads}  {'dynamics':>8} {'tonal':>8}")
    clean: list[Waveform] = []
    for subset in arguments.subset or [None]:
        own = read_data(arguments.data, subset=subset).utterances
        for label in (Label.BONAFIDE, Label.SPOOF):
            waveforms = [read(u.path) for u in drawn(own, label, arguments.recordings)]
            show_qualities(f"{label.name.lower()} {subset or ''}", [w for x in waveforms for w in windows_of(x)])
            if label is Label.BONAFIDE:
                clean = waveforms
    changed = clean[: arguments.changed]
    for name, windows in rows(changed, music(arguments.music)):
        show_qualities(name, windows)
    print(f"\n{'':24} {'windows':>6}    telephone  narrow band        noisy        quiet")
    show_notes("genuine", [window for waveform in clean for window in windows_of(waveform)])
    for condition in parse_conditions(CONDITIONS):
        through = [condition(waveform, str(i)) for i, waveform in enumerate(changed)]
        show_notes(condition.name, [window for waveform in through for window in windows_of(waveform)])
    show_cost([windows_of(waveform)[0] for waveform in changed])


if __name__ == "__main__":
    main()

"""How far an attack moves verdicts: an evaluation of recordings that somebody changed on purpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from deepcheck.audio.decode import Waveform, read
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.engine.attacks import ATTACKS, Attack
from deepcheck.engine.attacks.victim import Victim
from deepcheck.engine.evaluate import Rate, Scores, labelled, require_calibration
from deepcheck.engine.model import Model
from deepcheck.errors import AudioError, DataError
from deepcheck.metrics.calibration import Thresholds
from deepcheck.metrics.intervals import Interval
from deepcheck.metrics.measurement import Measurement, measure
from deepcheck.metrics.table import EER
from deepcheck.seeding import seed_of

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class AttackedTrial:
    """A recording, its log-likelihood ratio before and after, and how far below it the change lies, in dB.

    Where nothing that the attack tried moved the score its way, `attacked` is `clean` and `snr_db` infinite.
    """

    utterance: Utterance
    clean: float
    attacked: float
    snr_db: float


@dataclass(frozen=True)
class Attacked:
    """The trials of one model under one attack. Verdicts follow from the stored thresholds, as in an evaluation."""

    model: str
    protocol: str
    attack: str
    thresholds: Thresholds
    trials: tuple[AttackedTrial, ...]
    skipped: tuple[tuple[Utterance, str], ...]

    def of(self, label: Label) -> list[AttackedTrial]:
        """The trials with that label."""
        return [trial for trial in self.trials if trial.utterance.label is label]

    def scores(self, name: str) -> tuple[Scores, Scores]:
        """(bona fide, spoof) log-likelihood ratios, `clean` or `attacked`."""
        bonafide, spoof = (
            np.array([getattr(trial, name) for trial in self.of(label)]) for label in (Label.BONAFIDE, Label.SPOOF)
        )
        return bonafide, spoof

    @cached_property
    def eers(self) -> tuple[Measurement, Measurement]:
        """EER before and after, with bootstrap intervals."""
        [clean], [attacked] = (measure([EER], *self.scores(name)) for name in ("clean", "attacked"))
        return clean, attacked

    @property
    def cleared(self) -> Rate:
        """Of all spoofs, those that become bona fide."""
        limit = self.thresholds.bonafide
        spoofs = self.of(Label.SPOOF)
        return Rate(sum(trial.clean < limit <= trial.attacked for trial in spoofs), len(spoofs))

    @property
    def escaped(self) -> Rate | None:
        """Of the spoofs that were called spoof, those that no longer are; None if there were none."""
        limit = self.thresholds.spoof
        caught = [trial for trial in self.of(Label.SPOOF) if trial.clean <= limit]
        return Rate(sum(trial.attacked > limit for trial in caught), len(caught)) if caught else None

    @property
    def accused(self) -> Rate:
        """Of all genuine recordings, those that become spoof."""
        limit = self.thresholds.spoof
        genuine = self.of(Label.BONAFIDE)
        return Rate(sum(trial.attacked <= limit < trial.clean for trial in genuine), len(genuine))

    @property
    def snr_db(self) -> tuple[float, Interval] | None:
        """The median over the recordings that were changed, with its percentile bootstrap interval; None of none."""
        values = np.array([trial.snr_db for trial in self.trials if np.isfinite(trial.snr_db)])
        if not values.size:
            return None
        drawn = np.random.default_rng(0).choice(values, (_RESAMPLES, values.size))
        low, high = np.quantile(np.median(drawn, 1), [0.025, 0.975])
        return float(np.median(values)), Interval(float(low), float(high))


def sampled(protocol: Protocol, limit: int, seed: int = 0) -> Protocol:
    """`limit` utterances of each label, or all that there are, drawn by their ids and `seed` alone."""
    order = sorted(labelled(protocol), key=lambda one: seed_of("sampled", seed, one.id))
    kept = {one.id for label in Label for one in [u for u in order if u.label is label][:limit]}
    part = protocol.where(lambda one: one.label is not None and one.id in kept)
    return replace(part, note="; ".join(filter(None, (protocol.note, f"at most {limit} of each label"))))


def attacked(
    model: Model,
    protocol: Protocol,
    attacks: Sequence[Attack],
    *,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[Attacked]:
    """What each of `attacks` does to the scores of every labelled recording of `protocol`.

    Spoofs are moved towards bona fide and genuine recordings towards spoof, each by that candidate of the attack which
    goes farthest. `progress(done, total)` is called after each recording. `DataError` for a model without calibration,
    and if a label has no recording that can be read.
    """
    require_calibration(model.card)
    assert model.card.thresholds is not None
    utterances, victim = labelled(protocol), Victim(model, device)
    rows: list[list[AttackedTrial]] = [[] for _ in attacks]
    skipped: list[tuple[Utterance, str]] = []
    for done, utterance in enumerate(utterances, 1):
        try:
            waveform = read(utterance.path)
        except AudioError as error:
            skipped.append((utterance, error.message))
        else:
            clean = victim.llr(waveform)
            for found, attack in zip(rows, attacks, strict=True):
                found.append(_moved(victim, utterance, waveform, clean, attack, seed))
        if progress:
            progress(done, len(utterances))
    if {trial.utterance.label for trial in rows[0]} != set(Label):
        raise DataError(f"{protocol.describe()}: both labels are needed, and {len(skipped)} recordings cannot be read.")
    return [
        Attacked(model.card.name, protocol.describe(), attack.text, model.card.thresholds, tuple(found), tuple(skipped))
        for attack, found in zip(attacks, rows, strict=True)
    ]


def _moved(
    victim: Victim, utterance: Utterance, waveform: Waveform, clean: float, attack: Attack, seed: int
) -> AttackedTrial:
    towards = 1 if utterance.label is Label.SPOOF else -1
    rng = np.random.default_rng(seed_of("attack", attack.kind, seed, utterance.id))
    best = AttackedTrial(utterance, clean, clean, float("inf"))
    for candidate in ATTACKS.resolve(attack.kind)(victim, waveform, towards, attack.budget, rng):
        llr = victim.llr(candidate)
        if towards * (llr - best.attacked) > 0:
            best = AttackedTrial(utterance, clean, llr, _snr_db(waveform, candidate))
    return best


def _snr_db(waveform: Waveform, changed: Waveform) -> float:
    length = min(len(waveform), len(changed))
    sound = waveform[:length].astype(np.float64)
    noise = float(np.square(changed[:length] - sound).sum())
    power = float(np.square(sound).sum())
    return 10 * float(np.log10(power / noise)) if noise > 0 and power > 0 else float("inf")

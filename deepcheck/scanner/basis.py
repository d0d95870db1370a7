"""What the verdicts of one model, or of several together, rest on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import deepcheck
from deepcheck.engine.dev_scores import dev_scores_of
from deepcheck.engine.model import Model
from deepcheck.errors import DataError
from deepcheck.metrics.calibration import NO_VERDICT, Thresholds
from deepcheck.metrics.fusion import AT_LEAST, Development, common, fit_fusion
from deepcheck.scanner.result import Basis


@dataclass(frozen=True)
class Member:
    """A model and what its own verdicts rest on."""

    model: Model
    basis: Basis

    @property
    def calibrated(self) -> bool:
        """Whether its scores are likelihood ratios, of which verdicts follow."""
        return self.model.card.calibration is not None and self.model.card.thresholds is not None

    def development(self) -> Development | None:
        """What the model says of its development recordings, if that is known."""
        scores = dev_scores_of(self.model.evidence)
        calibration = self.model.card.calibration
        if scores is None or calibration is None:
            return None
        return Development(scores.ids, scores.labels, calibration.llr(scores.logits))


@dataclass(frozen=True)
class Rule:
    """How the scores of the models that count become one: a weight each, and an offset.

    `basis` has the thresholds and what they are worth, `words` say the same to people. Where `unanimous`, nothing is
    known of how the models err together, and a verdict needs all of them.
    """

    weights: tuple[float, ...]
    offset: float
    basis: Basis
    words: str
    unanimous: bool = False


def rule_for(counting: Sequence[Member]) -> Rule:
    """The rule of the models that count, at least one: all with a calibration, or, if there are none, all."""
    first = counting[0].basis
    if len(counting) == 1:
        return Rule((1.0,), 0.0, first, f"the score of {first.model}, the only one with a calibration")
    fitted = _fitted(counting)
    if isinstance(fitted, Rule):
        return fitted
    own = [member.basis.thresholds for member in counting]
    thresholds = Thresholds(float(np.mean([one.spoof for one in own])), float(np.mean([one.bonafide for one in own])))
    words = f"the mean of the scores, and a verdict only where all models come to it, as {fitted}"
    basis = replace(_unpromised(first, thresholds), bands=())
    return Rule((1 / len(own),) * len(own), 0.0, basis, words, unanimous=True)


def _fitted(counting: Sequence[Member]) -> Rule | str:
    """The rule that is fitted on the development recordings of all, or why there is none."""
    found = []
    for member in counting:
        development = member.development()
        if development is None:
            return f"the development scores of {member.basis.model} are not known"
        found.append(development)
    trials = common(found)
    if not trials.enough:
        return (
            f"they have {trials.bonafide} genuine and {trials.spoof} synthetic development recordings in common, of "
            f"{AT_LEAST} that are needed of each"
        )
    try:
        fusion = fit_fusion(trials, **_rates(counting))
    except DataError as error:
        return error.message[0].lower() + error.message[1:].removesuffix(".")
    basis = replace(
        counting[0].basis,
        thresholds=fusion.thresholds,
        false_alarm=fusion.false_alarm,
        miss=fusion.miss,
        confidence=fusion.confidence,
        bonafide=fusion.bonafide,
        spoof=fusion.spoof,
        bands=(),
    )
    names = [member.basis.model for member in counting]
    terms = [f"{weight:.3g} x {name}" for weight, name in zip(fusion.weights, names, strict=True)]
    words = f"{' + '.join(terms)} {fusion.offset:+.3g}, fitted on the development recordings of all"
    return Rule(fusion.weights, fusion.offset, basis, words)


def _rates(counting: Sequence[Member]) -> dict[str, float]:
    """The strictest of what the models' own thresholds were fitted for; those of `fit_fusion` where none says it."""
    cards = [member.model.card.rates for member in counting]
    known = {name: [card[name] for card in cards if name in card] for name in ("false_alarm", "miss", "confidence")}
    return {name: (max if name == "confidence" else min)(values) for name, values in known.items() if values}


COMPUTED = ("precision", "runtime")
"""Settings that say how numbers were computed: the same for all models of a scan, or told of those that have it."""


def own_basis(model: Model, prior: float, created: str) -> Basis:
    """What the verdicts of one model rest on; without a calibration, there are none that could be reached."""
    card = model.card
    basis = Basis(card.name, model.sha256, deepcheck.__version__, NO_VERDICT, prior, created=created)
    origin = next((stage for stage in card.history if stage.get("stage") == "import"), None)
    if origin is not None:
        told = ((name, origin.get(name)) for name in ("from", "revision", "labels"))
        basis = replace(basis, settings=tuple((name, str(value)) for name, value in told if value))
    if card.calibration is None or card.thresholds is None:
        return replace(basis, settings=(*basis.settings, ("calibration", "none, hence no verdicts")))
    rates = card.rates
    return replace(
        basis,
        thresholds=card.thresholds,
        false_alarm=rates.get("false_alarm"),
        miss=rates.get("miss"),
        confidence=rates.get("confidence"),
        bonafide=int(rates["bonafide"]) if "bonafide" in rates else None,
        spoof=int(rates["spoof"]) if "spoof" in rates else None,
        bands=tuple(sorted(card.bands.items())),
    )


def whole_basis(members: Sequence[Member], rule: Rule) -> Basis:
    """What the verdicts of all together rest on; that of the model itself if it is alone."""
    if len(members) == 1:
        return members[0].basis
    digests = "".join(f"{member.basis.model_sha256}\n" for member in members)
    computed = dict.fromkeys(pair for member in members for pair in member.basis.settings if pair[0] in COMPUTED)
    return replace(
        rule.basis,
        model=" + ".join(member.basis.model for member in members),
        model_sha256=hashlib.sha256(digests.encode()).hexdigest(),
        settings=(("fusion", rule.words), *computed),
        models=tuple(member.basis for member in members),
    )


def with_threshold(basis: Basis, threshold: float) -> Basis:
    """With a threshold of the user's own, of which nothing was promised; bands move the upper one alone."""
    chosen = _unpromised(basis, Thresholds(threshold, max(threshold, basis.thresholds.bonafide)))
    bands = tuple((name, Thresholds(threshold, max(threshold, band.bonafide))) for name, band in basis.bands)
    return replace(chosen, bands=bands, settings=(*basis.settings, ("threshold", f"{threshold:g}")))


def _unpromised(basis: Basis, thresholds: Thresholds) -> Basis:
    return replace(
        basis, thresholds=thresholds, false_alarm=None, miss=None, confidence=None, bonafide=None, spoof=None
    )

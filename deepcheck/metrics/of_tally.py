"""The metrics as functions of a tally, for all its resamples at once; `detection` and `tandem` define them."""

import math

import numpy as np

from deepcheck.metrics.arguments import Scores
from deepcheck.metrics.pav import pool
from deepcheck.metrics.tally import Counts, Tally, Values


def eer(trials: Tally) -> tuple[Values, Scores]:
    """(equal error rates, their thresholds)."""
    frr, far = trials.frr, trials.fars[0]
    nearest = np.argmin(np.abs(frr - far), axis=-1)[..., None]
    rates = np.take_along_axis(frr, nearest, axis=-1) + np.take_along_axis(far, nearest, axis=-1)
    return rates[..., 0] / 2, trials.thresholds[nearest[..., 0]]


def auc(trials: Tally) -> Values:
    """Areas under the ROC curve."""
    bonafide, spoof = trials.counts
    ordered = (bonafide * (2 * np.cumsum(spoof, axis=-1) - spoof)).sum(axis=-1)
    return np.asarray(ordered / (2 * bonafide.sum(axis=-1) * spoof.sum(axis=-1)))


def cost_curve(trials: Tally, miss: float, *false_acceptances: float) -> Values:
    """miss * frr + the sum of weight * far over the classes to be rejected, at each threshold."""
    cost = miss * trials.frr
    for weight, far in zip(false_acceptances, trials.fars, strict=True):
        cost += weight * far
    return cost


def min_dcf(trials: Tally, beta: float) -> Values:
    """Least detection costs; `beta` is what false rejections weigh against false acceptances."""
    return np.asarray(cost_curve(trials, beta, 1.0).min(axis=-1) / min(beta, 1.0))


def act_dcf(trials: Tally, beta: float) -> Values:
    """Detection costs at the threshold -ln beta."""
    frr, far = rates(trials, -math.log(beta))
    return (beta * frr + far) / min(beta, 1.0)


def min_t_dcf(trials: Tally, c0: float, c1: float, c2: float) -> Values:
    """Least tandem costs, with the weights of `tandem.t_dcf_weights`."""
    return np.asarray((c0 + cost_curve(trials, c1, c2).min(axis=-1)) / (c0 + min(c1, c2)))


def min_a_dcf(trials: Tally, target: float, nontarget: float, spoof: float) -> tuple[Values, Scores]:
    """(least architecture-agnostic costs, their thresholds), with the weights of `tandem.TandemCosts`."""
    cost = cost_curve(trials, target, nontarget, spoof) / min(target, nontarget + spoof)
    return np.asarray(cost.min(axis=-1)), trials.thresholds[cost.argmin(axis=-1)]


def a_dcf(trials: Tally, threshold: float, target: float, nontarget: float, spoof: float) -> Values:
    """Architecture-agnostic costs at one threshold."""
    miss, false_alarm, spoof_false_alarm = rates(trials, threshold)
    cost = target * miss + nontarget * false_alarm + spoof * spoof_false_alarm
    return cost / min(target, nontarget + spoof)


def hter(trials: Tally, threshold: float) -> Values:
    """Half total error rates at one threshold."""
    frr, far = rates(trials, threshold)
    return (frr + far) / 2


def rates(trials: Tally, threshold: float) -> tuple[Values, ...]:
    """(frr, far of each further class) at one threshold; the places of a thinned tally must end at it."""
    point = int(np.searchsorted(trials.edges, threshold, side="right"))
    return tuple(np.asarray(curve[..., point]) for curve in (trials.frr, *trials.fars))


def cllr(trials: Tally) -> Values:
    """Costs of the log-likelihood ratios, in bits."""
    (bonafide, spoof), (genuine, false) = trials.counts, trials.means
    nats = _mean(bonafide, np.logaddexp(0, -genuine)) + _mean(spoof, np.logaddexp(0, false))
    return np.asarray(nats / (2 * math.log(2)))


def _mean(counts: Counts, losses: Scores) -> Values:
    return np.asarray(counts @ losses / counts.sum(axis=-1))


def min_cllr(trials: Tally) -> Values:
    """The least costs in bits that a monotone map of the scores can reach."""
    bonafide, spoof = (counts.reshape(-1, trials.edges.size) for counts in trials.counts)
    costs = [_bits(*pool(*resample)) for resample in zip(bonafide, spoof, strict=True)]
    return np.reshape(costs, trials.counts[0].shape[:-1])


def _bits(bonafide: Counts, spoof: Counts) -> float:
    """What remains unknown of the class, were both as likely, of a trial of which the block is known."""
    genuine, false = bonafide / bonafide.sum(), spoof / spoof.sum()
    return float(_x_log_x(genuine + false) - _x_log_x(genuine) - _x_log_x(false)) / 2


def _x_log_x(shares: Values) -> float:
    shares = shares[shares > 0]
    return float(shares @ np.log2(shares))

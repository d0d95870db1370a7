"""Regressions with a ridge: a weighted sum of features that says the odds of a label, or a number."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def logistic(rows: Numbers, importance: Numbers, ridge: float | Numbers) -> Numbers:
    """The w of least sum(importance * log(1 + exp(-rows @ w))) + sum(ridge * w²) / 2, by Newton's method.

    `rows` (trials, features) hold each trial's features times +1 or -1 after its class, so that a row times w
    is the trial's evidence for its own class; `importance` (trials,) is what each trial weighs; `ridge` is one
    number or one for each feature, positive at least where the classes do not overlap.
    """

    def loss(weights: Numbers) -> float:
        return float(importance @ np.logaddexp(0, -rows @ weights) + (ridge * weights) @ weights / 2)

    weights = np.zeros(rows.shape[1])
    for _ in range(100):
        wrong = np.exp(-np.logaddexp(0, rows @ weights))
        gradient = ridge * weights - (importance * wrong) @ rows
        curvature = (rows.T * (importance * wrong * (1 - wrong))) @ rows + ridge * np.eye(weights.size)
        step = np.linalg.solve(curvature, gradient)
        promise = float(gradient @ step)
        if promise < 1e-12:
            return weights - step
        # Far from the minimum a full step may overshoot, most of all where the classes hardly overlap.
        while loss(weights - step) > loss(weights) - 1e-4 * promise:
            step, promise = step / 2, promise / 2
        weights = weights - step
    return weights


def linear(rows: Numbers, targets: Numbers, ridge: float | Numbers) -> Numbers:
    """The w of least mean((targets - rows @ w)²) + sum(ridge * w²), `rows` (trials, features), `targets` (trials,)."""
    covariance = rows.T @ rows / len(rows) + ridge * np.eye(rows.shape[1])
    return np.linalg.solve(covariance, rows.T @ targets / len(rows)).astype(np.float64)

"""The scores of the development set, kept beside the weights: what a fusion of several models is calibrated on."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepcheck.data.utterance import Label
from deepcheck.errors import ModelError

_NAMES = ("dev.ids", "dev.labels", "dev.logits")
_TYPES = (torch.int64, torch.int64, torch.float64)


def id_of(utterance_id: str) -> int:
    """A whole number that stands for a recording on every machine: 8 bytes of the SHA-256 of its id, signed.

    The id is that of the protocol's reader (the name of the file without its ending, or its path below the
    corpus), so two models that were developed on one corpus know their common recordings by it.
    """
    return int.from_bytes(hashlib.sha256(utterance_id.encode()).digest()[:8], "big", signed=True)


@dataclass(frozen=True)
class DevScores:
    """One row a recording: `ids` (int64, `id_of`), `labels` (int64, of `Label`), `logits` (float64, the mean over
    its windows, before calibration). All are (recordings,)."""

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    logits: NDArray[np.float64]

    @classmethod
    def of(cls, utterance_ids: Iterable[str], labels: Iterable[Label], logits: NDArray[np.float64]) -> "DevScores":
        """Those of recordings with these ids."""
        ids = np.array([id_of(one) for one in utterance_ids], np.int64)
        return cls(ids, np.array([int(label) for label in labels], np.int64), np.asarray(logits, np.float64))

    def by_label(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(bona fide, spoof) logits, in the order of the rows."""
        return self.logits[self.labels == Label.BONAFIDE], self.logits[self.labels == Label.SPOOF]

    def as_evidence(self) -> dict[str, Tensor]:
        """For `Checkpoint.evidence`."""
        columns = (self.ids, self.labels, self.logits)
        return {name: torch.from_numpy(column.copy()) for name, column in zip(_NAMES, columns, strict=True)}


def dev_scores_of(evidence: Mapping[str, Tensor]) -> DevScores | None:
    """The development scores in the evidence of a model; None if there are none, `ModelError` if they make no sense."""
    if not any(name in evidence for name in _NAMES):
        return None
    columns = [evidence.get(name) for name in _NAMES]
    if not all(
        column is not None and column.ndim == 1 and column.dtype == kind
        for column, kind in zip(columns, _TYPES, strict=True)
    ):
        raise ModelError("The development scores of the model make no sense: a column is missing or of another type.")
    ids, labels, logits = (column.numpy() for column in columns if column is not None)
    if not len(ids) == len(labels) == len(logits):
        raise ModelError("The development scores of the model make no sense: the columns differ in length.")
    if not (np.isin(labels, list(Label)).all() and np.isfinite(logits).all()):
        raise ModelError("The development scores of the model make no sense: a label or a score is out of range.")
    return DevScores(ids, labels, logits)

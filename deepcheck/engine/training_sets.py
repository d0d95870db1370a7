"""The recordings that a recipe names: what to learn from, and what to be developed on."""

from deepcheck.config import SourceConfig, TrainConfig
from deepcheck.data.protocols import read_data
from deepcheck.data.split import hold_out, without_copies
from deepcheck.data.utterance import Label, Protocol
from deepcheck.engine.leaks import leaks
from deepcheck.errors import ConfigError

FEW = 50
"""Development recordings of a label, below which an EER, and all that is fitted on them, says little."""


def read_sets(config: TrainConfig) -> tuple[Protocol, Protocol]:
    """(training set, development set) as `config.data` describes them, both labels in both.

    `DataError` if a recording is in both, or bears both labels, whatever its copies are called: `leaks`.
    """
    sets = split_sets(config)
    leaks(*sets).refuse()
    return sets


def split_sets(config: TrainConfig) -> tuple[Protocol, Protocol]:
    """As `read_sets`, without a look at the files."""
    train_set = read_all(config)
    if config.data.dev is not None:
        dev_set = _read(config.data.dev, "data.dev")
    else:
        train_set, dev_set = hold_out(train_set, config.data.holdout, config.data.holdout_by, config.seed)
    return train_set, dev_set


def read_all(config: TrainConfig) -> Protocol:
    """All labelled recordings of `config.data.train`, both labels among them; copies only if `config.data.copies`."""
    everything = _read(config.data.train, "data.train")
    if config.data.copies:
        return everything
    originals = without_copies(everything)
    originals.require_both_labels()
    return originals


def _read(source: SourceConfig, setting: str) -> Protocol:
    if not source.path:
        raise ConfigError(f"{setting} names no recordings.", "Give --data PATH, or data.train.path in the YAML.")
    protocol = read_data(source.path, source.protocol, source.subset)
    protocol.require_both_labels()
    return protocol.where(lambda utterance: utterance.label is not None)


def few(dev_set: Protocol) -> str:
    """A warning for a development set that is too small to say much, else nothing."""
    counts = dev_set.counts()
    if min(counts[label] for label in Label) >= FEW:
        return ""
    return (
        f"The development set has {counts[Label.BONAFIDE]} bona fide and {counts[Label.SPOOF]} spoof recordings: fewer "
        f"than {FEW} of a label say little, so which epoch is best, and the thresholds, are partly chance. "
        "Keep more aside (data.holdout), or train over folds (--folds 4)."
    )

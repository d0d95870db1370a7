"""Which recordings make up a batch: half of each label, sources balanced, couples of one source."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from deepcheck.config import SamplingConfig
from deepcheck.data.utterance import Label, Utterance
from deepcheck.seeding import seed_of


class Draw(NamedTuple):
    """An utterance to load (its index, `item`), the seed of everything random that happens to it, and a length.

    `length` goes from 0, the shortest, to 1, the longest that there is in training; it is that of the whole batch.
    """

    item: int
    seed: int
    length: float = 1.0


class BatchSampler(Sampler[list[Draw]]):
    """Batches of an epoch; batch `n` of an epoch depends on (seed, epoch, n) alone, so a run can go on anywhere.

    Couples are drawn with replacement: `paired` of them from one source (a spoof with the genuine recording it
    was made from, or any genuine one of its source), the others independently of each other. Of several
    processes that share each batch, `part` (which, of how many) gives the couples of one.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        config: SamplingConfig,
        batch_size: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.seed = seed
        self.part = part
        self.couples = max(1, batch_size // 2)
        self.paired = config.paired
        total = config.samples_per_epoch or len(utterances)
        self.steps = max(1, -(-total // (2 * self.couples)))
        self.epoch = 0
        self.first_step = 0
        genuine: dict[str, list[int]] = defaultdict(list)
        spoof: dict[str, list[int]] = defaultdict(list)
        by_id: dict[str, int] = {}
        for index, utterance in enumerate(utterances):
            if utterance.label is Label.BONAFIDE:
                genuine[utterance.source or ""].append(index)
                by_id[utterance.id] = index
            else:
                spoof[utterance.source or ""].append(index)
        self._partners: dict[int, list[int]] = {}
        for source, members in spoof.items():
            for index in members:
                pair = by_id.get(utterances[index].pair or "")
                partners = [pair] if pair is not None else genuine.get(source, [])
                if partners:
                    self._partners[index] = partners
        matched = {source: [i for i in members if i in self._partners] for source, members in spoof.items()}
        self._genuine = _Pool(genuine, config.source_power)
        self._spoof = _Pool(spoof, config.source_power)
        self._matched = _Pool({source: m for source, m in matched.items() if m}, config.source_power)

    def start(self, epoch: int, first_step: int = 0) -> None:
        """Choose what the next iteration gives: the batches of `epoch` from `first_step` on."""
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        return self.steps - self.first_step

    def __iter__(self) -> Iterator[list[Draw]]:
        which, parts = self.part
        first, last = (2 * (number * self.couples // parts) for number in (which, which + 1))
        for step in range(self.first_step, self.steps):
            yield self.batch(self.epoch, step)[first:last]

    def batch(self, epoch: int, step: int) -> list[Draw]:
        """The draws of one batch, genuine and spoof in turn."""
        rng = np.random.default_rng(seed_of("batch", self.seed, epoch, step))
        indices: list[int] = []
        length = float(np.random.default_rng(seed_of("length", self.seed, epoch, step)).random())
        for _ in range(self.couples):
            if self._partners and rng.random() < self.paired:
                spoof = self._matched.draw(rng)
                partners = self._partners[spoof]
                indices += [partners[rng.integers(len(partners))], spoof]
            else:
                indices += [self._genuine.draw(rng), self._spoof.draw(rng)]
        seeds = (seed_of("sample", self.seed, epoch, step, i) for i in range(len(indices)))
        return [Draw(index, seed, length) for index, seed in zip(indices, seeds, strict=True)]


class _Pool:
    """Recordings by source; a draw picks a source in proportion to size ** power, then one of its recordings."""

    def __init__(self, by_source: dict[str, list[int]], power: float) -> None:
        self.members = list(by_source.values())
        weights = np.array([len(members) for members in self.members], float) ** power
        self.bounds = np.cumsum(weights)

    def draw(self, rng: np.random.Generator) -> int:
        where = rng.random() * self.bounds[-1]
        members = self.members[int(np.searchsorted(self.bounds, where, side="right"))]
        return members[int(rng.integers(len(members)))]

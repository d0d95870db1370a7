from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav

from deepcheck.audio.augment.chain import build_chain
from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.config import SamplingConfig
from deepcheck.data.loader import Loader, TrainingSet, source_numbers
from deepcheck.data.sampling import BatchSampler, Draw
from deepcheck.data.utterance import Label, Utterance

CHAIN = build_chain([{"name": "gain", "p": 0.5}, {"name": "noise", "p": 0.5}])


@pytest.fixture
def utterances(tmp_path):
    made = []
    for i in range(8):
        label = Label(i % 2)
        path = write_wav(tmp_path / f"{i}.wav", speechlike(1.2 + 0.2 * i, seed=i))
        made.append(Utterance(str(i), path, label, source="site"))
    return made


def training_set(utterances, chain=None, window_s=1.0, min_crop_s=1.0, cache_gb=1.0):
    return TrainingSet(utterances, window_s, min_crop_s, chain or build_chain([]), cache_gb)


def loader(utterances, workers=0, **settings):
    sampler = BatchSampler(utterances, SamplingConfig(samples_per_epoch=24), 4, seed=1)
    return Loader(training_set(utterances, CHAIN, min_crop_s=0.5, **settings), sampler, workers)


# Python 3.12 and later warn of forks beside the threads of PyTorch's own pool, which the workers do not touch.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_batches_do_not_depend_on_the_number_of_workers(utterances):
    here, beside = loader(utterances, 0), loader(utterances, 2)
    for epoch, first in ((0, 0), (1, 4)):  # the second time with workers that live on
        ours, theirs = list(here.epoch(epoch, first)), list(beside.epoch(epoch, first))
        assert len(ours) == len(theirs) == 6 - first
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a.waveforms, b.waveforms)
            assert torch.equal(a.labels, b.labels)
            assert torch.equal(a.sources, b.sources)


def test_batches_are_windows_and_labels(utterances):
    for batch in loader(utterances).epoch(0):
        assert len(batch.waveforms) == 4
        assert SAMPLE_RATE // 2 <= batch.waveforms.shape[1] <= SAMPLE_RATE
        assert (batch.waveforms.dtype, batch.labels.dtype) == (torch.float32, torch.float32)
        assert batch.labels.tolist() == [1.0, 0.0, 1.0, 0.0]
        assert batch.skipped == ()


class Listed(list):
    """A sampler that gives the batches that it holds."""

    def start(self, epoch, first_step):
        pass


def test_sources_are_numbers_and_what_has_none_is_alone(utterances):
    sources = ["b", "a", None, "b", "", None, "a", "b"]
    named = [replace(utterance, source=source) for utterance, source in zip(utterances, sources, strict=True)]
    assert source_numbers(named) == [0, 1, 2, 0, 3, 4, 1, 0]
    named[6].path.write_bytes(b"no sound at all")
    draws = Listed([Draw(index, 0) for index in order] for order in ([3, 2, 6], [6], [5, 0]))
    batches = [batch.sources for batch in Loader(training_set(named), draws, 0).epoch(0)]
    assert [batch.tolist() for batch in batches] == [[0, 2], [], [4, 0]]
    assert {batch.dtype for batch in batches} == {torch.int64}


def test_a_draw_depends_on_its_seed_alone(utterances):
    one, other = (training_set(utterances, CHAIN, min_crop_s=0.5) for _ in range(2))
    first = one[Draw(3, 11)].waveform
    for seed in (1, 2, 3):
        assert not np.array_equal(other[Draw(3, seed)].waveform, first)
    assert np.array_equal(other[Draw(3, 11)].waveform, first)
    assert np.array_equal(one[Draw(3, 11)].waveform, first)  # from the cache


def test_a_window_is_a_stretch_of_the_recording(utterances):
    whole = read(utterances[5].path)
    starts = set()
    for seed in range(20):
        window = training_set(utterances)[Draw(5, seed)].waveform
        [start] = [i for i in np.flatnonzero(whole == window[0]) if np.array_equal(whole[i : i + 16_000], window)]
        starts.add(int(start))
    assert len(starts) > 15
    assert min(starts) < (len(whole) - SAMPLE_RATE) / 4
    assert max(starts) > (len(whole) - SAMPLE_RATE) * 3 / 4


def test_a_short_recording_is_repeated_up_to_the_window(utterances):
    whole = read(utterances[0].path)  # 1.2 s
    window = training_set(utterances, window_s=3.0, min_crop_s=3.0)[Draw(0, 0)].waveform
    assert len(window) == 48_000
    assert np.array_equal(window, np.concatenate([whole, whole, whole])[:48_000])


def test_windows_have_every_length_between_the_shortest_and_the_longest(utterances):
    data = training_set(utterances, window_s=1.0, min_crop_s=0.5)
    lengths = [len(data[Draw(7, 0, share)].waveform) for share in (0.0, 0.25, 1.0)]
    assert lengths == [8000, 10_000, SAMPLE_RATE]


def test_a_batch_has_one_length_and_batches_have_many(utterances):
    sampler = BatchSampler(utterances, SamplingConfig(samples_per_epoch=800), 4, seed=0)
    shares = [{draw.length for draw in sampler.batch(0, step)} for step in range(sampler.steps)]
    assert all(len(share) == 1 for share in shares)
    drawn = sorted(share.pop() for share in shares)
    assert drawn[0] < 0.05
    assert drawn[-1] > 0.95
    assert 0.4 < sum(drawn) / len(drawn) < 0.6
    lengths = {batch.waveforms.shape[1] for batch in loader(utterances).epoch(0)}
    assert len(lengths) == 6


def test_a_crop_is_never_longer_than_the_window(utterances):
    assert training_set(utterances, window_s=1.0, min_crop_s=9.0).min_crop == SAMPLE_RATE


def test_a_broken_file_is_left_out_with_its_reason(utterances):
    utterances[2].path.write_bytes(b"no sound at all")
    utterances[4].path.unlink()
    data = training_set(utterances)
    sample = data[Draw(2, 0)]
    assert sample.waveform is None
    sampler = BatchSampler(utterances, SamplingConfig(samples_per_epoch=64), 8, seed=0)
    reasons, kept = {}, 0
    for batch in Loader(data, sampler, 0).epoch(0):
        reasons |= dict(batch.skipped)
        assert len(batch.waveforms) == len(batch.labels) == 8 - len(batch.skipped)
        kept += len(batch.labels)
    assert set(reasons) == {str(utterances[2].path), str(utterances[4].path)}
    assert "known format" in reasons[str(utterances[2].path)]
    assert reasons[str(utterances[4].path)] == "the file does not exist"
    assert 0 < kept < 64


def test_a_batch_of_broken_files_is_empty(utterances):
    for utterance in utterances:
        utterance.path.unlink()
    batch = next(iter(loader(utterances).epoch(0)))
    assert len(batch.labels) == len(batch.waveforms) == 0
    assert len(batch.skipped) == 4


def test_the_cache_is_bounded(utterances):
    sizes = [read(u.path).nbytes for u in utterances]
    data = training_set(utterances, cache_gb=(sizes[0] + sizes[1]) / 1e9)
    for i in range(len(utterances)):
        data[Draw(i, 0)]
    assert sorted(data.cache) == [0, 1]
    assert data.cache_left == 0
    # What is cached is not read again, what is not is.
    for utterance in utterances:
        utterance.path.unlink()
    assert data[Draw(0, 0)].waveform is not None
    assert data[Draw(2, 0)].reason == "the file does not exist"


def test_no_cache(utterances):
    data = training_set(utterances, cache_gb=0)
    assert data[Draw(0, 0)].waveform is not None
    assert data.cache == {}

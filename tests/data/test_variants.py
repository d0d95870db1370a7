import numpy as np
import pytest
import torch
from conftest import speechlike, write_wav
from safetensors.torch import load_file

from deepcheck.audio.augment.chain import build_chain
from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.config import SamplingConfig
from deepcheck.data.loader import Loader, TrainingSet
from deepcheck.data.sampling import BatchSampler, Draw
from deepcheck.data.utterance import Label, Utterance
from deepcheck.data.variants import Carrier, Variants
from deepcheck.errors import AudioError

WINDOW = SAMPLE_RATE
NOISE = build_chain([{"name": "noise", "p": 1.0}])
PLAIN = build_chain([])


@pytest.fixture
def utterances(tmp_path):
    places = [write_wav(tmp_path / f"{i}.wav", speechlike(0.7 + 0.4 * i, seed=i)) for i in range(4)]
    return [Utterance(str(i), place, Label(i % 2), source="site") for i, place in enumerate(places)]


def thirds(waveforms):
    """(batch, samples) -> (batch, 1, frames) of 160 samples: their means."""
    whole = waveforms[:, : waveforms.shape[1] // 160 * 160]
    return whole.unflatten(1, (-1, 160)).mean(2)[:, None]


FRAMES = Carrier(thirds, 1, 160, "thirds")
WHOLE = Carrier(lambda w: thirds(w).mean(2), 2, 0, "mean", FRAMES, lambda frames: frames.mean(2))


def variants(tmp_path, chain=NOISE, carrier=None, **settings):
    return Variants(tmp_path / "kept", 2, chain, WINDOW, carrier or Carrier(), **settings)


def files(tmp_path):
    return sorted(path for path in (tmp_path / "kept").rglob("*") if path.is_file())


def test_version_0_is_the_first_window_as_a_scan_hears_it(tmp_path, utterances):
    short, long = (variants(tmp_path).get(utterances[i], 0).numpy() for i in (0, 2))
    assert np.array_equal(long, read(utterances[2].path)[:WINDOW])
    heard = read(utterances[0].path)
    assert np.array_equal(short, np.concatenate([heard, heard])[:WINDOW])


def test_versions_differ_are_shaken_and_the_same_each_time(tmp_path, utterances):
    one, two = (variants(tmp_path).get(utterances[3], version) for version in (1, 2))
    assert len(one) == len(two) == WINDOW
    assert not torch.equal(one, two)
    sound = read(utterances[3].path)
    assert not any(np.array_equal(sound[i : i + 1], one[:1].numpy()) for i in range(len(sound)))  # noise all over
    again = Variants(tmp_path / "elsewhere", 2, NOISE, WINDOW, Carrier())
    assert torch.equal(again.get(utterances[3], 1), one)


def test_what_is_kept_is_not_made_again(tmp_path, utterances):
    made = []

    def carry(waveforms):
        made.append(len(waveforms))
        return waveforms[:, None].to(torch.bfloat16)

    kept = variants(tmp_path, carrier=Carrier(carry, 1, 1, "count"))
    first = kept.get(utterances[0], 1)
    assert kept.has(utterances[0], 1)
    assert not kept.has(utterances[0], 2)
    later = variants(tmp_path, carrier=Carrier(carry, 1, 1, "count")).get(utterances[0], 1)
    assert made == [1]
    assert later.dtype == torch.bfloat16
    assert torch.equal(first, later)


@pytest.mark.parametrize(
    "other",
    [
        {"chain": PLAIN},
        {"chain": build_chain([{"name": "noise", "p": 0.5}])},
        {"carrier": FRAMES},
        {"carrier": Carrier(WHOLE.carry, 2, 0, "other")},
    ],
)
def test_other_settings_have_other_files(tmp_path, utterances, other):
    variants(tmp_path).get(utterances[0], 1)
    assert not variants(tmp_path, **other).has(utterances[0], 1)


def test_a_step_of_features_changes_no_file(tmp_path, utterances):
    variants(tmp_path).get(utterances[0], 1)
    masked = build_chain([{"name": "noise", "p": 1.0}, {"name": "spec-augment", "p": 0.3}])
    assert variants(tmp_path, chain=masked).has(utterances[0], 1)


def test_a_recording_that_has_changed_is_made_anew(tmp_path, utterances):
    before = variants(tmp_path, PLAIN).get(utterances[0], 1)
    write_wav(utterances[0].path, speechlike(0.9, seed=77))
    assert not variants(tmp_path, PLAIN).has(utterances[0], 1)
    assert not torch.equal(variants(tmp_path, PLAIN).get(utterances[0], 1)[:1000], before[:1000])


@pytest.mark.parametrize("rest", [0, 60, 200])
def test_a_file_cut_short_is_made_anew(tmp_path, utterances, rest):
    whole = variants(tmp_path).get(utterances[0], 1)
    [place] = files(tmp_path)
    place.write_bytes(place.read_bytes()[:rest])
    assert torch.equal(variants(tmp_path).get(utterances[0], 1), whole)
    assert torch.equal(load_file(place)["kept"], whole)


def test_a_recording_that_is_not_there_is_an_audio_error_and_leaves_nothing(tmp_path):
    with pytest.raises(AudioError):
        variants(tmp_path).get(Utterance("x", tmp_path / "gone.wav", Label.SPOOF), 1)
    assert not (tmp_path / "kept").exists()


def test_without_frames_the_stretch_is_of_a_random_length(tmp_path, utterances):
    lengths = []

    def carry(waveforms):
        lengths.append(waveforms.shape[1])
        return waveforms.mean(1, keepdim=True)

    kept = Variants(tmp_path / "kept", 30, PLAIN, WINDOW, Carrier(carry, 2, 0, "m"), shortest=WINDOW // 2)
    for version in range(31):
        kept.get(utterances[3], version)
    assert lengths[0] == WINDOW
    assert min(lengths) >= WINDOW // 2
    assert len(set(lengths)) > 20


def test_it_begins_where_another_training_has_left_off(tmp_path, utterances):
    straight = variants(tmp_path / "straight", PLAIN, WHOLE, shortest=WINDOW // 2)
    halfway = variants(tmp_path, PLAIN, FRAMES)
    frames = {version: halfway.get(utterances[3], version) for version in (0, 1)}
    utterances[3].path.rename(tmp_path / "away.wav")  # what is halfway is enough: but for the name it is given
    write_wav(utterances[3].path, speechlike(1.9, seed=5))
    assert not halfway.has(utterances[3], 1)
    (tmp_path / "away.wav").replace(utterances[3].path)
    assert halfway.has(utterances[3], 1)
    whole = variants(tmp_path, PLAIN, WHOLE, shortest=WINDOW // 2)
    assert torch.allclose(whole.get(utterances[3], 0), straight.get(utterances[3], 0), atol=1e-6)
    assert torch.equal(whole.get(utterances[3], 0), frames[0].mean(1))
    means = [frames[1][:, i : i + n].mean(1) for n in range(50, 101) for i in range(101 - n)]
    assert any(torch.equal(whole.get(utterances[3], 1), mean) for mean in means)


@pytest.mark.parametrize(("carrier", "shape"), [(Carrier(), (8000,)), (FRAMES, (1, 50)), (WHOLE, (1,))])
def test_batches_are_stretches_of_versions(tmp_path, utterances, carrier, shape):
    kept = Variants(tmp_path / "kept", 2, NOISE, WINDOW, carrier, WINDOW // 2)
    dataset = TrainingSet(utterances, 0.5, 0.5, NOISE, 0.0, kept)
    sampler = BatchSampler(utterances, SamplingConfig(samples_per_epoch=12), 4, seed=1)
    first, again = (list(Loader(dataset, sampler, 0).epoch(0)) for _ in range(2))
    assert len(first) == 3
    for a, b in zip(first, again, strict=True):
        assert a.waveforms.shape == (4, *shape)
        assert a.labels.tolist() == [1.0, 0.0, 1.0, 0.0]
        assert torch.equal(a.waveforms, b.waveforms)
    whole = {version: kept.get(utterances[3], version) for version in (1, 2)}
    drawn = [dataset[Draw(3, seed)].waveform for seed in range(12)]
    for stretch in drawn:
        pieces = [w[..., i : i + shape[-1]] for w in whole.values() for i in range(w.shape[-1] - shape[-1] + 1)]
        assert any(torch.equal(stretch, piece) for piece in pieces)
    assert len({stretch.numpy().tobytes() for stretch in drawn}) > 1

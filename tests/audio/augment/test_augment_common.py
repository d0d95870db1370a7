"""What every waveform augmentation promises, over the table of them."""

import numpy as np
import pytest

from deepcheck.audio import decode
from deepcheck.audio.augment import AUGMENTATIONS, SAMPLE_RATE
from deepcheck.audio.augment.codec import Codec
from deepcheck.audio.augment.codec_formats import available
from deepcheck.audio.augment.noise import Noise
from deepcheck.audio.augment.noise_kinds import KINDS
from deepcheck.audio.augment.rawboost import RawBoost
from deepcheck.audio.augment.silence import Silence

WAVEFORM = [name for name in AUGMENTATIONS if AUGMENTATIONS.resolve(name).stage == "waveform"]
EVERY = {name: AUGMENTATIONS.resolve(name)() for name in WAVEFORM}
EVERY |= {f"noise {kind}": Noise(kinds=(kind,)) for kind in KINDS}
EVERY |= {f"rawboost {parts}": RawBoost(parts=parts) for parts in ("1", "2", "3", "3+2+1")}
EVERY |= {f"codec {codec}": Codec(codecs=(codec,)) for codec in available()}
EVERY |= {f"silence {action}": Silence(actions=(action,)) for action in ("trim", "insert")}


@pytest.fixture(params=EVERY)
def augmentation(request):
    return EVERY[request.param]


def test_every_row_of_the_table_resolves_and_says_its_stage():
    for name in AUGMENTATIONS:
        assert AUGMENTATIONS.resolve(name)().stage in ("waveform", "features")
    assert SAMPLE_RATE == decode.SAMPLE_RATE


def test_result_is_finite_mono_float32_and_the_input_is_untouched(augmentation, speech):
    before = speech.copy()
    result = augmentation(speech, np.random.default_rng(3))
    assert result.dtype == np.float32
    assert result.ndim == 1
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(speech, before)
    assert result is not speech
    assert not np.array_equal(result, speech)


def test_same_seed_same_bits_and_another_seed_another_result(augmentation, speech):
    first, again = (augmentation(speech, np.random.default_rng(11)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    others = [augmentation(speech, np.random.default_rng(seed)) for seed in range(12, 15)]
    # A codec with a single mode has nothing to draw.
    single = isinstance(augmentation, Codec) and len(augmentation._modes) == len(augmentation._modes[0][1]) == 1
    assert single or any(not np.array_equal(first, other) for other in others)


def test_only_silence_changes_the_length(augmentation, speech):
    result = augmentation(speech, np.random.default_rng(5))
    if isinstance(augmentation, Silence):
        assert 0 < result.size <= speech.size + 2 * int(0.7 * SAMPLE_RATE)
    else:
        assert result.size == speech.size


@pytest.mark.parametrize("samples", [0, 1, 2, 159, 1000])
def test_clips_of_hardly_any_samples_are_no_error(augmentation, speech, samples):
    result = augmentation(speech[:samples], np.random.default_rng(1))
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


def test_digital_silence_stays_finite_and_quiet(augmentation):
    result = augmentation(np.zeros(16_000, np.float32), np.random.default_rng(2))
    assert np.isfinite(result).all()
    assert np.abs(result).max() < 0.02

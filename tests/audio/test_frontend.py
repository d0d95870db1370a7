import numpy as np
import pytest
import torch
from conftest import speechlike

from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.frontend import FRONTENDS, build_frontend
from deepcheck.errors import ConfigError

NAMES = ["mel", "log-linear", "lfcc", "cqt"]


def voices(count: int = 2, duration_s: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.stack([speechlike(duration_s, seed=i) for i in range(count)]))


def test_every_front_end_is_tested():
    assert sorted(FRONTENDS) == sorted(NAMES)


@pytest.mark.parametrize(
    ("settings", "bins", "frames"),
    [
        ({"name": "mel"}, 80, 101),
        ({"name": "mel", "bins": 20, "hop_ms": 20.0}, 20, 51),
        ({"name": "log-linear"}, 256, 101),
        ({"name": "log-linear", "window_ms": 50.0}, 512, 101),
        ({"name": "lfcc"}, 60, 101),
        ({"name": "lfcc", "bins": 30, "filters": 40, "hop_ms": 5.0}, 30, 201),
        ({"name": "cqt"}, 96, 101),
        ({"name": "cqt", "bins": 120, "bins_per_octave": 24, "lowest_hz": 220.0, "hop_ms": 20.0}, 120, 51),
    ],
)
def test_shape(settings, bins, frames):
    frontend = build_frontend(settings)
    features = frontend(voices(3))
    assert features.shape == (3, 1, bins, frames)
    assert features.dtype == torch.float32
    assert frontend.bins == bins


@pytest.mark.parametrize("normalise", ["window", "bin", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_level_makes_no_difference(name, normalise):
    frontend = build_frontend({"name": name, "normalise": normalise})
    reference = frontend(voices())
    for gain in (0.01, 0.5, 10.0, 1000.0):
        torch.testing.assert_close(frontend(gain * voices()), reference, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_windows_of_a_batch_do_not_see_each_other(name):
    frontend = build_frontend({"name": name})
    batch = torch.cat([voices(2), 100 * torch.randn(2, SAMPLE_RATE, generator=torch.Generator().manual_seed(0))])
    alone = torch.cat([frontend(window[None]) for window in batch])
    torch.testing.assert_close(frontend(batch), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_normalisation_over_the_window(name):
    features = build_frontend({"name": name, "normalise": "window"})(voices())
    torch.testing.assert_close(features.mean((-2, -1)), torch.zeros(2, 1), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std((-2, -1)), torch.ones(2, 1), atol=1e-4, rtol=0)
    assert features.mean(-1).std() > 0.1  # the colour of the sound is still in it


@pytest.mark.parametrize("name", NAMES)
def test_normalisation_of_each_bin(name):
    features = build_frontend({"name": name, "normalise": "bin"})(voices())
    torch.testing.assert_close(features.mean(-1), torch.zeros(features.shape[:3]), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(-1), torch.ones(features.shape[:3]), atol=1e-3, rtol=0)


def test_normalisation_of_each_bin_takes_away_the_colour_of_the_channel():
    """A filter of two taps is a gain per frequency, which is an offset per bin of the log spectrogram."""
    waveform = torch.randn(1, SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    filtered = waveform + 0.5 * waveform.roll(1)

    def change(normalise: str) -> float:
        frontend = build_frontend({"name": "log-linear", "normalise": normalise})
        return float((frontend(waveform) - frontend(filtered)).abs().mean())

    assert change("bin") < 0.05
    assert change("window") > 5 * change("bin")


def test_without_normalisation_the_log_power_comes_through():
    features = build_frontend({"name": "mel", "normalise": "none"})(voices())
    assert features.mean().abs() > 0.5
    assert float(features.min()) >= np.log(1e-6) - 1e-4  # the floor


@pytest.mark.parametrize(
    ("name", "low_hz", "high_hz"), [("mel", 300, 3000), ("log-linear", 500, 4000), ("cqt", 300, 3000)]
)
def test_a_higher_tone_lies_in_a_higher_bin(name, low_hz, high_hz):
    frontend = build_frontend({"name": name})
    t = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    low, high = (frontend(torch.sin(2 * torch.pi * f * t)[None]).mean(-1).argmax() for f in (low_hz, high_hz))
    assert low < high
    if name == "log-linear":  # 31.25 Hz apart, without the mean
        assert (int(low), int(high)) == (round(low_hz / 31.25) - 1, round(high_hz / 31.25) - 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.0, 1e-12])
def test_silence_gives_numbers(name, level):
    features = build_frontend({"name": name})(torch.full((1, SAMPLE_RATE), level))
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_around_it_changes_nothing(name):
    frontend = build_frontend({"name": name})
    reference = frontend(voices())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = frontend(voices())
        halved = frontend(voices().bfloat16())
    assert features.dtype == halved.dtype == torch.float32
    torch.testing.assert_close(features, reference, atol=0, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_it_is_learnt(name):
    assert list(build_frontend({"name": name}).parameters()) == []


def test_unknown_front_end_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        build_frontend({"name": "lfc"})
    assert caught.value.message == 'There is no front end "lfc".'
    assert caught.value.hint == 'Did you mean "lfcc"? There are: mel, log-linear, lfcc, cqt.'


def test_unknown_setting_is_named():
    with pytest.raises(ConfigError, match=r'The front end "mel" cannot be built: .*"?bin\b'):
        build_frontend({"name": "mel", "bin": 80})


def test_unknown_normalisation_lists_those_there_are():
    with pytest.raises(ConfigError) as caught:
        build_frontend({"name": "mel", "normalise": "batch"})
    assert caught.value.message == 'There is no normalisation "batch".'
    assert caught.value.hint == "Choose one of: window, bin, none."


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "lfcc", "bins": 200},
        {"name": "mel", "bins": "many"},
        {"name": "mel", "window_ms": "long"},
        {"name": "cqt", "bins": 120},  # from 8 Hz
        {"name": "cqt", "bins": 97, "lowest_hz": 31.25},  # to 8 kHz
        {"name": "cqt", "bins": "many"},
        {"name": "cqt", "lowest_hz": 10.0},
        {"name": "cqt", "bins_per_octave": 1},
        {"name": "cqt", "bins_per_octave": 0},
        {"name": "cqt", "hop_ms": 0.0},
    ],
)
def test_impossible_value_is_an_error_for_the_user(settings):
    with pytest.raises(ConfigError, match=f'front end "{settings["name"]}"'):
        build_frontend(settings)


def test_settings_are_not_touched():
    settings = {"name": "mel", "bins": 20}
    build_frontend(settings)
    assert settings == {"name": "mel", "bins": 20}

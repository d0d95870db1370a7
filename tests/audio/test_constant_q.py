import math

import numpy as np
import pytest
import torch
from conftest import speechlike

from deepcheck.audio.constant_q import ConstantQ
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.audio.frontend import build_frontend
from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import build

SEMITONES = {"bins": 96, "bins_per_octave": 12, "lowest_hz": 31.25, "hop": 160}
Q = 1 / (2 ** (1 / 12) - 1)


def constant_q(**settings) -> ConstantQ:
    return ConstantQ(**{**SEMITONES, **settings})


def tone(hz: float, seconds: float = 1.0) -> torch.Tensor:
    """Of unit RMS, (1, samples)."""
    t = torch.arange(round(SAMPLE_RATE * seconds), dtype=torch.float64) / SAMPLE_RATE
    return (math.sqrt(2) * torch.sin(2 * torch.pi * hz * t))[None].float()


def steady(power: torch.Tensor) -> torch.Tensor:
    """The mean over the frames that do not hear the ends, (bins,)."""
    return power[0, :, 10:-10].mean(-1)


def noise(seconds: float) -> torch.Tensor:
    return torch.randn(1, round(SAMPLE_RATE * seconds), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("hop", [160, 80, 256, 155])  # 155 cannot be halved
@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.4])  # in bins
def test_a_tone_is_loudest_in_the_nearest_bin(hop, offset):
    transform = constant_q(hop=hop)
    places = range(1, 96, 7)
    found = [int(steady(transform(tone(31.25 * 2 ** ((k + offset) / 12)))).argmax()) for k in places]
    assert found == list(places)


def test_centres_of_the_bins():
    centres = constant_q().frequencies_hz
    assert centres.shape == (96,)
    assert centres.dtype == np.float32
    np.testing.assert_allclose(centres[::12], 31.25 * 2.0 ** np.arange(8), rtol=1e-6)
    np.testing.assert_allclose(centres[1:] / centres[:-1], 2 ** (1 / 12), rtol=1e-5)


@pytest.mark.parametrize(("bins", "lowest_hz"), [(96, 31.25), (80, 78.745), (84, 62.5)])
def test_without_a_lowest_frequency_the_bins_end_below_8_khz(bins, lowest_hz):
    centres = ConstantQ(bins=bins, bins_per_octave=12, hop=160).frequencies_hz
    assert centres[0] == pytest.approx(lowest_hz, rel=1e-4)
    assert centres[-1] == pytest.approx(8000 / 2 ** (1 / 12), rel=1e-4)


@pytest.mark.parametrize("hop", [160, 155])
def test_power_is_that_of_the_definition(hop):
    """Below 485 Hz a frame is one window: the sum over the waveform as it came, at no lower sample rate."""
    waveform = torch.from_numpy(speechlike(1.0, seed=0))[None] + 0.1 * noise(1.0)
    transform = constant_q(hop=hop)
    power = transform(waveform)[0].double().numpy()
    for k in range(0, 48, 5):
        hz = 31.25 * 2 ** (k / 12)
        length = min(Q / hz, 0.128) * SAMPLE_RATE
        n = np.arange(-math.floor(length / 2), math.floor(length / 2) + 1)
        window = np.cos(np.pi * n / length) ** 2
        kernel = window / window.sum() * np.exp(-2j * np.pi * hz * n / SAMPLE_RATE)
        frames = range(10, SAMPLE_RATE // hop - 10)
        expected = [512 * abs(waveform[0].numpy()[t * hop + n] @ kernel) ** 2 for t in frames]
        np.testing.assert_allclose(power[k, frames], expected, rtol=0.01, atol=1e-5 * max(expected))


def test_a_tone_has_the_same_power_in_every_octave():
    transform = constant_q()
    levels = [float(steady(transform(tone(float(hz))))[k]) for k, hz in enumerate(transform.frequencies_hz)]
    assert levels == pytest.approx([256] * 96, rel=2e-3)


def test_a_tone_is_heard_nowhere_but_around_it():
    """What lower sample rates fold must stay below the skirts of the windows."""
    transform = constant_q()
    for hz in (300.0, 900.0, 1700.0, 3300.0, 6500.0, 7500.0):
        elsewhere = np.abs(np.log2(transform.frequencies_hz / hz)) > 1
        assert float(steady(transform(tone(hz)))[elsewhere].max()) < 256 * 1e-6


def test_bandwidth_grows_with_frequency_where_windows_hold_q_periods():
    """1.44 / Q of the frequency at half power; below 131 Hz the windows are cut, and it is 1.44 / 128 ms."""
    transform = constant_q()

    def bandwidth(k: int) -> float:
        """In Hz, over steps of a hundredth of a bin."""
        hz = 31.25 * 2 ** (k / 12)
        steps = np.arange(-150, 151) / 100 * max(1.0, Q / (hz * 0.128))
        tones = torch.cat([tone(hz * 2 ** (step / 12), 0.5) for step in steps])
        heard = transform(tones)[:, k, 15:-15].mean(-1).numpy() > 128
        return float(hz * (2 ** (steps[heard].max() / 12) - 2 ** (steps[heard].min() / 12)))

    for k in (30, 49, 66, 83, 94):
        assert bandwidth(k) == pytest.approx(1.44 / Q * 31.25 * 2 ** (k / 12), rel=0.03)
    for k in (12, 20):
        assert bandwidth(k) == pytest.approx(1.44 / 0.128, rel=0.03)


def test_white_noise_has_the_power_of_the_width_of_its_bin():
    transform = constant_q()
    power = steady(transform(noise(40.0))).numpy()
    lengths_s = np.minimum(Q / transform.frequencies_hz, 0.128)
    np.testing.assert_allclose(power, 1.5 / lengths_s / 31.25, rtol=0.15)  # a Hann window is 1.5 / its length wide


def test_power_is_square_in_the_level():
    transform = constant_q()
    waveform = noise(1.0)
    torch.testing.assert_close(transform(100 * waveform), 1e4 * transform(waveform), rtol=1e-4, atol=1e-3)


def test_a_click_is_shorter_at_higher_frequencies():
    click = torch.zeros(1, SAMPLE_RATE)
    click[0, 50 * 160] = 1
    power = constant_q(hop=40)(click)[0]  # 2.5 ms a frame
    assert power.argmax(-1).tolist() == [200] * 96
    frames = (power > 0.1 * power.amax(-1, keepdim=True)).sum(-1)
    assert (frames[1:] <= frames[:-1]).all()
    assert frames[0] > 20
    assert frames[-1] <= 2


@pytest.mark.parametrize("sample", range(8000, 8161, 20))
def test_no_click_goes_unheard(sample):
    """At 7.6 kHz a window is 2.2 ms long, and a frame 10 ms."""
    click = torch.zeros(1, SAMPLE_RATE)
    click[0, sample] = 1
    power = constant_q()(click)[0, -12:].sum(-1)
    reference = torch.zeros(1, SAMPLE_RATE)
    reference[0, 8000] = 1
    torch.testing.assert_close(power, constant_q()(reference)[0, -12:].sum(-1), rtol=0.5, atol=0)


@pytest.mark.parametrize("hop", [160, 100, 64, 37])
@pytest.mark.parametrize("samples", [3000, 15_999, 16_000, 16_001, 16_063])
def test_a_frame_every_hop(hop, samples):
    transform = constant_q(hop=hop)
    assert transform(torch.randn(2, samples)).shape == (2, 96, 1 + samples // hop)


@pytest.mark.parametrize("hop", [160, 256, 320, 37])
def test_the_shortest_waveform(hop):
    transform = constant_q(hop=hop)
    samples = transform.margin + 1
    assert transform(torch.randn(1, samples)).shape == (1, 96, 1 + samples // hop)


@pytest.mark.parametrize("bins", [1, 11, 12, 13, 95])
def test_fewer_bins_are_the_lowest_of_more(bins):
    """The octaves are counted from the highest bin: other borders, sample rates and parts of frames, the same sound."""
    hop = 16  # so short that each frame is one window in the bins compared
    waveform = torch.from_numpy(speechlike(1.0, seed=1))[None]
    fewer = constant_q(bins=bins, hop=hop)(waveform)[:, :72, 200:-200]
    more = constant_q(hop=hop)(waveform)[:, : min(bins, 72), 200:-200]
    torch.testing.assert_close(fewer, more, rtol=0.02, atol=1e-4 * float(more.max()))


def test_silence_has_no_power():
    assert constant_q()(torch.zeros(1, SAMPLE_RATE)).abs().max() == 0


def test_a_constant_is_hardly_heard():
    assert constant_q()(torch.ones(1, SAMPLE_RATE)).max() < 256 * 1e-4


def test_gradients_are_those_of_the_function():
    transform = constant_q(bins=24, hop=800).double()
    torch.manual_seed(0)
    waveform = torch.randn(1, 4000, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(1, 4000, dtype=torch.float64)
    [gradient] = torch.autograd.grad(transform(waveform).log().sum(), waveform)
    with torch.no_grad():
        step = 1e-6 * direction
        change = (transform(waveform + step).log().sum() - transform(waveform - step).log().sum()) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(float(change), rel=1e-4)


def test_a_checkpoint_holds_none_of_it():
    spec = DetectorSpec("resnet18", {"width": 4, "frontend": "cqt", "window_s": 1.0})
    torch.manual_seed(0)
    model = build(spec).eval()
    assert not [name for name in model.state_dict() if name.startswith("frontend")]
    again = build(spec).eval()
    again.load_state_dict(model.state_dict(), strict=True)
    sound = torch.randn(2, SAMPLE_RATE)
    assert torch.equal(again.score(sound), model.score(sound))
    assert model.features(sound).shape == (2, 1, 96, 101)


def test_the_front_end_has_the_centres_of_the_transform():
    np.testing.assert_array_equal(build_frontend({"name": "cqt"}).frequencies_hz, constant_q().frequencies_hz)

"""RawBoost: the distortions of telephone channels on raw waveforms (Tak et al. 2022, arXiv:2111.04433)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from deepcheck.audio.augment.filtering import convolve_centred, notch_taps
from deepcheck.audio.augment.levels import amplitude, at_rms, rms
from deepcheck.audio.augment.settings import settle_count, settle_number, settle_range
from deepcheck.errors import ConfigError


@dataclass(frozen=True)
class RawBoost:
    """The `parts` of RawBoost in series, in the order given; "1+2" is the paper's best for telephone speech.

    1. Linear and non-linear convolutive noise: the sum of the waveform's powers 1 to `orders`, each through
       its own filter of `notches` band stops (centre `notch_hz`, width `notch_width_hz`, `taps` taps each);
       those above the first have a gain drawn from `order_gain_db`.
    2. Impulsive, signal-dependent noise: a share `impulse_share` of the samples x becomes
       x + `impulse_gain` * r * x, where r is the product of two uniform draws from [-1, 1].
    3. Stationary, signal-independent noise: white noise through such a filter, `snr_db` below the clip.

    The result has the root mean square of the input: level is left to the augmentation `gain`. Unlike the
    paper's, part 1 takes the powers of the waveform at a peak of 1, so that the distortion does not depend on
    the recording level.
    """

    stage: ClassVar[Literal["waveform", "features"]] = "waveform"

    parts: str = "1+2"
    orders: int = 5
    order_gain_db: tuple[float, float] = (-20.0, -5.0)
    notches: int = 5
    notch_hz: tuple[float, float] = (20.0, 8000.0)
    notch_width_hz: tuple[float, float] = (100.0, 1000.0)
    taps: tuple[float, float] = (10, 100)
    impulse_share: tuple[float, float] = (0.0, 0.1)
    impulse_gain: float = 2.0
    snr_db: tuple[float, float] = (10.0, 40.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", str(self.parts).replace(" ", ""))  # YAML reads a lone 1 as a number
        numbers = self.parts.split("+")
        if not set(numbers) <= {"1", "2", "3"} or len(numbers) != len(set(numbers)):
            raise ConfigError(f"parts is {self.parts!r}.", 'It takes 1, 2 and 3 joined by "+", e.g. "1+2".')
        settle_count(self, "orders", 1, 10)
        settle_range(self, "order_gain_db", -100.0, 20.0)
        settle_count(self, "notches", 1, 20)
        settle_range(self, "notch_hz", 0.0, 8000.0)
        settle_range(self, "notch_width_hz", 1.0, 8000.0)
        settle_range(self, "taps", 3, 1000)
        settle_range(self, "impulse_share", 0.0, 1.0)
        settle_number(self, "impulse_gain", 0.0, 100.0)
        settle_range(self, "snr_db", -50.0, 100.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        level = rms(waveform)
        if not level > 0.0:
            return waveform
        result = waveform
        for part in self.parts.split("+"):
            result = _PARTS[part](self, result, rng)
        return at_rms(result, level)

    def convolutive(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Part 1 of the paper."""
        scaled = waveform / np.abs(waveform).max()
        result = np.zeros(waveform.size)
        raised = np.ones(waveform.size, np.float32)
        for order in range(self.orders):
            raised = raised * scaled
            gain = amplitude(rng.uniform(*self.order_gain_db)) if order else 1.0
            result += gain * convolve_centred(raised, self._filter(rng))
        return result - float(result.mean())  # even powers shift the mean

    def impulsive(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Part 2 of the paper."""
        count = round(rng.uniform(*self.impulse_share) * waveform.size)
        hit = rng.choice(waveform.size, count, replace=False, shuffle=False)
        draws = rng.uniform(-1.0, 1.0, (2, count))
        result = waveform.copy()
        result[hit] *= 1.0 + self.impulse_gain * draws[0] * draws[1]
        return result

    def stationary(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Part 3 of the paper."""
        noise = rng.standard_normal(waveform.size, dtype=np.float32)
        level = rms(waveform) / amplitude(rng.uniform(*self.snr_db))
        noisy: np.ndarray = waveform + at_rms(convolve_centred(noise, self._filter(rng)), level)
        return noisy

    def _filter(self, rng: np.random.Generator) -> np.ndarray:
        centre = rng.uniform(*self.notch_hz, self.notches)
        half_width = rng.uniform(*self.notch_width_hz, self.notches) / 2.0
        bands = np.clip(np.stack((centre - half_width, centre + half_width), axis=1), 0.0, 8000.0)
        lengths = rng.integers(int(self.taps[0]), int(self.taps[1]) + 1, self.notches)
        return notch_taps(bands, lengths | 1)  # odd, so that the filter has a middle and no delay


_PARTS = {"1": RawBoost.convolutive, "2": RawBoost.impulsive, "3": RawBoost.stationary}

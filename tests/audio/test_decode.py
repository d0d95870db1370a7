from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from deepcheck.audio.decode import EXTENSIONS, SAMPLE_RATE, decode, read

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def tone(rate: int, channels: int = 1, frequency_hz: float = 440.0, duration_s: float = 2.0) -> NDArray[np.float32]:
    """(channels, samples): the same tone of amplitude 0.3 in every channel."""
    t = np.arange(round(rate * duration_s)) / rate
    return np.tile(0.3 * np.sin(2 * np.pi * frequency_hz * t), (channels, 1)).astype(np.float32)


def encode(
    path: Path,
    samples: NDArray[np.float32],
    rate: int,
    codec: str,
    container: str | None = None,
    *,
    video: bool = False,
    bit_rate: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """(channels, samples) through ffmpeg into `path`; `video` puts a picture track beside the sound."""
    layout = LAYOUTS[len(samples)]
    with av.open(str(path), "w", format=container, options=dict(options or {})) as file:
        picture = add_picture(file) if video else None
        track = file.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            track.bit_rate = bit_rate
        if codec == "vorbis":
            track.codec_context.options = {"strict": "experimental"}
        track.codec_context.open()
        fit = av.AudioResampler(track.format, layout, rate, frame_size=track.codec_context.frame_size or None)
        whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        whole.sample_rate = rate
        whole.time_base = Fraction(1, rate)
        whole.pts = 0
        if picture:
            draw(file, picture)
        for frame in [*fit.resample(whole), *fit.resample(None), None]:
            file.mux(track.encode(frame))
    return path


def add_picture(file):
    picture = file.add_stream("mpeg4", rate=10)
    picture.width = picture.height = 32
    picture.pix_fmt = "yuv420p"
    return picture


def draw(file, picture) -> None:
    for grey in range(20):
        file.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), grey, np.uint8))))
    file.mux(picture.encode(None))


def heard(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Frequency in Hz of the loudest tone and the amplitude of a tone of this power, away from the edges."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return spectrum.argmax() * SAMPLE_RATE / len(middle), float(np.sqrt(2 * (middle**2).mean()))


# ending, codec, container, rate, channels, how far a codec may change the level
FORMATS = [
    ("wav", "pcm_s16le", None, 44_100, 2, 0.01),
    ("wav", "pcm_u8", None, 11_025, 1, 0.02),
    ("wav", "pcm_s24le", None, 96_000, 2, 0.01),
    ("wav", "pcm_f32le", None, 48_000, 6, 0.01),
    ("wav", "pcm_mulaw", None, 8_000, 1, 0.02),
    ("wav", "adpcm_ima_wav", None, 22_050, 1, 0.02),
    ("flac", "flac", None, 48_000, 2, 0.01),
    ("mp3", "libmp3lame", None, 44_100, 2, 0.08),
    ("mp3", "libmp3lame", None, 16_000, 1, 0.08),
    ("mp3", "libmp3lame", None, 8_000, 1, 0.08),
    ("ogg", "vorbis", None, 44_100, 2, 0.08),
    ("ogg", "libopus", "ogg", 24_000, 1, 0.08),
    ("opus", "libopus", None, 48_000, 2, 0.08),
    ("aiff", "pcm_s16be", None, 44_100, 2, 0.01),
    ("m4a", "aac", "mp4", 44_100, 2, 0.05),
    ("m4a", "alac", "mp4", 48_000, 1, 0.01),
    ("aac", "aac", "adts", 22_050, 1, 0.05),
    ("webm", "libopus", None, 48_000, 2, 0.08),
    ("wma", "wmav2", "asf", 44_100, 2, 0.05),
    ("amr", "libopencore_amrnb", "amr", 8_000, 1, 0.2),
    ("3gp", "libopencore_amrnb", None, 8_000, 1, 0.2),
    ("caf", "pcm_s16le", None, 32_000, 1, 0.01),
    ("au", "pcm_s16be", None, 16_000, 2, 0.01),
    ("wv", "wavpack", None, 44_100, 2, 0.01),
    ("mp2", "mp2", None, 48_000, 2, 0.05),
]
VIDEO = [
    ("mp4", "aac", None, 44_100, 2, 0.05),
    ("mov", "pcm_s16le", None, 48_000, 2, 0.01),
    ("mkv", "libopus", None, 48_000, 1, 0.08),
    ("avi", "libmp3lame", None, 44_100, 2, 0.08),
    ("ts", "aac", "mpegts", 48_000, 2, 0.05),
    ("mpg", "mp2", "mpeg", 44_100, 2, 0.05),
]
CASES = [pytest.param(*case, False, id="-".join(map(str, case[:2] + case[3:5]))) for case in FORMATS] + [
    pytest.param(*case, True, id=f"video-{case[0]}") for case in VIDEO
]


@pytest.mark.parametrize(("ending", "codec", "container", "rate", "channels", "tolerance", "video"), CASES)
def test_any_format_becomes_16_khz_mono(ending, codec, container, rate, channels, tolerance, video, tmp_path):
    path = tmp_path / f"tone.{ending}"
    encode(
        path, tone(rate, channels), rate, codec, container, video=video, bit_rate=128_000 if ending == "wma" else None
    )
    samples = read(path)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    # A codec rounds up to whole frames of some 20-60 ms and adds its delay.
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.0, abs=0.1)
    frequency_hz, amplitude = heard(samples)
    assert frequency_hz == pytest.approx(440, abs=2)
    assert amplitude == pytest.approx(0.3, rel=tolerance)
    assert ending in EXTENSIONS


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_lossless_formats_keep_the_length_to_a_sample(ending, rate, tmp_path):
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, tone(rate)[0], rate)
    assert abs(len(read(path)) - 2 * SAMPLE_RATE) <= 1


@pytest.mark.parametrize(
    ("ending", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16")]
)
def test_lossless_at_16_khz_is_bit_equal_to_soundfile(ending, subtype, tmp_path):
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.9, 0.9, 40_001), SAMPLE_RATE, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read(path), expected)


@pytest.mark.parametrize(
    ("gains", "amplitude"), [((1, 1), 0.3), ((1, 0), 0.15), ((0, 1), 0.15), ((1, -1), 0.0), ((1, 0, 0, 0, 0, 0), 0.05)]
)
def test_channels_are_averaged(gains, amplitude, tmp_path):
    samples = tone(SAMPLE_RATE)[0] * np.array(gains)[:, None]
    soundfile.write(tmp_path / "x.wav", samples.T, SAMPLE_RATE, subtype="FLOAT")
    assert np.abs(read(tmp_path / "x.wav")).max() == pytest.approx(amplitude, abs=1e-6)


def test_level_of_stereo_is_that_of_mono(tmp_path):
    for channels in (1, 2, 6):
        soundfile.write(tmp_path / f"{channels}.wav", tone(44_100, channels).T, 44_100, subtype="PCM_16")
    mono, stereo, surround = (read(tmp_path / f"{channels}.wav") for channels in (1, 2, 6))
    np.testing.assert_allclose(stereo, mono, atol=1e-6)
    np.testing.assert_allclose(surround, mono, atol=1e-6)


@pytest.mark.parametrize(
    ("frequency_hz", "kept"), [(1_000, True), (7_000, True), (9_000, False), (10_000, False), (15_000, False)]
)
def test_resampling_keeps_what_fits_and_folds_nothing_back(frequency_hz, kept, tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(44_100, 1, frequency_hz)[0], 44_100, subtype="FLOAT")
    samples = read(tmp_path / "x.wav")
    found_hz, amplitude = heard(samples)
    if kept:
        assert amplitude == pytest.approx(0.3, rel=0.005)
        assert found_hz == pytest.approx(frequency_hz, abs=2)
    else:
        assert amplitude < 3e-5  # -80 dB


def test_resampling_does_not_move_sound_in_time(tmp_path):
    click = np.zeros(88_200, np.float32)
    click[44_100] = 0.9
    soundfile.write(tmp_path / "x.wav", click, 44_100)
    assert np.abs(read(tmp_path / "x.wav")).argmax() == SAMPLE_RATE


def test_another_rate_on_request(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(48_000)[0], 48_000)
    assert len(read(tmp_path / "x.wav", sample_rate=8_000)) == 16_000


def test_nan_and_infinity_poison_nothing(tmp_path):
    samples = tone(44_100)[0]
    clean = samples.copy()
    clean[[1000, 1001, 50_000]] = 0.0, 1.0, -1.0
    samples[[1000, 1001, 50_000]] = np.nan, np.inf, -np.inf
    for name, data in (("bad", samples), ("clean", clean)):
        soundfile.write(tmp_path / f"{name}.wav", data, 44_100, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "bad.wav"), read(tmp_path / "clean.wav"))


@pytest.mark.parametrize(
    ("ending", "codec", "rate"),
    [("wav", "pcm_s16le", 44_100), ("mp3", "libmp3lame", 44_100), ("opus", "libopus", 48_000)],
)
def test_blocks_are_small_and_their_sum_is_the_recording(ending, codec, rate, tmp_path):
    path = encode(tmp_path / f"x.{ending}", tone(rate, 2, duration_s=10.0), rate, codec)
    blocks = list(decode(path))
    assert len(blocks) > 4
    assert all(block.dtype == np.float32 and 0 < len(block) <= 4 * SAMPLE_RATE for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), read(path))


def test_streaming_resampler_leaves_no_seams(tmp_path):
    """The sweep decoded in blocks equals one resampling of the whole signal."""
    import soxr

    t = np.arange(3 * 44_100) / 44_100
    sweep = (0.5 * np.sin(2 * np.pi * (100 * t + 1_000 * t**2))).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", sweep, 44_100, subtype="FLOAT")
    np.testing.assert_allclose(read(tmp_path / "x.wav"), soxr.resample(sweep, 44_100, SAMPLE_RATE), atol=1e-5)


def test_first_block_comes_before_the_end_is_read(tmp_path):
    path = encode(tmp_path / "x.wav", tone(44_100, duration_s=10.0), 44_100, "pcm_s16le")
    blocks = decode(path)
    first = next(blocks)
    blocks.close()
    assert len(first) < 2 * SAMPLE_RATE


def test_short_frames_are_gathered_into_blocks(tmp_path):
    """The 20 ms of a codec for speech one by one would cost more than decoding them."""
    path = encode(tmp_path / "x.opus", tone(48_000, duration_s=4.0), 48_000, "libopus")
    lengths = [len(block) for block in decode(path)]
    assert 4.0 <= sum(lengths) / SAMPLE_RATE < 4.1
    assert len(lengths) <= 10
    assert max(lengths) <= SAMPLE_RATE


def test_a_picture_track_changes_nothing(tmp_path):
    path = tmp_path / "x.mp4"
    encode(path, tone(44_100, 1), 44_100, "aac", video=True)
    plain = encode(tmp_path / "y.mp4", tone(44_100, 1), 44_100, "aac")
    np.testing.assert_allclose(read(path)[: 2 * SAMPLE_RATE], read(plain)[: 2 * SAMPLE_RATE], atol=1e-6)


def test_extensions_are_lower_case_without_dot():
    assert all(extension == extension.lower().lstrip(".") for extension in EXTENSIONS)
    named = {"wav", "flac", "mp3", "ogg", "opus", "aiff", "m4a", "mp4", "aac", "webm", "wma", "amr", "mov", "mkv"}
    assert named <= EXTENSIONS
    assert not EXTENSIONS & {"txt", "m3u", "m3u8", "pls", "ffconcat", "sdp", "jpg", "png", "pdf", "csv"}

"""A folder of mixed recordings, made of the examples: mp3, m4a, opus, flac, wav, of 3 s to 10 min."""

from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from deepcheck.audio.decode import SAMPLE_RATE, Waveform, read

_EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "audio" / "genuine"
_FORMATS = (("mp3", "libmp3lame"), ("m4a", "aac"), ("opus", "libopus"), ("flac", "flac"), ("wav", "pcm_s16le"))
_RATE = 48_000  # all of these take it


def make(folder: Path, files: int, longest_s: float) -> float:
    """Writes them; the seconds of sound in all. Most are short, every tenth is as long as it gets."""
    speech = np.concatenate([read(path) for path in sorted(_EXAMPLES.iterdir())])
    total = 0.0
    lengths = (longest_s if i % 10 == 9 else 3.0 + (i * 7) % 27 for i in range(files))
    for number, (length_s, (ending, codec)) in enumerate(zip(lengths, islice(cycle(_FORMATS), files), strict=True)):
        start = number * 37_001 % len(speech)
        samples = np.resize(np.roll(speech, -start), round(length_s * SAMPLE_RATE))
        _write(folder / f"{number:03d}.{ending}", codec, samples)
        total += length_s
    return total


def _write(path: Path, codec: str, samples: Waveform) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=_RATE)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray((samples * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        at_once = stream.codec_context.frame_size or 0
        fitting = av.AudioResampler(stream.format or "s16", "mono", _RATE, frame_size=at_once)
        for part in [*fitting.resample(frame), *fitting.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))

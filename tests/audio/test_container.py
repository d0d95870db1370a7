import os
from pathlib import Path

import numpy as np
import pytest
from conftest import described, speechlike, write_wav

from deepcheck.audio import container
from deepcheck.audio.augment.codec_formats import FORMATS, available
from deepcheck.audio.augment.codec_round_trip import _encode
from deepcheck.audio.container import Container
from deepcheck.audio.decode import read

ENDINGS = {"opus": "ogg", "mp3": "mp3", "aac": "aac", "amr-nb": "amr", "wmav2": "wma", "g711-alaw": "wav"}
CODECS = {"amr-nb": "amr_nb", "g711-alaw": "pcm_alaw"}


def test_wav(tmp_path):
    path = write_wav(tmp_path / "x.wav", speechlike(1.0), rate=22_050)
    assert described(path) == Container("wav", "pcm_s16le", 22_050, 1, 16 * 22_050)
    assert described(str(path)) == described(path)


@pytest.mark.parametrize("name", ENDINGS)
def test_codecs_go_by_their_own_name(tmp_path, name):
    if name not in available():
        pytest.skip(f"no encoder for {name} in this build of FFmpeg")
    rate_hz, rates = next(iter(FORMATS[name].modes.items()))
    path = tmp_path / f"x.{ENDINGS[name]}"
    path.write_bytes(_encode(speechlike(3.0), name, rate_hz, max(rates)).getvalue())
    found = described(path)
    assert found.codec == CODECS.get(name, name)
    assert found.channels == 1
    assert found.sample_rate_hz == (48_000 if name == "opus" else rate_hz)
    if name in ("mp3", "wmav2", "g711-alaw"):  # of the others it varies
        assert found.bit_rate_bps == pytest.approx(1000 * max(rates), rel=0.05)


@pytest.mark.skipif("opus" not in available(), reason="no encoder for opus in this build of FFmpeg")
def test_video_has_no_bit_rate_of_its_sound_but_what_the_track_says(tmp_path):
    import av

    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("libopus", rate=16_000, layout="mono")
        for shade in (0, 100, 200):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), shade, np.uint8), format="yuv420p")
            container.mux(picture.encode(frame))
        block = av.AudioFrame.from_ndarray(speechlike(1.0).reshape(1, -1), format="fltp", layout="mono")
        block.sample_rate = 16_000
        container.mux(sound.encode(block))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))
    found = described(path)
    assert (found.codec, found.sample_rate_hz, found.channels, found.bit_rate_bps) == ("opus", 48_000, 1, None)


def test_what_is_no_recording_is_no_error(tmp_path):
    (tmp_path / "text.wav").write_text("hello, this is text")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    (tmp_path / "concat.wav").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    os.mkfifo(tmp_path / "pipe.wav")
    whole = write_wav(tmp_path / "whole.wav", speechlike(1.0)).read_bytes()
    (tmp_path / "header.wav").write_bytes(whole[:20])
    for name in (
        "text.wav",
        "empty.wav",
        "list.m3u8",
        "concat.wav",
        "pipe.wav",
        "header.wav",
        "missing.wav",
        ".",
        "a\0b",
    ):
        assert described(tmp_path / name) is None, name
    assert described(Path("http://127.0.0.1:9/x.wav")) is None


def test_a_library_that_says_nothing_costs_no_sound(tmp_path, monkeypatch):
    def fail(_):
        raise AttributeError("no such thing any more")

    monkeypatch.setattr(container, "_described", fail)
    path = write_wav(tmp_path / "x.wav", speechlike(1.0))
    assert described(path) is None
    assert len(read(path)) == 16_000


def test_a_file_that_was_cut_short_still_says_what_it_is(tmp_path):
    path = write_wav(tmp_path / "x.wav", speechlike(2.0))
    path.write_bytes(path.read_bytes()[:4000])
    assert described(path) == Container("wav", "pcm_s16le", 16_000, 1, 256_000)

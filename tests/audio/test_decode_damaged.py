import os
import re
import socket
import struct
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from test_decode import add_picture, draw, encode, heard, tone

from deepcheck.audio.decode import SAMPLE_RATE, decode, read
from deepcheck.errors import AudioError

UNKNOWN = "not audio or video in a known format, or damaged at its beginning"


def reason(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read(path)
    return caught.value.message


def cut_off(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def riff(samples: np.ndarray, *, promised: int | None = None, form: bytes = b"RIFF", before: bytes = b"") -> bytes:
    """A wav of 16 bit, mono, 16 kHz whose data chunk states `promised` bytes; `before` goes ahead of that chunk."""
    data = (samples * 32767).astype("<i2").tobytes()
    promised = len(data) if promised is None else promised
    return (
        form
        + struct.pack("<I", min(36 + len(before) + promised, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
        + before
        + b"data"
        + struct.pack("<I", promised)
        + data
    )


def test_missing_file(tmp_path):
    assert reason(tmp_path / "nothing.wav") == "the file does not exist"


def test_empty_file(tmp_path):
    (tmp_path / "x.wav").touch()
    assert reason(tmp_path / "x.wav") == "the file is empty"


def test_folder(tmp_path):
    assert reason(tmp_path) == "this is a folder, not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(riff(tone(SAMPLE_RATE)[0]))
    path.chmod(0)
    assert reason(path) == "no permission to read the file"


def test_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    outcome: list[str] = []
    waiting = threading.Thread(target=lambda: outcome.append(reason(tmp_path / "x.wav")), daemon=True)
    waiting.start()
    waiting.join(10)
    assert outcome == ["this is a pipe or a device, not a file"]


def test_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may be no longer than some 100 bytes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("x.wav")
        assert reason(Path("x.wav")) == "this is a pipe or a device, not a file"


def test_link_to_nothing_and_link_to_itself(tmp_path):
    (tmp_path / "x.wav").symlink_to(tmp_path / "gone.wav")
    assert reason(tmp_path / "x.wav") == "the file does not exist"
    (tmp_path / "y.wav").symlink_to(tmp_path / "y.wav")
    assert "too many levels of symbolic links" in reason(tmp_path / "y.wav")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("letter.wav", b"Dear editor, the recording is attached.\n" * 50),
        ("page.mp3", b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 20),
        ("one-byte.wav", b"R"),
        ("zeros.wav", bytes(50_000)),
        ("random.wav", np.random.default_rng(1).bytes(50_000)),
        ("random.m4a", np.random.default_rng(2).bytes(50_000)),
        ("random.ogg", np.random.default_rng(3).bytes(50_000)),
        ("half-a-header.wav", riff(np.zeros(0))[:30]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_audio_is_called_so(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert reason(tmp_path / name) == UNKNOWN


@pytest.mark.parametrize("ending", ["mp3", "flac", "aac", "ac3", "amr", "wma", "ts", "webm", "opus"])
def test_random_bytes_never_become_sound(ending, tmp_path):
    """Formats without a header find sync words in noise; what little they make of it is refused as well."""
    for seed in range(3):
        (tmp_path / f"x.{ending}").write_bytes(np.random.default_rng(seed).bytes(60_000))
        assert reason(tmp_path / f"x.{ending}")


@pytest.mark.parametrize("name", ["x.png", "x.mp3", "x.wav"])
def test_image_whatever_its_name(name, tmp_path):
    with av.open(str(tmp_path / "image.png"), "w", format="image2") as file:
        track = file.add_stream("png", rate=1)
        track.width = track.height = 64
        track.pix_fmt = "rgb24"
        picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        file.mux(track.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(track.encode(None))
    (tmp_path / "image.png").rename(tmp_path / name)
    assert reason(tmp_path / name) == UNKNOWN


def test_video_without_sound(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as file:
        draw(file, add_picture(file))
    assert reason(tmp_path / "x.mp4") == "the file has no audio track"


@pytest.mark.parametrize("promised", [0, 100_000])
def test_wav_of_a_header_only(promised, tmp_path):
    (tmp_path / "x.wav").write_bytes(riff(np.zeros(0), promised=promised))
    assert reason(tmp_path / "x.wav") == "the audio track holds no samples"


@pytest.mark.parametrize(
    ("ending", "codec", "container", "options"),
    [
        ("wav", "pcm_s16le", None, {}),
        ("wav", "pcm_f32le", None, {}),
        ("wav", "adpcm_ima_wav", None, {}),
        ("flac", "flac", None, {}),
        ("aiff", "pcm_s16be", None, {}),
        ("au", "pcm_s16be", None, {}),
        ("m4a", "aac", "mp4", {"movflags": "faststart"}),
    ],
)
def test_truncation_is_told_with_both_lengths(ending, codec, container, options, tmp_path):
    path = encode(tmp_path / f"x.{ending}", tone(22_050, duration_s=10.0), 22_050, codec, container, options=options)
    assert len(read(path)) == pytest.approx(10 * SAMPLE_RATE, rel=0.01)
    found = re.fullmatch(
        r"the file is truncated: its header promises ([\d.]+) s, the sound ends after ([\d.]+) s",
        reason(cut_off(path, 0.6)),
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(10.0, abs=0.15)
    assert float(found[2]) == pytest.approx(6.0, abs=0.5)


def test_truncation_is_seen_behind_a_chunk_of_odd_length(tmp_path):
    before = b"LIST" + struct.pack("<I", 5) + b"INFO0\0"
    (tmp_path / "x.wav").write_bytes(riff(tone(SAMPLE_RATE)[0], promised=4 * 2 * SAMPLE_RATE, before=before))
    assert reason(tmp_path / "x.wav") == (
        "the file is truncated: its header promises 4.0 s, the sound ends after 2.0 s"
    )


def test_truncation_is_known_only_at_the_end(tmp_path):
    path = cut_off(encode(tmp_path / "x.wav", tone(22_050, duration_s=10.0), 22_050, "pcm_s16le"), 0.6)
    blocks, error = [], None
    try:
        blocks.extend(decode(path))
    except AudioError as caught:
        error = caught
    assert error is not None
    assert sum(map(len, blocks)) == pytest.approx(6 * SAMPLE_RATE, rel=0.01)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.995])
def test_m4a_that_lost_its_index_at_the_end(share, tmp_path):
    path = encode(tmp_path / "x.m4a", tone(44_100, duration_s=5.0), 44_100, "aac", "mp4")
    assert path.read_bytes().rfind(b"moov") > len(path.read_bytes()) * 0.9
    assert reason(cut_off(path, share)) == UNKNOWN


def test_a_few_missing_samples_are_forgiven(tmp_path):
    samples = tone(SAMPLE_RATE, duration_s=4.0)[0]
    (tmp_path / "x.wav").write_bytes(riff(samples, promised=2 * len(samples) + 44))  # a header counted as data
    assert len(read(tmp_path / "x.wav")) == len(samples)


@pytest.mark.parametrize("promised", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0])
def test_wav_of_unknown_length_is_read_to_its_end(promised, tmp_path):
    """What ffmpeg, sox and crashed recorders write where they cannot go back to the header."""
    samples = tone(SAMPLE_RATE)[0]
    (tmp_path / "x.wav").write_bytes(riff(samples, promised=promised))
    np.testing.assert_allclose(read(tmp_path / "x.wav"), samples, atol=1e-4)


def test_wav_that_ffmpeg_wrote_to_a_pipe(tmp_path):
    reading, writing = os.pipe()
    received: list[bytes] = []

    def collect() -> None:
        with os.fdopen(reading, "rb") as file:
            received.append(file.read())

    collector = threading.Thread(target=collect)
    collector.start()
    encode(Path(f"/dev/fd/{writing}"), tone(44_100), 44_100, "pcm_s16le", "wav")
    os.close(writing)
    collector.join()
    (tmp_path / "x.wav").write_bytes(received[0])
    assert received[0][received[0].index(b"data") + 4 :][:4] == b"\xff\xff\xff\xff"
    assert len(read(tmp_path / "x.wav")) == 2 * SAMPLE_RATE


@pytest.mark.parametrize(
    "content",
    [
        riff(tone(SAMPLE_RATE)[0], before=b"LIST" + struct.pack("<I", 5) + b"INFO0\0"),
        riff(tone(SAMPLE_RATE)[0]) + b"LIST" + struct.pack("<I", 4) + b"INFO",
        riff(tone(SAMPLE_RATE)[0], promised=0xFFFFFFFF, form=b"RF64").replace(
            b"fmt ", b"ds64" + struct.pack("<IQQQI", 28, 64_072, 64_000, 32_000, 0) + b"fmt ", 1
        ),
    ],
    ids=["odd chunk before", "chunk after", "RF64"],
)
def test_other_shapes_of_wav_are_whole(content, tmp_path):
    (tmp_path / "x.wav").write_bytes(content)
    np.testing.assert_allclose(read(tmp_path / "x.wav")[: 2 * SAMPLE_RATE], tone(SAMPLE_RATE)[0], atol=1e-4)


@pytest.mark.parametrize("tag", [b"drms", b"enca"])
def test_protected_track(tag, tmp_path):
    path = encode(tmp_path / "x.m4a", tone(44_100), 44_100, "aac", "mp4")
    data = path.read_bytes()
    assert data.count(b"mp4a") == 1
    path.write_bytes(data.replace(b"mp4a", tag))
    assert reason(path) == "the audio track is protected (DRM)"


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\n{}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{}'\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n# {}\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{}</BaseURL></MPD>',
    "pls": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("ending", [None, "wav"])
def test_playlist_is_never_followed(kind, ending, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "target.aac", tone(44_100), 44_100, "aac", "adts")
    for target in ("target.aac", str(tmp_path / "target.aac"), f"file:{tmp_path}/target.aac"):
        path = tmp_path / f"list.{ending or kind}"
        path.write_text(PLAYLISTS[kind].format(target))
        assert reason(path) == UNKNOWN


NAMES = [
    "http:x.wav",
    "https:x.wav",
    "file:x.wav",
    "concat:a|b.wav",
    "pipe:0",
    "data:audio.wav",
    "subfile,,start,0,end,100,,:x.wav",
    "-rf.wav",
    "--help",
    "new\nline.wav",
    "tab\there.wav",
    'it\'s "quoted".wav',
    "%03d.wav",
    "*.wav",
    "[x]?.wav",
    "$(touch pwned).wav",
    " leading and trailing ",
    "\x1b[31mred.wav",
    "naïve Größe 音声 🎙.wav",
    os.fsdecode(b"latin\xe9\xff.wav"),
    "no ending",
    "x" * 251 + ".wav",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_have_no_power(name, tmp_path, monkeypatch):
    content = riff(tone(SAMPLE_RATE)[0])
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, Path(name), str(name)):
        np.testing.assert_allclose(read(path), tone(SAMPLE_RATE)[0], atol=1e-4)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_name_that_no_system_takes(tmp_path):
    assert "null" in reason(Path("a\0b.wav"))
    assert "too long" in reason(tmp_path / ("x" * 300))


def test_mp3_with_a_damaged_stretch_is_heard_around_it(tmp_path):
    path = encode(tmp_path / "x.mp3", tone(44_100, duration_s=10.0), 44_100, "libmp3lame")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 20] = np.random.default_rng(0).bytes(len(data) // 20)
    path.write_bytes(data)
    samples = read(path)
    assert 8.5 < len(samples) / SAMPLE_RATE < 10.5
    assert heard(samples[: 4 * SAMPLE_RATE])[0] == pytest.approx(440, abs=2)
    assert heard(samples[-4 * SAMPLE_RATE :])[0] == pytest.approx(440, abs=2)


def test_m4a_with_half_of_its_packets_destroyed(tmp_path):
    noisy = np.random.default_rng(0).normal(0, 0.1, (1, 5 * 44_100)).astype(np.float32)
    path = encode(tmp_path / "x.m4a", noisy, 44_100, "aac", "mp4")
    data = bytearray(path.read_bytes())
    start, end = len(data) // 4, 3 * len(data) // 4
    data[start:end] = np.random.default_rng(0).bytes(end - start)
    path.write_bytes(data)
    message = reason(path)
    assert message.startswith("the file is damaged:")
    assert message.endswith("packets cannot be decoded")


def test_tags_around_an_mp3_are_no_damage(tmp_path):
    path = encode(tmp_path / "x.mp3", tone(44_100), 44_100, "libmp3lame")
    whole = len(read(path))
    path.write_bytes(path.read_bytes() + b"TAG" + b"title".ljust(125, b"\0"))
    assert len(read(path)) == pytest.approx(whole, abs=SAMPLE_RATE // 20)


def test_error_carries_no_path_and_starts_in_lower_case(tmp_path):
    """Reasons are cells of a report: the path stands beside them."""
    (tmp_path / "x.wav").write_bytes(b"junk" * 100)
    for path in (tmp_path / "x.wav", tmp_path / "missing.wav", tmp_path):
        assert str(tmp_path) not in reason(path)
        assert reason(path)[0].islower()


def test_failing_disk_is_a_reason(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    path.write_bytes(riff(tone(SAMPLE_RATE)[0]))

    class FailingDisk:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda *_: FailingDisk())
    assert reason(path) == "the file cannot be decoded (input/output error)"

"""Files that nobody makes by accident: extreme wavs, bombs, playlists, pictures, thousands of streams, odd names."""

import itertools
import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import numpy as np

from .recordings import honest, voice

RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 352_800, 384_000)
CHANNELS = tuple(range(1, 33))


def valid(seconds: float = 1.2) -> Iterator[tuple[str, bytes]]:
    """(name, content) of unusual recordings that have to be scored: every rate and number of channels, every script."""
    for rate in RATES:
        yield f"rate-{rate}.wav", riff(voice(seconds, rate), rate)
    for channels in CHANNELS:
        yield f"channels-{channels}.wav", riff(np.repeat(voice(seconds, 16_000), channels), 16_000, channels)
    good = riff(voice(seconds, 16_000), 16_000)
    for name in NAMES:
        yield name, good


NAMES = (
    "تسجيل صوتي.wav", "录音 电话.wav", "запись.wav", "Ηχογράφηση.wav", "रिकॉर्डिंग.wav", "녹음.wav", "שיחה.wav", "🎙️.wav",
    "e\u0301.wav", "é.wav", "right\u202eto left.wav", "zero\u200bwidth.wav", "line\nbreak.wav", "tab\t.wav",
    "bell\a.wav", "\x1b[31mred.wav", "no text \udcff\udce9.wav", "-rf.wav", "--help.wav", "=1+1.wav", "@SUM(A1).wav",
    "'; rm.wav", '"quoted".wav', "$(reboot).wav", "`id`.wav", "%n%s.wav", "{0}.wav", "a&b<c>.wav", "[red]x.wav",
    "con.wav", " blank.wav", "two..dots.wav", "x" * 250 + ".wav", "subfile,,start,0,end,9,,:x.wav", "concat:a|b.wav",
    "#.wav",
)  # fmt: skip


def invalid(good: str, url: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of what is no recording, or lies: `good` is the path of one, `url` one that is listened at.

    None of it can be scored, for what it names must not be opened.
    """
    targets = [good, good.rpartition("/")[2], f"file:{good}", f"file://{good}", url]
    endings = ("wav", "mp3", "m4a", "ts", "aac", "flv")
    for (kind, text), (number, target) in itertools.product(_PLAYLISTS.items(), enumerate(targets)):
        for ending in endings:
            yield f"{kind}-{number}.{ending}", text.replace("TARGET", target).encode()


def strange() -> Iterator[tuple[str, bytes]]:
    """(name, content) of which nothing is promised but that they cost nothing but themselves."""
    one = voice(1.2, 16_000)
    for kind, value in (("nan", np.nan), ("inf", np.inf), ("minus-inf", -np.inf), ("huge", 3e38)):
        for share in (0.001, 0.5, 1.0):
            odd = np.where(np.random.default_rng(1).random(len(one)) < share, np.float32(value), one)
            yield f"{kind}-{share}.wav", riff(odd, 16_000, form="f4")
    for samples in (0, 1, 2, 3):
        for form in ("i2", "f4"):
            yield f"samples-{samples}-{form}.wav", riff(one[:samples], 16_000, form=form)
    for rate in (0, 1, 7, 999, 1_000_001, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"rate-{rate}.wav", riff(one, rate)
    for channels in (0, 33, 64, 255, 1_024, 65_535):
        yield f"channels-{channels}.wav", riff(one, 16_000, channels)
    for promised in (0, 1, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFE):
        yield f"promised-{promised}.wav", riff(one, 16_000, promised=promised)
    for stated_s in (0.0, 10 * 86_400.0):
        yield f"bomb-{stated_s:.0f}.flac", silence(10 * 86_400.0, stated_s)
    yield "claims-ten-days.flac", silence(2.0, 10 * 86_400.0)
    for count in (100, 10_000):
        yield f"streams-{count}.m4a", streams(count)
    for size in (0, 100, 1 << 20):
        yield f"picture-{size}.mp3", picture(size) + honest()["mp3", "mp3", "libmp3lame"]
        yield f"picture-{size}.wav", picture(size) + riff(one, 16_000)
    yield "huge-picture.mp3", picture(1_000, claimed=0x0FFFFFFF) + honest()["mp3", "mp3", "libmp3lame"]
    deep = riff(one, 16_000)
    for _ in range(50):
        deep = b"RIFF" + struct.pack("<I", len(deep) + 4) + b"WAVE" + b"LIST" + struct.pack("<I", len(deep)) + deep
    yield "deep.wav", deep
    boxes = b""
    for _ in range(2_000):
        boxes = struct.pack(">I4s", len(boxes) + 8, b"moov") + boxes
    yield "deep.m4a", struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + boxes


_PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nTARGET\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\nTARGET\n",
    "pls": "[playlist]\nFile1=TARGET\nNumberOfEntries=1\n",
    "ffconcat": "ffconcat version 1.0\nfile 'TARGET'\n",
    "xspf": '<?xml version="1.0"?><playlist version="1"><trackList><location>TARGET</location></trackList></playlist>',
    "dash": '<?xml version="1.0"?><MPD type="static"><Period><BaseURL>TARGET</BaseURL></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\na=control:TARGET\n",
    "asx": '<asx version="3.0"><entry><ref href="TARGET"/></entry></asx>',
    "imf": '<?xml version="1.0"?><CompositionPlaylist><Id>TARGET</Id></CompositionPlaylist>',
    "link": "[InternetShortcut]\nURL=TARGET\n",
}  # fmt: skip


def riff(samples: np.ndarray, rate: int, channels: int = 1, form: str = "i2", promised: int | None = None) -> bytes:
    """A wav of 16-bit or float samples, already interleaved; header fields as they are asked for, true or not."""
    with np.errstate(invalid="ignore"):
        data = (samples.astype("<f4") if form == "f4" else (samples * 32_767).astype("<i2")).tobytes()
    width = 4 if form == "f4" else 2
    promised = len(data) if promised is None else promised
    head = struct.pack(
        "<HHIIHH", 3 if form == "f4" else 1, channels, rate, rate * channels * width & 0xFFFFFFFF,
        channels * width & 0xFFFF, 8 * width,
    )  # fmt: skip
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", promised) + data
    return b"RIFF" + struct.pack("<I", min(len(body), 0xFFFFFFFF)) + body


def silence(length_s: float, stated_s: float, rate: int = 8_000) -> bytes:
    """A flac of `length_s` in some bytes for each 8 s; its header states `stated_s`, where 0 is unknown."""
    block = 65_535
    info = struct.pack(">HH", block, block) + bytes(6)
    info += struct.pack(">Q", rate << 44 | 15 << 36 | int(stated_s * rate)) + bytes(16)
    frames = []
    for number in range(int(Fraction(length_s) * rate / block) + 1):
        head = b"\xff\xf8\x70\x08" + _utf8(number) + struct.pack(">H", block - 1)
        frame = head + bytes([_crc(head, 8, 0x07)]) + b"\x00\x00\x00"
        frames.append(frame + struct.pack(">H", _crc(frame, 16, 0x8005)))
    return b"fLaC\x80\x00\x00\x22" + info + b"".join(frames)


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    table, remainder, mask = _remainders(bits, polynomial), 0, (1 << bits) - 1
    for byte in data:
        remainder = (remainder << 8 & mask) ^ table[(remainder >> bits - 8) ^ byte]
    return remainder


@cache
def _remainders(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        remainder = byte << bits - 8
        for _ in range(8):
            remainder = (remainder << 1) ^ (polynomial | 1 << bits if remainder >> bits - 1 & 1 else 0)
        table.append(remainder)
    return table


def streams(count: int) -> bytes:
    """An m4a whose track is listed `count` times."""
    data = honest()["m4a", "ipod", "alac"]
    place = data.rindex(b"moov") - 4
    moov = data[place : place + int.from_bytes(data[place : place + 4], "big")]
    start = moov.index(b"trak") - 4
    track = moov[start : start + int.from_bytes(moov[start : start + 4], "big")]
    moov = moov[:start] + track * count + moov[start + len(track) :]
    return data[:place] + struct.pack(">I", len(moov)) + moov[4:]


def picture(size: int, claimed: int | None = None) -> bytes:
    """An ID3 tag with a PNG that claims to be 65,535 pixels wide and high."""
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">IIBBBBB", 65_535, 65_535, 8, 6, 0, 0, 0) + bytes(size)
    body = b"\x00image/png\x00\x03\x00" + png
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\x00\x00" + body
    whole = len(frame) if claimed is None else claimed
    return b"ID3\x03\x00\x00" + bytes(whole >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame

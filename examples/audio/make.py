"""Remake the files in synthetic/ from the text below and from the recordings in genuine/.

Needs deepcheck's own numpy and torch, ffmpeg, espeak-ng, flite, festival with festvox-us-slt-hts
(Debian packages) and hibari-tts (PyPI):    python make.py [output folder]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "synthetic"
RATE = 48_000
SPLICE_AT_S = 13.75  # a pause between two lines of genuine/sonnet-3.ogg

COUNCIL = (
    "Good evening. The town council will meet on Thursday to decide whether the old bridge can "
    "stay open during the winter. Engineers say the repairs could take nine months."
)
WATER = (
    "This is a message for all residents of the harbour district. The water supply will be switched "
    "off between nine and eleven tomorrow morning. Please keep a few bottles ready."
)
COAST = "Weather on the coast: wind from the north west, rain at times, fog before sunrise. Take care at sea."
MINUTES = "I can confirm that the meeting took place, and that nobody asked for the minutes."
INSERTED = "Nobody ever read this line aloud. A computer program made it, and somebody put it here."


def run(command, *more, data=None):
    done = subprocess.run([*command.split(), *map(str, more)], check=True, input=data, stdout=subprocess.PIPE)
    return done.stdout


def load(path, rate=RATE):
    raw = run("ffmpeg -v error -i", path, *f"-vn -ac 1 -ar {rate} -f f32le -".split())
    return np.frombuffer(raw, "<f4")


def trim(wave, pause_s=0.2):
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    return wave[max(0, loud[0] - int(pause_s * RATE)) : loud[-1] + int(pause_s * RATE)]


def set_level(wave, level_db, floor_db):
    """Set the RMS level and put a faint, falling noise floor under it: engines pause in digital silence."""
    shape = np.fft.rfft(np.random.default_rng(0).standard_normal(len(wave)))
    noise = np.fft.irfft(shape / np.sqrt(np.arange(len(shape)) + 100), len(wave))
    gain, floor = 10 ** (level_db / 20) / wave.std(), 10 ** (floor_db / 20) / noise.std()
    return wave * gain + noise * floor


def save(wave, name, codec, rate=RATE):
    source = f"ffmpeg -v error -y -f f32le -ar {rate} -ac 1 -i -"
    exact = "-map_metadata -1 -fflags +bitexact -flags:a +bitexact"
    run(f"{source} {codec} {exact}", OUT / name, data=np.clip(wave, -1, 1).astype("<f4").tobytes())
    print(f"{name}: {len(wave) / rate:.2f} s")


def copy_synthesis(wave, rate, bands=80, size=1024, rounds=60):
    """Keep the loudness of 80 mel bands, forget all phases, guess them again (Griffin and Lim, 1984)."""
    window = torch.hann_window(size)
    scale = 2595 * torch.log10(1 + torch.linspace(0, rate / 2, size // 2 + 1) / 700)
    centres = torch.linspace(0, float(scale[-1]), bands + 2)[1:-1, None]
    bank = (1 - (scale - centres).abs() / (centres[1] - centres[0])).clamp(min=0)
    spectrum = torch.stft(torch.tensor(wave), size, size // 4, window=window, return_complex=True)
    magnitude = (torch.linalg.pinv(bank) @ (bank @ spectrum.abs())).clamp(min=0)
    phase = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    for _ in range(rounds):
        out = torch.istft(torch.polar(magnitude, phase), size, size // 4, window=window, length=len(wave))
        phase = torch.stft(out, size, size // 4, window=window, return_complex=True).angle()
    return out.numpy()


OUT.mkdir(parents=True, exist_ok=True)
with tempfile.TemporaryDirectory() as folder:
    tmp = Path(folder)
    run("hibari --seed 0 -o", tmp / "council.wav", COUNCIL)
    run("hibari --seed 0 -o", tmp / "inserted.wav", INSERTED)
    run("flite -voice rms -o", tmp / "water.wav", "-t", WATER)
    run("espeak-ng -v en-gb -s 150 -w", tmp / "coast.wav", COAST)
    run("text2wave -eval (voice_cmu_us_slt_arctic_hts) -o", tmp / "minutes.wav", data=MINUTES.encode())
    spoken = {path.stem: trim(load(path)) for path in tmp.glob("*.wav")}
save(set_level(spoken["council"], -19, -52), "council-hibari.mp3", "-ar 44100 -c:a libmp3lame -b:a 64k")
save(set_level(spoken["water"], -23, -48), "water-flite.m4a", "-ar 16000 -c:a aac -b:a 56k")
save(set_level(spoken["coast"], -20, -50), "coast-espeak.ogg", "-c:a libopus -b:a 32k")
save(set_level(spoken["minutes"], -24, -54), "minutes-festival.wav", "-ar 16000 -c:a pcm_s16le")
copied = copy_synthesis(load(HERE / "genuine/austen-dashwood.flac", 16_000), 16_000)
save(set_level(copied, -24, -62), "austen-dashwood-vocoded.flac", "-sample_fmt s16 -c:a flac", 16_000)
reader, inserted = load(HERE / "genuine/sonnet-3.ogg"), set_level(trim(spoken["inserted"], 0), -18, -45)
spliced = np.insert(reader, int(SPLICE_AT_S * RATE), inserted)
video = f"-f lavfi -t {len(spliced) / RATE} -i color=c=0x304050:s=160x90:r=5 -c:v libvpx -b:v 20k"
save(spliced, "sonnet-3-spliced.webm", f"{video} -c:a libopus -b:a 32k")
print(f"the inserted sentence: {SPLICE_AT_S:.2f} s to {SPLICE_AT_S + len(inserted) / RATE:.2f} s")

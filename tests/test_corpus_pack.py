"""examples/corpus: what is made differs from its original in the synthesis and in nothing else that is easy to hear."""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import speechlike

from deepcheck.audio.augment.levels import amplitude, rms
from deepcheck.audio.decode import SAMPLE_RATE, read
from deepcheck.audio.torchaudio_import import import_torchaudio
from deepcheck.data.protocols import read_data
from deepcheck.data.utterance import Label
from deepcheck.errors import AudioError

PACK = Path(__file__).parent.parent / "examples" / "corpus"
sys.path.insert(0, str(PACK))  # its files import each other, as they do when extend.py is run

import clips  # noqa: E402
import copies  # noqa: E402
import engines  # noqa: E402
import extend  # noqa: E402
import jobs  # noqa: E402
import neural  # noqa: E402
import rows  # noqa: E402
import source_filter  # noqa: E402
import splices  # noqa: E402
import spoken  # noqa: E402
import texts  # noqa: E402
from pitch import track  # noqa: E402
from spectra import Frames, from_bank, mel_bank  # noqa: E402

NO_WORLD = "griffin-lim,lpc,phase,sinusoidal,phase-vocoder"


METHODS = [
    pytest.param(method, id=method.name, marks=pytest.mark.skipif(bool(method.missing()), reason=method.missing()))
    for method in copies.METHODS
]


def log_mel(sound):
    frames = Frames(512, 160)
    return torch.log(mel_bank(40, 512, 0.0, 8000.0) @ frames.analyse(sound).abs() + 1e-3).numpy()


def likeness(one, other):
    return np.corrcoef(log_mel(one).ravel(), log_mel(other).ravel())[0, 1]


def make_corpus(folder, names=None):
    """Six genuine clips, four of them lossy, and a spoof of each label's source; returns the manifest."""
    names = names or [f"train/{number}/{number:012x}" for number in range(6)]
    lines = []
    for number, name in enumerate(names):
        path = folder / f"{name}.{'flac' if number % 3 == 2 else 'opus'}"
        clips.save(path, (0.5 + 0.1 * number) * speechlike(0.8 + 0.05 * number, seed=number))
        lines.append([path.relative_to(folder).as_posix(), "bonafide", "train", f"site{number % 2}", "-", "CC0-1.0"])
    clips.save(folder / "train" / "spoof.opus", speechlike(1.2, seed=9, f0_hz=200))
    lines.append(["train/spoof.opus", "spoof", "train", "site0", "other", ""])
    clips.save(folder / "val" / "held.flac", speechlike(1.0, seed=10))
    lines.append(["val/held.flac", "bonafide", "val", "elsewhere", "-", ""])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label", "subset", "source", "system", "licence"], *lines])
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def wider(data, tmp_path_factory):
    """What a run over the corpus made, splices among it."""
    out = tmp_path_factory.mktemp("wider")
    assert call(data, out, "--only", f"splices,{NO_WORLD}", "--per-clip", "2") == 0
    return out


def call(data, out, *more):
    return extend.main(["--data", str(data), "--subset", "train", "--out", str(out), *more])


def made(out):
    return list(csv.DictReader((out / "manifest.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("method", METHODS)
def test_a_copy_sounds_like_its_clip_and_is_not_it(method):
    clip = speechlike(1.2, seed=3)
    raw = method.make(clip, np.random.default_rng(1))
    copy = clips.settle(raw, clip)
    assert copy.shape == clip.shape
    assert copy.dtype == np.float32
    assert abs(20 * np.log10(rms(copy) / rms(clip))) < 1.1
    assert np.abs(copy).max() < 1.0
    assert np.abs(copy - clip).max() > 0.01
    assert likeness(copy, clip) > (0.6 if method.group == "phase-vocoder" else 0.8)
    assert not (copy == 0.0).any()
    np.testing.assert_array_equal(method.make(clip, np.random.default_rng(1)), raw)
    assert not np.array_equal(method.make(clip, np.random.default_rng(2)), raw)


@pytest.mark.parametrize("method", METHODS)
def test_short_and_soft_and_noisy_clips_are_copied(method, rng):
    for clip in (speechlike(0.15), 1e-3 * speechlike(0.5), 0.1 * rng.standard_normal(8000).astype(np.float32)):
        copy = clips.settle(method.make(clip, rng), clip)
        assert copy.size == clip.size
        assert rms(copy) == pytest.approx(rms(clip), rel=0.15)


def test_every_method_is_a_system_of_its_own():
    assert len({method.system for method in copies.METHODS}) == len(copies.METHODS)
    assert {copies.draw(copies.METHODS[:3], np.random.default_rng(seed)).name for seed in range(40)} == {
        method.name for method in copies.METHODS[:3]
    }


@pytest.mark.parametrize("hz", [90.0, 140.0, 260.0])
def test_the_pitch_is_found(hz, rng):
    time_s = np.arange(16000) / SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * k * hz * time_s) / k for k in range(1, 12)) + 0.01 * rng.standard_normal(16000)
    voice[8000:] = 0.3 * rng.standard_normal(8000)
    found = track(voice, 80, 60.0, 450.0, 0.5)
    assert np.median(found.hz[10:90]) == pytest.approx(hz, rel=0.02)
    assert np.mean(found.hz[110:] == 0) > 0.8


def test_pulses_have_the_power_of_noise(rng):
    found = track(speechlike(1.0), 80, 60.0, 450.0, 0.4)
    assert rms(source_filter.pulses(found, 16000, rng)) == pytest.approx(1.0, rel=0.1)


def test_bands_are_inverted():
    bank = mel_bank(100, 512, 0.0, 8000.0)
    assert (bank.sum(1) > 0).all()
    magnitudes = Frames(512, 128).analyse(speechlike(0.5)).abs()
    for rounds in (0, 20):
        again = bank @ from_bank(bank, bank @ magnitudes, rounds)
        assert float((again - bank @ magnitudes).abs().mean() / (bank @ magnitudes).mean()) < 0.2


def test_a_splice_changes_one_stretch(rng):
    clip = speechlike(2.0)
    for _ in range(20):
        inside = splices.mask(clip.size, rng)
        assert 0.25 < inside.mean() < 0.72
        changes = np.flatnonzero(np.diff((inside > 0.5).astype(int)))
        assert changes.size in (1, 2)
        assert np.abs(np.diff(inside)).max() < 0.05
    spliced = splices.splice(lambda clip, rng: 3.0 * np.roll(clip, 50))(clip, rng)
    same = spliced == clip
    assert 0.2 < same.mean() < 0.8
    assert rms(spliced) == pytest.approx(rms(clip), rel=0.1)


def test_a_copy_keeps_level_rumble_and_digital_silence(rng):
    clip = speechlike(2.0).copy()
    clip += 0.05 * np.sin(2 * np.pi * 25 * np.arange(clip.size) / SAMPLE_RATE).astype(np.float32)
    clip[8000:12000] = 0.0
    clip[20000:20010] = 0.0  # too short to be meant
    copy = clips.settle(0.1 * rng.standard_normal(clip.size + 100), clip)
    assert not copy[8000:12000].any()
    assert copy[19000:21000].all()
    assert rms(copy) == pytest.approx(rms(clip), rel=0.1)
    low = slice(20, 60)  # 10 to 30 Hz
    one, other = np.abs(np.fft.rfft(copy))[low], np.abs(np.fft.rfft(clip))[low]
    assert np.corrcoef(one, other)[0, 1] > 0.9


def test_peaks_are_turned_down_not_clipped(rng):
    clip = (0.3 * rng.standard_normal(16000)).astype(np.float32)
    sound = 0.2 * rng.standard_normal(16000)
    sound[::1500] = 2.0
    copy = clips.settle(sound, clip)
    assert np.abs(copy).max() <= clips.PEAK + 1e-6
    full = np.abs(copy) > 0.985
    assert np.sum(full[1:] & full[:-1]) < 3
    assert abs(20 * np.log10(rms(copy) / rms(clip))) < 1.1
    lonely = np.zeros(16000)
    lonely[8000] = 1.0
    with pytest.raises(AudioError, match="clipped"):
        clips.settle(lonely + 1e-6, clip)


@pytest.mark.parametrize(
    ("copy", "words"),
    [(np.full(100, np.nan), "no sound"), (np.zeros(16000), "silent"), (np.ones(100), "shorter"), ([], "no sound")],
)
def test_what_is_no_copy_is_refused(copy, words):
    with pytest.raises(AudioError, match=words):
        clips.settle(np.array(copy), speechlike(1.0))


def test_a_second_generation_of_opus_takes_no_more_of_the_top(tmp_path):
    clip = 0.8 * speechlike(2.0) + 0.01 * np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    clips.save(tmp_path / "first.opus", clip)
    first = read(tmp_path / "first.opus")
    assert first.size == clip.size
    top = {}
    for name, again in (("plain", False), ("again", True)):
        clips.save(tmp_path / f"{name}.opus", first, again)
        power = np.abs(np.fft.rfft(read(tmp_path / f"{name}.opus")) / np.maximum(1e-9, np.abs(np.fft.rfft(first)))) ** 2
        top[name] = 10 * np.log10(np.median(power[2 * 7200 : 2 * 7700]))
    assert top["plain"] < -1.5
    assert abs(top["again"]) < abs(top["plain"]) / 2


def test_what_is_made_up_for_leaves_digital_silence_alone():
    clip = speechlike(1.0).copy()
    clip[6000:10000] = 0.0
    raised = clips._against_roll_off(clip)
    assert not raised[6000:10000].any()
    assert raised[:6000].all()
    assert np.abs(raised).max() < 1.0


def test_the_run(data, wider):
    found = made(wider)
    assert len(found) == 12
    genuine = {Path(row["path"]).stem: row for row in rows.read_rows(data, "train") if row["label"] == "bonafide"}
    assert {row["pair_of"] for row in found} == set(genuine)
    for row in found:
        original = genuine[row["pair_of"]]
        kind = "splice" if "splice" in row["system"] else "copysyn"
        assert row["source"] == f"engine:{row['system']}"
        assert row["system"].startswith(f"{kind}_")
        assert (row["label"], row["subset"], row["family"]) == ("spoof", "train", "vocoder")
        assert row["licence"].endswith(" + source CC0-1.0")
        assert Path(row["path"]).suffix == Path(original["path"]).suffix
        copy, clip = read(wider / row["path"]), read(data.parent / original["path"])
        assert copy.size == clip.size
        assert float(row["duration_s"]) == pytest.approx(clip.size / SAMPLE_RATE, abs=0.001)
        assert abs(20 * np.log10(rms(copy) / rms(clip))) < 1.5
        assert likeness(copy, clip) > 0.6
    assert len({row["system"] for row in found}) > 4
    assert not list(wider.rglob(".*"))  # nothing half written


def test_deepcheck_reads_both_manifests(data, wider):
    alone = read_data(wider / "manifest.csv", subset="train")
    assert alone.counts() == {Label.SPOOF: 12}
    merged = read_data(wider / "with-original.csv", subset="train")
    assert merged.counts() == {Label.SPOOF: 13, Label.BONAFIDE: 6}
    ids = {utterance.id for utterance in merged.utterances if utterance.label is Label.BONAFIDE}
    assert {u.pair for u in merged.utterances if u.label is Label.SPOOF and u.pair} == ids
    assert len(read_data(wider / "with-original.csv", subset="val")) == 1


def test_the_same_command_goes_on_and_makes_the_same(data, wider, tmp_path, capsys):
    out = tmp_path / "again"
    shutil.copytree(wider, out)
    lines = (out / "manifest.csv").read_text().splitlines(keepends=True)
    (out / "manifest.csv").write_text("".join(lines[:-2]) + lines[-2] + lines[-1][:30])  # killed in the last line
    lost = out / made(wider)[0]["path"]
    before = read(lost)
    lost.unlink()
    kept = out / made(wider)[1]["path"]
    stamp = kept.stat().st_mtime_ns
    assert call(data, out, "--only", f"splices,{NO_WORLD}", "--per-clip", "2") == 0
    assert "2 made" in capsys.readouterr().err
    assert (out / "manifest.csv").read_text() == "".join(lines)
    assert kept.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(read(lost), before)


def test_another_seed_and_another_number_of_clips(data, tmp_path):
    assert call(data, tmp_path, "--only", "random-phase", "--limit", "2") == 0
    first = made(tmp_path)
    assert len(first) == 2
    assert call(data, tmp_path, "--only", "random-phase", "--limit", "2", "--seed", "1", "--format", "flac") == 0
    assert len(made(tmp_path)) == 4
    assert {row["path"] for row in first} < {row["path"] for row in made(tmp_path)}


def test_a_bad_clip_costs_a_sentence(data, tmp_path, capsys):
    shutil.copytree(data.parent, tmp_path / "corpus")
    (tmp_path / "corpus/train/1/000000000001.opus").write_bytes(b"no sound at all")
    (tmp_path / "corpus/train/2/000000000002.flac").unlink()
    clips.save(tmp_path / "corpus/train/5/000000000005.flac", np.tile(speechlike(3.1), 20))
    assert call(tmp_path / "corpus/manifest.csv", tmp_path / "out", "--only", "random-phase") == 0
    err = capsys.readouterr().err
    assert "Left out: copysyn_random_phase of 000000000001: not audio or video" in err
    assert "Left out: copysyn_random_phase of 000000000002: the file does not exist" in err
    assert "Left out: copysyn_random_phase of 000000000005: it is longer than 60 s" in err
    assert len(made(tmp_path / "out")) == 3


def test_clips_that_share_a_name_are_told_apart(tmp_path):
    data = make_corpus(tmp_path / "corpus", [f"train/speaker{number}/001" for number in range(6)])
    assert call(data, tmp_path / "corpus/wider", "--only", "random-phase") == 0
    merged = read_data(tmp_path / "corpus/wider/with-original.csv", subset="train")
    ids = {utterance.id for utterance in merged.utterances if utterance.label is Label.BONAFIDE}
    assert {u.pair for u in merged.utterances if u.pair} == ids
    assert len(ids) == 6


def test_paths_below_the_manifest_are_relative(data, tmp_path):
    shutil.copytree(data.parent, tmp_path / "corpus")
    place = tmp_path / "corpus" / "wider"
    assert call(tmp_path / "corpus/manifest.csv", place, "--only", "random-phase", "--limit", "1") == 0
    manifest = rows.Manifest(place)
    both = tmp_path / "corpus/both.csv"
    rows.merge(tmp_path / "corpus/manifest.csv", rows.read_rows(tmp_path / "corpus/manifest.csv"), manifest, both)
    assert not [row for row in csv.DictReader(both.read_text().splitlines()) if row["path"].startswith("/")]
    shutil.move(tmp_path / "corpus", tmp_path / "moved")
    assert len(read_data(tmp_path / "moved/both.csv")) == 9


def talk(text, voice, manner, place):
    """An engine that says the text as a tone, begins at once and ends in digital zeros."""
    sound = np.concatenate([speechlike(1.0, f0_hz=100 * manner.pitch), np.zeros(4000, np.float32)])
    soundfile.write(place, np.repeat(sound, 2), 2 * SAMPLE_RATE)


def mumble(text, voice, manner, place):
    raise AudioError("the voice is hoarse")


def here():
    return True


@pytest.fixture
def fakes(monkeypatch):
    voices = [engines.Voice("tenor", "en"), engines.Voice("alto", "de")]
    table = (
        engines.Engine("talker", "CC0", "it is there", here, lambda: voices, talk),
        engines.Engine("mumbler", "CC0", "it is there", here, lambda: voices[:1], mumble),
        engines.Engine("nowhere", "CC0", "pip install nowhere", lambda: False, list, mumble),
    )
    monkeypatch.setattr(engines, "engines", lambda files: table)


@pytest.mark.usefixtures("fakes")
def test_engines(data, tmp_path, capsys):
    assert call(data, tmp_path, "--only", "engines", "--per-voice", "2") == 0
    err = capsys.readouterr().err
    assert "Left out: nowhere, which is not there. To get it: pip install nowhere" in err
    assert "Left out: mumbler of mumbler/tenor: the voice is hoarse" in err
    found = made(tmp_path)
    assert [row["system"] for row in found] == ["talker"] * 4
    assert {(row["speaker"], row["language"]) for row in found} == {("talker/tenor", "en"), ("talker/alto", "de")}
    assert {row["original_sample_rate"] for row in found} == {"32000"}
    assert {row["source"] for row in found} == {"engine:talker"}
    levels = [rms(read(data.parent / row["path"])) for row in rows.read_rows(data, "train")]
    for row in found:
        sound = read(tmp_path / row["path"])
        assert 0.8 * min(levels) < rms(sound) < 1.2 * max(levels)
        assert not clips._still(sound).any()


@pytest.mark.usefixtures("fakes")
def test_an_engine_that_was_asked_for_has_to_be_there(data, tmp_path, capsys):
    assert call(data, tmp_path, "--only", "nowhere") == 1
    assert "Error: nowhere is not there. To get it: pip install nowhere" in capsys.readouterr().err


def test_silence_around_a_sentence_is_that_of_a_recording(rng):
    said = np.concatenate([np.zeros(16000), speechlike(1.0), np.zeros(16000)]).astype(np.float32)
    like = 0.2 * speechlike(4.0, seed=2)
    sound = spoken.recorded(said, like, rng)
    assert 1.0 < sound.size / SAMPLE_RATE < 2.0
    assert rms(sound) == pytest.approx(rms(like), rel=0.05)
    assert sound.all()
    with pytest.raises(AudioError, match="nothing"):
        spoken.recorded(np.zeros(16000, np.float32), like, rng)


@pytest.mark.parametrize("engine", engines.engines(engines.Files()), ids=lambda engine: engine.name)
def test_the_engines_that_are_installed_speak(engine, tmp_path):
    if not engine.present():
        pytest.skip(f"needs {engine.name}: {engine.to_get}")
    voice = engine.voices()[0]
    engine.speak(texts.TEXTS[voice.language][0], voice, engines.Manner(1.1, 0.9), tmp_path / "spoken.wav")
    assert rms(read(tmp_path / "spoken.wav")) > amplitude(-50.0)


def test_a_program_that_fails_is_an_audio_error():
    with pytest.raises(AudioError, match=r"failed \(exit code 3\)"):
        engines._call([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(AudioError, match=r"failed \(no voice\)"):
        engines._call([sys.executable, "-c", "raise SystemExit('no voice')"])


def test_there_are_sentences():
    assert len(texts.TEXTS["en"]) == 40
    assert {len(some) for language, some in texts.TEXTS.items() if language != "en"} == {8}
    every = [text for some in texts.TEXTS.values() for text in some]
    assert len(set(every)) == len(every)


def test_channels(data, wider, tmp_path):
    out = tmp_path / "wider"
    shutil.copytree(wider, out)
    copied = {Path(row["path"]).stem for row in made(out)}
    for _ in range(2):  # and no channel leads through another one
        assert call(data, out, "--only", "channels", "--pairs", "6") == 0
        channelled = [row for row in made(out) if Path(row["path"]).stem not in copied]
        assert len(channelled) == 12
    genuine = {Path(row["path"]).stem: row for row in channelled if row["label"] == "bonafide"}
    spoofs = [row for row in channelled if row["label"] == "spoof"]
    assert {row["source"] for row in genuine.values()} == {"site0", "site1"}
    assert {row["pair_of"] for row in spoofs} == set(genuine)
    for row in spoofs:
        assert row["system"].split("_")[0] in {"copysyn", "splice"}
        partner = genuine[row["pair_of"]]
        assert Path(row["path"]).suffix == Path(partner["path"]).suffix
        one, other = read(out / row["path"]), read(out / partner["path"])
        assert one.size == other.size
        assert abs(20 * np.log10(rms(one) / rms(other))) < 2
    read_data(out / "with-original.csv", subset="train").require_both_labels()


def test_a_vocoder_of_the_users(data, tmp_path, rng):
    import_torchaudio()
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    torch.manual_seed(0)
    small = {"upsample_initial_channel": 8, "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1]]}
    config = SpeechT5HifiGanConfig(
        model_in_dim=20, sampling_rate=22_050, upsample_rates=[8, 8], upsample_kernel_sizes=[16, 16], **small
    )
    SpeechT5HifiGan(config).save_pretrained(tmp_path / "vocoder")
    clip = speechlike(1.0)
    copy = clips.settle(neural.hifigan(tmp_path / "vocoder").make(clip, rng), clip)
    assert copy.size == clip.size
    assert np.abs(copy - clip).max() > 0.01
    arguments = ("--only", "hifigan", "--hifigan", str(tmp_path / "vocoder" / "config.json"), "--limit", "2")
    assert call(data, tmp_path / "out", *arguments) == 0
    assert {row["system"] for row in made(tmp_path / "out")} == {"copysyn_hifigan"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--only", "wrld"], 'There is no "wrld" to make. Did you mean "world"?'),
        (["--subset", "trian"], 'no rows of the subset "trian". It has: train, val.'),
        (["--hifigan", "nowhere"], "There is no config.json in"),
        (["--only", "hifigan"], 'There is no "hifigan" to make.'),
        (["--data", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(data, tmp_path, capsys, more, words):
    assert call(data, tmp_path / "out", *more) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_pyworld_the_rest_is_made(data, tmp_path, capsys, monkeypatch):
    import world

    monkeypatch.setattr(world, "find_spec", lambda name: None)
    assert call(data, tmp_path, "--only", "copies", "--limit", "1") == 0
    assert "Left out: world. WORLD needs the package pyworld: pip install pyworld" in capsys.readouterr().err
    assert len(made(tmp_path)) == 1
    assert call(data, tmp_path, "--only", "world") == 1
    assert "Error: world cannot be made. WORLD needs the package pyworld" in capsys.readouterr().err


def test_a_sound_is_drawn_again_before_it_is_given_up():
    calls = []

    def make(attempt):
        calls.append(attempt)
        if attempt < 1:
            raise AudioError("not this one")
        return np.ones(10), {}

    job = jobs.Job(("key",), {}, "flac", make, tries=3)
    assert jobs._made(job)[0].size == 10
    assert calls == [0, 1]
    assert job.path == jobs.Job(("key",), {"label": "spoof"}, "flac", make).path

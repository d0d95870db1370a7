import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import speechlike, write_wav

import deepcheck
from deepcheck.card import Card
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.engine.model import load
from deepcheck.errors import ConfigError, DataError, ModelError
from deepcheck.files import sha256
from deepcheck.metrics.calibration import Calibration, Thresholds
from deepcheck.scanner.engines import local
from deepcheck.scanner.pooling import recording_llr
from deepcheck.scanner.result import FileResult, Report
from deepcheck.scanner.run import Scan, scan
from deepcheck.scanner.shard import Shard


@pytest.fixture
def good(tmp_path) -> list[Path]:
    return [write_wav(tmp_path / "in" / f"good{i}.wav", speechlike(1.8 + 0.4 * i, seed=i)) for i in range(4)]


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(200)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a-empty.wav": (lambda _: b"", "the file is empty"),
    "b-text.wav": (lambda _: b"a letter\n" * 99, "not audio or video in a known format"),
    "c-image.mp3": (lambda _: png(), "not audio or video in a known format"),
    "d-cut.wav": (half, "the file is truncated"),
    "e-header.wav": (lambda data: data[:44], "the audio track holds no samples"),
    "f-random.m4a": (lambda _: np.random.default_rng(0).bytes(9_999), "not audio or video in a known format"),
    "g-playlist.ogg": (lambda _: b"#EXTM3U\n#EXTINF:1,\ngood0.wav\n", "not audio or video in a known format"),
    "h-zeros.flac": (lambda _: bytes(9_999), "the file has no audio track"),
    "i-riff.wav": (lambda _: b"RIFF\x10\0\0\0WAVEjunk", "not audio or video in a known format"),
    "j-byte.opus": (lambda _: b"O", "not audio or video in a known format"),
}


@pytest.fixture
def mixed(good) -> Path:
    """Good recordings among ten sorts of broken file and three that hold nothing to judge."""
    folder = good[0].parent
    whole = write_wav(folder / "whole.wav", speechlike(4.0)).read_bytes()
    for name, (break_it, _) in BROKEN.items():
        (folder / name).write_bytes(break_it(whole))
    write_wav(folder / "x-short.wav", speechlike(0.5))
    write_wav(folder / "y-silent.wav", np.zeros(48_000, np.float32))
    write_wav(folder / "z-noise.wav", 0.1 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32))
    (folder / "lost.wav").symlink_to(folder / "nowhere.wav")
    os.mkfifo(folder / "pipe.wav")
    return folder


def by_name(report: Report) -> dict[str, FileResult]:
    return {result.path.name: result for result in report}


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_good_file_is_scored_and_every_bad_one_has_a_reason(stored_model, mixed, jobs):
    results = by_name(scan(mixed, model=stored_model(), jobs=jobs))
    assert len(results) == 5 + len(BROKEN) + 5
    scored = {name for name, result in results.items() if result.status == "scored"}
    assert scored == {"good0.wav", "good1.wav", "good2.wav", "good3.wav", "whole.wav"}
    for name in scored:
        assert results[name].verdict in {"spoof", "inconclusive", "bona fide"}
        assert results[name].reason is None
    for name, (_, reason) in BROKEN.items():
        assert results[name].reason.startswith(reason), name
    assert results["x-short.wav"].reason.startswith("too short: 0.50 s")
    assert results["y-silent.wav"].reason.startswith("silent")
    assert results["z-noise.wav"].reason == "no speech found"
    assert results["lost.wav"].reason == "the file does not exist"
    assert results["pipe.wav"].reason == "this is a pipe or a device, not a file"


def test_bad_files_do_not_touch_the_scores_of_good_ones(stored_model, mixed, good):
    among = by_name(scan(mixed, model=stored_model()))
    for path in good:
        [alone] = scan(path, model="tiny")
        assert among[path.name].llr == pytest.approx(alone.llr, abs=1e-5)
        assert among[path.name].p_spoof == pytest.approx(alone.p_spoof, abs=1e-5)
        assert among[path.name].speech_s == pytest.approx(alone.speech_s, abs=1e-6)


def test_results_come_in_the_order_of_the_files(stored_model, mixed, good):
    names = [result.path.name for result in scan(mixed, model=stored_model(), jobs=3)]
    assert names == sorted(names)
    given = [good[2], mixed / "a-empty.wav", good[0], good[3]]
    assert [result.path for result in scan(given, model="tiny", jobs=3)] == given


def test_result_of_a_file(stored_model, good):
    [result] = scan(good[3], model=stored_model())
    assert result.path == good[3]
    assert result.sha256 == hashlib.sha256(good[3].read_bytes()).hexdigest()
    assert result.duration_s == pytest.approx(3.0)
    assert 2.5 < result.speech_s <= 3.0
    assert [(window.start_s, window.end_s) for window in result.windows] == [
        (0.0, 1.0),
        (0.5, 1.5),
        (1.0, 2.0),
        (1.5, 2.5),
        (2.0, 3.0),
    ]
    assert result.llr == pytest.approx(recording_llr(np.array([window.llr for window in result.windows])))
    assert result.suspicious.llr == min(window.llr for window in result.windows)
    assert result.p_spoof == pytest.approx(1 / (1 + np.exp(result.llr)))


def test_hash_of_a_bad_file_is_that_of_its_bytes(stored_model, mixed):
    results = by_name(scan(mixed, model=stored_model()))
    assert results["b-text.wav"].sha256 == hashlib.sha256((mixed / "b-text.wav").read_bytes()).hexdigest()
    assert results["lost.wav"].sha256 is None
    assert results["pipe.wav"].sha256 is None


@pytest.mark.parametrize("paths", ["str", "path", "list", "generator"])
def test_paths_in_any_form(stored_model, good, paths):
    form = {"str": str(good[0]), "path": good[0], "list": [str(good[0])], "generator": (path for path in good[:1])}
    assert [result.path for result in scan(form[paths], model=stored_model())] == [good[0]]


def test_model_by_name_file_object_and_as_the_current_one(stored_model, good, home):
    name = stored_model()
    (home / "current").write_text(f"{name}\n")
    reports = [
        scan(good[0], model=model)
        for model in (
            name,
            home / "models" / "tiny.safetensors",
            str(home / "models/tiny.safetensors"),
            load(name),
            None,
        )
    ]
    assert len({report.results[0].llr for report in reports}) == 1
    assert {report.basis.model for report in reports} == {"tiny"}


def test_basis_says_what_is_needed_to_repeat_the_scan(stored_model, good, home):
    stored_model(spoof=-1.5, bonafide=2.5)
    basis = scan(good[0], model="tiny", prior=0.2).basis
    assert basis.model == "tiny"
    assert basis.model_sha256 == hashlib.sha256((home / "models/tiny.safetensors").read_bytes()).hexdigest()
    assert basis.version == deepcheck.__version__
    assert basis.thresholds == Thresholds(-1.5, 2.5)
    assert basis.prior == 0.2
    assert (basis.false_alarm, basis.miss, basis.confidence) == (0.01, 0.05, 0.95)
    assert (basis.bonafide, basis.spoof) == (500, 400)


def test_own_threshold_decides_and_loses_the_promise(stored_model, good):
    [result] = scan(good[0], model=stored_model(spoof=-100.0, bonafide=100.0))
    assert result.verdict == "inconclusive"
    above = scan(good[0], model="tiny", threshold=result.llr + 0.01)
    below = scan(good[0], model="tiny", threshold=result.llr - 0.01)
    assert above.results[0].verdict == "spoof"
    assert below.results[0].verdict == "inconclusive"
    assert above.results[0].llr == pytest.approx(result.llr, abs=1e-6)
    assert above.basis.thresholds == Thresholds(result.llr + 0.01, 100.0)
    assert above.basis.false_alarm is above.basis.miss is above.basis.confidence is None


def test_own_threshold_above_that_of_bona_fide_leaves_nothing_between(stored_model, good):
    report = scan(good[0], model=stored_model(spoof=-100.0, bonafide=-50.0), threshold=20.0)
    assert report.basis.thresholds == Thresholds(20.0, 20.0)
    assert report.results[0].verdict == "spoof"


def test_offset_of_the_calibration_moves_the_verdict(stored_model, good):
    verdicts = [scan(good[0], model=stored_model(offset=offset)).results[0].verdict for offset in (-50.0, 50.0)]
    assert verdicts == ["spoof", "bona fide"]


def test_prior_changes_the_probability_alone(stored_model, good):
    [even] = scan(good[0], model=stored_model())
    [rare] = scan(good[0], model="tiny", prior=0.001)
    assert rare.p_spoof == pytest.approx(0.001 / (0.001 + 0.999 * np.exp(even.llr)), rel=1e-4)
    assert repr(dataclasses.replace(rare, p_spoof=even.p_spoof)) == repr(even)  # NaN is not equal to itself


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.5, 2.0, float("nan")])
def test_impossible_prior(stored_model, good, prior):
    with pytest.raises(ConfigError, match="The prior probability of spoof is"):
        scan(good[0], model=stored_model(), prior=prior)


def test_threshold_that_is_no_number(stored_model, good):
    with pytest.raises(ConfigError, match=r"The threshold is not a number\."):
        scan(good[0], model=stored_model(), threshold=float("nan"))


@pytest.mark.parametrize(("threshold", "verdict"), [(float("-inf"), "inconclusive"), (float("inf"), "spoof")])
def test_threshold_without_bounds(stored_model, good, threshold, verdict):
    assert scan(good[0], model=stored_model(bonafide=1e6), threshold=threshold).results[0].verdict == verdict


def test_progress_is_told_file_by_file(stored_model, mixed):
    calls: list[tuple[FileResult | None, int]] = []
    report = scan(mixed, model=stored_model(), progress=lambda result, total: calls.append((result, total)))
    assert calls[0] == (None, len(report))
    assert all(total == len(report) for _, total in calls)
    assert sorted(result.path for result, _ in calls[1:]) == [result.path for result in report]
    assert {id(result) for result, _ in calls[1:]} == {id(result) for result in report}


def test_unreadable_folder_is_a_row_at_the_end(stored_model, good, monkeypatch):
    locked = good[0].parent / "aaa"
    locked.mkdir()
    real = os.scandir

    def scandir(path="."):
        if os.fspath(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(locked))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = scan(good[0].parent, model=stored_model())
    assert [result.path for result in report] == [*good, locked]
    assert report.results[-1] == FileResult(locked, reason="no permission to open the folder")
    assert report.counts()["not scored"] == 1


def test_counts_add_up(stored_model, mixed):
    report = scan(mixed, model=stored_model(spoof=-100.0, bonafide=-99.0))
    assert report.counts() == {"bona fide": 5, "not scored": len(BROKEN) + 5}


def test_model_without_calibration_comes_to_no_verdict(tiny, good, home):
    for name, card in (
        ("raw", Card("raw", tiny.spec)),
        ("half", Card("half", tiny.spec, calibration=Calibration(1.0, 0.0))),
    ):
        save_checkpoint(snapshot(tiny, card), home / "models" / f"{name}.safetensors")
        [result] = scan(good[0], model=name)
        assert (result.verdict, result.p_spoof) == ("inconclusive", None)
        assert [note.name for note in result.notes if note.name == "uncalibrated"]


def test_what_can_not_be_done_at_all_is_an_error(stored_model, good, tmp_path):
    stored_model()
    with pytest.raises(ModelError, match='There is no model "tinny"') as caught:
        scan(good[0], model="tinny")
    assert 'Did you mean "tiny"?' in caught.value.hint
    with pytest.raises(DataError, match="There is nothing at"):
        scan(tmp_path / "gone", model="tiny")
    with pytest.raises(ConfigError, match='There is no device "gpu"'):
        scan(good[0], model="tiny", device="gpu")


# --- a scan under way


def test_several_models(stored_model, good):
    names = [stored_model(), stored_model("other", offset=0.5)]
    report = scan(good[0], model=names)
    assert [opinion.model for opinion in report.results[0].opinions] == names
    assert [basis.model for basis in report.basis.models] == names


def test_a_part(stored_model, good):
    stored_model()
    parts = [scan(good, model="tiny", shard=f"{i}/2") for i in (1, 2)]
    assert sorted(result.path for part in parts for result in part) == good
    again = scan(good, model="tiny", shard=Shard(1, 2))
    assert [result.path for result in again] == [result.path for result in parts[0]]


def test_results_as_they_come_and_the_report_so_far(stored_model, mixed):
    with Scan(model=stored_model(), jobs=1) as running:
        results = running.run(mixed)
        assert (running.tally.files, running.tally.done) == (5 + len(BROKEN) + 5, 0)
        early = [next(results) for _ in range(3)]
        report = running.report()
        assert not report.complete
        assert sorted(result.path for result in report) == sorted(result.path for result in early)
        rest = list(results)
        report = running.report()
    assert report.complete
    assert {id(result) for result in report} == {id(result) for result in [*early, *rest]}
    assert [result.path for result in report] == sorted(mixed.iterdir())
    assert running.tally.done == running.tally.files
    assert running.tally.not_scored == report.counts()["not scored"]


def test_files_that_come_later_are_added_and_changed_ones_replaced(stored_model, good):
    with Scan(model=stored_model()) as running:
        list(running.run(good[:2]))
        write_wav(good[0], speechlike(2.0, seed=8))
        list(running.run([good[3], good[0]]))
        report = running.report()
    assert [result.path for result in report] == [good[0], good[1], good[3]]
    assert report.results[0].sha256 == sha256(good[0])


def test_an_interrupt_comes_through_and_leaves_what_is_done(stored_model, good):
    def interrupt(result, total):
        if result is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(good, model=stored_model(), progress=interrupt)
    with Scan(model="tiny") as running:
        results = running.run(good)
        next(results)
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt())
        assert len(running.report()) == 1


def test_a_journal_resumes(stored_model, mixed, tmp_path, monkeypatch):
    stored_model()
    first = scan(mixed, model="tiny", journal=tmp_path / "journals")
    with Scan(model="tiny", journal=tmp_path / "journals") as running:
        monkeypatch.chdir(mixed)
        list(running.run("."))
        again = running.report()
    # What could not be read - a link to nowhere, a pipe - is tried again.
    assert running.tally.known == len(first) - 2
    as_before = [dataclasses.replace(result, path=mixed / result.path) for result in again]
    assert repr(tuple(as_before)) == repr(first.results)


def test_without_a_journal_nothing_is_written(stored_model, good, home, tmp_path):
    stored_model()
    before = sorted([*home.rglob("*"), *tmp_path.rglob("*")])
    scan(good, model="tiny")
    assert sorted([*home.rglob("*"), *tmp_path.rglob("*")]) == before


def test_a_file_that_changed_while_it_was_read_is_not_remembered(stored_model, good, tmp_path, monkeypatch):
    stored_model()
    real = local.digest

    def growing(path):
        with path.open("ab") as file:
            file.write(b"more")
        return real(path)

    monkeypatch.setattr(local, "digest", growing)
    for _ in range(2):
        with Scan(model="tiny", journal=tmp_path / "journals") as running:
            [result] = running.run(good[0])
        assert result.reason == "the file changed while it was read"
        assert running.tally.known == 0


def test_passing_files_are_not_remembered(stored_model, good, tmp_path):
    stored_model()
    for _ in range(2):
        with Scan(model="tiny", journal=tmp_path / "journals", passing=[good[0]]) as running:
            list(running.run(good[:2]))
    assert running.tally.known == 1


def test_public_names():
    assert deepcheck.scan is scan
    assert deepcheck.Scan is Scan

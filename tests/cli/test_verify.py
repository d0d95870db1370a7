"""`deepcheck verify`: what a report says is confirmed, or what of it is not."""

import csv
import json
import os
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck import store
from deepcheck.cli.app import app
from deepcheck.scanner.verify import TOLERANCES

CONFIRMED, NOT_CONFIRMED, USAGE = 0, 1, 2


@pytest.fixture
def case(tmp_path, monkeypatch, stored_model):
    """Three recordings, one of which is no sound, a report of them in two formats, and the model that made it."""
    monkeypatch.chdir(tmp_path)
    stored_model()
    for i in range(2):
        write_wav(tmp_path / "inbox" / "deep" / f"voice{i}.wav", speechlike(2.0, seed=i))
    (tmp_path / "inbox" / "broken.wav").write_bytes(b"RIFF nothing")
    result = CliRunner().invoke(
        app, ["scan", "inbox", "--model", "tiny", "--output", "r.jsonl", "--output", "r.csv", "--quiet"]
    )
    assert result.exit_code == 3, result.output
    return tmp_path


def verify(*arguments):
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def told(*arguments):
    """(exit code, the line of the report, those of the files by the name of the file)."""
    result = verify(*arguments, "--format", "jsonl", "--quiet")
    whole, *files = map(json.loads, result.stdout.splitlines())
    return result.exit_code, whole, {Path(row["path"]).name: row for row in files}


def edit(path, change):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize("report", ["r.jsonl", "r.csv"])
def test_a_report_is_confirmed_where_nothing_has_changed(case, report):
    code, whole, files = told(report, "--all")
    assert code == CONFIRMED
    assert whole["confirmed"]
    assert whole["model"] == "same"
    assert whole["rescored"] == 3
    assert whole["counts"] == {"same": 3, "changed": 0, "missing": 0, "score differs": 0, "no hash": 0}
    for name in ("voice0.wav", "voice1.wav"):
        assert files[name]["llr_now"] == pytest.approx(files[name]["llr"], abs=1e-4)
        assert files[name]["sha256"] == files[name]["sha256_now"]
    assert files["broken.wav"]["llr_now"] is None


@pytest.mark.parametrize("report", ["r.jsonl", "r.csv"])
def test_names_that_reports_write_in_another_way(case, report):
    names = ["'quoted.wav", "''two.wav", "=1+1.wav", "-dash.wav", "new\nline.wav", "a\\x41b.wav", "\u202ertl.wav"]
    for i, name in enumerate(names):
        write_wav(case / name, speechlike(1.2, seed=i))
    os.rename(case / "=1+1.wav", os.fsencode(case) + b"/=1+\xff.wav")  # noqa: PTH104
    scanned = CliRunner().invoke(app, ["scan", ".", "--model", "tiny", "--output", report, "--quiet"])
    assert scanned.exit_code == 3, scanned.output
    code, whole, _ = told(report, "--sample", 0)
    assert code == CONFIRMED
    assert whole["counts"]["same"] >= len(names)


@pytest.mark.parametrize("path", ["y" * 5000, "x/" * 3000, "a\0b", "/proc/1/root/../" + "z" * 300])
def test_paths_that_cannot_be_are_missing(case, path):
    edit(case / "r.jsonl", lambda row: row["path"].endswith("broken.wav") and row.update(path=path))
    for root in ([], ["--root", "inbox"]):
        code, whole, _ = told("r.jsonl", "--sample", 0, *root)
        assert code == NOT_CONFIRMED
        assert (whole["counts"]["missing"], whole["counts"]["same"]) == (1, 2)


def test_what_changed_is_named(case):
    (case / "inbox" / "deep" / "voice0.wav").unlink()
    with (case / "inbox" / "deep" / "voice1.wav").open("ab") as file:
        file.write(b"\0")
    code, whole, files = told("r.jsonl")
    assert code == NOT_CONFIRMED
    assert not whole["confirmed"]
    assert {name: row["outcome"] for name, row in files.items()} == {
        "broken.wav": "same",
        "voice0.wav": "missing",
        "voice1.wav": "changed",
    }
    result = verify("r.jsonl")
    assert "NOT confirmed: 1 same, 1 changed, 1 missing" in result.stderr
    assert "its SHA-256 is another" in " ".join(result.stdout.split())


def test_a_score_that_somebody_edited_is_found(case):
    edit(case / "r.jsonl", lambda row: row.update(llr=row["llr"] and row["llr"] + 0.01))
    code, _, files = told("r.jsonl", "--all")
    assert code == NOT_CONFIRMED
    assert [files[name]["outcome"] for name in ("voice0.wav", "voice1.wav")] == ["score differs"] * 2
    assert "its score was" in files["voice0.wav"]["reason"]
    # By the hashes alone it is not.
    assert told("r.jsonl", "--sample", 0)[0] == CONFIRMED


def test_a_verdict_that_somebody_edited_is_found(case):
    edit(case / "r.jsonl", lambda row: row.update(verdict=row["verdict"] and "bona fide"))
    edit(case / "r.jsonl", lambda row: row.update(status="scored"))
    code, _, files = told("r.jsonl", "--all")
    assert code == NOT_CONFIRMED
    assert files["voice0.wav"]["outcome"] == "score differs"
    assert files["broken.wav"]["reason"] == "it was scored, and is now unreadable"


def test_files_that_have_moved_are_found_below_a_root(case, monkeypatch):
    (case / "inbox").rename(case / "evidence")
    assert told("r.jsonl")[1]["counts"]["missing"] == 3
    code, whole, files = told("r.jsonl", "--root", "evidence")
    assert code == CONFIRMED
    assert whole["counts"]["same"] == 3
    assert files["voice0.wav"]["found"].endswith("evidence/deep/voice0.wav")


def test_the_sample_depends_on_its_seed_alone(case):
    def sampled(seed):
        return {name for name, row in told("r.jsonl", "--sample", 1, "--seed", seed)[2].items() if row["rescored"]}

    assert len(sampled(0)) == 1
    assert sampled(0) == sampled(0)
    assert len({frozenset(sampled(seed)) for seed in range(6)}) > 1


def test_the_model_is_found_by_its_hash_or_said_to_be_gone(case):
    place = store.home() / "models" / "tiny.safetensors"
    place.rename(place.with_name("other.safetensors"))
    assert told("r.jsonl")[:1] == (CONFIRMED,)
    place.with_name("other.safetensors").rename(case / "elsewhere.safetensors")
    code, whole, files = told("r.jsonl")
    assert code == NOT_CONFIRMED
    assert "no model here with the SHA-256" in whole["model"]
    assert {row["outcome"] for row in files.values()} == {"same"}
    assert told("r.jsonl", "--model", case / "elsewhere.safetensors")[0] == CONFIRMED
    assert told("r.jsonl", "--sample", 0)[0] == CONFIRMED


def test_several_reports_are_confirmed_only_together(case):
    assert verify("r.jsonl", "r.csv").exit_code == CONFIRMED
    edit(case / "r.jsonl", lambda row: row.update(sha256="0" * 64))
    result = verify("r.csv", "r.jsonl")
    assert result.exit_code == NOT_CONFIRMED
    assert "r.csv: confirmed" in result.stderr
    assert "r.jsonl: NOT confirmed: 3 changed; 0 scored again" in result.stderr


def test_a_threshold_of_the_users_own_is_part_of_what_is_repeated(case):
    arguments = ["scan", "inbox", "--model", "tiny", "--threshold", "1e5", "--quiet"]
    CliRunner().invoke(app, [*arguments, "--output", "t.jsonl", "--output", "t.csv"])
    with (case / "t.csv").open(newline="") as file:
        assert {row["verdict"] for row in csv.DictReader(file) if row["llr"]} == {"spoof"}
    assert verify("t.jsonl", "t.csv", "--all").exit_code == CONFIRMED


def test_what_was_scored_in_bfloat16_is_scored_so_again(case, monkeypatch):
    arguments = ["scan", "inbox", "--model", "tiny", "--precision", "bf16", "--quiet", "--no-resume"]
    CliRunner().invoke(app, [*arguments, "--output", "b.jsonl", "--output", "b.csv"])
    assert verify("b.jsonl", "b.csv", "--all").exit_code == CONFIRMED
    edit(case / "b.jsonl", lambda row: row["basis"]["settings"].pop("precision"))
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-6)
    assert verify("b.jsonl", "--all").exit_code == NOT_CONFIRMED  # in float32 they are others
    edit(case / "b.jsonl", lambda row: row["basis"]["settings"].update(precision="fp8"))
    refused = verify("b.jsonl")
    assert (refused.exit_code, 'there is no precision "fp8"' in refused.stderr) == (1, True)


def test_rows_of_different_precisions_are_not_verified_as_one(case):
    scan = ["scan", "inbox/deep", "--model", "tiny", "--quiet", "--no-resume", "--precision"]
    for precision in ("fp32", "bf16"):
        CliRunner().invoke(app, [*scan, precision, "--output", f"{precision}.csv"])
    both = (case / "fp32.csv").read_text() + (case / "bf16.csv").read_text().partition("\n")[2]
    (case / "both.csv").write_text(both)
    assert "computed in different precisions" in " ".join(verify("both.csv").stderr.split())


def test_several_models(case, stored_model, monkeypatch):
    stored_model("second", offset=0.5)
    scan = ["scan", "inbox", "--model", "tiny", "--model", "second", "--precision", "bf16"]
    CliRunner().invoke(app, [*scan, "--output", "s.jsonl", "--output", "s.csv"])
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-6)
    assert told("s.jsonl", "--all")[0] == CONFIRMED
    edit(case / "s.jsonl", lambda row: row["basis"]["settings"].pop("precision"))
    assert told("s.jsonl", "--all")[0] == CONFIRMED  # each of the models says it, too
    result = verify("s.csv")
    assert result.exit_code == NOT_CONFIRMED
    assert "verify the jsonl report" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("r.html", "<html>", "only .jsonl and .csv reports hold what is needed"),
        ("x.jsonl", "", "is not a report of deepcheck"),
        ("x.jsonl", "[1]\n", "is not a report of deepcheck"),
        ("x.jsonl", '{"path": 3}\n', "is not a report of deepcheck"),
        ("x.jsonl", "[" * 100_000, "is not a report of deepcheck"),
        ("x.csv", "a,b\r\n1,2\r\n", "is not a report of deepcheck"),
        ("x.csv", "path\r\n", "is not a report of deepcheck"),
    ],
    ids=range(7),
)
def test_what_is_no_report_is_refused(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    result = verify(tmp_path / name)
    assert result.exit_code == NOT_CONFIRMED
    assert reason in " ".join(result.stderr.split())


def test_usage():
    assert verify().exit_code == USAGE
    assert verify("x.jsonl", "--format", "html").exit_code == USAGE
    assert "cannot be read" in verify("nowhere.jsonl").stderr

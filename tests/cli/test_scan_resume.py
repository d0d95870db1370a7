import re
import shutil
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli.app import app

DONE, SOME_NOT_SCORED = 0, 3


@pytest.fixture
def inbox(tmp_path, monkeypatch, stored_model) -> Path:
    monkeypatch.chdir(tmp_path)
    stored_model()
    for i in range(3):
        write_wav(tmp_path / "inbox" / f"voice{i}.wav", speechlike(1.5, seed=i))
    (tmp_path / "inbox" / "empty.wav").touch()
    return Path("inbox")


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that were decoded."""
    from deepcheck.audio import isolated

    names, real = [], isolated.decode

    def counting(path, **how):
        names.append(Path(path).name)
        return real(path, **how)

    monkeypatch.setattr(isolated, "decode", counting)
    return names


def scan(*arguments, model="tiny"):
    return CliRunner().invoke(app, ["scan", *map(str, arguments), "--model", model, "--format", "jsonl"])


def without_time(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "TIME", text)


def test_a_second_scan_decodes_nothing_and_says_the_same(inbox, decoded):
    first = scan(inbox)
    assert sorted(decoded) == ["empty.wav", "voice0.wav", "voice1.wav", "voice2.wav"]
    assert (first.exit_code, first.stderr) == (SOME_NOT_SCORED, "")
    decoded.clear()
    second = scan(inbox)
    assert decoded == []
    assert second.exit_code == SOME_NOT_SCORED
    assert without_time(second.stdout) == without_time(first.stdout)
    assert second.stderr == "4 of 4 files were scored by an earlier run (--no-resume scores all anew).\n"


def test_only_what_is_new_or_changed_is_scored(inbox, decoded):
    scan(inbox)
    decoded.clear()
    write_wav(inbox / "voice1.wav", speechlike(1.5, seed=9))
    write_wav(inbox / "voice3.wav", speechlike(1.5, seed=3))
    resumed = scan(inbox)
    assert sorted(decoded) == ["voice1.wav", "voice3.wav"]
    assert without_time(resumed.stdout) == without_time(scan(inbox, "--no-resume").stdout)


def test_no_resume_scores_all(inbox, decoded, home):
    scan(inbox)
    sizes = [path.stat().st_size for path in home.glob("journals/*/*.jsonl")]
    decoded.clear()
    assert "earlier run" not in scan(inbox, "--no-resume").stderr
    assert len(decoded) == 4
    assert [path.stat().st_size for path in home.glob("journals/*/*.jsonl")] == sizes


@pytest.mark.parametrize("how", ["absolute", "from another folder", "one by one", "in a list"])
def test_the_same_files_in_other_words(inbox, decoded, monkeypatch, tmp_path, how):
    scan(inbox)
    decoded.clear()
    if how == "absolute":
        scan(inbox.absolute())
    elif how == "from another folder":
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert '"path": "../inbox/empty.wav"' in scan("../inbox").stdout
    elif how == "one by one":
        for path in inbox.iterdir():
            scan(path)
    else:
        Path("list.txt").write_text("".join(f"{path}\n" for path in inbox.iterdir()))
        scan("--from-file", "list.txt")
    assert decoded == []


@pytest.mark.parametrize("options", [["--prior", "0.1"], ["--threshold", "-3"]])
def test_other_settings_score_again(inbox, decoded, options):
    scan(inbox)
    decoded.clear()
    scan(inbox, *options)
    assert len(decoded) == 4


def test_another_model_scores_again(inbox, decoded, stored_model):
    scan(inbox)
    decoded.clear()
    scan(inbox, model=stored_model("other", offset=1.0))
    assert len(decoded) == 4


def test_a_changed_model_of_the_same_name_scores_again(inbox, decoded, stored_model):
    scan(inbox)
    decoded.clear()
    stored_model("tiny", offset=1.0)
    scan(inbox)
    assert len(decoded) == 4


def test_parts_add_up_to_the_whole_without_scoring_again(inbox, decoded):
    for part in ("1/2", "2/2"):
        scan(inbox, "--shard", part)
    assert len(decoded) == 4
    assert "4 of 4 files were scored by an earlier run" in scan(inbox).stderr
    assert len(decoded) == 4


def test_without_its_folder_a_scan_begins_anew(inbox, decoded, home):
    scan(inbox)
    shutil.rmtree(home / "journals")
    decoded.clear()
    assert "earlier run" not in scan(inbox).stderr
    assert len(decoded) == 4


def test_a_home_that_cannot_be_written_is_a_warning(inbox, home):
    (home / "journals").write_text("in the way")
    result = scan(inbox)
    assert result.exit_code == SOME_NOT_SCORED
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr.startswith("Warning: The journal ")
    assert result.stderr.count("Warning") == 1
    assert "it begins anew" in result.stderr
    assert scan(inbox, "--quiet").stderr == ""

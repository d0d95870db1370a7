import re
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from typer.testing import CliRunner

from deepcheck.cli import scan_pictures
from deepcheck.cli.app import app
from deepcheck.errors import DataError
from deepcheck.explain import run

DONE, ERROR, SOME_NOT_SCORED = 0, 1, 3


@pytest.fixture
def inbox(tmp_path, monkeypatch, stored_model) -> Path:
    monkeypatch.chdir(tmp_path)
    stored_model(spoof=1e6, bonafide=2e6)
    for i in range(3):
        write_wav(tmp_path / "inbox" / f"voice{i}.wav", speechlike(1.5, seed=i))
    (tmp_path / "inbox" / "empty.wav").touch()
    return Path("inbox")


def scan(*arguments, stdin=b""):
    return CliRunner().invoke(app, ["scan", *map(str, arguments), "--model", "tiny"], input=stdin)


def pictures(page: str) -> int:
    return len(re.findall(r'src="data:image/png;base64,', Path(page).read_text()))


def test_explain_draws_every_scored_file(inbox):
    result = scan(inbox, "--explain", "new/pictures", "-o", "report.csv")
    assert result.exit_code == SOME_NOT_SCORED
    found = sorted(path.name for path in Path("new/pictures").iterdir())
    assert [name[:10] for name in found] == ["voice0.wav", "voice1.wav", "voice2.wav"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in Path("new/pictures").iterdir())


def test_a_page_shows_what_is_flagged(inbox, stored_model):
    assert scan(inbox, "-o", "report.html").exit_code == SOME_NOT_SCORED
    assert pictures("report.html") == 3
    stored_model(spoof=-2e6, bonafide=-1e6)
    scan(inbox, "-o", "report.html")
    assert pictures("report.html") == 0  # all bona fide
    scan(inbox, "-o", "report.html", "--explain", "pictures")
    assert pictures("report.html") == 3


def test_a_page_shows_the_most_suspicious_of_many(inbox, monkeypatch):
    monkeypatch.setattr(scan_pictures, "MOST", 2)
    scan(inbox, "-o", "report.html")
    assert pictures("report.html") == 2


def test_without_a_page_nothing_is_drawn(inbox, monkeypatch):
    monkeypatch.setattr(run, "explain_report", lambda *_: pytest.fail("drawn in vain"))
    assert scan(inbox, "-o", "report.csv").exit_code == SOME_NOT_SCORED


def test_sound_from_stdin_is_explained_as_well(inbox):
    result = scan("-", "--explain", "pictures", "-o", "report.html", stdin=(inbox / "voice0.wav").read_bytes())
    assert result.exit_code == DONE
    assert len(list(Path("pictures").iterdir())) == 1
    assert pictures("report.html") == 1


def test_a_place_for_pictures_that_is_none_is_refused_before_the_scan(inbox, monkeypatch):
    monkeypatch.setattr("deepcheck.scanner.run.Scan", lambda **_: pytest.fail("scanned in vain"))
    result = scan(inbox, "--explain", inbox / "voice0.wav" / "pictures")
    assert result.exit_code == ERROR
    assert "No pictures can be written to inbox/voice0.wav/pictures" in result.stderr


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (DataError("No space left on device."), ERROR),
        (RuntimeError("CUDA out of memory"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=["disk", "memory", "Ctrl-C"],
)
def test_pictures_that_fail_cost_no_report(inbox, monkeypatch, problem, code):
    def fail(*_):
        raise problem

    monkeypatch.setattr(run, "explain_report", fail)
    result = scan(inbox, "--explain", "pictures", "-o", "report.csv", "-o", "report.html")
    assert result.exit_code == code
    assert str(problem) in result.stderr or isinstance(problem, RuntimeError | KeyboardInterrupt)
    assert len(Path("report.csv").read_text().splitlines()) == 5
    assert "voice2.wav" in Path("report.html").read_text()


def test_each_file_is_drawn_once_in_a_watch(inbox, monkeypatch):
    drawn, real = [], run.explain_report

    def counting(model, results, folder):
        drawn.extend(result.path.name for result in results)
        return real(model, results, folder)

    monkeypatch.setattr(run, "explain_report", counting)
    from deepcheck.scanner import watch

    steps = iter([lambda: None, lambda: write_wav(inbox / "later.wav", speechlike(1.5, seed=5)), lambda: None])

    def sleep(interval_s):
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    arrivals = watch.arrivals
    monkeypatch.setattr(watch, "arrivals", lambda paths, interval_s: arrivals(paths, interval_s, sleep))
    scan(inbox, "--watch", "-o", "report.html")
    assert sorted(drawn) == ["later.wav", "voice0.wav", "voice1.wav", "voice2.wav"]
    assert pictures("report.html") == 4

"""examples/desk: the recipes do what they say."""

import configparser
import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import speechlike, write_wav
from test_readme import code_lines, parse

DESK = Path(__file__).parent.parent / "examples" / "desk"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


@pytest.fixture
def environment(home, stored_model, program):
    """With the deepcheck of this checkout on the PATH; of two voices the model flags one."""
    stored_model()
    (home / "current").write_text("tiny\n")
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def inbox(tmp_path) -> Path:
    folder = tmp_path / "in box"
    for i in range(3):
        write_wav(folder / f"voice {i}.wav", speechlike(1.5, seed=i))
    return folder


def run(environment, *command, **settings):
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **settings,
    )


def flag_everything(stored_model):
    stored_model("tiny", spoof=1e6, bonafide=2e6)


# --- scan-inbox.sh


@needs("flock", "realpath")
def test_inbox_is_scored_and_filed_away(environment, inbox, tmp_path, stored_model):
    flag_everything(stored_model)
    (inbox / "new\nline.txt").write_text("no sound")
    done = run(environment, DESK / "scan-inbox.sh", inbox, tmp_path / "archive")
    assert (done.returncode, done.stderr) == (4, "")
    line = re.fullmatch(r"FLAGGED: 3 spoof, 0 inconclusive, 0 bona fide, 1 not scored; report: (.*)\n", done.stdout)
    report = Path(line[1])
    with report.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    assert "voice 0.wav" in report.with_suffix(".html").read_text()
    assert list(inbox.iterdir()) == []
    [day] = [path for path in (tmp_path / "archive").iterdir() if path.is_dir()]
    assert sorted(path.name for path in day.iterdir()) == ["new\nline.txt", *(f"voice {i}.wav" for i in range(3))]
    empty = run(environment, DESK / "scan-inbox.sh", inbox, tmp_path / "archive")
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "")


@needs("flock", "realpath")
def test_inbox_stays_as_it_is_after_an_error(environment, inbox, tmp_path, home):
    (home / "current").write_text("gone\n")
    done = run(environment, DESK / "scan-inbox.sh", inbox, tmp_path / "archive")
    assert done.returncode == 1
    assert "the inbox is untouched" in done.stderr
    assert len(list(inbox.iterdir())) == 3
    assert [path.name for path in (tmp_path / "archive").iterdir()] == [".lock"]
    assert run(environment, DESK / "scan-inbox.sh", tmp_path / "nowhere").returncode == 2
    assert run(environment, DESK / "scan-inbox.sh", inbox, inbox / "archive").returncode == 2


# --- watch-inbox.sh


@needs("jq", "base64")
def test_watch_tells_of_each_flagged_file_once(environment, inbox, tmp_path, stored_model):
    flag_everything(stored_model)
    told = tmp_path / "told"
    notify = tmp_path / "notify.sh"
    notify.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> "{told}"\nprintf "\\n" >> "{told}"\n')
    notify.chmod(0o755)
    command = [str(DESK / "watch-inbox.sh"), str(inbox), str(tmp_path / "page.html"), str(notify), "desk says"]
    for round_ in range(2):
        (inbox / f"spät '$(id)' {round_}.wav").write_bytes((inbox / "voice 0.wav").read_bytes())
        with subprocess.Popen(
            command, env={**environment, "INTERVAL": "0.1"}, start_new_session=True, stderr=subprocess.PIPE, text=True
        ) as process:
            until = time.monotonic() + 60
            while time.monotonic() < until and not (told.exists() and told.read_text().count("\n") == 4 + round_):
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)
        lines = told.read_text().splitlines()
        assert len(lines) == 4 + round_
        new = [line for line in lines if line.endswith(f"spät '$(id)' {round_}.wav|")]
        assert len(new) == 1
        assert re.match(r"desk says\|spoof\|-?[\d.]+\|/", new[0])
    assert "voice 1.wav" in (tmp_path / "page.html").read_text()


def test_watch_without_arguments_says_how(environment):
    done = run(environment, DESK / "watch-inbox.sh")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: watch-inbox.sh")


# --- Makefile


@pytest.fixture
def make(environment, tmp_path):
    """Runs make with a deepcheck that only writes down how it was called; which folders it was called for."""
    calls = tmp_path / "calls"
    stub = tmp_path / "stub"
    stub.write_text(
        f"""#!{sys.executable}
import json, pathlib, sys
arguments = sys.argv[1:]
with open({str(calls)!r}, "a") as file:
    print(json.dumps(arguments), file=file)
for i, word in enumerate(arguments):
    if word == "--output":
        pathlib.Path(arguments[i + 1]).write_text("report")
late = pathlib.Path(arguments[1], "comes-late.txt")
if late.exists():
    late.rename(late.with_name("came.txt"))
sys.exit(3 if "monday" in arguments[1] else 0)
"""
    )
    stub.chmod(0o755)

    def make_it():
        calls.write_text("")
        done = run(environment, "make", "-f", DESK / "Makefile", f"DEEPCHECK={stub}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        folders = []
        for arguments in map(json.loads, calls.read_text().splitlines()):
            [folder] = parse(arguments)["paths"]
            folders.append(folder.name)
            assert [path.name for path in parse(arguments)["output"]] == [f"{folder.name}.csv", f"{folder.name}.html"]
        return sorted(folders)

    return make_it


@needs("make", "find")
def test_make_makes_what_has_changed(make, tmp_path):
    for folder in ("monday", "tuesday"):
        (tmp_path / "recordings" / folder).mkdir(parents=True)
        (tmp_path / "recordings" / folder / "odd : $(name) #1.wav").touch()
    assert make() == ["monday", "tuesday"]
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert names == ["monday.csv", "monday.html", "tuesday.csv", "tuesday.html"]
    assert make() == []
    (tmp_path / "recordings" / "tuesday" / "new.wav").touch()
    assert make() == ["tuesday"]
    (tmp_path / "recordings" / "monday" / "odd : $(name) #1.wav").unlink()
    assert make() == ["monday"]
    assert make() == []


@needs("make", "find")
def test_make_sees_what_came_during_the_scan(make, tmp_path):
    (tmp_path / "recordings" / "tuesday").mkdir(parents=True)
    (tmp_path / "recordings" / "tuesday" / "comes-late.txt").touch()
    assert make() == ["tuesday"]
    assert make() == ["tuesday"]
    assert make() == []


# --- scan-array.sbatch


def test_an_array_of_jobs_is_the_whole(environment, inbox, tmp_path):
    (inbox / "empty.wav").touch()
    for task in (1, 2):
        variables = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MAX": "2"}
        done = run(environment | variables, DESK / "scan-array.sbatch", inbox, tmp_path / "out")
        assert done.returncode == 0, done.stderr
    parts = [(tmp_path / "out" / f"part-{task}.jsonl").read_text().splitlines() for task in (1, 2)]
    assert sorted(json.loads(line)["path"] for part in parts for line in part) == sorted(map(str, inbox.iterdir()))
    whole = run(environment, "deepcheck", "scan", inbox, "--output", tmp_path / "all.csv")
    assert "4 of 4 files were scored by an earlier run" in whole.stderr


def test_without_an_array_it_says_so(environment, inbox, tmp_path):
    done = run(environment, DESK / "scan-array.sbatch", inbox, tmp_path / "out")
    assert done.returncode != 0
    assert "submit it with --array=1-N" in done.stderr


# --- jq, systemd


RECIPES = [line for line in code_lines((DESK / "README.md").read_text()) if line.startswith("jq ")]


@needs("jq", "sha256sum")
def test_questions_to_a_report(environment, inbox, tmp_path, stored_model):
    flag_everything(stored_model)
    (inbox / "empty.wav").touch()
    report = tmp_path / "report.jsonl"
    assert run(environment, "deepcheck", "scan", inbox, "--output", report).returncode == 3
    answers = [run(environment, "bash", "-o", "pipefail", "-c", line, cwd=tmp_path) for line in RECIPES]
    assert [(answer.returncode, answer.stderr) for answer in answers] == [(0, "")] * len(RECIPES)
    flagged, where, unscored, worst, sorts, hours, changed, _ = (answer.stdout for answer in answers)
    voices = [str(inbox / f"voice {i}.wav") for i in range(3)]
    assert flagged.splitlines() == voices
    assert [line.split("\t")[0] for line in where.splitlines()] == voices
    assert unscored == f"{inbox / 'empty.wav'}\tthe file is empty\n"
    scores = [float(line.split("\t")[0]) for line in worst.splitlines()]
    assert len(scores) == 3
    assert scores == sorted(scores)
    assert sorts == "scored\t3\nunreadable\t1\n"
    assert float(hours) == pytest.approx(4.5 / 3600)
    assert changed == ""
    assert (tmp_path / "listen.txt").read_text().splitlines() == [str(inbox / "empty.wav"), *voices]
    (inbox / "voice 1.wav").write_bytes(b"changed")
    [check] = [line for line in RECIPES if "sha256sum" in line]
    assert "voice 1.wav: FAILED" in run(environment, "bash", "-c", check, cwd=tmp_path).stdout


def test_recipes_are_words_that_a_shell_takes():
    assert len(RECIPES) == 8
    for line in RECIPES:
        assert shlex.split(line, comments=True)[0] == "jq"


@pytest.mark.parametrize("unit", sorted(DESK.glob("systemd/*")), ids=lambda unit: unit.name)
def test_units(unit):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    assert parser["Unit"]["Description"]
    if unit.suffix == ".timer":
        assert unit.with_suffix(".service").exists()
        return
    words = shlex.split(parser["Service"]["ExecStart"])
    if Path(words[0]).name == "deepcheck":
        assert parse(words[1:])["watch"]
        assert set(parser["Service"]["SuccessExitStatus"].split()) == {"130", "143"}
    else:
        assert (DESK / Path(words[0]).name).exists()


@needs("shellcheck")
def test_shellcheck():
    scripts = [*DESK.glob("*.sh"), *DESK.glob("*.sbatch")]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_scripts_can_be_started():
    for script in [*DESK.glob("*.sh"), *DESK.glob("*.sbatch")]:
        assert os.access(script, os.X_OK), script

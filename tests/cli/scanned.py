"""A scan as somebody types it, and what it leaves: for tests of what goes wrong around one."""

import csv
import io
import json
from pathlib import Path

from typer.testing import CliRunner

from deepcheck.cli.app import app

DONE, ERROR, SOME_NOT_SCORED, FAIL_ON = 0, 1, 3, 4


def scan(*arguments, code=DONE):
    result = CliRunner().invoke(app, ["scan", *map(str, arguments), "--model", "tiny", "--jobs", "1"])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def rows(text):
    return {Path(row["path"]).name: row for row in csv.DictReader(io.StringIO(text, newline=""))}


def scores(path):
    return {name: row["llr"] for name, row in rows(path.read_text()).items()}


def journal(home) -> Path:
    [path] = home.glob("journals/*/*.jsonl")
    return path


def whole_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]

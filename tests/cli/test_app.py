import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from deepcheck import __version__, store
from deepcheck.cli.app import Exit, app
from deepcheck.cli.commands import COMMANDS

ROOT = Path(__file__).parent.parent.parent


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def commands(command=None, path=()):
    """Every command and group, as the words after `deepcheck`."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))


def test_the_commands():
    names = {" ".join(path) for path, _ in commands()}
    assert names >= {"scan", "train", "eval", "models", *(f"models {c}" for c in ("list", "show", "use", "remove"))}


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_every_command(path, flag):
    result = run(*path, flag)
    assert result.exit_code == 0
    assert result.stderr == ""
    command = dict(commands())[path]
    first_line = command.help.strip().splitlines()[0]
    assert " ".join(first_line.split()) in " ".join(result.stdout.split())
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert max(parameter.opts, key=len)[:20] in result.stdout


def test_the_table_of_commands_says_what_each_says_of_itself():
    for name, command in typer.main.get_command(app).commands.items():
        assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name][1]


def test_every_command_and_option_says_what_it_does():
    for path, command in commands():
        assert command.help, path
        for parameter in command.params:
            plain = {"epochs", "batch_size", "seed"}  # their names say it all
            assert getattr(parameter, "help", None) or parameter.name in plain, (path, parameter.name)


def test_help_imports_nothing_heavy():
    code = """
import runpy, sys
sys.argv = ["deepcheck", "--help"]
try:
    runpy.run_module("deepcheck", run_name="__main__")
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {"torch", "torchaudio", "numpy", "transformers", "safetensors", "av", "soxr", "soundfile", "yaml", "silero_vad"}
heavy |= {"pydantic", "importlib.metadata", "deepcheck.cli.scan", "deepcheck.cli.models"}
print("LOADED", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Tell genuine speech from synthetic speech" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_help_of_subcommands_imports_no_torch():
    code = """
import sys
from typer.testing import CliRunner
from deepcheck.cli.app import app
for command in (["scan"], ["train"], ["eval"], ["models"], ["models", "show"]):
    assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0
print(sorted({"torch", "numpy", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"deepcheck {__version__}\n")


def test_the_console_script_leads_to_main():
    from importlib.metadata import entry_points

    [script] = [point for point in entry_points(group="console_scripts") if point.name == "deepcheck"]
    assert script.value == "deepcheck.__main__:main"


def test_nothing_given_shows_the_help():
    result = run()
    assert result.exit_code == Exit.USAGE
    assert "Usage:" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scann"], "No such command 'scann'"),
        (["models", "shwo"], "No such command 'shwo'"),
        (["scan"], "Missing argument"),
        (["scan", "x", "--formt", "csv"], "No such option"),
        (["scan", "x", "--format", "pdf"], "pdf"),
        (["scan", "x", "--jobs", "0"], "--jobs"),
        (["eval"], "Missing option"),
        (["train", "--epochs", "0"], "--epochs"),
        (["train", "--lr", "fast"], "--lr"),
    ],
)
def test_wrong_usage(arguments, message):
    result = run(*arguments)
    assert result.exit_code == Exit.USAGE == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_an_error_is_a_sentence_and_a_hint_on_stderr(stored_model):
    stored_model("interviews")
    result = run("models", "show", "interview")
    assert result.exit_code == Exit.ERROR == 1
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first == 'Error: There is no model "interview".'
    assert second.startswith('Did you mean "interviews"?')


def test_brackets_in_a_message_are_no_markup():
    result = run("models", "show", "[bold]x[/bold]/y.safetensors")
    assert "There is no model file [bold]x[/bold]/y.safetensors." in result.stderr


def test_debug_lets_the_traceback_through():
    command = [sys.executable, "-m", "deepcheck", "--debug", "models", "show", "nobody"]
    debugged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert debugged.returncode == 1
    assert debugged.stderr.startswith("Traceback")
    assert "ModelError" in debugged.stderr.splitlines()[-1]
    command.remove("--debug")
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert "Traceback" not in plain.stderr
    assert plain.stderr.startswith('Error: There is no model "nobody".')


def test_an_interrupt(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "entries", interrupt)
    result = run("models", "show", "x")
    assert result.exit_code == Exit.INTERRUPTED == 130
    assert result.stderr.endswith("Interrupted.\n")
    assert result.stderr.count("\n") == 1


def test_a_bug_is_not_dressed_up(monkeypatch):
    def fail():
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(store, "entries", fail)
    assert isinstance(run("models", "show", "x").exception, ZeroDivisionError)


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_has_gone_is_no_error(stored_model):
    stored_model("mine")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "deepcheck", "models", "show", "mine", "--json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_exit_codes_are_those_that_are_documented():
    documented = {
        "done": Exit.DONE,
        "error": Exit.ERROR,
        "usage": Exit.USAGE,
        "some files could not be scored": Exit.SOME_NOT_SCORED,
        "--fail-on was met": Exit.FAIL_ON,
    }
    shown = " ".join(run("--help").stdout.split())
    for words, code in documented.items():
        assert f"{code.value} {words}" in shown
    readme = (ROOT / "README.md").read_text()
    [paragraph] = re.findall(r"Exit codes: .*?\n\n", readme, re.DOTALL)
    assert re.findall(r"(?<![\w-])(\d+) ", paragraph) == [str(code.value) for code in Exit]


def test_json_is_nothing_but_json(stored_model):
    stored_model("mine")
    assert json.loads(run("models", "show", "mine", "--json").stdout)["name"] == "mine"

"""What the README, the help and the guides tell people to type can be typed."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer.main

from deepcheck.cli.app import app

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / "README.md", *sorted(ROOT.glob("weights/*.md")), *sorted(ROOT.glob("examples/**/*.md"))]
SEPARATORS = {"|", "&&", "||", ";", ">", "2>"}


def code_lines(text):
    """The lines of fenced shell blocks and of comments in recipes and help texts that start a command."""
    for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from re.sub(r"\\\n\s*", "", block).splitlines()


def invocations(line):
    """The arguments of each call of deepcheck in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = list(lexer)
    for number, word in enumerate(words):
        if Path(word).name == "deepcheck":
            arguments = []
            for argument in words[number + 1 :]:
                if argument in SEPARATORS:
                    break
                arguments.append(argument)
            yield arguments


def documented():
    for guide in GUIDES:
        for line in code_lines(guide.read_text(encoding="utf-8")):
            for arguments in invocations(line):
                yield pytest.param(arguments, id=f"{guide.name}: {' '.join(arguments)}")
    for recipe in sorted((ROOT / "examples").rglob("*.yaml")):
        text = re.sub(r"\\\n#\s*", "", recipe.read_text(encoding="utf-8"))
        comments = re.findall(r"^#\s*(deepcheck .*)", text, re.MULTILINE)
        for arguments in (a for line in comments for a in invocations(line)):
            yield pytest.param(arguments, id=f"{recipe.name}: {' '.join(arguments)}")
    yield from in_help(command_line())


def in_help(command, path="deepcheck"):
    for line in (command.help or "").splitlines():
        if line.strip().startswith("deepcheck "):
            for arguments in invocations(line.strip()):
                yield pytest.param(arguments, id=f"{path} --help: {' '.join(arguments)}")
    for name, sub in getattr(command, "commands", {}).items():
        yield from in_help(sub, f"{path} {name}")


@cache
def command_line():
    """Made once, for that takes longer than to parse with it."""
    return typer.main.get_command(app)


def parse(arguments):
    """What the command line makes of the arguments, without doing anything; raises what it would complain of."""
    command, name, context, values = command_line(), "deepcheck", None, {}
    while True:
        # A context that is made has parsed its options; a group keeps the rest, which its subcommand parses.
        context = command.make_context(name, list(arguments), parent=context)
        values |= context.params
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not hasattr(command, "resolve_command") or not rest:
            return values
        name, command, arguments = command.resolve_command(context, rest)


DOCUMENTED = list(documented())


def test_there_is_something_to_test():
    texts = [parameter.id for parameter in DOCUMENTED]
    assert sum(text.startswith("README.md: ") for text in texts) >= 10
    for command in ("scan", "train", "eval", "models"):
        assert any(text.startswith(f"README.md: {command}") for text in texts), command
    assert any("--help: " in text for text in texts)


def test_the_parser_finds_what_is_wrong():
    # Otherwise the next test could not fail.
    assert parse(["scan", "x", "--prior", "0.1"])["prior"] == 0.1
    for wrong in (["scan", "x", "--priro", "1"], ["scna", "x"], ["models", "usse", "x"], ["eval", "default"]):
        with pytest.raises(Exception, match=r"No such|Missing"):
            parse(wrong)


@pytest.mark.parametrize("arguments", DOCUMENTED)
def test_a_documented_command_can_be_typed(arguments):
    if arguments != ["--help"]:
        parse(arguments)


@pytest.mark.parametrize("arguments", DOCUMENTED)
def test_documented_choices_exist(arguments):
    from deepcheck.config import load_config
    from deepcheck.data.protocols import PROTOCOLS

    values = parse(arguments)
    if values.get("protocol"):
        assert values["protocol"] in PROTOCOLS
    if values.get("config"):
        load_config(ROOT / values["config"], values.get("settings") or ())
    elif values.get("settings"):
        load_config(None, values["settings"])


def test_paths_in_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) >= 4
    missing = [link for link in links if not (ROOT / link.partition("#")[0]).exists()]
    if not (ROOT / "weights" / "catalogue.yaml").exists():  # no detector is shipped yet, so it has no card
        missing = [link for link in missing if link != "weights/default.md"]
    assert missing == []
    for path in re.findall(r"(?<![\w/.])examples/[\w./-]+\w", text):
        assert (ROOT / path).exists(), path


def test_the_set_up_commands_are_marked():
    # .ci/run takes them from the README.
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for mark in ("scan-command", "test-command"):
        assert re.search(rf"<!-- {mark} -->\n```sh\n\S.*\n```", text), mark


def test_the_columns_of_a_manifest_are_those_that_are_read():
    from deepcheck.data.protocols import manifest

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [sentence] = re.findall(r"A manifest is a CSV with the columns .*?\.", text, re.DOTALL)
    columns = {name for quoted in re.findall(r"`([a-z_,]+)`", sentence) for name in quoted.split(",")}
    assert columns - {"bonafide", "spoof"} <= manifest._TAKEN
    assert {"path", "label", "source", "pair_of"} <= columns


def test_the_endings_that_are_named_are_read():
    from deepcheck.audio.decode import EXTENSIONS

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [sentence] = re.findall(r"It reads (.*?) and the audio track", text, re.DOTALL)
    named = re.split(r",\s+|\s+and\s+", sentence)
    assert len(named) > 8
    assert set(named) <= EXTENSIONS

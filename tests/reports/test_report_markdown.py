from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_examples import BASIS, EMPTY, GENUINE, HOSTILE, INTERRUPTED, REPORT, SPLICED, TWO_MODELS, hostile

from deepcheck.reports import FORMATS, REPORTS
from deepcheck.reports.markdown import escape, render
from deepcheck.reports.text import plain, visible
from deepcheck.scanner.result import FileResult, Note, Report, Stretch

MEANING = (
    "The score is the natural logarithm of a likelihood ratio: above 0 the recording fits genuine speech better, below "
    "0 synthetic speech. Verdict: spoof at -1.00 or below, bona fide at +1.00 or above, inconclusive between. P(spoof) "
    "supposes that 50 % of such recordings are spoofs (--prior). The thresholds were fitted on 500 genuine and 400 "
    "synthetic recordings of the development set: there at most 1 % of genuine recordings are called spoof and at most "
    "5 % of spoofs are called bona fide (95 % confidence). On other material the rates differ; a verdict is evidence, "
    "not proof."
)


class Reader(HTMLParser):
    """The page that an editor shows: which elements it has, and the text of each heading, cell, item, paragraph."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.blocks: list[tuple[str, str]] = []
        # With raw HTML and links, as careless editors have it.
        self.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.blocks.append((tag, ""))

    def handle_data(self, data):
        if self.blocks:
            tag, text = self.blocks[-1]
            self.blocks[-1] = (tag, text + data)

    def texts(self, tag: str) -> list[str]:
        return [text.strip() for kind, text in self.blocks if kind == tag]


def test_the_whole_document():
    assert render(INTERRUPTED) == (
        "**4 files: 1 spoof, 1 bona fide, 2 not scored**\n"
        "\n"
        "**Not complete: the scan was interrupted, and files that it did not reach are missing.**\n"
        "\n"
        "| file | length | verdict | score | P(spoof) | most suspicious | notes |\n"
        "| --- | ---: | --- | ---: | ---: | --- | --- |\n"
        "| in/spliced.mp3 | 12.0 | spoof | -1.25 | 77.7 % | 2.0 - 6.0 (-4.50) | re-encoded, quiet |\n"
        "| in/call.wav | 6.0 | bona fide | +2.50 | 7.6 % | 2.0 - 6.0 (+2.25) | telephone |\n"
        "| mute.wav | 3.0 | not scored |  |  | no speech found |  |\n"
        "| bad.wav |  | not scored |  |  | the file is empty |  |\n"
        "\n"
        "#### in/spliced.mp3: spoof\n"
        "\n"
        "- Suspicious: 2.0 - 6.0 (-4.50)\n"
        "- Note: It was encoded more than once.\n"
        "- Note: The level is low.\n"
        f"- SHA-256 {'cd' * 32}\n"
        "\n"
        "#### What this rests on\n"
        "\n"
        f"{MEANING}\n"
        "\n"
        "Model tiny (0123456789ab), deepcheck 0.1.0.\n"
        "\n"
        "Wider inconclusive band where the model is known to be weaker: telephone (1 file: spoof at -3.00 or below, "
        "bona fide at +2.00 or above).\n"
        "\n"
        "Settings: prior 0.5, jobs 2.\n"
        "\n"
        "Scanned at 2026-03-14T09:30:00+00:00.\n"
    )


def test_empty_report():
    text = render(EMPTY)
    assert text.startswith("**0 files**\n\n#### What this rests on\n\nThe score is")
    assert "|" not in text


@pytest.mark.parametrize(
    ("changes", "section"),
    [
        ({}, False),
        ({"verdict": "inconclusive"}, False),
        ({"verdict": "inconclusive", "stretches": (Stretch(0.0, 4.0, -2.0),)}, True),
        ({"verdict": "spoof"}, True),
        ({"stretches": (Stretch(0.0, 4.0, -2.0),)}, True),
        ({"verdict": None, "llr": None, "p_spoof": None, "suspicious": None}, False),
    ],
)
def test_what_is_suspicious_has_a_section(changes, section):
    text = render(Report((replace(GENUINE, **changes),), BASIS))
    assert ("#### in/call.wav" in text) == section


def test_a_section_without_a_stretch_and_with_thresholds_of_its_own():
    text = render(Report((replace(GENUINE, verdict="spoof"),), BASIS))
    assert (
        "#### in/call.wav: spoof\n"
        "\n"
        "- No stretch of it is suspicious by itself\n"
        "- Note: It has the bandwidth of a telephone.\n"
        "- Of this file, spoof means -3.00 or below, bona fide +2.00 or above\n"
        "\n"
    ) in text


def test_several_models():
    text = render(TWO_MODELS)
    assert "- Models: one: spoof (-3.00); two: inconclusive (+0.25)\n" in text
    assert "Models one (111111111111), two (222222222222), deepcheck 0.1.0.\n" in text


def test_an_editor_shows_the_report():
    page = Reader(render(REPORT))
    assert page.texts("td")[:7] == [
        *("in/spliced.mp3", "12.0", "spoof", "-1.25", "77.7 %", "2.0 - 6.0 (-4.50)", "re-encoded, quiet"),
    ]
    assert page.texts("h4") == ["in/spliced.mp3: spoof", "What this rests on"]
    assert page.texts("li")[1] == "Note: It was encoded more than once."


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_shown_and_does_nothing(name):
    ordinary = Reader(render(hostile("a.wav")))
    page = Reader(render(hostile(name)))
    assert page.elements == ordinary.elements
    cells = page.texts("td")
    assert cells[0] == visible(Path("in") / name).strip()
    assert cells[7] == visible(Path(name)).strip()
    assert cells[6] == cells[12] == plain(name).strip()
    assert page.texts("h4")[0] == f"{visible(Path('in') / name)}: spoof"
    assert page.texts("li")[1] == f"Note: {plain(name)}".strip()


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain - text (1.5), 50 %: +2", "plain - text (1.5), 50 %: +2"),
        ("a|b", "a\\|b"),
        ("a\\|b", "a\\\\\\|b"),
        ("`code`", "\\`code\\`"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("two\nlines", "two\\\\nlines"),
        ("*a* _b_ ~c~ #d", "\\*a\\* \\_b\\_ \\~c\\~ \\#d"),
        ("![x](y)", "!\\[x\\](y)"),
        ("www.example.com WWW.example.com", "www\\.example.com WWW\\.example.com"),
        ("http://x a@b", "http\\://x a\\@b"),
        ("{{ x }} $y$ ==z==", "\\{\\{ x \\}\\} \\$y\\$ \\=\\=z\\=\\="),
    ],
)
def test_escape(text, markdown):
    assert escape(text) == markdown
    assert Reader(escape(text)).texts("p") == [plain(text)]


def test_a_note_makes_no_list_and_no_heading():
    for text in ("- item", "1. item", "# heading", "> quote", "---", "    code"):
        result = replace(SPLICED, notes=(Note("x", text),))
        page = Reader(render(Report((result,), BASIS)))
        assert page.texts("li") == ["Suspicious: 2.0 - 6.0 (-4.50)", f"Note: {text}", f"SHA-256 {'cd' * 32}"]


def test_a_name_of_nothing_but_marks():
    page = Reader(render(Report((FileResult(Path("---"), reason="|"), FileResult(Path("| --- |"), reason="")), BASIS)))
    assert page.texts("td")[0::7] == ["---", "| --- |"]


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("markdown") is render
    assert FORMATS["markdown"].endings == (".md", ".markdown")

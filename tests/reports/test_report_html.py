import base64
import hashlib
import io
import json
import math
import re
import struct
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mixed_recordings import BASIS, HOSTILE, LONG, TELEPHONE, THRESHOLDS, WIDER, mixed, scored, write
from page_tree import Node, parse

from deepcheck.audio.quality import Quality
from deepcheck.engine.score import WindowScore
from deepcheck.metrics.calibration import Thresholds
from deepcheck.reports import REPORTS, Style
from deepcheck.reports.html import render
from deepcheck.reports.html.excerpts import TOTAL_S, choose
from deepcheck.reports.html.notation import clock, count, moment, signed
from deepcheck.reports.html.sound import COLUMNS, listen
from deepcheck.reports.html.timeline import CELLS, scale_of, timeline, wave_path
from deepcheck.reports.text import visible
from deepcheck.reports.words import explain
from deepcheck.scanner.result import Basis, FileResult, Note, Opinion, Report, Stretch

SILENT = Style(audio="none")
GONE = FileResult(Path("gone.wav"), reason="the file does not exist")


def page(*results: FileResult, basis: Basis = BASIS, style: Style = SILENT, complete: bool = True) -> Node:
    return parse(render(Report(results, basis, complete), style))


def section(document: Node, number: int = 1) -> Node:
    return document.one("details", data_file=f"f{number}")


def facts(node: Node) -> dict[str, str]:
    """The rows of all lists of data."""
    rows = [row for data in node.all("dl", class_="data") for row in data.all("div")]
    return {row.one("dt").text: row.one("dd").text for row in rows}


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return mixed(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def html(thirty: Report) -> str:
    return render(thirty)


@pytest.fixture(scope="module")
def document(html: str) -> Node:
    return parse(html)


@pytest.fixture
def voice(tmp_path: Path) -> FileResult:
    return scored(write(tmp_path / "voice.wav", 9.0), -2.0, duration_s=9.0)


def test_it_is_in_the_table_of_formats():
    assert REPORTS.resolve("html") is render


def test_every_field_of_a_result_appears(tmp_path):
    path = write(tmp_path / "in" / "voice.flac", 3.0)
    result = replace(
        scored(path, -2.7183, notes=(TELEPHONE,)),
        p_spoof=0.938123,
        duration_s=3.25,
        speech_s=2.75,
        suspicious=Stretch(0.5, 2.5, -4.5),
        stretches=(Stretch(0.5, 2.5, -4.25),),
        distance=1.25,
        opinions=(Opinion("first", -2.5, "spoof"), Opinion("second", None, None), Opinion("third", 2.0, "bona fide")),
        windows=(
            WindowScore(0.0, 2.0, -1.0, Quality.SPEECH, 0.75, 23.0, 3400.0, -31.0, 0.66),
            WindowScore(0.5, 2.5, -4.5, Quality.SPEECH, 0.5),
        ),
    )
    shown = section(page(result))
    found = facts(shown)
    assert found["Status"] == "scored"
    assert found["Verdict"] == result.verdict
    assert found["Score"] == "−2.7183"
    assert found["P(spoof)"] == "93.8 %"
    assert found["Thresholds applied"] == "spoof −2.50, bona fide +2.50 – not the model’s own, see the notes"
    assert found["Most suspicious"] == "0:00.5–0:02.5, −4.25"
    assert found["Distance from the training data"].startswith("1.25 – farther than 99 %")
    assert found["Path"] == str(path)
    assert found["SHA-256"] == result.sha256
    assert found["Length"] == "0:03.2, of it speech 0:02.8"
    assert found["Format"] == "flac, pcm_s16le"
    assert found["Sound"] == "16,000 Hz, 1 channel, 256 kbit/s"
    assert shown.one("ol", class_="stretches").text == "0:00.5–0:02.5 −4.25"
    assert shown.one("ul", class_="notes").text == "telephone Nothing above 3.4 kHz. Thresholds for “telephone” apply."
    tables = [[row.text for row in table.all("tr")] for table in shown.all("table", class_="plain")]
    opinions, windows = tables
    assert opinions == ["ModelScoreVerdict", "first−2.50spoof", "secondnot scored", "third+2.00bona fide"]
    assert windows == [
        "TimeScoreContentSpeechSNRBandwidthLevelDistance",
        "0:00.0–0:02.0−1.00speech75 %23 dB3,400 Hz−31 dB0.66",
        "0:00.5–0:02.5−4.50speech50 %",
    ]


def test_row_of_the_table(voice):
    document = page(voice, GONE)
    row, gone = document.one("table", id="table").one("tbody").all("tr")
    cells = [cell.text for cell in row.all() if cell.tag in ("td", "th")]
    assert cells[1:] == ["0:09.0", "spoof", "−2.00", "88.1 %", "0:00.0–0:04.0 (−2.00)", ""]
    assert cells[0].endswith("voice.wav")
    assert row.attributes["data-verdict"] == "spoof"
    assert [cell.text for cell in gone.all() if cell.tag in ("td", "th")] == [
        "gone.wav", "", "not scored", "", "", "", "the file does not exist"
    ]  # fmt: skip
    # What is not known has no value to be sorted by.
    assert [cell.attributes["data-v"] for cell in gone.all("td")] == ["", "", "", "", "", "1"]
    assert [cell.attributes["data-v"] for cell in row.all("td")][:3] == ["9.0", "0", "-2.0"]


def test_headings_of_the_table_are_buttons(document):
    headings = document.one("table", id="table").one("thead").all("th")
    assert [h.one("button").text for h in headings] == [
        "File", "Length", "Verdict", "Score", "P(spoof)", "Most suspicious", "Notes"
    ]  # fmt: skip
    assert all(h.attributes["scope"] == "col" for h in headings)


def test_everything_that_the_verdicts_rest_on_appears():
    wav2vec = replace(BASIS, model="second", model_sha256="cd" * 32, bands=())
    basis = replace(BASIS, prior=0.125, models=(BASIS, wav2vec))
    shown = page(GONE, basis=basis).one("section", id="basis")
    for line in explain(basis).splitlines():
        assert line in shown.text
    for text in (
        "0123456789abcdef" * 4,
        "cd" * 32,
        "0.125",
        "2026-03-14T09:30:00+00:00",
        "at most 1 % of genuine recordings are called spoof, measured on 500",
        "at most 5 % of spoofs are called bona fide, measured on 400",
        "Each rate holds with 95 % confidence",
        "telephone−2.50+2.50",
        "deepcheck scan 'in box' --output report.html",
    ):
        assert text in shown.text
    assert facts(shown)["hop"] == "2 s"
    assert facts(shown)["Version of deepcheck"] == "0.1.0"


def test_thresholds_of_a_user_and_of_too_few_recordings():
    own = replace(BASIS, false_alarm=None, miss=None, confidence=None, bonafide=None, spoof=None)
    shown = page(GONE, basis=own).one("section", id="basis")
    assert "spoof−1.50 or below not measured" in shown.text
    assert "Each rate holds" not in shown.text
    few = replace(BASIS, false_alarm=None)
    assert "not known: 500 recordings are too few to tell" in page(GONE, basis=few).one("section", id="basis").text


def test_thresholds_that_nothing_can_reach(voice):
    """As of a model without calibration, or in a condition in which it may not judge."""
    never = Thresholds(-1e6, 1e6)
    basis = replace(BASIS, thresholds=never, bands=(("noisy", never),), bonafide=None, spoof=None, confidence=None)
    document = page(replace(voice, verdict="inconclusive", thresholds=never), basis=basis)
    rests = document.one("section", id="basis")
    assert [row.text for row in rests.all("tr")] == [
        "VerdictScoreErrors",
        "spoofnever not measured",
        "inconclusiveevery score",
        "bona fidenever not measured",
        "ConditionSpoof at or belowBona fide at or above",
        "noisynevernever",
    ]
    assert facts(section(document))["Thresholds applied"] == "spoof never, bona fide never"
    assert not document.all("line", class_="limit")
    for path in section(document).all("path", class_="score"):
        assert len(set(re.findall(r"V([\d.]+)", path.attributes["d"]))) == 3  # not flattened


def test_summary(thirty, document):
    summary = document.one("section", id="summary")
    counts = {row.one("dt").text: int(row.one("dd").text) for row in summary.one("dl", class_="counts").all("div")}
    assert counts == thirty.counts()
    assert "Not scored: 4 unreadable, 1 silent, 1 too short" in summary.text
    first = summary.one("ol", class_="findings").all("li")[0]
    assert first.text.startswith("<script>window.pwned = 1</script>.wav spoof, score −4.00")
    assert document.one("head").one("title").text == "30 recordings checked for synthetic speech – deepcheck"
    assert "14 March 2026, 09:30 UTC" in document.one("header").text


def test_findings_are_spoofs_then_stretches_then_disagreement(voice):
    spoof = replace(voice, path=Path("spoof.wav"), opinions=())
    worse = replace(spoof, path=Path("worse.wav"), llr=-5.0)
    stretch = replace(spoof, path=Path("stretch.wav"), verdict="bona fide", llr=2.0)
    unlike = replace(
        stretch,
        path=Path("unlike.wav"),
        stretches=(),
        opinions=(Opinion("a", 2.0, "bona fide"), Opinion("b", -2.0, "spoof")),
    )
    plain = replace(unlike, path=Path("plain.wav"), opinions=())
    found = page(plain, unlike, stretch, spoof, worse).one("ol", class_="findings").all("li")
    assert [item.one("a").text for item in found] == ["worse.wav", "spoof.wav", "stretch.wav", "unlike.wav"]
    assert found[2].text == "stretch.wav bona fide, score +2.00; 1 suspicious stretch: 0:00.0–0:04.0"
    assert found[3].text.endswith("models differ: 1 bona fide, 1 spoof")
    assert "none has a suspicious stretch" in page(plain).one("section", id="summary").text
    many = page(*[replace(spoof, path=Path(f"{i}.wav")) for i in range(11)]).one("section", id="summary")
    assert len(many.one("ol", class_="findings").all("li")) == 8
    assert "3 more in the table." in many.text


def test_interrupted_scan_says_so():
    assert "Not complete" in page(GONE, complete=False).one("section", id="summary").text
    assert "Not complete" not in page(GONE).text


def test_no_results():
    document = page()
    assert document.one("h1").text == "0 recordings checked for synthetic speech"
    assert not document.all("details")


# --- What comes from strangers stays text -----------------------------------------------------------------------


def test_hostile_names_stay_text(thirty, document):
    rows = document.one("table", id="table").one("tbody").all("tr")
    names = [row.one("bdi").text for row in rows]
    for name, shown in zip(HOSTILE, names, strict=False):
        assert shown == " ".join(visible(Path(name)).split())
    for recording, result in zip(document.all("details", class_="recording"), thirty, strict=True):
        assert facts(recording)["Path"] == " ".join(visible(result.path).split())


def test_nothing_hostile_becomes_an_element(document):
    allowed = {
        "html", "head", "meta", "title", "link", "style", "body", "svg", "defs", "symbol", "path", "circle", "pattern",
        "use", "rect", "line", "text", "a", "header", "p", "span", "h1", "h2", "h3", "h4", "time", "code", "nav",
        "main", "section", "dl", "div", "dt", "dd", "ol", "ul", "li", "bdi", "b", "wbr", "figure", "figcaption", "form",
        "label", "input", "fieldset", "legend", "select", "option", "button", "table", "caption", "thead", "tbody",
        "tr", "th", "td", "details", "summary", "script", "audio", "pre", "footer", "strong", "document",
    }  # fmt: skip
    assert {node.tag for node in document} <= allowed | {"img"}
    assert not document.all("img")  # none was given
    for node in document:
        assert not [name for name in node.attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            assert re.match(r"#|data:", node.attributes.get(name, "#")), node
    scripts = document.all("script")
    assert {script.attributes.get("type") for script in scripts[:-1]} == {"application/json"}
    assert scripts[-1].attributes == {}


@pytest.mark.parametrize("evil", ["</script><script>x()</script>", '"><img src=x onerror=x()>', "\x1b[31m\u202ex\n"])
def test_hostile_text_from_anywhere_stays_text(voice, evil):
    document = page(
        replace(
            voice,
            status=evil,
            reason=evil,
            notes=(Note(evil, evil, evil),),
            opinions=(Opinion(evil, 1.0, "spoof"),),
            container=replace(voice.container, format=evil, codec=evil),
            sha256=evil,
        ),
        basis=replace(
            BASIS,
            model=evil,
            version=evil,
            created=evil,
            settings=((evil, evil), ("command", evil)),
            bands=((evil, WIDER),),
        ),
    )
    assert not document.all("img")
    assert len([script for script in document.all("script") if "type" not in script.attributes]) == 1
    assert all("x()" not in part for s in document.all("script") for part in s.parts)
    assert "\x1b" not in document.text
    assert "\u202e" not in document.text
    seen = evil if evil.isprintable() else "\\x1b[31m\\u202ex\\n"
    assert facts(section(document))["Status"] == seen
    # In attributes as well.
    assert document.one("option", value=f"={seen}") is not None


def test_page_is_utf8(html):
    assert "caf\\xe9.wav" in html
    html.encode("utf-8")


def test_policy_allows_what_is_in_the_page_and_nothing_else(html, document):
    policy = document.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == rules["media-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[-1]
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"


def test_page_names_no_other_place(html):
    without_sound = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert "://" not in without_sound
    assert not re.search(r"@import|url\((?!#)", without_sound)


# --- Sound ---------------------------------------------------------------------------------------------------------


def clip_of(url: str) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(url.removeprefix("data:audio/mpeg;base64,"))))
    assert rate == 16_000
    return samples


def test_clip_is_where_it_was_and_as_long(tmp_path):
    sound = np.zeros(44_100 * 9, np.float32)
    sound[44_100 * 5 : 44_100 * 5 + 441] = 0.5 * np.hanning(441)
    soundfile.write(tmp_path / "click.wav", sound, 44_100)
    heard = listen(tmp_path / "click.wav", [(0.0, 9.0), (4.0, 7.5)], 9.0)
    assert heard.problem is None
    assert heard.duration_s == pytest.approx(9.0, abs=1e-3)
    whole, part = heard.clips
    for clip, length, at in ((whole, 9.0, 5.005), (part, 3.5, 1.005)):
        samples = clip_of(clip.url)
        assert len(samples) / 16_000 == pytest.approx(length, abs=1e-3)
        assert np.argmax(np.abs(samples)) / 16_000 == pytest.approx(at, abs=0.003)
    assert (part.start_s, part.end_s) == (4.0, 7.5)


def test_waveform_has_its_peaks_where_they_are(tmp_path):
    sound = np.zeros(16_000 * 60, np.float32)
    sound[16_000 * 30] = 0.9
    sound[16_000 * 45] = -0.4
    soundfile.write(tmp_path / "peaks.wav", sound, 16_000)
    for stated in (60.0, None):
        columns = np.array(listen(tmp_path / "peaks.wav", [], stated).waveform)
        assert COLUMNS - 5 <= len(columns) <= COLUMNS
        assert np.argmax(columns[:, 1]) / len(columns) == pytest.approx(0.5, abs=0.003)
        assert np.argmin(columns[:, 0]) / len(columns) == pytest.approx(0.75, abs=0.003)
        assert columns.max() == pytest.approx(0.9, abs=1e-3)


def test_outline_of_a_waveform():
    assert wave_path([]) == ""
    assert wave_path([(-0.5, 0.5), (0.0, 0.0), (-0.25, 0.5)]) == "M0 0l1 49l1 -49V75l-1 -24l-1 49Z"
    assert len(wave_path([(-0.5, 0.3), (0.0, 0.0)] * (COLUMNS // 2))) < 9000


def test_every_kind_of_file_has_a_player(thirty, document):
    for result, recording in zip(thirty, document.all("details", class_="recording"), strict=True):
        players = recording.all("audio")
        if result.path.name in ("empty.wav", "letter.mp3", "gone.wav"):
            assert not players
            continue
        [player] = players
        start, end = float(player.attributes["data-from"]), float(player.attributes["data-to"])
        if result.path.name == LONG:
            assert (start, end) == (397.0, 415.0)
            assert "only the suspicious stretches" in recording.text
        elif result.duration_s is not None:
            assert (start, end) == pytest.approx((0.0, result.duration_s), abs=0.1)  # codecs add a little
        assert len(clip_of(player.attributes["src"])) / 16_000 == pytest.approx(end - start, abs=0.01)
        assert player.attributes["preload"] == "none"


def test_what_cannot_be_played_is_said(thirty, document):
    by_name = {r.path.name: section(document, i) for i, r in enumerate(thirty, 1)}
    assert "No waveform and no player: the file is no longer there." in by_name["gone.wav"].text
    assert not by_name["gone.wav"].all("figure")
    assert "The sound could be read in part only: the file is truncated" in by_name["cut.wav"].text


def test_recording_that_has_changed_is_not_played(voice):
    write(voice.path, 4.0)
    shown = section(page(voice, style=Style()))
    assert "the file has changed since it was scanned" in shown.text
    assert not shown.all("audio")
    assert shown.all("figure", class_="timeline")  # the scores are still there


def test_sound_of_all_of_suspicious_ones_and_of_none(tmp_path):
    results = [scored(write(tmp_path / f"{llr}.wav", 2.0), llr, duration_s=2.0) for llr in (-3.0, 0.0, 3.0)]
    silent = replace(results[2], path=write(tmp_path / "silent.wav", 2.0), verdict=None, llr=None, status="no speech")
    parts = replace(results[2], stretches=(Stretch(0.0, 1.0, -2.0),), path=write(tmp_path / "parts.wav", 2.0))
    everything = [*results, silent, parts]
    players = {
        audio: [len(r.all("audio")) for r in page(*everything, style=Style(audio=audio)).all(class_="recording")]
        for audio in ("all", "suspicious", "none")
    }
    assert players == {"all": [1, 1, 1, 1, 1], "suspicious": [1, 1, 0, 1, 1], "none": [0, 0, 0, 0, 0]}
    without = page(*everything)
    assert "this report was made without" in section(without).text
    assert len(without.all("path", class_="wave")) == 5


def test_sound_is_limited_and_spoofs_come_first():
    long = FileResult(Path("x.wav"), "scored", "bona fide", 2.0, duration_s=540.0, suspicious=Stretch(8.0, 12.0, 1.0))
    results = [long] * 12 + [replace(long, verdict="spoof", llr=-3.0)]
    choices = choose(results, "all")
    lengths = [sum(end - start for start, end in choice.ranges) for choice in choices]
    assert sum(lengths) <= TOTAL_S
    assert lengths[-1] == 540.0
    assert lengths[:9] == [540.0] * 9
    assert lengths[9] == 0.0
    assert "full" in choices[11].note


def test_excerpts_of_a_long_recording():
    windows = tuple(WindowScore(2.0 * i, 2.0 * i + 4, -3.0 - (i == 500), Quality.SPEECH, 1.0) for i in range(1199))
    long = FileResult(Path("x.wav"), "scored", "spoof", -3.0, duration_s=2400.0, windows=windows)
    # One stretch all through: what surrounds its lowest window.
    assert choose([replace(long, stretches=(Stretch(0.0, 2400.0, -3.0),))], "all")[0].ranges == ((969.0, 1035.0),)
    # Contexts that overlap are one; too many stretches: the worst.
    near = (Stretch(10.0, 20.0, -2.0), Stretch(24.0, 30.0, -2.0))
    assert choose([replace(long, stretches=near)], "all")[0].ranges == ((7.0, 33.0),)
    many = tuple(Stretch(60.0 * i, 60.0 * i + 50, -2.0 - i) for i in range(40))
    ranges = choose([replace(long, stretches=many)], "all")[0].ranges
    assert sum(end - start for start, end in ranges) <= 300.0
    assert ranges[-1] == (2337.0, 2393.0)
    # Nothing suspicious: the lowest window; nothing scored: the beginning.
    calm = replace(long, suspicious=Stretch(100.0, 104.0, 1.0))
    assert choose([calm], "all")[0].ranges == ((97.0, 107.0),)
    assert choose([replace(long, verdict=None, windows=())], "all")[0].ranges == ((0.0, 60.0),)


# --- Timelines ----------------------------------------------------------------------------------------------------


def test_line_of_scores_is_broken_where_nothing_was_scored():
    scores = [2.0, -3.0, math.nan, math.nan, 1.0]
    windows = tuple(
        WindowScore(2.0 * i, 2.0 * i + 4.0, s, Quality.SPEECH if s == s else Quality.CLIPPED, 1.0)
        for i, s in enumerate(scores)
    )
    result = FileResult(Path("x.wav"), "scored", duration_s=12.0, windows=windows)
    drawn = timeline(result, 0.0, scale_of(Report((result,), BASIS)), -1.5, 1.5)
    assert [(cell.start_s, cell.end_s) for cell in drawn.cells] == [(0, 3), (3, 5), (5, 7), (7, 9), (9, 12)]
    assert drawn.unscored == [(5.0, 9.0, "clipped")]
    assert drawn.score_path.count("M") == 2
    assert drawn.score_path.startswith("M0 ")
    assert drawn.score_path.endswith("H1000")
    assert re.fullmatch(r"M250 [\d.]+V[\d.]+H416.7", drawn.suspicious_path)
    assert drawn.range_path == ""
    assert [label for _, label in drawn.ticks] == ["0:00", "0:02", "0:04", "0:06", "0:08", "0:10", "0:12"]
    assert drawn.data["cells"][1:3] == [[3.0, 5.0, -3.0, ""], [5.0, 7.0, None, "clipped"]]


def test_timeline_of_a_long_recording_stays_small_and_keeps_the_lowest_score():
    windows = tuple(WindowScore(2.0 * i, 2.0 * i + 4.0, 2.0, Quality.SPEECH, 1.0) for i in range(10_800))
    windows = (*windows[:5000], replace(windows[5000], llr=-4.0), *windows[5001:])
    result = FileResult(Path("x.wav"), "scored", duration_s=21_602.0, windows=windows)
    drawn = timeline(result, 0.0, scale_of(Report((result,), BASIS)), -1.5, 1.5)
    assert len(drawn.cells) <= CELLS
    assert min(cell.low for cell in drawn.cells) == -4.0
    assert drawn.suspicious_path.count("M") == 1
    assert drawn.range_path
    assert len(drawn.ticks) <= 7
    assert len(json.dumps(drawn.data)) < 25_000


@pytest.mark.parametrize("limits", [Thresholds(-math.inf, math.inf), Thresholds(50.0, 60.0)])
def test_absurd_thresholds_and_scores_still_give_a_page(voice, limits):
    windows = (replace(voice.windows[0], llr=1e9), replace(voice.windows[1], llr=-1e9))
    document = page(replace(voice, thresholds=limits, windows=windows), basis=replace(BASIS, thresholds=limits))
    for script in document.all("script", type="application/json"):
        json.loads(script.parts[0], parse_constant=lambda constant: pytest.fail(constant))
    for node in document:
        assert not {"nan", "inf", "-inf", "nan%", "inf%"} & set(node.attributes.values())


def test_timeline_tells_in_words_what_it_draws(voice):
    drawing = section(page(voice)).one("svg", role="img")
    assert drawing.attributes["aria-label"] == (
        "Timeline of voice.wav: the score of each window over 0:09.0, lowest −2.00 at 0:00.0–0:04.0, "
        "1 suspicious stretch."
    )
    assert {"−1.50", "+1.50"} <= {text.text for text in drawing.all("text")}
    assert (
        section(page(voice)).one("figcaption").text
        == "scoresuspicious stretchbona fide +1.50 or abovespoof −1.50 or below"
    )


def test_heat_map(voice):
    document = page(voice, style=Style(pictures={voice.path: png(30, 12)}, audio="none"))
    picture = section(document).one("img")
    assert (picture.attributes["width"], picture.attributes["height"]) == ("30", "12")
    assert base64.b64decode(picture.attributes["src"].removeprefix("data:image/png;base64,")) == png(30, 12)
    assert "voice.wav" in picture.attributes["alt"]
    assert "spectrogram" in picture.attributes["alt"]


# --- Structure ----------------------------------------------------------------------------------------------------


def test_every_anchor_leads_somewhere_and_ids_are_unique(document):
    ids = [node.attributes["id"] for node in document if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in document:
        target = node.attributes.get("href", "")
        assert not target.startswith("#") or target[1:] in ids
        for reference in node.attributes.get("aria-labelledby", "").split():
            assert reference in ids


def test_landmarks_headings_and_names(document):
    assert document.one("html").attributes["lang"] == "en"
    assert len(document.all("main")) == len(document.all("h1")) == 1
    levels = [int(node.tag[1]) for node in document if re.fullmatch(r"h\d", node.tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in document.all("table"):
        labelled = [r for r in document.all(role="region") if table in list(r)]
        assert table.all("caption") or labelled
    for audio in document.all("audio"):
        assert audio.attributes["aria-label"]
    for svg in document.all("svg"):
        assert "aria-hidden" in svg.attributes or "aria-label" in svg.attributes or "viewbox" in svg.attributes
    assert document.one("p", id="shown").attributes["role"] == "status"


def test_many_files_stay_lean(tmp_path):
    result = scored(write(tmp_path / "x.wav", 2.0), 0.5, duration_s=30.0)
    some = [replace(result, path=Path(f"/nowhere/{i}.wav")) for i in range(300)]
    assert len(render(Report(tuple(some), BASIS), SILENT)) < 300 * 12_000


def test_folder_that_all_share_is_named_once():
    document = page(*[replace(GONE, path=Path("/a/b") / name) for name in ("c/1.wav", "2.wav")])
    rows = document.one("table", id="table").one("tbody").all("tr")
    assert [row.one("bdi").text for row in rows] == ["c/1.wav", "2.wav"]
    assert document.one("p", id="shown").text == "2 files, below /a/b"
    mixture = page(replace(GONE, path=Path("/a/1.wav")), replace(GONE, path=Path("2.wav")))
    rows = mixture.one("table", id="table").one("tbody").all("tr")
    assert [row.one("bdi").text for row in rows] == ["/a/1.wav", "2.wav"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (clock(59.96), "1:00.0"),
        (clock(3725.04), "1:02:05.0"),
        (clock(75, 0), "1:15"),
        (clock(None), ""),
        (signed(-2.005), "−2.00"),
        (signed(math.inf), "+∞"),
        (signed(math.nan), ""),
        (count(1, "suspicious stretch", "suspicious stretches"), "1 suspicious stretch"),
        (moment("2026-03-04T05:06:07+00:00"), "4 March 2026, 05:06 UTC"),
        (moment("yesterday"), "yesterday"),
    ],
)
def test_notation(written, expected):
    assert written == expected


def test_thresholds_of_the_model_are_not_called_others(voice):
    assert voice.thresholds == THRESHOLDS
    assert "not the model’s own" not in section(page(voice)).text

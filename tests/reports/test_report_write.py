import csv
import io
import os
import stat
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from report_examples import BAD, BASIS, EMPTY, GENUINE, HOSTILE, MUTE, REPORT, SPLICED, hostile

from deepcheck.errors import ConfigError, DeepcheckError
from deepcheck.files import exact, sha256
from deepcheck.reports import FORMATS, REPORTS, Style
from deepcheck.reports.folder import INDEX, safe
from deepcheck.reports.write import format_of, render, require_place, write
from deepcheck.scanner.result import Report

DOCUMENTS = [name for name in FORMATS if not FORMATS[name].per_recording and name != "html"]
FOLDERS = [name for name in FORMATS if FORMATS[name].per_recording]


def at(*paths: str) -> Report:
    """The same results, of recordings at these paths."""
    return Report(tuple(replace(SPLICED, path=Path(path)) for path in paths), BASIS)


def names(written: list[Path]) -> list[str]:
    return [path.name for path in written]


def index(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / INDEX).read_bytes().decode(), newline="")))


def held(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- the table of formats


def test_the_formats():
    assert list(REPORTS) == [
        *("table", "csv", "jsonl", "html", "markdown", "audacity", "raven", "textgrid", "rttm"),
    ]
    assert FOLDERS == ["audacity", "textgrid"]
    endings = [ending.casefold() for row in FORMATS.values() for ending in row.endings]
    assert len(set(endings)) == len(endings)  # an ending says one format
    assert all(row.endings for row in FORMATS.values())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("report.csv", "csv"),
        ("report.CSV", "csv"),
        ("a.b/report.v2.jsonl", "jsonl"),
        ("report.html", "html"),
        ("report.htm", "html"),
        ("report.md", "markdown"),
        ("report.markdown", "markdown"),
        ("report.txt", "table"),
        ("report", "table"),
        ("-", "table"),
        ("/dev/stdout", "table"),
        ("inbox.selections.txt", "raven"),
        ("selections.txt", "table"),
        (".selections.txt", "table"),
        ("call.TextGrid", "textgrid"),
        ("grids.textgrid", "textgrid"),
        ("call.labels.txt", "audacity"),
        ("out.rttm", "rttm"),
        (".csv", "table"),  # a hidden file without an ending
    ],
)
def test_format_of_a_name(name, kind):
    assert format_of(Path(name)) == kind


@pytest.mark.parametrize("name", ["report.json", "report.pdf", "report.wav", "report.csv.gz"])
def test_an_ending_that_names_no_format(name):
    with pytest.raises(DeepcheckError) as caught:
        format_of(Path("folder") / name)
    assert caught.value.message == f'The ending of "{name}" names no report format.'
    assert caught.value.hint == (
        "Use .txt, .csv, .jsonl, .html, .md, .labels.txt, .selections.txt, .TextGrid, .rttm, or say "
        "--format table | csv | jsonl | html | markdown | audacity | raven | textgrid | rttm."
    )


def test_unknown_format_names_the_nearest(tmp_path):
    for refused in (
        lambda: write(REPORT, "cvs", tmp_path / "x"),
        lambda: render(REPORT, "cvs"),
        lambda: require_place("cvs", tmp_path / "x"),
    ):
        with pytest.raises(ConfigError, match='Did you mean "csv"'):
            refused()
    assert held(tmp_path) == set()


# --- one document


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_is_written_as_it_is_rendered(tmp_path, kind):
    output = tmp_path / "new" / "report"
    assert write(REPORT, kind, output) == [output]
    assert output.read_bytes() == REPORTS.resolve(kind)(REPORT, Style()).encode()
    assert render(REPORT, kind) == output.read_bytes().decode()
    assert held(output.parent) == {"report"}  # nothing temporary stays


def test_the_style_is_passed_on(tmp_path):
    [path] = write(REPORT, "table", tmp_path / "report", Style(width=60, color=True))
    assert "\x1b[" in path.read_text("utf-8")
    assert render(REPORT, "table", Style(60)) != render(REPORT, "table", Style(120))


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_can_be_written(tmp_path, kind, name):
    [path] = write(hostile(name), kind, tmp_path / "report")
    path.read_text("utf-8")


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_an_empty_report_can_be_written(tmp_path, kind):
    [path] = write(EMPTY, kind, tmp_path / "report")
    assert path.exists()


def test_an_older_report_is_replaced_whole(tmp_path):
    output = tmp_path / "report.csv"
    output.write_text("old\n" * 10_000)
    write(REPORT, "csv", output)
    assert output.read_bytes() == render(REPORT, "csv").encode()


def test_what_cannot_be_rendered_leaves_the_older_report(tmp_path, monkeypatch):
    output = tmp_path / "report.csv"
    output.write_text("old")
    monkeypatch.setattr("deepcheck.reports.csv.render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(REPORT, "csv", output)
    assert output.read_text() == "old"


def test_a_folder_is_no_place_for_a_document(tmp_path):
    for refuse in (write, lambda _, kind, place: require_place(kind, place)):
        with pytest.raises(DeepcheckError, match="is a folder; the report is one file"):
            refuse(REPORT, "csv", tmp_path)


def test_a_format_of_somebody_else_is_one_document(tmp_path, monkeypatch):
    monkeypatch.setitem(REPORTS._rows, "shout", "deepcheck.reports.table:render")
    assert write(REPORT, "shout", tmp_path / "report") == [tmp_path / "report"]
    assert render(REPORT, "shout") == render(REPORT, "table")


# --- a document for each recording


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_document_for_each_recording_and_an_index(tmp_path, kind):
    ending = FORMATS[kind].endings[0]
    written = write(Report((SPLICED, GENUINE), BASIS), kind, tmp_path / "new" / "labels")
    folder = tmp_path / "new" / "labels"
    assert written == [folder / f"spliced.mp3{ending}", folder / f"call.wav{ending}"]
    for path, result in zip(written, (SPLICED, GENUINE), strict=True):
        assert path.read_text("utf-8") == render(Report((result,), BASIS), kind)
    assert index(folder) == [
        {"file": f"spliced.mp3{ending}", "recording": "in/spliced.mp3", "sha256": sha256(written[0])},
        {"file": f"call.wav{ending}", "recording": "in/call.wav", "sha256": sha256(written[1])},
    ]
    assert held(folder) == {INDEX, *names(written)}


def test_two_formats_share_a_folder(tmp_path):
    for kind in FOLDERS * 2:
        write(at("a.wav"), kind, tmp_path)
    assert held(tmp_path) == {INDEX, "a.wav.labels.txt", "a.wav.TextGrid"}
    assert [row["file"] for row in index(tmp_path)] == ["a.wav.labels.txt", "a.wav.TextGrid"]


def test_an_empty_report_makes_an_empty_folder(tmp_path):
    assert write(EMPTY, "audacity", tmp_path / "labels") == []
    assert held(tmp_path / "labels") == {INDEX}


def test_recordings_of_one_name_are_told_apart(tmp_path):
    report = at("news/a.wav", "mail/a.wav", "mail/A.WAV", "other/mail/a.wav", "b.wav")
    written = write(report, "audacity", tmp_path)
    assert names(written) == [
        "news-a.wav.labels.txt",
        "mail-a.wav.labels.txt",
        "mail-A.WAV-2.labels.txt",  # as some file systems have it, the same
        "mail-a.wav-3.labels.txt",
        "b.wav.labels.txt",
    ]
    assert [row["recording"] for row in index(tmp_path)] == [str(result.path) for result in report]
    assert write(report, "audacity", tmp_path) == written


def test_names_stay_when_others_come_and_go(tmp_path):
    first = write(at("mail/a.wav"), "audacity", tmp_path)
    both = write(at("news/a.wav", "mail/a.wav"), "audacity", tmp_path)
    assert names(first) == ["a.wav.labels.txt"]
    assert names(both) == ["news-a.wav.labels.txt", "a.wav.labels.txt"]
    assert write(at("news/a.wav"), "audacity", tmp_path) == both[:1]
    assert held(tmp_path) == {INDEX, *names(both)}  # those of another scan stay


def test_what_was_written_here_is_replaced(tmp_path):
    [path] = write(at("a.wav"), "audacity", tmp_path)
    changed = Report((replace(SPLICED, path=Path("a.wav"), llr=-2.0),), BASIS)
    assert write(changed, "audacity", tmp_path) == [path]
    assert path.read_text().startswith("0.000000\t12.000000\trecording: spoof -2.00")
    assert index(tmp_path)[0]["sha256"] == sha256(path)


def test_what_somebody_else_wrote_is_not(tmp_path):
    (tmp_path / "a.wav.labels.txt").write_text("somebody's own")
    (tmp_path / "A.WAV-2.LABELS.TXT").mkdir()
    (tmp_path / "a.wav-3.labels.txt").symlink_to("nowhere")
    [path] = write(at("a.wav"), "audacity", tmp_path)
    assert path.name == "a.wav-4.labels.txt"
    assert (tmp_path / "a.wav.labels.txt").read_text() == "somebody's own"
    assert write(at("a.wav"), "audacity", tmp_path) == [path]  # and so it stays
    assert not (tmp_path / "nowhere").exists()


def test_what_somebody_edited_is_not(tmp_path):
    [path] = write(at("a.wav"), "audacity", tmp_path)
    path.write_text("edited by hand")
    [other] = write(at("a.wav"), "audacity", tmp_path)
    assert (path.name, other.name) == ("a.wav.labels.txt", "a.wav-2.labels.txt")
    assert path.read_text() == "edited by hand"
    assert [row["file"] for row in index(tmp_path)] == ["a.wav-2.labels.txt"]


def test_a_link_in_the_place_of_a_document_is_not_followed(tmp_path):
    [path] = write(at("a.wav"), "audacity", tmp_path / "labels")
    path.rename(tmp_path / "elsewhere.txt")
    path.symlink_to(tmp_path / "elsewhere.txt")
    before = (tmp_path / "elsewhere.txt").read_text()
    changed = Report((replace(SPLICED, path=Path("a.wav"), llr=-2.0),), BASIS)
    assert names(write(changed, "audacity", tmp_path / "labels")) == ["a.wav-2.labels.txt"]
    assert (tmp_path / "elsewhere.txt").read_text() == before


def test_one_that_was_deleted_comes_back(tmp_path):
    [path] = write(at("a.wav"), "audacity", tmp_path)
    path.unlink()
    assert write(at("a.wav"), "audacity", tmp_path) == [path]
    assert path.exists()


def test_killed_before_the_index_was_written_it_goes_on_where_it_was(tmp_path):
    written = write(at("a.wav", "b.wav"), "audacity", tmp_path)
    (tmp_path / INDEX).unlink()
    assert write(at("a.wav", "b.wav"), "audacity", tmp_path) == written
    assert held(tmp_path) == {INDEX, *names(written)}


def test_a_disk_that_is_full_costs_no_older_document(tmp_path, monkeypatch):
    written = write(at("a.wav", "b.wav"), "audacity", tmp_path)
    before = {path: path.read_bytes() for path in (*written, tmp_path / INDEX)}
    original = Path.replace

    def fail(self, target):
        if "b.wav" in str(target):
            raise OSError(28, "No space left on device")
        return original(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write(at("a.wav", "b.wav"), "audacity", tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    monkeypatch.undo()
    assert write(at("a.wav", "b.wav"), "audacity", tmp_path) == written


def test_a_recording_of_which_there_is_nothing_to_say_has_no_document(tmp_path):
    assert names(write(Report((BAD, MUTE), BASIS), "textgrid", tmp_path)) == ["mute.wav.TextGrid"]
    assert held(tmp_path) == {INDEX, "mute.wav.TextGrid"}
    # One that it had is out of date; unless somebody has worked on it.
    assert write(Report((replace(BAD, path=MUTE.path),), BASIS), "textgrid", tmp_path) == []
    assert held(tmp_path) == {INDEX}
    [path] = write(Report((MUTE,), BASIS), "textgrid", tmp_path)
    path.write_text("edited by hand")
    assert write(Report((replace(BAD, path=MUTE.path),), BASIS), "textgrid", tmp_path) == []
    assert path.read_text() == "edited by hand"


def test_a_file_is_no_place_for_a_folder(tmp_path):
    output = tmp_path / "labels.txt"
    output.write_text("old")
    for refuse in (write, lambda _, kind, place: require_place(kind, place)):
        with pytest.raises(DeepcheckError, match="makes a file for each recording"):
            refuse(REPORT, "audacity", output)
    assert output.read_text() == "old"
    require_place("audacity", tmp_path)
    require_place("audacity", tmp_path / "new")
    require_place("csv", output)


def test_on_stdout_there_is_place_for_one(tmp_path):
    assert render(at("a.wav"), "audacity").startswith("0.000000\t12.000000\trecording")
    for report in (EMPTY, REPORT):
        with pytest.raises(DeepcheckError, match='format "audacity" makes a file for each') as caught:
            render(report, "audacity")
        assert "--output" in caught.value.hint


@pytest.mark.parametrize("kind", FOLDERS)
def test_hostile_names(tmp_path, kind):
    paths = [Path("in") / name for name in HOSTILE]
    report = Report(tuple(replace(SPLICED, path=path) for path in paths), BASIS)
    written = write(report, kind, tmp_path)
    assert len({unicodedata.normalize("NFC", path.name).casefold() for path in written}) == len(paths)
    assert {path.parent for path in written} == {tmp_path}
    assert held(tmp_path) == {INDEX, *names(written)}
    for path in written:
        assert path.name.isprintable()
        assert not set(path.name) & set("<>:\"/\\|?*'`$&;=~!()[]{}%#\n\t\0")
        assert path.name[0] not in ".- "
        assert path.name.endswith(FORMATS[kind].endings[0])
    texts = [row["recording"] for row in index(tmp_path)]
    assert [text.removeprefix("./") for text in texts] == [exact(path) for path in paths]
    assert write(report, kind, tmp_path) == written


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("voice 1.wav", "voice 1.wav"),
        ("naïve 音声 हिन्दी العربية.wav", "naïve 音声 हिन्दी العربية.wav"),
        ("nai\u0308ve.wav", "naïve.wav"),
        ("<script>.wav", "_script_.wav"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "recording"),
        (".hidden.wav", "hidden.wav"),
        ("-rf", "_-rf"),
        ("trailing. . ", "trailing"),
        ("CON.wav", "_CON.wav"),
        ("com1", "_com1"),
        ("console.wav", "console.wav"),
        ("caf\\xe9.wav", "caf_xe9.wav"),
        ("🎙", "_"),
        ("a\u202eb\x1b[31m\n", "a_b__31m_"),
        ("", "recording"),
        ("x" * 300, "x" * 120),
        ("音" * 300, "音" * 40),
        ("x" * 119 + "音", "x" * 119),
    ],
    ids=ascii,
)
def test_safe_names(name, file):
    assert safe(name) == file
    assert safe(file) == file  # nothing is gained by doing it twice


def test_the_longest_names_of_a_file_system(tmp_path):
    paths = ["x" * 251 + ".wav", "x" * 250 + "y.wav", "音" * 84 + ".wav", "a" * 250 + "/" + "x" * 251 + ".wav"]
    assert len(set(write(at(*paths), "textgrid", tmp_path))) == 4


def test_two_paths_that_read_the_same(tmp_path):
    report = at(os.fsdecode(b"caf\xe9.wav"), "caf\\xe9.wav")
    written = write(report, "audacity", tmp_path)
    assert names(written) == ["caf_xe9.wav.labels.txt", "caf_xe9.wav-2.labels.txt"]
    assert set(write(report, "audacity", tmp_path)) == set(written)
    assert held(tmp_path) == {INDEX, *names(written)}


@pytest.mark.parametrize("content", ["", "not,an,index\n", "file\n", b"\xff\xfe\x00", "x" * 200_000])
def test_an_index_that_is_none_is_left_alone(tmp_path, content):
    place = tmp_path / INDEX
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = place.read_bytes()
    with pytest.raises(DeepcheckError, match="is no index of such a folder"):
        write(REPORT, "audacity", tmp_path)
    assert place.read_bytes() == before
    assert held(tmp_path) == {INDEX}


@pytest.mark.parametrize("file", ["../outside.labels.txt", "/etc/x.labels.txt", "..", "", "a\\b.labels.txt", "c:x"])
def test_an_index_leads_to_no_other_folder(tmp_path, file):
    outside = tmp_path / "outside.labels.txt"
    outside.write_text("mine")
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / INDEX).write_text(f"file,recording,sha256\r\n{file},a.wav,{sha256(outside)}\r\nshort\r\n")
    [path] = write(at("a.wav"), "audacity", folder)
    assert path == folder / "a.wav.labels.txt"
    assert outside.read_text() == "mine"
    assert held(tmp_path) == {"outside.labels.txt", "labels"}


def test_documents_have_ordinary_permissions(tmp_path):
    umask = os.umask(0o022)
    try:
        [path] = write(at("a.wav"), "audacity", tmp_path)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

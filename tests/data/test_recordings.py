import os

import pytest
from miniature import touch, write

from deepcheck.data.protocols.corpus import look
from deepcheck.data.protocols.recordings import Listing, Recordings, below, stem
from deepcheck.data.protocols.trial_list import read_list
from deepcheck.errors import DataError


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("x.wav", "x"),
        ("X.FLAC", "X"),
        ("ADD2023_T1.2R2_E_00000003", "ADD2023_T1.2R2_E_00000003"),
        ("ADD2023_T1.2R2_E_00000003.wav", "ADD2023_T1.2R2_E_00000003"),
        ("file1001.wav_16k.wav_norm.wav", "file1001.wav_16k.wav_norm"),
        ("notes.txt", "notes.txt"),
        (".wav", ".wav"),
        ("", ""),
    ],
)
def test_names_without_the_ending_of_audio(name, bare):
    assert stem(name) == bare


def test_below_is_in_order_and_passes_over_the_rest(tmp_path):
    touch(tmp_path, "b/2.wav", "b/10.mp3", "a/x.flac", "z.opus", "b/._2.wav", ".hidden/y.wav", "a/notes.txt")
    assert [path.relative_to(tmp_path).as_posix() for path in below(tmp_path)] == [
        *("a/x.flac", "b/10.mp3", "b/2.wav"),
        "z.opus",
    ]
    assert below(tmp_path / "nowhere") == []


def test_links_to_folders_are_followed_and_end_somewhere(tmp_path):
    touch(tmp_path / "disk", "x.wav")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "flac").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "corpus")
    assert Recordings([tmp_path / "corpus"]).find("x") == tmp_path / "corpus" / "flac" / "x.wav"


def test_find_whatever_the_ending(tmp_path):
    audio = Recordings([touch(tmp_path / "one", "sub/x.wav", "sub/x.flac"), touch(tmp_path / "two", "x.mp3", "y.mp3")])
    assert len(audio) == 2
    assert audio.find("x") == audio.find("x.ogg") == tmp_path / "one" / "sub" / "x.flac"
    assert audio.find("y.wav") == tmp_path / "two" / "y.mp3"
    assert audio.find("z") is None


def test_no_question_to_the_file_system_for_each_recording(tmp_path, monkeypatch):
    touch(tmp_path, *(f"flac/u{i}.flac" for i in range(50)))
    write(tmp_path, "list.txt", "".join(f"u{i} spoof\n" for i in range(50)))
    asked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *rest, **named: asked.append(path) or stat(path, *rest, **named))
    assert len(read_list(tmp_path / "list.txt", {2: ("file", "key")}, Recordings([tmp_path / "flac"]))) == 50
    listing = Listing(tmp_path)
    assert all(listing.find(f"flac/u{i}.flac") for i in range(50))
    assert len(asked) < 10


def test_listing(tmp_path):
    touch(tmp_path, "x.wav", "x.flac", "odd.name", "y.mp3", "in/.hidden.wav")
    listing = Listing(tmp_path)
    assert listing.find("x.wav") == listing.find(str(tmp_path / "x.wav")) == tmp_path / "x.wav"
    assert listing.find("odd.name") == tmp_path / "odd.name"
    assert listing.find("y.wav") == listing.find("y") == tmp_path / "y.mp3"
    assert listing.find("in/.hidden.wav") == tmp_path / "in" / ".hidden.wav"
    assert Listing(tmp_path / "in").find("../x.wav").samefile(tmp_path / "x.wav")
    assert [listing.find(name) for name in ("z.wav", "in", "nowhere/z.wav")] == [None, None, None]


def test_look_begins_at_the_root_and_stops_where_something_is(tmp_path):
    touch(tmp_path, "a/b/keys.txt", "a/keys.txt", "c/keys.txt", "c/d/e/deep.txt")
    assert look(tmp_path, ["keys.txt"]) == [tmp_path / "a/keys.txt", tmp_path / "c/keys.txt"]
    assert look(tmp_path, ["none.txt", "b/keys.txt"]) == [tmp_path / "a/b/keys.txt"]
    assert look(tmp_path, ["./keys.txt"]) == []
    assert look(tmp_path / "a", ["./keys.txt"]) == [tmp_path / "a/keys.txt"]
    assert look(tmp_path, ["deep.txt"]) == []
    assert look(tmp_path / "c", ["deep.txt"]) == [tmp_path / "c/d/e/deep.txt"]
    assert look(tmp_path / "nowhere", ["keys.txt"]) == []


def test_a_list_that_is_empty_or_no_text(tmp_path):
    audio = Recordings([tmp_path])
    write(tmp_path, "list.txt", "\n\n")
    assert read_list(tmp_path / "list.txt", {1: ("file",)}, audio) == ()
    (tmp_path / "list.txt").write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    with pytest.raises(DataError, match=r"list\.txt is not a text file in UTF-8") as caught:
        read_list(tmp_path / "list.txt", {1: ("file",)}, audio)
    assert "archive" in caught.value.hint


def test_only_the_first_line_may_be_a_header(tmp_path):
    touch(tmp_path, "x.wav", "y.wav")
    write(tmp_path, "list.txt", "\nfilename cm-label\nx spoof\n\n  y\tbonafide \n")
    layouts = {2: ("file", "key")}
    assert [u.id for u in read_list(tmp_path / "list.txt", layouts, Recordings([tmp_path]))] == ["x", "y"]
    write(tmp_path, "list.txt", "\ufeffx spoof\n")
    assert [u.id for u in read_list(tmp_path / "list.txt", layouts, Recordings([tmp_path]))] == ["x"]
    write(tmp_path, "list.txt", "\ufeffx spoof\nfilename cm-label\n")
    with pytest.raises(DataError, match=r'line 2: "cm-label" is not a label'):
        read_list(tmp_path / "list.txt", layouts, Recordings([tmp_path]))

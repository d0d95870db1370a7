from dataclasses import replace
from pathlib import Path

import pytest

from deepcheck.data.utterance import Label, Protocol, Utterance, parse_label
from deepcheck.errors import DataError


def some(*labels):
    return Protocol("toy", "dev", tuple(Utterance(f"u{i}", Path(f"{i}.wav"), label) for i, label in enumerate(labels)))


def test_higher_is_more_bonafide():
    assert (Label.SPOOF, Label.BONAFIDE) == (0, 1)


@pytest.mark.parametrize("word", ["bonafide", "Bona-Fide", "bona fide", "bona_fide", " genuine ", "REAL", "human"])
def test_words_for_bonafide(word):
    assert parse_label(word) is Label.BONAFIDE


@pytest.mark.parametrize("word", ["spoof", "Spoofed", "fake", "synthetic", "deepfake\n"])
def test_words_for_spoof(word):
    assert parse_label(word) is Label.SPOOF


@pytest.mark.parametrize("word", ["0", "1", "1.0", "", "-", "true", "bonafid", "spoof bonafide"])
def test_digits_and_other_words_are_refused(word):
    with pytest.raises(DataError, match="is not a label") as caught:
        parse_label(word)
    assert f'"{word}"' in caught.value.message
    assert caught.value.hint == "Write bonafide or spoof."


def test_get_finds_fields_and_tags_and_nothing_else():
    utterance = Utterance(
        "u", Path("u.wav"), Label.SPOOF, attack="A07", source="site", pair="g", tags={"language": "de", "path": "x"}
    )
    assert [utterance.get(key) for key in ("attack", "source", "pair", "language")] == ["A07", "site", "g", "de"]
    assert utterance.get("speaker") is None
    assert utterance.get("label") is None  # a column of the manifest, but no tag
    assert utterance.get("nonsense") is None


def test_counts_and_description():
    protocol = some(Label.SPOOF, Label.SPOOF, Label.BONAFIDE, None)
    assert len(protocol) == 4
    assert protocol.counts() == {Label.SPOOF: 2, Label.BONAFIDE: 1, None: 1}
    assert protocol.describe() == "toy (dev): 1 bona fide, 2 spoof, 1 without a label"
    labelled = protocol.where(lambda u: u.label is not None)
    assert labelled.describe() == "toy (dev): 1 bona fide, 2 spoof"
    assert [u.id for u in labelled.utterances] == ["u0", "u1", "u2"]
    assert replace(labelled, note="more elsewhere").describe() == "toy (dev): 1 bona fide, 2 spoof (more elsewhere)"


def test_both_labels_are_required_by_name():
    some(Label.SPOOF, Label.BONAFIDE).require_both_labels()
    with pytest.raises(DataError, match="holds no bonafide recording"):
        some(Label.SPOOF, None).require_both_labels()
    with pytest.raises(DataError, match="holds no spoof recording"):
        some(Label.BONAFIDE).require_both_labels()

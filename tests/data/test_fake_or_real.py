import pytest
from conftest import speechlike, write_wav
from miniature import rows, touch

from deepcheck.data.protocols import read_data
from deepcheck.engine.evaluate import evaluate
from deepcheck.engine.model import load
from deepcheck.errors import DataError


def variant(root):
    """Two recordings in each part of a variant."""
    parts = ("training", "validation", "testing")
    return touch(root, *(f"{part}/{file}" for part in parts for file in ("real/file1.wav", "fake/file1.mp3")))


@pytest.mark.parametrize(
    ("subset", "part"),
    [("train", "training"), ("dev", "validation"), ("eval", "testing"), ("testing", "testing")],
)
def test_one_variant(tmp_path, subset, part):
    protocol = read_data(variant(tmp_path / "for-norm"), "fake-or-real", subset)
    assert rows(protocol, "source", "attack") == [
        (f"{part}/fake/file1.mp3", "spoof", "for-norm", None),
        (f"{part}/real/file1.wav", "bonafide", "for-norm", None),
    ]
    assert protocol.subset == (subset if subset != "testing" else "eval")


def test_all_variants_whatever_their_archives_unpack_to(tmp_path):
    for folder in ("for-original", "for-norm/for-norm", "for-2sec/for-2seconds", "for-rerec"):
        variant(tmp_path / folder)
    protocol = read_data(tmp_path, "fake-or-real", "dev")
    assert rows(protocol, "source")[::2] == [
        ("for-2sec/for-2seconds/validation/fake/file1.mp3", "spoof", "for-2seconds"),
        ("for-norm/for-norm/validation/fake/file1.mp3", "spoof", "for-norm"),
        ("for-original/validation/fake/file1.mp3", "spoof", "for-original"),
        ("for-rerec/validation/fake/file1.mp3", "spoof", "for-rerecorded"),
    ]
    assert protocol.describe() == "Fake-or-Real (dev): 4 bona fide, 4 spoof"


def test_an_empty_file_is_listed_and_reported(tmp_path, stored_model):
    root = touch(tmp_path / "for-norm", "testing/fake/empty.wav")
    for i, word in enumerate(("real", "fake")):
        write_wav(root / "testing" / word / "file.wav", speechlike(1.2, seed=i))
    evaluation = evaluate(load(stored_model()), read_data(root, "fake-or-real", "eval"), device="cpu")
    assert len(evaluation.trials) == 2
    assert [(u.id, reason) for u, reason in evaluation.skipped] == [("testing/fake/empty.wav", "the file is empty")]


def test_errors(tmp_path):
    variant(tmp_path / "for-norm")
    with pytest.raises(DataError, match="Fake-or-Real needs a subset, not test") as caught:
        read_data(tmp_path, "fake-or-real", "test")
    assert caught.value.hint.endswith("There are: train, dev, eval.")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"no recordings in .*other/testing/real or fake"):
        read_data(tmp_path / "other", "fake-or-real", "eval")

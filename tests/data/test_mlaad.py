import pytest
from miniature import rows, touch, write

from deepcheck.data.protocols import read_data
from deepcheck.errors import DataError

META = (
    "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript\n"
    './fake/de/vits-neon/none.wav|./de_DE/by_book/y.wav|de|True|3.2|css10|vits/neon|VITS|"Ein Zitat, das nicht endet.\n'
    "./fake/de/vits-neon/kanal_01_f000001.wav|./de_DE/by_book/x.wav|de|True|3.2|css10|vits/neon|VITS|So.\n"
)
SPOOFS = (
    "fake/de/vits-neon/kanal_01_f000001.wav",
    "fake/de/vits-neon/other.wav",
    "fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav",
)
GENUINE = (
    "de_DE/by_book/female/eva_k/kanal/wavs/kanal_01_f000001.wav",
    "de_DE/by_book/mix/book/wavs/mixed_01_f000001.wav",
    "en_US/by_book/male/elliot_miller/silent_bullet/wavs/silent_bullet_09_f000284.wav",
)
EVA = "de_DE/by_book/female/eva_k/kanal/wavs/kanal_01_f000001.wav"
ELLIOT = "en_US/by_book/male/elliot_miller/silent_bullet/wavs/silent_bullet_09_f000284.wav"


@pytest.mark.parametrize(
    ("folder", "beside", "root"),
    [
        ("MLAAD", "M-AILABS", "MLAAD"),
        ("MLAAD", "m_ailabs", "."),
        ("MLAAD", "MLAAD/MAILABS", "MLAAD"),
        ("MLAAD/v5", "MLAAD/M-AILABS", "MLAAD"),
        ("MLAAD", "M-AILABS", "MLAAD/fake"),
    ],
)
def test_spoofs_and_what_they_were_made_from(tmp_path, folder, beside, root):
    write(touch(tmp_path / folder, *SPOOFS), "fake/de/vits-neon/meta.csv", META)
    home = touch(tmp_path / beside, *GENUINE).name
    protocol = read_data(tmp_path / root, "mlaad")
    assert protocol.describe() == "MLAAD: 3 bona fide, 3 spoof"
    bark = "tts_models_multilingual_multi-dataset_bark"
    keys = ("attack", "pair", "language", "architecture", "is_original_language", "speaker")
    assert rows(protocol, *keys) == sorted(
        [
            (f"{home}/{EVA}", "bonafide", None, None, "de", None, None, "eva_k"),
            (f"{home}/{GENUINE[1]}", "bonafide", None, None, "de", None, None, None),
            (f"{home}/{ELLIOT}", "bonafide", None, None, "en", None, None, "elliot_miller"),
            (SPOOFS[0], "spoof", "vits-neon", f"{home}/{EVA}", "de", "VITS", "True", None),
            (SPOOFS[1], "spoof", "vits-neon", None, "de", None, None, None),
            (SPOOFS[2], "spoof", bark, f"{home}/{ELLIOT}", "ga", None, None, None),
        ]
    )


def test_a_name_that_two_have_tells_no_pair(tmp_path):
    touch(tmp_path, *SPOOFS, "M-AILABS/de_DE/a/kanal_01_f000001.wav", "M-AILABS/de_DE/b/kanal_01_f000001.wav")
    assert {u.pair for u in read_data(tmp_path, "mlaad").utterances} == {None}


def test_spoofs_alone_and_errors(tmp_path):
    protocol = read_data(touch(tmp_path, *SPOOFS), "mlaad")
    assert (len(protocol), protocol.note) == (
        3,
        f"its genuine recordings, a folder called M-AILABS, are neither in {tmp_path} nor beside it",
    )
    with pytest.raises(DataError, match='MLAAD has no subset "eval"'):
        read_data(tmp_path, "mlaad", "eval")
    with pytest.raises(DataError, match=r"MLAAD: there is no folder .*de/fake"):
        read_data(tmp_path / "fake" / "de", "mlaad")

import pytest
from miniature import rows, touch

from deepcheck.data.protocols import read_data
from deepcheck.errors import DataError

SPOOFS = (
    "ljspeech_melgan/LJ001-0001_gen.wav",
    "ljspeech_waveglow/LJ001-0001.wav",
    "ljspeech_waveglow/LJ001-0002.wav",
    "jsut_parallel_wavegan/BASIC5000_0001_gen.wav",
    "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_0.wav",
)
LJSPEECH = ("LJSpeech-1.1/wavs/LJ001-0001.wav", "LJSpeech-1.1/metadata.csv")
JSUT = ("jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav", "jsut_ver1.1/loanword128/wav/LOANWORD128_001.wav")


@pytest.mark.parametrize(
    ("spoofs", "genuine", "root"),
    [
        ("generated_audio", ".", "."),
        ("generated_audio", ".", "generated_audio"),
        ("WaveFake/generated_audio", ".", "WaveFake"),
        ("WaveFake", ".", "WaveFake"),
        ("WaveFake/generated_audio", "WaveFake", "."),
        (".", ".", "."),
    ],
)
def test_spoofs_and_what_they_were_made_from(tmp_path, spoofs, genuine, root):
    touch(tmp_path / spoofs, *SPOOFS)
    touch(tmp_path / genuine, *LJSPEECH, *JSUT)
    protocol = read_data(tmp_path / root, "wavefake")
    assert protocol.describe() == "WaveFake: 3 bona fide, 5 spoof"
    prompts = "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech"
    assert rows(protocol, "attack", "source", "speaker", "pair") == [
        ("BASIC5000_0001", "bonafide", None, "jsut", "jsut", None),
        ("LJ001-0001", "bonafide", None, "ljspeech", "ljspeech", None),
        ("LOANWORD128_001", "bonafide", None, "jsut", "jsut", None),
        (f"{prompts}/gen_0", "spoof", prompts, "ljspeech", "ljspeech", None),
        (
            *("jsut_parallel_wavegan/BASIC5000_0001_gen", "spoof", "jsut_parallel_wavegan", "jsut", "jsut"),
            "BASIC5000_0001",
        ),
        ("ljspeech_melgan/LJ001-0001_gen", "spoof", "ljspeech_melgan", "ljspeech", "ljspeech", "LJ001-0001"),
        ("ljspeech_waveglow/LJ001-0001", "spoof", "ljspeech_waveglow", "ljspeech", "ljspeech", "LJ001-0001"),
        ("ljspeech_waveglow/LJ001-0002", "spoof", "ljspeech_waveglow", "ljspeech", "ljspeech", None),
    ]


def test_without_what_they_were_made_from(tmp_path):
    touch(tmp_path / "generated_audio", *SPOOFS)
    protocol = read_data(touch(tmp_path, *JSUT), "wavefake")
    assert protocol.note == f"its genuine recordings, LJSpeech-1.1, are neither in {tmp_path} nor beside it"
    (tmp_path / "jsut_ver1.1").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"holds no bonafide recording") as caught:
        read_data(tmp_path, "wavefake").require_both_labels()
    assert "jsut_ver1.1 and LJSpeech-1.1, are neither in" in caught.value.message


def test_errors(tmp_path):
    touch(tmp_path, *LJSPEECH, *JSUT)  # genuine, and no model of that name
    with pytest.raises(DataError, match=r"there is no .*generated_audio with folders such as ljspeech_melgan"):
        read_data(tmp_path, "wavefake")
    with pytest.raises(DataError, match='WaveFake has no subset "train"'):
        read_data(tmp_path, "wavefake", "train")

"""WaveFake: `generated_audio/MODEL/*.wav`, spoofs alone; what they were made from is in LJSpeech and JSUT."""

from pathlib import Path

from deepcheck.data.protocols.corpus import look, undivided
from deepcheck.data.protocols.recordings import below, stem
from deepcheck.data.utterance import Label, Protocol, Utterance
from deepcheck.errors import DataError

_CORPUS = "WaveFake"
# Folders of the models trained on each of two voices, and the folder of what the voice really said.
_MODELS = {"ljspeech": ("ljspeech_*/", "common_voices_*_ljspeech/"), "jsut": ("jsut_*_*/",)}
_GENUINE = {"ljspeech": "LJSpeech-1.1", "jsut": "jsut_ver1.1"}


def read(root: Path, subset: str | None = None) -> Protocol:
    """The spoofs below `root`, and the recordings of LJSpeech-1.1 and jsut_ver1.1 if these folders are there.

    They may be in `root` or beside it. The attack is the folder of the model, source and speaker are ljspeech or
    jsut, and `pair` is the genuine recording of the same name. There are no subsets. Raises `DataError` for a
    subset, and if there are no spoofs. Source: https://github.com/RUB-SysSec/WaveFake.
    """
    undivided(_CORPUS, subset)
    generated = (look(root, ["generated_audio/"]) or [root])[0]
    models = {
        folder: voice
        for voice, patterns in _MODELS.items()
        for pattern in patterns
        for folder in sorted(generated.glob(pattern))
    }
    if not models:
        raise DataError(
            f"{_CORPUS}: there is no {root / 'generated_audio'} with folders such as ljspeech_melgan, nor are they in "
            f"{root} itself.",
            "Give the folder that generated_audio.zip was unpacked to.",
        )
    voices = sorted(set(models.values()))
    places = (root, generated.parent, root.resolve().parent)
    homes = {
        voice: place / _GENUINE[voice] for voice in voices for place in places if (place / _GENUINE[voice]).is_dir()
    }
    genuine = [
        Utterance(stem(path.name), path, Label.BONAFIDE, speaker=voice, source=voice)
        for voice, home in homes.items()
        for path in below(home)
    ]
    originals = {utterance.id for utterance in genuine}
    spoofs = []
    for folder, voice in models.items():
        for path in below(folder):
            name = stem(path.name)
            original = name.removesuffix("_gen")
            pair = original if original in originals else None
            spoofs.append(
                Utterance(f"{folder.name}/{name}", path, Label.SPOOF, folder.name, voice, source=voice, pair=pair)
            )
    lacking = " and ".join(_GENUINE[voice] for voice in voices if voice not in homes)
    note = f"its genuine recordings, {lacking}, are neither in {root} nor beside it" if lacking else ""
    return Protocol(_CORPUS, None, (*genuine, *spoofs), note)

"""Reading models of the Hugging Face hub: the files, what their labels mean, and the detector that they make."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from deepcheck.card import DetectorSpec
from deepcheck.detectors.base import build_unfilled
from deepcheck.detectors.hub import Hub, config_of, plain
from deepcheck.errors import ConfigError, ModelError
from deepcheck.files import sha256

_FILES = ("config.json", "preprocessor_config.json", "processor_config.json", "model*.safetensors*")
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")

# Labels without their case, signs, and the word for speech at their end; whatever else they may be called, their
# author is to be asked.
_BONAFIDE = frozenset({"bonafide", "genuine", "real", "human", "authentic"})
_SPOOF = frozenset({
    "spoof", "spoofed", "spoofing", "fake", "faked", "deepfake", "synthetic", "synthesized", "synthesised", "ai",
    "aigenerated", "generated", "artificial", "cloned",
})  # fmt: skip
_SHOWN = 12  # labels in a message
_NO_SETTING = ("processor_class", "auto_map", "_name_or_path", "_processor_class", "_commit_hash")


@dataclass(frozen=True)
class HubModel:
    """A detector from the hub, the `folder` with its files, its `revision` (a commit; none of a folder), the
    `labels` in words, and a SHA-256 over the files and what the labels are taken for."""

    detector: Hub
    folder: Path
    revision: str | None
    labels: str
    sha256: str


def fetch(name: str, labels: str | None = None, window_s: float = 4.0) -> HubModel:
    """The audio-classification model `name`: `owner/model` or `owner/model@revision` on the hub, or a folder.

    A model that was fetched before is read from the cache of `huggingface_hub`, without a look at the network; only
    one that is not there is downloaded. Weights are read from safetensors alone, and no code that lies beside them
    is run. `labels` (`spoof=fake,bonafide=real`) says which labels mean what; without it they have to be called by one
    of a few words that leave no doubt.

    `ModelError` where there is no such model, or none that can be used, `ConfigError` for labels that it does not
    have or whose meaning is not certain.
    """
    folder, revision = _folder(name)
    weights = _weights(folder)
    if (folder / "adapter_config.json").is_file():
        raise ModelError(f'"{name}" holds an adapter, not a whole model.', "Merge it into its base and save that.")
    if not weights:
        raise _without_weights(name, folder)
    settings, extractor = _settings(name, folder), _extractor(name, folder)
    with _speaking_of(name):
        config = config_of(settings)
        meaning = meanings(config.id2label, labels)
        spec = DetectorSpec("hub", {"config": plain(config), "extractor": extractor, **meaning, "window_s": window_s})
        detector = build_unfilled(spec)
        assert isinstance(detector, Hub)
        detector.network.load_state_dict(_loaded(detector.network, folder))  # a copy: the files may go
    words = ",".join(f"{kind}={config.id2label[number]}" for kind in meaning for number in meaning[kind])
    files = [folder / file for file in _FILES[:3] if (folder / file).is_file()] + weights
    lines = [*(f"{sha256(file)}  {file.name}\n" for file in files), f"{words} {window_s:g} s\n"]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return HubModel(detector.eval(), folder, revision, words, digest)


def meanings(names: Mapping[int, str], labels: str | None = None) -> dict[str, list[int]]:
    """{"bonafide": numbers of labels, "spoof": likewise}, from `labels` or else from their `names` alone.

    `labels` are pairs like `spoof=fake,bonafide=real`; a kind may be named more than once. `ConfigError` if that
    cannot be read, names a label that is not there, or is not given where the names leave a doubt.
    """
    if labels is not None:
        return _given(names, labels)
    words = {number: _word(name) for number, name in names.items()}
    found = {
        "bonafide": sorted(number for number, word in words.items() if word in _BONAFIDE),
        "spoof": sorted(number for number, word in words.items() if word in _SPOOF),
    }
    if not all(found.values()) or sum(map(len, found.values())) < len(names):
        first, second = [*names.values(), "x", "y"][:2]
        raise ConfigError(
            f"It is not certain what the labels mean: {_listed(names)}.",
            f"Say it, as the author of the model does: --labels 'spoof={first},bonafide={second}', or the other way "
            "round. Several labels of a kind: spoof=a,spoof=b.",
        )
    return found


def _given(names: Mapping[int, str], labels: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"bonafide": [], "spoof": []}
    for pair in labels.split(","):
        kind, sign, label = (part.strip() for part in pair.partition("="))
        kind = re.sub(r"[^a-z]", "", kind.casefold())
        if not sign or kind not in found:
            raise ConfigError(f'"{pair}" says not what a label means.', "Write --labels spoof=fake,bonafide=real.")
        numbers = [number for number, name in names.items() if name == label]
        numbers = numbers or [number for number, name in names.items() if name.casefold() == label.casefold()]
        if not numbers:
            raise ConfigError(f'The model has no label "{label}".', f"Its labels are: {_listed(names)}.")
        found[kind] += [number for number in numbers if number not in found[kind]]
    if missing := [kind for kind, numbers in found.items() if not numbers]:
        raise ConfigError(f'"{labels}" names no label for {missing[0]}.', f"The labels are: {_listed(names)}.")
    if both := set(found["bonafide"]) & set(found["spoof"]):
        raise ConfigError(f'"{labels}" takes {names[both.pop()]!r} for both.', f"The labels are: {_listed(names)}.")
    return {kind: sorted(numbers) for kind, numbers in found.items()}


def _word(label: str) -> str:
    return re.sub(r"(audio|speech|voice)s?$", "", re.sub(r"[^a-z0-9]", "", label.casefold()))


def _listed(names: Mapping[int, str]) -> str:
    shown = list(names.values())[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _folder(name: str) -> tuple[Path, str | None]:
    """The folder with the files, and the commit if it is one of the cache."""
    place = Path(name).expanduser()
    if place.is_dir():
        return place, None
    repository, _, revision = name.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or repository.startswith((".", "~")):
        raise ModelError(f"There is no folder {place}.", "Write hf:owner/name for a model on the Hugging Face hub.")
    folder = _snapshot(repository, revision or None, fetched=True)
    if folder is None or not (_weights(folder) and (folder / "config.json").is_file()):
        folder = _snapshot(repository, revision or None, fetched=False)
    assert folder is not None
    return folder, folder.name if re.fullmatch("[0-9a-f]{40}", folder.name) else None


def _snapshot(repository: str, revision: str | None, *, fetched: bool) -> Path | None:
    """The folder of the cache; where `fetched`, without the network, and None if it is not there as a whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(repository, revision=revision, allow_patterns=list(_FILES), local_files_only=fetched)
        )
    except GatedRepoError:
        reason = f'The model "{repository}" is given only to those who ask its author.'
        hint = "Ask on its page on huggingface.co, then log in with: hf auth login."
    except RepositoryNotFoundError:
        reason = f'There is no model "{repository}" on the Hugging Face hub, or it is private.'
        hint = "Check its name. For a private one log in with: hf auth login."
    except RevisionNotFoundError:
        reason, hint = f'The model "{repository}" has no revision "{revision}".', "Check its page on huggingface.co."
    except Exception as error:  # which ones, depends on the HTTP library beneath
        if fetched and isinstance(error, LocalEntryNotFoundError):
            return None
        reason = (
            f'The model "{repository}" is not on this machine, and the Hugging Face hub cannot be reached '
            f"({_short(error).partition('. ')[0]})."
        )
        hint = "Fetch it once where there is a network, or copy its files here and write hf:/path/to/the/folder."
    raise ModelError(reason, hint)


def _weights(folder: Path) -> list[Path]:
    """The files of a whole set of weights, in order; none if one of them is missing."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if not index.is_file():
        return []
    try:
        shards = sorted({folder / name for name in json.loads(index.read_text("utf-8"))["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return shards if all(shard.is_file() and shard.parent == folder for shard in shards) else []


def _without_weights(name: str, folder: Path) -> ModelError:
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    return ModelError(
        f'"{name}" has no weights in the format safetensors{f" (only {pickles[0]})" if pickles else ""}.',
        "deepcheck reads no pickled weights (.bin, .pt, .pth, .ckpt). Have its author save them with save_pretrained, "
        "or convert them: https://huggingface.co/spaces/safetensors/convert",
    )


def _settings(name: str, folder: Path) -> dict[str, Any]:
    try:
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        if isinstance(settings, dict):
            return settings
    except (OSError, ValueError, RecursionError):
        pass
    raise ModelError(f'"{name}" has no config.json that could be read.', "Give a folder that save_pretrained wrote.")


def _extractor(name: str, folder: Path) -> dict[str, Any]:
    """The settings of the feature extractor, without what is computed from them."""
    from deepcheck.audio.torchaudio_import import import_torchaudio

    import_torchaudio()
    from transformers import AutoFeatureExtractor

    try:
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        settings: dict[str, Any] = json.loads(json.dumps(extractor.to_dict()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f'"{name}" does not say how its input is made: {_short(error)}.',
            "It needs a preprocessor_config.json; save its feature extractor beside it with save_pretrained.",
        ) from error
    return {key: value for key, value in settings.items() if key not in _NO_SETTING}


def _loaded(network: Any, folder: Path) -> dict[str, torch.Tensor]:
    """The weights as `transformers` reads them, names of older versions included; float32."""
    with _without_noise():
        model, report = type(network).from_pretrained(
            folder,
            config=network.config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    wrong = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    wrong = sorted(key for key in wrong if not key.endswith("masked_spec_embed"))
    if wrong:  # transformers would make them up
        raise ModelError(
            f"It has no weights for {len(wrong)} parts of the network, {wrong[0]} among them.",
            "Give a model that was trained to sort sound into labels, not a bare encoder.",
        )
    loaded: dict[str, torch.Tensor] = model.state_dict()
    return loaded


@contextmanager
def _speaking_of(name: str) -> Iterator[None]:
    """Errors about the model say which one."""
    try:
        yield
    except (ConfigError, ModelError) as error:
        raise type(error)(f'The model "{name}" cannot be used. {error.message}', error.hint) from error
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, SafetensorError) as error:
        raise ModelError(f'The model "{name}" cannot be used: {_short(error)}.') from error


@contextmanager
def _without_noise() -> Iterator[None]:
    """No bars and tables of transformers' own on the terminal."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split()).removesuffix(".")[:200]

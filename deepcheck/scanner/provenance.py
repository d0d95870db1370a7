"""What decides a result besides the model and the settings: the code."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_WITHOUT = {"cli", "explain", "plots", "reports"}  # they show results
_OTHERS = ("av", "numpy", "silero-vad", "soxr", "torch", "torchaudio", "transformers")


@cache
def code_digest() -> str:
    """The SHA-256 of the modules of this package that make results, and of the versions of the packages they use.

    The version of this package alone would not tell a checkout that has been edited.
    """
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        if place.parts[0] not in _WITHOUT:
            digest.update(f"{place.as_posix()}\n".encode() + path.read_bytes())
    for name in _OTHERS:
        digest.update(f"{name} {_version(name)}\n".encode())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # brought along without its metadata
        return ""

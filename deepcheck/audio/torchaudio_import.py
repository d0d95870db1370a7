"""The one place where torchaudio is imported.

Its Linux wheel on PyPI is linked to CUDA: beside a CPU build of PyTorch its compiled extension cannot be
loaded, the import raises OSError, and transformers' audio models fail with it. The transforms used here are
pure Python, so a stand-in for the extension's loader makes the rest of the package work.
"""

import sys
from types import ModuleType
from typing import Any


def import_torchaudio() -> Any:
    """The `torchaudio` module, with its compiled extension where that can be loaded and without it elsewhere."""
    try:
        import torchaudio
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _without_extension()
        import torchaudio
    return torchaudio


def _without_extension() -> ModuleType:
    stub = ModuleType("torchaudio._extension")

    def fail_if_no_align(function: Any) -> Any:
        return function

    stub.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=fail_if_no_align,
    )
    return stub

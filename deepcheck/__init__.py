"""deepcheck: tells genuine speech from synthetic speech.

The public API, imported on first use so that `import deepcheck` stays cheap:

* `scan(paths, ...)` -> list of `FileResult`, one per recording, those that cannot be scored included
* `load(name=None)` -> `Model`: a detector with its calibration, thresholds and history
* `evaluate(model, protocol, ...)` -> `Evaluation`: scores and error rates on labelled recordings
* `read_data(path, ...)` -> `Protocol`: the labelled recordings of a manifest, a folder or a corpus
* `train(config, run_dir)` -> iterator of events, the last one carrying the checkpoint
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "scan": "deepcheck.scanner.run",
    "load": "deepcheck.engine.model",
    "evaluate": "deepcheck.engine.evaluate",
    "train": "deepcheck.engine.train",
    "read_data": "deepcheck.data.protocols",
    "DeepcheckError": "deepcheck.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'deepcheck' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

"""deepcheck: tells genuine speech from synthetic speech.

The public API, imported on first use so that `import deepcheck` stays cheap:

* `scan(paths, ...)` -> `Report`: one `FileResult` per recording, those that cannot be scored included
* `Scan(...)`: a scan under way, `with Scan() as scan: for result in scan.run(paths): ...`, and `scan.report()`
* `load(name=None)` -> `Model`: a detector with its calibration, thresholds and history
* `evaluate(model, protocol, ...)` -> `Evaluation`: scores and error rates on labelled recordings
* `read_data(path, ...)` -> `Protocol`: the labelled recordings of a manifest, a folder or a corpus
* `train(config, run_dir)` -> iterator of events, the last one carrying the checkpoint
* `grow(model, layer="3", neurons=128, ...)`, `prune(model, ...)` -> `Surgery`: what changed, and the model, `child`
* `save(checkpoint, path)`: write such a child, or the checkpoint of a training, as a file that `load` reads
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "scan": "deepcheck.scanner.run",
    "Scan": "deepcheck.scanner.run",
    "load": "deepcheck.engine.model",
    "evaluate": "deepcheck.engine.evaluate",
    "train": "deepcheck.engine.train",
    "grow": "deepcheck.engine.operations",
    "prune": "deepcheck.engine.operations",
    "save": "deepcheck.checkpoint:save_checkpoint",
    "read_data": "deepcheck.data.protocols",
    "DeepcheckError": "deepcheck.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'deepcheck' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

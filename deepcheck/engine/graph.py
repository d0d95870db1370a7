"""A detector as an ONNX graph: features in, logit and embedding out, computed by ONNX Runtime (extra `onnx`).

The front end stays with PyTorch, whose Fourier transform is the faster one. A graph is kept by the SHA-256 of the model
that it was made from, so that one of an older model of the same name is never taken.
"""

import copy
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepcheck import store
from deepcheck.audio.decode import SAMPLE_RATE
from deepcheck.detectors.base import Detector
from deepcheck.errors import ConfigError, ModelError
from deepcheck.files import replacing

RUNTIMES = ("auto", "torch", "onnx")
NEEDED = ("onnx", "onnxruntime")
TOLERANCE = 1e-3
"""By how much a logit may differ from that of PyTorch; what was seen is some 1e-6."""
_OPSET = 17
_TRIED = (1, 3)  # windows at a time


class Graph:
    """An exported detector in memory. It computes with one thread: a scan lets several do so at once (`lanes`)."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # of what it has to say, errors
        try:
            self._session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # it has a class of its own for each kind of damage, none of them public
            raise ModelError(
                f"The exported model {path} cannot be used: {_first(error)}.",
                "Export it again, or take --runtime torch.",
            ) from error

    def __call__(self, features: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """As `Detector.features` gives them, on the CPU -> (batch,) logits, and the (batch, values) that they are made
        from; None for a detector that has no embedding."""
        found = self._session.run(None, {"features": np.ascontiguousarray(features.float().numpy())})
        return found[0].astype(np.float64), found[1].astype(np.float64) if len(found) > 1 else None


class _Readable(nn.Module):
    """What is exported: all behind the features."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector)
        for module in self.detector.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is None:
                # The exporter wants to see gains, even such as do nothing.
                module.weight = nn.Parameter(torch.ones(module.num_features))
                module.bias = nn.Parameter(torch.zeros(module.num_features))

    def forward(self, features: Tensor) -> Any:
        if not self.detector.has_embedding:
            return self.detector.logit(features)
        embedding = self.detector.embedded(features)
        return self.detector.logit_of(embedding), embedding


def export_onnx(detector: Detector, path: Path) -> float:
    """Writes the graph of `detector`, for any number of windows, to `path`; the largest difference of a logit.

    Input `features`, outputs `logit` and, where the detector has one, `embedding`. Raises `ConfigError` without the
    extra `onnx`, `ModelError` for a detector that makes no graph, or one with other scores than its own.
    """
    require_runtime()
    detector.eval()
    outputs = ["logit", "embedding"] if detector.has_embedding else ["logit"]
    windows = _windows(detector)
    with replacing(path) as place:
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of what tracing cannot follow; the scores are compared below
                torch.onnx.export(
                    _Readable(detector).eval(),
                    (detector.features(windows[:2]).contiguous(),),
                    place,
                    input_names=["features"],
                    output_names=outputs,
                    dynamic_axes={name: {0: "windows"} for name in ("features", *outputs)},
                    opset_version=_OPSET,
                    dynamo=False,  # the other exporter unrolls recurrences, and takes minutes for them
                )
        except Exception as error:  # of the exporter, there is no telling what it raises
            raise ModelError(f"A {detector.spec.name} detector makes no ONNX graph: {_first(error)}.") from error
        difference = _difference(detector, Graph(place), windows)
        if not difference < TOLERANCE:
            raise ModelError(f"The ONNX graph has other scores than the model: a logit differs by {difference:.2g}.")
    return difference


def _difference(detector: Detector, graph: Graph, windows: Tensor) -> float:
    """The largest of a logit, for several numbers of windows at a time."""
    found = []
    with torch.inference_mode():
        for count in _TRIED:
            features = detector.features(windows[:count])
            found.append(float(np.abs(graph(features)[0] - detector.logit(features).double().numpy()).max()))
    return max(found)


def graph_for(model_sha256: str, runtime: str = "auto") -> Graph | None:
    """The graph to compute with, None for PyTorch: `auto` takes one that was exported, if ONNX Runtime is there.

    `ConfigError` for another word than auto, torch and onnx, and if `onnx` is asked for and cannot be had.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f'There is no runtime "{runtime}".', f"Choose one of: {', '.join(RUNTIMES)}.")
    path = store.place_of_graph(model_sha256)
    if runtime == "torch" or (runtime == "auto" and not (path.is_file() and find_spec("onnxruntime"))):
        return None
    require_runtime()
    if not path.is_file():
        raise ConfigError(
            "This model has not been exported.", "Do so first: deepcheck models export NAME --format onnx"
        )
    return Graph(path)


def require_runtime() -> None:
    """`ConfigError` unless the extra `onnx` is installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(f"{' and '.join(missing)} cannot be imported.", "Install it: pip install 'deepcheck[onnx]'")


def runtime_name() -> str:
    """Of ONNX Runtime with its version, for reports."""
    return f"onnxruntime {version('onnxruntime')}"


def _windows(detector: Detector) -> Tensor:
    """(most, samples) of noise, the same at every call."""
    samples = round(detector.window_s * SAMPLE_RATE)
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (max(_TRIED), samples)).astype(np.float32))


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")

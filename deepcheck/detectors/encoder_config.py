"""What the configuration of a transformers network from a stranger may say."""

from collections.abc import Mapping
from typing import Any

from deepcheck.errors import ConfigError

# What a configuration may not decide: code and kernels from elsewhere, the precision, and where the file once lay.
REFUSED = {
    "auto_map", "quantization_config", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
    "experts_implementation", "_experts_implementation", "_experts_implementation_internal", "dtype", "torch_dtype",
    "_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "output_attentions",
    "output_hidden_states", "return_dict", "use_return_dict",
}  # fmt: skip
# What would fill the memory before any weights are read.
_MOST = {"num_labels": 10_000, "num_hidden_layers": 200, "hidden_size": 1 << 14, "intermediate_size": 1 << 16}


def allowed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without what is left out; `ConfigError` for a size that no such network has."""
    for name, most in _MOST.items():
        size = settings.get(name)
        if size is not None and (type(size) is not int or not 0 < size <= most):
            raise ConfigError(f'A network whose "{name}" is {size!r:.50} makes no sense.')
    return {key: value for key, value in settings.items() if key not in REFUSED}

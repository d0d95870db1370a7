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
# What would fill the memory before any weights are read, or make a chain of modules without end.
_MOST = {"num_labels": 10_000, "num_hidden_layers": 200, "hidden_size": 1 << 14, "intermediate_size": 1 << 16}
_LONGEST = 10_000  # entries of a list or table: one of labels is as long as there are labels
_LARGEST = 1 << 20  # of any whole number


def allowed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without what is left out; `ConfigError` for a size that no such network has."""
    for name, most in _MOST.items():
        size = settings.get(name)
        if size is not None and (type(size) is not int or not 0 < size <= most):
            raise ConfigError(f'A network whose "{name}" is {size!r:.50} makes no sense.')
    require_sizes(settings, "A network")
    return {key: value for key, value in settings.items() if key not in REFUSED}


def require_sizes(settings: Mapping[str, Any], what: str) -> None:
    """`ConfigError` for a number in `settings`, or the length of a list, that no network or extractor has."""
    for name, value in settings.items():
        many = isinstance(value, list | tuple | Mapping | str) and len(value) > _LONGEST
        numbers = value if isinstance(value, list | tuple) else [value]
        if many or any(isinstance(number, int | float) and not abs(number) <= _LARGEST for number in numbers):
            raise ConfigError(f'{what} whose "{str(name)[:50]}" is {str(value)[:50]} makes no sense.')

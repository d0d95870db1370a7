"""One constructor of unit groups per layer family."""

from torch import nn

from deepcheck.plasticity.units import Span, UnitGroup


def conv_channels(
    model: nn.Module, name: str, *, layer: int, conv: str, norm: str, readers: tuple[str, ...]
) -> UnitGroup:
    """The output channels of `conv`, normalised by the BatchNorm `norm`, read by the convolutions `readers`.

    A new channel gets gamma 1, beta 0, mean 0, variance 1, and zero weights in every reader.
    """
    channels = model.get_submodule(conv).out_channels
    assert isinstance(channels, int)
    return UnitGroup(
        name,
        layer,
        "channels",
        channels,
        spans=(
            Span(f"{conv}.weight"),
            Span(f"{norm}.weight", fill="one"),
            Span(f"{norm}.bias", fill="zero"),
            Span(f"{norm}.running_mean", fill="zero"),
            Span(f"{norm}.running_var", fill="one"),
            *(Span(f"{reader}.weight", dim=1, fill="zero") for reader in readers),
        ),
        sizes=(
            (f"{conv}.out_channels", 1),
            (f"{norm}.num_features", 1),
            *((f"{reader}.in_channels", 1) for reader in readers),
        ),
    )

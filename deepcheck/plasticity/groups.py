"""One constructor of unit groups per layer family."""

from dataclasses import replace

from torch import nn

from deepcheck.plasticity.units import Outlet, Span, UnitGroup


def conv_channels(
    model: nn.Module, name: str, *, layer: int, conv: str, norm: str | None, readers: tuple[str, ...]
) -> UnitGroup:
    """The output channels of `conv`, normalised by the BatchNorm `norm` if there is one, read by `readers`.

    Readers are convolutions or linear layers. A new channel gets gamma 1, beta 0, mean 0, variance 1, and zero weights
    in every reader.
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
            *([Span(f"{conv}.bias", fill="zero")] if model.get_submodule(conv).bias is not None else []),
            *(_norm_spans(norm) if norm else []),
            *(Span(f"{reader}.weight", dim=1, fill="zero", reads=True) for reader in readers),
        ),
        outlet=Outlet(readers[0], axis=1),
        sizes=(
            (f"{conv}.out_channels", 1),
            *([(f"{norm}.num_features", 1)] if norm else []),
            *((f"{reader}.{_inputs(model, reader)}", 1) for reader in readers),
        ),
    )


def _norm_spans(norm: str) -> list[Span]:
    return [
        Span(f"{norm}.weight", fill="one"),
        Span(f"{norm}.bias", fill="zero"),
        Span(f"{norm}.running_mean", fill="zero"),
        Span(f"{norm}.running_var", fill="one"),
    ]


def _inputs(model: nn.Module, reader: str) -> str:
    """What the module calls the number of its inputs."""
    module = model.get_submodule(reader)
    return next(name for name in ("in_channels", "in_features", "input_size") if hasattr(module, name))


def recurrent_units(model: nn.Module, name: str, *, layer: int, rnn: str, readers: tuple[str, ...]) -> UnitGroup:
    """The units of one GRU or LSTM layer, of both directions together if it has two.

    Rows lie inside each gate block; `readers` are the weights (dotted paths) that read the output, whose columns
    lie direction by direction. Old units get zero columns for the new ones.
    """
    module = model.get_submodule(rnn)
    assert isinstance(module, nn.RNNBase)
    gates = {"GRU": 3, "LSTM": 4}[module.mode]
    ways = ("", "_reverse") if module.bidirectional else ("",)
    spans: list[Span] = []
    for way in ways:
        spans += [
            Span(f"{rnn}.weight_ih_l0{way}", blocks=gates),
            Span(f"{rnn}.weight_hh_l0{way}", blocks=gates),
            Span(f"{rnn}.weight_hh_l0{way}", dim=1, fill="zero", reads=True),
            Span(f"{rnn}.bias_ih_l0{way}", blocks=gates, fill="zero"),
            Span(f"{rnn}.bias_hh_l0{way}", blocks=gates, fill="zero"),
        ]
    spans += [Span(reader, dim=1, blocks=len(ways), fill="zero", reads=True) for reader in readers]
    modules = {reader.rpartition(".")[0] for reader in readers}
    sizes = [(f"{rnn}.hidden_size", 1), *((f"{reader}.{_inputs(model, reader)}", len(ways)) for reader in modules)]
    outlet = Outlet(readers[0].rpartition(".")[0], axis=-1, blocks=len(ways))
    return UnitGroup(name, layer, "units", module.hidden_size, tuple(spans), outlet, tuple(sorted(sizes)))


def ffn_neurons(model: nn.Module, name: str, *, layer: int, up: str, down: str, part: str = "ffn") -> UnitGroup:
    """The neurons between two linear layers, `up` and `down`, called `part`."""
    width = model.get_submodule(up).out_features
    assert isinstance(width, int)
    return UnitGroup(
        name,
        layer,
        part,
        width,
        spans=(
            Span(f"{up}.weight"),
            Span(f"{up}.bias", fill="zero"),
            Span(f"{down}.weight", dim=1, fill="zero", reads=True),
        ),
        outlet=Outlet(down, axis=-1),
        sizes=((f"{up}.out_features", 1), (f"{down}.in_features", 1)),
    )


def attention_heads(model: nn.Module, name: str, *, layer: int, attention: str) -> UnitGroup:
    """Whole heads: rows of q, k and v, columns of the output projection; the new columns are zero."""
    head_dim, _ = _attention_shape(model, attention)
    projections = [f"{attention}.{p}_proj" for p in "qkv"]
    rows = model.get_submodule(projections[0]).out_features
    assert isinstance(rows, int)
    return UnitGroup(
        name,
        layer,
        "heads",
        rows // head_dim,
        spans=(
            *(Span(f"{p}.weight", size=head_dim) for p in projections),
            *(Span(f"{p}.bias", size=head_dim, fill="zero") for p in projections),
            Span(f"{attention}.out_proj.weight", dim=1, size=head_dim, fill="zero", reads=True),
        ),
        outlet=Outlet(f"{attention}.out_proj", axis=-1, size=head_dim),
        sizes=(
            *((f"{p}.out_features", head_dim) for p in projections),
            (f"{attention}.out_proj.in_features", head_dim),
            (f"{attention}.num_heads", 1),
        ),
    )


def head_dimensions(model: nn.Module, name: str, *, layer: int, attention: str) -> UnitGroup:
    """Dimensions inside every head, interleaved per head; q, k and v share them.

    The new rows of k are zero, so the products with q are what they were as long as the scale is, which transformers
    keeps in `scaling` from the construction on. (Gesmundo and Maile 2023, arXiv:2308.06103, scale k instead.)
    """
    head_dim, heads = _attention_shape(model, attention)
    return UnitGroup(
        name,
        layer,
        "head-dims",
        head_dim,
        spans=(
            Span(f"{attention}.q_proj.weight", blocks=heads),
            Span(f"{attention}.q_proj.bias", blocks=heads, fill="zero"),
            Span(f"{attention}.k_proj.weight", blocks=heads, fill="zero", reads=True),
            Span(f"{attention}.k_proj.bias", blocks=heads, fill="zero", reads=True),
            Span(f"{attention}.v_proj.weight", blocks=heads),
            Span(f"{attention}.v_proj.bias", blocks=heads, fill="zero"),
            Span(f"{attention}.out_proj.weight", dim=1, blocks=heads, fill="zero", reads=True),
        ),
        outlet=Outlet(f"{attention}.out_proj", axis=-1, blocks=heads),
        sizes=(
            *((f"{attention}.{p}_proj.out_features", heads) for p in "qkv"),
            (f"{attention}.out_proj.in_features", heads),
            (f"{attention}.head_dim", 1),
        ),
    )


def _attention_shape(model: nn.Module, attention: str) -> tuple[int, int]:
    """(dimensions of a head, heads)."""
    module = model.get_submodule(attention)
    head_dim = module.head_dim
    assert isinstance(head_dim, int)
    rows = model.get_submodule(f"{attention}.q_proj").out_features
    assert isinstance(rows, int)
    return head_dim, rows // head_dim


def within(prefix: str, layers: int, group: UnitGroup) -> UnitGroup:
    """The group of a model as one of a model that holds it: paths below `prefix`, behind so many `layers`."""
    return replace(
        group,
        name=prefix + group.name,
        layer=layers + group.layer,
        spans=tuple(replace(span, tensor=prefix + span.tensor) for span in group.spans),
        outlet=group.outlet and replace(group.outlet, module=prefix + group.outlet.module),
        sizes=tuple((prefix + path, per_unit) for path, per_unit in group.sizes),
        stack=group.stack and replace(group.stack, path=prefix + group.stack.path),
    )

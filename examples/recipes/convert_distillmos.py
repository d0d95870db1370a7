"""Turn the weights in the wheel of the PyPI package distillmos (MIT licence) into a file for `train --pretrained`.

    pip download --no-deps distillmos==0.9.1
    python examples/recipes/convert_distillmos.py distillmos-0.9.1-py3-none-any.whl distillmos.safetensors
    deepcheck train --pretrained distillmos.safetensors --data PATH/manifest.csv --lr 1e-4

The package need not be installed. Its licence asks that its text goes along with copies of the weights: the file has
it in its header, under `licence`, and whoever passes on a model that was trained from it passes the text on as well.
"""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from safetensors.torch import save_file
from torch import Tensor

from deepcheck.files import replacing

WEIGHTS = "distillmos/weights/distill_mos_v7.pt"
REST = "transformer_pool_attn."
# The origin's convolutions give values of some thousandths, which a norm behind them multiplies by hundreds: training
# would move them hundreds of times too fast. Powers of two change no bit of what comes out.
GAINS = (4, 2, 4, 2, 4, 2)


def read(wheel: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(the tensors in the wheel by their names there, where they come from and their licence)."""
    with ZipFile(wheel) as archive:
        [licence] = [name for name in archive.namelist() if name.endswith(".dist-info/LICENSE")]
        notes = {"origin": f"{WEIGHTS} of {wheel.name}", "licence": archive.read(licence).decode()}
        # weights_only: tensors are read, and no code that a pickle may hold is run.
        document = torch.load(io.BytesIO(archive.read(WEIGHTS)), map_location="cpu", weights_only=True)
    return document["model"], notes


def converted(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same network under the names of `deepcheck.detectors.distilled`, without what it ends in: a head for quality.

    Queries, keys and values become matrices of their own; two BatchNorms in a row, in double precision, one affine map.
    """
    ours = {name.removeprefix("cnn."): tensor for name, tensor in theirs.items() if name.startswith("cnn.cnn.")}
    first, second = (affine(theirs, REST + norm) for norm in ("norm_input", "transformer.norm"))
    ours["standardise.scale"] = (first[0] * second[0]).float()
    ours["standardise.shift"] = (first[1] * second[0] + second[1]).float()
    balance(ours)
    for kind in ("weight", "bias"):
        ours[f"projection.{kind}"] = theirs[f"{REST}transformer.linear_proj.{kind}"]
    for number in layers(theirs):
        old, new = f"{REST}transformer.transformer_encoder.layers.{number}.", f"layers.{number}."
        for kind in ("weight", "bias"):
            thirds = theirs[f"{old}self_attn.in_proj_{kind}"].chunk(3)
            ours |= {f"{new}attention.{letter}_proj.{kind}": part for letter, part in zip("qkv", thirds, strict=True)}
            for before, after in (
                ("self_attn.out_proj", "attention.out_proj"),
                ("norm1", "attention_norm"),
                ("linear1", "up"),
                ("linear2", "down"),
                ("norm2", "norm"),
            ):
                ours[f"{new}{after}.{kind}"] = theirs[f"{old}{before}.{kind}"]
    return {name: tensor.contiguous() for name, tensor in ours.items()}


def balance(ours: dict[str, Tensor]) -> None:
    """Move the gain of the norm into the convolutions; a leaky ReLU lets a factor pass."""
    total = 1
    for number, gain in zip(range(0, 2 * len(GAINS), 2), GAINS, strict=True):
        total *= gain
        ours[f"cnn.{number}.weight"] = ours[f"cnn.{number}.weight"] * gain
        ours[f"cnn.{number}.bias"] = ours[f"cnn.{number}.bias"] * total
    ours["standardise.scale"] = ours["standardise.scale"] / total


def affine(tensors: dict[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """(scale, shift) of a BatchNorm with the statistics of its training, in double precision."""
    weight, bias, mean, variance = (
        tensors[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / (variance + 1e-5).sqrt()
    return scale, bias - mean * scale


def layers(tensors: dict[str, Tensor]) -> Iterator[int]:
    """The numbers of the transformer layers, from 0."""
    number = 0
    while f"{REST}transformer.transformer_encoder.layers.{number}.norm1.weight" in tensors:
        yield number
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path, help="as pip download leaves it")
    parser.add_argument("output", type=Path, nargs="?", default=Path("distillmos.safetensors"))
    options = parser.parse_args()
    try:
        tensors, notes = read(options.wheel)
    except (OSError, BadZipFile, KeyError, ValueError) as error:
        raise SystemExit(f"{options.wheel} is not the wheel of distillmos: {error}") from None
    with replacing(options.output) as place:
        save_file(converted(tensors), place, metadata={"format": "pt", **notes})
    print(f"Saved {options.output}")


if __name__ == "__main__":
    main()

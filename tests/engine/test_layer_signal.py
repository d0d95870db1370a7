"""Where to grow: the layer whose new units meet the strongest gradient."""

import pytest
import torch
from conftest import TINY

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import snapshot
from deepcheck.data.protocols import read_data
from deepcheck.detectors.base import build
from deepcheck.engine.gradients import Probe
from deepcheck.engine.layer_signal import layer_signals, layers_named
from deepcheck.errors import ConfigError, DataError
from deepcheck.plasticity.growth import group_named, grow, prune
from deepcheck.plasticity.inits import Context
from deepcheck.plasticity.plan import Change
from deepcheck.plasticity.units import tensor_at
from deepcheck.seeding import seed_of


@pytest.fixture
def probe(corpus):
    return lambda detector: Probe(detector, read_data(corpus), recordings=16, batch_size=8)


def checkpoint(spec=TINY, change=None):
    torch.manual_seed(0)
    detector = build(spec)
    if change:
        with torch.no_grad():
            change(detector)
    return snapshot(detector, Card("base", detector.spec))


def test_every_layer_has_a_signal_the_strongest_first(probe):
    signals = layer_signals(checkpoint(), 3, None, probe)
    assert sorted(signal.layer for signal in signals) == list(range(1, 9))
    strengths = [signal.strength for signal in signals]
    assert strengths == sorted(strengths, reverse=True)
    assert min(strengths) > 0
    costs = {signal.layer: signal.parameters for signal in signals}
    assert costs[1] == 3 * (9 * (4 + 4) + 2)
    assert costs[8] == 3 * (9 * (32 + 32) + 2)


def test_a_layer_that_nobody_hears_comes_last(probe):
    def silence(detector):
        detector.blocks[4].bn2.weight.zero_()

    signals = layer_signals(checkpoint(change=silence), 3, None, probe)
    assert signals[-1].layer == 5
    assert signals[-1].strength == 0


def test_the_signal_is_that_of_a_layer_that_grows_alone(probe):
    parent = checkpoint()
    signal = {signal.layer: signal for signal in layer_signals(parent, 2, None, probe)}
    detector = parent.build()
    changes = [Change(group, 2) for group in detector.groups()]
    before = grow(detector, changes, "zero", Context(torch.Generator().manual_seed(seed_of("grow", 0))))
    alone = "blocks.2.conv1"
    prune(detector, {name: torch.arange(width) for name, width in before.items() if name != alone})
    data = probe(detector)
    data.backward()
    group = group_named(detector, alone)
    [reader] = [span for span in group.spans if span.reads]
    new = tensor_at(detector, reader.tensor).grad[:, before[alone] :] / data.seen
    assert float(new.double().square().sum()) / signal[3].parameters == pytest.approx(signal[3].strength, rel=1e-4)


@pytest.mark.parametrize("part", ["attention", "heads", "head-dims", "ffn"])
def test_parts_of_an_encoder(probe, part):
    from conftest import TINY_ENCODER

    spec = DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "window_s": 1.0})
    signals = layer_signals(checkpoint(spec), 8, part, probe)
    assert {signal.layer for signal in signals} == {1, 2}
    assert all(signal.strength > 0 for signal in signals)


def test_the_same_seed_gives_the_same_signals(probe):
    assert layer_signals(checkpoint(), 2, None, probe, seed=4) == layer_signals(checkpoint(), 2, None, probe, seed=4)


def test_auto_takes_the_strongest(probe):
    parent = checkpoint()
    groups = parent.build().groups()
    signals = layer_signals(parent, 2, None, probe)
    assert layers_named("auto", groups, 0, lambda: signals) == [signals[0].layer]
    assert layers_named("2-3", groups, 0, None) == [2, 3]
    with pytest.raises(ConfigError, match="looks at the gradients"):
        layers_named("auto", groups, 0, None)


def test_nothing_decoded(probe, corpus):
    for path in corpus.rglob("*.wav"):
        path.write_bytes(b"not sound")
    with pytest.raises(DataError, match="nothing is known of any layer"):
        layer_signals(checkpoint(), 2, None, probe)

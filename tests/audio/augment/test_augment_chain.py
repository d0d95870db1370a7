import subprocess
import sys

import numpy as np
import pytest
import torch

from deepcheck.audio.augment.chain import Chain, build_chain
from deepcheck.errors import ConfigError


def test_empty_chain_is_the_identity(speech, rng):
    chain = build_chain([])
    assert chain == Chain()
    assert chain(speech, rng) is speech
    features = torch.randn(2, 80, 50)
    assert chain.features(features, torch.Generator()) is features


def test_probability_zero_is_the_identity(speech, rng):
    chain = build_chain([{"name": "gain", "p": 0}, {"name": "noise", "p": 0}, {"name": "spec-augment", "p": 0}])
    assert chain(speech, rng) is speech
    features = torch.randn(4, 80, 50)
    assert torch.equal(chain.features(features, torch.Generator()), features)


def test_steps_run_in_order_and_settings_come_as_yaml_lists(speech, rng):
    loud_then_clipped = build_chain(
        [
            {"name": "gain", "p": 1, "gain_db": [20, 20]},
            {"name": "clipping", "p": 1, "limit": [0.5, 0.5], "curves": ["hard"]},
        ]
    )
    assert loud_then_clipped.steps[0].augmentation.gain_db == (20.0, 20.0)
    expected = 10 * np.abs(speech).max() * 0.5
    assert np.abs(loud_then_clipped(speech, rng)).max() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_waveforms_are_drawn_with_probability_p(p):
    chain = build_chain([{"name": "gain", "p": p, "gain_db": 6}])
    rng = np.random.default_rng(0)
    clip = np.ones(4, np.float32)
    changed = sum(chain(clip, rng) is not clip for _ in range(4000))
    assert changed / 4000 == pytest.approx(p, abs=0.03)


def test_features_are_drawn_item_by_item():
    chain = build_chain([{"name": "spec-augment", "p": 0.3, "time_width": 0.2, "time_masks": 1}])
    features = torch.randn(3000, 4, 20)
    result = chain.features(features, torch.Generator().manual_seed(0))
    changed = (result != features).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_default_probability_is_one_half():
    assert build_chain([{"name": "gain"}]).steps[0].p == 0.5


def test_a_waveform_call_skips_feature_steps_and_the_other_way_round(speech, rng):
    chain = build_chain([{"name": "spec-augment", "p": 1}])
    assert chain(speech, rng) is speech
    features = torch.randn(2, 8, 9)
    assert build_chain([{"name": "gain", "p": 1}]).features(features, torch.Generator()) is features


def test_same_seed_same_result(speech):
    names = ("gain", "noise", "rawboost", "room", "band-limit", "codec", "silence", "clipping")
    chain = build_chain([{"name": name, "p": 0.5} for name in names])
    for seed in range(4):
        first, again = (chain(speech, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([{"name": "nois"}], ('There is no augmentation "nois"', 'Did you mean "noise"?')),
        ([{"name": "noise", "snr": [1, 2]}], ('"noise" has no setting "snr"', 'Did you mean "snr_db"?')),
        ([{"name": "noise", "_recordings": []}], ('has no setting "_recordings"',)),
        (
            [{"name": "noise", "snr_db": [9, 1]}],
            ('In the augmentation "noise", snr_db is [9, 1]', "lower one first"),
        ),
        ([{"name": "noise", "snr_db": "loud"}], ("snr_db is 'loud'",)),
        ([{"name": "noise", "snr_db": [1, float("nan")]}], ("snr_db is [1, nan]",)),
        ([{"name": "noise", "snr_db": [True, 3]}], ("snr_db is [True, 3]",)),
        ([{"name": "noise", "kinds": ["pinck"]}], ("kinds has no 'pinck'", 'Did you mean "pink"?')),
        ([{"name": "noise", "kinds": []}], ("kinds is []",)),
        ([{"name": "gain", "p": 1.5}], ('In the augmentation "gain", p is 1.5', "from 0 to 1")),
        ([{"name": "gain", "p": "often"}], ("p is 'often'",)),
        ([{"name": "rawboost", "parts": "1+4"}], ("parts is '1+4'",)),
        ([{"name": "rawboost", "orders": 2.5}], ("orders is 2.5", "whole number")),
        ([{"p": 0.5}], ("has no name", "Names are: gain")),
        (["gain"], ("'gain' has no name",)),
        ({"name": "gain"}, ("Give a list",)),
        ("gain", ("Give a list",)),
    ],
)
def test_mistakes_are_named_with_a_way_out(specs, words):
    with pytest.raises(ConfigError) as caught:
        build_chain(specs)
    for word in words:
        assert word in str(caught.value)


def test_the_table_and_the_waveform_chain_import_nothing_heavy():
    code = (
        "import sys; from deepcheck.audio.augment.chain import build_chain; build_chain([{'name': 'gain'}]);"
        "assert not {'torch', 'av', 'soxr', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

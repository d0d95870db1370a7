"""Several detectors as one: what it says, what it takes, and that it is like any other detector."""

import time

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_DISTILLED, TINY_ENCODER, speechlike

from deepcheck.audio.augment.chain import build_chain
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import Checkpoint, describe_widths, load_checkpoint, save_checkpoint, snapshot
from deepcheck.detectors.base import build
from deepcheck.detectors.committee import MOST
from deepcheck.engine.reference import fit_reference
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError, ModelError
from deepcheck.explain.explanation import explain
from deepcheck.plasticity.units import resize, widths_of

RESNET = {"name": "resnet18", "arguments": TINY.arguments}
GRU = {"name": "gru", "arguments": {"units": [5, 6], "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0}}
DISTILLED = {"name": "distilled", "arguments": {**TINY_DISTILLED, "window_s": 1.0}}
ENCODER = {"name": "wav2vec2", "arguments": {"config": TINY_ENCODER, "window_s": 1.0}}


def committee(*members, seed=0):
    torch.manual_seed(seed)
    return build(DetectorSpec("committee", {"members": list(members or (RESNET, DISTILLED))})).eval()


@torch.no_grad()
def test_the_score_is_the_weighted_sum():
    model = committee(RESNET, GRU, ENCODER)
    sound = torch.randn(3, 16_000)
    each = torch.stack([member.score(sound) for member in model.members], 1)
    torch.testing.assert_close(model.score(sound), each.mean(1))
    model.gains.copy_(torch.tensor([2.0, 0.0, 0.5]))
    model.bias.fill_(-1.5)
    torch.testing.assert_close(model.score(sound), 2 * each[:, 0] + 0.5 * each[:, 2] - 1.5)
    # A scale moves the embedding, and no score.
    before = model.embedded(model.features(sound))
    scores = model.score(sound)
    model.scales.copy_(torch.tensor([3.0, 1.0, 1.0]))
    after = model.embedded(model.features(sound))
    torch.testing.assert_close(after[:, :32], 3 * before[:, :32])
    assert torch.equal(after[:, 32:], before[:, 32:])
    assert torch.equal(model.score(sound), scores)


def test_it_is_what_its_members_are():
    model = committee(GRU, DISTILLED)
    assert (model.window_s, model.cpu_batch) == (1.0, min(one.cpu_batch for one in model.members))
    assert model.explainer == model.members[0].explainer == "gradient-x-input"
    assert committee(DISTILLED, GRU).explainer == "attention-rollout"
    assert model.spec.arguments["members"][1]["arguments"]["width"] == 32  # written out: a file needs no defaults
    assert model.cam_target() is model.members[0].cam_target()
    assert model.has_embedding


def test_groups_are_those_of_the_members_and_layers_count_on():
    model = committee(GRU, DISTILLED)
    groups = model.groups()
    own = [group for member in model.members for group in member.groups()]
    assert [group.width for group in groups] == [group.width for group in own]
    assert [group.layer for group in groups] == [1, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    assert groups[0].name == "members.0.layers.0.units"
    assert groups[2].name == "members.1.layers.0.attention.heads"


def test_a_grown_and_pruned_member_is_rebuilt_from_the_file(tmp_path):
    model = committee()
    by_name = {group.name: group for group in model.groups()}
    resize(model, by_name["members.0.blocks.2.conv1"], add=3)
    resize(model, by_name["members.1.layers.1.ffn"], keep=torch.arange(5))
    card = Card("x", model.spec, describe_widths(model))
    assert card.widths == {"members.0.blocks.2.conv1": 11, "members.1.layers.1.ffn": 5}
    save_checkpoint(snapshot(model, card), tmp_path / "x")
    again = load_checkpoint(tmp_path / "x").build()
    assert widths_of(again.groups()) == widths_of(model.groups())
    sound = torch.randn(2, 16_000)
    assert torch.equal(again.score(sound), model.score(sound))


def test_it_learns_and_takes_augmented_features():
    model = committee().train()
    chain = build_chain([{"name": "spec-augment", "p": 1.0, "time_width": [0.2, 0.2]}])
    features = model.features(torch.randn(4, 12_000))
    changed = chain.features(features, torch.Generator().manual_seed(0))
    assert changed.shape == (4, 1, 12_000)
    assert not torch.equal(changed, features)
    model.logit(changed).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


def test_embeddings_of_all_members_count_in_a_distance():
    """Without one scale, the axes of a reference would be those of the member with the largest numbers."""
    model = committee(RESNET, GRU)
    windows = np.stack([speechlike(1.0, seed=i) for i in range(40)])
    with torch.no_grad():
        for number, member in enumerate(model.members):
            member.head.weight.mul_(1000.0 if number else 1.0)
            _, own = Scorer(member, device="cpu").embeddings(windows)
            model.scales[number] = 1 / fit_reference(own).deviation
    _, embeddings = Scorer(model, device="cpu").embeddings(windows)
    deviations = embeddings[:, :-2].std(0)
    assert np.sqrt((deviations[:32] ** 2).mean()) == pytest.approx(1, rel=0.1)
    assert np.sqrt((deviations[32:] ** 2).mean()) == pytest.approx(1, rel=0.1)


def test_an_explanation_looks_into_the_first_member():
    model = committee(RESNET, DISTILLED)
    sound = speechlike(1.0)
    ours, its = explain(model, sound), explain(model.members[0], sound)
    assert ours.method == "grad-cam"
    np.testing.assert_array_equal(ours.heat, its.heat)
    np.testing.assert_array_equal(ours.frequencies_hz, its.frequencies_hz)
    with pytest.raises(ConfigError, match="no attention"):
        explain(model, sound, method="attention-rollout")


def nested(members):
    return {"name": "committee", "arguments": {"members": members}}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([RESNET], "make no committee"),
        ([], "make no committee"),
        ("resnet18", "should be of type"),
        (None, "should be of type"),
        ([GRU] * (MOST + 1), "make no committee"),
        ([RESNET, "gru"], "should be of type"),
        ([RESNET, {"arguments": {}}], "makes no detector"),
        ([RESNET, {"name": "gru", "arguments": 3}], "makes no detector"),
        ([RESNET, {**GRU, "weights": "x"}], "makes no detector"),
        ([RESNET, {"name": "resnet99"}], 'no detector "resnet99"'),
        ([RESNET, {"name": "gru", "arguments": {"depth": 3}}], "cannot be built"),
        ([RESNET, nested([RESNET, GRU])], "cannot be a member of another"),
        ([RESNET, {"name": "wav2vec2", "arguments": {"pretrained": "owner/name"}}], "cannot name pretrained"),
        ([RESNET, {"name": "gru", "arguments": {"window_s": 2.0}}], "windows of 1 and 2 s"),
    ],
)
def test_what_makes_no_committee(members, message):
    with pytest.raises(ConfigError, match=message):
        build(DetectorSpec("committee", {"members": members}))


def test_as_many_as_may_be():
    assert len(committee(*[GRU] * MOST).members) == MOST


@pytest.mark.parametrize("depth", [1, 2, 300])
def test_a_file_that_names_weights_elsewhere_is_refused_at_any_depth(depth):
    members = [RESNET, {"name": "wav2vec2", "arguments": {"pretrained": "owner/name"}}]
    for _ in range(depth - 1):
        members = [RESNET, nested(members)]
    began = time.monotonic()
    with pytest.raises(ModelError):
        Checkpoint(Card("x", DetectorSpec("committee", {"members": members})), {}).build()
    assert time.monotonic() - began < 2  # before anything is built or looked for

import pytest
import torch

from deepcheck.audio.augment.spec_augment import SpecAugment


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("shape", [(6, 80, 200), (6, 1, 80, 200), (6, 2, 3, 80, 200)])
def test_one_mask_hides_the_share_asked_for(generator, shape):
    features = torch.randn(shape)
    before = features.clone()
    augment = SpecAugment(frequency_masks=1, frequency_width=(0.25, 0.25), time_masks=0)
    result = augment(features, generator)
    assert torch.equal(features, before)
    assert result.shape == features.shape
    rows = (result != features).all(dim=-1).reshape(6, -1, 80)
    assert (rows.sum(dim=-1) == 20).all()
    assert (rows == rows[:, :1]).all()  # the axes in between share the mask
    columns = SpecAugment(frequency_masks=0, time_masks=1, time_width=0.1)(features, generator) != features
    assert (columns.reshape(6, -1, 200).all(dim=1).sum(dim=-1) == 20).all()


def test_masked_values_are_the_mean_of_the_item(generator):
    features = torch.randn(4, 40, 50) + torch.arange(4.0).reshape(4, 1, 1) * 100
    result = SpecAugment(frequency_width=(0.2, 0.2))(features, generator)
    for before, after in zip(features, result, strict=True):
        hidden = after[after != before]
        assert hidden.numel() > 0
        torch.testing.assert_close(hidden, before.mean().expand_as(hidden))


def test_masks_are_one_stretch_and_differ_between_items(generator):
    features = torch.randn(64, 16, 100)
    changed = SpecAugment(frequency_masks=0, time_masks=1, time_width=0.3)(features, generator) != features
    frames = changed.all(dim=1)
    edges = (frames[:, 1:] != frames[:, :-1]).sum(dim=1)
    assert (edges <= 2).all()
    assert (frames.sum(dim=1) == 30).all()
    starts = frames.int().argmax(dim=1)
    assert len(starts.unique()) > 20
    assert starts.min() < 10
    assert starts.max() > 60


def test_same_seed_same_masks(generator):
    features = torch.randn(3, 20, 30)
    first, again = (SpecAugment()(features, torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(first, again)


def test_nothing_to_mask_changes_nothing(generator):
    features = torch.randn(3, 20, 30)
    assert torch.equal(SpecAugment(frequency_masks=0, time_masks=0)(features, generator), features)
    everything = SpecAugment(frequency_masks=1, frequency_width=(1, 1))(features, generator)
    assert (everything == features.mean(dim=(1, 2), keepdim=True)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_features_on_a_gpu_take_a_generator_of_the_cpu(generator):
    features = torch.randn(3, 20, 30, device="cuda")
    assert SpecAugment()(features, generator).device == features.device

"""Mode probe: the head is where the loss is least, and nothing else moves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, TINY_DISTILLED, speechlike, write_wav

from deepcheck.card import DetectorSpec
from deepcheck.config import (
    DataConfig,
    OptimizerConfig,
    ProbeConfig,
    SamplingConfig,
    SourceConfig,
    TrainConfig,
    load_config,
)
from deepcheck.data.utterance import Label
from deepcheck.detectors.base import build
from deepcheck.engine.carrier import variants_of
from deepcheck.engine.events import Done, EpochDone, Skipped
from deepcheck.engine.probe import fit_head
from deepcheck.engine.processes import ALONE
from deepcheck.engine.train import train, train_on
from deepcheck.engine.training_sets import read_all
from deepcheck.errors import ConfigError, DataError


def detector(pool="all"):
    torch.manual_seed(0)
    return build(DetectorSpec("distilled", {**TINY_DISTILLED, "learns": 0, "pool": pool, "window_s": 1.0})).eval()


@pytest.fixture
def config(corpus):
    """Of two sources of either label, of seven and of five recordings."""
    rows = ["path,label,source,pair_of"]
    for label in ("bonafide", "spoof"):
        for i, path in enumerate(sorted((corpus / label).rglob("*.wav"))):
            rows.append(f"{path},{label},{'large' if i < 7 else 'small'},")
    place = corpus / "manifest.csv"
    place.write_text("\n".join(rows) + "\n")
    return TrainConfig(
        mode="probe",
        device="cpu",
        precision="fp32",
        detector={"name": "distilled", **TINY_DISTILLED, "learns": 0, "pool": "all", "window_s": 1.0},
        data=DataConfig(SourceConfig(str(place)), workers=0, variants=1),
        sampling=SamplingConfig(source_power=0.5, min_crop_s=0.5),
        optimizer=OptimizerConfig(label_smoothing=0.0),
        probe=ProbeConfig(l2=0.05, evenness=2.0),
        augment=[{"name": "gain", "p": 0.5}],
    )


def fitted(config, tmp_path, pool="all"):
    """(detector, recordings, what the head reads of both versions)."""
    model = detector(pool)
    variants = variants_of(model, config, tmp_path)
    utterances = read_all(config).utterances
    fit_head(model, variants, utterances, config)
    values = torch.stack([torch.stack([variants.get(u, v) for v in (0, 1)]) for u in utterances]).double()
    return model, utterances, values


def objective(w, b, values, utterances, config):
    """As the docstring has it, written out."""
    values = (values - values.mean((0, 1))) / values.std((0, 1), correction=0).clamp_min(1e-4)
    total = 0.0
    for label in Label:
        own = [i for i, u in enumerate(utterances) if u.label is label]
        by_source = {s: [i for i in own if utterances[i].source == s] for s in ("large", "small")}
        weights = {s: len(members) ** config.sampling.source_power for s, members in by_source.items()}
        logits = {s: values[members] @ w + b for s, members in by_source.items()}
        for source, found in logits.items():
            loss = F.softplus(-found if label is Label.BONAFIDE else found).mean()
            total = total + 0.5 * weights[source] / sum(weights.values()) * loss
        means = torch.stack([values[members].mean((0, 1)) @ w for members in by_source.values()])
        total = total + config.probe.l2 * config.probe.evenness * means.var(correction=0)
    return total + config.probe.l2 * w.square().sum()


@pytest.mark.parametrize("changes", [{}, {"evenness": 0.0}, {"l2": 0.5}])
def test_the_head_is_where_the_loss_is_least(config, tmp_path, changes):
    config = replace(config, probe=replace(config.probe, **changes))
    model, utterances, values = fitted(config, tmp_path)
    w = model.head.weight.detach()[0].double().requires_grad_(True)
    b = model.head.bias.detach().double().requires_grad_(True)
    least = objective(w, b, values, utterances, config)
    slopes = torch.autograd.grad(least, (w, b))
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-4
    for seed in range(5):
        aside = 0.05 * torch.randn(len(w), generator=torch.Generator().manual_seed(seed)).double()
        assert objective(w + aside, b, values, utterances, config) > least


@pytest.mark.parametrize("pool", ["all", "both", "last"])
def test_the_detector_says_what_the_fit_found(config, tmp_path, pool):
    model, _, values = fitted(config, tmp_path, pool)
    values = values.float()
    read = values[:, 0]
    standard = (values - values.mean((0, 1))) / values.std((0, 1), correction=0).clamp_min(1e-4)
    with torch.no_grad():
        said = model.logit_of(read)
        w = model.head.weight[0] if pool == "all" else model.head.weight[0] * values.std((0, 1), correction=0)
        slope = standard[:, 0] @ w
    assert torch.allclose(said - said.mean(), slope - slope.mean(), atol=2e-3)


def test_evenness_brings_the_places_together(config, tmp_path):
    def apart(evenness):
        even = replace(config, probe=replace(config.probe, l2=0.01, evenness=evenness))
        model, utterances, values = fitted(even, tmp_path)
        with torch.no_grad():
            logits = model.logit_of(values[:, 0].float())
        genuine = {
            s: logits[[u.source == s and u.label is Label.BONAFIDE for u in utterances]] for s in ("large", "small")
        }
        return abs(float(genuine["large"].mean() - genuine["small"].mean()))

    assert apart(100.0) < 0.5 * apart(0.0)


def test_nothing_but_the_head_moves_and_a_second_run_agrees(config, tmp_path):
    before = detector().state_dict()
    torch.manual_seed(0)
    events = list(train(replace(config, data=replace(config.data, holdout=0.4, holdout_by="path")), tmp_path / "run"))
    [epoch], [done] = ([e for e in events if isinstance(e, kind)] for kind in (EpochDone, Done))
    assert epoch.loss < 0.6
    assert done.checkpoint.card.history[-1]["mode"] == "probe"
    found = done.checkpoint.tensors
    start = build(DetectorSpec("distilled", {k: v for k, v in config.detector.items() if k != "name"})).state_dict()
    assert start.keys() == before.keys() == found.keys()
    again = list(train(replace(config, data=replace(config.data, holdout=0.4, holdout_by="path")), tmp_path / "two"))
    assert all(torch.equal(found[name], again[-1].checkpoint.tensors[name]) for name in found)
    moved = {name for name in found if name.startswith(("head.", "head_norm."))}
    assert {"head.weight", "head.bias", "head_norm.running_mean"} <= moved


def test_recordings_that_cannot_be_decoded_are_told_and_left_out(config, tmp_path):
    place = tmp_path / "broken.wav"
    place.write_bytes(b"no sound")
    manifest = config.data.train.path
    with open(manifest, "a") as file:  # noqa: PTH123
        file.write(f"{place},spoof,large,\n")
    events = list(train_on(config, tmp_path / "run", read_all(config), None, ALONE))
    [skipped] = [e for e in events if isinstance(e, Skipped)]
    assert skipped.path == str(place)
    only = read_all(config).where(lambda u: u.label is Label.BONAFIDE or u.path == place)
    with pytest.raises(DataError, match="Of one label"):
        list(train_on(config, tmp_path / "two", only, None, ALONE))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"detector": {"name": "resnet18", **TINY.arguments}}, "more than the head learns"),
        ({"detector": {"name": "distilled", **TINY_DISTILLED, "learns": 1}}, "more than the head learns"),
        ({"data": DataConfig(variants=0)}, "data.variants"),
        ({"loss": {"name": "couples"}}, "without another loss"),
    ],
)
def test_what_is_no_probe_is_refused(config, tmp_path, changes, said):
    data = replace(changes.get("data", config.data), train=config.data.train)
    with pytest.raises(ConfigError) as caught:
        list(train_on(replace(config, **{**changes, "data": data}), tmp_path, read_all(config), None, ALONE))
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("setting", ["probe.l2=-1", "probe.evenness=.inf"])
def test_settings_that_make_no_sense(setting):
    with pytest.raises(ConfigError, match="Give 0 or more"):
        load_config(None, [setting])


def test_copies_may_be_left_out(config, tmp_path):
    original = write_wav(tmp_path / "voice.wav", speechlike(1.2))
    copy = write_wav(tmp_path / "copy.wav", np.roll(speechlike(1.2), 50))
    with open(config.data.train.path, "a") as file:  # noqa: PTH123
        file.write(f"{original},bonafide,large,\n{copy},spoof,engine,voice\n")
    names = {u.path.name for u in read_all(config).utterances}
    without = {u.path.name for u in read_all(replace(config, data=replace(config.data, copies=False))).utterances}
    assert names - without == {"copy.wav"}

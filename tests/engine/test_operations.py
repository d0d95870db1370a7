"""Growing and pruning from Python."""

import numpy as np
import pytest

import deepcheck
from deepcheck.checkpoint import load_checkpoint, same_tensors
from deepcheck.engine.score import Scorer
from deepcheck.errors import ConfigError


def test_grow_save_load_and_prune_back(stored_model, corpus, tmp_path):
    name = stored_model("base")
    grown = deepcheck.grow(name, layer="3", neurons=5, name="wide")
    assert [(row.layer, row.before, row.after) for row in grown.rows] == [(3, 8, 13)]
    assert grown.change == 0
    deepcheck.save(grown.child, tmp_path / "wide.safetensors")
    recordings = sorted(corpus.rglob("*.wav"))[::4]
    # One thread, so that the same windows share a batch each time.
    one, other = (deepcheck.scan(recordings, model=model, jobs=1) for model in (name, tmp_path / "wide.safetensors"))
    assert [result.verdict for result in one] == [result.verdict for result in other]
    assert [result.llr for result in one] == pytest.approx([result.llr for result in other], abs=1e-6)
    back = deepcheck.prune(tmp_path / "wide.safetensors", criterion="newest")
    assert same_tensors(back.child.tensors, deepcheck.load(name).detector.state_dict())


def test_data_choose_layer_and_units(stored_model, corpus):
    trials = deepcheck.read_data(corpus)
    grown = deepcheck.grow(stored_model("base"), layer="auto", neurons=3, trials=trials, recordings=16)
    assert len(grown.rows) == 1
    pruned = deepcheck.prune(grown.child, scope="grown", trials=trials, recordings=16)
    assert pruned.child.card.widths == {}
    assert [row["stage"] for row in pruned.child.card.history] == ["grow", "prune"]
    with pytest.raises(ConfigError, match="looks at data"):
        deepcheck.prune(grown.child, neurons=1)


def test_a_grown_model_scores_as_its_parent(stored_model, corpus, home):
    parent = load_checkpoint(home / "models" / f"{stored_model('base')}.safetensors")
    child = deepcheck.grow(parent, layer="all", neurons=3, init="net2net").child
    paths = sorted(corpus.rglob("*.wav"))[:4]
    scores = [
        [recording.mean_llr() for recording in sorted(Scorer(c.build()).recordings(paths), key=lambda r: r.index)]
        for c in (parent, child)
    ]
    assert np.allclose(*scores, atol=1e-5)

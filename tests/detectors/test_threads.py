"""Several threads compute with one detector at a time, as they do in a scan, and each gets what it asked for."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from conftest import TINY, TINY_ENCODER
from detectors.hub_models import save_model
from plasticity.test_families import disturb

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import snapshot
from deepcheck.detectors.base import build
from deepcheck.engine.model import load
from deepcheck.engine.operations import grow

THREADS, ROUNDS = 4, 5
ENCODER = DetectorSpec("wav2vec2", {"config": TINY_ENCODER, "pool": "layers", "window_s": 1.0})


def grown(spec, part):
    torch.manual_seed(0)
    detector = build(spec).eval()
    child = grow(snapshot(detector, Card("old", detector.spec)), neurons=1, part=part).child.build().eval()
    disturb(child)  # what was added is silent at first
    return child


def encoder(_):
    torch.manual_seed(0)
    return build(ENCODER).eval()


def hub(tmp_path):
    save_model(tmp_path)
    return load(f"hf:{tmp_path}", labels="spoof=fake,bonafide=real").detector.eval()


MADE = {
    "layers of an encoder": encoder,
    "blocks": lambda _: grown(ENCODER, "block"),
    "columns": lambda _: grown(TINY, "column"),
    "hub": hub,
}


@pytest.mark.parametrize("name", MADE)
def test_each_thread_has_the_scores_of_its_own_sound(name, tmp_path):
    detector = MADE[name](tmp_path)
    sounds = torch.randn(THREADS, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    together = Barrier(THREADS)

    def score(number):
        found = []
        with torch.inference_mode():
            for _ in range(ROUNDS):
                together.wait(30)
                found.append(detector.score(sounds[number : number + 1]))
        return torch.cat(found)

    with torch.inference_mode():
        alone = torch.cat([detector.score(sound[None]) for sound in sounds])
    assert alone.std() > 1e-4
    with ThreadPoolExecutor(THREADS) as pool:
        for number, found in enumerate(pool.map(score, range(THREADS))):
            torch.testing.assert_close(found, alone[number].expand(ROUNDS), atol=1e-6, rtol=0)

"""Hostile audio: folders of damaged, lying and odd files, with good ones among them, scanned as users scan them."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from deepcheck.audio.isolated import GIVEN_UP
from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import save_checkpoint, snapshot
from deepcheck.detectors.base import build
from deepcheck.files import exact
from deepcheck.metrics.calibration import Calibration, Thresholds

from .mutations import MUTATIONS
from .oddities import invalid, riff, strange, valid
from .recordings import honest, voice
from .tally import Tally

TIMEOUT_S = 60  # for a file
PEAK_MB = 2_500  # for the scan and for each worker: PyTorch, the model, and what a worker may have besides
_BATCH = 500
_SLOWEST_S = 1_800  # for a batch
_GOOD = 5  # in each batch
_TINY = DetectorSpec("resnet18", {"width": 4, "frontend": {"name": "mel", "bins": 20}, "window_s": 1.0})

Case = tuple[str, bytes, bool | None]  # name, content, whether it has to be scored: yes, no, either


def run(folder: Path, cases: int, seed: int) -> Tally:
    """Scans `cases` files, the odd ones first, then mutations of every container and codec in turn."""
    tally, model = Tally("audio"), _model(folder)
    good = folder / "good.wav"
    good.write_bytes(riff(voice(1.2, 16_000), 16_000))
    with _listening() as (url, calls):
        expected = {row["path"]: row["llr"] for row in _scanned(folder, good, model, Tally("reference")) or ()}
        made = _cases(str(good), url, random.Random(seed))
        for number in range(-(-cases // _BATCH)):
            batch = list(islice(made, min(_BATCH, cases - number * _BATCH)))
            _try(folder / f"batch {number}", batch, model, expected[str(good)], tally)
        tally.network = len(calls)
    if tally.peak_mb > PEAK_MB:
        tally.broken.append(f"{tally.peak_mb:.0f} MB of memory were needed, more than {PEAK_MB}")
    return tally


def _cases(good: str, url: str, chance: random.Random) -> Iterator[Case]:
    """Without end. What is drawn first is the same however many are taken."""
    odd: list[Case] = [(name, data, True) for name, data in valid()]
    odd += [(f"strange-{name}", data, None) for name, data in strange()]
    odd += [(f"playlist-{name}", data, False) for name, data in invalid(good, url)]
    chance.shuffle(odd)
    yield from odd
    bases = sorted(honest().items())
    number = 0
    while True:
        for (ending, container, codec), data in bases:
            mutation = MUTATIONS[number // len(bases) % len(MUTATIONS)]
            changed = mutation(data, chance.choice(bases)[1], chance)
            for _ in range(chance.choice((0, 0, 1))):
                changed = chance.choice(MUTATIONS)(changed, data, chance) if changed else changed
            yield f"{number}-{container}-{codec}-{mutation.__name__}.{ending}", changed, None
            number += 1


def _try(place: Path, batch: list[Case], model: Path, llr: float, tally: Tally) -> None:
    """Writes the batch with good files among it, scans it, and holds the report against the promises."""
    place.mkdir()
    names = {}
    for name, data, scored in batch:
        names[exact(Path(name))] = scored
        (place / name).write_bytes(data)
    content = (place.parent / "good.wav").read_bytes()
    for i in range(_GOOD):
        names[f"{i * 211}-good.wav"] = True
        (place / f"{i * 211}-good.wav").write_bytes(content)
    tally.cases += len(batch)
    rows = _scanned(place.parent, place, model, tally)
    if rows is None:
        tally.lost += sum(scored is True for scored in names.values())
        return
    found = {Path(row["path"]).name: row for row in rows}
    for name, scored in names.items():
        row = found.get(name)
        if row is None:
            tally.lost += 1
            tally.broken.append(f"no row for {str(place / name)!a}")
            continue
        tally.contained += GIVEN_UP in (row["reason"] or "")
        if row["status"] != "scored" and not row["reason"]:
            tally.broken.append(f"no reason for {str(place / name)!a}")
        if scored is not None and scored != (row["status"] == "scored"):
            tally.lost += scored
            tally.broken.append(f"{str(place / name)!a}: {row['status']} {row['reason']}")
        if name.endswith("-good.wav") and row["llr"] != llr:
            tally.broken.append(f"{place / name} has the score {row['llr']}, not {llr}")


def _scanned(folder: Path, what: Path, model: Path, tally: Tally) -> list[dict[str, Any]] | None:
    """The rows of a report by a process of its own, which is measured; None if it broke down."""
    report = folder / f"{what.name}.jsonl"
    command = [sys.executable, "-m", "deepcheck", "scan", "--from-file", "-", "--null", "--model", str(model)]
    command += ["--timeout", str(TIMEOUT_S), "--output", str(report), "--quiet"]
    environment = {**os.environ, "DEEPCHECK_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        overdue = threading.Timer(_SLOWEST_S, process.kill)
        overdue.start()
        assert process.stdin is not None
        assert process.stderr is not None
        with suppress(BrokenPipeError):  # it has ended already
            process.stdin.write(os.fsencode(what) + b"\0")
            process.stdin.close()
        said = process.stderr.read().decode(errors="replace")
        _, status, used = os.wait4(process.pid, 0)  # of the process and of its workers, whichever needed most
        process.returncode = os.waitstatus_to_exitcode(status)
        hung = not overdue.is_alive()
        overdue.cancel()
    tally.peak_mb = max(tally.peak_mb, used.ru_maxrss / 1_024)
    if process.returncode not in (0, 3) or "Traceback" in said:
        tally.hangs += hung
        tally.crashes += not hung
        tally.broken.append(f"the scan of {what} ended with {process.returncode}: {said[-500:]}")
        return None
    return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


@contextmanager
def _listening() -> Iterator[tuple[str, list[Any]]]:
    """A URL on this machine, and who has asked for it."""
    calls: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with suppress(OSError):  # closed
                while True:
                    caller, address = server.accept()
                    caller.close()
                    calls.append(address)

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/good.wav", calls
        server.shutdown(socket.SHUT_RDWR)


def _model(folder: Path) -> Path:
    torch.manual_seed(0)
    card = Card("tiny", _TINY, calibration=Calibration(1.0, 0.0), thresholds=Thresholds(-1.0, 1.0))
    path = folder / "tiny.safetensors"
    save_checkpoint(snapshot(build(_TINY), card), path)
    return path

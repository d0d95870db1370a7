"""What each epoch came to and how long it took, a line of JSON each: times are no part of a model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcheck.engine.events import EpochDone, Event

NAME = "epochs.jsonl"


def logged(events: Iterator[Event], run_dir: Path) -> Iterator[Event]:
    """The events of a training; each epoch is added to the log in the folder of its run, if its state is kept there."""
    for event in events:
        if isinstance(event, EpochDone) and run_dir.is_dir():
            with (run_dir / NAME).open("a", encoding="utf-8") as file:
                file.write(json.dumps(_row(event)) + "\n")
        yield event


def _row(epoch: EpochDone) -> dict[str, Any]:
    return {
        "epoch": epoch.epoch,
        "loss": epoch.loss,
        "dev_eer": epoch.dev_eer,
        "seconds": round(epoch.seconds, 3),
        "clips_per_s": round(epoch.clips_per_s, 3),
        "waiting": round(epoch.waiting, 4),
    }

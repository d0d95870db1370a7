"""What each epoch came to and how long it took, a line of JSON each: times are no part of a model."""

import json
from pathlib import Path

from deepcheck.engine.events import EpochDone

NAME = "epochs.jsonl"


def note(run_dir: Path, epoch: EpochDone) -> None:
    """Adds the epoch to the log in the folder of its run, which a run that goes on continues."""
    row = {
        "epoch": epoch.epoch,
        "loss": epoch.loss,
        "dev_eer": epoch.dev_eer,
        "seconds": round(epoch.seconds, 3),
        "clips_per_s": round(epoch.clips_per_s, 3),
        "waiting": round(epoch.waiting, 4),
    }
    with (run_dir / NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")

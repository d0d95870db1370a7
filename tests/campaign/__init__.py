"""The campaign against the promises of deepcheck: `python -m tests.campaign`. A part is a file and a row in `PARTS`.

A part is a function (folder, cases, seed) -> `Tally`: it tries that many cases, if it has a choice, in an empty folder.
"""

PARTS = {
    "audio": ".audio:run",
    "faults": ".faults:run",
    "checkpoints": ".checkpoints:run",
}

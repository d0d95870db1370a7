"""The table over corpora and families: `python table.py RESULTS` prints it as Markdown, from the JSON of each."""

import json
import sys
from pathlib import Path

ARM_OF_COMPARISON = "control"


def cells(arm, seeds):
    """EER in percent, mean and deviation over seeds, and how far that is from the control."""
    eer = seeds[arm]["eer"]
    text = f"{100 * eer['mean']:.2f}"
    if eer["deviation"] is not None:
        text += f" ± {100 * eer['deviation']:.2f}"
    control = seeds.get(ARM_OF_COMPARISON, {}).get("eer")
    if control is None or arm == ARM_OF_COMPARISON or not control["mean"]:
        return text, ""
    return text, f"{100 * (eer['mean'] / control['mean'] - 1):+.0f} %"


def rows(folder):
    """One row for each arm of each corpus and family that has been evaluated."""
    for place in sorted(folder.glob("*/tables.json")):
        document = json.loads(place.read_text(encoding="utf-8"))
        corpus, _, family = place.parent.name.partition("-")
        for arm in document["seeds"]:
            cost = next(one["cost"] for one in document["evaluations"] if one["model"].startswith(f"{arm}-s"))
            parameters = f"{cost['parameters']:,}" if cost else ""
            yield corpus.upper(), family, arm, parameters, *cells(arm, document["seeds"])


def main():
    """Print the table."""
    table = [
        ("corpus", "model", "arm", "parameters", "EER, %, mean ± deviation", "against the control"),
        ("---", "---", "---", "---:", "---:", "---:"),
        *rows(Path(sys.argv[1])),
    ]
    for row in table:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()

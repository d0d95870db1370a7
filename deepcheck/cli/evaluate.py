"""`deepcheck eval`: error rates on labelled recordings."""

from pathlib import Path
from typing import Annotated

import typer

from deepcheck.cli.options import Device, Jobs, ProtocolName, Subset


def command(
    data: Annotated[Path, typer.Option(help="A manifest CSV (path,label,...), or the folder of a corpus.")],
    models: Annotated[
        list[str] | None, typer.Argument(help="Models by name or file; by default the current one.", show_default=False)
    ] = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    by: Annotated[str, typer.Option(help="Tables for each value of these columns, comma-separated.")] = "attack,source",
    scores: Annotated[
        Path | None, typer.Option(help="Write the score of every trial to this CSV.", show_default=False)
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.", show_default=False)
    ] = None,
    device: Device = "auto",
    jobs: Jobs = None,
) -> None:
    """Evaluate models: error rates in all, per system and per source.

    EER with 95 % bootstrap interval, AUC, Cllr, false alarms and misses at
    the stored thresholds, and the comparison within sources.

    Example:

      deepcheck eval default --data manifest.csv --subset val --by attack,language
    """
    from deepcheck.cli.app import Exit
    from deepcheck.cli.console import deliver, say, show
    from deepcheck.cli.evaluation import as_json, group_table, scores_csv, summary_table
    from deepcheck.cli.progress import counting
    from deepcheck.data.protocols import read_data
    from deepcheck.engine.evaluate import evaluate
    from deepcheck.engine.model import load

    trials = read_data(data, protocol, subset)
    say(trials.describe())
    evaluations = []
    names: list[str | None] = [*models] if models else [None]
    for model in [load(name) for name in names]:
        with counting(f"Scoring with {model.card.name}") as progress:
            evaluations.append(evaluate(model, trials, device=device, jobs=jobs, progress=progress))
    keys = [key.strip() for key in by.split(",") if key.strip()]
    show(summary_table(evaluations))
    for evaluation in evaluations:
        for key in keys:
            table = group_table(evaluation, key)
            if table is not None:
                show(table)
    if scores is not None:
        deliver(scores_csv(evaluations), scores)
    if json_file is not None:
        deliver(as_json(evaluations, keys), json_file)
    skipped = {utterance.path: reason for evaluation in evaluations for utterance, reason in evaluation.skipped}
    for path, reason in skipped.items():
        say(f"Not scored: {path}: {reason}", style="yellow")
    if skipped:
        raise typer.Exit(Exit.SOME_NOT_SCORED)

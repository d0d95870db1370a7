"""`deepcheck eval`: error rates on labelled recordings."""

from pathlib import Path
from typing import Annotated

import typer

from deepcheck.cli.options import Device, Jobs, ProtocolName, Subset

_FURTHER, _OUT = "Further questions", "To files"


def command(
    data: Annotated[
        Path, typer.Option("--data", "--root", help="A manifest CSV (path,label,...), or the folder of a corpus.")
    ],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models by name or file; by default the current one. NAME=a,b,c: models that differ by seed.",
            show_default=False,
        ),
    ] = None,
    protocol: ProtocolName = None,
    subset: Subset = None,
    by: Annotated[
        str, typer.Option(help="Tables for each value of these columns, comma-separated; duration is one.")
    ] = "attack,source",
    score_file: Annotated[
        list[Path] | None,
        typer.Option(help="Scores that another system wrote, instead of a model.", show_default=False),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A model to compare all others with.", show_default=False)
    ] = None,
    device: Device = "auto",
    jobs: Jobs = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on where a stopped evaluation of these trials was.")
    ] = True,
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Score all trials through each: clean, opus:16k, mp3:32k, aac, amr, g711, telephone, noise:10dB, "
            "room, trim-silence, resample, speed.",
            show_default=False,
            rich_help_panel=_FURTHER,
        ),
    ] = None,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="What duration, silence, level ... alone would score.", rich_help_panel=_FURTHER),
    ] = False,
    attack: Annotated[
        str | None,
        typer.Option(
            help="How far a small change on purpose moves verdicts: pgd (or pgd:40dB), codec, noise (or noise:20dB).",
            show_default=False,
            rich_help_panel=_FURTHER,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Evaluate so many recordings of each label, drawn at random; attacks are slow.",
            show_default=False,
            rich_help_panel=_FURTHER,
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(help="Where HTER and the two error rates are taken, as an LLR.", rich_help_panel=_FURTHER),
    ] = 0.0,
    carry: Annotated[
        Path | None,
        typer.Option(
            help="Take that threshold from the EER of these scores (a CSV of --scores) instead.",
            show_default=False,
            rich_help_panel=_FURTHER,
        ),
    ] = None,
    asv: Annotated[
        str | None,
        typer.Option(
            help="Scores of a speaker verifier (source, target|nontarget|spoof, score) for min t-DCF; or asvspoof5.",
            show_default=False,
            rich_help_panel=_FURTHER,
        ),
    ] = None,
    sasv: Annotated[
        list[Path] | None,
        typer.Option(
            help="Scores of a system that verifies speakers and detects spoofs at once, in the same form: min a-DCF.",
            show_default=False,
            rich_help_panel=_FURTHER,
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="The score of every trial.", show_default=False, dir_okay=False, rich_help_panel=_OUT),
    ] = None,
    score_layout: Annotated[
        str, typer.Option(help="csv, asvspoof2019, asvspoof2021 or asvspoof5.", rich_help_panel=_OUT)
    ] = "csv",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="All figures.", show_default=False, dir_okay=False, rich_help_panel=_OUT),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="All figures, one a line.", show_default=False, dir_okay=False, rich_help_panel=_OUT
        ),
    ] = None,
    latex_file: Annotated[
        Path | None,
        typer.Option("--latex", help="All tables.", show_default=False, dir_okay=False, rich_help_panel=_OUT),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            help="A folder for DET curves, score histograms, calibration and bars.",
            show_default=False,
            file_okay=False,
            rich_help_panel=_OUT,
        ),
    ] = None,
    plot_format: Annotated[str, typer.Option(help="png, svg or pdf.", rich_help_panel=_OUT)] = "png",
) -> None:
    """Evaluate models: error rates in all, per system and per source.

    EER, minDCF, actDCF, Cllr, AUC and more with 95 % bootstrap intervals,
    error rates at the stored thresholds, the comparison within sources. A
    stopped evaluation goes on where it was.

    Examples:

      deepcheck eval default --data manifest.csv --subset val --by attack,language

      deepcheck eval mine default --baseline default --data folder --plots plots

      deepcheck eval --data manifest.csv --conditions opus:16k,telephone --audit

      deepcheck eval default --data manifest.csv --attack pgd,codec --limit 50

      deepcheck eval --score-file scores.txt --data itw --protocol in-the-wild
    """
    from deepcheck.cli.app import Exit
    from deepcheck.cli.bench import Request, run

    request = Request(
        data=data,
        protocol=protocol,
        subset=subset,
        models=models or ([] if score_file or sasv else [None]),
        score_files=score_file or [],
        baseline=baseline,
        by=[key.strip() for key in by.split(",") if key.strip()],
        device=device,
        jobs=jobs,
        resume=resume,
        conditions=conditions,
        audit=audit,
        attack=attack,
        limit=limit,
        threshold=threshold,
        carry=carry,
        asv=asv,
        sasv=sasv or [],
        scores=scores,
        score_layout=score_layout,
        json_file=json_file,
        csv_file=csv_file,
        latex_file=latex_file,
        plots=plots,
        plot_format=plot_format,
    )
    if run(request):
        raise typer.Exit(Exit.SOME_NOT_SCORED)

"""`deepcheck scan`: score a folder of recordings."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from deepcheck.cli import scan_options as options
from deepcheck.cli.options import Device, Jobs
from deepcheck.cli.scan_options import Audio, FailOn, Format

if TYPE_CHECKING:
    from deepcheck.scanner.discover import Found
    from deepcheck.scanner.result import Report
    from deepcheck.scanner.run import Scan
    from deepcheck.scanner.tally import Tally

__all__ = ["FailOn", "Format", "command"]


def command(
    paths: options.Paths = None,
    from_file: options.FromFile = None,
    null: options.Null = False,
    shard: options.Part = None,
    model: options.Models = None,
    labels: options.Labels = None,
    threshold: options.Threshold = None,
    prior: options.Prior = 0.5,
    format: options.Formats = None,  # noqa: A002
    output: options.Outputs = None,
    explain: options.Explain = None,
    audio: options.AudioIn = Audio.ALL,
    fail_on: options.FailOnVerdict = None,
    quiet: options.Quiet = False,
    resume: options.Resume = True,
    watch: options.Watch = False,
    interval: options.Interval = 2.0,
    timeout: options.Timeout = 600.0,
    engine: options.Where = options.HERE,
    device: Device = "auto",
    precision: options.Precision = "auto",
    runtime: options.Runtime = "auto",
    jobs: Jobs = None,
) -> None:
    """Score recordings: a verdict each, with the evidence it rests on.

    Reads wav, flac, mp3, ogg, opus, aiff, m4a, aac, webm, wma and the sound
    of video files. Results go to stdout, progress to stderr. A file that
    cannot be judged is a row with its reason; the exit code is then 3. A scan
    that was stopped goes on where it was.

    Examples:

      deepcheck scan ./recordings

      deepcheck scan call.m4a --format jsonl | jq .verdict

      deepcheck scan inbox --output report.csv --fail-on spoof

      deepcheck scan inbox --watch --output report.html
    """
    from deepcheck import store
    from deepcheck.cli.console import drop_stdout, say
    from deepcheck.cli.progress import scanning
    from deepcheck.cli.scan_delivery import Delivery, shows_pictures
    from deepcheck.cli.scan_inputs import gathered
    from deepcheck.cli.scan_outputs import require_fitting, require_room, require_writable, targets
    from deepcheck.cli.scan_pictures import Pictures
    from deepcheck.cli.scan_watch import is_streamed, keep_scoring
    from deepcheck.cli.stopping import exit_code, stoppable
    from deepcheck.reports import Style
    from deepcheck.reports.words import VERDICTS
    from deepcheck.scanner.discover import discover
    from deepcheck.scanner.run import Scan
    from deepcheck.scanner.shard import Shard
    from deepcheck.scanner.watch import arrivals

    part = Shard.parse(shard) if shard is not None else Shard(1, 1)
    wanted = targets(format or (), output or ())
    require_writable(wanted)
    if explain is not None:
        require_room(explain, f"No pictures can be written to {explain}")
    with stoppable(), gathered(paths or (), from_file, null, watch) as inputs:
        if watch:
            batches = (part.of(found) for found in arrivals(inputs.paths, interval))
            require_fitting(wanted, ())
        else:
            found = part.of(discover(inputs.paths))
            require_fitting(wanted, found.files)
        with (
            scanning(quiet, bar=not watch) as show,
            Scan(
                model=model or None,
                labels=labels,
                threshold=threshold,
                prior=prior,
                device=device,
                precision=precision,
                runtime=runtime,
                engine=engine,
                jobs=jobs,
                timeout_s=timeout,
                journal=store.home() / "journals",
                resume=resume,
                passing=[inputs.sound] if inputs.sound else (),
            ) as running,
        ):
            pictures = Pictures(running.models[0], explain, any(map(shows_pictures, wanted)), quiet)
            deliver = Delivery(inputs, pictures, Style(audio=audio), quiet)
            stop = keep_scoring(running, batches, wanted, deliver, quiet) if watch else _score(running, found, show)
        if running.tally.known and not quiet and not watch:
            say(
                f"{running.tally.known} of {running.tally.files} files were scored by an earlier run "
                "(--no-resume scores all anew)."
            )
        report = running.report()
        if stop is not None and not len(report):
            raise stop
        try:
            deliver(report, [target for target in wanted if not (watch and is_streamed(target))])
        except BrokenPipeError:  # `| head`; what was found still decides the exit code
            drop_stdout()
    if not quiet and all(target.path is not None for target in wanted):
        counts = report.counts()
        say(
            f"{len(report)} files: "
            + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        )
    if stop is not None and not quiet:
        total = "" if watch else f" of {running.tally.files}"
        say(f"Interrupted: {len(report)}{total} files are in the report. The same command goes on from there.")
    if stop is not None:
        raise typer.Exit(exit_code(stop))
    raise typer.Exit(_code(report, fail_on))


def _score(scan: "Scan", found: "Found", show: Callable[["Tally"], None]) -> KeyboardInterrupt | None:
    """Runs the scan to its end, or to that which interrupted it."""
    try:
        results = scan.run(found)
        show(scan.tally)
        for _ in results:
            show(scan.tally)
    except KeyboardInterrupt as stop:
        return stop
    return None


def _code(report: "Report", fail_on: FailOn | None) -> int:
    from deepcheck.cli.app import Exit
    from deepcheck.scanner.result import INCONCLUSIVE, NOT_SCORED, SPOOF

    counts = report.counts()
    if fail_on is not None and counts[SPOOF] + (counts[INCONCLUSIVE] if fail_on is FailOn.INCONCLUSIVE else 0):
        return Exit.FAIL_ON
    return Exit.SOME_NOT_SCORED if counts[NOT_SCORED] else Exit.DONE

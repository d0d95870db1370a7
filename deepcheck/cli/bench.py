"""Carrying out `deepcheck eval`: models and score files on one protocol, and every table, file and picture of them."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deepcheck import store
from deepcheck.audio.conditions import Condition, parse_conditions
from deepcheck.cli import evaluation as tables
from deepcheck.cli.attack_sheet import attack_sheet
from deepcheck.cli.console import deliver, say, show
from deepcheck.cli.eval_document import as_csv, as_json
from deepcheck.cli.eval_plots import draw_all
from deepcheck.cli.progress import counting
from deepcheck.cli.sheet import Sheet, latex
from deepcheck.data.protocols import read_data
from deepcheck.data.protocols.recordings import is_recording
from deepcheck.data.utterance import Protocol
from deepcheck.engine.attacked import Attacked, attacked, sampled
from deepcheck.engine.attacks import Attack, parse_attacks
from deepcheck.engine.audit import audit, explained
from deepcheck.engine.comparison import Spread, against, over_seeds
from deepcheck.engine.evaluate import CLEAN, DURATION, Evaluation, evaluate, labelled, require_calibration
from deepcheck.engine.model import Model, load
from deepcheck.engine.score_file import read_scores, require_layout, score_file, threshold_at_eer
from deepcheck.engine.surfaces import Surfaces, gather
from deepcheck.engine.verifier import read_joint, read_verifier
from deepcheck.errors import ConfigError
from deepcheck.metrics.comparison import Comparison
from deepcheck.metrics.metric import Metric
from deepcheck.metrics.table import carried_over, min_t_dcf_of
from deepcheck.metrics.tandem import ASVSPOOF5_ASV, asv_rates
from deepcheck.plots import check_format
from deepcheck.registry import did_you_mean
from deepcheck.runtime import pick_device

USUAL = ("attack", "source", DURATION)  # groups that nobody need have
WIDE = 3  # models that fit beside each other in the long table


@dataclass(frozen=True)
class Request:
    """The flags of the command."""

    data: Path
    protocol: str | None
    subset: str | None
    models: Sequence[str | None]
    score_files: Sequence[Path]
    baseline: str | None
    by: Sequence[str]
    device: str
    jobs: int | None
    resume: bool
    conditions: str | None
    audit: bool
    attack: str | None
    limit: int | None
    threshold: float
    carry: Path | None
    asv: str | None
    sasv: Sequence[Path]
    scores: Path | None
    score_layout: str
    json_file: Path | None
    csv_file: Path | None
    latex_file: Path | None
    plots: Path | None
    plot_format: str


def run(request: Request) -> bool:
    """Do all that was asked for; whether some recordings could not be scored."""
    # Whatever can be wrong is found out before hours of scoring.
    _require_outputs(request)
    pick_device(request.device)
    conditions = parse_conditions(request.conditions) if request.conditions is not None else []
    attacks = parse_attacks(request.attack) if request.attack is not None else []
    threshold = threshold_at_eer(request.carry) if request.carry else request.threshold
    carried_over(threshold)
    extra = tuple(_tandem(request.asv)) if request.asv else ()
    joint = [read_joint(path) for path in request.sasv]
    seeds, models = _models(request.models)
    names = [model.card.name for model in models] + [path.stem for path in request.score_files]
    _require_names(request, names, bool(models))
    # Scores from elsewhere need no sound.
    trials = read_data(request.data, request.protocol, request.subset, audio=bool(models) or request.audit)
    if request.limit is not None:
        trials = sampled(trials, request.limit)
    say(trials.describe())
    for key in request.by:
        if key not in USUAL and not any(utterance.get(key) for utterance in trials.utterances):
            say(f'No recording has the column "{key}".', style="yellow")
    if names:
        labelled(trials)
    if request.scores is not None:
        require_layout(request.score_layout, len(names), trials.utterances)
    read = [read_scores(path, trials, path.stem) for path in request.score_files]
    surfaces = _surfaces(request, trials) if request.audit else None
    found = audit(surfaces) if surfaces else None

    journals: list[Path] = []
    evaluations = [_evaluated(request, model, trials, None, journals) for model in models] + read
    evaluations = [replace(evaluation, threshold=threshold, extra=extra) for evaluation in evaluations]
    swept = list(_swept(request, models, evaluations, trials, conditions, journals))
    struck = [one for model in models for one in _struck(request, model, trials, attacks)] if attacks else []
    compared: dict[str, Mapping[str, Comparison]] = {}
    if request.baseline is not None:
        base = evaluations[names.index(request.baseline)]
        compared = {e.model: against(base, e) for e in evaluations if e is not base}
    spreads = {name: over_seeds([e for e in evaluations if e.model in members]) for name, members in seeds.items()}
    shares = {e.model: explained(surfaces, e.trials) for e in evaluations} if surfaces else {}

    sheets = list(_sheets(request, evaluations, compared, spreads)) if evaluations else []
    if joint:
        sheets.append(tables.joint(joint))
    if swept:
        sheets.append(tables.robustness(swept))
    if struck:
        sheets.append(attack_sheet(struck))
    if found is not None:
        sheets += [tables.shortcuts(found, shares), tables.surface_features(found)]
    every = [*evaluations, *(one for one in swept if one.condition != CLEAN)]
    for path, text in (
        (request.scores, lambda: score_file(evaluations, request.score_layout)),
        (request.json_file, lambda: as_json(every, request.by, compared, spreads, found, shares, joint, struck)),
        (request.csv_file, lambda: as_csv(every, request.by, joint)),
        (request.latex_file, lambda: latex(sheets)),
    ):
        if path is not None:
            # A folder whose name is no UTF-8 may have become the name of a source.
            deliver(text(), path)
    if request.plots is not None and evaluations:
        for path in draw_all(evaluations, swept, request.by, request.plots, request.plot_format):
            say(f"Drawn to {path}")
    # Last, for whoever reads only their beginning (`| head`) ends all that follows.
    for sheet in sheets:
        show(sheet.drawn())
    if swept:
        say(tables.worst(swept))
    if found is not None:
        say(found.warning or "No surface feature solves this set.", style="bold yellow" if found.warning else "")
    for path in journals:
        path.unlink(missing_ok=True)  # all is told
    skipped = {utterance.path: reason for evaluation in every for utterance, reason in evaluation.skipped}
    for place, reason in skipped.items():
        say(f"Not scored: {place}: {reason}", style="yellow")
    return bool(skipped)


def _require_outputs(request: Request) -> None:
    require_layout(request.score_layout)
    check_format(Path(f"plot.{request.plot_format}"))
    data, carry = request.data, request.carry or request.data
    read = [place.resolve() for place in (data, data / "manifest.csv", carry, *request.score_files, *request.sasv)]
    for path in filter(None, (request.scores, request.json_file, request.csv_file, request.latex_file)):
        if is_recording(path) or path.resolve() in read:
            raise ConfigError(f"{path} would be written over.", "Choose another name for what is written.")
        if not path.exists() or path.is_file():  # /dev/stdout takes all
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
    if request.plots is not None:
        request.plots.mkdir(parents=True, exist_ok=True)


def _require_names(request: Request, names: Sequence[str], models: bool) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f'"{name}" is named twice.', "Name each model and each file of scores once.")
    if request.baseline is not None and request.baseline not in names:
        raise ConfigError(
            f'The baseline "{request.baseline}" is not among the models.', did_you_mean(request.baseline, list(names))
        )
    if (request.conditions is not None or request.attack is not None) and not models:
        raise ConfigError("Only a model can score under other conditions or attacks.", "Name one.")
    if request.limit is not None and request.score_files:
        raise ConfigError("--limit draws recordings to be scored, not scores of others.", "Leave one of the two away.")


def _models(arguments: Sequence[str | None]) -> tuple[dict[str, list[str]], list[Model]]:
    """(names of models by the name of their seeds, all models)."""
    seeds: dict[str, list[str]] = {}
    models: list[Model] = []
    for argument in arguments:
        label, equals, members = (argument or "").partition("=")
        if not equals or Path(argument or "").is_file():
            models.append(load(argument))
            continue
        loaded = [load(member.strip()) for member in members.split(",") if member.strip()]
        if not label or not loaded:
            raise ConfigError(f'"{argument}" names no models.', "Write it as NAME=model,model,model.")
        seeds.setdefault(label, []).extend(model.card.name for model in loaded)
        models += loaded
    for model in models:
        require_calibration(model.card)
    return seeds, models


def _evaluated(
    request: Request, model: Model, trials: Protocol, condition: Condition | None, journals: list[Path]
) -> Evaluation:
    name = condition.name if condition else CLEAN
    about = "\n".join([model.sha256, name, str(request.data.absolute()), str(request.protocol), str(request.subset)])
    journal = store.home() / "evaluations" / f"{hashlib.sha256(about.encode()).hexdigest()[:32]}.jsonl"
    if not request.resume:
        journal.unlink(missing_ok=True)
    what = f"Scoring with {model.card.name}" + (f", {name}" if condition else "")
    journals.append(journal)
    try:
        with counting(what) as progress:
            return evaluate(
                model,
                trials,
                device=request.device,
                jobs=request.jobs,
                condition=condition,
                journal=journal,
                progress=progress,
            )
    except KeyboardInterrupt:
        say("What has been scored is kept: the same command goes on from here.")
        raise


def _swept(
    request: Request,
    models: Sequence[Model],
    evaluations: Sequence[Evaluation],
    trials: Protocol,
    conditions: Sequence[Condition],
    journals: list[Path],
) -> Iterator[Evaluation]:
    """Every model in every condition; what is known of clean sound is not scored again."""
    if not conditions:
        return
    for model, clean in zip(models, evaluations, strict=False):
        yield clean
        for condition in conditions:
            if condition.name != CLEAN:
                result = _evaluated(request, model, trials, condition, journals)
                yield replace(result, threshold=clean.threshold, extra=clean.extra)


def _struck(request: Request, model: Model, trials: Protocol, attacks: Sequence[Attack]) -> list[Attacked]:
    with counting(f"Attacking {model.card.name}") as progress:
        return attacked(model, trials, attacks, device=request.device, progress=progress)


def _surfaces(request: Request, trials: Protocol) -> Surfaces:
    with counting("Looking at the surface") as progress:
        return gather(trials, jobs=request.jobs, progress=progress)


def _sheets(
    request: Request,
    evaluations: Sequence[Evaluation],
    compared: Mapping[str, Mapping[str, Comparison]],
    spreads: Mapping[str, Mapping[str, Spread]],
) -> Iterator[Sheet]:
    for first in range(0, len(evaluations), WIDE):
        yield tables.summary(evaluations[first : first + WIDE])
    if len(evaluations) > 1:
        yield tables.side_by_side(evaluations, compared)
    for name, spread in spreads.items():
        yield tables.seeds(name, spread)
    for evaluation in evaluations:
        for key in request.by:
            sheet = tables.groups(evaluation, key)
            if sheet is not None:
                yield sheet


def _tandem(asv: str) -> Iterator[Metric]:
    rates = ASVSPOOF5_ASV if asv == "asvspoof5" else asv_rates(*read_verifier(Path(asv)))
    yield min_t_dcf_of(rates)
    yield replace(min_t_dcf_of(rates, legacy=True), name="min_t_dcf_2019")

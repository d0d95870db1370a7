"""Widen a training corpus: copies of its genuine clips, sentences by speech engines, and pairs through one channel.

    python examples/corpus/extend.py --data corpus/manifest.csv --subset train --out wider

Stopped at any point, the same command goes on. README.md beside this file says what comes out.
"""

import argparse
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import channels
import copies
import engines
import neural
import splices
import torch
from channels import Clip, channel_jobs
from copied import copy_jobs
from copies import Method
from engines import Engine, Files
from jobs import Job, run
from rows import Manifest, Row, merge, read_rows
from spoken import spoken_jobs

from deepcheck.errors import ConfigError, DataError, DeepcheckError
from deepcheck.registry import did_you_mean
from deepcheck.seeding import seed_of

SPLICES, ENGINES, CHANNELS = "splices", "engines", "channels"


def say(text: str) -> None:
    """A line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; what cannot be done at all is one sentence and exit code 1."""
    try:
        extend(_parser().parse_args(arguments))
    except DeepcheckError as error:
        say(f"Error: {error}")
        return 1
    except OSError as error:
        say(f"Error: {error.strerror or error}: {error.filename or 'what is written'}")
        return 1
    except KeyboardInterrupt:
        say("Stopped; the same command goes on.")
        return 130
    return 0


def extend(options: argparse.Namespace) -> None:
    """Make the clips, then `manifest.csv` in order and `with-original.csv`."""
    torch.set_num_threads(1)
    everything = read_rows(options.data)
    rows = read_rows(options.data, options.subset) if options.subset else everything
    genuine = _some([row for row in rows if row["label"] == "bonafide"], options.limit, options.seed)
    if not genuine:
        raise DataError(f"{options.data} has no row with the label bonafide to make copies of.")
    methods = [*copies.METHODS, *([neural.hifigan(options.hifigan)] if options.hifigan else [])]
    kokoro = (options.kokoro[0], options.kokoro[1]) if options.kokoro else None
    table = engines.engines(Files(tuple(options.voice), kokoro))
    wanted = _wanted(options.only, methods, table)
    folder, common = options.data.parent, {"ending": options.format, "seed": options.seed}

    manifest = Manifest(options.out)
    chosen = _methods(methods, wanted)
    if chosen:
        spliced = _share_of_splices(wanted, chosen)
        jobs = copy_jobs(genuine, folder, chosen, per_clip=options.per_clip, spliced=spliced, **common)
        _stage("copies", jobs, manifest)
    spoken = _engines(table, wanted)
    if spoken:
        jobs = spoken_jobs(spoken, genuine, folder, per_voice=options.per_voice, say=say, **common)
        _stage("sentences", jobs, manifest)
    if not wanted or CHANNELS in wanted:
        clips = [Clip(row, folder) for row in (*genuine, *(row for row in rows if row["label"] == "spoof"))]
        clips += [Clip(row, manifest.folder) for row in _straight(manifest)]
        pairs = len(genuine) // 5 if options.pairs is None else options.pairs
        _stage("clips through channels", channel_jobs(clips, channels.available(say), pairs=pairs, **common), manifest)
    manifest.write()
    whole = options.out / "with-original.csv"
    count = merge(options.data, everything, manifest, whole)
    say(f"{manifest.path}: {len(manifest.rows)} clips; {whole}: {count} with those of {options.data}")


def _straight(manifest: Manifest) -> list[Row]:
    """What was made and has not been through a channel: the genuine clips there have, and their partners."""
    through = {row["id"] for row in manifest.rows.values() if row["label"] == "bonafide"}
    return [r for r in manifest.rows.values() if r["id"] not in through and r["pair_of"] not in through]


def _stage(what: str, jobs: Iterable[Job], manifest: Manifest) -> None:
    started = time.monotonic()
    made, there, failed = run(jobs, manifest, say)
    each = f", {(time.monotonic() - started) / made:.2f} s each" if made else ""
    say(f"{what}: {made} made{each}, {there} were there, {failed} left out")


def _some(rows: list[Row], limit: int | None, seed: int) -> list[Row]:
    """All, or `limit` of them that do not depend on their order."""
    if limit is None or limit >= len(rows):
        return rows
    return sorted(rows, key=lambda row: seed_of("limit", seed, row["id"]))[:limit]


def _wanted(text: str, methods: Sequence[Method], table: Sequence[Engine]) -> set[str]:
    """What --only names; empty for everything."""
    known = {SPLICES, ENGINES, CHANNELS, "copies"}
    known |= {name for method in methods for name in (method.name, method.group)} | {engine.name for engine in table}
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(wanted - known):
        raise ConfigError(f'There is no "{name}" to make.', did_you_mean(name, sorted(known)))
    return wanted


def _methods(methods: Sequence[Method], wanted: Collection[str]) -> list[Method]:
    named = [m for m in methods if {m.name, m.group} & set(wanted)]
    if not named and not (not wanted or {"copies", SPLICES} & set(wanted)):
        return []
    found = []
    for method in named or methods:
        if not (why := method.missing()):
            found.append(method)
        elif named:
            raise ConfigError(f"{method.name} cannot be made.", why)
        else:
            say(f"Left out: {method.name}. {why}")
    return found


def _share_of_splices(wanted: Collection[str], methods: Sequence[Method]) -> float:
    """Which share of the copies are partial: all with `--only splices`, none where only methods are named."""
    named = {"copies", *(name for method in methods for name in (method.name, method.group))} & set(wanted)
    if SPLICES in wanted and not named:
        return 1.0
    return splices.SHARE_OF_COPIES if not wanted or {SPLICES, "copies"} & set(wanted) else 0.0


def _engines(table: Sequence[Engine], wanted: Collection[str]) -> list[Engine]:
    named = [engine for engine in table if engine.name in wanted]
    if not named and wanted and ENGINES not in wanted:
        return []
    found = []
    for engine in named or table:
        if engine.present():
            found.append(engine)
        elif named:
            raise ConfigError(f"{engine.name} is not there.", f"To get it: {engine.to_get}")
        else:
            say(f"Left out: {engine.name}, which is not there. To get it: {engine.to_get}")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="extend.py", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="CSV", help="the manifest of the corpus")
    add("--subset", help="only the rows of this subset")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where the new clips and their manifest go")
    add("--only", default="", help="copies, splices, engines, channels, or methods and engines by name; with commas")
    add("--per-clip", type=_count, default=1, help="copies of each genuine clip (1)")
    add("--per-voice", type=_count, default=8, help="sentences of each voice (8)")
    add("--pairs", type=_count, help="pairs through channels (a fifth of the genuine clips)")
    add("--limit", type=_count, help="of only so many of the genuine clips")
    add("--seed", type=int, default=0, help="another one gives other clips beside those that are there (0)")
    add("--format", choices=("same", "opus", "flac"), default="same", help="lossy for a lossy original, or one for all")
    add("--hifigan", type=Path, metavar="FOLDER", help="a vocoder in the format of transformers' SpeechT5HifiGan")
    add("--voice", type=Path, action="append", default=[], metavar="ONNX", help="a voice of piper; may be repeated")
    add("--kokoro", type=Path, nargs=2, metavar=("ONNX", "BIN"), help="the model of kokoro, and its voices")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

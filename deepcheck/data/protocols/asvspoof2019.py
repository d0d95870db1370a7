"""ASVspoof 2019, logical and physical access: `SPEAKER FILE ENVIRONMENT ATTACK KEY` a line."""

from pathlib import Path

from deepcheck.data.utterance import Protocol, Utterance, parse_label
from deepcheck.errors import DataError
from deepcheck.registry import did_you_mean

_LISTS = {"train": "train.trn", "dev": "dev.trl", "eval": "eval.trl"}


def read_la(root: Path, subset: str | None = None) -> Protocol:
    """The logical access set at `root` (the folder `LA` or the one above it); `subset` train, dev or eval."""
    return _read(root, "LA", subset)


def read_pa(root: Path, subset: str | None = None) -> Protocol:
    """The physical access set at `root` (the folder `PA` or the one above it); `subset` train, dev or eval."""
    return _read(root, "PA", subset)


def _read(root: Path, access: str, subset: str | None) -> Protocol:
    if subset not in _LISTS:
        raise DataError(
            f"ASVspoof 2019 needs a subset, not {subset or 'none'}.", did_you_mean(subset or "", list(_LISTS))
        )
    base = root / access if (root / access).is_dir() else root
    table = base / f"ASVspoof2019_{access}_cm_protocols" / f"ASVspoof2019.{access}.cm.{_LISTS[subset]}.txt"
    audio = base / f"ASVspoof2019_{access}_{subset}" / "flac"
    for place in (table, audio):
        if not place.exists():
            raise DataError(
                f"There is no {place}.",
                f"Give the folder that the {access} archive of ASVspoof 2019 was unpacked to.",
            )
    utterances = []
    for number, line in enumerate(table.read_text().splitlines(), start=1):
        columns = line.split()
        if not columns:
            continue
        if len(columns) != 5:
            raise DataError(f"{table}, line {number} has {len(columns)} columns instead of 5: {line[:80]}")
        speaker, name, environment, attack, key = columns
        try:
            label = parse_label(key)
        except DataError as error:
            raise DataError(f"{table}, line {number}: {error.message}") from None
        tags = {"environment": environment} if environment != "-" else {}
        utterances.append(
            Utterance(
                name,
                audio / f"{name}.flac",
                label,
                attack=None if attack == "-" else attack,
                speaker=speaker,
                tags=tags,
            )
        )
    missing = next((u.path for u in utterances if not u.path.is_file()), None)
    if missing is not None:
        raise DataError(f"{table} lists {missing.name}, which is not in {audio}.")
    return Protocol(f"ASVspoof 2019 {access}", subset, tuple(utterances))

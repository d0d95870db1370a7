"""Reading a report back: what it claims of which files, for `scanner.verify`."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deepcheck.errors import DataError
from deepcheck.scanner.verify import TOLERANCES, Claims, FileClaim, ModelClaim

_HEX = frozenset("0123456789abcdef")


def read_claims(path: Path) -> Claims:
    """What the report at `path` claims; its format goes by the ending, `.jsonl` or `.csv`.

    `DataError` for a file that is no such report, or of which nothing could be checked.
    """
    reader = READERS.get(path.suffix.casefold())
    if reader is None:
        raise DataError(
            f'"{path.name}" cannot be verified: only {" and ".join(READERS)} reports hold what is needed.',
            "What a page shows can differ from what it carries, so others are for reading. Write one beside them, even "
            "after a scan that is done (nothing is scored twice): deepcheck scan ... --output report.jsonl",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"The report {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f"The report {path} is no text.") from None
    try:
        claims = reader(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is not a report of deepcheck: {reason}.", "Was it edited?") from None
    if not any(claim.sha256 for claim in claims.files):
        raise DataError(f"The report {path} has no SHA-256 of any file, so there is nothing to verify.")
    return claims


def _from_jsonl(text: str) -> Claims:
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    bases = [row["basis"] for row in rows]
    if not rows:
        raise ValueError("it has no line")
    if any(_lasting(basis) != _lasting(bases[0]) for basis in bases):
        raise ValueError("its lines rest on different models")
    basis = bases[0]
    settings = {str(name): str(value) for name, value in basis["settings"].items()}
    models = tuple(
        ModelClaim(_text(one["model"]), _hash(one["model_sha256"]), one["settings"].get("labels"))
        for one in (basis["models"] or [basis])
    )
    files = tuple(
        FileClaim(
            _text(row["path"]),
            None if row["sha256"] is None else _hash(row["sha256"]),
            _text(row["status"]),
            row["verdict"],
            _number(row["llr"]),
        )
        for row in rows
    )
    threshold = float(settings["threshold"]) if "threshold" in settings else None
    each = [settings, *(one["settings"] for one in basis["models"] or [])]
    precision = _precision(next((one["precision"] for one in each if "precision" in one), ""))
    return Claims(files, models, _text(basis["version"]), threshold, precision, rounding=0.5e-6)


def _precision(told: Any) -> str:
    """The one that is told, fp32 if none is."""
    if told and told not in TOLERANCES:
        raise ValueError(f'there is no precision "{told}"')
    return str(told or "fp32")


def _lasting(basis: Mapping[str, Any]) -> list[Any]:
    return [basis["model_sha256"], basis["version"], basis["settings"]]


def _from_csv(text: str) -> Claims:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if not rows:
        raise ValueError("it has no row")
    first = rows[0]
    if any((row["model_sha256"], row["model"]) != (first["model_sha256"], first["model"]) for row in rows):
        raise ValueError("its rows rest on different models")
    if any(row.get("precision") != first.get("precision") for row in rows):
        raise ValueError("its rows were computed in different precisions")
    several = [name.removeprefix("llr_") for name in first if name.startswith("llr_")]
    if several:
        raise ValueError("a CSV has one SHA-256 for several models together; verify the jsonl report")
    files = tuple(
        FileClaim(
            row["path"],
            _hash(row["sha256"]) if row["sha256"] else None,
            row["status"],
            row["verdict"] or None,
            _number(float(row["llr"])) if row["llr"] else None,
        )
        for row in rows
    )
    model = ModelClaim(_plain(first["model"]), _hash(first["model_sha256"]))
    threshold = float(first["threshold"]) if first.get("threshold") else None
    precision = _precision(first.get("precision") or "")
    return Claims(files, (model,), first.get("version") or None, threshold, precision, rounding=0.5e-4)


READERS: Mapping[str, Callable[[str], Claims]] = {".jsonl": _from_jsonl, ".csv": _from_csv}
"""By the ending of the file."""


def _plain(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if cell.startswith("'") else cell


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.50} stands where a text should be")
    return value


def _hash(value: Any) -> str:
    if not (isinstance(value, str) and len(value) == 64 and set(value) <= _HEX):
        raise ValueError(f"{value!r:.50} is no SHA-256")
    return value


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.50} is no score")
    return float(value)

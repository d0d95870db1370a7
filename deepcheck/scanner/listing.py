"""Lists of paths that other programs have written."""

import os
from pathlib import Path
from typing import BinaryIO

from deepcheck.errors import DataError
from deepcheck.scanner.address import located


def read_list(stream: BinaryIO, name: str, null: bool = False) -> list[Path]:
    """One path a line, or before each NUL if `null` is set (`find -print0`), which any name survives.

    Empty lines are passed over. `DataError`, in which the list is called `name`, if nothing is left.
    """
    data = stream.read()
    if not null:
        data = data.removeprefix(b"\xef\xbb\xbf")  # which editors on Windows put at the beginning
    items = data.split(b"\0") if null else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    if not null and b"\0" in data:
        raise DataError(f"{name} is no list of paths, one a line.", "Is it separated by NUL? Then say --null.")
    paths = [located(os.fsdecode(item)) for item in items if item.strip()]
    if not paths:
        raise DataError(f"{name} names no file.")
    return paths

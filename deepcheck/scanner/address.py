"""Recordings that lie elsewhere: `s3://bucket/calls/1.wav`, and whatever else fsspec has a file system for."""

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from deepcheck.audio.decode import EXTENSIONS
from deepcheck.errors import AudioError, ConfigError, DataError
from deepcheck.scanner.stamp import Stamp, stamp

_URL = re.compile(r"[a-z][a-z0-9+.-]+://")
# What file systems call that by which a content differs from the one before, the surest first.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created")


class Address(type(Path())):  # type: ignore[misc]
    """A URL where a path is expected: reports, journals and parts of a scan treat it as they do a path.

    As a file it does not exist; `fetch` makes one of it. `info` is what a listing told of it.
    """

    url: str
    info: Mapping[str, Any] | None

    def __new__(cls, url: str, info: Mapping[str, Any] | None = None) -> "Address":
        made: Address = super().__new__(cls, url)
        made.url, made.info = url, info
        return made

    def __init__(self, url: str, info: Mapping[str, Any] | None = None) -> None:
        if hasattr(Path, "with_segments"):  # since 3.12 paths are made here
            super().__init__(url)

    def __str__(self) -> str:
        return getattr(self, "url", None) or super().__str__()

    def __fspath__(self) -> str:
        return str(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Address, (str(self),)

    def with_segments(self, *segments: str) -> Path:
        """Parents and names of a URL are plain paths: of their own they lead nowhere."""
        return Path(*segments)


def located(text: str | Path) -> Path:
    """An `Address` for a URL, a `Path` for anything else."""
    if isinstance(text, Path):
        return text
    return Address(text) if _URL.match(text) else Path(text)


def below(address: Address) -> list[Address]:
    """The file at the address, or those with a known ending below the folder at it, in alphabetical order.

    The address itself, without `info`, if there is nothing. Raises `ConfigError` where no such file system is known or
    its package is missing, and `DataError` where it does not answer.
    """
    files, path = _opened(address)
    try:
        if files.isfile(path):
            return [Address(files.unstrip_protocol(path), files.info(path))]
        if not files.exists(path):
            return [address]
        found = files.find(path, detail=True)
    except Exception as error:  # every file system has errors of its own
        why = f"{address} cannot be listed: {_why(error)}."
        raise DataError(why, "Check the address, and the credentials for it.") from error
    root = files._strip_protocol(path)
    return [
        Address(files.unstrip_protocol(name), info)
        for name, info in sorted(found.items())
        if _ending(name) in EXTENSIONS and not _hidden(name.removeprefix(root))
    ]


def stamp_at(path: Path) -> Stamp | None:
    """As `stamp.stamp`, of an address as well; None also where nothing there tells a content from the one before."""
    if not isinstance(path, Address):
        return stamp(path)
    try:
        if path.info is not None:
            return _stamp(path, path.info)
        files, place = _opened(path)
        return _stamp(path, files.info(place))
    except Exception:
        return None


def fetch(address: Address, place: Path) -> Stamp | None:
    """Copies the file at the address to `place`, and returns its stamp as it was then.

    `AudioError` with the reason where that fails.
    """
    try:
        files, path = _opened(address)
        with files.open(path, "rb") as source, place.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        files.invalidate_cache()  # or it would say what it said before
        return _stamp(address, files.info(path))
    except FileNotFoundError:
        raise AudioError("the file does not exist") from None
    except Exception as error:
        raise AudioError(f"the file cannot be fetched ({_why(error)})") from error


def _stamp(address: Address, info: Mapping[str, Any]) -> Stamp | None:
    version = next((info[name] for name in _VERSIONS if info.get(name)), None)
    if version is None or info.get("size") is None:  # as often with http
        return None
    if isinstance(version, datetime):  # which in the listing of a folder may be a number
        version = version.timestamp()
    if isinstance(version, float):
        version = round(version, 3)
    number = int.from_bytes(hashlib.sha256(str(version).encode()).digest()[:7])
    return Stamp(address.url, int(info["size"]), number, number)


def _opened(address: Address) -> tuple[Any, str]:
    """(the file system of the address, the path there)."""
    from fsspec.core import url_to_fs

    protocol = address.url.partition("://")[0]
    try:
        files, path = url_to_fs(address.url)
    except ImportError as error:
        raise ConfigError(
            f"{address} needs a package that is not installed: {_why(error)}.",
            "For s3:// that is pip install 'deepcheck[s3]'.",
        ) from None
    except ValueError as error:
        raise ConfigError(
            f'"{protocol}://" leads to no file system that is known: {_why(error)}.', "For a file here, give its path."
        ) from None
    return files, str(path)


def _why(error: Exception) -> str:
    lines: Iterator[str] = iter(str(error).strip().splitlines())
    return next(lines, type(error).__name__).rstrip(".")[:200]


def _ending(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2].lower()


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))

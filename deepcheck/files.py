"""Files that are never half written, and how to tell one from another."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when the block ends; after an error nothing has changed.

    Makes the folder if need be; a link is followed. `OSError` for what is no regular file: a device must stay one.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "This is no regular file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read; a report should have ordinary permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say what did not fit
        raise


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write through `replacing`; what is no regular file (/dev/stdout, a pipe) is simply written to."""
    content = data.encode() if isinstance(data, str) else data
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    with replacing(path) as place:
        place.write_bytes(content)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock file `path` for the block; the system lets go of it with the process.

    The empty file stays, since whoever removed it could take it from under the next one. Where files cannot be locked
    (Windows, some network drives), always true.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except (ImportError, OSError):
            pass
        yield True


def sha256(path: Path) -> str:
    """The SHA-256 of the file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def exact(path: Path) -> str:
    """The path as text that any UTF-8 stream takes; bytes that are no UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

"""File operations that survive a crash: locks, durable names, atomic replacement.

The locks are those of flock(2): the kernel releases them however their holder ends.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Wait, without a limit, for the lock and hold it."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def shared_lock(path: Path) -> Iterator[int]:
    """Hold the lock together with others; yield its descriptor."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor


def make_exclusive(descriptor: int) -> bool:
    """Convert a shared lock; return whether nobody else holds it.

    Call it only before releasing the lock: a failed conversion may lose it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def try_lock(path: Path) -> Iterator[int | None]:
    """Hold the lock if it is free; yield its descriptor, or None."""
    with _opened(path) as descriptor:
        yield descriptor if make_exclusive(descriptor) else None


def sync_directory(path: Path) -> None:
    """Make created, renamed and deleted names in a directory durable (fsync(2))."""
    with _opened(path, os.O_RDONLY) as descriptor:
        os.fsync(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content atomically and durably, with mode 0600.

    Raises:
        OSError: the file could not be written; the old content is still there.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

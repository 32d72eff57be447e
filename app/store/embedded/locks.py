"""Advisory locks that the kernel releases when their holder dies (flock(2))."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait, without a limit, until nobody else holds the lock."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def shared(path: Path) -> Iterator[int]:
    """Hold the lock beside others; yields its descriptor for `try_exclusive`."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def try_exclusive(descriptor: int) -> bool:
    """Whether nobody else holds the lock; it is exclusive from then on.

    Where somebody does, a shared hold may be lost, so ask only when leaving.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def if_free(path: Path) -> Iterator[int | None]:
    """Take the lock if nobody holds it; yields its descriptor, or None."""
    descriptor = _open(path)
    try:
        yield descriptor if try_exclusive(descriptor) else None
    finally:
        os.close(descriptor)

"""A disk of its own that a test may fill, which takes root and Linux."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, *options: str) -> Iterator[Path]:
    """Mount one at a new directory, for as long as the context lasts.

    Args:
        path: of the directory.
        options: of tmpfs(5), such as its size.
    """
    path.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", ",".join(options), "x")
    if os.geteuid() != 0 or not _call(*words, path):
        path.rmdir()
        pytest.skip("needs to mount a tmpfs")
    try:
        yield path
    finally:
        # Lazily: a session of a server may keep a file of it open for a while.
        assert _call("umount", "--lazy", path)
        path.rmdir()


@contextmanager
def server_disk(data_dir: Path, size: str) -> Iterator[Path]:
    """The same, for a server's user, in a place that it can reach.

    The last part of its path is also fit for the name of a tablespace.
    """
    owner = data_dir.stat()
    path = data_dir.parent / f"small_disk_{secrets.token_hex(4)}"
    user = (f"uid={owner.st_uid}", f"gid={owner.st_gid}")
    with small_disk(path, size, "mode=0700", *user):
        yield path


def fill(disk: Path) -> Path:
    """Leave no room on it; returns the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def _call(*words: str | Path) -> bool:
    """Run a program of ours; whether it succeeded."""
    return subprocess.run(words, check=False).returncode == 0

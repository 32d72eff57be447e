"""What a directory holds, kept through a power failure."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk, as fsync(2) has a file's data."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

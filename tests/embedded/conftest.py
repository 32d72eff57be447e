"""Clusters of the tests of the embedded Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import running
from tests.support.postgres.embedded import reachable_directory


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """A state directory whose cluster exists; each test leaves it stopped."""
    with reachable_directory() as directory:
        with running(directory / "state"):
            pass
        yield directory / "state"

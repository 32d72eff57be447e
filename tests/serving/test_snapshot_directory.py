"""The directory through which workers share their metrics."""

import os
from pathlib import Path

from app.metrics.counters import Metrics
from app.serving.snapshot_directory import snapshot_directory


def test_directory_is_private_and_removed_with_the_service() -> None:
    with snapshot_directory() as path:
        assert path is not None
        assert path.stat().st_mode & 0o077 == 0
        Metrics(directory=path).publish()
        assert [*path.iterdir()]
    assert not path.exists()


def test_directory_of_a_killed_service_is_removed_after_an_hour(tmp_path: Path) -> None:
    names = ["killed", "serves", "killed-just-now"]
    killed, serves, _ = made = [tmp_path / f"rollcall-metrics-{n}" for n in names]
    for directory in made:
        directory.mkdir()
        Metrics(directory=directory).publish()
    for directory in (killed, serves):
        os.utime(directory, (0, 0))
    Metrics(directory=serves).publish()  # as its workers do each second

    with snapshot_directory([tmp_path]) as own:
        assert {*tmp_path.iterdir()} == {*made[1:], own}


def test_first_usable_parent_is_taken(tmp_path: Path) -> None:
    with snapshot_directory([tmp_path / "missing"]) as path:
        assert path is None
    with snapshot_directory([tmp_path / "missing", tmp_path]) as path:
        assert path is not None
        assert path.parent == tmp_path

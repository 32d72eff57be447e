"""Sizes of files and folders, which CONTRIBUTING.md promises."""

from collections import Counter

import pytest

from tests.conftest import ROOT

APP = sorted((ROOT / "app").rglob("*.py"))


def test_file_of_the_app_has_at_most_300_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in APP
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long


@pytest.mark.parametrize("top", ["app", "tests"])
def test_folder_has_at_most_15_modules(top: str) -> None:
    folders = Counter(
        path.parent.relative_to(ROOT)
        for path in (ROOT / top).rglob("*.py")
        if path.name != "__init__.py" and "node_modules" not in path.parts
    )
    assert not {folder: count for folder, count in folders.items() if count > 15}

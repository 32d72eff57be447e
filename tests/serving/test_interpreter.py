"""Warning about an interpreter with a known vulnerability."""

import pytest

from app.serving.interpreter import fixed_release


@pytest.mark.parametrize(
    ("version", "fixed_in"),
    [
        ((3, 11, 9), "3.11.10"),
        ((3, 11, 10), None),
        ((3, 12, 5), "3.12.6"),
        ((3, 12, 6), None),
        ((3, 13, 0), None),
        ((3, 14, 0), None),
    ],
)
def test_fixed_release_names_the_release_with_the_fix(
    version: tuple[int, int, int], fixed_in: str | None
) -> None:
    assert fixed_release(version) == fixed_in

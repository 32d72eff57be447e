"""Warning about an interpreter with a known vulnerability."""

from types import ModuleType

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
    assert fixed_release(version, ModuleType("cookies")) == fixed_in


def test_fixed_release_of_an_old_release_with_the_fix_of_a_distribution_is_none() -> (
    None
):
    parser = ModuleType("cookies")
    vars(parser)["_unquote_replace"] = str
    assert fixed_release((3, 11, 2), parser) is None

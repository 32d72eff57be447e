"""The chart of days: where each bar stands."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

WIDTH = 960
HEIGHT = 160
_GAP = 6


class Bar(NamedTuple):
    """One bar, in the units of the picture; `series` is 1 or 2."""

    series: int
    x: float
    y: float
    width: float
    height: float


class Chart(NamedTuple):
    """The bars of all days, two beside each other.

    Attributes:
        bars: those that have a height.
        most: what the highest stands for.
        first: the day at the left.
        last: the day at the right.
    """

    bars: list[Bar]
    most: int
    first: date
    last: date


def day_chart(days: Sequence[dict[str, Any]]) -> Chart:
    """Draw the days, the oldest first.

    Args:
        days: at least one, each with `day`, `sign_ups` and `members_added`.
    """
    series = ("sign_ups", "members_added")
    most = max(day[name] for day in days for name in series)
    step = WIDTH / len(days)
    width = (step - _GAP) / len(series)
    bars = [
        Bar(
            place + 1,
            round(number * step + _GAP / 2 + place * width, 2),
            round(HEIGHT - HEIGHT * day[name] / most, 2),
            round(width, 2),
            round(HEIGHT * day[name] / most, 2),
        )
        for number, day in enumerate(days)
        for place, name in enumerate(series)
        if day[name]
    ]
    return Chart(bars, most, days[0]["day"], days[-1]["day"])

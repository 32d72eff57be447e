"""Bar charts: rectangles in SVG, with the labels of both axes as text of the page.

The picture is stretched to the width of the page, and the labels keep their size, so a
chart is legible on a phone.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

Scale: TypeAlias = Literal["linear", "log"]

WIDTH = 1000
HEIGHT = 200
_GAP = 0.15
_MOST_TICKS = 5
_MOST_LABELS = 5


class Series(NamedTuple):
    """Its label, and one number for each bucket, not negative."""

    label: str
    values: Sequence[int]


class Bar(NamedTuple):
    """A rectangle on the axis, in units of the picture; `series` counts from 1."""

    series: int
    x: float
    width: float
    height: float


class Bucket(NamedTuple):
    """A span of time: the width that reacts to the pointer, and its bars.

    Attributes:
        reading: the values in words.
        values: one for each series.
        width: including the gap between buckets.
        bars: those that have a height.
    """

    label: str
    reading: str
    values: Sequence[int]
    x: float
    width: float
    bars: Sequence[Bar]


class Chart(NamedTuple):
    """A chart.

    Attributes:
        series: labels of the series.
        ticks: labels of the vertical axis, from the top to 0, at equal distances.
        labels: labels of the horizontal axis, at equal distances.
        total: sum of all values.
    """

    title: str
    series: Sequence[str]
    buckets: Sequence[Bucket]
    ticks: Sequence[str]
    labels: Sequence[str]
    total: int

    @property
    def grid(self) -> list[float]:
        """Height of each line of the grid."""
        steps = len(self.ticks) - 1
        return [round(HEIGHT * n / steps, 2) for n in range(steps + 1)]


def bar_chart(
    title: str,
    buckets: Sequence[str],
    series: Sequence[Series],
    *,
    axis: Sequence[str],
    scale: Scale,
) -> Chart:
    """Lay out a chart.

    Args:
        title: name of the counted events.
        buckets: label of each, at least one.
        series: bars next to each other in each bucket.
        axis: short label of each bucket, for the horizontal axis.
        scale: on a logarithmic one, each tick is ten times the one below.
    """
    most = max((value for each in series for value in each.values), default=0)
    ticks = _linear_ticks(most) if scale == "linear" else _log_ticks(most)
    step = WIDTH / len(buckets)
    width = step * (1 - _GAP) / len(series)
    laid_out = []
    for number, label in enumerate(buckets):
        left = number * step
        values = [each.values[number] for each in series]
        bars = [
            Bar(
                place + 1,
                left + step * _GAP / 2 + place * width,
                width,
                HEIGHT * _share(value, ticks, scale=scale),
            )
            for place, value in enumerate(values)
            if value
        ]
        reading = ", ".join(
            f"{value:,} {each.label}"
            for value, each in zip(values, series, strict=True)
        )
        laid_out.append(Bucket(label, reading, values, left, step, bars))
    return Chart(
        title,
        [each.label for each in series],
        laid_out,
        [f"{tick:,}" for tick in reversed(ticks)],
        _axis_labels(axis),
        sum(sum(each.values) for each in series),
    )


def duration(seconds: float) -> str:
    """A duration in its largest unit, such as `350 ms`, `4.2 s` or `1.0 years`."""
    size = abs(seconds)
    if size < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, length, end in _UNITS:
        if size < end:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / _YEAR_S:,.1f} years"


_DAY_S = 86_400
_YEAR_S = 365.2425 * _DAY_S
# Unit, its seconds, and the duration up to which it is used.
_UNITS = (
    ("s", 1, 90),
    ("min", 60, 90 * 60),
    ("h", 3_600, 2 * _DAY_S),
    ("days", _DAY_S, 0.95 * _YEAR_S),
)


def _linear_ticks(most: int) -> list[int]:
    """From 0 in equal steps of 1, 2 or 5 times a power of ten."""
    power = 10 ** max(0, math.floor(math.log10(max(1, most) / _MOST_TICKS)))
    step = next(
        factor * power
        for factor in (1, 2, 5, 10, 20)
        if most <= factor * power * _MOST_TICKS
    )
    return [step * n for n in range(max(1, math.ceil(most / step)) + 1)]


def _log_ticks(most: int) -> list[int]:
    """0, and the powers of ten from 1 to the first that is not below `most`."""
    decades = math.ceil(math.log10(max(1, most)))
    return [0, *(10**n for n in range(decades + 1))]


def _share(value: int, ticks: Sequence[int], *, scale: Scale) -> float:
    """Height of a value as a share of the picture."""
    if scale == "linear":
        return value / ticks[-1]
    # 1 is one step above 0.
    return (math.log10(value) + 1) / (len(ticks) - 1)


def _axis_labels(buckets: Sequence[str]) -> list[str]:
    """Some labels at equal distances, the first and the last among them.

    One that falls between two buckets has the time of the nearer one.
    """
    last = len(buckets) - 1
    count = min(_MOST_LABELS, len(buckets))
    if count == 1:
        return [buckets[0]]
    return [buckets[round(last * n / (count - 1))] for n in range(count)]

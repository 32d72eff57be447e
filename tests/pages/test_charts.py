"""Layout of charts, and durations."""

import pytest

from app.pages.charts import HEIGHT, WIDTH, Series, bar_chart, duration

LABELS = [f"{hour:02}:00" for hour in range(25)]


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, ["1", "0"]),
        (1, ["1", "0"]),
        (5, ["5", "4", "3", "2", "1", "0"]),
        (7, ["8", "6", "4", "2", "0"]),
        (26, ["30", "20", "10", "0"]),
        (1_234, ["1,500", "1,000", "500", "0"]),
        (
            9_999_999,
            ["10,000,000", "8,000,000", "6,000,000", "4,000,000", "2,000,000", "0"],
        ),
    ],
)
def test_linear_ticks_are_round_and_cover_values(most: int, ticks: list[str]) -> None:
    chart = bar_chart("a", ["x"], [Series("b", [most])], axis=["x"], scale="linear")
    assert chart.ticks == ticks


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, ["1", "0"]),
        (1, ["1", "0"]),
        (2, ["10", "1", "0"]),
        (1_000, ["1,000", "100", "10", "1", "0"]),
        (1_001, ["10,000", "1,000", "100", "10", "1", "0"]),
    ],
)
def test_log_ticks_are_powers_of_ten(most: int, ticks: list[str]) -> None:
    chart = bar_chart("a", ["x"], [Series("b", [most])], axis=["x"], scale="log")
    assert chart.ticks == ticks
    assert len(chart.grid) == len(ticks)


def test_bar_heights_follow_the_scale() -> None:
    series = [Series("a", [0, 1, 10, 100])]
    labels = LABELS[:4]
    linear, log = (
        bar_chart("a", labels, series, axis=labels, scale=scale)
        for scale in ("linear", "log")
    )
    assert [[bar.height for bar in b.bars] for b in log.buckets] == [
        [],
        [pytest.approx(HEIGHT / 3, abs=0.01)],
        [pytest.approx(2 * HEIGHT / 3, abs=0.01)],
        [HEIGHT],
    ]
    assert [[bar.height for bar in b.bars] for b in linear.buckets][1:] == [
        [2],
        [20],
        [200],
    ]


def test_bars_of_two_series_stand_beside_each_other_inside_their_bucket() -> None:
    series = [Series("a", [1] * 25), Series("b", [2] * 25)]
    chart = bar_chart("t", LABELS, series, axis=LABELS, scale="linear")
    for bucket in chart.buckets:
        one, other = bucket.bars
        assert bucket.x < one.x
        assert one.x + one.width <= other.x + 0.02
        assert other.x + other.width < bucket.x + bucket.width
    assert chart.buckets[-1].x + chart.buckets[-1].width == pytest.approx(WIDTH)
    assert chart.buckets[0].reading == "1 a, 2 b"
    assert chart.total == 75
    assert chart.labels == ["00:00", "06:00", "12:00", "18:00", "24:00"]


def test_horizontal_axis_has_five_labels_whatever_the_number_of_buckets() -> None:
    names = [str(number) for number in range(48)]
    chart = bar_chart("t", names, [Series("a", [1] * 48)], axis=names, scale="linear")
    assert chart.labels == ["0", "12", "24", "35", "47"]
    few = bar_chart("t", ["x"], [Series("a", [1])], axis=["x"], scale="linear")
    assert few.labels == ["x"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.35, "350 ms"),
        (4.2, "4.2 s"),
        (600, "10.0 min"),
        (7_200, "2.0 h"),
        (5 * 86_400, "5.0 days"),
        (365 * 86_400, "1.0 years"),
        (31_556_952, "1.0 years"),
        (-90_000, "-25.0 h"),
    ],
)
def test_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text

import pytest

from app.cli.configuration import read_settings
from app.errors import ConfigurationError


def test_missing_option_is_left_to_the_environment() -> None:
    assert read_settings(port=None) == read_settings()
    assert read_settings(port=9).port == 9


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("port", 70_000, "ROLLCALL_PORT: "),
        ("workers", 0, "ROLLCALL_WORKERS: "),
        ("two_digit_year", "mdy", "ROLLCALL_TWO_DIGIT_YEAR: "),
        ("key_cache_seconds", 6, "ROLLCALL_KEY_CACHE_SECONDS: "),
        (
            "max_inflight_bytes",
            1,
            "ROLLCALL_MAX_INFLIGHT_BYTES is below ROLLCALL_MAX_BODY_BYTES",
        ),
        ("answer_timeout_seconds", 1, "ROLLCALL_ANSWER_TIMEOUT_SECONDS is below"),
        ("earliest_timestamp", "1970-01-01T00:00:00", "needs an offset, such as Z"),
    ],
)
def test_setting_that_cannot_be_used_is_named(
    setting: str, value: object, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_settings(**{setting: value})


def test_all_errors_are_reported_at_once_without_values() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(port="s3cret", workers="s3cret")

    assert "ROLLCALL_PORT" in caught.value.detail
    assert "ROLLCALL_WORKERS" in caught.value.detail
    assert "s3cret" not in caught.value.detail

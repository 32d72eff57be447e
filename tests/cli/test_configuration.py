import pytest

from app.cli.configuration import read_settings
from app.environment import environment_problems
from app.errors import ConfigurationError
from app.settings import Settings


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


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ROLLCALL_WORKRES", "2", "did you mean ROLLCALL_WORKERS"),
        ("ROLLCALL_ZZZZZZZZZZZZZZZZZZZZZZZZ", "2", "docs/settings.md lists them all"),
        ("ROLLCALL_DATABASE_URL", "", "unset it to use the embedded Postgres"),
        ("ROLLCALL_PORT", "tcp://10.0.0.1:8000", "enableServiceLinks: false"),
        ("ROLLCALL_SERVICE_HOST", "10.0.0.1", "enableServiceLinks: false"),
    ],
)
def test_misleading_variable_is_named(variable: str, value: str, said: str) -> None:
    [problem] = environment_problems(Settings.model_fields, {variable: value})
    assert problem.startswith(variable)
    assert said in problem

import logging
from typing import Any

import pytest

from app.components.instances import SHARED, InstanceReport, shared_settings
from app.metrics.catalog import SETTINGS_DIFFERING
from app.metrics.counters import Metrics
from app.settings import Settings
from app.store.instances import Instance
from tests.support.metrics.samples import figures_of

# Settings of one machine, or secrets: instances may differ in them.
LOCAL = {
    "allowed_hosts",
    "answer_timeout_seconds",
    "body_timeout_seconds",
    "commit_timeout_seconds",
    "data_dir",
    "database_url",
    "drain_timeout_seconds",
    "embedded",
    "events_dir",
    "header_timeout_seconds",
    "host",
    "journal",
    "journal_max_bytes",
    "key_cache_seconds",
    "log_level",
    "max_inflight_bytes",
    "max_inflight_requests",
    "pooler",
    "port",
    "postgres_bin",
    "read_url",
    "ready_events",
    "trusted_proxies",
    "unauthenticated_bytes",
    "workers",
    "write_timeout_seconds",
}


def test_each_setting_is_shared_or_local() -> None:
    assert LOCAL | set(SHARED) == set(Settings.model_fields)
    assert not LOCAL & set(SHARED)


def test_shared_settings_have_the_names_of_their_variables_and_no_secret() -> None:
    settings = Settings.model_validate(
        {"database_url": "postgresql://u:secret@h/d", "max_event_bytes": 7}
    )
    shared = shared_settings(settings, declarations="abc")
    assert shared["ROLLCALL_MAX_EVENT_BYTES"] == 7
    assert shared["ROLLCALL_EARLIEST_TIMESTAMP"] == "2000-01-01T00:00:00Z"
    assert shared["event declarations"] == "abc"
    assert "secret" not in str(shared)


async def test_new_difference_is_logged_once_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    other: dict[str, Any] = {}

    async def report(instance: Instance) -> list[Instance]:
        settings = {**instance.settings, **other}
        return [instance, Instance("b:8000", instance.version, settings)]

    metrics = Metrics()
    reporter = InstanceReport(
        Settings(), declarations="abc", report=report, metrics=metrics
    )
    assert await reporter.send() == 0
    other["ROLLCALL_MAX_EVENT_BYTES"] = 7
    assert await reporter.send() == 1
    assert await reporter.send() == 1
    assert [each.setting for each in reporter.differences] == [
        "ROLLCALL_MAX_EVENT_BYTES"
    ]
    assert figures_of(metrics)(SETTINGS_DIFFERING.name) == 1
    other.clear()
    assert await reporter.send() == 0
    warning, agreed = [record.message for record in caplog.records]
    assert "ROLLCALL_MAX_EVENT_BYTES is 131072 on " in warning
    assert warning.endswith("7 on b:8000")
    assert agreed == "instances agree in their settings"

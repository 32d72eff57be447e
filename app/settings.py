"""Settings: read from the environment here alone, frozen once read.

Each field is the environment variable `ROLLCALL_` + its name in capitals.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB


class Settings(BaseSettings):
    """What an operator can set; the descriptions are the README's table."""

    model_config = SettingsConfigDict(
        env_prefix="ROLLCALL_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        # A password may be in what cannot be used.
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="Postgres 15 or later, as `postgresql://user:password@host/name`. "
        "Without it Rollcall runs a Postgres of its own in the data directory.",
    )
    data_dir: Path = Field(
        default=Path(".rollcall"),
        description="Where the embedded Postgres, the journal and the quickstart key "
        "live.",
    )
    postgres_bin: Path | None = Field(
        default=None,
        description="The `bin` directory of the Postgres to embed, and of `psql`; "
        "without it the one that came with Rollcall, else one that is installed.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="The port to listen on; 0 takes any."
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Processes that answer requests."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least that is logged; `info` is one line a request.",
    )
    two_digit_year: Literal["ymd", "dmy", "reject"] = Field(
        default="ymd",
        description="How `20-11-23T22:28:55Z` is read: `ymd` as 2020-11-23, "
        "`dmy` as 2023-11-20, `reject` not at all.",
    )
    earliest_timestamp: datetime = Field(
        default=datetime(1970, 1, 1, tzinfo=UTC),
        description="An event from before this is rejected.",
    )
    max_future_seconds: int = Field(
        default=24 * 3600,
        ge=0,
        description="An event from further ahead of its receipt is rejected.",
    )
    max_body_bytes: int = Field(
        default=10 * MIB, ge=1, description="Of a body, decompressed; over it 413."
    )
    max_body_events: int = Field(
        default=5_000, ge=1, description="Events in one body; over it 413."
    )
    max_body_values: int = Field(
        default=500_000,
        ge=1,
        description="JSON values in one body, of any kind and in all its events; over "
        "it 413.",
    )
    max_event_bytes: int = Field(
        default=128 * KIB,
        ge=1,
        description="Of one event as compact JSON; over it the event is rejected.",
    )
    max_event_depth: int = Field(
        default=64,
        ge=1,
        le=200,
        description="Containers inside an event, one within the other; "
        "over it the event is rejected.",
    )
    max_requests: int = Field(
        default=1_000,
        ge=1,
        description="Requests that one worker has in flight, from the last byte of "
        "their body to their answer, each 8 KiB of it as one more; over it 503.",
    )
    queue_bytes: int = Field(
        default=32 * MIB,
        ge=1,
        description="Bodies that one worker holds at a time, from the first byte to "
        "the commit; over it 503. At least `ROLLCALL_MAX_BODY_BYTES`.",
    )
    keyless_bytes: int = Field(
        default=10 * MIB,
        ge=1,
        description="Bodies without a key in a header that one worker reads at a time, "
        "apart from `ROLLCALL_QUEUE_BYTES`; over it 503.",
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="For the headers of a request to arrive, or its first byte on a "
        "new connection; over it 408, or the connection is closed.",
    )
    body_timeout_seconds: float = Field(
        default=10.0, gt=0, description="For a body to arrive; over it 408."
    )
    unread_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="For a client to take 64 KiB of an answer that waits for it; over "
        "it the connection is closed.",
    )
    commit_timeout_seconds: float = Field(
        default=2.0,
        gt=0,
        description="For one commit, retries included; over it the journal, or 503.",
    )
    answer_timeout_seconds: float = Field(
        default=2.5,
        gt=0,
        description="For all waiting on the database of one request; over it 503. "
        "At least `ROLLCALL_COMMIT_TIMEOUT_SECONDS`.",
    )
    drain_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="For requests in flight to end when the service stops.",
    )
    journal: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether events are kept on this machine's disk while Postgres is "
        "away, and answered `buffered`: `auto` where the data directory can be "
        "written, `on` else does not start, `off` answers 503.",
    )
    journal_max_bytes: int = Field(
        default=1024 * MIB,
        ge=1,
        description="Of the events that wait in the journal of one worker; over it "
        "503.",
    )
    quarantine_max_events: int = Field(
        default=100_000,
        ge=0,
        le=1_000_000,
        description="Rejected events that are kept of one source; over it they are "
        "answered `kept: false` and only counted.",
    )
    quarantine_max_bytes: int = Field(
        default=256 * MIB,
        ge=0,
        description="Of the rejected events that are kept of one source; over it "
        "likewise.",
    )
    quarantine_days: int = Field(
        default=30, ge=1, le=36_500, description="How long a rejected event is kept."
    )
    key_cache_seconds: float = Field(
        default=4.0,
        ge=0,
        le=5,
        description="How long a worker trusts a key that it has looked up: "
        "a revoked one dies within this.",
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.queue_bytes < self.max_body_bytes:
            raise ValueError("ROLLCALL_QUEUE_BYTES is below ROLLCALL_MAX_BODY_BYTES")
        if self.answer_timeout_seconds < self.commit_timeout_seconds:
            raise ValueError(
                "ROLLCALL_ANSWER_TIMEOUT_SECONDS is below "
                "ROLLCALL_COMMIT_TIMEOUT_SECONDS"
            )
        if self.earliest_timestamp.tzinfo is None:
            raise ValueError("ROLLCALL_EARLIEST_TIMESTAMP needs an offset, such as Z")
        return self

    @property
    def max_future(self) -> timedelta:
        """How far ahead of its receipt an event may be."""
        return timedelta(seconds=self.max_future_seconds)


def child_environment(**extra: str) -> dict[str, str]:
    """This process's environment for a program that it starts, with more in it."""
    return {**os.environ, **extra}  # noqa: TID251 - handed on, not read

"""Settings, read from the environment only here, and frozen.

Each field is the environment variable `ROLLCALL_` + its name in capitals.
"""

from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.environment import process_environment

KIB = 1024
MIB = 1024 * KIB
_PREFIX = "ROLLCALL_"


class Settings(BaseSettings):
    """Settings of the operator; the table of docs/settings.md says what each means."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        # An invalid value may hold a password.
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = None
    pooler: Literal["none", "transaction"] = "none"
    read_url: SecretStr | None = None
    data_dir: Path = Path(".rollcall")
    embedded: Literal["auto", "off"] = "auto"
    postgres_bin: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_hosts: str | None = None
    workers: int = Field(default=1, ge=1, le=64)
    trusted_proxies: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    two_digit_year: Literal["ymd", "dmy", "reject"] = "ymd"
    earliest_timestamp: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    max_future_seconds: int = Field(default=24 * 3600, ge=0)
    events_dir: Path | None = None
    ready_events: Literal["b2b_saas"] | None = None
    unknown_events: Literal["quarantine", "accept"] = "quarantine"
    max_body_bytes: int = Field(default=10 * MIB, ge=1)
    max_body_events: int = Field(default=5_000, ge=1)
    max_body_values: int = Field(default=500_000, ge=1)
    max_event_bytes: int = Field(default=128 * KIB, ge=1)
    max_event_depth: int = Field(default=64, ge=1, le=200)
    max_inflight_requests: int = Field(default=128, ge=1)
    max_inflight_bytes: int = Field(default=32 * MIB, ge=1)
    unauthenticated_bytes: int = Field(default=10 * MIB, ge=1)
    header_timeout_seconds: float = Field(default=10.0, gt=0)
    body_timeout_seconds: float = Field(default=10.0, gt=0)
    write_timeout_seconds: float = Field(default=10.0, gt=0)
    commit_timeout_seconds: float = Field(default=2.0, gt=0)
    answer_timeout_seconds: float = Field(default=2.5, gt=0)
    drain_timeout_seconds: float = Field(default=10.0, gt=0)
    journal: Literal["auto", "on", "off"] = "auto"
    journal_max_bytes: int = Field(default=1024 * MIB, ge=1)
    quarantine_max_events: int = Field(default=100_000, ge=0, le=1_000_000)
    quarantine_max_bytes: int = Field(default=256 * MIB, ge=0)
    quarantine_retention_days: int = Field(default=30, ge=1, le=36_500)
    retention_days: int | None = Field(default=None, ge=1, le=36_500)
    retention_basis: Literal["stored_at", "timestamp"] = "stored_at"
    audit_retention_days: int = Field(default=365, ge=90, le=36_500)
    key_cache_seconds: float = Field(default=4.0, ge=0, le=5)

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.max_inflight_bytes < self.max_body_bytes:
            raise ValueError(
                "ROLLCALL_MAX_INFLIGHT_BYTES is below ROLLCALL_MAX_BODY_BYTES"
            )
        if self.answer_timeout_seconds < self.commit_timeout_seconds:
            raise ValueError(
                "ROLLCALL_ANSWER_TIMEOUT_SECONDS is below "
                "ROLLCALL_COMMIT_TIMEOUT_SECONDS"
            )
        if self.earliest_timestamp.tzinfo is None:
            raise ValueError("ROLLCALL_EARLIEST_TIMESTAMP needs an offset, such as Z")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        _networks(value)
        return value

    @property
    def proxy_networks(self) -> list[IPv4Network | IPv6Network]:
        """Networks of the trusted proxies."""
        return _networks(self.trusted_proxies)

    @property
    def lookup_timeout_seconds(self) -> float:
        """Time limit of a look-up of a key or a session."""
        return max(1.0, self.commit_timeout_seconds / 2)

    @property
    def read_timeout_seconds(self) -> float:
        """Time limit of a query of a reader."""
        return self.answer_timeout_seconds * 0.7


def _networks(addresses: str | None) -> list[IPv4Network | IPv6Network]:
    parts = map(str.strip, (addresses or "").split(","))
    return [ip_network(each, strict=False) for each in parts if each]


def child_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment, with additions, for a child process."""
    return {**process_environment(), **extra}

"""Settings, read from the environment only here, and frozen.

Each field is the environment variable `ROLLCALL_` + its name in capitals.
"""

from datetime import UTC, datetime, timedelta
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
    """Settings of the operator; the descriptions are the table of docs/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        # An invalid value may hold a password.
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="URL of Postgres 15 or later, as "
        "`postgresql://user:password@host/name`. Unset: Rollcall runs its own Postgres "
        "in the data directory.",
    )
    pooler: Literal["none", "transaction"] = Field(
        default="none",
        description="`transaction` if the database URL leads to a pooler such as "
        "PgBouncer 1.21 or later, in whatever mode it pools: session settings then "
        "travel with each transaction.",
    )
    read_url: SecretStr | None = Field(
        default=None,
        description="URL of a database to read from, such as a standby: for pages, the "
        "read API and `export`. Unset: the database itself.",
    )
    data_dir: Path = Field(
        default=Path(".rollcall"),
        description="Directory of the embedded Postgres, the journal and the "
        "quickstart keys.",
    )
    embedded: Literal["auto", "off"] = Field(
        default="auto",
        description="`off` forbids the embedded Postgres: without "
        "`ROLLCALL_DATABASE_URL` every command is then refused.",
    )
    postgres_bin: Path | None = Field(
        default=None,
        description="`bin` directory of the Postgres to embed, and of `psql`. Unset: "
        "the one installed with Rollcall, else one found on the machine.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="Port to listen on; 0 takes any free one.",
    )
    allowed_hosts: str | None = Field(
        default=None,
        description="Host names of pages and read API, separated by commas; `*.a.com` "
        "stands for all below it. Without it every name is served.",
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="Number of worker processes."
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="Addresses and networks of the proxies in front, separated by "
        "commas. Their `X-Forwarded-For` is believed, and the request log has the "
        "client's address. Unset: no address is logged.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Lowest level that is logged; `info` logs one line a request.",
    )
    two_digit_year: Literal["ymd", "dmy", "reject"] = Field(
        default="ymd",
        description="How to read `20-11-23T22:28:55Z`: `ymd` as 2020-11-23, `dmy` as "
        "2023-11-20; `reject` rejects the event.",
    )
    earliest_timestamp: datetime = Field(
        default=datetime(2000, 1, 1, tzinfo=UTC),
        description="Events before this time are rejected.",
    )
    max_future_seconds: int = Field(
        default=24 * 3600,
        ge=0,
        description="Events further than this ahead of their receipt are rejected.",
    )
    events_dir: Path | None = Field(
        default=None,
        description="Directory of event declarations, one TOML file an event.",
    )
    ready_events: Literal["b2b_saas"] | None = Field(
        default=None,
        description="Folder of ready event declarations to accept as well. A file of "
        "the same event in `ROLLCALL_EVENTS_DIR` replaces a ready one.",
    )
    unknown_events: Literal["quarantine", "accept"] = Field(
        default="quarantine",
        description="Treatment of events with an unknown name: `quarantine` rejects "
        "them; `accept` stores them with the warning `undeclared_event`, and checks "
        "their envelope only.",
    )
    max_body_bytes: int = Field(
        default=10 * MIB,
        ge=1,
        description="Largest decompressed body. Above it: 413.",
    )
    max_body_events: int = Field(
        default=5_000, ge=1, description="Most events in one body. Above it: 413."
    )
    max_body_values: int = Field(
        default=500_000,
        ge=1,
        description="Most JSON values of any kind in one body. Above it: 413.",
    )
    max_event_bytes: int = Field(
        default=128 * KIB,
        ge=1,
        description="Largest event as compact JSON. Above it the event is rejected.",
    )
    max_event_depth: int = Field(
        default=64,
        ge=1,
        le=200,
        description="Deepest nesting of objects and arrays in an event. Above it the "
        "event is rejected.",
    )
    max_inflight_requests: int = Field(
        default=128,
        ge=1,
        description="Most requests that a worker works on at a time; the others wait. "
        "A request counts as 1 plus 1 per 8 KiB of body.",
    )
    max_inflight_bytes: int = Field(
        default=32 * MIB,
        ge=1,
        description="Most bytes of request bodies per worker, from the first byte to "
        "the commit. Above it: 503. At least `ROLLCALL_MAX_BODY_BYTES`.",
    )
    unauthenticated_bytes: int = Field(
        default=10 * MIB,
        ge=1,
        description="Most bytes per worker of bodies without a key in a header, "
        "counted apart from `ROLLCALL_MAX_INFLIGHT_BYTES`. Above it: 503.",
    )
    header_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Time for the headers of a request to arrive, and for the first "
        "byte on a new connection. After it: 408, or the connection is closed.",
    )
    body_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Time for a body to arrive. After it: 408.",
    )
    write_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Time a client may take to read 64 KiB of a pending response. "
        "After it the connection is closed.",
    )
    commit_timeout_seconds: float = Field(
        default=2.0,
        gt=0,
        description="Time for one commit, retries included. After it the events go to "
        "the journal, or the response is 503. A look-up of a key has half of it, or "
        "1 if that is more.",
    )
    answer_timeout_seconds: float = Field(
        default=2.5,
        gt=0,
        description="Time from the last byte of a body to its response. After it, or "
        "if a request would wait so long: 503. A query of a reader has 70 % of it. "
        "At least `ROLLCALL_COMMIT_TIMEOUT_SECONDS`.",
    )
    drain_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Time for in-flight requests to finish when the service stops.",
    )
    journal: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether events are kept on the local disk and answered "
        "`buffered` while Postgres is unavailable. `auto`: if the data directory is "
        "writable; `on`: refuse to start otherwise; `off`: answer 503.",
    )
    journal_max_bytes: int = Field(
        default=1024 * MIB,
        ge=1,
        description="Most bytes of events in the journal of one worker. Above it: 503.",
    )
    quarantine_max_events: int = Field(
        default=100_000,
        ge=0,
        le=1_000_000,
        description="Most rejected events kept per source. Above it they are answered "
        "`kept: false` and only counted.",
    )
    quarantine_max_bytes: int = Field(
        default=256 * MIB,
        ge=0,
        description="Most bytes of rejected events kept per source. Above it they are "
        "answered `kept: false` and only counted.",
    )
    quarantine_retention_days: int = Field(
        default=30, ge=1, le=36_500, description="Days that a rejected event is kept."
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days after which events are deleted. Unset: never.",
    )
    retention_basis: Literal["stored_at", "timestamp"] = Field(
        default="stored_at",
        description="`stored_at`: delete whole weeks by the time of storage. "
        "`timestamp`: delete each event by the time at which it happened, and reject "
        "older events on arrival.",
    )
    audit_retention_days: int = Field(
        default=365,
        ge=90,
        le=36_500,
        description="Days that the audit log is kept; whole months are deleted.",
    )
    key_cache_seconds: float = Field(
        default=4.0,
        ge=0,
        le=5,
        description="Time a worker caches a key. A revoked key may work this long.",
    )

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
        for each in (value or "").split(","):
            if each.strip():
                ip_network(each.strip(), strict=False)
        return value

    @property
    def proxy_networks(self) -> list[IPv4Network | IPv6Network]:
        """Networks of the trusted proxies."""
        parts = map(str.strip, (self.trusted_proxies or "").split(","))
        return [ip_network(each, strict=False) for each in parts if each]

    @property
    def lookup_timeout_seconds(self) -> float:
        """Time limit of a look-up of a key or a session."""
        return max(1.0, self.commit_timeout_seconds / 2)

    @property
    def read_timeout_seconds(self) -> float:
        """Time limit of a query of a reader."""
        return self.answer_timeout_seconds * 0.7

    @property
    def max_future(self) -> timedelta:
        """Longest time that an event may lie ahead of its receipt."""
        return timedelta(seconds=self.max_future_seconds)


def child_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment, with additions, for a child process."""
    return {**process_environment(), **extra}

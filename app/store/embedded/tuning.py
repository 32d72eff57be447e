"""The settings that the embedded Postgres runs with."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

MEGABYTE = 1024 * 1024
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}
# Postgres's 1 GB of WAL makes checkpoints chase each other under a write load.
# No wal_compression: what is written whole after a checkpoint are pages of random ids,
# of which pglz saves 5 % and takes longer over it than the insert itself.
WRITE_LOAD = {
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
UTC = {
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What senders sent is personal: no statement, no row and no value is logged.
# In this place `log` ranks above `error`, whose messages quote values.
DISCREET = {
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
}


def server_settings(overrides: Mapping[str, str]) -> Mapping[str, str]:
    """Rollcall's settings for a server on this machine, with the overrides."""
    return {
        **DURABLE,
        **WRITE_LOAD,
        **UTC,
        **DISCREET,
        "shared_buffers": f"{shared_buffers_mb(memory_bytes())}MB",
        **overrides,
    }


def shared_buffers_mb(memory: int) -> int:
    """An eighth of the memory (bytes) in MB, from 16 to 4096."""
    return max(16, min(memory // 8 // MEGABYTE, 4096))


def memory_bytes(limit_files: Iterable[Path] = CGROUP_LIMITS) -> int:
    """What this machine has, or what its container may use where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(limit_files)])


def _limits(files: Iterable[Path]) -> Iterator[int]:
    for file in files:
        try:
            yield int(file.read_text())
        except (OSError, ValueError):  # not in a container, or `max`
            continue
